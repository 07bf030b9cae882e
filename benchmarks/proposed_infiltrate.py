"""How much of the painted infiltrate the software proposes, and what else it takes for one.

``python benchmarks/proposed_infiltrate.py OUT`` with the output of ``ihc-quant demo``. The painted samples state the
kind of every nucleus.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ihc_quant.annotation.region_places import Place, assign
from ihc_quant.annotation.regions import Region, Regions
from ihc_quant.batch.cell_store import CELLS_FILE, read_columns
from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.pixel_store import load_fragments
from ihc_quant.batch.rescoring import slide_folders
from ihc_quant.scoring.proposed_infiltrate import propose_infiltrate

TRUTH = Path(__file__).resolve().parents[1] / "slides_sample" / "truth"


def main(out: Path) -> None:
    """Print one row a painted slide and kind of cell."""
    print("| section | tissue proposed | kind | painted | inside |\n|---|---|---|---|---|")
    for folder in slide_folders(out):
        _, measurement, _ = read_slide_json(folder)
        truth = TRUTH / f"{measurement.slide_id}.parquet"
        if not truth.is_file():
            continue
        tissue = load_fragments(folder, measurement.overview_grid)
        cells = read_columns(folder / CELLS_FILE, ["x_um", "y_um", "area_um2"])
        found = propose_infiltrate(cells["x_um"], cells["y_um"], cells["area_um2"], tissue.mask, tissue.grid)
        region = None if found is None else found.region
        tell(measurement.slide_id, region, truth, measurement.mpp.x, tissue.area_um2())


def tell(slide_id: str, region: Region | None, truth: Path, mpp: float, tissue_um2: float) -> None:
    """Print what of the painted cells lies in a region."""
    table = pq.read_table(truth)
    kind = np.array(table.column("kind").to_pylist())
    places = np.stack([table.column(name).to_numpy().astype(np.float64) / mpp for name in ("x_um", "y_um")], axis=1)
    regions = Regions(() if region is None else (region,))
    inside = assign(places, regions) == Place.INFILTRATE
    area = 0.0 if region is None else region.area_l0.area * mpp**2
    head = f"| {slide_id} | {100 * area / tissue_um2:.0f} % |"
    for name in sorted(set(kind), key=lambda name: -int((kind == name).sum())):
        chosen = kind == name
        print(f"{head} {name} | {chosen.sum()} | {100 * inside[chosen].mean():.0f} % |")
    print(
        f"{head} lymphocytes among all inside | {inside.sum()} | {100 * (kind[inside] == 'lymphocyte').mean():.0f} % |"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
