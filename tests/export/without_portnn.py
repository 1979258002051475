"""Recognises digits with an exported network and nothing of portnn: for an environment that does not have it.

    python without_portnn.py FOLDER

The folder holds ``digits.onnx`` and ``digits.npz``: images, labels, and the probabilities that portnn gives.
Not collected by pytest; `test_clean_environment.py` runs it.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import onnxruntime


def main(folder: Path) -> None:
    """Compare, and print how many digits are right."""
    for package in ("portnn", "onnx", "array_api_compat"):
        assert importlib.util.find_spec(package) is None, f"expected an environment without {package}"
    data = np.load(folder / "digits.npz")
    session = onnxruntime.InferenceSession(folder / "digits.onnx", providers=["CPUExecutionProvider"])
    for n in (1, 7, len(data["images"])):
        (found,) = session.run(None, {"x": data["images"][:n]})
        np.testing.assert_allclose(found, data["probabilities"][:n], rtol=1e-5, atol=1e-5)
    right = np.argmax(found, axis=1) == data["labels"]
    print(f"{int(np.sum(right))} of {len(right)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
