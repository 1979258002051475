"""The commands beside train: what they print, for people and for machines, and their exit codes."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import portnn as pn
from portnn.cli import _terminal, main


def test_predictions_have_names_and_columns_may_be_in_any_order(trained, flowers, portnn):
    code, out, _ = portnn("predict", trained, flowers)
    rows = list(csv.DictReader(StringIO(out)))
    assert code == 0
    kinds = [row["kind"] for row in csv.DictReader(StringIO(flowers.read_text()))]
    assert [row["prediction"] for row in rows] == kinds
    table = [line.split(",") for line in flowers.read_text().splitlines()]
    Path("turned.csv").write_text("\n".join(f"{stem},{petal}" for _, petal, stem in table))
    assert portnn("predict", trained, "turned.csv")[1] == out


def test_probabilities_a_table_and_json(trained, flowers, portnn):
    _, out, _ = portnn("predict", trained, flowers, "--proba", "--format", "table")
    assert out.splitlines()[0].split() == ["prediction", "probability", "p(iris)", "p(lily)", "p(rose)"]
    assert len(out.splitlines()) == 91
    rows = json.loads(portnn("predict", trained, flowers, "--proba", "--json")[1])
    assert sum(rows[0][f"p({name})"] for name in ("iris", "lily", "rose")) == pytest.approx(1.0)
    code, out, err = portnn("predict", trained, flowers, "-o", "found.csv")
    assert (code, out) == (0, "")
    assert "found.csv: 90 predictions" in err
    assert len(Path("found.csv").read_text().splitlines()) == 91


def test_pictures(tmp_path, monkeypatch, portnn):
    monkeypatch.chdir(tmp_path)
    y = np.arange(20) % 2
    x = np.where(y[:, None, None] == 1, 230, 20).astype(np.uint8) * np.ones((1, 9, 9), dtype=np.uint8)
    np.savez("images.npz", x=x, y=y)
    assert portnn("train", "images.npz", "--epochs", 40, "--lr", 0.02, "-q")[0] == 0
    Image.new("RGB", (30, 30), "white").save("light.png")
    Image.new("RGBA", (9, 9), (0, 0, 0, 255)).save("dark.png")
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save("clear.png")
    files = ("light.png", "dark.png", "clear.png")
    found = [row.split(",")[:2] for row in portnn("predict", "network.safetensors", *files)[1].splitlines()]
    assert found == [["file", "prediction"], ["light.png", "1"], ["dark.png", "0"], ["clear.png", "1"]]
    out = portnn("predict", "network.safetensors", "dark.png", "--invert")[1]
    assert out.splitlines()[1].startswith("dark.png,1,")
    Path("fake.png").write_text("no picture")
    code, _, err = portnn("predict", "network.safetensors", "fake.png")
    assert code == 1
    assert "fake.png: not a picture" in err


def test_measures_and_the_confusion_matrix(trained, flowers, portnn):
    code, out, _ = portnn("evaluate", trained, flowers, "--plot", "matrix.png")
    assert code == 0
    assert "accuracy                 1.0000" in out
    assert out.splitlines()[-3:] == [
        "iris                30     .     .",
        "lily                 .    30     .",
        "rose                 .     .    30",
    ]
    assert Path("matrix.png").read_bytes()[:4] == b"\x89PNG"
    data = json.loads(portnn("evaluate", trained, flowers, "--json")[1])
    assert data["confusion_matrix"] == [[30, 0, 0], [0, 30, 0], [0, 0, 30]]
    assert data["classes"]["rose"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "samples": 30}


def test_measures_of_classes_that_are_numbers(tmp_path, monkeypatch, portnn):
    monkeypatch.chdir(tmp_path)
    rows = [f"{n % 3},{n % 2},{n % 3}" for n in range(60)]
    Path("numbers.csv").write_text("\n".join(["a,b,kind", *rows]) + "\n", encoding="utf-8")
    assert portnn("train", "numbers.csv", "--label", "kind", "--epochs", 2, "-q")[0] == 0
    code, out, err = portnn("evaluate", "network.safetensors", "numbers.csv", "--label", "kind", "--json")
    assert (code, err) == (0, "")
    data = json.loads(out)
    assert list(data["classes"]) == ["0", "1", "2"]
    assert [data["classes"][name]["samples"] for name in "012"] == [20, 20, 20]


def test_measures_of_values(flowers, portnn):
    options = ("--label", "stem", "--drop", "kind", "--epochs", 5, "-q")
    assert portnn("train", flowers, *options)[0] == 0
    data = json.loads(portnn("evaluate", "network.safetensors", flowers, "--drop", "kind", "--json")[1])
    assert set(data) == {"samples", "loss", "r2", "mean absolute error", "root mean squared error"}
    assert data["root mean squared error"] ** 2 == pytest.approx(data["loss"], rel=1e-4)
    code, _, err = portnn("evaluate", "network.safetensors", flowers, "--drop", "kind", "--plot", "a.png")
    assert code == 2
    assert "--plot draws the confusion matrix of classes" in err


def test_whole_numbers_of_sixteen_digits_are_labels(tmp_path, monkeypatch, portnn):
    monkeypatch.chdir(tmp_path)
    Path("codes.csv").write_text("code,x\n" + "1234567890123456,1\n1234567890123457,2\n1.5,3\n0.5,4\n" * 2)
    assert portnn("train", "codes.csv", "--label", "code", "--task", "classification", "-q")[0] == 0
    classes = ["0.5", "1.5", "1234567890123456", "1234567890123457"]
    assert pn.Network.load("network.safetensors").notes["classes"] == classes


def test_long_names_are_cut_off_in_tables_and_whole_in_files(flowers, portnn):
    long = "rose" * 100
    flowers.write_text(flowers.read_text().replace("rose", long))
    assert portnn("train", flowers, "--epochs", 30, "--lr", 0.02, "-q")[0] == 0
    for command in (("evaluate",), ("predict", "--format", "table", "--proba")):
        code, out, _ = portnn(command[0], "network.safetensors", flowers, *command[1:])
        assert code == 0
        assert long[:37] + "..." in out
        assert max(map(len, out.splitlines())) < 160
    assert len(portnn("summary", "network.safetensors")[1].splitlines()[-3]) < 80
    assert long in portnn("predict", "network.safetensors", flowers, "--format", "csv")[1]


def test_names_do_not_control_the_terminal(flowers, portnn, monkeypatch):
    bad = "\x1b[31mrose\x9b2J\r\x07\x7f\u202e\n"
    text = flowers.read_text().replace("rose", f'"{bad}"').replace("petal", '"pe\x1btal"')
    flowers.write_text(text, newline="")
    shown = r"\x1b[31mrose\x9b2J\r\x07\x7f\u202e\n"
    assert portnn("train", flowers, "--epochs", 30, "--lr", 0.02, "-q")[0] == 0
    net = "network.safetensors"
    Path("odd.csv").write_text("kind,pe\x1btal,stem\n\x1b[1mtulip,1,2\n")
    Path("none.csv").write_text("kind,a\x1bb\niris,1\n")
    commands = [
        ("evaluate", net, flowers, "--plot", "a.png"),
        ("predict", net, flowers, "--format", "table", "--proba"),
        ("summary", net), ("evaluate", net, "odd.csv"), ("evaluate", net, "none.csv"),
        ("train", flowers, "--label", "stem", "-q"), ("train", flowers, "--epochs", 1, "--label", "kind"),
        ("train", flowers, "--label", "\x1b[31m"), ("evaluate", net, "odd.csv", "--debug"), ("\x1b[31m",),
        ("train", "\x1b[31m.csv"), ("train", flowers, "--epochs", "\x1b[31m"),
    ]  # fmt: skip
    for command in commands:
        _, out, err = portnn(*command)
        assert not set(out + err) & set("\x1b\x9b\r\x07\x7f\u202e"), command
    assert shown in portnn("evaluate", net, flowers)[1]
    # Programs get the names as they are.
    assert bad in json.loads(portnn("evaluate", net, flowers, "--json")[1])["classes"]
    rows = list(csv.DictReader(StringIO(portnn("predict", net, flowers)[1], newline="")))
    assert {row["prediction"] for row in rows} == {"iris", "lily", bad}
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "\x1b" not in portnn("predict", net, flowers, "--format", "csv")[1]


def test_what_cannot_be_written_is_said(trained, flowers, portnn, monkeypatch):
    class Stream(StringIO):
        error = OSError(28, "No space left on device")

        def write(self, text):
            raise self.error

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Stream())
        code, _, err = portnn("predict", trained, flowers)
        assert (code, err) == (1, "portnn: error: cannot write the output: No space left on device\n")
        Stream.error = UnicodeEncodeError("ascii", "kind,\xe9", 5, 6, "ordinal not in range(128)")
        patch.setattr(_terminal, "_json", lambda data: "kind,\xe9")
        err = portnn("summary", trained, "--json")[2]
    assert err.startswith("portnn: error: cannot write '\xe9' in ascii, which the output is in; set PYTHONIO")
    Path("folder.png").mkdir()
    for command in (("predict", trained, flowers, "-o"), ("evaluate", trained, flowers, "--plot")):
        assert portnn(*command, "folder.png")[0] == 2
    for command in (("predict", trained, flowers, "-o"), ("evaluate", trained, flowers, "--plot")):
        code, out, err = portnn(*command, "none/a.png")
        assert (code, out) == (1, "")
        assert "cannot save none/a.png: the folder none does not exist; make it first" in err


def test_what_json_has_no_number_for_is_null(flowers, portnn):
    assert portnn("train", flowers, "--label", "stem", "--drop", "kind", "--epochs", 1, "-q")[0] == 0
    Path("far.csv").write_text("petal,stem\n1,2\n2,3e38\n")
    code, out, err = portnn("evaluate", "network.safetensors", "far.csv", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["loss"] is None


def test_summary(trained, portnn):
    out = portnn("summary", trained)[1]
    assert "Linear(2, 8)" in out
    assert "classes: iris, lily, rose" in out
    data = json.loads(portnn("summary", trained, "--json")[1])
    assert data["parameters"] == 51
    assert data["classes"] == ["iris", "lily", "rose"]


def test_export_is_the_same_network(trained, flowers, portnn):
    runtime = pytest.importorskip("onnxruntime")
    code, out, err = portnn("export", trained, "net.onnx", "--softmax")
    assert code == 0, err
    assert "opset" in out
    x = pn.data.read_table(flowers).numbers(["petal", "stem"])
    session = runtime.InferenceSession("net.onnx", providers=["CPUExecutionProvider"])
    [found] = session.run(None, {session.get_inputs()[0].name: x})
    np.testing.assert_allclose(found, pn.Network.load(trained).predict_proba(x), atol=1e-5)


def test_compare_finds_nothing_where_nothing_is(trained, portnn, monkeypatch):
    code, out, _ = portnn("compare", trained, "--backends", "cpu,array_api_strict", "--gradient")
    assert code == 0
    assert "no primitive differs by more than is tolerated" in out
    data = json.loads(portnn("compare", trained, "--dtypes", "float32,float64", "--json")[1])
    assert data["sides"] == ["numpy float32", "numpy float64"]
    assert not data["differs"]


def test_compare_without_a_gpu_says_what_else_to_compare(trained, portnn, hide):
    hide("cupy")
    code, _, err = portnn("compare", trained)
    assert code == 1
    assert err.endswith("; or compare others, such as --backends cpu,torch or --dtypes float32,float64\n")
    assert "--dtypes" not in portnn("compare", trained, "--backends", "cpu,cupy")[2]


def test_compare_fails_where_something_differs(trained, portnn, monkeypatch):
    from portnn.cli import _compare

    original = _compare.lockstep
    monkeypatch.setattr(_compare, "lockstep", lambda *a, **o: original(*a, **o, tolerance=0.0))
    code, out, _ = portnn("compare", trained, "--dtypes", "float32,float64")
    assert code == 1
    assert "the first primitive that differs: linear" in out


def test_bench(trained, portnn):
    for options in ((trained,), ("--features", 5, "--layers", "none", "--classes", 2)):
        code, out, err = portnn("bench", *options, "--seconds", 0.1, "--batch-size", 8, "--json")
        assert code == 0, err
        rows = list(json.loads(out).values())[3:]
        assert len(rows) == 3
        assert all(0 < row["min"] <= row["median"] <= row["max"] for row in rows)


def test_info_and_version(portnn, monkeypatch):
    monkeypatch.setattr(
        "portnn.backend._config.KNOWN", ("numpy", "array_api_strict")
    )  # the others take seconds
    assert portnn("--version")[:2] == (0, f"portnn {pn.__version__}\n")
    code, out, _ = portnn("info")
    assert code == 0
    assert "works: numpy" in out
    told = json.loads(portnn("info", "--json")[1])
    assert told["devices"] == dict.fromkeys(told["backends"], "")
    assert portnn()[1].startswith("Usage: portnn")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell, portnn):
    code, out, _ = portnn("completion", shell)
    assert code == 0
    assert "_PORTNN_COMPLETE" in out


def test_completion_knows_options_and_backends():
    words = "portnn train --backend t"
    environment = {**os.environ, "_PORTNN_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "3"}
    command = [sys.executable, "-m", "portnn"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.split() == ["plain,torch", "plain,torch:cuda"]


def test_without_click_the_error_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "click", None)
    assert main(["info"]) == 1
    assert (
        capsys.readouterr().err == 'portnn: error: the command line needs click: pip install "portnn[cli]"\n'
    )


def test_a_reader_who_has_enough_is_no_error(trained, flowers):
    end, pipe = os.pipe()
    os.close(end)
    command = [sys.executable, "-m", "portnn", "predict", trained, str(flowers)]
    done = subprocess.run(command, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    os.close(pipe)
    assert (done.returncode, done.stderr) == (1, "")
