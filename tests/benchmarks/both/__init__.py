"""Scripts whose one source runs unchanged on this library and on 0.1.10."""
