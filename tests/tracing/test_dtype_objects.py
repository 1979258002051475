"""A dtype says which library it is of, in whatever form the library has it."""

from __future__ import annotations

from portnn import ops


def test_each_form_of_a_dtype_is_known(backend):
    x = backend.asarray([1.0, 2.0], dtype="float32")
    for dtype in (backend.xp.float32, x.dtype):
        assert ops.finfo(dtype).bits == 32
        assert ops.isdtype(dtype, "real floating")
        assert ops.can_cast(dtype, dtype)
        assert ops.result_type(dtype, dtype) == x.dtype
