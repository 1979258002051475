"""Proof of derivatives: analytic gradients against finite differences."""

from portnn.testing._gradients import check_gradients

__all__ = ["check_gradients"]
