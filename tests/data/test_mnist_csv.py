"""read_mnist_csv: exact round trips of real and random tables, and what it says of malformed ones."""

import gzip
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from portnn.data import DataError, _csv, load_mnist, read_mnist_csv
from tests.benchmarks import bench_csv

MNIST = Path(__file__).parents[2] / "examples" / "data" / "mnist"
HEADER = ",".join(["label", *(f"{row}x{column}" for row in range(1, 29) for column in range(1, 29))])


def row(label="7", *pixels):
    """A line with these fields in front and zeros behind."""
    fields = [label, *pixels]
    return ",".join(fields + ["0"] * (785 - len(fields)))


def text_of(labels, pixels, end="\n"):
    lines = [",".join(map(str, [label, *line])) for label, line in zip(labels, pixels.tolist(), strict=True)]
    return (end.join([HEADER, *lines]) + end).encode()


def pack(file, content, packing):
    if packing == "zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("mnist_test.csv", content)
    else:
        file.write_bytes(gzip.compress(content, 1) if packing == "gz" else content)


@pytest.fixture(scope="module")
def digits():
    images, labels = load_mnist(MNIST, "test")
    return images[:5000], labels[:5000]


@pytest.fixture(scope="module")
def digits_csv(digits, tmp_path_factory):
    file = tmp_path_factory.mktemp("csv") / "mnist_test.csv"
    bench_csv.write_csv(file, *digits)
    return file.read_bytes()


@pytest.mark.parametrize("packing", ["plain", "gz", "zip"])
def test_five_thousand_real_images_are_read_exactly(tmp_path, digits, digits_csv, packing):
    file = tmp_path / "digits.csv"
    pack(file, digits_csv, packing)
    images, labels = read_mnist_csv(file)
    assert images.dtype == labels.dtype == np.uint8
    assert images.shape == (5000, 28, 28)
    np.testing.assert_array_equal(images, digits[0])
    np.testing.assert_array_equal(labels, digits[1])


def test_pandas_reads_the_same(tmp_path, digits_csv):
    pandas = pytest.importorskip("pandas", reason="pandas is the oracle of this test")
    file = tmp_path / "digits.csv"
    file.write_bytes(digits_csv)
    table = pandas.read_csv(file).to_numpy()
    images, labels = read_mnist_csv(file)
    np.testing.assert_array_equal(labels, table[:, 0])
    np.testing.assert_array_equal(images.reshape(-1, 784), table[:, 1:])


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_usual_form_is_never_read_field_by_field(tmp_path, monkeypatch, digits, digits_csv, end):
    def parse_lines(block, line, name):
        raise AssertionError(f"line {line} took the slow way")

    monkeypatch.setattr(_csv, "_parse_lines", parse_lines)
    file = tmp_path / "digits.csv"
    for tail in (b"", end, end + end):
        file.write_bytes(digits_csv.rstrip().replace(b"\n", end) + tail)
        np.testing.assert_array_equal(read_mnist_csv(file)[0], digits[0])


@pytest.mark.slow
def test_sixty_thousand_rows_take_at_most_twice_the_time_of_pandas():
    pytest.importorskip("pandas", reason="the bound is relative to pandas")
    assert bench_csv.main(["--rounds", "3"]) <= 2.0


@settings(deadline=None, max_examples=40)
@given(data=st.data(), n=st.integers(1, 4), end=st.sampled_from(["\n", "\r\n"]), blank=st.integers(-1, 2))
def test_any_table_is_read_back(tmp_path_factory, data, n, end, blank):
    labels = data.draw(arrays(np.uint8, n, elements=st.integers(0, 9)))
    pixels = data.draw(arrays(np.uint8, (n, 784)))
    content = text_of(labels, pixels, end)
    content = content.removesuffix(end.encode()) if blank < 0 else content + end.encode() * blank
    file = tmp_path_factory.getbasetemp() / "any.csv"
    file.write_bytes(content)
    images, result = read_mnist_csv(file)
    np.testing.assert_array_equal(images, pixels.reshape(n, 28, 28))
    np.testing.assert_array_equal(result, labels)


def test_every_value_at_every_width(tmp_path):
    pixels = np.resize(np.arange(256), (1, 784))
    file = tmp_path / "x.csv"
    for width in (1, 2, 3, 4):
        fields = ["9".zfill(width), *(str(value).zfill(width) for value in pixels[0])]
        file.write_text(f"{HEADER}\n{','.join(fields)}\n")
        images, labels = read_mnist_csv(file)
        np.testing.assert_array_equal(images.reshape(1, 784), pixels)
        assert labels.tolist() == [9]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("blank", [-1, 0, 1])
def test_blocks_may_end_anywhere(tmp_path, monkeypatch, digits, end, blank):
    images, labels = digits[0][:40], digits[1][:40]
    content = text_of(labels, images.reshape(40, 784), end)
    content = content.removesuffix(end.encode()) if blank < 0 else content + end.encode() * blank
    file = tmp_path / "x.csv"
    file.write_bytes(content)
    for block in [*range(5000, 5060), len(content) - len(HEADER) - 2, len(content)]:
        monkeypatch.setattr(_csv, "_BLOCK", block)
        result = read_mnist_csv(file)
        np.testing.assert_array_equal(result[0], images)
        np.testing.assert_array_equal(result[1], labels)


def test_a_byte_order_mark_and_other_pixel_names_are_accepted(tmp_path):
    header = ",".join(["label", *(f"pixel{i}" for i in range(784))])
    file = tmp_path / "x.csv"
    file.write_bytes(b"\xef\xbb\xbf" + f"{header}\n{row('3', '255')}\n".encode())
    images, labels = read_mnist_csv(file)
    assert (labels.tolist(), int(images[0, 0, 0]), int(images.sum())) == ([3], 255, 255)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_without_a_header_is_read(tmp_path, digits, mark, end):
    images, labels = digits[0][:700], digits[1][:700]
    content = text_of(labels, images.reshape(-1, 784), end).split(end.encode(), 1)[1]
    file = tmp_path / "x.csv"
    for tail in (content, content.rstrip(), content + end.encode()):
        file.write_bytes(mark + tail)
        found = read_mnist_csv(file)
        np.testing.assert_array_equal(found[0], images)
        np.testing.assert_array_equal(found[1], labels)
    file.write_bytes(mark + row("3", "255").encode())
    assert [a.sum() for a in read_mnist_csv(file)] == [255, 3]


def csv(*lines):
    return "\n".join([HEADER, *lines]).encode() + b"\n"


GOOD = row()
MALFORMED = {
    "empty": (b"", ": the file is empty"),
    "empty gzip": (gzip.compress(b""), ": the file is empty"),
    "header only": (csv(), ": no rows follow the header"),
    "header and blank lines": (csv("", "", ""), ": no rows follow the header"),
    "short row without a header": (
        b"7,0,0\n" + GOOD.encode(),
        ", line 1: the row has 3 fields, expected 785",
    ),
    "pixel without a header": (f"{row('7', '256')}\n".encode(), ", line 1: pixel '256' is over 255"),
    "second row": (f"{GOOD}\n{row('10')}\n".encode(), ", line 2: label '10' is over 9"),
    "binary": (bytes([0, 0, 8, 3]) * 9, ", line 1: expected the header .* found '.x00"),
    "blank first line": (b"\n" + csv(GOOD), ", line 1: expected the header"),
    "short header": (b"label,1x1\n" + GOOD.encode(), ", line 1: the header has 2 columns, expected 785"),
    "ragged row": (csv(GOOD, GOOD, "7,1,2"), ", line 4: the row has 3 fields, expected 785"),
    "row with a field more": (csv(GOOD, GOOD + ",0"), ", line 3: the row has 786 fields"),
    "one more, then one fewer": (csv(GOOD + ",0", GOOD[:-2], GOOD), ", line 2: the row has 786 fields"),
    "row of 1570 fields": (csv(GOOD + "," + GOOD), ", line 2: the row has 1570 fields"),
    "last row cut short": (csv(GOOD, GOOD)[:-3], ", line 3: the row has 784 fields"),
    "blank line inside": (csv(GOOD, "", GOOD), ", line 3: blank line before the last row"),
    "blank line after the header": (csv("", GOOD), ", line 2: blank line"),
    "pixel 256": (csv(GOOD, row("7", "256")), ", line 3: pixel '256' is over 255"),
    "pixel 260": (csv(row("7", "260")), ", line 2: pixel '260' is over 255"),
    "pixel 300": (csv(row("7", "300")), ", line 2: pixel '300' is over 255"),
    "pixel 999": (csv(row("7", "999")), ", line 2: pixel '999' is over 255"),
    "pixel 1000": (csv(row("7", "1000")), ", line 2: pixel '1000' is over 255"),
    "very long pixel": (csv(row("7", "1" * 9000)), ", line 2: pixel '11111111111111111111'... is over 255"),
    "label 10": (csv(GOOD, GOOD, row("10")), ", line 4: label '10' is over 9"),
    "label 266": (csv(row("266")), ", line 2: label '266' is over 9"),
    "word": (csv(GOOD, row("7", "ink")), ", line 3: pixel 'ink' is not a whole number"),
    "label is a word": (csv(row("seven")), ", line 2: label 'seven' is not a whole number"),
    "fraction": (csv(row("7", "1.5")), ", line 2: pixel '1.5' is not a whole number"),
    "exponent": (csv(row("7", "1e2")), ", line 2: pixel '1e2' is not a whole number"),
    "underscore": (csv(row("7", "1_0")), ", line 2: pixel '1_0' is not a whole number"),
    "space": (csv(row("7", " 1")), ", line 2: pixel ' 1' is not a whole number"),
    "semicolon": (csv(GOOD[::-1].replace(",", ";", 1)[::-1]), ", line 2: the row has 784 fields"),
    "semicolons": (csv(GOOD.replace(",", ";")), ", line 2: the row has 1 fields"),
    "quotes": (csv(row('"7"')), ", line 2: label '\"7\"' is not a whole number"),
    "empty label": (csv(row("")), ", line 2: label '' is not a whole number"),
    "empty pixel": (csv(row("7", "")), ", line 2: pixel '' is not a whole number"),
    "empty last pixel": (csv(GOOD[:-1]), ", line 2: pixel '' is not a whole number"),
    "negative pixel": (csv(row("7", "-1")), ", line 2: negative pixel '-1', expected 0 to 255"),
    "negative label": (csv(row("-1")), ", line 2: negative label '-1', expected 0 to 9"),
    "minus alone": (csv(row("7", "-")), ", line 2: pixel '-' is not a whole number"),
    "not ASCII": (csv(row("7", "\u0663")), ", line 2: pixel '.*xd9.*' is not a whole number"),
    "carriage return inside": (csv(row("7", "1\r")), ", line 2: pixel '1.r' is not a whole number"),
    "no end of line": (csv("1" * 600_000), ", line 2: .* bytes without a row of 785 fields"),
    "gzip cut short": (gzip.compress(csv(GOOD))[:-9], ": damaged gzip file"),
    "broken zip": (b"PK\x03\x04" + csv(GOOD), ": damaged zip file"),
}


@pytest.mark.parametrize(("content", "message"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_files_are_explained_with_file_and_line(tmp_path, content, message):
    file = tmp_path / "bad.csv"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_mnist_csv(file)
    text = str(caught.value)
    assert re.search("bad.csv" + message, text), text
    assert len(text) < 300


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_line_is_right_far_into_the_file(tmp_path, digits_csv, end):
    lines = digits_csv.split(b"\n")
    lines[4320] = lines[4320].replace(b",0,", b",x,", 1)
    file = tmp_path / "x.csv"
    file.write_bytes(end.join(lines))
    with pytest.raises(DataError, match=r"x\.csv, line 4321: pixel 'x' is not"):
        read_mnist_csv(file)


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent: no such file"):
        read_mnist_csv(tmp_path / "absent")
    with pytest.raises(IsADirectoryError, match="is a folder, expected a file"):
        read_mnist_csv(tmp_path)
    with pytest.raises(TypeError, match="file must be a str or a path, got bytes"):
        read_mnist_csv(b"x.csv")
