"""What is fuzzed: readers of files and the command line, each with valid inputs to start from.

A target takes bytes and returns, whatever they are. It fails by raising: any exception but the documented
one, an error text that is too long, or an object that does not survive its own writer.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from portnn import CheckpointError, Network, optim, tree
from portnn.cli import main
from portnn.data import DataError, read_arrays, read_table
from portnn.nn import BatchNorm, Conv2d, Dropout, Embedding, Flatten, Linear, Repeat, Reshape, relu
from portnn.serialize import checkpoints, load_npz, load_tensors, save_tensors, verify
from portnn.train.callbacks import Checkpoint, EarlyStopping, ReduceLROnPlateau
from tests.serialize.forging import forged

LONGEST_ERROR = 300  # characters, without the path
WHOLE = re.compile(rb'"portnn\.sha256":"[0-9a-f]{64}"')
X = np.random.default_rng(0).normal(size=(12, 16)).astype(np.float32)
Y = np.arange(12) % 3
SMALL = [Reshape((1, 4, 4)), Conv2d(1, 2, 3), BatchNorm(2), relu, Flatten(), Dropout(0.1), Linear(8, 3)]


@dataclass(frozen=True)
class Target:
    """A function of bytes to fuzz, and valid inputs for it.

    Attributes:
        name: its name on the command line.
        make_seeds: returns valid inputs; it is called once, in an empty folder.
        run: takes an input and raises if portnn is at fault.
        words: fragments of inputs of this kind.
        change: returns a changed input of the same kind, by a seed; None to change bytes only.
    """

    name: str
    make_seeds: Callable[[], list[bytes]]
    run: Callable[[bytes], None]
    words: Sequence[bytes] = ()
    change: Callable[[bytes, int], bytes] | None = None


def check_error(error: Exception, path: Path) -> None:
    """Check that an error text is short and not empty."""
    text = str(error).replace(str(path), "")
    assert text, "the error says nothing"
    assert len(text) < LONGEST_ERROR, f"the error has {len(text)} characters: {text[:400]}"


# Files of networks and checkpoints: the header is fuzzed and its digest made right, since a reader looks no
# further than a wrong digest. The tensors behind it are those of a valid file; the first byte selects which.


def sign(header: bytes) -> bytes:
    """Return the length and the header with the digest that belongs to them."""
    zeros = b'"portnn.sha256":"' + b"0" * 64 + b'"'
    raw = struct.pack("<Q", len(header)) + WHOLE.sub(zeros, header)
    return raw.replace(zeros, zeros[:-65] + sha256(raw).hexdigest().encode() + b'"')


def split(raw: bytes) -> tuple[bytes, bytes]:
    """Return the header of a file and what lies behind it."""
    end = 8 + struct.unpack("<Q", raw[:8])[0]
    return raw[8:end], raw[end:]


class Signed:
    """Files whose headers are replaced."""

    def __init__(self, write: Callable[[], list[Path]], read: Callable[[Path], None]) -> None:
        self.write, self.read = write, read
        self.bodies: list[bytes] = []

    def make_seeds(self) -> list[bytes]:
        pairs = [split(path.read_bytes()) for path in self.write()]
        self.bodies = [body for _, body in pairs]
        return [bytes([i]) + header for i, (header, _) in enumerate(pairs)]

    def change(self, data: bytes, seed: int) -> bytes:
        """Change one value of the header, which stays JSON; the input itself if it is not JSON any more."""
        try:
            return data[:1] + split(forged(sign(data[1:]), np.random.default_rng(seed)))[0]
        except (ValueError, KeyError, TypeError, IndexError):
            return data

    def run(self, data: bytes) -> None:
        body = self.bodies[data[0] % len(self.bodies)] if data else b""
        path = Path("fuzzed.safetensors")
        path.write_bytes(sign(data[1:]) + body)
        try:
            self.read(path)
        except CheckpointError as error:
            check_error(error, path)


def write_networks() -> list[Path]:
    stacks = [SMALL, [Embedding(5, 4), Flatten(), Linear(8, 2)], [Repeat(Linear(3, 3), 2), relu]]
    for i, layers in enumerate(stacks):
        Network(layers, seed=i).save(f"net{i}.safetensors")
    return [Path(f"net{i}.safetensors") for i in range(len(stacks))]


def read_network(path: Path) -> None:
    """Load a network; one that loads can be saved and loads again with the same parameters."""
    net = Network.load(path)
    verify(path)
    net.save("again.safetensors")
    again = Network.load("again.safetensors")
    assert again.layer == net.layer
    for old, new in zip(tree.leaves(net.params), tree.leaves(again.params), strict=True):
        assert np.array_equal(old, new, equal_nan=True)


def fit(resume: Path | None = None) -> Network:
    net = Network(SMALL, seed=4)
    callbacks = [ReduceLROnPlateau("loss", patience=1), EarlyStopping("loss", patience=9)]
    callbacks += [] if resume else [Checkpoint("run", every_steps=2, keep=None)]
    options = {"epochs": 2, "batch_size": 6, "compile": False, "optimizer": optim.adam(0.01)}
    net.fit(X, Y, callbacks=callbacks, resume=resume, progress=False, **options)
    return net


def write_checkpoints() -> list[Path]:
    fit()
    return list(checkpoints("run"))


def write_tensors() -> list[Path]:
    full, empty = Path("tensors.safetensors"), Path("empty.safetensors")
    save_tensors(full, {"a": {"b": np.ones((2, 3))}, "c": np.arange(4, dtype=np.int8)}, {"version": 1})
    save_tensors(empty, {"empty": np.zeros((0, 3), np.float16)}, {})
    return [full, empty]


def read_tensors(path: Path) -> None:
    arrays, description = load_tensors(path)
    verify(path)
    save_tensors("again.safetensors", arrays, description)


# Arrays: a `.npy` file as it is, and the same bytes as a member of a `.npz` file with the right checksum.


def make_arrays() -> list[bytes]:
    seeds = []
    for array in (np.ones((2, 3)), np.arange(5, dtype=">i4"), np.asarray(["a", "bc"]), np.asfortranarray(X)):
        stream = io.BytesIO()
        np.save(stream, array)
        seeds.append(stream.getvalue())
    stream = io.BytesIO()
    np.savez_compressed(stream, x=X, y=Y)
    return [*seeds, stream.getvalue()]


def run_arrays(data: bytes) -> None:
    plain, packed = Path("fuzzed.npy"), Path("fuzzed.npz")
    plain.write_bytes(data)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x.npy", data)
    for reader, path, expected in (
        (read_arrays, plain, DataError),
        (read_arrays, packed, DataError),
        (load_npz, plain, CheckpointError),
        (load_npz, packed, CheckpointError),
    ):
        try:
            reader(path)
        except expected as error:
            check_error(error, path)


# Tables.

TABLES = (
    "kind,length,width\ncat,1.5,2\nhen,3.25,4\ncat,2,1e3\n",
    '"a;b";"c"\n1,5;"x ""y"" z"\n2,5;"two\nlines"\n',
    "\ufeff1\t2\t?\r\n3\t4\t5\r\n",
    "sep=;\na;b\n1;NA\n9007199254740993;2\n",
    "  0.00632  18.00   2.310  0\n  0.02731   0.00   7.070  1\n",
)
TABLE_WORDS = (
    b'"', b'""', b";", b",", b"\t", b"\n", b"\r\n", b"\r", b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b"nan",
    b"NA", b"inf", b"1e400", b"0x10", b"1_000", b"\xc2\xb2", b"\x1c", b"7,404", b"1,5", b"sep=;\n", b"#",
)  # fmt: skip


def run_table(data: bytes) -> None:
    path = Path("fuzzed.csv")
    path.write_bytes(data)
    try:
        table = read_table(path)
    except DataError as error:
        check_error(error, path)
        return
    assert table.names
    assert len(table.names) == len(table.columns)
    assert {len(column) for column in table.columns} == {table.rows}
    assert table.rows > 0


# The command line: a line of arguments, then the table that they may name. Slashes are removed, so that no
# file outside the folder is touched. What decides the time that a command takes is passed last, and counts.

COMMANDS = (
    "train t.csv --label kind --layers 4",
    "train t.csv --task regression --label length --optimizer sgd --momentum 0.9 --schedule cosine -q",
    "train t.csv --no-header --drop 2 --label 1,3 --validation 0.5 --patience 1 --clip-norm 1 --restart",
    "predict net.safetensors t.csv --json",
    "evaluate net.safetensors t.csv --label kind",
    "summary net.safetensors --shape 28,28",
    "compare net.safetensors --dtypes float32,float64 --gradient",
    "export net.safetensors out.onnx --shape 4",
    "info --json",
    "--version",
)
COMMAND_WORDS = (
    *(word.encode() for line in COMMANDS for word in line.split()), *TABLE_WORDS, b"--debug", b"--help",
    b"1e308", b"99999999999999999999", b"--resume", b"--output", b"--backend", b"array_api_strict", b"torch",
)  # fmt: skip
LAST = {"train": ["--epochs", "1", "--threads", "1"], "bench": ["--seconds", "0.01"]}


def make_commands() -> list[bytes]:
    Path("seed.csv").write_text(TABLES[0])
    with quiet():
        assert main(["train", "seed.csv", "--label", "kind", "--epochs", "1", "-o", "seed.safetensors"]) == 0
    return [line.encode() + b"\n" + table.encode() for line in COMMANDS for table in TABLES[:2]]


def arguments_of(line: bytes) -> list[str]:
    text = line.decode("utf-8", "surrogateescape").replace("/", "").replace("..", "").replace("\x00", "")
    arguments = text.split(" ")
    return arguments + LAST.get(arguments[0], [])


def run_commands(data: bytes) -> None:
    line, _, table = data.partition(b"\n")
    arguments = arguments_of(line)
    if arguments[0] in ("completion", "draw"):
        return
    Path("t.csv").write_bytes(table)
    Path("net.safetensors").write_bytes(Path("seed.safetensors").read_bytes())
    with quiet() as (_, errors):
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code
    said = errors.getvalue()
    assert code in (0, 1, 2), f"exit code {code} of {arguments}"
    assert "--debug shows where" not in said, f"unforeseen: {arguments}: {said[-400:]}"
    assert code == 0 or said.strip(), f"exit code {code} and no error: {arguments}"
    for path in Path().iterdir():
        if path.is_file() and path.name != "seed.safetensors":
            path.unlink()


@contextlib.contextmanager
def quiet():
    """Keep what a command prints."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        yield out, errors


def signed(name: str, write: Callable[[], list[Path]], read: Callable[[Path], None]) -> Target:
    """Return a target of files whose headers are fuzzed."""
    files = Signed(write, read)
    words = b"Linear is F32 BF16 I64 shape dtype data_offsets 9223372036854775807 -1 1e400".split()
    return Target(name, files.make_seeds, files.run, words, files.change)


def resume(path: Path) -> None:
    fit(path)


TARGETS = {
    target.name: target
    for target in (
        signed("networks", write_networks, read_network),
        signed("resume", write_checkpoints, resume),
        signed("tensors", write_tensors, read_tensors),
        Target(
            "arrays",
            make_arrays,
            run_arrays,
            (b"descr", b"shape", b"<f8", b"|O", b"(True,)", b"((((", b"\x93NUMPY"),
        ),
        Target("tables", lambda: [table.encode() for table in TABLES], run_table, TABLE_WORDS),
        Target("commands", make_commands, run_commands, COMMAND_WORDS),
    )
}
os.environ["NO_COLOR"] = "1"
