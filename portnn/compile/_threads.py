"""How many threads the products of a plan are worth.

A BLAS with several threads hands each product out and waits for the last thread to come back. For small
products that takes longer than the product, and on a machine that is busy with something else much longer:
a thread that was promised may not be running. The number is therefore decided once for a training, from
the sizes of its products, and given back afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from math import prod
from typing import Any

from portnn.tracing import Call, Value

__all__ = ["blas_threads", "is_worth_threads", "products_in", "threads_allowed", "threads_for"]

_WORTHWHILE = 1e7
"""Floating-point operations of a product from which on more threads than one pay. docs/benchmarks has the
measurement; a product of this size takes about 100 microseconds on one core."""


def is_worth_threads(operations: int) -> bool:
    """Whether a product of so many operations is large enough that threads shall share it."""
    return operations >= _WORTHWHILE


def products_in(calls: Sequence[Call]) -> list[int]:
    """The operations of each product of matrices among calls, a multiplication with its addition as two."""
    products = [call for call in calls if call.name == "matmul" and type(call.result) is Value]
    return [2 * prod(call.result.shape) * call.inputs()[0].shape[-1] for call in products]


def threads_for(products: Sequence[int], available: int) -> int:
    """The number of threads for products that are carried out one after the other.

    The time that threads save is that of the large products, so those decide: where more than half of all
    operations belong to products that are worth it, all threads are used, else one.

    Args:
        products: the operations of each product.
        available: the threads that there are.

    Example:
        >>> threads_for([2 * 64 * 784 * 10, 2 * 64 * 10 * 10], 8)
        1
        >>> threads_for([2 * 256 * 784 * 1024, 2 * 256 * 1024 * 10], 8)
        8
    """
    large = sum(n for n in products if is_worth_threads(n))
    return available if 2 * large > sum(products) else 1


@cache
def _controller() -> Any:
    """What knows the BLAS libraries of this process; looking for them takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def threads_allowed() -> int:
    """As many threads as BLAS may use now, by the environment or by threadpoolctl."""
    return max([library["num_threads"] for library in _controller().info()], default=1)


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """A context in which BLAS uses so many threads; afterwards it is as before."""
    with _controller().limit(limits=threads):
        yield
