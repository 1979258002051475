"""Draw the pictures of pictures.md: ``python docs/howto/pictures.py`` (it needs matplotlib)."""

from __future__ import annotations

from pathlib import Path

import portnn as pn
from portnn import plot

HERE = Path(__file__).parent


def main() -> None:
    """Train the network of the page and draw it."""
    data = HERE.parents[1] / "examples" / "data" / "mnist"
    images, labels = pn.data.load_mnist(data, "train")
    test_images, test_labels = pn.data.load_mnist(data, "test")
    net = pn.Network([pn.Flatten(), pn.Rescale(), pn.Linear(784, 32), pn.relu, pn.Linear(32, 10)], seed=0)
    history = net.fit(images[:10_000], labels[:10_000], epochs=5, validation_split=0.1, progress=False)
    some = test_images[:500], test_labels[:500]
    figures = {
        "history": plot.history(history),
        "diagram": plot.diagram(net),
        "activations": plot.activations(net, some[0]),
        "gradients": plot.gradients(net, *some),
        "calibration": plot.calibration(test_labels, net.predict_proba(test_images)),
    }
    for name, figure in figures.items():
        figure.savefig(HERE / "images" / f"{name}.png", dpi=80)


if __name__ == "__main__":
    main()
