"""What can be wrong with data, as exceptions."""

from __future__ import annotations


class DataError(ValueError):
    """A file was read, and what it holds is malformed.

    The message names the file, for a CSV also the line, what was expected and what was found.

    Example:
        >>> issubclass(DataError, ValueError)
        True
    """


class DownloadError(OSError):
    """A data set could be fetched from none of its mirrors.

    The message names the files to get by other means, and what to do with them.

    Example:
        >>> issubclass(DownloadError, OSError)
        True
    """
