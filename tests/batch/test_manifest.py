"""The manifest: every fault at once, with its line, column and cure."""

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ihc_quant.batch.manifest import DETAIL_COLUMNS, MANIFEST_COLUMNS, REQUIRED_COLUMNS, ManifestRow, read_manifest
from ihc_quant.domain.geometry import Mpp
from ihc_quant.domain.stain import SectionStain
from ihc_quant.errors import ManifestError
from tests.batch.manifests import ROW, drawn, section, twenty_faults, written

SHIPPED = Path(__file__).resolve().parents[2] / "slides_sample" / "manifest.csv"


def faults(path: Path) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    lines = str(caught.value).split("\n")
    assert all(line.startswith(f"{path}: ") and line.endswith(".") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_reads_rows(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "s2.svs").write_text("a slide")
    path = written(
        tmp_path,
        {"mpp": "0.25", "series": "2", "clone": "KW-0761, humanised", "section_thickness_um": "3,5", "biopsy_day": "-3",
         "fragments": "4;1-2", "annotations": drawn(tmp_path, "Infiltrate"), "section_index": "7.0"},
        {"slide_id": "s2", "slide": str(elsewhere / "s2.svs"), "marker": "cd4", "biopsy_day": "−3"},
        {"slide_id": "s3", "marker": "H&E", "chromogen": "none", "biopsy_day": "-3.0"},
    )  # fmt: skip
    first, second, third = read_manifest(path)
    assert first == ManifestRow(
        "s1", "b1", "p1", "skin", SectionStain("CCR4", "DAB", chromogen_assumed=False), tmp_path / "1.svs", 2,
        Mpp.square(0.25), (("clone", "KW-0761, humanised"), ("section_index", "7"), ("section_thickness_um", "3.5"),
        ("biopsy_day", "-3")), (1, 2, 4), tmp_path / "drawn.geojson", 7, 3.5, -3,
    )  # fmt: skip
    assert second.slide == elsewhere / "s2.svs"
    assert second.stain == SectionStain("CD4", "DAB", chromogen_assumed=False)
    assert (second.mpp, second.series, second.fragments, second.annotations) == (None, None, (), None)
    assert third.stain.chromogen == "none"
    assert {name for name, _ in first.details} <= set(DETAIL_COLUMNS)


@pytest.mark.parametrize(
    "saved",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace(",", ";").encode(),
        lambda text: text.replace(",", "\t").encode("utf-16"),
        lambda text: b"sep=;\r\n" + text.replace(",", ";").encode(),
        lambda text: b"# a draft, \"by\" hand,,\n#\n" + text.encode(),
        lambda text: text.upper().replace("S1", "s1").encode(),
        lambda text: "".join(f"{line},,\n" for line in text.splitlines()).encode() + b",,,,,,,,\n\n",
        lambda text: text.replace("s1", "\u200b s1\xa0").encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
    ],
    ids=["mark", "semicolons", "unicode text", "sep", "comments", "capitals", "empty cells", "odd spaces", "windows"],
)  # fmt: skip
def test_however_a_spreadsheet_saved_it(tmp_path: Path, saved: object) -> None:
    text = "slide_id,biopsy_id,patient_id,site,marker,chromogen,slide\ns1,B,P,skin,CD4,DAB,A.SVS\n"
    (tmp_path / "A.SVS").write_text("a slide")
    path = tmp_path / "manifest.csv"
    assert callable(saved)
    path.write_bytes(saved(text))
    (row,) = read_manifest(path)
    assert (row.slide_id, row.site, row.stain.chromogen, row.slide) == ("s1", "skin", "DAB", tmp_path / "A.SVS")


def test_all_faults_at_once(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"site": "brain", "mpp": "352.8"},
        {"slide_id": "s2", "series": "one", "slide": ""},
        {"slide_id": "s3"},
        {"slide_id": "S3", "marker": "CD99", "chromogen": "AEC"},
        {"slide_id": "S3", "patient_id": "p2"},
        {"slide_id": "x" * 200, "fragments": "0", "annotations": "a.geojson"},
    )
    assert faults(path) == [
        "line 2, site: 'brain' is not possible; write skin or lymph_node or other.",
        "line 2, mpp: '352.8' is no plausible number of µm per pixel (0.05 to 5); write for example 0.25.",
        "line 3, slide: it is empty; fill it in.",
        "line 3, series: 'one' is no whole number from 0; correct it or leave it empty.",
        "lines 5-6, slide_id: 'S3' already stands in line 4; make it unique.",
        "line 5, marker: 'CD99' is not possible; write CD4 or CD8 or CCR4 or H&E or negative_control or other.",
        "line 6, patient_id: biopsy 'b1' has 'p1' in line 2; write the same, or give another biopsy_id.",
        "line 7, slide_id: 'xxxxxxxxxxxxxxxxxxxx'… is longer than 100 characters; shorten it.",
        "line 7, fragments: '0' are no numbers of fragments, which count from 1; write for example 1;3.",
        f"line 7, annotations: {tmp_path / 'a.geojson'}: there is no such annotation file; check the path.",
    ]


def test_twenty_faults_in_two_hundred_slides_are_twenty_lines(tmp_path: Path) -> None:
    path, expected = twenty_faults(tmp_path)
    found = faults(path)
    assert [tuple(fault.split(":")[0].split(", ")) for fault in found] == expected
    assert all(";" in fault for fault in found)


@pytest.mark.parametrize("words", ["unknown", "Not recorded", "n.a.", "n/a", "N/A", "?", "-", "–", "n. a."])
def test_details_that_nobody_knows_are_not_recorded(tmp_path: Path, words: str) -> None:
    details = ("clone", "epitope", "peroxidase_block", "section_index", "section_thickness_um", "biopsy_day")
    (row,) = read_manifest(written(tmp_path, section(1, **dict.fromkeys(details, words))))
    assert row.details == ()
    assert row.section_index is row.section_thickness_um is row.biopsy_day is None
    (kept,) = read_manifest(written(tmp_path, section(1, clone="N-A1", peroxidase_block="none")))
    assert dict(kept.details).items() >= {"clone": "N-A1", "peroxidase_block": "none"}.items()


def test_a_fault_that_many_lines_share_is_told_once(tmp_path: Path) -> None:
    rows = [section(number, chromogen="" if number != 4 else "DAB") for number in range(1, 7)]
    (fault,) = faults(written(tmp_path, *rows))
    assert fault.startswith("lines 2-4, 6-7, chromogen: it is empty; state it from the staining protocol")


def test_the_odd_section_of_a_biopsy_is_named_even_where_it_comes_first(tmp_path: Path) -> None:
    rows = [section(1, site="lymph_node"), section(2), section(3), section(4)]
    (fault,) = faults(written(tmp_path, *rows))
    assert fault.startswith("line 2, site: biopsy 'b0' has 'skin' in line 3; write the same")


def test_one_patient_may_have_biopsies_of_two_sites_and_days(tmp_path: Path) -> None:
    rows = [
        section(1, patient_id="p", biopsy_day="-3"),
        section(5, patient_id="p", biopsy_day="30", site="lymph_node"),
    ]
    assert [row.biopsy_day for row in read_manifest(written(tmp_path, *rows))] == [-3, 30]
    rows[1]["patient_id"] = "P"
    (fault,) = faults(written(tmp_path, *rows))
    assert fault.startswith("line 3, patient_id: patient 'p' of line 2 is written in other capitals here")


def test_the_day_of_a_biopsy_stands_in_all_its_lines(tmp_path: Path) -> None:
    (fault,) = faults(written(tmp_path, section(1, biopsy_day="14"), section(2), section(5)))
    assert fault.startswith("line 3, biopsy_day: it is empty, and line 2 has 14 for this biopsy")


@pytest.mark.parametrize(
    ("first", "second", "column"),
    [
        ({"fragments": "1"}, {"fragments": "2-3"}, ""),
        ({"series": "0"}, {"series": "1"}, ""),
        ({"series": "0", "fragments": "1"}, {"series": "1", "fragments": "1"}, ""),
        ({}, {}, "slide"),
        ({"series": "1"}, {"series": "1"}, "slide"),
        ({"fragments": "1-3"}, {"fragments": "3;4"}, "fragments"),
        ({"fragments": "1"}, {}, "fragments"),
        ({"series": "0"}, {}, "series"),
        ({"fragments": "1", "mpp": "0.25"}, {"fragments": "2", "mpp": "0.5"}, "mpp"),
    ],
)
def test_a_glass_may_recur_with_another_selection(
    tmp_path: Path, first: dict[str, str], second: dict[str, str], column: str
) -> None:
    path = written(tmp_path, section(1, **first), section(2, slide="1.svs", **second))
    if column:
        (fault,) = faults(path)
        assert fault.startswith(f"line 3, {column}: ")
    else:
        assert len(read_manifest(path)) == 2


def test_one_file_is_recognised_under_two_names(tmp_path: Path) -> None:
    path = written(tmp_path, section(1), section(2, slide=f"../{tmp_path.name}/1.svs"))
    (fault,) = faults(path)
    assert fault.startswith("line 3, slide: line 2 takes the same file whole")


def test_annotations_belong_to_one_glass(tmp_path: Path) -> None:
    name = drawn(tmp_path, "dermis")
    path = written(tmp_path, section(1, annotations=name), section(2, annotations=name))
    (fault,) = faults(path)
    assert fault.startswith("line 3, annotations: line 2 names the same file for another image")
    path = written(
        tmp_path,
        section(1, annotations=name, fragments="1"),
        section(2, annotations=name, fragments="2", slide="1.svs"),
    )
    assert [row.annotations for row in read_manifest(path)] == [tmp_path / name] * 2


def test_unknown_classes_are_named_before_any_work(tmp_path: Path) -> None:
    (fault,) = faults(written(tmp_path, section(1, annotations=drawn(tmp_path, "Adnexa"))))
    assert fault.startswith("line 2, annotations: ")
    assert "'Adnexa' (1)" in fault


def test_files_need_not_be_there_to_write_reports_again(tmp_path: Path) -> None:
    path = written(tmp_path, section(1, slide="gone/1.svs", annotations="gone/1.geojson"))
    assert len(faults(path)) == 2
    (row,) = read_manifest(path, need_files=False)
    assert row.slide == tmp_path / "gone" / "1.svs"


def test_which_files_must_be_there_may_be_said_of_each_row(tmp_path: Path) -> None:
    gone = [section(number, slide=f"gone/{number}.svs", annotations=f"gone/{number}.geojson") for number in (1, 2, 3)]
    path = written(tmp_path, *gone[:2], {**gone[2], "site": "ear"})
    asked = []

    def needed(slide_id: str | None, row: ManifestRow | None) -> tuple[str, ...]:
        asked.append((slide_id, row and row.slide_id))
        return {"s1": (), "s2": ("annotations",), "s3": ("slide",)}[str(slide_id)]

    with pytest.raises(ManifestError) as caught:
        read_manifest(path, need_files=needed)
    told = [line.removeprefix(f"{path}: ").split(":")[0] for line in str(caught.value).split("\n")]
    assert told == ["line 3, annotations", "line 4, site", "line 4, slide"]
    assert asked == [("s1", "s1"), ("s2", "s2"), ("s3", None)], "a line with faults has no row"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"series": "-1"}, "series"),
        ({"series": "1.5"}, "series"),
        ({"series": "9" * 5000}, "series"),
        ({"series": "²"}, "series"),
        ({"mpp": "nan"}, "mpp"),
        ({"mpp": "0,25,3"}, "mpp"),
        ({"mpp": "٠.٢٥"}, "mpp"),
        ({"section_thickness_um": "inf"}, "section_thickness_um"),
        ({"biopsy_day": "14.5"}, "biopsy_day"),
        ({"biopsy_day": "20240301"}, "biopsy_day"),
        ({"biopsy_day": "-x"}, "biopsy_day"),
        ({"biopsy_day": "day 3"}, "biopsy_day"),
        ({"biopsy_day": "1.3.2024"}, "date"),
        ({"fragments": "3-1"}, "fragments"),
        ({"fragments": "1;1"}, "twice"),
        ({"fragments": "1-99999"}, "fragments"),
        ({"fragments": "Jan-03"}, "date"),
        ({"slide_id": "#NAME?"}, "formula"),
        ({"patient_id": "1E+15"}, "rounded"),
        ({"patient_id": "p\n1"}, "printed"),
        ({"slide_id": "é" * 40}, "folder"),
        ({"marker": "H&E"}, "write none"),
        ({"marker": "H&E", "chromogen": ""}, "it is empty; write none"),
        ({"chromogen": "none"}, "state the chromogen"),
        ({"chromogen": "AEC"}, "leave the section out"),
        ({"chromogen": "blue"}, "not possible"),
    ],
)
def test_a_cell_that_is_not_possible_is_one_message(tmp_path: Path, cells: dict[str, str], message: str) -> None:
    (fault,) = faults(written(tmp_path, section(1, **cells)))
    assert fault.startswith("line 2, ")
    assert message in fault
    assert len(fault) < 300


@pytest.mark.parametrize(
    "slide_id", ["<img src=x onerror=alert(1)>", "../up", "=1+1", "con", "Schnitt Ä"], ids=lambda name: name
)
def test_odd_identifiers_that_can_name_a_folder_are_taken(tmp_path: Path, slide_id: str) -> None:
    assert read_manifest(written(tmp_path, section(1, slide_id=slide_id)))[0].slide_id == slide_id


@given(cells=st.dictionaries(st.sampled_from(MANIFEST_COLUMNS), st.text(max_size=12), max_size=6))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_read_or_refused_in_sentences(tmp_path: Path, cells: dict[str, str]) -> None:
    path = tmp_path / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8", errors="replace") as file:
        writer = csv.DictWriter(file, MANIFEST_COLUMNS, restval="")
        writer.writeheader()
        writer.writerow({**ROW, "slide": "1.svs", **cells})
    refusal = ""
    try:
        read_manifest(path, need_files=False)
    except ManifestError as error:
        refusal = str(error)
    assert all(line.startswith(f"{path}: ") and line.endswith(".") for line in refusal.split("\n") if refusal)


def test_header_faults(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text(
        "slide_id,biopsy_id,patient_id,site,marker,chromogen,slide,colour,slide_id,peroxidase_blok,\n,,,,1\n"
    )
    assert faults(path)[:3] == [
        "the column 'colour' is unknown; remove it or correct its name.",
        "the column 'slide_id' stands there more than once; keep one.",
        "the column 'peroxidase_blok' is unknown; remove it or correct its name (is it peroxidase_block?).",
    ]
    path.write_text("slide_id\n")
    assert [fault.split()[2] for fault in faults(path)[:-1]] == list(REQUIRED_COLUMNS[1:])
    path.write_text(",".join(REQUIRED_COLUMNS) + ",,\ns1,b1,p1,skin,CCR4,DAB,a.svs,,x\n")
    assert faults(path)[:2] == [f"column {place} has no name; name it or remove it" + "." for place in (8, 9)]


def test_faults_of_the_header_and_of_lines_come_together(tmp_path: Path) -> None:
    columns = tuple(column for column in MANIFEST_COLUMNS if column != "site")
    row = section(1, mpp="40")
    del row["site"]
    path = tmp_path / "manifest.csv"
    path.write_text(",".join(columns) + "\n" + ",".join(row.get(column, "") for column in columns) + "\n")
    (tmp_path / "1.svs").write_text("a slide")
    missing, mpp = faults(path)
    assert missing == "the column site is missing; add it to the header."
    assert mpp.startswith("line 2, mpp: ")


def test_row_with_too_many_or_too_few_cells(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text(",".join(REQUIRED_COLUMNS) + "\ns1,b1,p1,skin,CCR4,DAB,a,b.svs\ns2,b1,p1\n")
    first, *others = faults(path)
    assert first.startswith("line 2, the row: it has more cells than the header")
    assert [fault.split()[2] for fault in others] == ["site:", "marker:", "chromogen:", "slide:"]


def test_a_line_is_named_by_where_it_begins(tmp_path: Path) -> None:
    rows = [section(1, clone="a\nb"), section(2, marker="CD99")]
    assert [fault.split(":")[0] for fault in faults(written(tmp_path, *rows))] == ["line 2, clone", "line 4, marker"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\xff\xfes\0l\0", "missing"),
        (b"slide_id\0", "missing"),
        (b'"' + b"x" * 200_000, "quotes"),
        (b'slide_id\n"s1\ns2\n', "quotes"),
        (b"slide_id\nH\xe4ut\n", "line 2 is not in UTF-8"),
        (b"PK\x03\x04 a workbook", "workbook"),
        (b"\xff\xfes", "UTF-8"),
    ],
    ids=["empty", "cut", "null", "quote", "open quote", "latin-1", "workbook", "half"],
)
def test_what_is_no_manifest(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "manifest.csv"
    path.write_bytes(content)
    assert any(word in fault for fault in faults(path))


def test_missing_manifest_folder_and_empty_one(tmp_path: Path) -> None:
    assert faults(tmp_path / "nothing.csv") == ["there is no such manifest; check the path."]
    assert faults(tmp_path) == ["the manifest cannot be read; it must be a CSV file in UTF-8."]
    assert faults(written(tmp_path)) == ["there are no rows; add one a section."]


@pytest.mark.skipif(not SHIPPED.is_file(), reason="the sample slides are not here")
def test_shipped_manifest_is_valid() -> None:
    rows = read_manifest(SHIPPED)
    assert {row.stain.marker for row in rows} == {"CD4", "CD8", "CCR4"}
    assert all(row.slide.is_file() for row in rows)
