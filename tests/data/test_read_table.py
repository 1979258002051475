"""Tables from CSV and Parquet files, arrays, and pictures."""

from __future__ import annotations

import csv
import gzip
import os
import struct
import sys
import tracemalloc
from io import StringIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from portnn.data import DataError, Table, read_arrays, read_image, read_table

pytest.importorskip("pandas", reason="tables are read by pandas")


def read(tmp_path, text, **options):
    file = tmp_path / "a.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(file, **options)


def columns_of(table):
    return [column.tolist() for column in table.columns]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a,b\n1,2\n", True), ("1,2\n3,4\n", False),
        ("a,b\nx,y\n", True), ("1,x\n2,y\n", False),
        ("0,1,label\n5,6,x\n", False), ("label,1x1\n5,6\n", True), ("1,\n2,3\n", False),
        ("label,0,1,2\n7,0,0,0\n", True), ("place,1/22/20\nRome,0\n", True), ("day,x\n2020-01-02,y\n", True),
        (",a,b\n0,1,2\n1,3,4\n", True), (",name\n0,bob\n1,amy\n", True), ("name,city,\nbob,paris,\n", True),
        ("NA,Mg\n1,2\n", True), ("a\n?\n1\n", True), ("1\n", False), ("?,1.5,0\n2.0,1.7,1\n", False),
        ("?,?,a\n1,2,b\n", False), ("NA,1\n2,3\n", False), ("1,5;2,5\n3,5;4,5\n", False), ("?\n1\n", False),
        ("2020-01-01,x\n2020-01-02,y\n", False), ("3rd St,x\n5th St,y\n", False), ("$5;x\n$6;y\n", False),
        ("p,x,s\ne,x,y\np,y,s\n", False), ("yes\nno\nyes\n", False), ("p,\ne,\np,\n", False),
        ("\x1c25,1\n26,2\n", False), ("1_000,1\n2,2\n", False), ("\u0663,1\n2,2\n", False),
    ],
)  # fmt: skip
def test_whether_there_are_names(text, named, tmp_path):
    table = read(tmp_path, text)
    assert table.named is named
    assert table.rows == text.count("\n") - named
    assert table.header == ("first row taken as header" if named else "first row taken as data")
    assert table.guessed
    assert not read(tmp_path, text, header=named).guessed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("oops,1.5,0\n2,1,1\n", "in the first row 'oops' stands above a number, but '1.5' is a number"),
        ("oops,1,0\n2,1,1\n", "'oops' stands above a number, but '1' is a number"),
        ("0x1A,1_000\n1,2\n", "the first row has '0x1A'"),
        ("\u0663,\u0664\n1,2\n", "cannot tell"), (",bob\n1,amy\n", "a field of the first row is missing"),
        ("bob,rome\namy,rome\n", "'rome' of the first row occurs in other rows, too"),
        ("-,a\n1,b\n", "a field of the first row is missing"), ("NA,b\n1,c\n", "is missing"),
    ],
)  # fmt: skip
def test_a_header_that_could_be_data_is_asked_for(text, why, tmp_path):
    with pytest.raises(DataError, match="cannot tell whether the first row is a header: ") as caught:
        read(tmp_path, text)
    assert why in str(caught.value)
    assert "pass header=True or header=False (--header or --no-header)" in str(caught.value)
    assert read(tmp_path, text, header=False).rows == 2
    assert read(tmp_path, text, header=True).rows == 1


# What is in a file, and its columns.
CONTENTS = {
    "missing in the first row": ("?,1.5,0\n2.0,1.7,1\n", [[None, 2.0], [1.5, 1.7], [0.0, 1.0]]),
    "blank lines in quotes": ('a,b\n"x\n\n\ny",2\n', [["x\n\n\ny"], [2.0]]),
    "ends of lines in quotes": ('a,b\r\n"x\r\n\ry",2\r\n\r\nz,3', [["x\r\n\ry", "z"], [2.0, 3.0]]),
    "separators in quotes": ('a,"b;c;d"\n1,"e;f;g"\n', [[1.0], ["e;f;g"]]),
    "doubled quotes": ('a,b\n"x""y",1\n"""",2\n"",3\n', [['x"y', '"', ""], [1.0, 2.0, 3.0]]),
    "numbers in quotes": ('a,b\n"1","2"\n"3",4\n', [[1.0, 3.0], [2.0, 4.0]]),
    "quoted line feeds in numbers": ('a,b\n"1\n",2\n', [[1.0], [2.0]]),
    "decimal commas": ("1,5;2\n2,5;3", [["1,5", "2,5"], [2.0, 3.0]]),
    "decimal commas and tabs": ("1,5\t2,5\n3,5\t4,5\n", [["1,5", "3,5"], ["2,5", "4,5"]]),
    "thousands": ("a;b\n7,404;1\n8,500;2\n", [["7,404", "8,500"], [1.0, 2.0]]),
    "Excel's line": ("sep=;\na;b,c\n1;2\n", [[1.0], [2.0]]),
    "Excel's line, CRLF": ("SEP=\t\r\na\tb\r\n1\t2\r\n", [[1.0], [2.0]]),
    "bars": ("a|b\n1|2\n", [[1.0], [2.0]]),
    "housing": (" 0.00632  18.00   2.310  0\n 0.02731   0.00   7.070  1\n",
                [[0.00632, 0.02731], [18.0, 0.0], [2.31, 7.07], [0.0, 1.0]]),
    "ecoli": ("AAT_ECOLI   0.49  0.29  cp\nACEA_ECOLI  0.07  0.40  im\n",
              [["AAT_ECOLI", "ACEA_ECOLI"], [0.49, 0.07], [0.29, 0.4], ["cp", "im"]]),
    "auto-mpg": ('18.0   8   307.0\t"chevrolet malibu"\n15.0   ?   350.0\t"buick skylark 320"\n',
                 [[18.0, 15.0], [8.0, None], [307.0, 350.0], ["chevrolet malibu", "buick skylark 320"]]),
    "adult": ("39, State-gov, <=50K\n50, Private, >50K\n",
              [[39.0, 50.0], ["State-gov", "Private"], ["<=50K", ">50K"]]),
    "words are no columns": ("name\nBob Smith\nAmy Lee\n", [["Bob Smith", "Amy Lee"]]),
    "words beside commas": ("a b,c d\ne f,g h\n", [["e f"], ["g h"]]),
    "rows of empty fields": ("x,y\n,\n1,2\n", [[None, 1.0], [None, 2.0]]),
    "a row of tabs": ("x\ty\n\t\n1\t2\n", [[None, 1.0], [None, 2.0]]),
    "empty fields between tabs": ("1\t\t2\n3\t\t4\n", [[1.0, 3.0], ["", ""], [2.0, 4.0]]),
    "empty first fields and tabs": ("\t1\tx\n\t2\ty\n", [["", ""], [1.0, 2.0], ["x", "y"]]),
    "empty last fields and tabs": ("x\ty\n1\t\n\t2\n", [[1.0, None], [None, 2.0]]),
    "whole numbers beyond float64": ("id\n9007199254740993\n9007199254740992\n", [[2**53 + 1, 2**53]]),
    "negative ones": ("id\n-9007199254740993\n-9007199254740992\n", [[-(2**53) - 1, -(2**53)]]),
    "unsigned ones": ("id\n18446744073709551615\n0\n", [[2**64 - 1, 0]]),
    "beside missing ones": ("id,x\n9007199254740993,1\n,2\n", [["9007199254740993", ""], [1.0, 2.0]]),
    "beside fractions": ("id\n9007199254740993\n0.5\n", [["9007199254740993", "0.5"]]),
    "both signs": ("id\n18446744073709551615\n-1\n", [["18446744073709551615", "-1"]]),
    "100 digits": ("id\n" + "1" * 100 + "\n2\n", [["1" * 100, "2"]]),
    "5000 digits": ("id\n" + "1" * 5000 + "\n2\n", [["1" * 5000, "2"]]),
    "powers of two": ("x\n18446744073709551616\n2\n", [[2.0**64, 2.0]]),
    "large values": ("x\n1e300\n1.5e20\n", [[1e300, 1.5e20]]),
    "overflow": ("x\n1e400\n2\n", [["1e400", "2"]]),
    "underflow": ("x\n1e-400\n2\n", [[0.0, 2.0]]),
    "infinities": ("a\ninf\n-Infinity\n1\n", [[float("inf"), -float("inf"), 1.0]]),
    "forms of numbers": ("x\n+1\n-.5\n5.\n1E-3\n 7 \n", [[1.0, -0.5, 5.0, 0.001, 7.0]]),
    "leading zeros": ("a\n007\n7\n", [[7.0, 7.0]]),
    "a sign of control": ("a,b\n\x1c25,1\n26,2\n", [["\x1c25", "26"], [1.0, 2.0]]),
    "form feeds": ("a,b\n\x0c25,1\n26,2\n", [["\x0c25", "26"], [1.0, 2.0]]),
    "hexadecimal": ("a,b\n0x1A,1\n1,2\n", [["0x1A", "1"], [1.0, 2.0]]),
    "underscores": ("a,b\n1_000,1\n1,2\n", [["1_000", "1"], [1.0, 2.0]]),
    "other digits": ("a,b\n\u0663,1\n1,2\n", [["\u0663", "1"], [1.0, 2.0]]),
    "other blanks": ("a,b\n1\xa0000,1\n1,2\n", [["1\xa0000", "1"], [1.0, 2.0]]),
    "truth": ("a,b\nTrue,1\nFalse,2\n", [["True", "False"], [1.0, 2.0]]),
    "truth and nothing": ("a,b\nTrue,1\n,2\n", [["True", ""], [1.0, 2.0]]),
    "dates": ("a,b\n2020-01-05,1\n", [["2020-01-05"], [1.0]]),
    "mixed types": ("a,b\n1,x\ny,2\n", [["1", "y"], ["x", "2"]]),
    "words for missing": ("a,b\nNA,nan\n2,null\n?,3\n", [[None, 2.0, None], [None, None, 3.0]]),
    "blanks around them": ("a,b,c,d\n1, NA,?\t, \n2, 3 , 4,5\n",
                           [[1.0, 2.0], [None, 3.0], [None, 4.0], [None, 5.0]]),
    "the same in text": ("a\nNA\nyes\nnan\n\"\"\n", [["NA", "yes", "nan", ""]]),
    "nothing in a column": ("a,b,\n1,,\n2,,\n", [[1.0, 2.0], ["", ""], ["", ""]]),
    "one column": ("x\n1\n2\n", [[1.0, 2.0]]),
    "one row": ("1,a\n", [[1.0], ["a"]]),
    "lone CR": ("a,b\r1,2\r3,4\r", [[1.0, 3.0], [2.0, 4.0]]),
    "all ends of lines": ("a,b\r\n1,2\r3,4\n5,6", [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]),
    "a mark of UTF-8": ("\ufeffa,b\n1,2\n", [[1.0], [2.0]]),
    "a mark within": ("a,b\n\ufeffx,1\n\ufeff,2\n", [["\ufeffx", "\ufeff"], [1.0, 2.0]]),
    "UTF-16": ("a,b\n1,\xe4\n".encode("utf-16"), [[1.0], ["\xe4"]]),
    "UTF-16, big-endian": (b"\xfe\xff" + "a,b\n1,2\n".encode("utf-16-be"), [[1.0], [2.0]]),
    "UTF-32": ("a,b\n1,2\n".encode("utf-32"), [[1.0], [2.0]]),
    "no signature of zip": ("PK,x\n1,2\n", [[1.0], [2.0]]),
    "a very long line": ("a,b\n" + "x" * 3_000_000 + ",1\n", [["x" * 3_000_000], [1.0]]),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), CONTENTS.values(), ids=CONTENTS.keys())
def test_fields_are_what_the_file_says(content, expected, tmp_path):
    found = [[None if v != v else v for v in column] for column in columns_of(read(tmp_path, content))]
    assert found == expected
    assert list(map(type, found[0])) == list(map(type, expected[0]))


def test_the_separator_can_be_named(tmp_path):
    assert columns_of(read(tmp_path, "a;b,c\nd;e,f\n", separator=";")) == [["d"], ["e,f"]]
    assert columns_of(read(tmp_path, "a;b,c\nd;e,f\n", separator=",")) == [["d;e"], ["f"]]
    assert columns_of(read(tmp_path, "a:b\n1:2\n", separator=":")) == [[1.0], [2.0]]
    assert columns_of(read(tmp_path, "x,y\n1,2\n", separator=" ")) == [["1,2"]]
    with pytest.raises(
        DataError, match=r"may be separated by ',' or by ';'; say which: separator=... \(on the"
    ):
        read(tmp_path, "a;b,c\nd;e,f\n")
    with pytest.raises(DataError, match=r"separated by ',' or by ' '"):
        read(tmp_path, "1,5 2,5\n3,5 4,5\n")
    for wrong in ("", "ab", "1", '"', "\n", "\xe4"):
        with pytest.raises(
            ValueError, match=r"separator must be a single character such as ',' or ';', got "
        ):
            read(tmp_path, "1,2\n", separator=wrong)
    with pytest.raises(TypeError, match="separator must be a str or None, got int"):
        read(tmp_path, "1,2\n", separator=1)
    with pytest.raises(TypeError, match="header must be True, False or None, got int"):
        read(tmp_path, "1,2\n", header=1)


def test_leading_zeros_are_kept_beside_the_numbers(tmp_path):
    table = read(tmp_path, "zip,x\n02134,01.5\n2134,1\n")
    assert table.column("zip").tolist() == [2134.0, 2134.0]
    assert {name: text.tolist() for name, text in table.texts.items()} == {"zip": ["02134", "2134"]}


cell = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6) | st.sampled_from(
    ["1", "-2.5", "NA", '"', "\n", "\r", '""', ",", ";", " ", "\t", "1,5", "1e400", "9007199254740993", "007"]
)


@settings(max_examples=300, deadline=None)
@given(
    rows=st.integers(1, 4).flatmap(lambda n: st.lists(st.tuples(*[cell] * n), min_size=1, max_size=5)),
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_the_csv_module_writes_is_read(rows, separator, end, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / "any.csv"
    text = StringIO(newline="")
    csv.writer(text, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    file.write_bytes(text.getvalue().encode())
    table = read_table(file, header=False, separator=separator)
    assert table.rows == len(rows)
    for column, fields in zip(table.columns, zip(*rows, strict=True), strict=True):
        if column.dtype.kind in "UT":
            assert column.tolist() == [field.strip(" \t") for field in fields]
        else:
            expected = [
                float("nan") if field in ("", "NA") else float(field) for field in map(str.strip, fields)
            ]
            np.testing.assert_array_equal(column.astype(np.float64), expected)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=40) | st.text('a1.,;"\n\r\t |?-', max_size=40).map(str.encode))
def test_any_bytes_are_a_table_or_an_error(data, tmp_path_factory):
    file = tmp_path_factory.getbasetemp() / "bytes.csv"
    file.write_bytes(data)
    try:
        table = read_table(file)
    except DataError as error:
        table, said = None, str(error)
    if table is None:
        assert len(said) < 300
        return
    assert len(table.names) == len(table.columns)
    assert {len(column) for column in table.columns} == {len(table.lines)} == {table.rows}


def test_memory_follows_the_file(tmp_path):
    (tmp_path / "bomb.csv").write_bytes(gzip.compress(b"0," * 110_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(
            DataError, match=r"bomb\.csv: unpacks to over 20 MiB, 100 times its size or more; unpack"
        ):
            read_table(tmp_path / "bomb.csv")
        # One long field does not make the others of its column as long.
        table = read(tmp_path, "a,b\n" + "x,1\n" * 5000 + "y" * 100_000 + ",2\n")
        assert tracemalloc.get_traced_memory()[1] < 2**28
    finally:
        tracemalloc.stop()
    assert table.column("a")[[0, -1]].tolist() == ["x", "y" * 100_000]
    with pytest.raises(DataError, match="column 'a' holds text, 'x' in row 1"):
        table.numbers(["a"])


def test_columns_are_bounded(tmp_path):
    table = read(tmp_path, ",".join(["1.5"] * 3000) + "\n")
    assert table.numbers(table.names).shape == (1, 3000)
    with pytest.raises(
        DataError, match=r"line 1: the row has 262,145 fields, at most 262,144 are read; save the"
    ):
        read(tmp_path, "," * 2**18)


def test_without_pandas_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'reading tables needs pandas: pip install "portnn\[table\]"'):
        read(tmp_path, "a,b\n1,2\n")


def test_values_beyond_the_dtype_are_refused(tmp_path):
    table = read(tmp_path, "x\n1\n1e39\n")
    assert table.numbers(["x"], "float64").tolist() == [[1.0], [1e39]]
    with pytest.raises(
        DataError, match=r"column 'x' has 1e\+39 in row 2 \(line 3\), which float32 cannot hold"
    ):
        table.numbers(["x"])


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
        ("a,a\n1,2\n", "two columns have the name 'a'"), ("k,x,,\na,1,,\n", "two columns have the name ''"),
        ("a,b\n1,2\n1\n", "line 3: the row has 1 fields, expected 2"),
        ('\na,b,c\n1,2,3\n\n3,"4\n5,6\n7,8', "line 5: the quoted field that begins here does not end before"),
        ('a,b\n1,"x\n2,"y"\n3,z\n', "line 2: the quoted field that begins here does not end"),
        ('a,b\n1,"x" y\n', "line 2: the quoted field that begins here does not end"),
        ('a,b\n"x\n\ny",1\n5" pipe,3\n', "line 5: a quote stands inside a field; put the whole field in"),
        ('a,b\n1, "x, y"\n', "line 2: a quote stands inside a field"),
        ("\n \n\t\n", "the file is empty"),
        ("# made by hand\na,b\n1,2\n", "line 2: the row has 2 fields, expected 1"),
        ("a,b\n1,2\n# the end\n", "line 3: the row has 1 fields, expected 2"),
        ("a,b\n1,2,\n", "line 2: .* 3 fields"),
        ("1, 2.5\n-3, NA\n7, 2,5\n", "line 3: the row has 3 fields, expected 2"),
        ("a\t1\nb\t2\t \n", "line 2: the row has 3 fields, expected 2"),
        ("1\t2\n3\t\t4\n", "line 2: the row has 3 fields, expected 2"),
        ("b c\n5, 6\n", "line 2: the row has 2 fields, expected 1"),
        ("1 2 3\n4 5\n6 7 8\n", "line 2: the row has 2 fields, expected 3"),
        ("x\n1,234\n5,678\n", "line 2: .* 2 fi"),
        (b"a,b\n1,2\n\x00,2\n", "line 3: holds a NUL byte"),
        ("a,b\n1,2\n".encode("utf-16-le"), "line 1: holds a NUL"),
        (b"\xff\xfea\x00,", r"not UTF-16 text \(line 1, byte 0x2c\)"),
        ("a,b\n1,\xe4\n".encode("latin-1"), "not UTF-8"),
        ("a;b\r\n\r\n1;x\r\n\r\n1;2;3\r\n", "line 5: the row has 3 fields, expected 2"),
        (b"a,b\n\xff,2\n", r"not UTF-8 text \(line 2, byte 0xff\); save it in UTF-8"),
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


@pytest.mark.parametrize("end", ["png", "tiff"])
@pytest.mark.parametrize("dtype", ["uint16", ">u2"])
def test_shades_of_16_bits_become_those_of_8(end, dtype, tmp_path):
    shades = np.linspace(0, 65535, 48).round().astype(dtype).reshape(6, 8)
    Image.fromarray(shades).save(tmp_path / f"a.{end}")
    expected = np.rint(shades / 257)
    for shape in ((6, 8), (1, 6, 8), (3, 6, 8)):
        found = read_image(tmp_path / f"a.{end}", shape)
        np.testing.assert_array_equal(found, np.broadcast_to(expected, shape))


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_pixels_of_32_bits_are_refused(dtype, tmp_path):
    Image.fromarray(np.ones((6, 8), dtype)).save(tmp_path / "a.tiff")
    with pytest.raises(DataError, match=r"its pixels have 32 bits, .*; convert it to 8 or 16 bits"):
        read_image(tmp_path / "a.tiff", (6, 8))


def test_shapes_of_pictures(tmp_path):
    file = tmp_path / "a.png"
    Image.new("RGB", (10, 20), (255, 0, 0)).save(file)
    assert read_image(file, (3, 4, 5)).tolist() == [[[255] * 5] * 4, [[0] * 5] * 4, [[0] * 5] * 4]
    assert read_image(file, (1, 4, 5)).shape == (1, 4, 5)
    with pytest.raises(ValueError, match="a picture has the shape"):
        read_image(file, (5,))
    for shape in ((0, 5), (5, -1), (10**6, 10**6), (3, 10**5, 10**5)):
        with pytest.raises(ValueError, match="a picture has 1 to 33,554,432 pixels, got the shape"):
            read_image(file, shape)


def gif_of(width, height):
    """The picture of one pixel that says it has many: 43 bytes."""
    size = struct.pack("<HH", width, height)
    return (
        b"GIF89a" + size + b"\x80\x00\x00" + bytes(6) + b"," + bytes(4) + size + b"\x00\x02\x02\x44\x01\x00;"
    )


@pytest.mark.parametrize("size", [(13_000, 13_000), (65_000, 65_000), (1, 65_535), (9000, 9000)])
def test_a_picture_of_many_pixels_is_refused_before_they_are_made(size, tmp_path):
    file = tmp_path / "bomb.gif"
    file.write_bytes(gif_of(*size))
    with pytest.raises(
        DataError, match=r"bomb\.gif: (has .* pixels, at most 33,554,432 are read; make the|not a p)"
    ):
        read_image(file, (28, 28))
    Image.new("1", (9000, 9000)).save(tmp_path / "bomb.png")
    with pytest.raises(
        DataError, match=r"bomb\.png: has 9000 x 9000 pixels, at most 33,554,432 are read; make the"
    ):
        read_image(tmp_path / "bomb.png", (28, 28))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
@pytest.mark.parametrize("read_file", [read_arrays, lambda file: read_image(file, (28, 28))])
def test_pictures_and_arrays_are_not_read_from_pipes(read_file, tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(OSError, match=r"pipe\.npy: is a pipe or a device, expected a file"):
        read_file(tmp_path / "pipe.npy")


@pytest.mark.parametrize("read_file", [read_table, read_arrays, lambda path: read_image(path, (8, 8))])
def test_names_that_no_system_takes(read_file):
    with pytest.raises(OSError, match="File name too long") as caught:
        read_file("x" * 5000)
    assert len(str(caught.value)) < 300
