"""Networks for other runtimes: ONNX files. README.md in this folder has the idea."""

from portnn.export._errors import ExportError
from portnn.export._export import export_onnx

__all__ = ["ExportError", "export_onnx"]
