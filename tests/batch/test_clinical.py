"""The clinical table: every fault at once with line, column and cure; units; the traps of the letter."""

from pathlib import Path

import pytest

from ihc_quant.batch.clinical import CLINICAL_COLUMNS, read_clinical
from ihc_quant.batch.manifest import read_manifest
from ihc_quant.domain.clinical import EOSINOPHILS, LYMPHOCYTES, NUMBER, PERCENT, SERIES_NAMES
from ihc_quant.errors import ManifestError
from ihc_quant.scoring.blood_response import blood_response

HEADER = ",".join(CLINICAL_COLUMNS)

LETTER = """\
1,-300,diagnosis,67.0,4.624,,30.0,
1,0,treatment_start,,4.624,,,
1,90,last_infusion,,0.003,,,complete
2,-300,diagnosis,30.7,0.336,,2.0,
2,0,treatment_start,,0.336,,,
2,90,last_infusion,,0.050,,,partial
3,-300,diagnosis,15.1,0.231,,18.0,
3,0,treatment_start,,1.824,,,
3,90,last_infusion,,0.006,,,complete
4,-300,diagnosis,61.0,1.921,,1.5,
4,0,treatment_start,,55.586,,,
4,90,last_infusion,,9.035,,,partial
"""


def written(folder: Path, rows: str, header: str = HEADER) -> Path:
    path = folder / "clinical.csv"
    path.write_text(f"{header}\n{rows}", encoding="utf-8")
    return path


def faults(path: Path) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read_clinical(path)
    lines = str(caught.value).split("\n")
    assert all(line.startswith(f"{path}: ") and line.endswith(".") and not line.endswith("..") for line in lines)
    return [line.removeprefix(f"{path}: ").removesuffix(".") for line in lines]


def row_faults(folder: Path, **cells: str) -> list[str]:
    """Return the faults of a table of one row beside which another one bears the unit of percentages out."""
    cells = {"patient_id": "P", "day": "-1", "timepoint": "other", **cells}
    row = ",".join(cells.get(column, "") for column in CLINICAL_COLUMNS)
    return [fault.removeprefix("line 3, ") for fault in faults(written(folder, f"Q,0,other,40,,,,\n{row}\n"))]


def test_letter_is_read_and_evaluated(tmp_path: Path) -> None:
    table = read_clinical(written(tmp_path, LETTER))
    assert table.cautions == ()
    for case, label in (("1", "complete"), ("2", "partial"), ("3", "complete"), ("4", "partial")):
        records = table.of_patient(case)
        assert blood_response(records).category == "at least partial; complete not evaluable"
        assert [record.response_stated for record in records] == ["", "", label]
    assert table.records[0].figures == ((PERCENT, 67.0), (NUMBER, 4.624), (EOSINOPHILS, 30.0))
    assert table.records[0].line == 2


def test_further_series_blank_rows_byte_order_mark_and_true_minus(tmp_path: Path) -> None:
    path = written(
        tmp_path, "P,−14,other,420.5\n , ,,\nP,+3,other,1e-3\n", "patient_id,day,timepoint,proviral_load_pvl"
    )
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    table = read_clinical(path)
    assert table.series == (*SERIES_NAMES, "proviral_load_pvl")
    assert [(record.day, record.value("proviral_load_pvl")) for record in table.records] == [(-14, 420.5), (3, 0.001)]
    assert table.records[0].value(NUMBER) is None


def test_all_faults_at_once(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        ",-3,diagnosis,40,,,,\n"
        "P,2024-05-01,last infusion,,,,,\n"
        "P,45413,,,,,,\n"
        "P,0,other,\"12,5\",<0.01,-1,nan,\n"
        "P,0,other,,1.5,1.2,,,surplus\n"
        "P,0,other,101,1500,,,\n"
        "P,3,other,,,,,\n"
        "P,3,other,,,,,\n"
        "p,4,last_infusion,,,,,complete\n"
        "P,5,last_infusion,,,,,partial\n",
    )  # fmt: skip
    days = "is no whole number of days from the first infusion (day 0); write for example -14"
    number = "is no number; write it with a decimal point and without unit or sign, or leave it empty"
    one_of = "write diagnosis or treatment_start or last_infusion or other"
    assert faults(path) == [
        "line 2, patient_id: it is empty; fill it in",
        f"line 3, day: '2024-05-01' {days}",
        f"line 3, timepoint: 'last infusion' is not possible; {one_of}",
        "line 4, timepoint: it is empty; fill it in",
        f"line 4, day: '45413' {days}",
        f"line 5, {PERCENT}: '12,5' {number}",
        f"line 5, {NUMBER}: '<0.01' {number}",
        f"line 5, {LYMPHOCYTES}: -1 is below 0; correct it or leave it empty",
        f"line 5, {EOSINOPHILS}: 'nan' {number}",
        "line 6, the row: it has more cells than the header; remove the surplus or quote commas",
        f"line 7, {NUMBER}: 1500 × 10⁹/L is beyond any patient; if these are cells/µL divide by 1000, else correct it",
        f"line 7, {PERCENT}: 101 is over 100 %; correct it",
        "line 9, timepoint: other of this patient already stands in line 8; keep one of them",
        "line 10, patient_id: 'p' is written 'P' in line 8; write the same",
        "line 11, timepoint: last_infusion of this patient already stands in line 10; keep one of them",
        "line 11, response_stated: it is 'partial' here and 'complete' in line 10; keep one of them",
    ]


def test_a_time_point_is_mandatory(tmp_path: Path) -> None:
    assert "the column timepoint is missing; add it to the header" in faults(written(tmp_path, "", "patient_id,day"))
    assert row_faults(tmp_path, timepoint="") == ["timepoint: it is empty; fill it in"]


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("cd3neg_cd4pos_per_ul", "is unknown; convert it to one of patient_id, day, "),
        ("Lymphocytes_1e9_L", "is unknown; convert it"),
        ("eosinophils", "is unknown; convert it"),
        ("=cmd", "cannot name a series; write small letters"),
        ("Proviral load", "cannot name a series"),
        ("", "cannot name a series"),
        ("day", "stands there more than once; keep one"),
    ],
)
def test_header_faults(tmp_path: Path, header: str, fault: str) -> None:
    (only,) = faults(written(tmp_path, "", f"{HEADER},{header}"))
    assert fault in only


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        # Cells/µL: beyond any patient, more than all lymphocytes, or more lymphocytes than the percentage allows.
        ({NUMBER: "4624"}, f"{NUMBER}: 4624 × 10⁹/L is beyond any patient; if these are cells/µL divide by 1000"),
        ({EOSINOPHILS: "1500"}, f"{EOSINOPHILS}: 1500 × 10⁹/L is beyond any patient"),
        ({LYMPHOCYTES: "1094"}, f"{LYMPHOCYTES}: 1094 × 10⁹/L is beyond any patient"),
        ({NUMBER: "50", LYMPHOCYTES: "1.1"}, f"{NUMBER}: 50 is more than all lymphocytes (1.1); if these are cells/µL"),
        ({NUMBER: "31", PERCENT: "15.1"}, f"{PERCENT}: 31 × 10⁹/L at 15.1 % imply 205.298 × 10⁹/L lymphocytes; if the"),
        ({NUMBER: "0.036", PERCENT: "20", LYMPHOCYTES: "180"}, "if these are cells/µL divide by 1000"),
        # A percentage given as a fraction.
        ({NUMBER: "4.624", PERCENT: "0.67"}, f"{PERCENT}: 4.624 × 10⁹/L at 0.67 % imply 690.149 × 10⁹/L lymphocytes"),
        ({NUMBER: "0.336", PERCENT: "0.307"}, "imply 109.446 × 10⁹/L lymphocytes"),
        ({NUMBER: "0.231", PERCENT: "0.151"}, "imply 152.980 × 10⁹/L lymphocytes"),
        ({NUMBER: "1.921", PERCENT: "0.61"}, "imply 314.918 × 10⁹/L lymphocytes"),
        (
            {NUMBER: "0.231", PERCENT: "0.151", LYMPHOCYTES: "1.53"},
            f"{LYMPHOCYTES}: 0.231 × 10⁹/L at 0.151 % imply 152.980 × 10⁹/L lymphocytes and 1.53 are given; "
            "if the percentage is a fraction multiply it by 100",
        ),
        # Of other cells than all lymphocytes.
        ({NUMBER: "0.336", PERCENT: "60", LYMPHOCYTES: "1.094"}, "imply 0.560 × 10⁹/L lymphocytes and 1.094 are given"),
        ({PERCENT: "100.1"}, f"{PERCENT}: 100.1 is over 100 %"),
    ],
)  # fmt: skip
def test_units(tmp_path: Path, cells: dict[str, str], fault: str) -> None:
    (only,) = row_faults(tmp_path, **cells)
    assert fault in only


@pytest.mark.parametrize(
    "cells",
    [
        ",67.0,4.624,6.901,", ",30.7,0.336,1.094,", ",15.1,0.231,1.53,", ",61,1.921,3.1,",
        # Rounding leaves much open in small figures.
        ",0.1,0.003,1.9,", ",0.0,0.001,2.0,", ",0,0,0,", ",0.3,0.002,0.60,", ",100,1.1,1.1,", ",,0.4,0.4,",
    ],
)  # fmt: skip
def test_units_that_fit(tmp_path: Path, cells: str) -> None:
    assert len(read_clinical(written(tmp_path, f"Q,0,other,40,,,,\nP,-1,other{cells}\n")).records) == 2


def test_percentages_that_are_all_fractions(tmp_path: Path) -> None:
    path = written(tmp_path, "P,-9,diagnosis,0.67,,,,\nQ,0,treatment_start,0.307,,,,\nQ,9,last_infusion,0.45,,,,\n")
    assert [fault.split(";")[0] for fault in faults(path)] == [
        f"line 2, {PERCENT}: 0.67 and every other percentage is at most 1",
        f"line 3, {PERCENT}: 0.307 and every other percentage is at most 1",
    ]
    # The counts of the row bear a low percentage out; a low one at the last infusion is no wonder.
    for rows in ("P,-9,diagnosis,0.67,0.02,2.985,,\nP,9,last_infusion,0.45,,,,\n", "P,9,last_infusion,0.45,,,,\n"):
        assert read_clinical(written(tmp_path, rows)).records[-1].value(PERCENT) == 0.45


def test_whole_numbers_are_a_caution(tmp_path: Path) -> None:
    table = read_clinical(written(tmp_path, "P,0,treatment_start,,150,,2,\nP,9,last_infusion,,6,,1,\n"))
    assert table.cautions == (
        f"{NUMBER}: all values are whole numbers; check that they are 10⁹/L and not cells/µL.",
    )  # fmt: skip


def test_two_values_of_one_day_are_refused_and_equal_ones_kept_apart(tmp_path: Path) -> None:
    same = read_clinical(written(tmp_path, "P,0,diagnosis,,1.5,,,\nP,0,treatment_start,,1.5,,2,\n"))
    assert [record.timepoint for record in same.records] == ["diagnosis", "treatment_start"]
    assert faults(written(tmp_path, "P,0,diagnosis,,1.5,,,\nP,0,treatment_start,,1.6,,2,\n")) == [
        f"line 3, {NUMBER}: line 2 gives another value for the same day; keep one of them"
    ]


def test_days_are_counted_from_the_first_infusion(tmp_path: Path) -> None:
    path = written(tmp_path, "P,5,diagnosis,,,,,\nP,-7,treatment_start,,,,,\nP,-2,last_infusion,,,,,\n")
    assert faults(path) == [
        "line 2, day: diagnosis lies after the first infusion, which is day 0; write a day up to 0",
        "line 2, day: diagnosis lies after the start of treatment; correct one of the days",
        "line 4, day: last_infusion lies before the first, which is day 0; correct it",
    ]


def test_bronchoalveolar_lavage_is_no_biopsy(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text("slide_id,biopsy_id,patient_id,site,marker,chromogen,slide\ns1,b1,4,BAL,CCR4,DAB,s1.svs\n")
    with pytest.raises(ManifestError, match=r"site.*BAL"):
        read_manifest(path)


@pytest.mark.parametrize("content", [b"\xff\xfe\0l\0", b'a,"b' + b"x" * 200_000], ids=["utf-16", "quote"])
def test_what_is_no_table(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clinical.csv"
    path.write_bytes(content)
    assert faults(path) == ["the clinical table cannot be read; it must be a CSV file in UTF-8"]


def test_missing_empty_or_german_table(tmp_path: Path) -> None:
    assert faults(tmp_path / "nothing.csv") == ["there is no such clinical table; check the path"]
    assert faults(written(tmp_path, "")) == ["there are no rows; add one a blood sample"]
    semicolons = written(tmp_path, "", HEADER.replace(",", ";"))
    assert faults(semicolons) == ["the header has semicolons between its columns; save the file with commas"]
