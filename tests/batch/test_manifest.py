"""The manifest: every fault at once, with its line, column and cure."""

import csv
from pathlib import Path

import pytest

from ihc_quant.batch.manifest import MANIFEST_COLUMNS, REQUIRED_COLUMNS, read_manifest
from ihc_quant.domain.geometry import Mpp
from ihc_quant.domain.stain import SectionStain
from ihc_quant.errors import ManifestError

SHIPPED = Path(__file__).resolve().parents[2] / "slides_sample" / "manifest.csv"

ROW = {
    "slide_id": "s1", "biopsy_id": "b1", "patient_id": "p1", "site": "skin", "marker": "CCR4", "chromogen": "DAB",
    "slide": "s1.svs",
}  # fmt: skip


def written(folder: Path, *rows: dict[str, str], columns: tuple[str, ...] = MANIFEST_COLUMNS) -> Path:
    path = folder / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows({**ROW, **row} for row in rows)
    return path


def faults(path: Path) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        read_manifest(path)
    lines = str(caught.value).split("\n")
    assert all(line.startswith(f"{path}: ") and line.endswith(".") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_reads_rows(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"mpp": "0.25", "series": "2", "clone": "KW-0761, humanised"},
        {"slide_id": "s2", "slide": "/elsewhere/s2.svs", "marker": "CD4"},
    )
    first, second = read_manifest(path)
    assert first.slide == tmp_path / "s1.svs"
    assert second.slide == Path("/elsewhere/s2.svs")
    assert first.mpp == Mpp.square(0.25)
    assert first.series == 2
    assert first.details == (("clone", "KW-0761, humanised"),)
    assert second.stain == SectionStain("CD4", "DAB", chromogen_assumed=False)
    assert (second.mpp, second.series) == (None, None)


def test_byte_order_mark_and_only_required_columns(tmp_path: Path) -> None:
    path = written(tmp_path, {}, columns=REQUIRED_COLUMNS)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert [row.slide_id for row in read_manifest(path)] == ["s1"]


def test_all_faults_at_once(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"site": "brain", "mpp": "352.8"},
        {"slide_id": "s2", "series": "one", "slide": ""},
        {"slide_id": "s3"},
        {"slide_id": "S3", "marker": "CD99", "chromogen": "AEC"},
        {"slide_id": "S3", "patient_id": "p2"},
        {"slide_id": "x" * 200, "fragments": "1", "annotations": "a.geojson"},
    )
    assert faults(path) == [
        "line 2, site: 'brain' is not possible; write skin or lymph_node or other.",
        "line 2, mpp: '352.8' is no plausible number of µm per pixel; write for example 0.25.",
        "line 3, slide: it is empty; fill it in.",
        "line 3, series: 'one' is no whole number from 0; correct it or leave it empty.",
        "line 5, marker: 'CD99' is not possible; write CD4 or CD8 or CCR4 or H&E or negative_control or other.",
        "line 5, chromogen: 'AEC' is not possible; write DAB.",
        "line 6, slide_id: 'S3' already stands in line 4; make it unique.",
        "line 6, patient_id: biopsy 'b1' has 'p1' in line 4; write the same.",
        f"line 7, slide_id: '{'x' * 200}' cannot name a folder; write a shorter one of plain characters.",
        "line 7, fragments: sections cannot be split by fragments yet; leave it empty.",
        "line 7, annotations: regions cannot be applied yet; leave it empty.",
    ]


@pytest.mark.parametrize("series", ["-1", "1.5", "9" * 5000, "²"])
def test_odd_series(tmp_path: Path, series: str) -> None:
    assert ["series" in fault for fault in faults(written(tmp_path, {"series": series}))] == [True]


def test_header_faults(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text("slide_id,biopsy_id,patient_id,site,marker,chromogen,slide,colour,slide_id\n")
    assert faults(path) == [
        "the column 'colour' is unknown; remove it or correct its name.",
        "the column 'slide_id' stands there more than once; keep one.",
    ]
    path.write_text(";".join(MANIFEST_COLUMNS))
    assert faults(path) == ["the header has semicolons between its columns; save the file with commas."]
    path.write_text("slide_id\n")
    assert [fault.split()[2] for fault in faults(path)] == list(REQUIRED_COLUMNS[1:])


def test_row_with_too_many_or_too_few_cells(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text(",".join(REQUIRED_COLUMNS) + "\ns1,b1,p1,skin,CCR4,DAB,a,b.svs\ns2,b1,p1\n")
    first, *others = faults(path)
    assert first.startswith("line 2, the row: it has more cells than the header")
    assert [fault.split()[2] for fault in others] == ["site:", "marker:", "chromogen:", "slide:"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfes\0l\0", b"slide_id\0", b'"' + b"x" * 200_000], ids=repr)
def test_what_is_no_manifest(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.csv"
    path.write_bytes(content[:200_001])
    assert faults(path)


def test_missing_manifest_folder_and_empty_one(tmp_path: Path) -> None:
    assert faults(tmp_path / "nothing.csv") == ["there is no such manifest; check the path."]
    assert faults(tmp_path) == ["the manifest cannot be read; it must be a CSV file in UTF-8."]
    assert faults(written(tmp_path)) == ["there are no rows; add one a section."]


@pytest.mark.skipif(not SHIPPED.is_file(), reason="the sample slides are not here")
def test_shipped_manifest_is_valid() -> None:
    rows = read_manifest(SHIPPED)
    assert {row.stain.marker for row in rows} == {"CD4", "CD8", "CCR4"}
    assert all(row.slide.is_file() for row in rows)
