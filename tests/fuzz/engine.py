"""A small seeded fuzzer where atheris does not install: random changes of valid inputs, in one process."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

NUMBERS = (b"0", b"-1", b"1", b"255", b"65536", b"2147483648", b"18446744073709551616", b"1e308", b"nan")
BYTES = (b"\x00", b"\xff", b"\x7f", b"\x80", b"[", b"{", b'"', b"(", b"'", b",", b"\n")
LONGEST = 1 << 16
Change = Callable[[bytes, int], bytes]


class HangError(Exception):
    """An input took longer than it may."""


@dataclass(frozen=True)
class Finding:
    """An input that portnn fails on.

    Attributes:
        data: the input.
        error: the exception.
    """

    data: bytes
    error: BaseException


def mutate(data: bytes, others: Sequence[bytes], words: Sequence[bytes], rng: random.Random) -> bytes:
    """Return `data` with one to six random changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice((0, 1, 1, 2, 8, 64)))
        piece = data[start:end]
        kind = rng.randrange(7)
        if kind == 0 and piece:
            new = bytes([piece[0] ^ 1 << rng.randrange(8)]) + piece[1:]
        elif kind == 1:
            new = rng.choice((*words, *NUMBERS))
        elif kind == 2:
            new = rng.choice(BYTES)
        elif kind == 3:
            new = piece * rng.choice((2, 3, 100))
        elif kind == 4:
            new = rng.randbytes(rng.randrange(1, 9))
        elif kind == 5:
            other = rng.choice(others)
            cut = rng.randrange(len(other) + 1)
            new, end = other[cut : cut + rng.choice((8, 64, len(other)))], rng.choice((end, len(data)))
        else:
            new = b""
        data = (data[:start] + new + data[end:])[:LONGEST]
    return data


def inputs(
    seeds: Sequence[bytes], words: Sequence[bytes], seed: int, change: Change | None = None
) -> Iterator[bytes]:
    """Yield the seeds, then an endless sequence of changed inputs that depends on `seed` only."""
    yield from seeds
    rng = random.Random(seed)
    while True:
        data = rng.choice(seeds)
        if change is None or rng.random() < 0.5:
            yield mutate(data, seeds, words, rng)
        else:
            for _ in range(rng.choice((1, 1, 2, 3))):
                data = change(data, rng.getrandbits(32))
            yield data


def fuzz(
    run: Callable[[bytes], None],
    seeds: Sequence[bytes],
    words: Sequence[bytes] = (),
    change: Change | None = None,
    *,
    seconds: float,
    seed: int = 0,
    patience: int = 20,
) -> tuple[int, Finding | None]:
    """Run inputs for some seconds, until one fails.

    Args:
        run: takes an input and raises if it finds a fault.
        seeds: valid inputs.
        words: fragments of valid inputs.
        change: changes an input by a seed, half of the time; None to change bytes only.
        seconds: how long to run.
        seed: the seed of all changes.
        patience: seconds that one input may take.

    Returns:
        How many inputs were run, and what failed.
    """
    end = time.monotonic() + seconds

    def stop(number, frame):
        raise HangError(f"more than {patience} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    count = 0
    try:
        for data in inputs(seeds, words, seed, change):
            signal.alarm(patience)
            try:
                run(data)
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is the finding
                return count, Finding(data, error)
            signal.alarm(0)
            count += 1
            if count >= len(seeds) and time.monotonic() >= end:
                return count, None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    raise AssertionError("inputs never end")
