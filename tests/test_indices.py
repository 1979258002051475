"""Integers that number something: one rule for every backend, eager and planned, documented at `in_range`."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import portnn as pn
from portnn import Linear, Network, autodiff, decode, losses, metrics, ops, optim, tree
from portnn.nn import GRU, LSTM, RNN, Embedding, Flatten, SinusoidalPositions
from portnn.random import stream
from tests.backends import Matrix

TABLE = np.arange(15.0, dtype=np.float32).reshape(5, 3)
LOGITS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
LABELS = {
    "negative": [0, -1, 2, 1],
    "most negative": [0, -(2**31), 2, 1],
    "too large": [0, 3, 2, 1],
    "far too large": [0, 2**31 - 1, 2, 1],
}
CLASS_LOSSES = {
    "cross-entropy": losses.softmax_cross_entropy,
    "op": ops.softmax_cross_entropy,
    "smoothed": partial(losses.softmax_cross_entropy, label_smoothing=0.1),
    "ignoring": partial(losses.softmax_cross_entropy, ignore_index=-100),
    "focal": losses.focal,
    "hinge": losses.multiclass_hinge,
}


def placed(backend, params):
    return tree.map(lambda a: backend.asarray(np.asarray(a)), params)


def both(f):
    """Eagerly, and as a plan: one that the right values made."""
    return {"eager": f, "plan": pn.jit(f)}


@pytest.mark.parametrize("manner", ["eager", "plan"])
@pytest.mark.parametrize(
    ("ids", "told"),
    [
        ([[0, 4], [-1, 1]], r"Embedding: x must be from 0 to 4, got -1 at position \(1, 0\)"),
        ([[0, 4], [2, 5]], r"got 5 at position \(1, 1\)"),
        ([[-5, 4], [2, 5]], r"got -5 at position \(0, 0\)"),
        ([[0, 2**31 - 1], [0, 0]], r"got 2147483647 at position \(0, 1\)"),
    ],
)
def test_ids_that_number_no_symbol(backend, manner, ids, told):
    layer = Embedding(5, 3)
    params = placed(backend, layer.init(stream(0)))
    call = both(layer.apply)[manner]
    right = backend.asarray([[0, 4], [3, 1]], "int32")
    for _ in range(2):
        assert backend.to_numpy(call(params, right)).shape == (2, 2, 3)
    with pytest.raises(ValueError, match=told):
        call(params, backend.asarray(ids, "int32"))
    gradient = both(lambda p, x: autodiff.grad(lambda p: ops.sum(layer.apply(p, x)))(p))[manner]
    gradient(params, right)
    with pytest.raises(ValueError, match=told):
        gradient(params, backend.asarray(ids, "int32"))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "uint32", "int64", "uint64"])
def test_ids_of_any_integers(backend, dtype):
    if not hasattr(backend.xp, dtype) or (backend.member is Matrix.TORCH and dtype in ("uint16", "uint32")):
        pytest.skip(f"no {dtype}")
    layer = Embedding(5, 3)
    params = placed(backend, {"weight": TABLE})
    try:
        ids, wrong = (backend.asarray(x, dtype) for x in ([4, 0, 3], [4, np.iinfo(dtype).max, 3]))
    except ValueError as error:
        pytest.skip(str(error)[:60])
    assert backend.to_numpy(layer.apply(params, ids)).tolist() == TABLE[[4, 0, 3]].tolist()
    with pytest.raises(ValueError, match=rf"must be from 0 to 4, got {np.iinfo(dtype).max} at position 1"):
        layer.apply(params, wrong)


@pytest.mark.parametrize("ids", [np.asarray([1.0, 2.0], dtype=np.float32), np.asarray([True, False])])
def test_ids_that_are_not_integers(backend, ids):
    with pytest.raises(TypeError, match="Embedding: expected integers that number symbols"):
        Embedding(5, 3).apply(placed(backend, {"weight": TABLE}), backend.asarray(ids))


def test_padding_may_be_an_integer_of_numpy():
    layer = Embedding(4, 2, padding_idx=np.int64(1))
    assert type(layer.padding_idx) is int
    assert layer == Embedding(4, 2, padding_idx=1)
    params = layer.init(stream(0))
    assert params["weight"][1].tolist() == [0.0, 0.0]
    ids = np.asarray([1, 1, 3])
    slope = autodiff.grad(lambda p: ops.sum(layer.apply(p, ids)))(params)["weight"]
    assert slope.tolist() == [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
    net = Network([layer, Flatten(), Linear(4, 2)])
    assert "padding_idx=1" in repr(net)
    with pytest.raises(ValueError, match="padding_idx must be below num_embeddings=4"):
        Embedding(4, 2, padding_idx=np.int64(4))


@pytest.mark.parametrize("manner", ["eager", "plan"])
@pytest.mark.parametrize("wrong", list(LABELS.values()), ids=list(LABELS))
@pytest.mark.parametrize("loss", list(CLASS_LOSSES.values()), ids=list(CLASS_LOSSES))
def test_labels_that_are_not_classes(backend, loss, wrong, manner):
    x, right, bad = backend.asarray(LOGITS), backend.asarray([0, 1, 2, 1]), backend.asarray(wrong)
    value = both(loss)[manner]
    value(x, right)
    with pytest.raises(ValueError, match=rf"targets must be from 0 to 2, got {wrong[1]} at position 1"):
        value(x, bad)
    slope = both(lambda x, y: autodiff.grad(lambda x: ops.sum(loss(x, y)))(x))[manner]
    slope(x, right)
    with pytest.raises(ValueError, match="targets must be from 0 to 2"):
        slope(x, bad)


def test_labels_beyond_signed_integers():
    labels = np.asarray([0, 2**63 + 1, 2, 1], dtype=np.uint64)
    for loss in CLASS_LOSSES.values():
        with pytest.raises(ValueError, match="got 9223372036854775809 at position 1"):
            loss(LOGITS, labels)
    with pytest.raises(ValueError, match="sample 1 has the label 9223372036854775809"):
        Network([Linear(3, 3)]).fit(LOGITS, labels)
    ignoring = Network([Linear(3, 3)], loss=partial(losses.softmax_cross_entropy, ignore_index=-1))
    with pytest.raises(ValueError, match="sample 1 has the label 18446744073709551615"):
        ignoring.fit(LOGITS, np.asarray([0, 2**64 - 1, 2, 1], dtype=np.uint64))
    for metric in (metrics.accuracy, metrics.confusion_matrix, metrics.precision):
        with pytest.raises(ValueError, match=r"y_true must be from 0 to .*, got 9223372036854775809 at"):
            metric(labels, np.asarray([0, 1, 2, 1], dtype=np.uint64))


@pytest.mark.parametrize("ignored", [-100, 7, 1])
def test_an_ignored_label_may_be_any_number(backend, ignored):
    labels = np.asarray([0, ignored, 2, ignored])
    loss = partial(losses.softmax_cross_entropy, ignore_index=ignored)
    kept = [0, 2]
    e = np.exp(LOGITS.astype(np.float64))
    expected = -np.log(e / e.sum(axis=1, keepdims=True))[kept, labels[kept]].mean()
    for call in both(loss).values():
        for _ in range(2):
            assert float(call(backend.asarray(LOGITS), backend.asarray(labels))) == pytest.approx(expected)
        with pytest.raises(ValueError, match="targets must be from 0 to 2, got 3 at position 0"):
            call(backend.asarray(LOGITS), backend.asarray([3, ignored, 2, 0]))


@pytest.mark.parametrize("manner", ["eager", "plan"])
@pytest.mark.parametrize("layer", [RNN(2, 3), GRU(2, 3, bidirectional=True), LSTM(2, 3, returns="last")])
@pytest.mark.parametrize("wrong", [-1, 5, 99])
def test_lengths_that_no_sequence_has(backend, layer, wrong, manner):
    x = backend.asarray(np.linspace(-1, 1, 24, dtype=np.float32).reshape(3, 4, 2))
    params = placed(backend, layer.init(stream(0)))
    call = both(lambda p, x, n: layer.apply(p, x, lengths=n))[manner]
    call(params, x, backend.asarray([4, 0, 2]))
    told = rf"{type(layer).__name__}: lengths must be from 0 to 4, got {wrong} at position 1"
    with pytest.raises(ValueError, match=told):
        call(params, x, backend.asarray([4, wrong, 2]))


def test_positions_of_a_sequence(backend):
    layer, x = SinusoidalPositions(2), backend.asarray(np.zeros((1, 2, 2), dtype=np.float32))
    assert backend.to_numpy(layer.apply({}, x, positions=backend.asarray([1, 0]))).shape == (1, 2, 2)
    with pytest.raises(ValueError, match="positions must be from 0 to 2147483647, got -1 at position 1"):
        layer.apply({}, x, positions=backend.asarray([0, -1]))
    with pytest.raises(TypeError, match="positions must be integers"):
        layer.apply({}, x, positions=backend.asarray([0.0, 1.0], "float32"))


@pytest.mark.parametrize("search", [decode.greedy, partial(decode.beam_search, beam=2)])
def test_symbols_that_a_sequence_begins_with(backend, search):
    table = backend.asarray(np.log(np.full((3, 3), 1 / 3, dtype=np.float32)))
    step = lambda tokens, state: (ops.take(table, tokens, axis=0), state)  # noqa: E731  # as in the example
    with pytest.raises(ValueError, match=r"start must be from 0 to .*, got -1 at position 1"):
        search(step, (), start=backend.asarray([0, -1]), end=2, max_length=2)


@pytest.mark.parametrize("manner", ["eager", "plan"])
def test_positions_count_as_numpy_counts(backend, manner):
    x = backend.asarray(TABLE)
    for places in ([0, -1, 2, -5], [[4, -4], [-2, 1]]):
        found = both(lambda x, i: ops.take(x, i, axis=0))[manner](x, backend.asarray(places))
        assert backend.to_numpy(found).tolist() == TABLE[np.asarray(places)].tolist()
        found = both(ops.embedding)[manner](x, backend.asarray(places))
        assert backend.to_numpy(found).tolist() == TABLE[np.asarray(places)].tolist()
    along = np.asarray([[-1, 0], [1, -3], [2, 2], [0, 0], [-2, -1]])
    found = both(lambda x, i: ops.take_along_axis(x, i, axis=1))[manner](x, backend.asarray(along))
    assert backend.to_numpy(found).tolist() == np.take_along_axis(TABLE, along, axis=1).tolist()


@pytest.mark.parametrize("manner", ["eager", "plan"])
@pytest.mark.parametrize("wrong", [5, -6, 1000])
def test_positions_that_do_not_exist(backend, manner, wrong):
    x, right, bad = backend.asarray(TABLE), backend.asarray([0, 2]), backend.asarray([0, wrong])
    column = lambda i: ops.reshape(i, (-1, 1))  # noqa: E731  # two functions of one use
    calls = [
        lambda x, i: ops.take(x, i, axis=0),
        ops.embedding,
        lambda x, i: (
            ops.take_along_axis(x[:2, ...], column(i), axis=1) if wrong == 1000 else ops.take(x[:, 0], i)
        ),
    ]
    if backend.member not in (Matrix.STRICT, Matrix.STRICT_RESTRICTED, Matrix.STRICT_DEVICE1):
        calls.append(lambda x, i: ops.getitem(x, (i, i * 0)))
    for f in calls:
        call = both(f)[manner]
        call(x, right)
        with pytest.raises((IndexError, ValueError)) as caught:
            call(x, bad)
        assert isinstance(caught.value, IndexError)
    with pytest.raises(IndexError):
        ops.getitem(x, wrong if wrong > 0 else -6)


def test_a_position_too_large_for_signed_numbers(backend):
    """As a signed number it would be -1, the last one."""
    x, place = backend.asarray(TABLE), np.asarray([2**64 - 1], dtype="uint64")
    try:
        places = backend.asarray(place)
    except (TypeError, ValueError):
        return  # the device has no such numbers
    with pytest.raises(IndexError):
        ops.take(x, places, axis=0)


def test_an_index_of_several_kinds(backend):
    x = backend.asarray(np.arange(24.0).reshape(2, 3, 4).astype(np.float32))
    host = backend.to_numpy(x)
    for index in ((1, -1, -4), (-2, ..., 3), (..., -1), (None, 0, ..., None, -1)):
        assert backend.to_numpy(ops.getitem(x, (*index, ...) if ... not in index else index)).tolist() == (
            host[index].tolist()
        )
    for index in ((2, ..., 0), (..., 4), (0, 3, ...), (..., -4, 0)):
        with pytest.raises(IndexError):
            ops.getitem(x, index)


@pytest.mark.parametrize("manner", ["eager", "plan"])
def test_positions_are_integers(backend, manner):
    x = backend.asarray(TABLE)
    for places in (backend.asarray([0.0, 1.0], "float32"), backend.asarray(np.asarray([True, False]))):
        with pytest.raises(TypeError, match="take: indices must be integers, got dtype"):
            both(lambda x, i: ops.take(x, i, axis=0))[manner](x, places)
        with pytest.raises(TypeError, match="take_along_axis: indices must be integers, got dtype"):
            both(lambda x, i: ops.take_along_axis(x, ops.reshape(i, (2, 1)), axis=0))[manner](x, places)
    with pytest.raises(TypeError, match="are class labels and must be integers, got dtype"):
        both(ops.softmax_cross_entropy)[manner](x, backend.asarray(np.zeros(5), "float32"))


def test_an_error_is_of_both_kinds(backend):
    for wanted in (IndexError, ValueError):
        with pytest.raises(wanted, match="Embedding: x must be from 0 to 4, got 5"):
            Embedding(5, 3).apply(placed(backend, {"weight": TABLE}), backend.asarray([5]))


def test_elements_are_repeated_no_negative_number_of_times(backend):
    x = backend.asarray(TABLE)
    for repeats in (-1, backend.asarray([1, 0, 2, -1, 1])):
        with pytest.raises(ValueError, match=r"repeat: repeats must be .*, got -1"):
            ops.repeat(x, repeats, axis=0)
    if backend.member is Matrix.STRICT_RESTRICTED:
        return  # which has no shapes that depend on values
    assert backend.to_numpy(ops.repeat(x, backend.asarray([1, 0, 2, 0, 0]), axis=0)).tolist() == (
        TABLE[[0, 2, 2]].tolist()
    )


@pytest.mark.parametrize("ignored", [2**40, -(2**40), 2**32, 256])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
def test_an_ignored_label_that_no_sample_can_have(backend, ignored, dtype):
    loss = partial(losses.softmax_cross_entropy, ignore_index=ignored)
    x, y = backend.asarray(LOGITS), backend.asarray([0, 1, 2, 0], dtype)
    expected = float(losses.softmax_cross_entropy(x, y))
    for call in both(loss).values():
        assert float(call(x, y)) == pytest.approx(expected, rel=1e-6)
    net = Network([Linear(3, 3)], loss=loss, backend=backend.backend)
    plain = Network([Linear(3, 3)], backend=backend.backend)
    assert net.evaluate(LOGITS, y)["loss"] == pytest.approx(plain.evaluate(LOGITS, y)["loss"], rel=1e-6)


def shifted(x):
    """Integers that a function makes itself, so that no caller can look at them before."""
    return ops.add(ops.astype(x, "int32"), 1)


CELL = GRU(2, 3)
MADE = {
    "ids": (lambda x, i: Embedding(5, 3).apply({"weight": x}, shifted(i)), [-1.0, 3.0], [-1.0, 4.0]),
    "labels": (lambda x, i: losses.softmax_cross_entropy(x[:2, ...], shifted(i)), [1.0, -1.0], [1.0, 2.0]),
    "lengths": (
        lambda x, i: CELL.apply(
            tree.map(lambda a: ops.asarray(a, like=x), CELL.init(stream(0))),
            ops.reshape(x[:4, ...], (2, 3, 2)), lengths=shifted(i),
        ),
        [-1.0, 2.0], [0.0, 3.0],
    ),
    "take": (lambda x, i: ops.take(x, shifted(i), axis=0), [-6.0, 3.0], [0.0, 4.0]),
    "along": (
        lambda x, i: ops.take_along_axis(x[:2, ...], shifted(i)[:, None], axis=1),
        [-4.0, 1.0], [0.0, 2.0],
    ),
    "positions": (
        lambda x, i: SinusoidalPositions(2).apply({}, x[:2, :2], positions=shifted(i)),
        [-1.0, 5.0], [0.0, -2.0],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_numbers_that_a_plan_computes(backend, name):
    f, right, wrong = MADE[name]
    x = backend.asarray(TABLE)
    call, bad = pn.jit(f), backend.asarray(wrong, "float32")
    for _ in range(2):
        np.testing.assert_allclose(
            backend.to_numpy(call(x, backend.asarray(right, "float32"))),
            backend.to_numpy(f(x, backend.asarray(right, "float32"))), rtol=1e-5, atol=1e-6,
        )  # fmt: skip
        with pytest.raises((IndexError, ValueError), match=r"must be from|out of bounds"):
            call(x, bad)


@pytest.mark.parametrize(
    ("of", "right", "wrong"),
    [(ops.multiply, (2, 3), (3, 4)), (ops.subtract, (1, 3), None), (ops.add, (4, 4), None)],
)
def test_plans_trust_no_indices_but_sums_and_choices(of, right, wrong):
    """Where the largest of five stands is from 0 to 4; a sum of two is from 0 to 8, a product is not."""
    table = np.arange(9.0)

    def found(x, y):
        return ops.take(table, of(ops.argmax(x, axis=1), ops.argmax(y, axis=1)), axis=0) * 2.0

    def peaks(places):
        return [np.eye(5)[[place]] for place in places]

    call = pn.jit(found)
    for _ in range(3):
        assert call(*peaks(right)).tolist() == (table[[of(*map(np.asarray, right))]] * 2.0).tolist()
        if wrong is not None:
            with pytest.raises(IndexError):
                call(*peaks(wrong))


@pytest.mark.parametrize("name", MADE)
def test_numbers_that_pytorch_compiles(name, monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch is optional")
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager", fullgraph=True))
    f, right, wrong = MADE[name]
    call, x = pn.jit(f, torch_compile=True), torch.asarray(TABLE)
    for _ in range(2):
        np.testing.assert_allclose(call(x, torch.asarray(right)), f(x, torch.asarray(right)), rtol=1e-5)
        with pytest.raises((IndexError, ValueError), match="must be from"):
            call(x, torch.asarray(wrong))


# In a network


def words(backend, **options):
    return Network([Embedding(5, 4), Flatten(), Linear(8, 3)], backend=backend.backend, **options)


IDS = np.asarray([[0, 1], [2, 3], [4, 0], [1, 1]] * 3)
Y = np.asarray([0, 1, 2, 1] * 3)


@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize("wrong", [5, -1])
def test_a_network_refuses_ids_before_anything_changes(backend, compile, wrong):
    ids = IDS.copy()
    ids[10, 1] = wrong
    net = words(backend)
    before = [backend.to_numpy(a).tolist() for a in tree.leaves(net.params)]
    told = rf"Embedding: x must be from 0 to 4, got {wrong} at position \(10, 1\)"
    fit = partial(net.fit, epochs=1, batch_size=4, progress=False, compile=compile)
    for call in (
        lambda: fit(ids, Y),
        lambda: fit(IDS, Y, validation_data=(ids, Y)),
        lambda: net.partial_fit(ids, Y),
        lambda: net.evaluate(ids, Y),
        lambda: net.score(ids, Y),
        lambda: net.gradients(ids, Y),
    ):
        with pytest.raises(ValueError, match=told):
            call()
    assert [backend.to_numpy(a).tolist() for a in tree.leaves(net.params)] == before
    assert net.steps == 0
    for _ in range(3):  # as it is, as a plan is made, and from the plan
        net.predict(IDS)
        net.predict_proba(IDS)
        for call in (net.predict, net.predict_proba):
            with pytest.raises(ValueError, match=told):
                call(ids)
    with pytest.raises(ValueError, match=r"got 5 at position \(9000, 0\)"):
        net.predict(np.concatenate([np.zeros((9000, 2), dtype=np.int64), [[5, 0]]]))


def test_ids_are_looked_at_once_and_not_in_each_step(backend, monkeypatch):
    from portnn.network import _inputs
    from portnn.tracing import _bounds

    looks = []
    first = _bounds.first_outside

    def look(x, *args):
        looks.append(tuple(x.shape))
        return first(x, *args)

    monkeypatch.setattr(_bounds, "first_outside", look)
    monkeypatch.setattr(_inputs, "first_outside", look)
    net = words(backend)
    net.fit(IDS, Y, epochs=4, batch_size=2, progress=False, compile=False, accumulate=2)
    tried = [(1,)] if backend.member is Matrix.CUPY else []  # there the loss is traced with a sample first
    assert looks == [IDS.shape, Y.shape, *tried, Y.shape]  # the labels by `fit` and by the loss


@pytest.mark.parametrize("compile", [True, False])
def test_ids_that_a_layer_makes_are_looked_at_in_each_step(backend, compile):
    def shifted(x):
        return ops.add(ops.astype(x, "int32"), 1)

    net = Network([shifted, Embedding(5, 4), Flatten(), Linear(8, 3)], backend=backend.backend)
    x = (IDS % 4).astype(np.float32)
    net.fit(x, Y, epochs=1, batch_size=4, progress=False, compile=compile)
    x[9, 0] = 4.0
    with pytest.raises(ValueError, match=r"must be from 0 to 4, got 5 at position|out of range in one of"):
        net.fit(x, Y, epochs=1, batch_size=4, progress=False, compile=compile)
    net.predict(x[:9])
    for _ in range(3):
        with pytest.raises(ValueError, match=r"got 5 at position \(9, 0\)"):
            net.predict(x)


@pytest.mark.parametrize("compile", [True, False])
def test_right_ids_train_as_before(backend, compile):
    net = words(backend)
    first = net.evaluate(IDS, Y)["loss"]
    net.fit(IDS, Y, epochs=30, batch_size=5, optimizer=optim.adam(0.05), progress=False, compile=compile)
    assert net.evaluate(IDS, Y)["loss"] < first / 4


@pytest.mark.parametrize("key", [3, -1, np.int64(3), 1.0, "a", True])
def test_classes_that_are_weighed(key):
    net = Network([Linear(3, 3)])
    with pytest.raises(ValueError, match=r"class_weight has the class .*; classes are 0 to 2"):
        net.fit(LOGITS, [0, 1, 2, 1], class_weight={key: 2.0}, progress=False)
    net.fit(LOGITS, [0, 1, 2, 1], class_weight={np.int64(2): 2.0}, progress=False)


@pytest.mark.parametrize(
    "metric",
    [
        partial(metrics.confusion_matrix, n_classes=3),
        partial(metrics.f1, n_classes=3),
        lambda y, p: metrics.top_k_accuracy(y, ops.astype(ops.stack([p, p, p], axis=1), "float32")),
        lambda y, p: metrics.log_loss(y, ops.full((3, 3), 1 / 3, dtype="float32", like=y)),
    ],
)
@pytest.mark.parametrize("wrong", [-1, 3])
def test_labels_of_metrics(backend, metric, wrong):
    right = backend.asarray([0, 1, 2])
    metric(right, right)
    with pytest.raises(ValueError, match=rf"y_true must be from 0 to 2, got {wrong} at position 2"):
        metric(backend.asarray([0, 1, wrong]), right)


# Inside JAX's own compiler


def test_in_jax_jit_a_wrong_number_cannot_pass_for_a_result():
    jax = pytest.importorskip("jax", reason="JAX is optional")
    weight = jax.numpy.asarray(TABLE)
    layer = Embedding(5, 3)
    for wrong in (-1, 5, 2**31 - 1):
        ids = jax.numpy.asarray([0, wrong])
        found = jax.jit(lambda w, i: layer.apply({"weight": w}, i))(weight, ids)
        assert np.isnan(found).tolist() == [[False] * 3, [True] * 3]
        loss = jax.jit(lambda x, y: losses.softmax_cross_entropy(x, y, reduction="none"))(
            jax.numpy.asarray(LOGITS[:2, :2]), ids
        )
        assert np.isinf(loss).tolist() == [False, True]
    cell = GRU(2, 3)
    params = tree.map(jax.numpy.asarray, cell.init(stream(0)))
    x = jax.numpy.ones((2, 4, 2))
    found = jax.jit(lambda p, x, n: cell.apply(p, x, lengths=n))(params, x, jax.numpy.asarray([2, 5]))
    assert np.isnan(found).all(axis=(1, 2)).tolist() == [False, True]
