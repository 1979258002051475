"""What a person sees of a training: on a terminal, in a notebook, in a log."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import portnn as pn
from portnn import _progress
from portnn._progress import _epoch_line
from portnn.train import Progress
from tests.train.terminal import ROOT, Screen, run

on_a_terminal = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
ALL = {"loss": 0.29991, "accuracy": 0.91818, "val_loss": 0.30112, "val_accuracy": 0.91014}
X, Y = np.eye(4, dtype=np.float32), np.asarray([0, 1, 0, 1])


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """A time that passes when a test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(_progress, "monotonic", clock)
    return clock


def no_bars(monkeypatch):
    for name in ("tqdm", "rich", "rich.console", "rich.progress"):
        monkeypatch.setitem(sys.modules, name, None)


def train(clock, seconds, epochs, ended_after=None):
    """Show a training whose epochs take so many seconds, and which fails after some of them."""
    with Progress(10 * epochs, None, epochs=epochs) as progress:
        progress.step(0)
        for number in range(1, epochs + 1):
            progress.step(10)
            clock.now += seconds
            progress.epoch(number, epochs, {"loss": 1.0 / number})
            if number == ended_after:
                raise RuntimeError("the training failed")


def epochs_of(text):
    return [int(line.split("/")[0].removeprefix("epoch")) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("terminal", "seconds", "shown"),
    [
        (True, 0.2, [3, 6, 9, 12, 15, 18, 20]),
        (True, 0.02, [20]),
        (True, 1.0, [*range(1, 21)]),
        (False, 1.0, [10, 20]),
        (False, 3.0, [4, 8, 12, 16, 20]),
        (False, 0.001, [20]),
        (False, 60.0, [*range(1, 21)]),
    ],
)
def test_lines_are_rare_and_the_last_is_always_there(terminal, seconds, shown, clock, monkeypatch):
    no_bars(monkeypatch)
    stderr = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    train(clock, seconds, 20)
    assert epochs_of(stderr.getvalue()) == shown
    assert "\x1b" not in stderr.getvalue()
    assert "\r" not in stderr.getvalue()


def test_the_last_line_comes_after_an_error_too(clock, monkeypatch, capsys):
    with pytest.raises(RuntimeError, match="the training failed"):
        train(clock, 0.001, 20, ended_after=7)
    assert capsys.readouterr().err == "epoch  7/20  loss 0.1429  1 ms/epoch\n"


def test_a_training_that_a_callback_ends_shows_its_last_epoch(capsys):
    net = pn.Network([pn.Linear(4, 2)])
    net.fit(X, Y, epochs=50, callbacks=[lambda epoch: epoch.number == 7])
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("epoch  7/50  loss ")


def test_the_time_is_that_of_an_epoch(clock, capsys):
    with Progress(4, None) as progress:
        clock.now += 5.0  # reads data
        with progress.busy("compiling the step"):
            clock.now += 7.0
        progress.step(0)
        for number in range(1, 5):
            clock.now += 3.0
            progress.epoch(number, 4, {"loss": 1.0})
        clock.now += 1.0  # callbacks
    assert capsys.readouterr().err.splitlines() == [
        "epoch 1/4  loss 1.0000  3 s/epoch",
        "epoch 4/4  loss 1.0000  3 s/epoch",
    ]


@pytest.mark.parametrize(
    ("number", "total", "logs", "seconds", "line"),
    [
        (3, 10, {"loss": 0.3}, 1.234, "epoch  3/10  loss 0.3000  1.2 s/epoch"),
        (3, 10, {**ALL, "val_loss": float("nan")}, 1.2,
         "epoch  3/10  loss 0.2999  acc 0.9182  val_loss nan  val_acc 0.9101  1.2 s/epoch"),
        (10, 10, ALL, 0.0123, "epoch 10/10  loss 0.2999  acc 0.9182  val_loss 0.3011  val_acc 0.9101  12 ms"),
        (1000, 1000, ALL, 300.0,
         "epoch 1000/1000  loss 0.2999  acc 0.9182  val_loss 0.3011  val_acc 0.9101"),
        (1, 1, {"loss": 12345.678, "rate": 3e-7, "n": 1e9, "zero": 0.0, "least": -float("inf")}, 0.0,
         "epoch 1/1  loss 12345.7  rate 3e-07  n 1e+09  zero 0.0000  least -inf"),
        (1, 1, {"a\nb\x1b[1m": 1.0, "é": 2.0}, 60.0, "epoch 1/1  a\\nb\\x1b[1m 1.0000  é 2.0000  60 s/epoch"),
    ],
)  # fmt: skip
def test_a_line_fits_a_terminal(number, total, logs, seconds, line):
    for width in (80, None):
        assert _epoch_line(number, total, logs, seconds, width) in (line, f"{line}  0 ms")
        assert len(line) < 80


def test_a_line_that_cannot_fit_is_continued_below_its_metrics():
    logs = {f"metric_{i}": 0.5 for i in range(7)}
    assert _epoch_line(1, 2, logs, 2.0, 80).split("\n") == [
        "epoch 1/2  metric_0 0.5000  metric_1 0.5000  metric_2 0.5000  metric_3 0.5000",
        "           metric_4 0.5000  metric_5 0.5000  metric_6 0.5000  2 s",
    ]
    assert "\n" not in _epoch_line(1, 2, logs, 2.0, None)
    assert _epoch_line(1, 2, {"loss": 1.0}, 2.0, 8) == "epoch 1/2  loss 1.0000\n           2 s"


# The file alone, which starts sooner than the package.
BARS = """
import importlib.util, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
for name in {blocked}:
    sys.modules[name] = None
spec = importlib.util.spec_from_file_location("_progress", {file!r})
_progress = importlib.util.module_from_spec(spec)
spec.loader.exec_module(_progress)
_progress._SEEN, _progress._DELAY, _progress._MOVES, _progress._SOON = 0.06, 0.1, 0.0, 0.1
with _progress.Progress(80, None, epochs=4) as progress:
    with progress.busy("compiling the step"):
        time.sleep(0.3)
    for number in range(1, 5):
        for _ in range(20):
            time.sleep(0.005)
            progress.step()
        progress.epoch(number, 4, {logs})
        time.sleep({pause})
print("finished")
"""


def bars(library, pause=0.0):
    """A program that shows a training with tqdm (though rich is there), with rich, or with neither."""
    blocked = {"tqdm": [], "rich": ["tqdm"], "neither": ["tqdm", "rich"]}[library]
    return BARS.format(blocked=blocked, file=_progress.__file__, logs=ALL, pause=pause)


def drawn(text):
    screen = Screen()
    screen.feed(text)
    return screen


def states(text):
    """The lines of the terminal before each return of the cursor."""
    screen = Screen()
    for piece in text.split("\r"):
        screen.feed(piece)
        yield screen.text()
        screen.feed("\r")


@on_a_terminal
@pytest.mark.parametrize("library", ["tqdm", "rich", "neither"])
def test_a_terminal_keeps_the_lines_and_loses_the_bar(library):
    if library != "neither":
        pytest.importorskip(library)
    text = run(bars(library))
    screen = drawn(text)
    lines = screen.text()
    if library == "neither":
        assert lines.pop(0) == "compiling the step ..."
        assert "\x1b" not in text
    else:
        assert any(line[0].startswith("compiling the step") for line in states(text))
        below = [line[2] for line in states(text) if len(line) == 3 and line[1].startswith("epoch 2/4  loss")]
        assert any(bar.startswith("epoch 3/4") and "%" in bar and "/80" in bar for bar in below)
        assert ("steps/s]" in text) == (library == "tqdm")
    assert len(lines) == 5
    for number, line in enumerate(lines[:4], 1):
        metrics = "loss 0.2999  acc 0.9182  val_loss 0.3011  val_acc 0.9101"
        assert line.startswith(f"epoch {number}/4  {metrics}  0.")
        assert line.endswith(" s")
    assert lines[4] == "finished"
    assert not screen.hidden
    assert screen.widest < 80


@on_a_terminal
@pytest.mark.parametrize("library", ["tqdm", "rich"])
def test_ctrl_c_leaves_a_clean_terminal(library):
    pytest.importorskip(library)
    screen = drawn(run(bars(library, pause=0.3), interrupt="epoch 2/4  loss"))
    lines = screen.text()
    assert lines[0].startswith("epoch 1/4  loss")
    assert lines[1].startswith("epoch 2/4  loss")
    assert lines[2] == "Traceback (most recent call last):"
    assert lines[-1] == "KeyboardInterrupt"
    assert "^C" not in "".join(lines)
    assert not screen.hidden


@on_a_terminal
def test_a_narrow_terminal_continues_lines():
    screen = Screen(40)
    screen.feed(run(bars("tqdm"), columns=40))
    lines = screen.text()
    assert lines[0] == "epoch 1/4  loss 0.2999  acc 0.9182"
    assert [line[:24] for line in lines[1:3]] == ["           val_loss 0.30", "           val_acc 0.910"]
    assert len(lines) == 13
    assert screen.widest < 40


def test_a_terminal_without_a_size_has_80_columns():
    assert _progress._columns(io.StringIO()) == 80
    assert _progress._columns(Plain()) == 80


@on_a_terminal
def test_a_terminal_without_cursor_gets_lines():
    text = run(bars("tqdm"), TERM="dumb")
    assert "%" not in text
    assert drawn(text).text()[0] == "compiling the step ..."


@on_a_terminal
@pytest.mark.parametrize("library", ["tqdm", "rich"])
def test_a_terminal_that_cannot_write_unicode(library):
    text = run(bars(library), PYTHONIOENCODING="ascii:strict", PYTHONUTF8="0", LC_ALL="C")
    assert text.isascii()
    assert any("%" in line[-1] for line in states(text))
    assert drawn(text).text()[-1] == "finished"


FITS = """
import numpy as np, portnn as pn, sys, threading, time
from portnn import _progress
_progress._SEEN = _progress._DELAY = 0.05
def fit():
    def slow(epoch):
        time.sleep(0.02)
    x = np.eye(4, dtype="float32")
    pn.Network([pn.Linear(4, 2)]).fit(x, [0, 1, 0, 1], epochs=10, callbacks=[slow])
"""


@on_a_terminal
@pytest.mark.parametrize("blocked", ["[]", "['tqdm']"])
def test_trainings_in_threads_share_a_terminal(blocked):
    code = f"{FITS}\nfor name in {blocked}:\n    sys.modules[name] = None\n"
    threads = "threads = [threading.Thread(target=fit) for _ in range(3)]\n"
    lines = drawn(run(f"{code}{threads}[t.start() for t in threads]; [t.join() for t in threads]")).text()
    assert all(line.startswith("epoch ") and line.count("loss") == 1 for line in lines), lines
    assert sum(line.startswith("epoch 10/10  loss") for line in lines) == 3


@on_a_terminal
def test_processes_share_a_terminal():
    start, training = bars("tqdm").split("with _progress", 1)
    inside = f"def train():\nwith _progress{training}".replace("\n", "\n    ")
    fork = "processes = [get_context('fork').Process(target=train) for _ in range(2)]"
    both = f"{fork}\n[p.start() for p in processes]; [p.join() for p in processes]"
    text = run(f"{start}{inside}\nfrom multiprocessing import get_context\n{both}")
    assert "%" not in text
    lines = drawn(text).text()
    assert lines[:2] == ["compiling the step ..."] * 2
    assert sum(line.startswith("epoch 4/4  loss") for line in lines) == 2


@on_a_terminal
@pytest.mark.parametrize("library", ["tqdm", "rich"])
def test_the_callers_own_bar_stays_below_the_lines(library):
    pytest.importorskip(library)
    module, name = {"tqdm": ("tqdm", "tqdm"), "rich": ("rich.progress", "track")}[library]
    lines = drawn(run(f"{FITS}\nfrom {module} import {name}\nfor _ in {name}(range(3)): fit()")).text()
    assert [line.startswith("epoch ") for line in lines] == [True] * (len(lines) - 1) + [False]
    assert sum(line.startswith("epoch 10/10  loss") for line in lines) == 3
    assert "100%" in lines[-1]


def script(code, **options):
    command = [sys.executable, "-W", "error", "-c", f"{FITS}\n{code}"]
    return subprocess.run(command, cwd=ROOT, text=True, timeout=60, check=False, **options)


def test_a_log_gets_plain_lines():
    done = script("fit()", capture_output=True)
    assert done.returncode == 0
    assert done.stderr.startswith("epoch 10/10  loss ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize(
    "change", ["sys.stderr.close()", "os.close(2)", "r, w = os.pipe(); os.close(r); os.dup2(w, 2)"]
)
def test_a_standard_error_that_fails_ends_no_training(change):
    done = script(
        f"import os\n{change}\nfit(); print('trained')", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert done.stdout == "trained\n"


class Plain:
    """A standard error that can write, and nothing else."""

    def __init__(self):
        self.said = ""

    def write(self, text):
        self.said += text


@pytest.mark.parametrize("stderr", [None, Plain()])
def test_a_standard_error_that_can_do_little(stderr, monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", stderr)
    train(clock, 20.0, 2)
    if stderr is not None:
        assert epochs_of(stderr.said) == [1, 2]


def test_a_standard_error_that_vanishes_during_the_training(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress(2, None) as progress:
        monkeypatch.setattr(sys, "stderr", None)
        clock.now += 20.0
        progress.step()
        progress.epoch(1, 2, {"loss": 1.0})


@pytest.mark.parametrize("library", ["tqdm", "rich", "neither"])
def test_a_terminal_that_goes_away_ends_no_training(library, monkeypatch, clock):
    if library == "neither":
        no_bars(monkeypatch)
    elif library == "rich":
        monkeypatch.setitem(sys.modules, "tqdm", None)
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    with Progress(40, None, epochs=4) as progress:
        for number in range(1, 5):
            if number == 3:
                monkeypatch.setattr(stderr, "write", broken)
            clock.now += 1.0
            progress.step(10)
            progress.epoch(number, 4, {"loss": 1.0})
    assert sys.stderr is stderr
    assert "epoch 2/4  loss" in stderr.getvalue()
    with Progress(1, None) as after:  # the next one can have its bar
        clock.now += 1.0
        assert _progress._bar_in_use.acquire(blocking=False)
        _progress._bar_in_use.release()
        after.step(1)


def broken(text):
    raise OSError(5, "Input/output error")


def test_nothing_is_shown_when_it_is_not_wanted(capsys):
    pn.Network([pn.Linear(4, 2)]).fit(X, Y, epochs=2, progress=False)
    with Progress(4, False) as progress, progress.busy("compiling the step"):
        progress.step()
        progress.epoch(1, 1, {})
    assert capsys.readouterr() == ("", "")


def test_estimators_are_silent(capsys):
    estimators = pytest.importorskip("portnn.estimators")
    x, y = np.eye(4, dtype=np.float32).repeat(20, axis=0), np.arange(4).repeat(20) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged
        estimators.MLPClassifier((4,), max_iter=2).fit(x, y)
    assert capsys.readouterr().err == ""


@pytest.fixture
def notebook(monkeypatch):
    """What a notebook of IPython is told."""
    shown = []

    def display(data, *, raw, display_id):
        assert raw
        assert display_id
        shown.append(data)
        return SimpleNamespace(update=lambda data, raw: shown.append(data))

    shell = SimpleNamespace(kernel=object())
    ipython = SimpleNamespace(get_ipython=lambda: shell, display=SimpleNamespace(display=display))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return shown


def test_a_notebook_shows_a_bar_without_widgets(notebook, clock, capsys):
    train(clock, 0.4, 5)
    told = capsys.readouterr()
    assert told.err == ""
    assert epochs_of(told.out) == [2, 4, 5]
    assert "<progress" in notebook[0]["text/html"]
    assert notebook[-2]["text/plain"].startswith("epoch 5/5: ")
    assert "epoch 5/5: 40 of 50 steps, 0.4 s left" in [data["text/plain"] for data in notebook]
    assert notebook[-1] == {"text/html": "", "text/plain": ""}


def test_a_short_training_in_a_notebook_shows_a_line(notebook, clock, capsys):
    train(clock, 0.001, 5)
    assert epochs_of(capsys.readouterr().out) == [5]
    assert notebook == []


@pytest.mark.slow
def test_a_kernel_shows_a_bar_without_a_warning():
    nbformat = pytest.importorskip("nbformat", reason="nbformat writes a notebook")
    nbclient = pytest.importorskip("nbclient", reason="nbclient runs a notebook")
    pytest.importorskip("ipykernel", reason="ipykernel runs a notebook")
    code = FITS.replace("0.02", "0.1") + "fit()"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    nbclient.NotebookClient(book, resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = book.cells[0].outputs
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert [output for output in outputs if output["output_type"] == "display_data"]
    assert "epoch 10/10  loss" in "".join(output.get("text", "") for output in outputs)


def test_ipython_in_a_terminal_is_a_terminal(notebook, monkeypatch, clock, capsys):
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    train(clock, 3.0, 5)
    assert epochs_of(capsys.readouterr().err) == [4, 5]
    assert notebook == []


def test_long_work_is_announced_and_short_work_is_not(monkeypatch):
    no_bars(monkeypatch)
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(_progress, "_SOON", 0.02)
    with Progress(3, None) as progress, progress.busy("compiling the step"):
        wait_for(lambda: stderr.getvalue())
    assert stderr.getvalue() == "compiling the step ...\n"
    monkeypatch.setattr(_progress, "_SOON", 60.0)
    started = time.perf_counter()
    with Progress(3, None) as progress, progress.busy("nothing of importance"):
        pass
    assert stderr.getvalue() == "compiling the step ...\n"
    assert time.perf_counter() - started < 10.0


def test_work_that_ends_as_it_is_announced_is_not_announced(capsys):
    display, over = Progress(3, None)._display, threading.Event()
    display.end(over)
    display._write(display._print_busy, "compiling the step", over)
    assert capsys.readouterr().err == ""


def wait_for(condition):
    end = time.monotonic() + 30.0
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)


def test_a_platform_without_threads_trains(monkeypatch, capsys):
    def refuse(*rest):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_progress, "start_new_thread", refuse)
    pn.Network([pn.Linear(4, 2)]).fit(X, Y, epochs=2)
    assert capsys.readouterr().err.startswith("epoch 2/2  loss")


def test_an_error_in_long_work_is_raised(capsys):
    work = Progress(3, None).busy("compiling the step")
    with pytest.raises(RuntimeError, match="cannot compile"), work:
        raise RuntimeError("cannot compile")
    assert capsys.readouterr().err == ""


def test_no_thread_stays_behind(monkeypatch):
    before = threading.active_count()
    for _ in range(20):
        with Progress(3, None) as progress, progress.busy("compiling the step"):
            pass
    wait_for(lambda: threading.active_count() <= before)
    assert threading.active_count() <= before


def fastest(function, rounds):
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return min(times)


def test_showing_costs_little(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    silent, shown = Progress(10**9, False), Progress(10**9, None)

    def whole():
        with Progress(20, None, epochs=2) as progress:
            progress.step(0)
            with progress.busy("compiling the step"):
                pass
            progress.epoch(1, 2, ALL)
            progress.epoch(2, 2, ALL)

    assert fastest(lambda: [silent.step() for _ in range(1000)], 50) < 1e-6 * 1000
    assert fastest(lambda: [shown.step() for _ in range(1000)], 50) < 2e-6 * 1000
    assert fastest(whole, 500) < 100e-6
