"""Paint the sample biopsies and write them as slides, with their manifest and their truth.

Run as ``python -m ihc_quant.batch.samples slides_sample``.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ihc_quant.batch.manifest import MANIFEST_COLUMNS
from ihc_quant.slide.writing import write_pyramid
from ihc_quant.synthetic.sample import PIXEL_UM, SECTION_UM, Biopsy, PaintedSection, grow_biopsies, paint_biopsy
from ihc_quant.synthetic.truth import biopsy_facts, cell_columns, section_facts

_QUALITY = 78


def write_samples(folder: Path) -> None:
    """Write the sample slides, ``manifest.csv`` and ``truth/`` into a folder; files of these names are replaced.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    """
    (folder / "truth").mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    facts: list[dict[str, object]] = []
    for biopsy in grow_biopsies():
        sections: list[dict[str, object]] = []
        for painted in paint_biopsy(biopsy):
            slide_id = f"{biopsy.biopsy_id}-{painted.marker}"
            write_pyramid(folder / f"{slide_id}.tiff", painted.rgb, PIXEL_UM, quality=_QUALITY)
            _write_truth(folder / "truth" / f"{slide_id}.parquet", painted)
            rows.append(_manifest_row(biopsy, painted, slide_id))
            sections.append({"slide_id": slide_id, **section_facts(biopsy, painted)})
        facts.append(biopsy_facts(biopsy, sections))
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, MANIFEST_COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    text = json.dumps({"biopsies": facts}, indent=2) + "\n"
    (folder / "truth" / "biopsies.json").write_text(text, encoding="utf-8")


def _manifest_row(biopsy: Biopsy, painted: PaintedSection, slide_id: str) -> dict[str, object]:
    """Return the section's row; columns that say nothing of a painted slide stay blank."""
    return {
        "slide_id": slide_id,
        "biopsy_id": biopsy.biopsy_id,
        "patient_id": biopsy.patient_id,
        "site": biopsy.site,
        "marker": painted.marker,
        "chromogen": "DAB",
        "slide": f"{slide_id}.tiff",
        "clone": "painted",
        "section_index": painted.index,
        "section_thickness_um": f"{SECTION_UM:g}",
    }


def _write_truth(path: Path, painted: PaintedSection) -> None:
    """Write the cells of a section; lengths to 1/100 µm."""
    columns = cell_columns(painted)
    for name in ("x_um", "y_um", "diameter_um", "strength"):
        columns[name] = np.round(columns[name].astype(np.float64), 2).astype(np.float32)
    pq.write_table(pa.table(columns), path, compression="zstd")


if __name__ == "__main__":
    write_samples(Path(sys.argv[1]))
