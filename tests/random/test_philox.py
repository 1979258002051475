"""Philox against the known answers of its authors, and its forms against each other."""

from __future__ import annotations

import numpy as np
import pytest

from portnn.random import key
from portnn.random._philox import encipher, encipher_host, high_product, integers, words
from tests.backends import Matrix

# Random123, tests/kat_vectors, the lines "philox4x32 10": counter, key, answer.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "pair", "answer"), KNOWN)
def test_known_answers_on_the_host(counter, pair, answer):
    assert encipher_host(pair, counter) == answer


def enciphered(backend, pair, low, second, fourth):
    """Blocks of counters (low[i], second, 0, fourth), as rows of NumPy integers."""
    xp = backend.xp
    like = key(0, like=backend.backend)
    pair = xp.asarray(list(pair), dtype=like.dtype, device=backend.device)
    low = xp.asarray(list(low), dtype=integers(xp), device=backend.device)
    even, odd = [words(xp, x) for x in encipher(xp, pair, low, ((second,), (fourth,)))]
    rows = [backend.to_numpy(x) for x in (even, odd)]
    return np.stack([rows[0][0], rows[1][0], rows[0][1], rows[1][1]], axis=1).astype(np.int64).tolist()


COUNTERS = [0, 1, 7, 0x243F6A88, 0x80000000, 0xFFFFFFFF]


def check_blocks(backend):
    assert enciphered(backend, (0, 0), [0], 0, 0) == [list(KNOWN[0][2])]
    for pair, second, fourth in (((5, 0xFFFFFFFF), 0, 0), ((0xA4093822, 0x299F31D0), 0x85A308D3, 0xFFFFFFFF)):
        expected = [list(encipher_host(pair, (n, second, 0, fourth))) for n in COUNTERS]
        assert enciphered(backend, pair, COUNTERS, second, fourth) == expected


def test_blocks_of_arrays_are_those_of_the_host(backend):
    check_blocks(backend)


@pytest.fixture
def narrow(backend):
    """JAX without 64-bit integers; on other backends the test says nothing."""
    if backend.member is not Matrix.JAX:
        pytest.skip("only JAX lacks 64-bit integers, and only unless asked for them")
    import jax

    with jax.enable_x64(False):
        yield backend


def test_blocks_without_64_bits(narrow):
    assert integers(narrow.xp) == narrow.xp.uint32
    check_blocks(narrow)


def test_the_high_half_of_a_product_in_32_bits():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 1 << 32, 500, dtype=np.uint32) for _ in range(2))
    a[:3] = b[1:4] = 0xFFFFFFFF
    found = high_product(np, a, b)
    assert found.tolist() == [int(x) * int(y) >> 32 for x, y in zip(a, b, strict=True)]
