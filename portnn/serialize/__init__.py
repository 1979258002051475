"""Files: trees of arrays with a description, in safetensors."""

from portnn.serialize._tensors import CheckpointError, fill, load_tensors, save_tensors

__all__ = ["CheckpointError", "fill", "load_tensors", "save_tensors"]
