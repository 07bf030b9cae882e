"""What a reader of a biopsy's report must be told: read off the manifest's records, the regions and the scan."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain

from ihc_quant.batch.manifest_cells import stated
from ihc_quant.batch.measurement import Measurement, WeightsUsed
from ihc_quant.batch.quality_flags import quality_flags
from ihc_quant.batch.settings import COARSEST_MPP_UM
from ihc_quant.domain.biopsy import PANEL_MARKERS, BiopsyReport
from ihc_quant.domain.outcome import Scored, Shown
from ihc_quant.report.figures import format_with_intervals
from ihc_quant.scoring.score import INSUFFICIENT, LOW_COUNT

BROWN_CHROMOGENS = ("DAB",)
"""Chromogens of melanin's colour."""
CONTROL_MARKER = "negative_control"
UNSTAINED = "none"
"""How the chromogen of a section without one is written."""
NOT_DONE = re.compile(
    r"(no|none|not|without|omitted|skipped|unblocked|missing|left out)\b.*|n|nil|false|0|[-–—]+", re.IGNORECASE
)
"""How people write that a step was left out: no, no block, none, not performed, omitted."""
N_TERMINAL = re.compile(r"\b(n|nh2|amino)\b\W*(\w+\W+c\W*)?term|\bnterm|\b(not|non|no)\b", re.IGNORECASE)
"""However people write it: N-terminal, N terminus, Nterm, amino-terminal, N- and C-terminal, not C-terminal."""
C_TERMINAL = re.compile(r"\b(c|cooh|carboxyl?|carboxy)\W*term", re.IGNORECASE)
"""However people write it: C-terminal, C terminus, Cterm, carboxy-terminal."""
MELANIN_CLASSES: frozenset[str] = frozenset({"melanin", "pigment", "epidermis", "epidermal", "hair"})
"""Classes of drawn exclusions that show that melanin was thought of."""


def biopsy_flags(report: BiopsyReport, measured: Mapping[str, Measurement]) -> tuple[str, ...]:
    """Return sentences about what may fool the figures of a biopsy.

    Parameters
    ----------
    report : BiopsyReport
        With outcomes and the manifest's records of its sections; its flags do not count.
    measured : mapping of slide_id to Measurement
        Of the sections that could be read.
    """
    # A section that is shown was read without weights.
    shown = {outcome.slide_id for outcome in report.outcomes if isinstance(outcome, Shown)}
    sentences = chain(
        _incomplete(report),
        _melanin(report),
        _peroxidase(report),
        _control(report),
        _masked_epitope(report),
        _coarse(measured),
        quality_flags(_scored(report), measured),
        _few_cells(report),
        _unreviewed(report),
        (weights_flag(each.weights) for slide_id, each in measured.items() if slide_id not in shown),
    )
    return tuple(dict.fromkeys(sentences))


def weights_flag(weights: WeightsUsed) -> str:
    """Return what weights were tested on, and which weights that were if not these themselves."""
    tested = f"Weights {weights.name} were tested on {weights.validated_for}."
    return f"{tested} The figures are those of {weights.figures_of}." if weights.figures_of else tested


def _scored(report: BiopsyReport) -> list[Scored]:
    return [outcome for outcome in report.outcomes if isinstance(outcome, Scored)]


def _incomplete(report: BiopsyReport) -> Iterator[str]:
    if report.missing:
        yield f"Incomplete biopsy, which is not a smaller one: {'; '.join(report.missing)}."


def _melanin(report: BiopsyReport) -> Iterator[str]:
    if report.site != "skin":
        return
    brown = [outcome for outcome in _scored(report) if outcome.stain.chromogen in BROWN_CHROMOGENS]
    if undrawn := [outcome.slide_id for outcome in brown if not _epidermis_known(outcome)]:
        yield (
            "Skin and a brown chromogen, and no drawn region names the epidermis or excludes melanin on "
            f"{', '.join(undrawn)}: melanin unmixes to the chromogen and may be counted as stain."
        )


def _epidermis_known(outcome: Scored) -> bool:
    """Return whether somebody drew the epidermis or took melanin out; a fold that was drawn says nothing of it."""
    drawn = any(part.region.kind == "epidermis" and part.region.origin == "drawn" for part in outcome.parts)
    excluded = outcome.annotations.excluded if outcome.annotations else ()
    return drawn or any(MELANIN_CLASSES & set(re.findall(r"[a-z]+", each.casefold())) for each in excluded)


def _peroxidase(report: BiopsyReport) -> Iterator[str]:
    stained = {outcome.slide_id for outcome in report.outcomes if outcome.stain.chromogen != UNSTAINED}
    blocks = {
        record.slide_id: stated(record.details.get("peroxidase_block", ""))
        for record in report.sections
        if record.slide_id in stained
    }
    brown = "eosinophils may be brown without antibody."
    if unrecorded := [slide_id for slide_id, block in blocks.items() if not block]:
        yield f"No peroxidase block is recorded for {', '.join(unrecorded)}: {brown}"
    if unblocked := [slide_id for slide_id, block in blocks.items() if NOT_DONE.fullmatch(block)]:
        yield f"Peroxidase was not blocked on {', '.join(unblocked)}: {brown}"


def _control(report: BiopsyReport) -> Iterator[str]:
    """Give what a control section shows beside the result; it is never subtracted."""
    controls = [outcome for outcome in report.outcomes if outcome.stain.marker == CONTROL_MARKER]
    if not controls:
        yield "There is no control section without primary antibody: unspecific stain cannot be judged."
    for control in controls:
        if not isinstance(control, Scored) or control.score.positive_fraction.value is None:
            yield f"The control section {control.slide_id} gives no figure: unspecific stain cannot be judged."
            continue
        counts = control.score.counts
        yield (
            f"On the control section {control.slide_id}, without primary antibody, {counts.positive:,} of "
            f"{counts.total:,} cells were called positive: {format_with_intervals(control.score.positive_fraction)}. "
            "Nothing was subtracted from the figures of the other sections."
        )


def _masked_epitope(report: BiopsyReport) -> Iterator[str]:
    """Flag CCR4 sections on or after anti-CCR4 treatment whose antibody may find its epitope masked."""
    if report.biopsy_day is None or report.biopsy_day < 0:
        return
    marker_of = {outcome.slide_id: outcome.stain.marker for outcome in report.outcomes}
    for record in report.sections:
        epitope = stated(record.details.get("epitope", ""))
        c_terminal = C_TERMINAL.search(epitope) and not N_TERMINAL.search(epitope)
        if marker_of[record.slide_id] == "CCR4" and not c_terminal:
            state = f"{epitope} epitope" if epitope else "epitope not recorded"
            yield (
                f"{record.slide_id} was taken on or after the start of treatment (day {report.biopsy_day}, {state}): "
                "the drug may mask what the antibody binds, and CCR4+ cells may be missed."
            )


def _coarse(measured: Mapping[str, Measurement]) -> Iterator[str]:
    coarse = {slide_id: each.mpp.coarser for slide_id, each in measured.items() if each.mpp.coarser > COARSEST_MPP_UM}
    if coarse:
        named = ", ".join(f"{slide_id} ({mpp:.3g})" for slide_id, mpp in coarse.items())
        yield (
            f"Scanned more coarsely than the {COARSEST_MPP_UM:g} µm per pixel that the network needs: {named}; take "
            "the figures with caution."
        )


def _few_cells(report: BiopsyReport) -> Iterator[str]:
    for outcome in _scored(report):
        if outcome.stain.marker in PANEL_MARKERS:
            for place, part in enumerate(outcome.parts):
                where = f", {part.region.label}" if place else ""
                for caution in part.score.cautions:
                    if caution.startswith((INSUFFICIENT, LOW_COUNT)):
                        yield f"{outcome.slide_id} ({outcome.stain.marker}{where}): {caution}."


def _unreviewed(report: BiopsyReport) -> Iterator[str]:
    proposed: dict[str, list[str]] = {}
    for outcome in _scored(report):
        for part in outcome.parts:
            if part.region.origin == "proposed":
                proposed.setdefault(part.region.kind, []).append(outcome.slide_id)
    for kind, slides in proposed.items():
        yield (
            f"The {kind} of {', '.join(slides)} was proposed by the software and not reviewed: look at it before its "
            "figures are used, or draw it."
        )
