"""Decoding against the enumeration of all sequences."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pytest

from portnn import ops
from portnn.compile import jit
from portnn.decode import beam_search, greedy

N, SYMBOLS, LONGEST, END = 3, 3, 3, 1


def model(seed):
    """Log-probabilities by input, the symbol before and the last; the state is the first two of these."""
    p = np.random.default_rng(seed).uniform(size=(N, SYMBOLS, SYMBOLS, SYMBOLS))
    table = np.log(p / p.sum(-1, keepdims=True))

    def step(tokens, state):
        which, before = state
        rows = (which * SYMBOLS + before) * SYMBOLS + tokens
        return table.reshape(-1, SYMBOLS)[rows], (which, tokens)

    return table, step, (np.arange(N), np.zeros(N, dtype=np.int64))


def all_sequences(table, i, penalty):
    """Every closed sequence of an input with its score, best first."""
    found = {}
    for symbols in product(range(SYMBOLS), repeat=LONGEST):
        length = symbols.index(END) + 1 if END in symbols else LONGEST
        path = (0, 0, *symbols[:length])
        score = sum(table[i, a, b, c] for a, b, c in zip(path, path[1:], path[2:], strict=False))
        found[symbols[:length]] = score / length**penalty
    return sorted(found.items(), key=lambda item: -item[1])


def own(found, *index):
    return tuple(found.tokens[index][: found.lengths[index]].tolist())


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_beam_as_wide_as_everything_finds_the_best_in_order(seed, penalty):
    table, step, state = model(seed)
    beam = SYMBOLS**LONGEST
    options = {"start": np.zeros(N, dtype=np.int64), "end": END, "beam": beam, "max_length": LONGEST}
    for stop_early in (True, False):
        found = beam_search(step, state, length_penalty=penalty, stop_early=stop_early, **options)
        for i in range(N):
            expected = all_sequences(table, i, penalty)
            for k, (symbols, score) in enumerate(expected):
                assert own(found, i, k) == symbols
                assert found.scores[i, k] == pytest.approx(score, rel=1e-12)
            assert (found.scores[i, len(expected) :] == -np.inf).all()


def by_hand(table, i, beam, penalty):
    """The same search with lists."""
    live, done = [((), 0.0)], []
    for _ in range(LONGEST):
        grown = []
        for symbols, score in live:
            a, b = (0, 0, *symbols)[-2:]
            grown += [((*symbols, c), score + table[i, a, b, c]) for c in range(SYMBOLS)]
        grown.sort(key=lambda item: -item[1])
        grown = grown[: 2 * beam]
        done += [(s, score / len(s) ** penalty) for s, score in grown if s[-1] == END]
        live = [item for item in grown if item[0][-1] != END][:beam]
    done += [(s, score / len(s) ** penalty) for s, score in live]
    return sorted(done, key=lambda item: -item[1])[:beam]


@pytest.mark.parametrize("beam", [1, 2, 3])
@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_narrow_beam(seed, penalty, beam):
    table, step, state = model(seed)
    options = {"start": np.zeros(N, dtype=np.int64), "end": END, "beam": beam, "max_length": LONGEST}
    for stop_early in (True, False):
        found = beam_search(step, state, length_penalty=penalty, stop_early=stop_early, **options)
        for i in range(N):
            for k, (symbols, score) in enumerate(by_hand(table, i, beam, penalty)):
                assert own(found, i, k) == symbols
                assert found.scores[i, k] == pytest.approx(score, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_greedy(seed):
    table, step, state = model(seed)
    for stop_early in (True, False):
        found = greedy(
            step, state, start=np.zeros(N, dtype=np.int64), end=END, max_length=5, stop_early=stop_early
        )
        for i in range(N):
            a, b, score, symbols = 0, 0, 0.0, []
            while len(symbols) < 5 and b != END:
                a, b, score = b, int(table[i, a, b].argmax()), score + table[i, a, b].max()
                symbols.append(b)
            assert own(found, i) == tuple(symbols)
            assert (found.tokens[i, found.lengths[i] :] == END).all()
            assert found.scores[i] == pytest.approx(score, rel=1e-12)


def test_equal_scores_go_to_the_closed_and_the_smaller_symbol():
    flat = np.full((4, 4), -np.log(4.0))
    found = beam_search(lambda t, s: (flat[t], s), (), start=np.asarray([0]), end=3, beam=3, max_length=2)
    assert [own(found, 0, k) for k in range(3)] == [(3,), (0, 3), (0, 0)]


def test_same_on_every_backend_and_in_a_plan(backend):
    table, _, state = model(0)
    flat = table.reshape(-1, SYMBOLS).astype(np.float32)
    rows, first = backend.asarray(flat), tuple(map(backend.asarray, state))

    def search(table, state, start):
        from portnn import ops

        def step(tokens, state):
            which, before = state
            places = ops.add(ops.multiply(ops.add(ops.multiply(which, 3), before), 3), tokens)
            return ops.take(table, places, axis=0), (which, tokens)

        options = {"start": start, "end": END, "max_length": LONGEST, "stop_early": False}
        return tuple(beam_search(step, state, beam=2, **options)), tuple(greedy(step, state, **options))

    start = backend.asarray(np.zeros(N, dtype=np.int64))
    expected = search(flat, state, np.zeros(N, dtype=np.int64))
    for found in (search(rows, first, start), jit(search)(rows, first, start)):
        for a, e in zip([*found[0], *found[1]], [*expected[0], *expected[1]], strict=True):
            np.testing.assert_allclose(backend.to_numpy(a), e, rtol=1e-6)


ZERO = np.asarray([0])
OPTIONS = {"start": ZERO, "end": 1, "max_length": 2}


def uniform(tokens, state):
    return np.zeros((tokens.shape[0], 2)), state


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: greedy(uniform, (), start=0, end=1, max_length=2), TypeError, "start must be an array"),
        (lambda: greedy(uniform, (), start=ZERO * 1.0, end=1, max_length=2), TypeError, "integers"),
        (lambda: greedy(uniform, (), start=ZERO, end=1, max_length=0), ValueError, "max_length"),
        (lambda: greedy(uniform, (), start=ZERO, end=2, max_length=2), ValueError, "end=2 among"),
        (lambda: greedy(uniform, (np.zeros(2),), **OPTIONS), ValueError, "first axis has length 1"),
        (lambda: greedy(lambda t, s: t, (), **OPTIONS), TypeError, r"\(log_probs, state\)"),
        (lambda: beam_search(uniform, (), beam=0, **OPTIONS), ValueError, "beam of at least 1"),
        (lambda: beam_search(uniform, (), beam=1, length_penalty=-1.0, **OPTIONS), ValueError, "penalty"),
    ],
)  # fmt: skip
def test_errors(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert len(str(caught.value)) < 300


def test_symbols_must_fit_into_the_dtype_of_the_start():
    """In a byte symbol 299 would be 43."""

    def step(tokens, state):
        return np.tile(np.arange(300.0) - 300.0, (len(tokens), 1)), state

    for search in (greedy, lambda *args, **options: beam_search(*args, beam=2, **options)):
        with pytest.raises(ValueError, match="300 symbols do not fit into uint8; give start as int64"):
            search(step, (), start=np.zeros(2, np.uint8), end=0, max_length=3)


def test_integers_of_numpy_are_numbers():
    _, step, state = model(0)
    options = {"start": np.zeros(N, dtype=np.int64)}
    plain = beam_search(step, state, end=END, max_length=3, beam=2, **options)
    theirs = beam_search(step, state, end=np.int64(END), max_length=np.int64(3), beam=np.int64(2), **options)
    for a, b in zip(plain, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("odd", [np.nan, np.inf])
@pytest.mark.parametrize(
    "search", [greedy, partial(beam_search, beam=2), partial(beam_search, beam=2, length_penalty=1.0)]
)
def test_log_probabilities_that_are_no_numbers(backend, search, odd):
    host = np.log(np.full((4, 3), 1 / 3, dtype=np.float32))
    host[0] = np.log([0.2, 0.1, 0.7])
    host[2] = np.log([0.1, 0.8, 0.1])
    for row, column, raises in ((2, 0, True), (3, 2, True), (END, 1, False)):
        table = host.copy()
        table[row, column] = odd
        placed = backend.asarray(table)
        step = lambda t, s, placed=placed: (ops.take(placed, t, axis=0), s)  # noqa: E731  # a model
        call = partial(search, step, (), start=backend.asarray([0, 3]), end=END, max_length=3)
        if raises:
            with pytest.raises(ValueError, match="step returned log-probabilities that are NaN") as caught:
                call()
            assert len(str(caught.value)) < 300
        else:  # what follows the end is no part of a sequence
            assert np.isfinite(backend.to_numpy(call().scores)).all()


def test_the_end_may_be_an_integer_of_numpy(backend):
    table = backend.asarray(np.log(np.full((3, 3), 1 / 3, dtype=np.float32)))
    found = greedy(
        lambda t, s: (ops.take(table, t, axis=0), s), (),
        start=backend.asarray([0]), end=np.int64(2), max_length=np.int64(2),
    )  # fmt: skip
    assert backend.to_numpy(found.tokens).tolist() == [[0, 0]]
