"""The server of the page to draw on, without a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from socket import SHUT_WR, create_connection
from threading import Thread, active_count
from time import perf_counter, sleep
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest

from examples import draw_digits

STROKES = json.loads((Path(__file__).parents[1] / "browser" / "strokes.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def network() -> Any:
    return draw_digits.train("cpu", samples=6_000, epochs=3)


@pytest.fixture(scope="module")
def address(network: Any) -> Iterator[str]:
    with draw_digits.make_server(network) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def post(address: str, body: bytes, path: str = "/look") -> Any:
    with urlopen(Request(address + path, data=body), timeout=20) as reply:
        return json.load(reply)


def test_drawn_digits_are_recognised(address: str) -> None:
    right = 0
    for digit, strokes in STROKES.items():
        p = post(address, json.dumps({"strokes": strokes}).encode())["probabilities"]
        assert sum(p) == pytest.approx(1, abs=1e-5)
        right += p.index(max(p)) == int(digit)
    assert right >= 9


def test_an_answer_has_the_picture_and_the_hidden_units(address: str, network: Any) -> None:
    told = post(address, json.dumps({"strokes": STROKES["3"]}).encode())
    picture = draw_digits.draw_strokes(STROKES["3"])
    assert told["picture"] == picture.ravel().tolist()
    assert [layer["name"] for layer in told["layers"]] == ["relu, 128 units", "relu, 64 units"]
    values = network.activations(picture[None])["3 Activation(relu)"][0]
    assert told["layers"][0]["values"] == pytest.approx(values.tolist(), abs=1e-3)


def test_feature_maps_stand_side_by_side() -> None:
    maps = np.arange(3 * 2 * 4).reshape(3, 2, 4)
    units = draw_digits.arranged(maps)
    np.testing.assert_array_equal(units, np.concatenate(list(maps), axis=1))
    assert draw_digits.arranged(np.ones((20, 5, 5))).shape == (10, 40)
    assert draw_digits.arranged(np.ones(100)).sum() == 100
    layers = [draw_digits.pn.Reshape((1, 28, 28)), draw_digits.pn.Rescale(), draw_digits.pn.Conv2d(1, 6, 5)]
    layers += [draw_digits.pn.relu, draw_digits.pn.Flatten(), draw_digits.pn.Linear(6 * 24 * 24, 10)]
    [shown] = draw_digits.look(draw_digits.pn.Network(layers), STROKES["2"])["layers"]
    assert shown["name"] == "relu, 6 x 24 x 24 units"
    assert (shown["across"], len(shown["values"])) == (6 * 24, 6 * 24 * 24)


def test_nothing_drawn(address: str) -> None:
    assert post(address, b'{"strokes": []}') == {"picture": [0] * 784, "probabilities": [], "layers": []}


def test_the_page_needs_nothing_from_elsewhere(address: str) -> None:
    with urlopen(address + "/", timeout=20) as reply:
        page = reply.read().decode()
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "http:" not in page
    assert "https:" not in page
    assert "src=" not in page


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/look", b"no json", 400), ("/look", b"[]", 400), ("/look", b"{}", 400),
        ("/look", b'{"strokes": [[1, 2]]}', 400), ("/look", b'{"strokes": [[[1, NaN]]]}', 400),
        ("/else", b"{}", 400), ("/nothing", None, 404),
    ],
)  # fmt: skip
def test_bad_requests_are_told(address: str, path: str, body: bytes | None, status: int) -> None:
    with pytest.raises(HTTPError) as caught:
        urlopen(Request(address + path, data=body), timeout=20)
    assert caught.value.code == status
    caught.value.close()
    assert post(address, b'{"strokes": []}')["layers"] == []  # the server goes on


def ask(address: str, request: bytes, *, end: bool = True) -> bytes:
    """Send bytes as they are, and return all that is answered."""
    host, port = address.removeprefix("http://").split(":")
    with create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request)
        if end:
            with suppress(OSError):  # the server may have answered and closed before it read all
                connection.shutdown(SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def written(address: str, body: bytes = b'{"strokes": []}', **headers: str | None) -> bytes:
    """A request that would be answered, with other headers; None leaves one out."""
    host = address.removeprefix("http://")
    lines = {"Host": host, "Content-Length": str(len(body))} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"POST /look HTTP/1.1\r\n{head}\r\n".encode() + body


STRANGE = {
    "another host": ({"Host": "evil.example:8000"}, 403),
    "another port": ({"Host": "127.0.0.1:1"}, 403),
    "a host without a port": ({"Host": "localhost"}, 403),
    "no host": ({"Host": None}, 400),
    "two hosts": ({"Host": "a\r\nHost: b"}, 400),
    "another origin": ({"Origin": "http://evil.example"}, 403),
    "no origin that a page has": ({"Origin": "null"}, 403),
    "the scheme of another origin": ({"Origin": "https://localhost"}, 403),
    "a raised digit": ({"Content_Length": "²"}, 400),
    "a digit of another script": ({"Content_Length": "٣"}, 400),
    "5,000 digits": ({"Content_Length": "9" * 5000}, 413),
    "less than nothing": ({"Content_Length": "-1"}, 400),
    "a sign": ({"Content_Length": "+15"}, 400),
    "a fraction": ({"Content_Length": "1.5"}, 400),
    "an underscore": ({"Content_Length": "1_5"}, 400),
    "nothing": ({"Content_Length": ""}, 400),
    "no length": ({"Content_Length": None}, 411),
    "two lengths": ({"Content_Length": "15\r\nContent-Length: 3"}, 400),
    "chunks": ({"Content_Length": None, "Transfer_Encoding": "chunked"}, 411),
    "chunks and a length": ({"Transfer_Encoding": "chunked"}, 411),
    "more than there is": ({"Content_Length": "999"}, 400),
    "less than there is": ({"Content_Length": "3"}, 400),
    "a long header": ({"X": "x" * 70_000}, 431),
    "many headers": ({"X": "x" + "\r\nY: y" * 200}, 431),
}


@pytest.mark.parametrize(("headers", "status"), STRANGE.values(), ids=STRANGE)
def test_strange_headers_are_told_in_a_line(
    address: str, headers: dict[str, str | None], status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = ask(address, written(address, **headers))
    assert int(answer.split()[1]) == status
    assert len(answer) < 600
    assert capfd.readouterr().err == ""


def test_the_names_of_this_machine_are_served(address: str) -> None:
    port = address.rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}"):
        answer = ask(address, written(address, Host=host, Origin=f"http://{host}"))
        assert answer.startswith(b"HTTP/1.0 200 ")
    assert ask(address, b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").startswith(b"HTTP/1.0 403 ")


BODIES = {
    "deep lists": b"[" * 200_000,
    "deep strokes": b'{"strokes": ' + b"[" * 500 + b"]" * 500 + b"}",
    "a long number": b'{"strokes": [[[' + b"9" * 5000 + b", 1]]]}",
    "a large number": b'{"strokes": [[[1e400, 1]]]}',
    "infinity": b'{"strokes": [[[Infinity, 1]]]}',
    "words": b'{"strokes": "abc"}',
    "a number": b'{"strokes": 3}',
    "nothing": b'{"strokes": null}',
    "holes": b'{"strokes": [[[null, 1]]]}',
    "uneven": b'{"strokes": [[[1, 2], [3]]]}',
    "many points": b'{"strokes": [[' + b",".join([b"[1,2]"] * 20_001) + b"]]}",
    "no text": b"\xff\xfe\x00\xd8",
    "empty": b"",
    "another name": b'{"Strokes": []}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_strange_bodies_are_told_in_a_line(
    address: str, body: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = ask(address, written(address, body))
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert len(answer) < 600
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"PUT / HTTP/1.1", 405), (b"BREW / HTTP/1.1", 405), (b"HEAD / HTTP/1.1", 405),
        (b"GET / HTTP/9.9", 400), (b"GET / HTTP/1.1.1", 400), (b"GET  x y z", 400), (b"GET /", 400),
        (b"GET /" + b"a" * 60_000 + b" HTTP/1.1", 400), (b"GET /" + b"\xff" * 9 + b" HTTP/1.1", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400), (b"G" * 80_000, 414),
    ],
)  # fmt: skip
def test_strange_requests_are_told_in_a_line(
    address: str, request_: bytes, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = ask(address, request_ + b"\r\n\r\n")
    assert int(answer.split()[1]) == status
    assert len(answer) < 600
    assert capfd.readouterr().err == ""


def test_noise_never_ends_in_a_traceback(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    good = written(address)
    draw = np.random.default_rng(0)
    for _ in range(150):
        spoiled = bytearray(good)
        for place in draw.integers(0, len(good), draw.integers(1, 6)):
            spoiled[place] = draw.integers(0, 256)
        if answer := ask(address, bytes(spoiled[: draw.integers(1, len(good) + 1)])):
            assert answer[:9] in (
                b"HTTP/1.0 ",
                b"400 Bad R",
                b"403 Forbi",
            )  # without a version there is no head
            assert answer[9:12] == b"200" or len(answer) < 600
    assert capfd.readouterr().err == ""
    assert post(address, b'{"strokes": []}')["layers"] == []


def test_a_large_body_is_refused_and_the_answer_arrives(address: str) -> None:
    answer = ask(address, written(address, b" " * 1_500_000))
    assert answer.startswith(b"HTTP/1.0 413 ")


def test_drawings_of_any_size_look_the_same() -> None:
    expected = draw_digits.draw_strokes(STROKES["3"])
    for scale in (1e-320, 1e-310, 1e-300, 1e-150, 1e-9, 1.0, 1e3):
        strokes = [np.asarray(stroke) * scale for stroke in STROKES["3"]]
        if scale == 1e-320:  # a few bits are left of such numbers
            assert np.mean(np.abs(draw_digits.draw_strokes(strokes).astype(float) - expected)) < 5
        else:
            np.testing.assert_array_equal(draw_digits.draw_strokes(strokes), expected)


def test_slow_clients_are_dropped(
    network: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(draw_digits.Handler, "timeout", 0.3)
    with draw_digits.make_server(network) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        silent = ask(address, written(address, Content_Length="100"), end=False)
        assert silent.startswith(b"HTTP/1.0 408 ")
        assert ask(address, b"POST /look HT", end=False) == b""
        monkeypatch.setattr(draw_digits, "DEADLINE", 1.0)
        start = perf_counter()
        connection = create_connection(("127.0.0.1", server.server_port), timeout=20)
        with connection, suppress(OSError):  # it is dropped, though each byte comes in time
            while perf_counter() - start < 20:
                connection.sendall(b"x")
                sleep(0.1)
        assert perf_counter() - start < 15
        server.shutdown()
    assert capfd.readouterr().err == ""


def test_many_slow_clients_hold_few_threads_and_nobody_else(network: Any) -> None:
    before = active_count()
    with draw_digits.make_server(network) as server, ExitStack() as stack:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        for _ in range(100):
            stack.enter_context(create_connection(("127.0.0.1", server.server_port), timeout=20))
        assert post(address, b'{"strokes": []}')["layers"] == []
        assert active_count() - before <= draw_digits.THREADS + 1
        server.shutdown()


def test_a_drawing_that_is_too_large_is_refused_unread(address: str) -> None:
    connection = HTTPConnection(address.removeprefix("http://"), timeout=20)
    connection.putrequest("POST", "/look")
    connection.putheader("Content-Length", "1000001")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_network_of_a_file(network: Any, tmp_path: Path) -> None:
    file = tmp_path / "digits.safetensors"
    network.save(file)
    loaded = draw_digits.open_network(draw_digits.parse(["--network", str(file)]))
    assert draw_digits.look(loaded, STROKES["7"]) == draw_digits.look(network, STROKES["7"])


def test_a_network_of_other_data_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    draw_digits.pn.Network([draw_digits.pn.Flatten(), draw_digits.pn.Linear(784, 3)]).save(file)
    with pytest.raises(SystemExit, match="expected ten classes"):
        draw_digits.open_network(draw_digits.parse(["--network", str(file)]))


@pytest.mark.parametrize("options", [["--network", "nowhere"], ["--backend", "nope"]])
def test_a_wrong_option_is_told_in_a_line(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        draw_digits.parse(options)
    assert "error: " in capsys.readouterr().err.splitlines()[-1]


def test_each_backend_trains_a_network_and_answers_in_the_threads_of_the_server(backend: Any) -> None:
    network = draw_digits.train(backend.member.backend_name, samples=500, epochs=1)
    with draw_digits.make_server(network) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        told = post(f"http://127.0.0.1:{server.server_port}", json.dumps({"strokes": STROKES["3"]}).encode())
        server.shutdown()
    assert sum(told["probabilities"]) == pytest.approx(1, abs=1e-5)
