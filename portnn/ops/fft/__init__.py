"""The Fourier transform extension of the standard, as values: differentiating raises DifferentiationError.

`norm` says which direction divides by the number of points n: "backward" the inverse one by n, "forward" the
other one by n, "ortho" both by the root of n.
"""

from portnn.ops.fft._frequencies import fftfreq, fftshift, ifftshift, rfftfreq
from portnn.ops.fft._one_axis import fft, hfft, ifft, ihfft, irfft, rfft
from portnn.ops.fft._several_axes import fftn, ifftn, irfftn, rfftn

__all__ = [
    "fft", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifftn", "ifftshift", "ihfft", "irfft", "irfftn",
    "rfft", "rfftfreq", "rfftn",
]  # fmt: skip
