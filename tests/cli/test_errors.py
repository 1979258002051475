"""What a user may get wrong: one line on standard error, and the exit code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click import FloatRange, IntRange

from portnn.cli import _info
from portnn.cli._commands import make_group

# The command, its exit code, and what the error says.
TABLE = [
    ("train", 2, "Missing argument 'DATA'"),
    ("train none.csv", 1, "none.csv: no such file or folder"),
    ("train flowers.csv --label colour", 1, "there is no column 'colour'; the columns are kind, petal, stem"),
    ("train flowers.csv --label petal", 1, "column 'kind' holds text, 'iris' in row 1 (line 2); "),
    (
        "train slip.csv",
        1,
        "column 'x' holds text, 'oops' in row 3 (line 5); mend it, leave it out (--drop x), ",
    ),
    ("train slip.csv", 1, "is it the label (--label x)? (without --label it is the first, 'k')"),
    ("train slip.csv --label k", 1, "is it the label (--label x)?\n"),
    ("train blank.csv", 1, "column 'x' is empty; leave it out (--drop x)"),
    ("train flowers.csv --layers 3,x", 2, "--layers: expected widths such as 128,64, or none, got '3,x'"),
    ("train flowers.csv --layers=", 2, "--layers: expected widths such as 128,64, or none, got ''"),
    ("train flowers.csv --layers 0", 2, "--layers: expected widths"),
    ("train flowers.csv --optimizer sdg", 2, "'sdg' is not one of"),
    ("train flowers.csv --momentum 0.9", 2, "--optimizer adam has no --momentum"),
    ("train flowers.csv --epochs 0", 2, "Invalid value for '--epochs'"),
    ("train flowers.csv --loss huber", 1, "label column 'kind' holds text; regression needs numbers"),
    ("train flowers.csv --loss huber --task multilabel", 1, "holds text"),
    (
        "train flowers.csv --label petal --drop kind --loss huber --task classification",
        2,
        "is for regression",
    ),
    ("train flowers.csv --backend abacus", 1, "unknown backend 'abacus'"),
    ("train flowers.csv -o /none/a.safetensors", 1, "the folder /none does not exist"),
    ("train flowers.csv -o net.pt", 2, "ends with .safetensors"),
    ("train --resume none", 1, "no training to go on with: it ended, or never began"),
    ("train one.csv", 1, "every label is 'a'"),
    (
        "train hole.csv",
        1,
        "column 'x' has no finite number in row 2 (line 3); fill such cells, or delete their rows (2)",
    ),
    (
        "predict net.safetensors bare.csv",
        1,
        "bare.csv: has 3 columns, the network takes 2 (petal, stem): 1 too many; column 1 holds text; is it ",
    ),
    (
        "predict net.safetensors numbers.csv",
        1,
        "takes 2 (petal, stem): 1 too many; if one is the label, say which: --label 1",
    ),
    ("predict net.safetensors numbers.npy", 1, "numbers.npy: has 3 columns, the network takes 2"),
    ("predict net.safetensors narrow.csv", 1, "has 1 column, the network takes 2 (petal, stem): 1 too few"),
    (
        "predict net.safetensors renamed.csv",
        1,
        "there is no column 'stem', which the network learned from; there are kind, petal, height",
    ),
    (
        "evaluate net.safetensors renamed.csv",
        1,
        "there is no column 'stem', which the network learned from; there are petal, height",
    ),
    ("train flowers.csv --drop petal,stem", 1, "no columns are left for the inputs"),
    ("train narrow.csv", 1, "narrow.csv: has the one column '1'; expected labels and inputs, separated by "),
    ("train commas.csv", 1, "'1,5' in row 1 (line 2); write numbers with a point instead of the comma"),
    (
        "train thousands.csv",
        1,
        "'7,404' in row 1 (line 2); leave out commas between thousands; if they are dec",
    ),
    ("train flowers.csv --label \u00b2", 1, "there is no column '\u00b2'; the columns are kind, petal, stem"),
    ("train flowers.csv --label -\u0661", 1, "there is no column '-\u0661'"),
    ("train flowers.csv --label " + "1" * 5000, 1, f"there is no column {'1' * 60!r}; the columns are kind,"),
    ("train flowers.csv --drop " + "9" * 5000, 1, f"there is no column {'9' * 60!r}"),
    ("train flowers.csv --label 0", 1, "there is no column '0'"),
    ("train flowers.csv --label=", 2, "--label: expected names or numbers of columns, got ''"),
    ("train flowers.csv --drop ,", 2, "--drop: expected names or numbers of columns, got ','"),
    ("train flowers.csv --label 2,petal", 2, "--label: column 'petal' is named twice"),
    ("predict net.safetensors flowers.csv --label ,", 2, "--label: expected names or numbers of columns"),
    ("train /dev/null", 1, "/dev/null: is a terminal, a device or a socket, expected a file or a pipe"),
    (
        "train flowers.csv --layers " + "9" * 5000,
        2,
        f"--layers: expected widths such as 128,64, or none, got {'9' * 40!r}",
    ),
    ("train flowers.csv --layers \u0661", 2, "--layers: expected widths"),
    ("train flowers.csv --epochs " + "9" * 5000, 2, "Invalid value for '--epochs'"),
    ("train flowers.csv --seed \u00b2", 2, "Invalid value for '--seed'"),
    ("summary net.safetensors --shape \u00b2", 2, "--shape: expected lengths such as 28,28, got '\u00b2'"),
    ("bench --shape " + "9" * 5000, 2, "--shape: expected lengths such as 28,28"),
    (
        "train flowers.csv --label petal --label stem",
        2,
        "--label is given twice; separate several columns by commas. (see portnn train --help)",
    ),
    (
        "train flowers.csv --drop petal --drop stem",
        2,
        "--drop is given twice; separate several columns by com",
    ),
    ("train flowers.csv --lr 1 --learning-rate 2", 2, "--learning-rate is given twice. "),
    ("train flowers.csv --header --no-header", 2, "--header is given twice. "),
    ("predict net.safetensors a.csv --label a --label b", 2, "--label is given twice"),
    ("evaluate net.safetensors a.csv --plot a.png --plot b.png", 2, "--plot is given twice"),
    ("bench --classes 3 --classes 4", 2, "--classes is given twice"),
    (
        "train both.csv",
        1,
        "fields may be separated by ',' or by ';'; say which: separator=... (on the command line",
    ),
    ("train both.csv --separator ab", 1, "separator must be a single character such as ',' or ';', got 'ab'"),
    (
        "train slipped.csv",
        1,
        "cannot tell whether the first row is a header: in the first row 'oops' stands above",
    ),
    ("train open.csv", 1, "open.csv, line 2: the quoted field that begins here does not end before"),
    (
        "train complex.npy",
        1,
        "complex.npy: expected real numbers, got complex128; pass real and imaginary parts as",
    ),
    ("train complex.npy --labels y.npy", 1, "complex.npy: expected real numbers, got complex128"),
    ("train numbers.npy --labels complex.npy", 1, "complex.npy: expected real labels, got complex128"),
    ("predict net.safetensors complex.npy", 1, "complex.npy: expected real numbers, got complex128"),
    ("evaluate net.safetensors complex.npy", 1, "complex.npy: expected real numbers"),
    ("train pair.npz", 1, "pair.npz: expected real numbers, got complex128"),
    ("train records.npy", 1, "records.npy: an array of shape (3,) has no column of labels"),
    ("train records.npy --labels y.npy", 1, "records.npy: expected numbers, got dtype [("),
    ("train words.npy", 1, "words.npy: expected numbers, got dtype <U3; convert or remove it"),
    (
        "train numbers.npy --labels bytes.npy",
        1,
        "bytes.npy: expected labels, got dtype |S1; store text as str",
    ),
    ("train numbers.npy --labels times.npy", 1, "times.npy: expected labels, got dtype datetime64[D]"),
    ("train norows.npy", 1, "norows.npy: expected rows of numbers, got the empty shape (0, 3)"),
    (
        "train norows.npy --labels none.npy",
        1,
        "norows.npy: expected a non-empty array with a batch axis, got shape (0, 3)",
    ),
    (
        "train nocolumns.npy --labels y.npy",
        1,
        "nocolumns.npy: expected a non-empty array with a batch axis, got shape (2, 0)",
    ),
    ("train nocolumns.npy", 1, "nocolumns.npy: an array of shape (2, 0) has no column of labels"),
    ("train scalar.npy", 1, "scalar.npy: an array of shape () has no column of labels"),
    ("train scalar.npy --labels y.npy", 1, "expected a non-empty array with a batch axis, got shape ()"),
    ("train numbers.npy --labels scalar.npy", 1, "scalar.npy: expected labels for 2 samples, got shape ()"),
    (
        "train empty.npz",
        1,
        "empty.npz: expected the arrays x and y, or x_train and y_train; it holds nothing",
    ),
    ("train numbers.npy --labels empty.npz", 1, "empty.npz: expected one array, it holds 0"),
    (
        "predict net.safetensors norows.npy",
        1,
        "norows.npy: expected rows of numbers, got the empty shape (0, 3)",
    ),
    ("predict net.safetensors two.npy", 1, "two.npy: expected samples, got the empty shape (0, 2)"),
    ("predict net.safetensors scalar.npy", 1, "scalar.npy: samples have shape (), the network takes"),
    ("predict net.safetensors empty.npz", 1, "empty.npz: expected one array, it holds 0"),
    (
        "train far.npy --labels y.npy",
        1,
        "far.npy: row 2 has NaN, infinity, or a value beyond float32; replace",
    ),
    (
        "train far.csv",
        1,
        "column 'x' has 1e+39 in row 2 (line 3), which float32 cannot hold; divide the column",
    ),
    (
        "train wide.csv --label x --task regression",
        1,
        "label column 'x' has NaN, infinity or a value beyond float32 in row 2 (line 3)",
    ),
    (
        "train odd.csv",
        1,
        "column 'a b' holds text, 'y' in row 2 (line 3); mend it, leave it out (--drop 'a b'), ",
    ),
    ("train ends.csv", 1, "column '' is empty; leave it out (--drop 3)"),
    ("train ragged.csv", 1, "ragged.csv, line 5: the row has 3 fields, expected 2"),
    ("train flowers.csv --drop kind", 1, "the label is the first column unless --label names another, and "),
    (
        "train flowers.csv --drop kind",
        1,
        "column 'petal' holds values rather than classes; name the label with --label, or ",
    ),
    ("train flowers.csv --label kind --drop kind", 1, "column 'kind' cannot be the label and be dropped"),
    (
        "train names.csv",
        1,
        "column 'name' has another one in every row; name the label with --label, or give ",
    ),
    ("train unlabelled.csv", 1, "unlabelled.csv: there is no label in row 2 (line 4)"),
    ("train flowers.csv --label petal --drop kind --clip-norm 0", 2, "Invalid value for '--clip-norm'"),
    ("train --resume run --restart", 2, "--resume goes on and --restart begins anew; give one of them"),
    ("train empty.csv", 1, "empty.csv: the file is empty"),
    ("train latin.csv", 1, "latin.csv: not UTF-8 text"),
    ("train objects.npy", 1, "objects.npy: no whole file of NumPy arrays"),
    ("train text.npy", 1, "text.npy: no whole file of NumPy arrays: it begins neither as .npy nor as .npz\n"),
    ("train flowers.csv --label kind,petal", 1, "holds text; more than one column of labels needs numbers"),
    (
        "predict net.safetensors none.png",
        1,
        "none.png: the network takes 2 columns of numbers, not pictures; if ",
    ),
    ("predict net.safetensors net.safetensors", 1, "net.safetensors: expected a table (.csv, "),
    ("predict flowers.csv flowers.csv", 1, "flowers.csv"),
    ("predict net.safetensors one.csv", 1, "there is no column 'petal'"),
    ("predict net.safetensors a.csv b.csv", 2, "Give either one table or any number of pictures"),
    ("predict net.safetensors", 2, "Missing argument 'INPUTS...'"),
    (
        "evaluate net.safetensors strange.csv",
        1,
        "row 1 (line 2) has the label 'tulip'; known: iris, lily, rose",
    ),
    ("export net.safetensors net.pt", 2, "ends with .onnx"),
    ("compare net.safetensors --backends cpu", 1, "nothing to compare"),
    (
        "compare net.safetensors --backends cpu,jax,torch",
        2,
        "--backends: expected two such as cpu,torch, got ",
    ),
    ("compare net.safetensors --dtypes float32", 2, "--dtypes: expected two such as float32,float64, got "),
    ("summary net.safetensors --shape 2x2", 2, "--shape: expected lengths such as 28,28"),
    ("fly", 2, "No such command 'fly'"),
]


@pytest.fixture
def files(trained):
    texts = {
        "bare.csv": "iris,1,2\nlily,2,3\n",
        "slip.csv": "k,x\n\na,1\nb,\na,oops\n", "blank.csv": "k,x,z\na,,1\nb,,2\n",
        "one.csv": "k,x\na,1\na,2\n", "hole.csv": "k,x\na,1\nb,\nb,nan\n",
        "ragged.csv": "\nk,x\na,1\n\nb,2,3\n",
        "empty.csv": "", "strange.csv": "kind,petal,stem\ntulip,1,2\n",
        "numbers.csv": "1,1,2\n2,2,3\n", "narrow.csv": "1.5\n2.5\n",
        "names.csv": "name,x\nann,1\nbob,2\ncy,3\n",
        "commas.csv": "k;x\na;1,5\nb;2\n", "odd.csv": "k,a b\na,1\nb,y\n", "ends.csv": "k,x,\na,1,\nb,2,\n",
        "renamed.csv": "kind,petal,height\niris,1,2\n", "unlabelled.csv": "kind,x\na,1\n\n,2\n",
    }  # fmt: skip
    for name, text in texts.items():
        Path(name).write_text(text)
    texts = {
        "thousands.csv": 'k,x\na,"7,404"\nb,"1,234,567.5"\n', "both.csv": "a;b,c\nd;e,f\n",
        "slipped.csv": "oops,1,2\n1,2,2\n", "open.csv": 'k,x\n"a,1\nb,2\n',
        "far.csv": "k,x\na,1\nb,1e39\n", "wide.csv": "y,x\n1,1\n2,1e39\n",
    }  # fmt: skip
    for name, text in texts.items():
        Path(name).write_text(text)
    arrays = {
        "complex.npy": np.ones((2, 3)) * 1j, "y.npy": np.arange(2), "words.npy": np.full((2, 3), "abc"),
        "records.npy": np.zeros(3, dtype=[("a", "i4"), ("b", "f8")]), "bytes.npy": np.asarray([b"a", b"b"]),
        "times.npy": np.asarray(["2020-01-01"] * 2, dtype="M8[D]"), "norows.npy": np.ones((0, 3)),
        "none.npy": np.ones(0), "nocolumns.npy": np.ones((2, 0)), "scalar.npy": np.asarray(1.0),
        "two.npy": np.ones((0, 2)), "far.npy": np.asarray([[1.0, 2.0], [1.0, 1e39]]),
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(name, array)
    np.savez("pair.npz", x=np.ones((2, 3)) * 1j, y=np.arange(2))
    np.savez("empty.npz")
    Path("latin.csv").write_bytes("k,x\nä,1\nb,2\n".encode("latin-1"))
    Path("text.npy").write_text("1,2\n")
    np.save("numbers.npy", np.ones((2, 3)))
    Path("objects.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': '|O'}")


def test_each_mistake_is_told_in_one_line(files, portnn):
    for command, code, text in TABLE:
        found, out, err = portnn(*command.split(), *(("-q",) if command.startswith("train ") else ()))
        assert found == code, (command, err)
        assert text in err, command
        assert err.startswith("portnn: error: "), command
        assert err.count("\n") == 1, command
        assert len(err) < 500, command
        assert out == "", command


def test_numbers_are_finite(files, portnn):
    commands = make_group().commands
    found = [
        (c, o) for c, command in commands.items() for o in command.params if isinstance(o.type, FloatRange)
    ]
    assert len(found) >= 7
    for command, option in found:
        for value in ("nan", "inf", "-inf", "1e400"):
            code, _, err = portnn(command, f"{option.opts[0]}={value}")
            assert (code, "Invalid value" in err) == (2, True), (command, option.opts, value)
    assert portnn("train", "flowers.csv", "--threads", 10**30)[0] == 2


def test_numbers_have_the_digits_0_to_9(files, portnn):
    """Python reads those of other scripts, and 1_0."""
    commands = make_group().commands
    found = [
        (c, o)
        for c, command in commands.items()
        for o in command.params
        if isinstance(o.type, FloatRange | IntRange)
    ]
    assert len(found) >= 15
    for command, option in found:
        for value in ("\u0663", "\uff11", "\xb2", "1_0"):
            code, _, err = portnn(command, f"{option.opts[0]}={value}")
            assert (code, "Invalid value" in err) == (2, True), (command, option.opts, value)


def test_errors_are_short_whatever_was_written(files, portnn):
    for text in ("x" * 5000, "9" * 5000):
        for command in make_group().commands:
            for arguments in ((text, text), ("flowers.csv", text), (f"--json={text}",), (f"--{text}",)):
                code, _, err = portnn(command, *arguments)
                assert code in (1, 2), (command, arguments)
                assert len(err) <= 300, (command, arguments)


def test_debug_shows_the_traceback(portnn):
    code, _, err = portnn("train", "none.csv", "--debug")
    assert code == 1
    assert "Traceback" in err
    assert err.endswith("portnn: error: none.csv: no such file or folder\n")


def test_what_nobody_has_foreseen_is_one_line_too(portnn, monkeypatch):
    def fail(**options):
        raise KeyError("surprise")

    monkeypatch.setattr(_info, "run", fail)
    code, _, err = portnn("info")
    assert (code, err) == (1, "portnn: error: KeyError: 'surprise' (--debug shows where)\n")
