"""The functions of the Array API standard, differentiable, and a few that networks add.

Names and signatures are the standard's (2025.12); each function has its derivative rule beside it.
They take plain arrays of any library, and traced ones, mixed. Some shadow built-ins (`sum`, `abs`,
`max`), so import the module and write ``ops.sum``.
"""

from typing import TYPE_CHECKING

from portnn._suggest import missing
from portnn.ops import _operators as _operators  # attaches the operators of traced arrays
from portnn.ops import _ufuncs as _ufuncs  # attaches what NumPy's functions mean on them
from portnn.ops import fft, linalg
from portnn.ops._affine import linear
from portnn.ops._arithmetic import (
    add,
    divide,
    floor_divide,
    maximum,
    minimum,
    multiply,
    negative,
    positive,
    remainder,
    subtract,
)  # fmt: skip
from portnn.ops._attention import attention_weights, rotary, scaled_dot_product_attention
from portnn.ops._avg_pooling import avg_pool1d, avg_pool2d, global_avg_pool
from portnn.ops._batch_norm import batch_norm
from portnn.ops._broadcasting import astype, broadcast_to, reshape, sum, where
from portnn.ops._comparison import equal, greater, greater_equal, less, less_equal, not_equal
from portnn.ops._convolution import conv1d, conv2d, conv_transpose1d, conv_transpose2d
from portnn.ops._creation import arange, asarray, empty, eye, from_dlpack, full, linspace, ones, zeros
from portnn.ops._cross_entropy import sigmoid_cross_entropy, softmax_cross_entropy
from portnn.ops._cumulative import cumulative_prod, cumulative_sum, diff, prod
from portnn.ops._differentiable import differentiable
from portnn.ops._dtypes import can_cast, finfo, iinfo, isdtype, result_type
from portnn.ops._embedding import embedding
from portnn.ops._exponential import (
    exp,
    expm1,
    hypot,
    log,
    log1p,
    log2,
    log10,
    logaddexp,
    reciprocal,
    sqrt,
    square,
)  # fmt: skip
from portnn.ops._hyperbolic import acosh, asinh, atanh, cosh, sinh, tanh
from portnn.ops._indexing import getitem, repeat, take, take_along_axis
from portnn.ops._joining import broadcast_arrays, concat, meshgrid, stack, tile, unstack
from portnn.ops._like import empty_like, full_like, ones_like, tril, triu, zeros_like
from portnn.ops._linear_algebra import matmul, matrix_transpose, tensordot, vecdot
from portnn.ops._logical import (
    bitwise_and,
    bitwise_invert,
    bitwise_left_shift,
    bitwise_or,
    bitwise_right_shift,
    bitwise_xor,
    isfinite,
    isinf,
    isnan,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    signbit,
)  # fmt: skip
from portnn.ops._manipulation import expand_dims, flip, moveaxis, permute_dims, roll, squeeze
from portnn.ops._max_pooling import global_max_pool, max_pool1d, max_pool2d
from portnn.ops._power import pow
from portnn.ops._recurrent import gru_step, lstm_step, rnn_step
from portnn.ops._resampling import pad, upsample
from portnn.ops._rounding import (
    abs,
    ceil,
    clip,
    conj,
    copysign,
    floor,
    imag,
    nextafter,
    real,
    round,
    sign,
    trunc,
)  # fmt: skip
from portnn.ops._row_norms import group_norm, layer_norm, rms_norm
from portnn.ops._searching import (
    all,
    any,
    argmax,
    argmin,
    argsort,
    count_nonzero,
    nonzero,
    searchsorted,
    unique_all,
    unique_counts,
    unique_inverse,
    unique_values,
)  # fmt: skip
from portnn.ops._softmax import log_softmax, logsumexp, sigmoid, softmax
from portnn.ops._sorting import sort
from portnn.ops._special import erf, erfc
from portnn.ops._statistical import max, mean, min, std, var
from portnn.ops._trigonometric import acos, asin, atan, atan2, cos, sin, tan

__all__ = [
    "abs",
    "acos",
    "acosh",
    "add",
    "all",
    "any",
    "arange",
    "argmax",
    "argmin",
    "argsort",
    "asarray",
    "asin",
    "asinh",
    "astype",
    "atan",
    "atan2",
    "atanh",
    "attention_weights",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "broadcast_arrays",
    "broadcast_to",
    "can_cast",
    "ceil",
    "clip",
    "concat",
    "conj",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "copysign",
    "cos",
    "cosh",
    "count_nonzero",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "differentiable",
    "divide",
    "embedding",
    "empty",
    "empty_like",
    "equal",
    "erf",
    "erfc",
    "exp",
    "expand_dims",
    "expm1",
    "eye",
    "fft",
    "finfo",
    "flip",
    "floor",
    "floor_divide",
    "from_dlpack",
    "full",
    "full_like",
    "getitem",
    "global_avg_pool",
    "global_max_pool",
    "greater",
    "greater_equal",
    "group_norm",
    "gru_step",
    "hypot",
    "iinfo",
    "imag",
    "isdtype",
    "isfinite",
    "isinf",
    "isnan",
    "layer_norm",
    "less",
    "less_equal",
    "linalg",
    "linear",
    "linspace",
    "log",
    "log1p",
    "log2",
    "log10",
    "log_softmax",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logsumexp",
    "lstm_step",
    "matmul",
    "matrix_transpose",
    "max",
    "max_pool1d",
    "max_pool2d",
    "maximum",
    "mean",
    "meshgrid",
    "min",
    "minimum",
    "moveaxis",
    "multiply",
    "negative",
    "nextafter",
    "nonzero",
    "not_equal",
    "ones",
    "ones_like",
    "pad",
    "permute_dims",
    "positive",
    "pow",
    "prod",
    "real",
    "reciprocal",
    "remainder",
    "repeat",
    "reshape",
    "result_type",
    "rms_norm",
    "rnn_step",
    "roll",
    "rotary",
    "round",
    "scaled_dot_product_attention",
    "searchsorted",
    "sigmoid",
    "sigmoid_cross_entropy",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "softmax",
    "softmax_cross_entropy",
    "sort",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "subtract",
    "sum",
    "take",
    "take_along_axis",
    "tan",
    "tanh",
    "tensordot",
    "tile",
    "tril",
    "triu",
    "trunc",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
    "unstack",
    "upsample",
    "var",
    "vecdot",
    "where",
    "zeros",
    "zeros_like",
]  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> None:
        raise missing(__name__, name, __all__)
