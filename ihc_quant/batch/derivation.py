"""From a measured slide to its scores, tables and pictures: what ``score`` does last and ``rescore`` does again.

Everything is read back from the slide's folder, also the first time, so that both give the same bytes.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydantic import TypeAdapter

from ihc_quant.annotation.region_classes import RegionKind
from ihc_quant.annotation.region_places import is_analysed
from ihc_quant.batch.block_store import save_blocks
from ihc_quant.batch.cell_store import CELLS_FILE as CELLS_FILE
from ihc_quant.batch.cell_store import read_columns
from ihc_quant.batch.measurement import Measurement, WeightsUsed, write_slide_json
from ihc_quant.batch.page_store import save_density, save_od_histogram
from ihc_quant.batch.pixel_store import load_fragments, unreadable
from ihc_quant.batch.quality_control import quality_notes
from ihc_quant.batch.region_store import REGIONS_FILE, KeptRegions, load_regions
from ihc_quant.batch.section_placing import SectionPlaces, place_section
from ihc_quant.batch.slide_drawing import Section, draw_pictures, draw_shown
from ihc_quant.batch.tile_table import count_tiles
from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.domain.outcome import DrawnBy, LeftOut, NoTissue, Scored, Shown, SlideOutcome
from ihc_quant.domain.provenance import Provenance
from ihc_quant.domain.score import CellCounts
from ihc_quant.domain.sensitivity import HotSpot
from ihc_quant.report.density_map import DensityMap
from ihc_quant.scoring import proposed_infiltrate as proposing
from ihc_quant.scoring.calls import CallRule
from ihc_quant.scoring.hot_spot import carry_hot_spot_error, find_hot_spot
from ihc_quant.scoring.od_histogram import od_histogram
from ihc_quant.scoring.score import ScoreSettings, marked_where_few
from ihc_quant.scoring.section_parts import Scoring, SectionParts, score_section
from ihc_quant.scoring.section_places import off_tissue
from ihc_quant.scoring.threshold_sensitivity import threshold_sensitivity

CELL_COLUMNS: tuple[str, ...] = (
    "x_um", "y_um", "x_l0", "y_l0", "area_um2", "p_positive", "grade", "positive", "tile", "fragment",
)  # fmt: skip
"""Columns of the cell table from which a slide is scored, besides that of optical density."""

PROPOSED_NOTE = (
    "The infiltrate was proposed by the software from the density of small nuclei and nobody reviewed it; draw or "
    "confirm it before its figures are used (ihc-quant export --regions writes it for QuPath)."
)
"""Stands beside every figure of a proposed infiltrate."""

_RULE = TypeAdapter(CallRule)


def derive(folder: Path, measurement: Measurement, rule: CallRule, timings: Mapping[str, float]) -> SlideOutcome:
    """Derive scores, tables and pictures from the tables in a slide's folder and write them there.

    Parameters
    ----------
    folder : Path
        Holds ``cells.parquet`` called by ``rule``, ``tiles.parquet``, the kept pixels and the drawn regions.
    measurement : Measurement
    rule : CallRule
    timings : mapping of str to float
        Seconds, kept in ``slide.json``.

    Raises
    ------
    OutputError
        Where results cannot be read back or written.
    """
    tissue = load_fragments(folder, measurement.overview_grid)
    kept = kept_regions(folder, measurement)
    cells = read_columns(folder / CELLS_FILE, list(dict.fromkeys([*CELL_COLUMNS, rule.od_column])))
    if len(cells["tile"]) != measurement.cells or cells["fragment"].max(initial=0) > tissue.fragment_count:
        raise unreadable(folder / CELLS_FILE)
    count_tiles(folder, cells["tile"], cells["grade"])
    placed = place_section(folder, measurement, tissue, kept, cells)
    section = Section(tissue, placed.tissue.analysed, is_analysed(placed.cells), kept.regions.drawn, placed.spoiled)
    # What does not wait for the scores is done beside them, on another core where there is one.
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as beside:
        smoothing = beside.submit(section.positive_density, cells)
        outcome, section = _score(folder, measurement, rule, section, placed, kept, cells)
        density = smoothing.result()
        for_page = beside.submit(_save_for_page, folder, rule, section, cells, density)
        draw_pictures(folder, measurement, rule, section, cells, density)
        for_page.result()
    write_slide_json(folder, outcome, measurement, timings)
    return outcome


def _score(
    folder: Path,
    measurement: Measurement,
    rule: CallRule,
    section: Section,
    placed: SectionPlaces,
    kept: KeptRegions,
    cells: Mapping[str, NDArray[Any]],
) -> tuple[SlideOutcome, Section]:
    """Return the outcome of a slide, and its section with the region that the software proposes."""
    tissue, settings = section.tissue, ScoreSettings()
    provenance = measurement.provenance(_calls(rule, settings, measurement))
    outcome: SlideOutcome
    if tissue.fragment_count == 0:
        outcome = NoTissue(measurement.slide_id, measurement.stain, provenance)
    else:
        scoring = Scoring(
            measurement.stain.marker,
            settings,
            errors_of(measurement.weights, rule),
            measurement.weights.uncertain if rule.mode == "network" else None,
            rule,
        )
        parts = score_section(
            cells, placed.cells, placed.tissue, tissue.grid, kept.regions, measurement.fragments, scoring,
            propose=measurement.propose_infiltrate,
        )  # fmt: skip
        save_blocks(folder, parts.blocks)
        section = section.with_proposed(parts.proposed)
        outcome = _scored(measurement, rule, provenance, section, cells, parts, placed.left_out, kept, scoring)
    return outcome, section


def show(folder: Path, measurement: Measurement, timings: Mapping[str, float]) -> Shown:
    """Draw the picture of a section that is shown and not scored, and write its ``slide.json``.

    Raises
    ------
    OutputError
        Where the thumbnail cannot be read back or results cannot be written.
    """
    kept = kept_regions(folder, measurement)
    outcome = Shown(measurement.slide_id, measurement.stain, measurement.provenance({}))
    draw_shown(folder, measurement, kept.regions.drawn)
    write_slide_json(folder, outcome, measurement, timings)
    return outcome


def kept_regions(folder: Path, measurement: Measurement) -> KeptRegions:
    """Return the drawn regions of a slide.

    Raises
    ------
    OutputError
        Where they cannot be read back, or are not those that the slide was measured with: without them, tissue that
        was left out would be scored.
    """
    kept = load_regions(folder)
    if kept.file_sha256 != measurement.annotations_sha256:
        raise unreadable(folder / REGIONS_FILE)
    return kept


def _calls(rule: CallRule, settings: ScoreSettings, measurement: Measurement) -> dict[str, Any]:
    """Return every setting that decides scores beyond the measurement."""
    proposal = {
        "small_nucleus_um2": proposing.SMALL_NUCLEUS_UM2,
        "smoothing_um": proposing.SMOOTHING_UM,
        "fewest_per_mm2": proposing.FEWEST_PER_MM2,
        "small_share": proposing.SMALL_SHARE,
        "smallest_um2": proposing.SMALLEST_UM2,
    }
    return {
        "rule": asdict(rule),
        "scores": asdict(settings),
        "fragments": list(measurement.fragments),
        "annotations_sha256": measurement.annotations_sha256,
        "proposed_infiltrate": proposal if measurement.propose_infiltrate else None,
    }


def _scored(
    measurement: Measurement,
    rule: CallRule,
    provenance: Provenance,
    section: Section,
    cells: Mapping[str, NDArray[Any]],
    parts: SectionParts,
    left_out: tuple[LeftOut, ...],
    kept: KeptRegions,
    scoring: Scoring,
) -> Scored:
    whole, *compartments = parts.parts
    chosen = section.cells
    return Scored(
        measurement.slide_id,
        measurement.stain,
        whole.score,
        parts.fragments,
        provenance,
        region=whole.region,
        nucleus_um=whole.nucleus_um,
        compartments=tuple(compartments),
        control=parts.control,
        left_out=left_out,
        annotations=_drawn_by(kept, section),
        sensitivity=threshold_sensitivity(
            cells["p_positive"][chosen],
            cells[rule.od_column][chosen],
            rule,
            measurement.weights.uncertain,
            whole.score.counts.area_um2,
        ),
        hot_spot=_hot_spot(section, cells, scoring, whole.score.counts),
        notes=tuple(_notes(measurement, parts, section.tissue.fragment_count)),
    )


def _hot_spot(section: Section, cells: Mapping[str, NDArray[Any]], scoring: Scoring, counts: CellCounts) -> HotSpot:
    chosen, settings = section.cells, scoring.settings
    spot = find_hot_spot(
        cells["x_um"][chosen],
        cells["y_um"][chosen],
        cells["positive"][chosen],
        section.analysed,
        section.tissue.grid.pixel_um,
        level=settings.level,
        seed=settings.seed,
    )
    density = spot.density_per_mm2
    density = replace(density, intervals=marked_where_few(density.intervals, counts, settings))
    return carry_hot_spot_error(
        replace(spot, density_per_mm2=density),
        scoring.marker,
        scoring.errors,
        level=settings.level,
        draws=settings.measurement_draws,
        seed=settings.seed,
    )


def _drawn_by(kept: KeptRegions, section: Section) -> DrawnBy | None:
    if kept.file_sha256 is None:
        return None
    notes = list(kept.regions.repairs)
    if kept.regions.left_aside:
        notes.append(
            f"{kept.regions.left_aside} objects that a program found (detections, cells or tiles) were left aside."
        )
    notes += [
        f"annotations: feature {region.number} ({region.class_name}) lies on no tissue that was found; check that it "
        "was drawn on this slide."
        for region in off_tissue(kept.regions, section.tissue.mask, section.tissue.grid)
    ]
    excluded = dict.fromkeys(region.class_name for region in kept.regions.of_kind(RegionKind.EXCLUDE))
    return DrawnBy(kept.file_sha256, len(kept.regions.drawn), tuple(notes), tuple(excluded))


def _notes(measurement: Measurement, parts: SectionParts, fragment_count: int) -> Iterator[str]:
    if measurement.fragments:
        named = ", ".join(map(str, measurement.fragments))
        yield f"Of {fragment_count} tissue fragments on the glass these are this section: {named}."
    if parts.proposed is not None:
        yield PROPOSED_NOTE
    if measurement.quality is not None:
        yield from quality_notes(measurement.quality)
    yield from measurement.made_with.cautions


def _save_for_page(
    folder: Path, rule: CallRule, section: Section, cells: Mapping[str, NDArray[Any]], density: DensityMap
) -> None:
    """Keep what a page draws by itself: density map and distribution of optical density of what was analysed."""
    save_density(folder, density)
    histogram = od_histogram(cells[rule.od_column][section.cells], cells["positive"][section.cells], rule)
    save_od_histogram(folder, histogram)


def errors_of(weights: WeightsUsed, rule: CallRule) -> tuple[MeasurementError, ...] | None:
    """Return the network's measured error; None where it does not hold, because cells are called otherwise."""
    as_measured = rule.mode == "network" and rule.p_threshold == weights.positive_threshold
    return weights.measurement if as_measured or not weights.measurement else None


def errors_used(outcome: SlideOutcome, measurement: Measurement) -> tuple[MeasurementError, ...] | None:
    """Return the network's error as a section was scored with it; none of a section that was not.

    Raises
    ------
    ValueError
        Where the outcome states a rule that is none.
    """
    calls = outcome.provenance.settings.get("calls") if isinstance(outcome, Scored) else None
    return errors_of(measurement.weights, _RULE.validate_python(calls["rule"])) if isinstance(calls, dict) else ()


def called(measured: Mapping[str, Any], rule: CallRule) -> dict[str, Any]:
    """Return the metadata of a cell table: what was measured, and the rule of its derived columns."""
    return {**measured, "calls": asdict(rule)}
