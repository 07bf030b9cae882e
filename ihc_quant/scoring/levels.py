"""Levels of one block of tissue taken together: a biopsy is a ratio of sums, with intervals of its own.

Cells and areas are summed and scored once, like one large section. Blocks of all levels are drawn, each within its own
level's fragments; because levels show the same patches again, they are taken as wholly alike
(``ihc_quant.scoring.effective_blocks.level_inflation``). One network called the cells of all of them, so its error is
drawn once and shared: it does not average out over levels.
"""

from collections.abc import Mapping, Sequence

from ihc_quant.domain.biopsy import PooledLevels, SectionRecord
from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.domain.outcome import RegionScore, Scored, SlideOutcome
from ihc_quant.domain.score import CellCounts, MarkerScore
from ihc_quant.domain.serial_sections import AnalysedRegion
from ihc_quant.scoring.blocks import BlockCounts, join_levels
from ihc_quant.scoring.score import ScoreSettings, score_marker
from ihc_quant.scoring.threshold_sensitivity import OD_FACTORS
from ihc_quant.scoring.uncertain import add_uncertain

NOT_TOGETHER = "they are not summed; the report gives each"
"""After the reason why sections are not taken together."""


def pool_levels(
    marker: str,
    outcomes: Sequence[SlideOutcome],
    records: Sequence[SectionRecord],
    blocks: Mapping[str, Sequence[BlockCounts] | None],
    errors: Mapping[str, Sequence[MeasurementError] | None],
    settings: ScoreSettings | None = None,
) -> PooledLevels | None:
    """Return the sections of a marker taken together.

    Parameters
    ----------
    marker : str
    outcomes : sequence of SlideOutcome
        Of the whole biopsy.
    records : sequence of SectionRecord
        What the manifest says of them; which are replicates stands there.
    blocks : mapping of slide_id to sequence of BlockCounts, or None
        Of each section's parts; without those of one section there is no spatial interval.
    errors : mapping of slide_id to sequence of MeasurementError, or None
        The network's own error, as ``score_marker`` took it.
    settings : ScoreSettings, optional

    Returns
    -------
    PooledLevels or None
        None where fewer than two sections show the marker. Figures over grades of a compartment have no interval of
        the network's error, because cells with moved cuts are kept of the whole alone.

    Raises
    ------
    ValueError
        Where blocks and scores are not of the same cells.
    """
    sections = [outcome for outcome in outcomes if outcome.stain.marker == marker]
    if len(sections) < 2:
        return None
    names = tuple(outcome.slide_id for outcome in sections)
    scored = [outcome for outcome in sections if isinstance(outcome, Scored)]
    if len(scored) < len(sections):
        return PooledLevels(marker, names, reason="of which one or more were not scored")
    if apart := _why_apart(scored, records):
        return PooledLevels(marker, names, reason=apart)
    shared = errors.get(names[0])
    parts = []
    for region in (scored[0].region, *_common_regions(scored)):
        places = [_place(outcome, region) for outcome in scored]
        of_part = [outcome.parts[place].score for outcome, place in zip(scored, places, strict=True)]
        joined = _joined([blocks.get(name) for name in names], places)
        moved = _moved(scored) if shared and not any(places) else ()
        parts.append(RegionScore(region, _together(of_part, joined, shared, moved, settings)))
    return PooledLevels(marker, names, tuple(parts))


def _why_apart(scored: Sequence[Scored], records: Sequence[SectionRecord]) -> str:
    """Return why sections of one marker make no sum; nothing where they do."""
    of_section = {record.slide_id: record for record in records}
    known = [of_section.get(outcome.slide_id) for outcome in scored]
    stains = {
        (outcome.stain.chromogen, *(record.details.get(name) for name in ("clone", "epitope")))
        for outcome, record in zip(scored, known, strict=True)
        if record is not None
    }
    if len(stains) > 1:
        return "which differ in clone, epitope or chromogen"
    if not all(record is not None and record.replicate for record in known):
        return "which are not named as replicates"
    regions = dict.fromkeys(outcome.region.label for outcome in scored)
    if len(regions) > 1:
        return f"which were analysed over different regions ({', '.join(regions)})"
    if empty := [outcome.slide_id for outcome in scored if not outcome.score.counts.total]:
        return f"of which {', '.join(empty)} shows no cells"
    # One error is shared by all, so all were called alike by one network.
    called = [(outcome.provenance.weights_sha256, *_calls(outcome)) for outcome in scored]
    return "" if all(each == called[0] for each in called) else "which were called by different weights or thresholds"


def _calls(outcome: Scored) -> tuple[object, object]:
    calls = outcome.provenance.settings.get("calls")
    return (calls.get("rule"), calls.get("scores")) if isinstance(calls, Mapping) else (None, None)


def _common_regions(scored: Sequence[Scored]) -> list[AnalysedRegion]:
    """Return the compartments that every section has once and of the same origin."""
    regions = [[part.region for part in outcome.compartments] for outcome in scored]
    return [region for region in regions[0] if all(each.count(region) == 1 for each in regions)]


def _place(outcome: Scored, region: AnalysedRegion) -> int:
    return [part.region for part in outcome.parts].index(region)


def _joined(blocks: Sequence[Sequence[BlockCounts] | None], places: Sequence[int]) -> BlockCounts | None:
    """Return the blocks of a part on every section; None where those of one were not kept."""
    kept = [of_section[place] for of_section, place in zip(blocks, places, strict=True) if of_section is not None]
    return join_levels(kept) if len(kept) == len(places) else None


def _moved(scored: Sequence[Scored]) -> tuple[CellCounts, ...]:
    """Return the counts of all sections under each pair of moved cuts; none where those of one were not kept."""
    kept = [outcome.sensitivity.others[: len(OD_FACTORS)] for outcome in scored if outcome.sensitivity is not None]
    if len(kept) < len(scored):
        return ()
    return tuple(sum((each.counts for each in cut), CellCounts()) for cut in zip(*kept, strict=True))


def _together(
    scores: Sequence[MarkerScore],
    blocks: BlockCounts | None,
    errors: Sequence[MeasurementError] | None,
    moved: tuple[CellCounts, ...],
    settings: ScoreSettings | None,
) -> MarkerScore:
    counts = sum((score.counts for score in scores), CellCounts())
    uncertain = [score.uncertain for score in scores if score.uncertain is not None]
    return score_marker(
        scores[0].marker,
        counts,
        blocks if counts.area_um2 else None,
        settings,
        errors=errors,
        uncertain=add_uncertain(uncertain) if len(uncertain) == len(scores) else None,
        moved=moved,
    )
