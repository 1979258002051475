"""What must work right after ``pip install portnn``; the session `build` runs this against a built wheel.

Not collected by pytest: it is for an environment that holds portnn and its mandatory dependencies only.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import portnn as pn


def main(version):
    """Import, look at the version, and learn which of two numbers is larger."""
    assert pn.__version__ == version, f"expected version {version}, got {pn.__version__}"
    assert "site-packages" in Path(pn.__file__).parts, f"expected the installed package, got {pn.__file__}"
    x = np.random.default_rng(0).uniform(-1, 1, (200, 2)).astype(np.float32)
    labels = (x[:, 0] > x[:, 1]).astype(np.int64)
    network = pn.Network(
        [pn.Linear(2, 8), pn.relu, pn.Linear(8, 2)],
        loss=pn.losses.softmax_cross_entropy,
        backend="cpu",
        seed=0,
    )
    network.fit(x, labels, epochs=20, batch_size=20, optimizer=pn.optim.sgd(0.1))
    accuracy = network.score(x, labels)
    assert accuracy > 0.9, f"expected an accuracy over 0.9, got {accuracy}"
    print(f"portnn {version}: imported from a wheel, trained to an accuracy of {accuracy:.2f}")


if __name__ == "__main__":
    main(sys.argv[1])
