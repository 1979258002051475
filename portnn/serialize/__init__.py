"""Files: trees of arrays with a description, in safetensors with SHA-256 of every byte."""

from portnn.serialize._error import CheckpointError
from portnn.serialize._folder import (
    checkpoint_path,
    checkpoints,
    held,
    latest,
    remove_old,
    remove_unfinished,
)  # fmt: skip
from portnn.serialize._header import Header, Spec
from portnn.serialize._npz import load_npz, save_npz
from portnn.serialize._tensors import (
    check_tensors,
    fill,
    load_tensors,
    read_checked,
    save_tensors,
    verify,
    write_checked,
)  # fmt: skip
from portnn.serialize._whole import whole_file

__all__ = [
    "CheckpointError", "Header", "Spec", "check_tensors", "checkpoint_path", "checkpoints", "fill",
    "held", "latest", "load_npz", "load_tensors", "read_checked", "remove_old", "remove_unfinished",
    "save_npz", "save_tensors", "verify", "whole_file", "write_checked",
]  # fmt: skip
