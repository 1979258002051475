"""What a user may get wrong: one line on standard error, and the exit code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from portnn.cli import _info

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
        assert out == "", command


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
