"""How far the scores of the painted sample biopsies lie from what is true of them.

``python benchmarks/sample_biopsies.py OUT`` with the output of ``ihc-quant demo``, or of ``report`` on its manifest.
The samples are painted: their figures say what the software does to cells that are known, nothing of real tissue.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tables import Bar, print_table

from ihc_quant.batch.cell_store import CELLS_FILE, read_columns
from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.outputs import SLIDES_FOLDER, folder_name
from ihc_quant.batch.reports import read_report
from ihc_quant.domain.outcome import Scored
from ihc_quant.evaluation.matching import match_points

TRUTH = Path(__file__).resolve().parents[1] / "slides_sample" / "truth"
MOST_POINTS, MOST_PERCENT = 3.0, 10.0
"""What percentage and density may be off by at most."""

Row = dict[str, Any]


def section_row(folder: Path, biopsy: Row, section: Row) -> Row:
    """Return how far the percentage, in points, and the density, in per cent, of one section are off."""
    outcome, measurement, _ = read_slide_json(folder)
    if not isinstance(outcome, Scored):
        raise SystemExit(f"{folder}: the section was not scored")
    fraction, density = outcome.score.positive_fraction.value, outcome.score.positive_density_per_mm2.value
    if fraction is None or density is None:
        raise SystemExit(f"{folder}: the section has no percentage or no density")
    area = biopsy["tissue_area_without_fat_um2"]
    present = 1e6 * section["positive_present"] / area
    return {
        "section": measurement.slide_id,
        "cells": outcome.score.counts.total,
        "true": section["cells"],
        "percent": 100 * fraction,
        "points off": 100 * (fraction - section["fraction_positive"]),
        "density off, %": 100 * (density / section["positive_per_mm2_without_fat"] - 1),
        "area off, %": 100 * (outcome.score.counts.area_um2 / area - 1),
        "all present: points off ": 100 * (fraction - section["fraction_positive_present"]),
        "density off, % ": 100 * (density / present - 1),
    }


def bounds_row(out: Path, biopsy: Row) -> Row:
    """Return the bounds on the fraction that carries both markers over all tissue, and what is true."""
    report = read_report(out / "biopsies" / folder_name(biopsy["biopsy_id"]) / "report.json")
    over_all = [one for one in report.panel.bounds if one.one.region and one.one.region.origin == "tissue"]
    (bounds,) = over_all
    if bounds.bounds is None or bounds.widened is None:
        raise SystemExit(f"{biopsy['biopsy_id']}: there are no bounds: {bounds.reason}")
    true = biopsy["fraction_cd4_and_ccr4_in_slab"]
    return {
        "biopsy": biopsy["biopsy_id"],
        "true, %": 100 * true,
        "bounds": f"{100 * bounds.bounds.low:.1f} to {100 * bounds.bounds.high:.1f}",
        "as shown": f"{100 * bounds.widened.low:.1f} to {100 * bounds.widened.high:.1f}",
        "inside": bounds.bounds.low <= true <= bounds.bounds.high,
        "inside as shown": bounds.widened.low <= true <= bounds.widened.high,
    }


def kind_rows(folder: Path, slide_id: str) -> list[Row]:
    """Return of each kind of cell how many can be seen, were found within 4 µm, and were called otherwise."""
    truth = pq.read_table(TRUTH / f"{slide_id}.parquet").to_pydict()
    visible = np.array(truth["visible"])
    kind, positive = np.array(truth["kind"])[visible], np.array(truth["positive"])[visible]
    cells = read_columns(folder / CELLS_FILE, ["x_um", "y_um", "positive"])
    called = np.asarray(cells["positive"], np.bool_)
    matches = match_points(_places(cells["x_um"], cells["y_um"]), _places(truth["x_um"], truth["y_um"])[visible])
    found, wrong = np.zeros(len(kind), np.bool_), np.zeros(len(kind), np.bool_)
    found[matches.true] = True
    wrong[matches.true] = called[matches.found] != positive[matches.true]
    extra = np.ones(len(called), np.bool_)
    extra[matches.found] = False
    groups = sorted({(str(name), bool(sign)) for name, sign in zip(kind, positive, strict=True)})
    rows: list[Row] = []
    for name, sign in groups:
        chosen = (kind == name) & (positive == sign)
        label = f"{name}, {'positive' if sign else 'negative'}"
        rows.append(
            {
                "section": slide_id,
                "kind": label,
                "cells": int(chosen.sum()),
                "missed": int((chosen & ~found).sum()),
                "called otherwise": int((chosen & wrong).sum()),
            }
        )
    for call, chosen in (("positive", extra & called), ("negative", extra & ~called)):
        rows.append(
            {"section": slide_id, "kind": f"no cell that can be seen, called {call}", "cells": int(chosen.sum())}
        )
    return rows


def _places(x_um: object, y_um: object) -> NDArray[np.float64]:
    return np.stack([np.asarray(x_um, np.float64), np.asarray(y_um, np.float64)], axis=1)


def bars(sections: list[Row], biopsies: list[Row]) -> list[Bar]:
    """Return what the samples are held to."""
    return [
        Bar("largest error of a percentage, points", max(abs(row["points off"]) for row in sections), MOST_POINTS),
        Bar("largest error of a density, %", max(abs(row["density off, %"]) for row in sections), MOST_PERCENT),
        Bar("biopsies whose true fraction lies outside the bounds", sum(not row["inside"] for row in biopsies), 0),
    ]


def main() -> None:
    """Print errors, bounds and, if asked, which kinds of cells they come from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="output of ihc-quant demo")
    parser.add_argument("--kinds", action="store_true", help="what was missed and called otherwise, by kind of cell")
    options = parser.parse_args()
    truth = json.loads((TRUTH / "biopsies.json").read_text(encoding="utf-8"))["biopsies"]
    folders = {
        section["slide_id"]: options.out / SLIDES_FOLDER / folder_name(section["slide_id"])
        for biopsy in truth
        for section in biopsy["sections"]
    }
    sections = [
        section_row(folders[section["slide_id"]], biopsy, section) for biopsy in truth for section in biopsy["sections"]
    ]
    biopsies = [bounds_row(options.out, biopsy) for biopsy in truth]
    print_table("Painted sections: found less true", ["truth: cells that can be seen"], sections)
    print_table("CD4 and CCR4 on one cell, over all tissue", [], biopsies, bars(sections, biopsies))
    if options.kinds:
        notes = ["visible cells, matched within 4 µm"]
        print_table("By kind", notes, [row for name, folder in folders.items() for row in kind_rows(folder, name)])


if __name__ == "__main__":
    main()
