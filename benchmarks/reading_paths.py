"""Real slides through every way of reading them.

The Ki-67 scan OS-2-ndpi is scored straight from its OME-TIFF (tifffile), and re-tiled without loss as a pyramidal
TIFF: once as ``score`` opens it (tiles decoded around OpenSlide) and once through OpenSlide alone. Bar: counts within
1 %. The same region from another scanner (OS-2-vsi) stands beside it: their percentages should agree, which is stated
and not barred. Bar on the H&E slide: at most 1 % of its cells are called positive.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from material import SHARED_DATA, Plane, picture, write_slide
from scoring_runs import positive_percent, run_here, usual_predictor
from tables import Bar, show

from ihc_quant.batch import slide_job
from ihc_quant.domain.geometry import Mpp
from ihc_quant.domain.score import CellCounts
from ihc_quant.network.predictor import MapPredictor
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.openslide_reader import OpenSlideReader
from ihc_quant.slide.reader import SlideReader

SLIDES = SHARED_DATA / "slides"
NDPI, VSI, HE = SLIDES / "OS-2-ndpi.ome.tif", SLIDES / "OS-2-vsi.ome.tif", SLIDES / "CMU-1-Small-Region.svs"

COUNT_LIMIT_PERCENT = 1.0
HE_LIMIT_PERCENT = 1.0
WORKERS = 2


def through_openslide(path: Path, *, mpp: Mpp | None = None, series: int | None = None) -> SlideReader:
    """Open a slide with OpenSlide whatever ``open_slide`` would choose; stands in for it."""
    if series not in {None, 0}:
        raise ValueError("OpenSlide opens one image of a file")
    return OpenSlideReader(path, slide_id=path.stem, name=str(path), mpp=mpp)


def retiled(path: Path, target: Path) -> Path:
    """Write level 0 of a slide as a pyramidal TIFF without loss, at its own µm per pixel."""
    with open_slide(path) as reader:
        mpp = reader.info.require_mpp()
    rgb = picture(path)
    height, width = rgb.shape[:2]
    # Wide enough that the plane shows the picture once; what lies past it is cut off.
    write_slide(target, Plane((rgb,), width * 2, path.name), width, height, mpp=mpp, compression="deflate")
    return target


def score(
    path: Path, marker: str, predictor: MapPredictor, folder: Path, opening: Callable[..., SlideReader] = open_slide
) -> CellCounts:
    """Score a slide at the program's own settings, opened by ``opening``."""
    print(f"scoring {path.name} …", file=sys.stderr, flush=True)
    with patch.object(slide_job, "open_slide", opening):
        return run_here(path, folder, predictor, WORKERS, marker)


def row(name: str, reader: str, counts: CellCounts, against: CellCounts | None = None) -> dict[str, Any]:
    """Return one row of the table."""
    return {
        "slide": name,
        "read by": reader,
        "tissue mm²": counts.area_um2 / 1e6,
        "cells": counts.total,
        "cells/mm²": round(counts.total / counts.area_um2 * 1e6) if counts.area_um2 else None,
        "positive": counts.positive,
        "positive %": positive_percent(counts),
        "count off by %": None if against is None else difference_percent(counts, against),
    }


def difference_percent(counts: CellCounts, against: CellCounts) -> float:
    """Return how far two numbers of cells lie apart, in per cent of the second."""
    return 100 * abs(counts.total - against.total) / max(1, against.total)


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description="Real slides through every way of reading them.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    missing = [path for path in (NDPI, VSI, HE) if not path.is_file()]
    if missing:
        print(f"Nothing to read: {', '.join(str(path) for path in missing)} is not here.")
        return
    predictor = usual_predictor("default", workers=WORKERS)
    with TemporaryDirectory(prefix="ihc_quant_bench_") as temporary:
        folder = Path(temporary)
        copy = retiled(NDPI, folder / "OS-2-ndpi-retiled.tiff")
        straight = score(NDPI, "other", predictor, folder / "out")
        around = score(copy, "other", predictor, folder / "out")
        through = score(copy, "other", predictor, folder / "out", through_openslide)
        other = score(VSI, "other", predictor, folder / "out")
        he = score(HE, "H&E", predictor, folder / "out")
    rows = [
        row(NDPI.name, "tifffile", straight),
        row("the same, re-tiled", "score's choice", around, straight),
        row("the same, re-tiled", "OpenSlide alone", through, straight),
        row(VSI.name, "tifffile", other),
        row(f"{HE.name} (H&E)", "score's choice", he),
    ]
    bars = [
        Bar("re-tiled, score's choice: count off by %", difference_percent(around, straight), COUNT_LIMIT_PERCENT),
        Bar("re-tiled, OpenSlide alone: count off by %", difference_percent(through, straight), COUNT_LIMIT_PERCENT),
        Bar("H&E: positive %", positive_percent(he), HE_LIMIT_PERCENT),
    ]
    first, second = positive_percent(straight), positive_percent(other)
    apart = "–" if first is None or second is None else f"{first:.1f} % and {second:.1f} %"
    notes = [f"one region, two scanners: {apart} positive", predictor.description]
    show("Reading paths", notes, rows, bars, as_json=options.json)


if __name__ == "__main__":
    main()
