"""Files whose headers were made to take memory: refused for little, whatever stands in them."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import tracemalloc
from copy import copy
from hashlib import sha256
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile

import numpy as np
import pytest

from portnn import CheckpointError, Network
from portnn.nn import BatchNorm, Linear
from portnn.serialize import load_npz, load_tensors, save_npz, save_tensors
from portnn.train.callbacks import ModelCheckpoint

LEAST = 22_000_000  # bytes that reading the header of the smallest file may take
SHARE = 0.5  # of larger files
ROOM = 2 << 20


def many(n, piece):
    """A list of the same value again and again, in n bytes."""
    return "[" + ",".join([piece] * (n // (len(piece) + 1))) + "]"


SHAPES = {
    "objects": lambda n: many(n, "{}"),
    "lists": lambda n: many(n, "[]"),
    "pairs": lambda n: many(n, '{"":0}'),
    "names": lambda n: "{" + ",".join([f'"{i:x}":0' for i in range(n // 9)]) + "}",
    "same name": lambda n: "{" + ",".join(['"a":0'] * (n // 6)) + "}",
    "texts": lambda n: many(n, '"ab"'),
    "numbers": lambda n: many(n, "0.5"),
    "huge integers": lambda n: many(n, "9" * 4000),
    "one integer": lambda n: "[" + "9" * n + "]",
    "long": lambda n: '["' + "a" * n + '"]',
    "wide": lambda n: '["' + "a" * n + '\\ud83d\\ude00"]',  # a smiley, so that each letter takes four bytes
    "escapes": lambda n: '["' + "\\n" * (n // 2) + '"]',
    "deep": lambda n: "[" * (n // 2) + "]" * (n // 2),
    "deep again": lambda n: many(n, "[" * 900 + "]" * 900),
}


def crafted(kind, n, size, inside):
    """A file of about `size` bytes whose header has about n, perhaps as text inside; digests are right."""
    rest = bytes(max(0, size - n - 1000))
    entry = f'"t":{{"dtype":"U8","shape":[{len(rest)}],"data_offsets":[0,{len(rest)}]}}'
    digest = f'{{\\"t\\":\\"{sha256(rest).hexdigest()}\\"}}'
    tail = f'"portnn.tensors":"{digest}","portnn.sha256":"{"0" * 64}"}},{entry}'
    body = SHAPES[kind](n)
    if inside:
        text = json.dumps('{"x":' + body + "}")
        text = json.dumps('{"x":' + SHAPES[kind](n * n // len(text)) + "}") if len(text) > n + 20 else text
        head = '{"__metadata__":{"portnn":' + text + "," + tail + "}"
    else:
        head = '{"__metadata__":{"portnn":"{}",' + tail + ',"a":' + body + "}"
    raw = struct.pack("<Q", len(head.encode())) + head.encode()
    zeros = b'"portnn.sha256":"' + b"0" * 64
    return raw.replace(zeros, zeros[:-64] + sha256(raw).hexdigest().encode()) + rest


def peak_of(path, load):
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as caught:
            load(path)
        assert len(str(caught.value).replace(str(path), "")) < 300
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside"])
@pytest.mark.parametrize("kind", SHAPES)
def test_crafted_headers_take_little(kind, inside, tmp_path, request):
    path = tmp_path / "x"
    large = [8_000_000, 50_000_000] if request.config.getoption("--slow") else []
    for size in [100_000, 190_000, 590_000, 3_000_000, *large]:
        for n in {min(size, ROOM) - 5000, size - 5000}:
            path.write_bytes(crafted(kind, n, size + 5000, inside))
            peak = peak_of(path, Network.load)
            print(f"{size:,} bytes, header of {n:,}: {peak / 1e6:.1f} MB")
            assert peak < max(LEAST, SHARE * size), (size, n)


MEASURE = """
import sys
from pathlib import Path
from portnn import CheckpointError, Network

def memory(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

before = memory("VmRSS")
for path in sys.argv[1:]:
    try:
        Network.load(path)
    except CheckpointError:
        continue
    raise SystemExit("loaded")
print(memory("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells it in /proc")
def test_the_system_sees_little_memory_too(tmp_path, request):
    size = 50_000_000 if request.config.getoption("--slow") else 8_000_000
    for i, kind in enumerate(SHAPES):
        for n in (ROOM - 5000, size - 5000):
            (tmp_path / f"{i} {n}").write_bytes(crafted(kind, n, size, i % 2 == 0))
    files = [str(path) for path in tmp_path.iterdir()]
    command = [sys.executable, "-c", MEASURE, *files]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    print(f"{len(files)} files of {size:,} bytes: {int(ran.stdout) / 1e6:.1f} MB")
    assert int(ran.stdout) < 2 * LEAST


@pytest.mark.parametrize("depth", [50, 140, 400, 900, 940, 960, 980, 10_000])
def test_descriptions_of_any_depth_are_refused_with_the_one_error(depth, tmp_path):
    path = tmp_path / "x"
    Network([Linear(2, 2)]).save(path)
    arrays, description = load_tensors(path)
    for name in ("layers", "loss", "notes", "kind"):
        deep: dict = {}
        for _ in range(depth):
            deep = {"is": "Sequential", "layers": [deep]}
            if depth > 400:
                deep = [deep["layers"][0]]
        if depth > 140:
            with pytest.raises(ValueError, match="the description is nested deeper than 300 levels"):
                save_tensors(path, arrays, {**description, name: deep})
            continue
        save_tensors(path, arrays, {**description, name: deep})
        if name == "notes" and isinstance(deep, dict):
            assert Network.load(path).notes == deep
        else:
            with pytest.raises(CheckpointError):
                Network.load(path)


def test_save_refuses_what_load_would(tmp_path):
    path = tmp_path / "x"
    net = Network([Linear(2, 2)])
    net.save(path)
    before = path.read_bytes()
    for notes in ({"long": "a" * ROOM}, {"list": [0] * 150_000}):
        net.notes = notes
        with pytest.raises(
            ValueError, match=r"cannot save: names and description take .* may have 2,097,152"
        ) as caught:
            net.save(path)
        assert len(str(caught.value)) < 300
    assert path.read_bytes() == before


@pytest.mark.parametrize(("start", "more"), [("a" * (ROOM - 290), "a"), ([0] * (ROOM // 16 - 60), [0])])
def test_the_longest_header_that_can_be_saved_can_be_loaded(start, more, tmp_path):
    path, longest = tmp_path / "x", start
    while True:
        try:
            save_tensors(path, {"w": np.zeros(8)}, {"notes": longest})
        except ValueError:
            break
        assert load_tensors(path)[1] == {"notes": longest}
        longest = longest + more
    assert len(longest) > len(start), "some could be saved"


@pytest.mark.slow
def test_large_networks_may_have_more(tmp_path):
    path = tmp_path / "x"
    net = Network([Linear(1000, 40_000)])  # 160 MB, of which a 64th is more
    net.notes = {"long": "a" * (ROOM + 1000)}
    net.save(path)
    assert Network.load(path).notes == net.notes


def test_deep_networks_and_long_histories_fit(tmp_path):
    path = tmp_path / "x"
    layers = [layer for _ in range(300) for layer in (Linear(4, 4), BatchNorm(4))]
    Network(layers).save(path)
    assert len(Network.load(path).params) == 600
    keeper = ModelCheckpoint(str(tmp_path / "network-{epoch:06d}.safetensors"))
    keeper.saved = [str(tmp_path / f"network-{i:06d}.safetensors") for i in range(100_000)]
    data = keeper.state_dict()
    history = {f"history.{i}": np.zeros(100_000) for i in range(4)}
    save_tensors(path, history, {"callbacks": [data]})
    assert load_tensors(path)[1]["callbacks"][0]["saved"] == keeper.saved[-1000:]


def listed_again(archive, member, name):
    """The same member under another name, as a crafted archive has it."""
    again = copy(member)
    again.filename = name
    archive.filelist.append(again)


def test_a_crafted_list_of_members_takes_little(tmp_path):
    path = tmp_path / "x.npz"
    for count, size in ((60_000, 4_000_000), (15_000, 0)):
        with ZipFile(path, "w") as archive:
            archive.writestr("a.npy", bytes(size))
            [member] = archive.infolist()
            for i in range(count):
                listed_again(archive, member, f"{i:x}.npy")
        peak = peak_of(path, load_npz)
        print(f"{count:,} members: {peak / 1e6:.1f} MB")
        assert peak < LEAST, count


def test_members_that_claim_more_than_they_have_take_nothing(tmp_path):
    path = tmp_path / "x.npz"
    head = (
        b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000,), }".ljust(117)
        + b"\n"
    )
    long = b"\x93NUMPY\x02\x00" + struct.pack("<I", 100_000_000) + b" " * 100_000_000
    for content, packing, size, text in (
        (head, ZIP_DEFLATED, len(head), "member 'a' is shorter than its array"),
        (head, ZIP_DEFLATED, len(head) + 8 * 10**10, "member 'a' cannot hold 80,000,000,128 bytes"),
        (head + bytes(800), ZIP_BZIP2, None, "is shorter|cannot hold"),
        (long, ZIP_DEFLATED, None, "no whole .npz file of numbers"),
    ):
        with ZipFile(path, "w", packing) as archive:
            archive.writestr("a.npy", content)
            archive.infolist()[0].file_size = len(content) if size is None else size
        tracemalloc.start()
        with pytest.raises(CheckpointError, match=text):
            load_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        tracemalloc.stop()


def test_members_over_each_other_and_arrays_of_text_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, a=np.zeros(1000))
    with ZipFile(path, "a") as archive:
        [member] = archive.infolist()
        listed_again(archive, member, "b.npy")
        archive._didModify = True
    with pytest.raises(CheckpointError, match="members overlap"):
        load_npz(path)
    np.savez(path, a=np.asarray(["x" * 1000]))
    with pytest.raises(CheckpointError, match="an array of <U1000"):
        load_npz(path)


def test_an_npz_of_more_names_than_can_be_read_is_not_written(tmp_path):
    path = tmp_path / "x.npz"
    names = {f"{i:0200d}": np.zeros(1) for i in range(4500)}
    with pytest.raises(
        ValueError, match=r"its list of names takes 1,1\d\d,\d\d\d bytes, .* may have 1,048,576"
    ):
        save_npz(path, names)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 400 + ".0", "NaN", "Infinity"])
def test_numbers_beyond_float64_are_refused(number, tmp_path):
    """Python reads 1e400 as infinity, which could not be written again."""
    path = tmp_path / "x"
    save_tensors(path, {"w": np.ones(2)}, {"a": [12345]})
    zeros, raw = b'"portnn.sha256":"' + b"0" * 64, path.read_bytes()
    n = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8 : 8 + n])
    head["__metadata__"]["portnn"] = '{"a": [' + number + "]}"
    head["__metadata__"]["portnn.sha256"] = "0" * 64
    text = json.dumps(head, separators=(",", ":")).encode()
    new = struct.pack("<Q", len(text)) + text
    new = new.replace(zeros, zeros[:-64] + sha256(new).hexdigest().encode())
    path.write_bytes(new + raw[8 + n :])
    with pytest.raises(CheckpointError, match=r"is beyond float64|is no number of JSON"):
        load_tensors(path)
