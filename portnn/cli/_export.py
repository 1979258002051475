"""``portnn export``."""

from __future__ import annotations

from pathlib import Path

from click import UsageError

from portnn.cli._saved import open_network, shape_of
from portnn.cli._terminal import emit

__all__ = ["run"]


def run(*, network: str, output: str, softmax: bool, shape: str | None, as_json: bool) -> None:
    """Write a network as ONNX."""
    from portnn.export import export_onnx

    net, notes = open_network(network, "cpu")
    if not output.endswith(".onnx"):
        raise UsageError(f"{output}: the name of an ONNX file ends with .onnx.")
    sample = shape_of(net, notes, shape)
    pixels = "uint8" if notes.get("pixels") else None
    model = export_onnx(net, output, input_shape=sample, input_dtype=pixels, softmax=softmax)
    size = Path(output).stat().st_size
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    data = {"output": output, "bytes": size, "opset": opset, "ir": model.ir_version, "inputs": list(sample)}
    lengths = ", ".join(["batch", *map(str, sample)])
    emit(f"{output}: {size:,} bytes, opset {opset}, input ({lengths})", data, as_json)
