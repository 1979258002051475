"""The Fourier transforms: values that refuse to be differentiated, but for the shifts, which only move them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portnn import ops
from tests.table.engine import CONSTANT_KIND, SMOOTH, VALUES, Row, normal, to_complex


def row(
    name: str,
    function: Callable[..., Any],
    oracle: Callable[..., Any],
    *shape: int,
    case: str = "",
    kind: str = VALUES,
) -> Row:
    """A row of `ops.fft` at a real array."""
    return Row(f"ops.fft.{name}", function, (normal(*shape),), oracle, kind=kind, case=case, rtol32=5e-6)


def dft(x: np.ndarray, axis: int = -1, sign: float = -1.0) -> np.ndarray:
    """Σ x exp(sign 2πi jk / n) along an axis, as a product with a matrix."""
    n = x.shape[axis]
    matrix = np.exp(sign * 2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n)
    return np.moveaxis(np.tensordot(np.moveaxis(x, axis, -1).astype(np.complex128), matrix, axes=1), -1, axis)


def dft2(x: np.ndarray, sign: float = -1.0) -> np.ndarray:
    """Along both axes."""
    return dft(dft(x, 0, sign), 1, sign)


def hermitian(half: np.ndarray, n: int) -> np.ndarray:
    """The n points of a transform of a real signal from the half that is kept along the last axis."""
    rest = np.conj(half[..., 1 : n - half.shape[-1] + 1])[..., ::-1]
    first = np.real(half[..., :1]).astype(np.complex128)
    return np.concatenate([first, half[..., 1:], rest], axis=-1)


def turned(x: Any) -> Any:
    """A complex array that is not real."""
    return to_complex(x) * (1.0 + 0.5j)


T = 1.0 + 0.5j

ONE_AXIS = [
    row("fft", lambda x: ops.fft.fft(turned(x)), lambda x: dft(x * T), 2, 4),
    row("fft", lambda x: ops.fft.fft(turned(x), n=3, axis=0, norm="ortho"), lambda x: dft(x[:3] * T, 0) / 3**0.5, 4, 2,
        case="cut"),
    row("fft", lambda x: ops.fft.fft(turned(x), norm="forward"), lambda x: dft(x * T) / 5.0, 5, case="forward"),
    row("ifft", lambda x: ops.fft.ifft(turned(x)), lambda x: dft(x * T, sign=1.0) / 4.0, 2, 4),
    row("rfft", ops.fft.rfft, lambda x: dft(x)[:, :3], 2, 5),
    row("irfft", lambda x: ops.fft.irfft(ops.fft.rfft(x), n=5), lambda x: x, 2, 5, case="there and back"),
    row("irfft", lambda x: ops.fft.irfft(turned(x), n=5), lambda x: np.real(dft(hermitian(x * T, 5), -1, 1.0)) / 5.0, 2, 3),
    row("hfft", lambda x: ops.fft.hfft(turned(x), n=5), lambda x: np.real(dft(hermitian(x * T, 5))), 2, 3),
    row("ihfft", ops.fft.ihfft, lambda x: dft(x, sign=1.0)[:, :3] / 5.0, 2, 5),
]  # fmt: skip

SEVERAL_AXES = [
    row("fftn", lambda x: ops.fft.fftn(turned(x)), lambda x: dft2(x * T), 2, 3),
    row("ifftn", lambda x: ops.fft.ifftn(turned(x)), lambda x: dft2(x * T, 1.0) / 6.0, 2, 3),
    row("rfftn", ops.fft.rfftn, lambda x: dft2(x)[:, :2], 2, 3),
    row("irfftn", lambda x: ops.fft.irfftn(ops.fft.rfftn(x), s=(2, 3), axes=(0, 1)), lambda x: x, 2, 3),
    row("fftshift", ops.fft.fftshift, lambda x: x[[2, 0, 1]][:, [2, 3, 0, 1]], 3, 4, kind=SMOOTH),
    row("ifftshift", lambda x: ops.fft.ifftshift(x, axes=0), lambda x: x[[1, 2, 0]], 3, 4, kind=SMOOTH),
]


def frequencies(name: str, function: Callable[[Any], Any], expected: list[float]) -> Row:
    """A row of a function that makes frequencies, for x of length 5."""
    return Row(f"ops.fft.{name}", function, (normal(5),), lambda x: np.asarray(expected), kind=CONSTANT_KIND)


ROWS = [
    *ONE_AXIS,
    *SEVERAL_AXES,
    frequencies(
        "fftfreq", lambda x: ops.fft.fftfreq(5, d=0.5, dtype=x.dtype, like=x), [0.0, 0.4, 0.8, -0.8, -0.4]
    ),
    frequencies("rfftfreq", lambda x: ops.fft.rfftfreq(5, d=0.5, dtype=x.dtype, like=x), [0.0, 0.4, 0.8]),
]
