"""Exceptions: `EngraftError`, and a subclass for every reason that the library gives."""
from ._errors import EngraftError
from ._reasons import *  # noqa: F403
from ._reasons import __all__ as _reasons

__all__ = ["EngraftError", *_reasons]
