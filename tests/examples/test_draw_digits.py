"""The server of the page to draw on, without a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
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
