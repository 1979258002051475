"""Backends: a name becomes a library of the Array API standard and one of its devices.

The only place where arrays cross between libraries. Importing this package imports no array
library; a backend imports its own when it is first asked for.
"""

from portnn.backend._backend import Backend
from portnn.backend._config import available_backends, show_config
from portnn.backend._errors import BackendUnavailableError
from portnn.backend._get import backend_of, convert_like, get_backend

__all__ = [
    "Backend",
    "BackendUnavailableError",
    "available_backends",
    "backend_of",
    "convert_like",
    "get_backend",
    "show_config",
]
