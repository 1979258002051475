"""Sequences from a model that says, step by step, how probable each next symbol is.

The model is a function ``step(tokens, state) -> (log_probs, state)``: the last symbols (m,), integers, and a
tree of arrays whose first axis has the length m, to the logarithms of the probabilities of the next symbols
(m, symbols), and the state after. Everything runs in functions of the standard on the arrays' own library,
and ties go to the smaller symbol, so the same scores give the same sequences everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from operator import index
from typing import Any, NamedTuple, TypeAlias

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.ops._options import check_flag
from portnn.tracing import at_home, in_range, is_kind

__all__ = ["Decoded", "Step", "beam_search", "greedy"]

Step: TypeAlias = Callable[[Array, Tree], tuple[Array, Tree]]
"""From the last symbols (m,) and the state to the log-probabilities of the next (m, symbols), and a state."""


class Decoded(NamedTuple):
    """What was decoded.

    Attributes:
        tokens: symbols, without the start, of shape (..., max_length); `end` closes each sequence, and what
            follows is `end` as well.
        lengths: how many symbols of each are its own, its `end` counted, of shape (...,).
        scores: the sum of the log-probabilities, in a beam over ``length ** length_penalty``, (...,).
    """

    tokens: Array
    lengths: Array
    scores: Array


def _counts(value: Any, least: int) -> bool:
    return not isinstance(value, bool) and hasattr(value, "__index__") and value >= least


def _check(name: str, start: Array, end: int, max_length: int, state: Tree) -> Array:
    """Return the first symbols, checked."""
    if len(getattr(start, "shape", ())) != 1 or not is_kind(start, "integral"):
        raise TypeError(
            f"{name}: start must be an array of integers of shape (n,), a first symbol for each sequence, "
            f"got {type(start).__name__} of shape {tuple(getattr(start, 'shape', ()))}"
        )
    n: int = start.shape[0]
    if not _counts(end, 0) or not _counts(max_length, 1):
        raise ValueError(
            f"{name}: expected a symbol end and a max_length of at least 1, got {end!r:.40} "
            f"and {max_length!r:.40}"
        )
    odd = [tuple(leaf.shape) for leaf in tree.leaves(state) if tuple(leaf.shape[:1]) != (n,)]
    if odd:
        raise ValueError(
            f"{name}: expected a state of arrays whose first axis has length {n}, as start, "
            f"got shape {odd[0]}"
        )
    return in_range(start, what=f"{name}: start", high=2**31)


def _log_probs(name: str, step: Step, tokens: Array, state: Tree, end: int) -> tuple[Array, Tree]:
    """A step of the model, looked at."""
    result = step(tokens, state)
    if type(result) is not tuple or len(result) != 2:
        raise TypeError(f"{name}: step must return (log_probs, state), got {type(result).__name__}")
    log_probs, state = result
    shape = tuple(log_probs.shape)
    if len(shape) != 2 or shape[0] != tokens.shape[0] or shape[1] <= max(end, 1):
        raise ValueError(
            f"{name}: step must return log-probabilities of shape ({tokens.shape[0]}, symbols) "
            f"with end={end} among at least 2 symbols, got {shape}"
        )
    if shape[1] - 1 > ops.iinfo(tokens.dtype).max:
        raise ValueError(f"{name}: {shape[1]} symbols do not fit into {tokens.dtype}; give start as int64")
    return log_probs, state


def _check_scores(name: str, scores: Array) -> None:
    """Check that the scores of unfinished sequences are numbers, or minus infinity."""
    if not bool(ops.all(ops.less(scores, inf))):  # NaN is not less, either
        raise ValueError(
            f"{name}: step returned log-probabilities that are NaN or infinite; the model overflows, or its "
            "parameters are not finite: inspect its predictions"
        )


@at_home
def greedy(
    step: Step, state: Tree, *, start: Array, end: int, max_length: int, stop_early: bool = True
) -> Decoded:
    """The most probable symbol at each step.

    Args:
        step: the model, see above.
        state: its state before the first step: a tree of arrays whose first axis has length n.
        start: the symbols before the first, integers of shape (n,), not negative.
        end: the symbol that closes a sequence.
        max_length: how many symbols a sequence has at most.
        stop_early: whether to stop when all sequences are closed, which looks at values; False inside of
            `jit`, where they are not known.

    Returns:
        `Decoded`: tokens (n, max_length), lengths (n,), scores (n,).

    Raises:
        TypeError: if `start` is no array of integers, or `step` returns no pair.
        ValueError: if shapes do not fit, `end` or `max_length` is out of range, or the log-probabilities of a
            sequence are NaN (checked only with `stop_early`).

    Example:
        >>> import numpy as np
        >>> table = np.log(np.asarray([[0.1, 0.6, 0.3], [0.2, 0.1, 0.7], [0.0001, 0.4, 0.5999]]))
        >>> found = greedy(lambda t, s: (table[t], s), (), start=np.asarray([0]), end=2, max_length=4)
        >>> found.tokens.tolist(), found.lengths.tolist(), found.scores.round(4).tolist()
        ([[1, 2, 2, 2]], [2], [-0.8675])
    """
    check_flag("greedy", "stop_early", stop_early)
    start, end = _check("greedy", start, end, max_length, state), index(end)
    n = start.shape[0]
    last, columns = start, []
    alive = ops.full((n,), True, dtype="bool", like=start)
    lengths = ops.zeros((n,), dtype="int32", like=start)
    scores = None
    for _ in range(max_length):
        log_probs, state = _log_probs("greedy", step, last, state, end)
        best = ops.argmax(log_probs, axis=1)
        gain = ops.where(alive, ops.max(log_probs, axis=1), 0.0)
        if stop_early:
            _check_scores("greedy", ops.where(ops.expand_dims(alive, axis=1), log_probs, 0.0))
        scores = gain if scores is None else ops.add(scores, gain)
        last = ops.where(alive, ops.astype(best, start.dtype), end)
        lengths = ops.add(lengths, ops.astype(alive, "int32"))
        alive = ops.logical_and(alive, ops.not_equal(last, end))
        columns.append(last)
        if stop_early and not bool(ops.any(alive)):
            break
    columns += [ops.full((n,), end, dtype=start.dtype, like=start)] * (max_length - len(columns))
    return Decoded(ops.stack(columns, axis=1), lengths, scores)


class _Beam(NamedTuple):
    """Sequences of each input, best first: tokens (n, size, max_length), lengths and scores (n, size)."""

    tokens: Array
    lengths: Array
    scores: Array

    def best(self, size: int) -> tuple[_Beam, Array]:
        """The best of them, and where they were; of equals the first."""
        places = ops.argsort(ops.negative(self.scores), axis=1, stable=True)[:, :size]
        return self.at(places), places

    def at(self, places: Array) -> _Beam:
        """Some of them, by their places (n, size)."""
        here = (*places.shape, self.tokens.shape[2])
        tokens = ops.take_along_axis(
            self.tokens, ops.broadcast_to(ops.expand_dims(places, axis=2), here), axis=1
        )
        lengths, scores = (ops.take_along_axis(a, places, axis=1) for a in (self.lengths, self.scores))
        return _Beam(tokens, lengths, scores)

    def scored(self, scores: Array) -> _Beam:
        """The same with other scores."""
        return _Beam(self.tokens, self.lengths, scores)

    def joined(self, other: _Beam) -> _Beam:
        """Those of both, these first."""
        return _Beam(*[ops.concat([a, b], axis=1) for a, b in zip(self, other, strict=True)])


@at_home
def beam_search(
    step: Step,
    state: Tree,
    *,
    start: Array,
    end: int,
    beam: int,
    max_length: int,
    length_penalty: float = 0.0,
    stop_early: bool = True,
) -> Decoded:
    """The best sequences that a search finds which keeps the `beam` most probable beginnings at each step.

    A sequence is closed by `end`, or by `max_length`; closed ones are compared by their score, the sum of the
    log-probabilities over ``length ** length_penalty``. (Graves, Sequence transduction with recurrent neural
    networks, 2012; dividing by a power of the length: Wu et al., Google's neural machine translation system,
    2016, section 7.)

    Args:
        step: the model, see above; it is called with n * beam sequences.
        state: its state before the first step: a tree of arrays whose first axis has length n.
        start: the symbols before the first, integers of shape (n,), not negative.
        end: the symbol that closes a sequence.
        beam: how many beginnings are kept, and how many sequences are returned.
        max_length: how many symbols a sequence has at most.
        length_penalty: 0 for the most probable sequence, which favours short ones; 1 for the mean of the
            log-probabilities.
        stop_early: whether to stop when nothing better can come, which looks at values; False inside of
            `jit`, where they are not known. The results are the same.

    Returns:
        `Decoded`, best first: tokens (n, beam, max_length), lengths (n, beam), scores (n, beam). If there are
        fewer sequences than `beam`, the scores of the rest are -inf.

    Raises:
        TypeError: if `start` is no array of integers, or `step` returns no pair.
        ValueError: if shapes do not fit, a number is out of range, or the log-probabilities of a sequence are
            NaN (checked only with `stop_early`).

    Example:
        >>> import numpy as np
        >>> table = np.log(np.asarray([[0.1, 0.6, 0.3], [0.3, 0.3, 0.4], [0.2, 0.2, 0.6]]))
        >>> found = beam_search(
        ...     lambda t, s: (table[t], s), (), start=np.asarray([0]), end=2, beam=2, max_length=3
        ... )
        >>> found.tokens.tolist(), np.exp(found.scores).round(4).tolist()
        ([[[2, 2, 2], [1, 2, 2]]], [[0.3, 0.24]])
    """
    check_flag("beam_search", "stop_early", stop_early)
    start, end = _check("beam_search", start, end, max_length, state), index(end)
    n = start.shape[0]
    if not _counts(beam, 1) or not length_penalty >= 0.0:
        raise ValueError(
            f"beam_search: expected a beam of at least 1 and a length_penalty of at least 0, "
            f"got {beam!r:.40} and {length_penalty!r:.40}"
        )
    state = tree.map(lambda leaf: ops.repeat(leaf, beam, axis=0), state)
    last = ops.repeat(start, beam, axis=0)
    live = done = None
    for t in range(max_length):
        log_probs, state = _log_probs("beam_search", step, last, state, end)
        if live is None or done is None:
            live, done = _empty(n, beam, max_length, end, start, log_probs)
        scores = _extended(live, log_probs)
        if stop_early:
            _check_scores("beam_search", scores)
        grown, parents = _grow(live, scores, t)
        newest = grown.tokens[:, :, t]
        closed = ops.where(ops.equal(newest, end), grown.scores / (t + 1) ** length_penalty, -inf)
        done, _ = done.joined(grown.scored(closed)).best(beam)
        open_scores = ops.where(ops.equal(newest, end), -inf, grown.scores)
        live, places = grown.scored(open_scores).best(beam)
        if stop_early and _settled(live, done, max_length**length_penalty):
            return Decoded(*done)
        kept = ops.take_along_axis(parents, places, axis=1)
        rows = ops.add(kept, ops.expand_dims(_counted(kept, n) * beam, axis=1))
        state = tree.map(lambda leaf, rows=rows: ops.take(leaf, ops.reshape(rows, (-1,)), axis=0), state)
        last = ops.reshape(live.tokens[:, :, t], (-1,))
    assert live is not None
    assert done is not None
    cut = live.scored(live.scores / max_length**length_penalty)
    return Decoded(*done.joined(cut).best(beam)[0])


def _counted(like: Array, n: int) -> Array:
    return ops.arange(n, dtype=like.dtype, like=like)


def _empty(
    n: int, beam: int, max_length: int, end: int, start: Array, log_probs: Array
) -> tuple[_Beam, _Beam]:
    """One beginning without symbols for each input, and nothing that is closed."""
    tokens = ops.full((n, beam, max_length), end, dtype=start.dtype, like=start)
    lengths = ops.zeros((n, beam), dtype="int32", like=start)
    nothing = ops.full((n, beam), -inf, dtype=log_probs.dtype, like=log_probs)
    first = ops.equal(_counted(start, beam), 0)
    return _Beam(tokens, lengths, ops.where(first, 0.0, nothing)), _Beam(tokens, lengths, nothing)


def _extended(live: _Beam, log_probs: Array) -> Array:
    """Return the scores (n, beam, symbols) of prefixes extended by one symbol; unused places stay at -inf."""
    scores = ops.expand_dims(live.scores, axis=2)
    there = ops.greater(scores, -inf)
    gains = ops.reshape(log_probs, (*live.scores.shape, log_probs.shape[1]))
    return ops.where(there, ops.add(ops.where(there, scores, 0.0), gains), -inf)


def _grow(live: _Beam, scores: Array, t: int) -> tuple[_Beam, Array]:
    """The best beginnings of one symbol more, and the beginnings that they come from.

    Twice as many as the beam: each beginning is closed in one way, so half of them at least stay open.
    """
    n, beam, symbols = scores.shape
    scores = ops.reshape(scores, (n, beam * symbols))
    places = ops.argsort(ops.negative(scores), axis=1, stable=True)[:, : 2 * beam]
    parents = places // symbols
    grown = live.at(parents)
    newest = ops.expand_dims(ops.astype(places % symbols, live.tokens.dtype), axis=2)
    tokens = ops.concat([grown.tokens[:, :, :t], newest, grown.tokens[:, :, t + 1 :]], axis=2)
    return _Beam(tokens, grown.lengths + 1, ops.take_along_axis(scores, places, axis=1)), parents


def _settled(live: _Beam, done: _Beam, most: float) -> bool:
    """Whether no beginning can end better than the worst that is closed: log-probabilities only fall."""
    return bool(ops.all(ops.greater_equal(done.scores[:, -1], live.scores[:, 0] / most)))
