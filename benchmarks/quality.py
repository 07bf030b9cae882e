"""Quality control on artefacts painted onto real lymph node, by area; clean tissue lost; pictures of real artefacts.

    python benchmarks/quality.py [--variants N] [--set tuning|judged|all] [--only KIND] [--weights NAME]
        [--pictures FOLDER]

Thresholds were chosen on the pictures and seeds of ``tuning``; ``judged`` holds other pictures and other seeds.
Overviews of 2, 4 and 8 µm take turns. Pen is judged on glass and tissue, the rest on tissue. Recall and precision are
ratios of pooled areas. The µm per pixel of the pictures follows from the size of their lymphocytes.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from material import SHARED_DATA, picture
from numpy.typing import NDArray
from painted_artefacts import (
    PEN_DENSITIES,
    PIXEL_UM,
    Painted,
    paint_blur,
    paint_fold,
    paint_pen,
    paint_shifted_fold,
    scanned,
)
from PIL import Image, ImageDraw

from ihc_quant.domain.geometry import Grid, GridBox, Mpp, Size
from ihc_quant.domain.quality import CAUSE_WORDS, Cause, QualityMap
from ihc_quant.network.card import read_card, resolve_card
from ihc_quant.network.fold_network import FoldNetwork, load_fold_network
from ihc_quant.network.predictor import usable_cores
from ihc_quant.stain.density import White, averaged
from ihc_quant.stain.estimate import estimate_white_point, reference_stains
from ihc_quant.tissue.artefacts import find_pen
from ihc_quant.tissue.control import propose_control
from ihc_quant.tissue.fold_planes import PlaneRaster, fold_planes
from ihc_quant.tissue.map import TissueMap
from ihc_quant.tissue.mask import find_tissue
from ihc_quant.tissue.quality import find_causes
from ihc_quant.tissue.quality_settings import DEFAULT_QUALITY
from ihc_quant.tissue.tile_measures import STEP_PX, MeasureRaster, measure_tile

NODES = SHARED_DATA / "unlabelled" / "lymphnode_cd3"
SETS = {"tuning": (("ihc_a.png", "pair1_cd3.png"), 0), "judged": (("ihc_b.png", "pair2_cd3.png"), 2000)}
"""Pictures and first seed of each set."""
FOLD_SEEDS = {"tuning": 0, "judged": 100000}
"""First seed of folds: those from 2000, 5000, 6000, 9000, 10000, 20000, 30000, 50000 and 70000 were judged while
something was chosen."""
OVERVIEWS_UM = (2.0, 4.0, 8.0)
TILE_PX, MARGIN_PX = 1024, 48
COLOURS = {
    Cause.PEN: (0, 90, 255),
    Cause.FOLD: (255, 0, 200),
    Cause.BLANK: (120, 120, 120),
    Cause.SATURATED: (255, 140, 0),
    Cause.BLUR: (0, 170, 60),
}
PANEL_PX = 360


def controlled(
    rgb: NDArray[np.uint8], overview_um: float, white: White | None = None, weights: str = "default"
) -> tuple[QualityMap, TissueMap, NDArray[np.uint8], float]:
    """Return what quality control finds on a picture cut into tiles, and the tiles' processor time in seconds."""
    factor = round(overview_um / PIXEL_UM)
    overview = averaged(rgb, factor)
    tissue = find_tissue(overview, Grid(overview_um, Mpp.square(PIXEL_UM)))
    white = white or estimate_white_point(overview, overview_um).rgb
    height, width = rgb.shape[:2]
    network, extent, seconds = fold_network(weights), Size(width, height), 0.0
    measures, planes = MeasureRaster.empty(extent, PIXEL_UM), PlaneRaster.empty(extent)
    padded = cv2.copyMakeBorder(
        rgb, MARGIN_PX, MARGIN_PX + TILE_PX, MARGIN_PX, MARGIN_PX + TILE_PX, cv2.BORDER_CONSTANT, value=(255, 255, 255)
    )
    for y in range(0, height, TILE_PX):
        for x in range(0, width, TILE_PX):
            side = TILE_PX + 2 * MARGIN_PX
            tile = np.ascontiguousarray(padded[y : y + side, x : x + side], np.uint8)
            started = time.process_time()
            values = measure_tile(tile, white)
            squares = fold_planes(tile, white) if network else None
            seconds += time.process_time() - started
            core = GridBox(x, y, x + TILE_PX, y + TILE_PX)
            measures.put(core, core.grown(MARGIN_PX), values)
            if squares is not None:
                planes.put(core, core.grown(MARGIN_PX), squares)
    chances = network.chances(planes, PIXEL_UM) if network else None
    return find_causes(overview, tissue, measures, white, folds=chances), tissue, overview, seconds


@lru_cache(maxsize=1)
def fold_network(weights: str) -> FoldNetwork | None:
    """Return the network that tells folds on slides scored with these weights; None where rules do."""
    stated = read_card(resolve_card(weights)).folds
    return load_fold_network(stated, usable_cores()) if stated else None


def painters(rgb: NDArray[np.uint8], tissue: NDArray[np.bool_]) -> dict[str, Callable[[np.random.Generator], Painted]]:
    """Return what to paint, by name."""
    # Ink has no detail at the size of cells, so it is painted on 2 µm per pixel, which is quick.
    coarse, coarse_tissue = averaged(rgb, 4), tissue[::4, ::4]
    found: dict[str, Callable[[np.random.Generator], Painted]] = {
        "fold": lambda rng: paint_fold(rgb, tissue, rng),
        "fold as painted before": lambda rng: paint_shifted_fold(rgb, tissue, rng),
        "blur": lambda rng: paint_blur(rgb, tissue, rng),
    }
    for colour in PEN_DENSITIES:
        found[f"pen, {colour}, on tissue"] = lambda rng, colour=colour: paint_pen(
            coarse, colour, rng, coarse_tissue, 2.0
        )  # type: ignore[misc]
        found[f"pen, {colour}, beside"] = lambda rng, colour=colour: paint_pen(coarse, colour, rng, ~coarse_tissue, 2.0)  # type: ignore[misc]
    return found


def pen_on(painted: Painted, rng: np.random.Generator, overview_um: float) -> tuple[NDArray[np.bool_], float]:
    """Return the pen found on an overview of a picture painted at 2 µm per pixel, and the overview's pixel."""
    overview = averaged(scanned(painted.rgb, rng), round(overview_um / 2))
    white = estimate_white_point(overview, overview_um).rgb
    return find_pen(overview, overview_um, white, DEFAULT_QUALITY), overview_um


def node(name: str) -> NDArray[np.uint8]:
    """Return a lymph-node picture, uint8 (H, W, 3)."""
    return np.ascontiguousarray(picture(NODES / name))


def pooled(chosen: Sequence[str], variants: int, only: str, weights: str) -> Iterator[str]:
    """Yield the lines of the table of painted artefacts whose kind starts so, and of clean tissue."""
    areas: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros(3))
    clean: dict[str, NDArray[np.float64]] = {}
    seconds: list[float] = []
    for name_of_set in chosen:
        names, seed = SETS[name_of_set]
        for number, name in enumerate(names):
            rgb = node(name)
            tissue_here = find_tissue(rgb, Grid(PIXEL_UM, Mpp.square(PIXEL_UM))).mask
            quality, tissue, _, _ = controlled(rgb, 4.0, weights=weights)
            lost = quality.excluded(DEFAULT_QUALITY.excluded) & tissue.mask
            clean[name] = np.array([lost.sum(), tissue.mask.sum()], np.float64)
            by_cause = {
                CAUSE_WORDS[c]: round(a / tissue.area_um2(), 4) for c, a in quality.areas_um2(tissue.mask).items()
            }
            yield f"clean {name} ({name_of_set}): {lost.sum() / tissue.mask.sum():.2%} excluded; {by_cause}"
            for kind, paint in painters(rgb, tissue_here).items():
                first = FOLD_SEEDS[name_of_set] if kind.startswith("fold") else seed
                for variant in range(variants if kind.startswith(only) else 0):
                    rng = np.random.default_rng([first + variant, number, *kind.encode()])
                    painted = paint(rng)
                    overview_um = OVERVIEWS_UM[variant % len(OVERVIEWS_UM)]
                    if kind.startswith("pen"):
                        found, overview_um = pen_on(painted, rng, overview_um)
                    else:
                        quality, _, _, spent = controlled(scanned(painted.rgb, rng), overview_um, weights=weights)
                        seconds.append(spent / 4)
                        found = quality.causes == (Cause.FOLD if kind.startswith("fold") else Cause.BLUR)
                    truth = _on_overview(painted.truth, found.shape)
                    if painted.pale is not None:
                        areas[f"{kind}, fat and empty places too"] += _counted(found, truth) * overview_um**2
                        pale = _on_overview(painted.pale, found.shape)
                        # What is found on fat is judged where nothing was painted, and neither way where it was.
                        found, truth = found & ~(pale & truth), truth & ~pale
                    counted = _counted(found, truth) * overview_um**2
                    areas[kind] += counted
                    if kind.startswith("pen"):
                        areas["pen, all"] += counted
    for kind in sorted(areas):
        hit, true, told = areas[kind]
        yield f"{kind:34s} recall {hit / max(true, 1):.3f}  precision {hit / max(told, 1):.3f}  ({true / 1e6:.2f} mm²)"
    lost_px, all_px = np.sum(list(clean.values()), axis=0)
    yield f"clean tissue excluded, pooled: {lost_px / all_px:.2%}"
    if seconds:
        spent_ms = 1000 * float(np.median(seconds))
        yield f"measures of a tile of {TILE_PX + 2 * MARGIN_PX}² pixels: {spent_ms:.1f} ms of processor (median)"


def _on_overview(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    small = cv2.resize(mask.astype(np.float32), shape[1::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small >= 0.5, np.bool_)


def _counted(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.array([(found & truth).sum(), truth.sum(), found.sum()], np.float64)


def control_lines(chosen: Sequence[str], variants: int) -> Iterator[str]:
    """Yield recall and precision, by area, of control fragments; half of the slides have none.

    Two to four levels of one node 0.4 to 2 mm apart, and 1.2 to 4 mm off a smaller piece of the other node; then, which
    pixels hardly tell, one lone piece beside a control that is larger.
    """
    for what, hard in (("control fragment", False), ("larger than one lone piece", True)):
        counted = np.zeros(3)
        for name_of_set in chosen:
            names, seed = SETS[name_of_set]
            nodes = [_section(averaged(node(name), 4)) for name in names]
            for variant in range(4 * variants):
                rng = np.random.default_rng([seed + variant, int(hard)])
                own = variant // 2 % 2
                slide, truth = _glass(nodes[own], nodes[1 - own], variant % 2 == 0, hard, rng)
                overview = averaged(slide, 4)
                tissue = find_tissue(overview, Grid(8.0, Mpp.square(PIXEL_UM)))
                white = estimate_white_point(overview, 8.0).rgb
                proposals = propose_control(overview, tissue, reference_stains(white))
                found = np.isin(tissue.fragments, [n for proposal in proposals for n in proposal.fragments])
                counted += _counted(found & tissue.mask, truth[::4, ::4] & tissue.mask)
        hit, true, told = counted * 64
        yield f"{what:34s} recall {hit / max(true, 1):.3f}  precision {hit / max(told, 1):.3f}  ({true / 1e6:.2f} mm²)"


def _glass(
    own: NDArray[np.uint8], other: NDArray[np.uint8], with_control: bool, hard: bool, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return a slide at 2 µm per pixel, and where its control lies."""
    pieces = [_piece(own, rng, 0.85, 1.0) for _ in range(1 if hard else int(rng.integers(2, 5)))]
    if hard:
        pieces = [_piece(own, rng, 0.5, 0.7)]
    if with_control:
        pieces.append(_piece(other, rng, *((0.85, 1.0) if hard else (0.5, 0.8))))
    slide = np.full((1200, 8000, 3), 245, np.uint8)
    truth, x = np.zeros(slide.shape[:2], np.bool_), 60
    for index, piece in enumerate(pieces):
        control = with_control and index == len(pieces) - 1
        x += int(rng.integers(600, 2000) if control else rng.integers(200, 1000)) if index else 0
        y = int(rng.integers(20, 160))
        place = (slice(y, y + piece.shape[0]), slice(x, x + piece.shape[1]))
        slide[place], x = piece, x + piece.shape[1]
        truth[place] |= control
    return slide, truth


def _section(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a node at 2 µm per pixel; one that is mostly glass is mirrored where its border cuts the tissue.

    Else a "fragment" of it would be glass, or a crumb that no laboratory takes for a control.
    """
    if find_tissue(rgb, Grid(2.0, Mpp.square(PIXEL_UM))).mask.mean() >= 0.25:
        return rgb
    rgb = np.concatenate([rgb, rgb[:, ::-1]], axis=1)
    rgb = np.concatenate([rgb, rgb[::-1]], axis=0)
    rows, columns = np.nonzero(find_tissue(rgb, Grid(2.0, Mpp.square(PIXEL_UM))).mask)
    return np.ascontiguousarray(rgb[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])


def _piece(rgb: NDArray[np.uint8], rng: np.random.Generator, least: float, most: float) -> NDArray[np.uint8]:
    """Return an ellipse of a node at 2 µm per pixel on glass, turned at random; axes as shares of the picture."""
    rgb = np.rot90(rgb, int(rng.integers(4)))
    (height, width), (rows, columns) = rgb.shape[:2], np.indices(rgb.shape[:2])
    down, across = height / 2 * rng.uniform(least, most), width / 2 * rng.uniform(least, most)
    y, x = rng.uniform(down, height - down), rng.uniform(across, width - across)
    outside = np.hypot((rows - y) / down, (columns - x) / across) > 0.98
    return np.where(outside[..., np.newaxis] | (rgb.min(axis=-1, keepdims=True) > 244), np.uint8(245), rgb)


def contact_sheet(paths: Sequence[Path], target: Path, weights: str) -> None:
    """Draw real pictures with outlines of what was found, each cause in its colour."""
    panels = []
    for path in paths:
        with Image.open(path) as image:  # orientation tags and all: these are looked at, not scored
            rgb = np.array(image.convert("RGB"))
        small = path.parent.name in {"cd3cd8", "epidermis_dab"}  # 0.25 µm per pixel
        rgb = averaged(rgb, 2) if small else rgb
        rgb = rgb[: rgb.shape[0] // STEP_PX * STEP_PX, : rgb.shape[1] // STEP_PX * STEP_PX]
        quality, _, overview, _ = controlled(rgb, 2.0, weights=weights)
        scale = PANEL_PX / max(overview.shape[:2])
        size = (round(overview.shape[1] * scale), round(overview.shape[0] * scale))
        canvas = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8).copy()
        words = []
        for cause, colour in COLOURS.items():
            mask = cv2.resize((quality.causes == cause).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
            if mask.any():
                words.append(f"{CAUSE_WORDS[cause]} {mask.mean():.0%}")
                contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
                cv2.drawContours(canvas, contours, -1, colour, 3)
        panel = Image.new("RGB", (PANEL_PX + 8, PANEL_PX + 44), "white")
        panel.paste(Image.fromarray(canvas), (0, 40))
        ImageDraw.Draw(panel).text(
            (2, 2), f"{path.name[:40]}\n{', '.join(words) or 'nothing'}", fill="black", font_size=14
        )
        panels.append(panel)
    columns = 8
    sheet = Image.new("RGB", (columns * (PANEL_PX + 8), -(-len(panels) // columns) * (PANEL_PX + 44)), "white")
    for index, panel in enumerate(panels):
        sheet.paste(panel, (index % columns * panel.width, index // columns * panel.height))
    sheet.save(target)


def main() -> None:
    """Print the table and draw the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", type=int, default=6, help="of each artefact on each picture")
    parser.add_argument("--set", choices=("tuning", "judged", "all"), default="judged")
    parser.add_argument("--only", default="", help="kind of artefact: fold, blur, pen or control")
    parser.add_argument("--weights", default="default", help="name or card of weights: it names what tells folds")
    parser.add_argument("--pictures", type=Path, help="folder for the contact sheet of real artefacts")
    given = parser.parse_args()
    if not NODES.is_dir():
        raise SystemExit(f"{NODES} is not here: this benchmark paints on real pictures and needs them")
    cv2.setNumThreads(1)
    chosen = list(SETS) if given.set == "all" else [given.set]
    if "control".startswith(given.only):
        for line in control_lines(chosen, given.variants):
            print(line, flush=True)
    if given.only != "control":
        for line in pooled(chosen, given.variants, given.only, given.weights):
            print(line, flush=True)
    if given.pictures is not None:
        given.pictures.mkdir(parents=True, exist_ok=True)
        folder = SHARED_DATA / "artefacts"
        paths = [*sorted(folder.glob("*.*")), *sorted(folder.glob("*/*.jpg"))]
        paths += sorted((SHARED_DATA / "unlabelled" / "cd3cd8").glob("*.png"))
        contact_sheet(paths, given.pictures / "quality.png", given.weights)
        print(given.pictures / "quality.png")


if __name__ == "__main__":
    main()
