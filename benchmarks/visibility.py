"""What people mark on real pictures: how faint, how small, how close; and how much of that painted tissue holds.

The limits of ``ihc_quant/synthetic/visibility.py`` come from here. No network takes part.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from labelled_images import READERS, LabelledImage
from material import SHARED_DATA
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from tables import print_table

from ihc_quant.stain.density import averaged
from ihc_quant.stain.estimate import estimate_white_point, reference_stains
from ihc_quant.stain.unmixing import chromogen_density
from ihc_quant.synthetic.visibility import nuclear_contrast
from ihc_quant.training.sources import NUCLEUS_DIAMETER_UM, read_rgb

TRUTH = Path(__file__).resolve().parents[1] / "slides_sample" / "truth"
MARKED = ("cd138", "bcdata")
EDGE_UM = 9.0
"""Nearer to the border of a picture the surroundings of a mark are not all there."""
EMPTY_UM = 7.0
"""Places farther than this from every mark hold no nucleus that somebody saw."""
BROWN_OD = 0.2
"""QuPath's cut of a weakly positive cell: the border of a brown body."""
BODY_UM = (0, 4, 5, 6, 7, 8, 9, 10, 12, 16)

Row = dict[str, Any]
Values = NDArray[np.floating[Any]]


def contrast_row(what: str, values: Values) -> Row:
    """Return the low percentiles of contrasts."""
    low = dict(zip(("1 %", "2 %", "5 %", "median", "90 %"), np.percentile(values, (1, 2, 5, 50, 90)), strict=True))
    return {"places": what, "number": len(values), **{name: f"{value:.3f}" for name, value in low.items()}}


def contrasts(image: LabelledImage, rng: np.random.Generator) -> tuple[Values, Values, Values]:
    """Return contrasts at negative marks, at positive marks and at places where nobody marked anything."""
    rgb = read_rgb(image.path)
    white = estimate_white_point(rgb, image.mpp_um).rgb
    size_um = np.array(image.size_px) * image.mpp_um
    within = ((image.places_um > EDGE_UM) & (image.places_um < size_um - EDGE_UM)).all(axis=1)
    places = rng.uniform(EDGE_UM, size_um - EDGE_UM, (400, 2))
    empty = places[cKDTree(image.places_um).query(places)[0] > EMPTY_UM][:60] if len(image.places_um) else places[:60]
    negative, positive = (image.places_um[within & (image.positive == sign)] for sign in (False, True))
    found = [nuclear_contrast(rgb, image.mpp_um, white, *some.T) for some in (negative, positive, empty)]
    return found[0], found[1], found[2]


def bodies(image: LabelledImage) -> list[tuple[float, bool]]:
    """Return the width of each brown body within a picture, and whether somebody marked a positive cell in it."""
    rgb = read_rgb(image.path)
    stains = reference_stains(estimate_white_point(rgb, image.mpp_um).rgb)
    factor = max(1, round(0.5 / image.mpp_um))
    step_um = image.mpp_um * factor
    density = ndimage.gaussian_filter(chromogen_density(averaged(rgb, factor), stains), 0.5 / step_um)
    labels, count = ndimage.label(ndimage.binary_fill_holes(density >= BROWN_OD))
    column, row = np.floor(image.places_um[image.positive] / step_um).astype(int).T
    inside = (column < labels.shape[1]) & (row < labels.shape[0])
    marked = np.bincount(labels[row[inside], column[inside]], minlength=count + 1) > 0
    pixels = np.bincount(labels.ravel(), minlength=count + 1)
    rim = max(2, round(max(image.border_um, 1.0) / step_um))
    outer = labels.copy()
    outer[rim:-rim, rim:-rim] = 0
    cut_off = set(np.unique(outer).tolist())
    return [
        (2 * float(np.sqrt(pixels[number] / np.pi)) * step_um, bool(marked[number]))
        for number in range(1, count + 1)
        if number not in cut_off
    ]


def body_rows(found: list[tuple[float, bool]], source: str) -> list[Row]:
    """Return which share of brown bodies carries a mark, by width."""
    width, marked = np.array([one[0] for one in found]), np.array([one[1] for one in found])
    rows: list[Row] = []
    for least, most in pairwise(BODY_UM):
        chosen = (width >= least) & (width < most)
        share = f"{100 * marked[chosen].mean():.0f}" if chosen.any() else None
        rows.append({"set": source, "width, µm": f"{least} to {most}", "bodies": int(chosen.sum()), "marked, %": share})
    return rows


def outline_widths(image: LabelledImage) -> Values:
    """Return the widths of whole outlined nuclei, the picture scaled as in training (median of 8 µm)."""
    assert image.labels is not None
    pixels = np.bincount(image.labels.ravel())[1:]
    rim = np.concatenate([image.labels[[0, -1]].ravel(), image.labels[:, [0, -1]].ravel()])
    whole = (pixels > 0) & ~np.isin(np.arange(1, len(pixels) + 1), rim)
    width = 2 * np.sqrt(pixels / np.pi)
    typical = float(np.median(width[pixels > 0])) if (pixels > 0).any() else 1.0
    return np.asarray(width[whole] * NUCLEUS_DIAMETER_UM / typical)


def next_mark(image: LabelledImage) -> Values:
    """Return the distance of each mark to the next one, µm; nothing for a picture with fewer than two."""
    if len(image.places_um) < 2:
        return np.empty(0)
    distance, _ = cKDTree(image.places_um).query(image.places_um, k=2)
    return np.asarray(distance)[:, 1]


def sample_rows() -> list[Row]:
    """Return how many cells of the painted samples can be seen."""
    biopsies = json.loads((TRUTH / "biopsies.json").read_text(encoding="utf-8"))["biopsies"]
    rows: list[Row] = []
    for section in (one for biopsy in biopsies for one in biopsy["sections"]):
        table = pq.read_table(TRUTH / f"{section['slide_id']}.parquet")
        visible, positive = (np.asarray(table.column(name).to_numpy(), np.bool_) for name in ("visible", "positive"))
        rows.append(
            {
                "section": section["slide_id"],
                "present": len(visible),
                "seen": int(visible.sum()),
                "negative seen, %": 100 * float(visible[~positive].mean()),
                "positive seen, %": 100 * float(visible[positive].mean()),
            }
        )
    return rows


def main() -> None:
    """Print what was measured."""
    rng = np.random.default_rng(0)
    images = {source: READERS[source](SHARED_DATA / "labelled" / source) for source in (*MARKED, "dsb2018")}
    rows: list[Row] = []
    negatives: list[Values] = []
    for source in MARKED:
        found = [contrasts(image, rng) for image in images[source]]
        parts = [np.concatenate([one[part] for one in found]) for part in range(3)]
        negatives.append(parts[0])
        names = ("negative marks", "positive marks", "nobody marked")
        rows += [contrast_row(f"{source}, {name}", values) for name, values in zip(names, parts, strict=True)]
    rows.append(contrast_row("negative marks of both", np.concatenate(negatives)))
    print_table("Hematoxylin contrast at what people marked, optical density", [], rows)
    widths = np.concatenate([outline_widths(image) for image in images["dsb2018"]])
    apart = {source: np.concatenate([next_mark(image) for image in images[source]]) for source in MARKED}
    rows = [{"what": "width of outlined nuclei, DSB 2018", **_low(widths)}]
    rows += [{"what": f"distance to the next mark, {source}", **_low(values)} for source, values in apart.items()]
    print_table("How small and how close, µm", [], rows)
    rows = [row for source in MARKED for row in body_rows([b for one in images[source] for b in bodies(one)], source)]
    print_table("Brown bodies that carry a positive mark", [f"density of at least {BROWN_OD}"], rows)
    print_table("Cells of the painted samples that can be seen", [], sample_rows())


def _low(values: Values) -> Row:
    low = np.percentile(values, (1, 2, 5, 50))
    return {"number": len(values)} | {
        name: f"{value:.1f}" for name, value in zip(("1 %", "2 %", "5 %", "median"), low, strict=True)
    }


if __name__ == "__main__":
    main()
