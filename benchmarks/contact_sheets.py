"""Crops of our own domain, each beside itself with outlined cells, numbered, for counting errors by eye.

    python benchmarks/contact_sheets.py --output DIR [--weights NAME_OR_CARD]

There is no truth for these pictures: CD3 on lymph node (0.5 µm per pixel, by the size of its lymphocytes) and CD3 or
CD8 crops (0.25). Half of the crops of a node lie around a positive cell, so that no follicle hides the errors.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from artefacts import NEGATIVE_RGB, POSITIVE_RGB
from material import NODE_UM, SHARED_DATA, picture
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scored_pictures import FoundCells, Scorer
from scoring_runs import usual_predictor

from ihc_quant.domain.geometry import Mpp

NODES = SHARED_DATA / "unlabelled" / "lymphnode_cd3"
CROPS = SHARED_DATA / "unlabelled" / "cd3cd8"
CROP_UM = 0.25
SIDE_UM = 64.0
"""Side of a crop: the cells in it can still be counted by eye."""
SIDE_PX = 768
"""Its side on the sheet."""
CROPS_OF_A_NODE = 4
CAPTION_PX = 30
LEAST_TISSUE = 0.3
"""Small crops with less tissue than this share are left out."""


def crops_of(path: Path, found: FoundCells, seed: int) -> Iterator[tuple[float, float]]:
    """Yield the corners, x and y in µm, of the crops of a node: where positive cells are, then anywhere."""
    rng = np.random.default_rng(seed)
    height, width = picture(path).shape[:2]
    limit = np.array([width, height]) * NODE_UM - SIDE_UM
    for number in range(CROPS_OF_A_NODE):
        at = rng.uniform(0, limit)
        if number < CROPS_OF_A_NODE // 2 and found.positive.any():
            at = np.clip(rng.choice(found.places_um[found.positive]) - SIDE_UM / 2, 0, limit)
        yield float(at[0]), float(at[1])


def drawn(rgb: NDArray[np.uint8], um: float, found: FoundCells, x_um: float, y_um: float, caption: str) -> Image.Image:
    """Return a crop beside itself with the outlines of its cells, positive ones yellow, negative ones cyan."""
    left, top, side = round(x_um / um), round(y_um / um), round(SIDE_UM / um)
    plain = (
        Image.fromarray(rgb)
        .crop((left, top, left + side, top + side))
        .resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    )
    marked = plain.copy()
    pen = ImageDraw.Draw(marked)
    for outline, positive in zip(found.outlines_um, found.positive, strict=True):
        corners = (outline - (x_um, y_um)) * (SIDE_PX / SIDE_UM)
        pen.line([*map(tuple, corners), tuple(corners[0])], fill=POSITIVE_RGB if positive else NEGATIVE_RGB, width=2)
    sheet = Image.new("RGB", (2 * SIDE_PX + 4, SIDE_PX + CAPTION_PX), "white")
    sheet.paste(plain, (0, CAPTION_PX))
    sheet.paste(marked, (SIDE_PX + 4, CAPTION_PX))
    inside = ((found.places_um >= (x_um, y_um)) & (found.places_um < (x_um + SIDE_UM, y_um + SIDE_UM))).all(axis=1)
    counts = f"{int(found.positive[inside].sum())} positive, {int((~found.positive[inside]).sum())} negative"
    ImageDraw.Draw(sheet).text((4, 5), f"{caption}: {counts}", fill="black", font_size=18)
    return sheet


def main() -> None:
    """Write the sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="default")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--small", type=int, default=12, help="how many of the small crops")
    asked = parser.parse_args()
    if not NODES.is_dir():
        raise SystemExit(f"{NODES}: the unlabelled pictures are not here; there is nothing to draw.")
    asked.output.mkdir(parents=True, exist_ok=True)
    scorer = Scorer(usual_predictor(asked.weights), tile_px=1024)
    sheets: list[tuple[str, Image.Image]] = []
    for seed, path in enumerate(sorted(path for path in NODES.glob("*.png") if not path.stem.endswith("_he"))):
        found, rgb = scorer.score(path, Mpp.square(NODE_UM)), picture(path)
        for x_um, y_um in crops_of(path, found, seed):
            caption = f"{path.stem} at {x_um:.0f}, {y_um:.0f} um"
            sheets.append((path.stem, drawn(rgb, NODE_UM, found, x_um, y_um, caption)))
    small = 0
    for path in sorted(CROPS.glob("*.png")):
        found, rgb = scorer.score(path, Mpp.square(CROP_UM)), picture(path)
        if small < asked.small and found.tissue_mm2 * 1e6 >= LEAST_TISSUE * SIDE_UM**2:
            small += 1
            sheets.append((path.stem, drawn(rgb, CROP_UM, found, 0.0, 0.0, path.stem)))
    for number, (stem, sheet) in enumerate(sheets, start=1):
        sheet.save(asked.output / f"{number:02d}-{stem}.png")
    print(f"{len(sheets)} sheets in {asked.output}")


if __name__ == "__main__":
    main()
