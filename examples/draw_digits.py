"""Draw a digit with the mouse or a finger, and see at once what a network takes it for, and how.

    python examples/draw_digits.py          # trains for some seconds, then opens a page
    python examples/digits.py --recipe best --save digits.safetensors
    python examples/draw_digits.py --network digits.safetensors      # a network that is trained already

The page is served to this machine alone. What is drawn is made like the digits of MNIST
(`portnn.data.draw_strokes`) before the network sees it. The server is Python's own, the page one file of HTML
without anything from elsewhere.
"""

from __future__ import annotations

import argparse
import json
import webbrowser
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import portnn as pn
from portnn.data import augment, draw_strokes, load_mnist
from portnn.optim import adamw, schedules

DATA = Path(__file__).parent / "data" / "mnist"
PAGE = Path(__file__).with_suffix(".html")
LARGEST = 1_000_000  # bytes of a drawing; an hour of scribbling has fewer
MOVED = 20_000  # images that are learned a second time, turned and moved
MAPS = 16  # feature maps of one layer that the page shows at most
UNITS = 1_000  # of one layer that the page shows at most


def train(backend: str, *, samples: int | None = None, epochs: int = 3, seed: int = 0) -> pn.Network:
    """A network of two hidden layers, taught with digits as they are, and with turned, scaled and moved ones.

    What people draw with a mouse varies more than what they write on paper.
    """
    images, labels = (array[:samples] for array in load_mnist(DATA, "train"))
    key = pn.random.key(seed, like=images)
    moved = augment.distort(key, images[:MOVED], angle=12.0, scale=0.12, shear=0.1, shift=1.5)
    layers = [pn.Flatten(), pn.Rescale(), *pn.MLP([784, 128, 64, 10]).layers]
    network = pn.Network(layers, backend=backend, seed=seed)
    batch = 128
    steps = max(2, epochs * -(-(len(images) + len(moved)) // batch))
    network.fit(
        np.concatenate([images, moved]),
        np.concatenate([labels, labels[:MOVED]]),
        epochs=epochs,
        batch_size=batch,
        optimizer=adamw(schedules.one_cycle(4e-3, steps)),
        progress=False,
    )
    return network


def as_input(network: pn.Network, picture: Any) -> Any:
    """A picture as the network takes it: bytes, or numbers from 0 to 1 if it has no layer that makes them."""
    scales = any(isinstance(layer, pn.Rescale) for _, layer in pn.nn.walk(network.layer))
    return picture[None] if scales else picture[None].astype(np.float32) / 255


def arranged(y: Any) -> Any:
    """The units of a layer in rows: the first feature maps side by side, or 16 units in each row."""
    if y.ndim == 3:
        maps = y[:MAPS]
        across = min(8, len(maps))
        maps = np.pad(maps, ((0, -len(maps) % across), (0, 0), (0, 0)))
        rows = maps.reshape(-1, across, *maps.shape[1:])
        return rows.transpose(0, 2, 1, 3).reshape(-1, across * maps.shape[2])
    units = np.ravel(y)[:UNITS]
    across = min(16 if len(units) <= 256 else 32, len(units))
    return np.pad(units, (0, -len(units) % across)).reshape(-1, across)


def look(network: pn.Network, strokes: Sequence[Any]) -> dict[str, Any]:
    """What the page shows of a drawing: the picture, ten probabilities, and the units in between."""
    picture = draw_strokes(strokes)
    x = as_input(network, picture)
    outputs = [(name, y[0]) for name, y in network.activations(x).items()]
    hidden = [(name, y) for name, y in outputs[:-1] if "Activation" in name]
    layers = []
    for name, y in hidden:
        units = arranged(np.asarray(y))
        told = f"{name.partition('(')[2].rstrip(')')}, {' x '.join(map(str, y.shape))} units"
        layers.append(
            {
                "name": told,
                "across": units.shape[1],
                "values": [round(float(v), 3) for v in units.ravel()],
            }
        )
    return {
        "picture": picture.ravel().tolist(),
        "probabilities": network.predict_proba(x)[0].tolist() if picture.any() else [],
        "layers": layers if picture.any() else [],
    }


class Handler(BaseHTTPRequestHandler):
    """The page, and the answer to a drawing."""

    network: pn.Network  # of the server

    def do_GET(self) -> None:
        """Send the page."""
        if self.path != "/":
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self._send(PAGE.read_bytes(), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """Read strokes and send what the network makes of them."""
        length = self.headers.get("Content-Length", "")
        if self.path != "/look" or not length.isdigit():
            self.send_error(HTTPStatus.BAD_REQUEST)
        elif int(length) > LARGEST:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._answer(self.rfile.read(int(length)))

    def _answer(self, body: bytes) -> None:
        try:
            told = json.loads(body)
            answer = look(self.network, told["strokes"])
        except (KeyError, TypeError, ValueError) as error:
            self.send_error(HTTPStatus.BAD_REQUEST, "not a drawing", str(error)[:200])
            return
        self._send(json.dumps(answer).encode(), "application/json")

    def _send(self, content: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: there is a request for each movement of the pen."""


def make_server(network: pn.Network, port: int = 0) -> ThreadingHTTPServer:
    """A server for this machine alone; port 0 takes a free one."""
    handler = type("NetworkHandler", (Handler,), {"network": network})
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", type=Path, metavar="FILE", help="a trained network of 28 x 28 images")
    parser.add_argument("--backend", default="cpu", metavar="NAME", help="cpu, gpu, auto, torch, jax, ...")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000; 0 takes a free one")
    parser.add_argument("--no-browser", action="store_true", help="open no browser, only print the address")
    args = parser.parse_args(argv)
    if args.network and not args.network.is_file():
        parser.error(f"there is no file {args.network}")
    try:
        pn.get_backend(args.backend)
    except (pn.BackendUnavailableError, ValueError) as error:
        parser.error(str(error))
    return args


def open_network(args: argparse.Namespace) -> pn.Network:
    """The network of the file, or one that is trained now."""
    if args.network:
        network = pn.Network.load(args.network, backend=args.backend)
        answer = network.predict_proba(as_input(network, np.zeros((28, 28), dtype=np.uint8)))
        if answer.shape != (1, 10):
            raise SystemExit(
                f"{args.network}: expected ten classes of 28 x 28 images, got {answer.shape[1:]}"
            )
        return network
    print("training a network, some 15 seconds on two cores ...", flush=True)
    start = perf_counter()
    network = train(args.backend)
    accuracy = network.score(*load_mnist(DATA, "test"))
    print(f"test accuracy {accuracy:.4f} after {perf_counter() - start:.0f} s", flush=True)
    return network


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the page until Ctrl-C."""
    args = parse(argv)
    with make_server(open_network(args), args.port) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        print(f"draw at {address} (Ctrl-C ends)", flush=True)
        if not args.no_browser:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
