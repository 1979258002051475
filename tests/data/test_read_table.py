"""Tables from CSV and Parquet files, arrays, and pictures."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from portnn.data import DataError, Table, read_arrays, read_image, read_table


def read(tmp_path, text, **options):
    file = tmp_path / "a.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(file, **options)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a,b\n1,2\n", True), ("1,2\n3,4\n", False),
        ("a,b\nx,y\n", True), ("1,x\n2,y\n", False),
        ("0,1,label\n5,6,x\n", False), ("label,1x1\n5,6\n", True), ("1,\n2,3\n", False),
    ],
)  # fmt: skip
def test_whether_there_are_names(text, named, tmp_path):
    assert read(tmp_path, text).named is named


def test_the_look_can_be_overruled(tmp_path):
    assert read(tmp_path, "0,1\n5,6\n", header=True).names == ("0", "1")
    assert read(tmp_path, "a,b\nc,d\n", header=False).rows == 2


@pytest.mark.parametrize("text", ["a;b\n1;2,5\n", "a\tb\n1\t2,5\n"])
def test_other_marks_and_what_is_no_number_is_text(text, tmp_path):
    table = read(tmp_path, text)
    assert table.column("a").tolist() == [1.0]
    assert table.column("b").tolist() == ["2,5"]


def test_quotes_blank_lines_a_mark_of_bytes_and_missing_values(tmp_path):
    text = '\ufeffname,x\r\n"Doe, J.",1\r\n\r\n"Roe ""R""",\r\n'
    table = read(tmp_path, text)
    assert table.names == ("name", "x")
    assert table.column("name").tolist() == ["Doe, J.", 'Roe "R"']
    np.testing.assert_array_equal(table.column("x"), [1.0, np.nan])
    with pytest.raises(DataError, match=r"column 'x' has no finite number in row 2 \(line 4\); "):
        table.numbers(["x"])
    with pytest.raises(DataError, match=r"column 'name' holds text, 'Doe, J\.' in row 1 \(line 2\)"):
        table.numbers(["name"])


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("1,2\n3,4\n", [1, 2]), ("a,b\n1,2\n3,4\n", [2, 3]), ("\n\na,b\n\n1,2\n \n\n3,4\n\n", [5, 8]),
        ("a,b\n\nx,2\n\ny,4\n", [3, 5]), ('a,b\n"x\ny",2\n\nz,4\n', [2, 5]), ("a,b\r\n1,\r\n\r\n3,4", [2, 4]),
    ],
)  # fmt: skip
def test_the_lines_that_rows_begin_in(text, lines, tmp_path):
    assert read(tmp_path, text).lines.tolist() == lines


def test_both_ways_of_reading_agree(tmp_path):
    rng = np.random.default_rng(0)
    numbers = np.round(rng.normal(size=(50, 3)) * 10.0 ** rng.integers(-9, 9, (50, 3)), 12)
    rows = [",".join(map(repr, row)) for row in numbers.tolist()]
    fast = read(tmp_path, "a,b,c\n" + "\n".join(rows))
    slow = read(tmp_path, "a,b,c,d\n" + "\n".join(f"{row},x" for row in rows))
    np.testing.assert_array_equal(fast.numbers("abc", "float64"), numbers)
    np.testing.assert_array_equal(slow.numbers("abc", "float64"), numbers)


def test_text_far_below(tmp_path):
    table = read(tmp_path, "a,b\n" + "1,2\n" * 100 + "oops,2\n")
    with pytest.raises(DataError, match=r"column 'a' holds text, 'oops' in row 101 \(line 102\)"):
        table.numbers(["a"])


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (("1_000", "2"), "holds text, '1_000' in row 1"),
        (("", "2_0"), "holds text, '2_0' in row 2"),
        (("1", "2"), "holds text, '1' in row 1"),  # numbers as text, such as in Parquet files
        (("", ""), "column 'x' is empty"),
    ],
)
def test_text_is_shown_where_it_stands(column, message):
    table = Table("here", ("x",), (np.asarray(column),), True)
    with pytest.raises(DataError, match=message):
        table.numbers(["x"])


def test_packed(tmp_path):
    file = tmp_path / "a.csv.gz"
    file.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert read_table(file).numbers(["b"]).tolist() == [[2.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"), ("a,b\n", "no rows follow"),
        ("a,a\n1,2\n", "two columns have the name 'a'"),
        ("a,b\n1,2\n1\n", "line 3: the row has 1 fields, expected 2"),
        ('\na,b,c\n1,2,3\n\n3,"4\n5,6\n7,8', "line 5: the row has 2 fields, expected 3"),
        ("a;b\r\n\r\n1;x\r\n\r\n1;2;3\r\n", "line 5: the row has 3 fields, expected 2"),
        (b"a,b\n\xff,2\n", "not UTF-8"),
    ],
)  # fmt: skip
def test_what_is_refused(text, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    file = tmp_path / "a.parquet"
    parquet.write_table(pa.table({"k": ["x", "y"], "n": [1, None], "b": [True, False]}), file)
    table = read_table(file)
    assert table.column("k").tolist() == ["x", "y"]
    np.testing.assert_array_equal(table.column("n"), [1.0, np.nan])
    assert table.column("b").tolist() == [1.0, 0.0]
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match="not a whole Parquet file"):
        read_table(file)


def test_objects_in_arrays_are_refused(tmp_path):
    file = tmp_path / "a.npy"
    np.save(file, np.asarray([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="no whole file of NumPy arrays"):
        read_arrays(file)
    file.write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(DataError, match="no whole file"):
        read_arrays(file)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_arrays(tmp_path / "none.npy")


def test_shapes_of_pictures(tmp_path):
    image = pytest.importorskip("PIL.Image")
    file = tmp_path / "a.png"
    image.new("RGB", (10, 20), (255, 0, 0)).save(file)
    assert read_image(file, (3, 4, 5)).tolist() == [[[255] * 5] * 4, [[0] * 5] * 4, [[0] * 5] * 4]
    assert read_image(file, (1, 4, 5)).shape == (1, 4, 5)
    with pytest.raises(ValueError, match="a picture has the shape"):
        read_image(file, (5,))
