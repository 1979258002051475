"""Random numbers from explicit keys, the same on every backend. README.md in this folder has the idea."""

from typing import TYPE_CHECKING

from portnn._suggest import missing
from portnn.random._categorical import categorical
from portnn.random._discrete import bernoulli, permutation, randint
from portnn.random._draws import bits, uniform
from portnn.random._keys import fold_in, fold_in_each, key, split
from portnn.random._normal import normal
from portnn.random._stream import stream
from portnn.random._truncated import truncated_normal

__all__ = [
    "bernoulli", "bits", "categorical", "fold_in", "fold_in_each", "key", "normal", "permutation", "randint",
    "split", "stream", "truncated_normal", "uniform",
]  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> None:
        raise missing(__name__, name, __all__)
