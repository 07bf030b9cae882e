"""The table of readers: what is read, and one sentence for each thing that is wrong."""

from pathlib import Path

import numpy as np
import pytest

from ihc_quant.domain.agreement import Measure
from ihc_quant.errors import SettingsError
from ihc_quant.evaluation.readers_csv import read_readers_csv


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "readers.csv"


def test_a_table_with_gaps(path: Path) -> None:
    path.write_text(
        "\ufeffcategory,slide_id,reader,value,comment\n2+,s1,Ann,12.5,\n,s1,Bob,,blurred\n0,s2,Bob,0,\n", "utf-8"
    )
    table = read_readers_csv(path, Measure.PERCENT)
    assert (table.target_kind, table.targets, table.readers) == ("slide_id", ("s1", "s2"), ("Ann", "Bob"))
    np.testing.assert_array_equal(table.values, [[12.5, np.nan], [np.nan, 0]])
    assert table.categories is not None
    assert table.categories.tolist() == [["2+", ""], ["", "0"]]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("reader,value", "slide_id or biopsy_id is missing"),
        ("slide_id,biopsy_id,reader,value", "are both there"),
        ("slide_id,value", "reader is missing"),
        ("slide_id,reader", "value or category is missing"),
        ("slide_id,reader,value,value", "more than once"),
        ("slide_id,reader,catgory,value", "'catgory' is unknown"),
        ("slide_id;reader;value", "save the file with commas"),
    ],
)
def test_headers_that_do_not_do(path: Path, header: str, words: str) -> None:
    path.write_text(f"{header}\ns1,Ann,5\n")
    with pytest.raises(SettingsError, match=words) as told:
        read_readers_csv(path, Measure.PERCENT)
    assert str(told.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("s1,Ann,12 %", "line 2, value: '12 %' is no number; write for example 12.5"),
        ("s1,Ann,nan", "line 2, value: 'nan' is no number"),
        ("s1,Ann,101", "line 2, value: 101 is not possible for percent, which runs from 0 to 100"),
        ("s1,,5", "line 2, reader: it is empty; fill it in"),
        (",Ann,5", "line 2, slide_id: it is empty"),
        ("s1,Ann,12,5", "line 2: it has more cells than the header"),
        ("s1,Ann,5\ns1,Bob,5\ns1,Ann,6", "line 4, reader: 'Ann' judged 's1' already in line 2"),
    ],
)
def test_rows_that_do_not_do(path: Path, row: str, words: str) -> None:
    path.write_text(f"slide_id,reader,value\n{row}\n")
    with pytest.raises(SettingsError) as told:
        read_readers_csv(path, Measure.PERCENT)
    assert words in str(told.value)
    assert len(str(told.value).splitlines()) == 1
    assert str(told.value).endswith(".")


def test_many_faults_are_told_at_once_up_to_a_number(path: Path) -> None:
    path.write_text("slide_id,reader,value\n" + "".join(f"s{n},Ann,x\n" for n in range(30)))
    with pytest.raises(SettingsError) as told:
        read_readers_csv(path, Measure.PERCENT)
    lines = str(told.value).splitlines()
    assert len(lines) == 21
    assert "10 further faults" in lines[-1]


def test_files_that_cannot_be_read(path: Path) -> None:
    with pytest.raises(SettingsError, match="no such table"):
        read_readers_csv(path, Measure.PERCENT)
    path.write_bytes(b"slide_id,reader,value\ns1,\xff,3\n")
    with pytest.raises(SettingsError, match="UTF-8"):
        read_readers_csv(path, Measure.PERCENT)
    path.write_text("slide_id,reader,value\n")
    with pytest.raises(SettingsError, match="no rows"):
        read_readers_csv(path, Measure.PERCENT)


def test_machine_as_a_further_reader(path: Path) -> None:
    path.write_text("slide_id,reader,value\ns1,Ann,5\ns2,Ann,6\n")
    table = read_readers_csv(path, Measure.PERCENT).with_reader("machine", {"s2": 7.0, "s9": 1.0})
    assert table.readers == ("Ann", "machine")
    np.testing.assert_array_equal(table.values, [[5, np.nan], [6, 7]])
    with pytest.raises(SettingsError, match="stands in the table already"):
        table.with_reader("Ann", {"s1": 1.0})
    with pytest.raises(SettingsError, match="only for s9"):
        table.with_reader("other", {"s9": 1.0})
