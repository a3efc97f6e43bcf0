"""Where 0.1.10 had the logger; for programs that import it from here."""

from .. import logger

__all__ = ["logger"]
