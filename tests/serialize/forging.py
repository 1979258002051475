"""Files with a wrong description and right digests, as somebody would write them who knows the format."""

from __future__ import annotations

import json
import struct
from hashlib import sha256


def forged(raw, rng):
    """Something else in the description or in the places of the tensors, with digests that are right."""
    n = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8 : 8 + n])
    meta = head["__metadata__"]
    parts = [json.loads(meta["portnn"]), json.loads(meta["portnn.tensors"]), head]
    spoil(parts[rng.integers(len(parts))], rng)
    if isinstance(head.get("__metadata__"), dict):
        head["__metadata__"] |= {"portnn": json.dumps(parts[0]), "portnn.tensors": json.dumps(parts[1])}
        head["__metadata__"]["portnn.sha256"] = "0" * 64
    text = json.dumps(head, separators=(",", ":")).encode()
    new = struct.pack("<Q", len(text)) + text
    zeros = b'"portnn.sha256":"' + b"0" * 64
    return new.replace(zeros, zeros[:-64] + sha256(new).hexdigest().encode()) + raw[8 + n :]


VALUES = (
    None, True, -1, 0, 1, 3, 10**6, 10**30, -0.5, 1e308, "", "x", "Linear", "F64", [], {}, [1], [0, 8],
    {"is": "Linear"}, {"is": "Sequential", "layers": []}, [[]], "__metadata__",
)  # fmt: skip


def spoil(data, rng):
    """Change one value, somewhere inside."""
    while True:
        keys = [*data] if isinstance(data, dict) else [*range(len(data))]
        if not keys:
            return
        key = keys[rng.integers(len(keys))]
        inner = data[key]
        if isinstance(inner, dict | list) and inner and rng.integers(3):
            data = inner
            continue
        change = rng.integers(4)
        if change == 0 and isinstance(data, dict):
            data[f"{key}x"] = data.pop(key)
        elif change == 1:
            del data[key]
        else:
            data[key] = VALUES[rng.integers(len(VALUES))]
        return
