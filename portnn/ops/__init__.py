"""The functions of the Array API standard, differentiable, and a few that networks add.

Names and signatures are the standard's (2024.12); each function has its derivative rule beside it.
They take plain arrays of any library, and traced ones, mixed. Some shadow built-ins (`sum`, `abs`,
`max`), so import the module and write ``ops.sum``.
"""

from portnn.ops import _operators as _operators  # attaches the operators of traced arrays

from portnn.ops._arithmetic import (
    add, divide, floor_divide, maximum, minimum, multiply, negative, positive, remainder, subtract,
)  # fmt: skip
from portnn.ops._broadcasting import astype, broadcast_to, reshape, sum, where
from portnn.ops._comparison import equal, greater, greater_equal, less, less_equal, not_equal
from portnn.ops._creation import (
    arange, asarray, empty, empty_like, eye, from_dlpack, full, full_like, linspace, ones, ones_like,
    tril, triu, zeros, zeros_like,
)  # fmt: skip
from portnn.ops._cumulative import cumulative_prod, cumulative_sum, diff, prod
from portnn.ops._dtypes import can_cast, finfo, iinfo, isdtype, result_type
from portnn.ops._exponential import (
    exp, expm1, hypot, log, log10, log1p, log2, logaddexp, reciprocal, sqrt, square,
)  # fmt: skip
from portnn.ops._fused import (
    linear, log_softmax, logsumexp, sigmoid, sigmoid_cross_entropy, softmax, softmax_cross_entropy,
)  # fmt: skip
from portnn.ops._hyperbolic import acosh, asinh, atanh, cosh, sinh, tanh
from portnn.ops._indexing import getitem, repeat, take, take_along_axis
from portnn.ops._joining import broadcast_arrays, concat, meshgrid, stack, tile, unstack
from portnn.ops._linear_algebra import matmul, matrix_transpose, tensordot, vecdot
from portnn.ops._logical import (
    bitwise_and, bitwise_invert, bitwise_left_shift, bitwise_or, bitwise_right_shift, bitwise_xor,
    isfinite, isinf, isnan, logical_and, logical_not, logical_or, logical_xor, signbit,
)  # fmt: skip
from portnn.ops._manipulation import expand_dims, flip, moveaxis, permute_dims, roll, squeeze
from portnn.ops._power import pow
from portnn.ops._rounding import (
    abs, ceil, clip, conj, copysign, floor, imag, nextafter, real, round, sign, trunc,
)  # fmt: skip
from portnn.ops._searching import (
    all, any, argmax, argmin, argsort, count_nonzero, nonzero, searchsorted, unique_all, unique_counts,
    unique_inverse, unique_values,
)  # fmt: skip
from portnn.ops._sorting import sort
from portnn.ops._special import erf, erfc
from portnn.ops._statistical import max, mean, min, std, var
from portnn.ops._trigonometric import acos, asin, atan, atan2, cos, sin, tan

__all__ = [
    "abs", "acos", "acosh", "add", "all", "any", "arange", "argmax", "argmin", "argsort", "asarray",
    "asin", "asinh", "astype", "atan", "atan2", "atanh", "bitwise_and", "bitwise_invert",
    "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "broadcast_arrays",
    "broadcast_to", "can_cast", "ceil", "clip", "concat", "conj", "copysign", "cos", "cosh",
    "count_nonzero", "cumulative_prod", "cumulative_sum", "diff", "divide", "empty", "empty_like",
    "equal", "erf", "erfc", "exp", "expand_dims", "expm1", "eye", "finfo", "flip", "floor",
    "floor_divide", "from_dlpack", "full", "full_like", "getitem", "greater", "greater_equal", "hypot",
    "iinfo", "imag", "isdtype", "isfinite", "isinf", "isnan", "less", "less_equal", "linear", "linspace",
    "log", "log10", "log1p", "log2", "log_softmax", "logaddexp", "logical_and", "logical_not",
    "logical_or", "logical_xor", "logsumexp", "matmul", "matrix_transpose", "max", "maximum", "mean",
    "meshgrid", "min", "minimum", "moveaxis", "multiply", "negative", "nextafter", "nonzero", "not_equal",
    "ones", "ones_like", "permute_dims", "positive", "pow", "prod", "real", "reciprocal", "remainder",
    "repeat", "reshape", "result_type", "roll", "round", "searchsorted", "sigmoid",
    "sigmoid_cross_entropy", "sign", "signbit", "sin", "sinh", "softmax", "softmax_cross_entropy", "sort",
    "sqrt", "square", "squeeze", "stack", "std", "subtract", "sum", "take", "take_along_axis", "tan",
    "tanh", "tensordot", "tile", "tril", "triu", "trunc", "unique_all", "unique_counts", "unique_inverse",
    "unique_values", "unstack", "var", "vecdot", "where", "zeros", "zeros_like",
]  # fmt: skip
