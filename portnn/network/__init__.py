"""`Network`: define, fit, predict, score, save."""

from portnn.network._network import Network

__all__ = ["Network"]
