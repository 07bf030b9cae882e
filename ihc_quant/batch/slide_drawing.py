"""The pictures of a slide, drawn from what its folder keeps: overview and gallery."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihc_quant.annotation.regions import Region
from ihc_quant.batch.cell_store import CELLS_FILE, read_outlines
from ihc_quant.batch.example_bank import first_drawn
from ihc_quant.batch.measurement import Measurement
from ihc_quant.batch.outputs import write_whole
from ihc_quant.batch.pixel_store import load_crops, load_thumbnail, unreadable
from ihc_quant.batch.tile_table import read_plan, unread_tiles
from ihc_quant.domain.geometry import Grid, Size
from ihc_quant.report.density_map import SMOOTHING_UM, DensityMap, positive_density
from ihc_quant.report.encoding import encode_png
from ihc_quant.report.gallery import (
    EXAMPLES_PER_CALL,
    Example,
    GalleryRow,
    choose_examples,
    draw_gallery,
    example_box,
    outline_in,
)
from ihc_quant.report.overview import draw_overview
from ihc_quant.report.shown_picture import draw_shown_picture
from ihc_quant.report.spoiled_outlines import SpoiledPlaces
from ihc_quant.scoring.calls import CallRule
from ihc_quant.tissue.map import TissueMap


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """What of a slide was analysed, for its pictures.

    Attributes
    ----------
    tissue : TissueMap
        Everything that was found.
    analysed : ndarray, shape (H, W), bool
        Tissue that was analysed.
    cells : ndarray, shape (n,), bool
        Whether each cell was.
    regions : tuple of Region
        Drawn and proposed.
    spoiled : SpoiledPlaces or None
        What quality control found; None where it was off.
    """

    tissue: TissueMap
    analysed: NDArray[np.bool_]
    cells: NDArray[np.bool_]
    regions: tuple[Region, ...]
    spoiled: SpoiledPlaces | None = None

    def with_proposed(self, proposed: Region | None) -> "Section":
        """Return the section with the region that the software proposes, where it does."""
        return self if proposed is None else replace(self, regions=(*self.regions, proposed))

    def positive_density(self, cells: Mapping[str, NDArray[Any]]) -> DensityMap:
        """Return the density of the positive cells of what was analysed, of the columns of all cells."""
        chosen, grid = self.cells & cells["positive"], self.tissue.grid
        x_px, y_px = cells["x_l0"][chosen] / grid.scale_x, cells["y_l0"][chosen] / grid.scale_y
        per_mm2 = positive_density(x_px, y_px, self.analysed, grid.pixel_um, SMOOTHING_UM)
        return DensityMap(per_mm2, self.analysed, grid.pixel_um)


def draw_pictures(
    folder: Path,
    measurement: Measurement,
    rule: CallRule,
    section: Section,
    cells: Mapping[str, NDArray[Any]],
    density: DensityMap,
) -> None:
    """Draw ``overview.png`` and ``gallery.png``, side by side; ``density`` is that of the section's positive cells."""
    with ThreadPoolExecutor(1, thread_name_prefix="gallery") as beside:
        gallery = beside.submit(_write_gallery, folder, measurement, rule, section, cells)
        _write_overview(folder, measurement, section, cells, density)
        gallery.result()


def _write_overview(
    folder: Path, measurement: Measurement, section: Section, cells: Mapping[str, NDArray[Any]], density: DensityMap
) -> None:
    thumbnail = load_thumbnail(folder)
    if thumbnail.shape[:2] != section.tissue.fragments.shape:
        raise unreadable(folder / "pixels")
    plan = read_plan(folder, measurement)
    overview = draw_overview(
        thumbnail,
        measurement.overview_grid,
        section.tissue.mask,
        plan,
        cells["x_l0"][section.cells],
        cells["y_l0"][section.cells],
        cells["positive"][section.cells],
        slide_id=measurement.slide_id,
        marker=measurement.stain.marker,
        fragments=section.tissue.fragments,
        excluded=unread_tiles(plan, Size(measurement.facts.width_px, measurement.facts.height_px)),
        analysed=section.analysed,
        regions=section.regions,
        spoiled=section.spoiled,
        density=density,
    )
    write_whole(folder / "overview.png", encode_png(overview))


def _write_gallery(
    folder: Path, measurement: Measurement, rule: CallRule, section: Section, cells: Mapping[str, NDArray[Any]]
) -> None:
    gallery = draw_gallery(
        example_rows(folder, measurement, rule, section.cells, cells),
        slide_id=measurement.slide_id,
        marker=measurement.stain.marker,
        rule=rule_in_words(rule),
        pixel_um=measurement.network_um,
    )
    write_whole(folder / "gallery.png", encode_png(gallery))


def draw_shown(folder: Path, measurement: Measurement, regions: tuple[Region, ...]) -> None:
    """Draw the ``overview.png`` of a section that is shown and not scored."""
    picture = draw_shown_picture(
        load_thumbnail(folder),
        measurement.overview_grid,
        slide_id=measurement.slide_id,
        marker=measurement.stain.marker,
        regions=regions,
    )
    write_whole(folder / "overview.png", encode_png(picture))


def example_rows(
    folder: Path,
    measurement: Measurement,
    rule: CallRule,
    analysed: NDArray[np.bool_],
    cells: Mapping[str, NDArray[Any]],
) -> list[GalleryRow]:
    """Return the rows of the gallery, chosen among the analysed cells whose pixels were kept."""
    bank, grid = np.array(measurement.examples, np.int64), measurement.network_grid
    crops = load_crops(folder, len(bank), example_box(0.0, 0.0, grid.pixel_um).width)[analysed[bank]]
    kept = bank[analysed[bank]]
    values = cells["p_positive"] if rule.mode == "network" else cells[rule.od_column]
    threshold = rule.p_threshold if rule.mode == "network" else rule.cuts_od[0]
    x_um, y_um = cells["x_um"][kept], cells["y_um"][kept]
    grade = cells["grade"][kept]
    rows = choose_examples(values[kept], grade, x_um, y_um, threshold=threshold)
    # The kept cells are rich in rare kinds. Those of a call are drawn as if from all cells of that call.
    drawn = first_drawn(kept, len(analysed), grade, EXAMPLES_PER_CALL)
    plain = choose_examples(values[kept][drawn], grade[drawn], x_um[drawn], y_um[drawn], threshold=threshold)
    places = [*(tuple(int(drawn[index]) for index in row.cells) for row in plain[:-1]), rows[-1].cells]
    outlines = read_outlines(folder / CELLS_FILE, kept)
    return [
        GalleryRow(
            row.call,
            tuple(
                Example(
                    crops[index],
                    _outline(x_um[index], y_um[index], outlines[index], grid),
                    float(cells["p_positive"][kept[index]]),
                    float(cells[rule.od_column][kept[index]]),
                )
                for index in chosen
            ),
        )
        for row, chosen in zip(rows, places, strict=True)
    ]


def _outline(x_um: float, y_um: float, offsets: NDArray[np.int16], grid: Grid) -> NDArray[np.float64]:
    box = example_box(x_um, y_um, grid.pixel_um)
    return outline_in(box, x_um, y_um, offsets, grid.pixel_um)


def rule_in_words(rule: CallRule) -> str:
    """Return the rule as a caption states it.

    Examples
    --------
    >>> rule_in_words(CallRule())
    'positive from p 0.50; grades by mean OD of the cell, cuts 0.2, 0.4, 0.6 (not validated)'
    """
    cuts = ", ".join(f"{cut:g}" for cut in rule.cuts_od)
    statistic = "mean" if rule.statistic == "mean" else "90th percentile"
    grades = f"{statistic} OD of the {rule.compartment}, cuts {cuts} ({rule.label})"
    if rule.mode == "od":
        return f"positive and grades by {grades}"
    return f"positive from p {rule.p_threshold:.2f}; grades by {grades}"
