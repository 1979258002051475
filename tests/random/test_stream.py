"""Streams: the same bits everywhere, one stream for each name."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest

from portnn.random import stream

BITS = ("7962c5cc5224b17d", "f6836c3b85e94ca7", "4200286f875159d9")


def digest(*path):
    return hashlib.sha256(stream(*path).bytes(64)).hexdigest()[:16]


def test_bits_are_these_on_every_machine():
    assert (digest(0), digest(0, 1), digest(7, 1, 2)) == BITS


def test_names_are_told_apart():
    names = [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 0), (0, 1, 0), (0, 0, 1), (2**64,), (2**40, 1)]
    assert len({digest(*name) for name in names}) == len(names)


def test_a_stream_starts_afresh_and_depends_on_no_other():
    first = stream(3, 1).random(4)
    stream(3, 2).random(100)
    np.random.default_rng(0).random(10)
    assert (stream(3, 1).random(4) == first).all()


def test_any_integer_will_do():
    assert digest(np.int64(5), np.uint8(2)) == digest(5, 2)


def test_neighbouring_seeds_are_not_alike():
    draws = [stream(seed).standard_normal(2000) for seed in range(6)]
    assert max(abs(np.corrcoef(a, b)[0, 1]) for a, b in pairwise(draws)) < 0.08


REFUSED = {
    "negative seed": ((-1,), ValueError, r"expected non-negative integers .* got \(-1,\)"),
    "negative path": ((0, -2), ValueError, r"got \(0, -2\)"),
    "float": ((0.5,), TypeError, "expected integers for seed and path, got float"),
    "text": ((0, "1"), TypeError, "got int, str"),
    "none": ((None,), TypeError, "got NoneType; pass for instance seed=0"),
}


@pytest.mark.parametrize(("name", "kind", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(name, kind, text):
    with pytest.raises(kind, match=text):
        stream(*name)
