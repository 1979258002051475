"""Programs carried out again: on the library they were written with, and on every other."""

from __future__ import annotations

import array_api_compat
import numpy as np
import pytest

from portnn import ops, tree
from portnn.autodiff import grad
from portnn.program import trace
from portnn.tracing import primitive
from tests.helpers import assert_close
from tests.program.networks import assert_same_bits, layers, predict, replay, step, step_arguments

X = np.asarray([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0]], dtype=np.float32)


def test_training_step_is_bit_identical():
    args = step_arguments()
    program = trace(step)(*args)
    expected = step(*args)
    assert_same_bits(program.eval(*args), expected)
    assert_same_bits(replay(program, args), expected)
    assert tree.structure(program.eval(*args)) == tree.structure(expected)


def test_training_with_a_program_is_training():
    params, state, x, labels = step_arguments()
    program = trace(step)(params, state, x, labels)
    by_hand = replayed = {"params": params, "state": state}
    for _ in range(5):
        by_hand = step(by_hand["params"], by_hand["state"], x, labels)
        replayed = program.eval(replayed["params"], replayed["state"], x, labels)
    assert_same_bits(replayed, by_hand)


def test_numpy_program_on_every_backend(backend):
    args = step_arguments()
    program = trace(step)(*args)
    found = program.eval(*tree.map(backend.asarray, args))
    for a, e in zip(tree.leaves(found), tree.leaves(step(*args)), strict=True):
        assert_close(a, np.asarray(e), rtol=1e-4, atol=1e-6, backend=backend)


def test_program_of_every_backend_on_numpy(backend):
    args = step_arguments()
    program = trace(step)(*tree.map(backend.asarray, args))
    for a, e in zip(tree.leaves(program.eval(*args)), tree.leaves(step(*args)), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(e), rtol=1e-4, atol=1e-6)


def test_constants_and_dtypes_are_translated(backend):
    table = np.asarray([10.0, 20.0, 30.0], dtype=np.float32)

    def f(x):
        wide = ops.astype(x, np.dtype("int32"))
        return ops.sum(x * table, axis=1), wide, x.__array_namespace__().astype(x, np.float32)

    program = trace(f)(X)
    one, two, three = program.eval(backend.asarray(X))
    assert_close(one, np.sum(X * table, axis=1), rtol=1e-6, backend=backend)
    assert_close(two, X.astype("int32"), rtol=0, backend=backend)
    assert_close(three, X, rtol=0, backend=backend)


def test_constants_cross_once(backend):
    table = np.ones(3, dtype=np.float32)
    program = trace(lambda x: x * table)(X)
    there = backend.asarray(X)
    program.eval(there)
    (machine,) = program._machines.values()
    (constant,) = machine.constants.values()
    program.eval(there)
    assert next(iter(program._machines.values())).constants.popitem()[1] is constant


def test_devices_are_those_of_the_arguments(backend):
    from array_api_strict import Device, asarray

    def f(x):
        xp = x.__array_namespace__()
        return xp.asarray(x, copy=True, device=x.device) + 1.0, x.to_device(Device("device1")) * 2.0

    program = trace(f)(asarray(X))
    assert [call.name for call in program.calls] == ["asarray", "add", "to_device", "multiply"]
    one, two = program.eval(backend.asarray(X))
    assert_close(one, X + 1, rtol=0, backend=backend)
    assert_close(two, X * 2, rtol=0, backend=backend)


def test_the_caller_cannot_change_the_program():
    def f(x):
        return x.__array_namespace__().zeros(3, dtype=x.dtype), x + 1.0

    program = trace(f)(X)
    program.eval(X)[0][...] = 7.0
    assert program.eval(X)[0].tolist() == [0.0, 0.0, 0.0]


def test_results_that_are_arguments_or_no_arrays():
    result = trace(lambda x, n: {"same": x, "n": n, "none": None, "text": "a"})(X, 3).eval(X, 3)
    assert result["same"] is X
    assert (result["n"], result["none"], result["text"]) == (3, None, "a")


def test_closing_over_arrays_inside_a_primitive(backend):
    weight = np.asarray([1.0, 2.0, 3.0], dtype=np.float32)

    @primitive
    def weighted(x):
        return x * weight

    program = trace(lambda x: ops.exp(weighted(x)))(X)
    assert [line.name for line in program.lines] == ["multiply", "exp"]
    assert_close(program.eval(backend.asarray(X)), np.exp(X * weight), rtol=1e-6, backend=backend)


def test_a_primitive_finds_the_library_it_runs_on(backend):
    @primitive
    def where_am_i(x):
        xp = array_api_compat.array_namespace(x)
        return xp.where(xp.isfinite(x), x, xp.asarray(0.0, dtype=x.dtype, device=array_api_compat.device(x)))

    program = trace(where_am_i)(X)
    assert [line.name for line in program.lines] == ["where_am_i"]
    assert_close(program.eval(backend.asarray(X)), X, rtol=0, backend=backend)


def test_gradients_of_gradients(backend):
    def f(x):
        return ops.sum(x**3)

    program = trace(grad(lambda x: ops.sum(grad(f)(x))))(X)
    assert_close(program.eval(backend.asarray(X)), 6 * X, rtol=1e-6, backend=backend)


def refused(error, match, *args):
    program = trace(predict)(layers(5, 4, 3), np.ones((2, 5), dtype=np.float32))
    with pytest.raises(error, match=match) as caught:
        program.eval(*args)
    assert len(str(caught.value)) < 300


def test_arguments_that_do_not_fit():
    params, x = layers(5, 4, 3), np.ones((2, 5), dtype=np.float32)
    refused(ValueError, "predict: the arguments differ .* at the root: expected a tuple of 2", params)
    refused(ValueError, "at 0: expected a list of 2, got a list of 1", params[:1], x)
    refused(
        ValueError, r"predict: x must be float32\[2, 5\], got float32\[3, 5\]", params, np.ones((3, 5), "f")
    )
    refused(
        ValueError, r"x must be float32\[2, 5\], got float64\[2, 5\]; convert it", params, x.astype(float)
    )
    refused(TypeError, r"x must be an array, float32\[2, 5\], got float", params, 3.0)
    import array_api_strict

    strict = array_api_strict.asarray(x)
    refused(TypeError, "arrays of different libraries", params, strict)


def test_traced_arguments_are_refused():
    program = trace(ops.sum)(X)
    with pytest.raises(TypeError, match="x is traced; call the function"):
        grad(program.eval)(X)


def test_leaves_that_are_no_arrays_belong_to_the_program():
    program = trace(lambda x, factor, mode: factor * x if mode == "up" else x)(X, 2.0, "up")
    assert_same_bits(program.eval(X, 2.0, "up"), 2 * X)
    for factor, mode in ((3.0, "up"), (2, "up"), (2.0, "down"), (X, "up")):
        with pytest.raises(ValueError, match=r"argument [12] is part of the program, .* trace it again"):
            program.eval(X, factor, mode)
    nan = trace(lambda x, y: x * y)(X, float("nan"))
    assert np.all(np.isnan(nan.eval(X, float("nan"))))


def test_an_error_names_the_line():
    @primitive
    def only_numpy(x):
        if "strict" in array_api_compat.array_namespace(x).__name__:
            raise RuntimeError("no such luck")
        return x + 1.0

    import array_api_strict

    program = trace(lambda x: ops.exp(only_numpy(x)))(X)
    with pytest.raises(RuntimeError, match="no such luck") as caught:
        program.eval(array_api_strict.asarray(X))
    assert caught.value.__notes__ == ["in <lambda>: %0 = only_numpy(x)"]


def test_functions_that_are_not_of_the_standard():
    import array_api_strict

    program = trace(lambda x: np.cbrt(x))(X)
    assert_same_bits(program.eval(X), np.cbrt(X))
    with pytest.raises(TypeError, match="has no function 'cbrt'"):
        program.eval(array_api_strict.asarray(X))


def test_numpys_own_names_mean_the_standards(backend):
    program = trace(lambda x: np.arctan2(np.absolute(x), x))(X)
    assert [call.name for call in program.calls] == ["abs", "atan2"]
    assert_close(program.eval(backend.asarray(X)), np.arctan2(np.abs(X), X), rtol=1e-6, backend=backend)
