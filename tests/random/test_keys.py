"""Keys: what names them, what they make, and what is no key."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import ops
from portnn.autodiff import value_and_grad
from portnn.compile import jit
from portnn.random import bits, fold_in, fold_in_each, key, split, uniform
from tests.backends import Matrix

# key(seed, *path), fold_in(key(0), n) and split(key(0), 2) as they are on every machine.
KEYS = {
    (0,): (0, 0), (1,): (1, 0), (2**33 + 5,): (5, 2), (2**64,): (2256952370, 4198546709),
    (2**64 + 1,): (622740721, 3921959201), (0, 0): (768504805, 4244168940),
    (0, 1): (3914554339, 1666284109),
    (0, 2**40): (2324693809, 2196038512), (7, 1, 2): (122693872, 4069795274),
}  # fmt: skip
PARTS = [(3710895380, 3874949922), (3130575500, 3114482429)]


def numbers(backend, k):
    return tuple(backend.to_numpy(k).astype(np.int64).tolist())


@pytest.mark.parametrize("path", KEYS, ids=str)
def test_keys_are_these_everywhere(backend, path):
    k = key(*path, like=backend.backend)
    assert k.shape == (2,)
    assert numbers(backend, k) == KEYS[path]
    assert numbers(backend, key(*path, like=k)) == KEYS[path]


def test_a_path_is_folded_in(backend):
    root = key(0, like=backend.backend)
    for n in (0, 1, 2**40):
        assert numbers(backend, fold_in(root, n)) == KEYS[0, n]
    assert numbers(backend, fold_in(fold_in(key(7, like=root), 1), np.int64(2))) == KEYS[7, 1, 2]
    assert [numbers(backend, k) for k in fold_in_each(root, (2**40, 0))] == [KEYS[0, 2**40], KEYS[0, 0]]
    assert fold_in_each(root, ()) == ()


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint32", "int64", "uint64"])
def test_arrays_are_folded_in_as_numbers(backend, dtype):
    if backend.member is Matrix.TORCH and dtype.startswith("u"):
        pytest.skip("torch cannot compute with its unsigned integers")
    root = key(0, like=backend.backend)
    assert numbers(backend, fold_in(root, backend.asarray(1, dtype))) == KEYS[0, 1]
    if dtype.endswith("64"):
        assert numbers(backend, fold_in(root, backend.asarray(2**40, dtype))) == KEYS[0, 2**40]


def test_parts(backend):
    parts = [numbers(backend, k) for k in split(key(0, like=backend.backend), 5)]
    assert parts[:2] == PARTS
    assert [numbers(backend, k) for k in split(key(0, like=backend.backend))] == PARTS
    assert split(key(0), 0) == ()


def test_what_is_made_of_a_key_is_independent():
    root = key(3)
    drawn = bits(root, 400).reshape(-1, 2).tolist()
    made = [
        k.tolist() for k in (*split(root, 200), *fold_in_each(root, range(200)), root, key(3, 0, 0), key(4))
    ]
    pairs = {tuple(pair) for pair in (*drawn, *made)}
    assert len(pairs) == len(drawn) + len(made)


def test_a_plan_folds_in_what_it_is_given():
    root = key(0)
    folded = jit(lambda n: fold_in(root, n))
    for n in (1, 5, 2**40):
        assert folded(np.asarray(n)).tolist() == fold_in(root, n).tolist()
    assert folded.plans == 1


def test_draws_are_constants_of_gradients():
    def f(w, k, n):
        return ops.sum(w * uniform(fold_in(k, n), 3))

    k, n = key(0), np.asarray(2)
    _, gradient = value_and_grad(f)(np.ones(3, dtype=np.float32), k, n)
    assert gradient.tolist() == uniform(key(0, 2), 3).tolist()


REFUSED = {
    "no key": (lambda: bits(None, 3), TypeError, "bits: expected a key, got None; .* says draws = True"),
    "no key to fold in": (lambda: fold_in(None, 3), TypeError, "fold_in: expected a key, got None"),
    "a seed": (lambda: bits(0, 3), TypeError, r"key as portnn.random.key\(seed\) makes it, got int"),
    "other array": (lambda: bits(np.ones(3), 3), TypeError, r"got float64\[3\]"),
    "negative": (lambda: fold_in(key(0), -1), ValueError, "expected non-negative integers, got -1"),
    "too large": (lambda: fold_in(key(0), 2**64), ValueError, "below 2.64, got one of 65 bits"),
    "path too large": (lambda: key(0, 2**64), ValueError, "below 2.64"),
    "several": (
 lambda: fold_in(key(0), np.arange(3)), TypeError, r"one integer, got an array int64\[3\]"),
    "floats": (lambda: fold_in(key(0), np.asarray(0.5)), TypeError, r"got an array float64\[\]"),
    "a float": (lambda: fold_in(key(0), 0.5), TypeError, "expected integers, got float"),
    "float seed": (lambda: key(0.5), TypeError, "expected integers, got float"),
    "negative seed": (lambda: key(-1), ValueError, "got -1"),
    "negative parts": (lambda: split(key(0), -1), ValueError, "got -1"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call()
    assert len(str(caught.value)) < 300
