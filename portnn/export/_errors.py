"""What cannot be exported."""

from __future__ import annotations

__all__ = ["ExportError"]

_PREFIX = "export_onnx: "


class ExportError(ValueError):
    """Something in a network cannot be said in ONNX; the message names what, and the layer that does it."""

    def __init__(self, text: str) -> None:
        super().__init__(_PREFIX + text.removeprefix(_PREFIX))

    @property
    def reason(self) -> str:
        """The message without the name of the function."""
        return str(self).removeprefix(_PREFIX)
