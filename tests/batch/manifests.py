"""Manifests for tests, with and without faults."""

import csv
import json
from pathlib import Path

from ihc_quant.batch.manifest import MANIFEST_COLUMNS

ROW = {
    "slide_id": "s1", "biopsy_id": "b1", "patient_id": "p1", "site": "skin", "marker": "CCR4", "chromogen": "DAB",
}  # fmt: skip


def section(number: int, **cells: str) -> dict[str, str]:
    """Return a line without fault; every biopsy has four sections."""
    biopsy = (number - 1) // 4
    marker = ("CD4", "CD8", "CCR4", "negative_control")[(number - 1) % 4]
    row = {"slide_id": f"s{number}", "biopsy_id": f"b{biopsy}", "patient_id": f"p{biopsy}", "marker": marker}
    return {**ROW, **row, "slide": f"{number}.svs", "section_index": f"{(number - 1) % 4}", **cells}


def written(folder: Path, *rows: dict[str, str], columns: tuple[str, ...] = MANIFEST_COLUMNS) -> Path:
    """Write a manifest, and a file for every slide that it names by a plain name."""
    path = folder / "manifest.csv"
    full = [{**ROW, "slide": f"{number}.svs", **row} for number, row in enumerate(rows, start=1)]
    for row in full:
        if row["slide"] and "/" not in row["slide"]:
            (folder / row["slide"]).write_text("a slide")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(full)
    return path


def drawn(folder: Path, class_name: str, name: str = "drawn.geojson") -> str:
    geometry = {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]]}
    properties = {"objectType": "annotation", "classification": {"name": class_name}}
    feature = {"type": "Feature", "geometry": geometry, "properties": properties}
    (folder / name).write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return name


def twenty_faults(folder: Path) -> tuple[Path, list[tuple[str, str]]]:
    """Write a manifest of 200 slides with twenty faults; return it and the line and column of each."""
    wrong: dict[int, tuple[str, dict[str, str]]] = {
        3: ("slide_id", {"slide_id": "s2"}),
        10: ("slide_id", {"slide_id": "<" * 40}),
        14: ("biopsy_id", {"biopsy_id": "1,23E+08"}),
        23: ("patient_id", {"patient_id": "p5x"}),
        31: ("site", {"site": "lymph_node"}),
        35: ("site", {"site": "ear"}),
        42: ("marker", {"marker": "CD3"}),
        50: ("chromogen", {"chromogen": ""}),
        55: ("chromogen", {"chromogen": "Fast Red"}),
        60: ("slide", {"slide": "gone/60.svs"}),
        71: ("slide", {"slide": "70.svs", "section_index": "1"}),
        80: ("series", {"series": "first"}),
        90: ("fragments", {"fragments": "03. Jan"}),
        101: ("fragments", {"slide": "100.svs", "fragments": "2"}),
        110: ("mpp", {"mpp": "40x"}),
        123: ("section_index", {"section_index": "0"}),
        130: ("section_thickness_um", {"section_thickness_um": "4000"}),
        143: ("biopsy_day", {"biopsy_day": "2024-03-01"}),
        150: ("annotations", {"annotations": "drawn.png"}),
        161: ("annotations", {"annotations": drawn(folder, "Tumor: Positive")}),
    }
    rows = [section(number, **wrong.get(number, ("", {}))[1]) for number in range(1, 201)]
    expected = [(f"line {number + 1}", column) for number, (column, _) in sorted(wrong.items())]
    return written(folder, *rows), expected
