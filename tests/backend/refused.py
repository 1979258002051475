"""What every BackendUnavailableError must look like."""

from __future__ import annotations

import pytest

from portnn.backend import BackendUnavailableError, get_backend


def refused(name):
    """The error of a backend that cannot serve, its form checked."""
    with pytest.raises(BackendUnavailableError) as caught:
        get_backend(name)
    error = caught.value
    assert isinstance(error, RuntimeError)
    assert len(str(error)) < 300
    assert str(error).startswith(f"backend {error.backend!r} is not available: ")
    return error
