"""Draw a digit with the mouse or a finger, and see at once what a network takes it for, and how.

    python examples/draw_digits.py          # trains for some seconds, then opens a page
    python examples/digits.py --recipe best --save digits.safetensors
    python examples/draw_digits.py --network digits.safetensors      # a network that is trained already

The page is served to this machine alone, and the server answers no page of another site. What is drawn is
made like the digits of MNIST (`portnn.data.draw_strokes`) before the network sees it. The server is Python's
own, the page one file of HTML without anything from elsewhere.
"""

from __future__ import annotations

import argparse
import json
import sys
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from re import fullmatch
from socket import SHUT_RDWR, SHUT_WR
from threading import BoundedSemaphore, Lock
from time import monotonic, perf_counter
from typing import Any

import numpy as np

import portnn as pn
from portnn.data import augment, draw_strokes, load_mnist
from portnn.optim import adamw, schedules

DATA = Path(__file__).parent / "data" / "mnist"
PAGE = Path(__file__).with_suffix(".html")
LARGEST = 1_000_000  # bytes of a drawing; an hour of scribbling has fewer
THREADS = 16  # requests at a time
PATIENCE = 5.0  # seconds to wait for more of a request, or for a client to take its answer
DEADLINE = 10.0  # seconds for a whole request
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


class Refused(Exception):
    """A request that is answered by a status and a line of text."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


class Handler(BaseHTTPRequestHandler):
    """The page, and the answer to a drawing."""

    server: Server
    timeout = PATIENCE

    def do_GET(self) -> None:
        """Send the page."""
        try:
            self._check_host()
            self._check_path("/", HTTPStatus.NOT_FOUND)
        except Refused as error:
            self.send_error(error.status, str(error))
            return
        self._send(HTTPStatus.OK, PAGE.read_bytes(), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """Read strokes and send what the network makes of them."""
        try:
            self._check_host()
            self._check_origin()
            self._check_path("/look", HTTPStatus.BAD_REQUEST)
            body = self._read_body()
            self.server.has_read(self.connection)
            answer = self._answer(body)
        except Refused as error:
            self.send_error(error.status, str(error))
            self._discard()
            return
        self._send(HTTPStatus.OK, answer, "application/json")

    def _check_path(self, path: str, status: HTTPStatus) -> None:
        if self.path != path:
            raise Refused(status, f"expected the path {path}")

    def _check_host(self) -> None:
        """Other names than this machine's are those of a page that had its name lead here (DNS rebinding)."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1:
            raise Refused(HTTPStatus.BAD_REQUEST, f"expected one Host, got {len(hosts)}")
        if hosts[0].strip().lower() not in self.server.names:
            raise Refused(HTTPStatus.FORBIDDEN, f"expected the Host {self.server.names[0]}")

    def _check_origin(self) -> None:
        """Pages of other sites may send requests, which browsers mark; programs send no Origin."""
        for origin in self.headers.get_all("Origin", []):
            if origin.strip().lower() not in [f"http://{name}" for name in self.server.names]:
                raise Refused(HTTPStatus.FORBIDDEN, f"expected the Origin http://{self.server.names[0]}")

    def _read_body(self) -> bytes:
        """The body, as long as the request says that it is."""
        lengths = self.headers.get_all("Content-Length", [])
        if self.headers.get("Transfer-Encoding") is not None or not lengths:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "expected a Content-Length, and no Transfer-Encoding")
        if len(lengths) > 1 or not fullmatch("[0-9]+", lengths[0].strip()):
            raise Refused(HTTPStatus.BAD_REQUEST, "expected one Content-Length, a number of bytes")
        digits = lengths[0].strip().lstrip("0")
        if len(digits) > len(str(LARGEST)) or int(digits or "0") > LARGEST:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a drawing has at most {LARGEST:,} bytes")
        length = int(digits or "0")
        try:
            body = self.rfile.read(length)
        except TimeoutError:
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, f"nothing came for {PATIENCE:.0f} s") from None
        if len(body) < length:
            raise Refused(HTTPStatus.BAD_REQUEST, f"expected {length} bytes, got {len(body)}")
        return body

    def _answer(self, body: bytes) -> bytes:
        try:
            told = json.loads(body)
            with self.server.turn:  # a plan of the network has buffers of its own: one drawing at a time
                answer = look(self.server.network, told["strokes"])
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, f"not a drawing: {error}") from None
        return json.dumps(answer).encode()

    def _send(self, status: HTTPStatus, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, POST")
        self.end_headers()
        self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer with a status and a short text; what Python's server does not know is the client's error."""
        status = {501: HTTPStatus.METHOD_NOT_ALLOWED, 505: HTTPStatus.BAD_REQUEST}.get(code, HTTPStatus(code))
        text = f"{status.value} {status.phrase}: {message or status.description}"
        self.close_connection = True
        self.request_version = "HTTP/1.0"  # what says no version would be answered without a status
        self._send(status, text[:300].encode(errors="replace"), "text/plain; charset=utf-8")

    def _discard(self) -> None:
        """Read some of what was not read: else closing would cut off the answer."""
        with suppress(OSError):
            self.connection.shutdown(SHUT_WR)
            self.connection.settimeout(0.5)
            for _ in range(2 * LARGEST // 65536):
                if not self.connection.recv(65536):
                    break

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: there is a request for each movement of the pen."""


class Server(ThreadingHTTPServer):
    """A server for this machine alone, with a bounded number of threads.

    A client that does not say what it wants is dropped after some seconds, and sooner if all threads wait for
    such ones and another client comes.

    Args:
        network: what drawings are shown to.
        port: where; 0 takes a free one.

    Attributes:
        names: the hosts by which it is known.
        turn: held by the thread that uses the network.
    """

    def __init__(self, network: pn.Network, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.network, self.turn = network, Lock()
        self.names = [f"{name}:{self.server_port}" for name in ("127.0.0.1", "localhost")]
        if self.server_port == 80:
            self.names += ["127.0.0.1", "localhost"]
        self._free = BoundedSemaphore(THREADS)
        self._reading: dict[Any, float] = {}  # since when each request is being read, the oldest first

    def has_read(self, request: Any) -> None:
        """Take note that a request was read, so that its client is waited for no longer."""
        self._reading.pop(request, None)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread, or make the one that has read longest stop."""
        if not self._free.acquire(blocking=False):
            self._drop(list(self._reading)[:1])
            if not self._free.acquire(timeout=1.0):
                self.shutdown_request(request)
                return
        self._reading[request] = monotonic()
        try:
            super().process_request(request, client_address)
        except BaseException:  # there was no thread to be had
            self.has_read(request)
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.has_read(request)
            self._free.release()

    def service_actions(self) -> None:
        """Drop those who have not said what they want in time; called twice a second."""
        late = monotonic() - DEADLINE
        self._drop([request for request, since in list(self._reading.items()) if since < late])

    def _drop(self, requests: list[Any]) -> None:
        for request in requests:
            self.has_read(request)
            with suppress(OSError):
                request.shutdown(SHUT_RDWR)  # the thread finds the end of the request, and ends

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def make_server(network: pn.Network, port: int = 0) -> Server:
    """A server for this machine alone; port 0 takes a free one."""
    return Server(network, port)


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
