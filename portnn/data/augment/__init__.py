"""Changed copies of images, made where the images are: moved, turned, scaled, sheared, bent.

Written in the standard's functions, so it runs on every backend's device, inside `portnn.jit` and
``jax.jit``, and gradients pass to pixels and to angles alike. Images are (n, height, width) or
(n, channels, height, width), floating-point or integers such as bytes; what comes out has their dtype
(integers are rounded). Between pixels values are interpolated (bilinear); outside an image everything has
the value `fill`. What is random takes a key of `portnn.random` first: the same key gives the same
distortions on every backend.

Rows count downwards and columns to the right, in pixels; angles are degrees, counterclockwise as one looks
at the image.
"""

from portnn.data.augment._affine import affine, rotate, shift
from portnn.data.augment._random import distort, elastic
from portnn.data.augment._sampling import sample

__all__ = ["affine", "distort", "elastic", "rotate", "sample", "shift"]
