"""Scripts that use what only this library has."""
