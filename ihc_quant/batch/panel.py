"""The sections of a biopsy side by side: ratios, bounds, and what the CCR4 schemes say."""

from collections.abc import Iterator, Mapping, Sequence

from ihc_quant.domain.biopsy import PANEL_MARKERS, BiopsyPanel, SectionRecord
from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.domain.outcome import Failed, NoTissue, RegionScore, Scored, SlideOutcome
from ihc_quant.scoring.blocks import BlockCounts
from ihc_quant.scoring.levels import pool_levels
from ihc_quant.scoring.panel_section import MissingSection, PanelSection, Side
from ihc_quant.scoring.scheme_verdicts import Ccr4Reading, judge_all
from ihc_quant.scoring.serial_sections import panel_bounds, panel_ratios

Blocks = Sequence[BlockCounts] | None
"""Of a section's parts, in their order; None where they were not kept."""
Errors = Sequence[MeasurementError] | None
"""The network's own error, as ``score_marker`` takes it."""


def biopsy_panel(
    biopsy_id: str,
    site: str,
    outcomes: Sequence[SlideOutcome],
    records: Sequence[SectionRecord],
    blocks: Mapping[str, Blocks],
    errors: Mapping[str, Errors],
) -> BiopsyPanel:
    """Return what the sections of a biopsy say together.

    Parameters
    ----------
    biopsy_id, site : str
    outcomes : sequence of SlideOutcome
        Of all sections.
    records : sequence of SectionRecord
        One for each outcome, in their order.
    blocks : mapping of slide_id to sequence of BlockCounts
        Counts of each part's blocks; a section without them has no spatial interval.
    errors : mapping of slide_id to sequence of MeasurementError or None
        The network's own error as the section was scored with it; of one that is not named none is known.

    Raises
    ------
    ValueError
        Where blocks and scores are not of the same cells.
    """
    sides: list[Side] = []
    readings: list[Ccr4Reading] = []
    for outcome, record in zip(outcomes, records, strict=True):
        if outcome.stain.marker in PANEL_MARKERS:
            sides += _sides(
                biopsy_id, site, outcome, record, blocks.get(outcome.slide_id), errors.get(outcome.slide_id)
            )
        if outcome.stain.marker == "CCR4" and isinstance(outcome, Scored):
            readings += _readings(site, outcome, record)
    pooled = (pool_levels(marker, outcomes, records, blocks, errors) for marker in PANEL_MARKERS)
    levels = tuple(each for each in pooled if each is not None)
    return BiopsyPanel(panel_ratios(sides), panel_bounds(sides), judge_all(readings), levels)


def _sides(
    biopsy_id: str, site: str, outcome: SlideOutcome, record: SectionRecord, blocks: Blocks, errors: Errors
) -> Iterator[Side]:
    """Return a section once for each of its parts, or once as missing."""
    slide_id, marker = outcome.slide_id, outcome.stain.marker
    match outcome:
        case Failed():
            yield MissingSection(marker, f"{slide_id} ({marker}) failed: {outcome.reason}", slide_id)
        case NoTissue():
            yield MissingSection(marker, f"{slide_id} ({marker}) shows no tissue", slide_id)
        case Scored() if outcome.score.counts.total == 0:
            yield MissingSection(marker, f"{slide_id} ({marker}) shows no cells", slide_id)
        case Scored():
            counted: Sequence[BlockCounts | None] = [None] * len(outcome.parts) if blocks is None else blocks
            if len(counted) != len(outcome.parts):
                raise ValueError(f"{slide_id}: {len(counted)} sets of blocks for {len(outcome.parts)} parts")
            for part, of_part in zip(outcome.parts, counted, strict=True):
                yield _side(biopsy_id, site, slide_id, part, record, of_part, errors)
        case _:
            yield MissingSection(marker, f"{slide_id} ({marker}) is shown and not scored", slide_id)


def _side(
    biopsy_id: str,
    site: str,
    slide_id: str,
    part: RegionScore,
    record: SectionRecord,
    blocks: BlockCounts | None,
    errors: Errors,
) -> PanelSection:
    index, thickness = record.details.get("section_index"), record.details.get("section_thickness_um")
    return PanelSection(
        slide_id,
        biopsy_id,
        site,
        part.region,
        part.score,
        blocks,
        None if index is None else int(index),
        None if thickness is None else float(thickness),
        part.nucleus_um,
        errors,
    )


def _readings(site: str, outcome: Scored, record: SectionRecord) -> Iterator[Ccr4Reading]:
    for part in outcome.parts:
        yield Ccr4Reading(
            outcome.slide_id,
            site,
            part.region,
            part.score.positive_fraction,
            clone=record.details.get("clone", ""),
            cautions=part.score.cautions,
        )
