"""What of a section's quality a reader of the biopsy must know, from what ``slide.json`` keeps; slides are not read.

The section's own notes explain each finding; here it is named once for the biopsy, with the sections that it concerns.
"""

from collections.abc import Iterator, Mapping

from ihc_quant.batch.measurement import Measurement
from ihc_quant.batch.quality_control import QualityUsed
from ihc_quant.domain.outcome import Scored
from ihc_quant.tissue.quality import PALE, colours_unfit, much_spoiled, vectors_off, white_off

UNSUPPORTED_POSITIVE = 100
"""Fewest positive cells of which some must show chromogen; fewer may lie where no pixel was sampled."""

UNSUPPORTED_FRACTION = 0.1
"""Least fraction of positive cells, for the same reason."""

UNSUPPORTED_STRONG = 0.05
"""Share of the positive cells above 1+ that shows that there is chromogen, though not among the sampled pixels. On six
painted sections it was 0.16 to 0.71, on a picture of turned hue 0."""


def quality_flags(scored: list[Scored], measured: Mapping[str, Measurement]) -> Iterator[str]:
    """Yield a sentence for each finding that bears on the trust in the figures, with the sections that it concerns.

    Parameters
    ----------
    scored : list of Scored
        Sections of one biopsy.
    measured : mapping of slide_id to Measurement
        Of the sections that could be read.
    """
    known = [(outcome, measured[outcome.slide_id]) for outcome in scored if outcome.slide_id in measured]
    judged = {outcome.slide_id: (each, each.quality) for outcome, each in known if each.quality is not None}
    yield from _stain(judged)
    yield from _unsupported(known)
    yield from _white(judged)
    if pale := [slide_id for slide_id, (_, quality) in judged.items() if PALE in quality.findings.flags]:
        yield f"Pale stain on {', '.join(pale)}: cells may have been missed."
    yield from _spoiled(judged)
    for slide_id, (_, quality) in judged.items():
        for control in quality.findings.controls:
            number = ", ".join(map(str, control.fragments))
            yield f"Fragment {number} of {slide_id} may be control tissue, and its cells were counted."


Judged = Mapping[str, tuple[Measurement, QualityUsed]]


def _stain(judged: Judged) -> Iterator[str]:
    """Flag vectors that lie off, else colours that fit neither vector: they may be so far off that none is found."""
    off: list[str] = []
    unfit: list[str] = []
    for slide_id, (each, quality) in judged.items():
        colours, limits = each.stains.colours, quality.found.thresholds
        if vectors_off(colours, limits):
            off.append(f"{slide_id} ({colours.stain_degrees:.0f}° from the reference)")
        elif colours_unfit(colours, limits):
            unfit.append(f"{slide_id} ({100 * (each.stains.unfit_share or 0):.1f} % of the strongly coloured pixels)")
    if off:
        yield (
            f"Unusual stain vectors on {', '.join(off)}: check chromogen, counterstain and scan before the figures are "
            "used."
        )
    if unfit:
        yield (
            f"Unusual stain vectors on {', '.join(unfit)}: these colours fit neither hematoxylin nor the stated "
            "chromogen, so stain may have been missed or mistaken; is the chromogen another one?"
        )


def _unsupported(known: list[tuple[Scored, Measurement]]) -> Iterator[str]:
    """Flag positive calls in number where the slide shows no chromogen; also where quality control was off."""
    for outcome, each in known:
        counts = outcome.score.counts
        many = counts.positive >= max(UNSUPPORTED_POSITIVE, UNSUPPORTED_FRACTION * counts.total)
        strong = counts.two_plus + counts.three_plus
        if many and strong < UNSUPPORTED_STRONG * counts.positive and each.stains.lacks_chromogen:
            yield (
                f"On {outcome.slide_id} {counts.positive:,} of {counts.total:,} cells were called positive, but almost "
                "no sampled pixel shows mostly the stated chromogen: do not trust these calls before chromogen and "
                "scan are checked."
            )


def _white(judged: Judged) -> Iterator[str]:
    off = [
        f"{slide_id} ({100 * (quality.findings.white_deviation or 0):.0f} % from the expected)"
        for slide_id, (_, quality) in judged.items()
        if white_off(quality.findings.white_deviation, quality.found.thresholds)
    ]
    if off:
        yield f"Unusual white point on {', '.join(off)}: check lamp, exposure and white balance of the scan."


def _spoiled(judged: Judged) -> Iterator[str]:
    spoiled = [
        f"{slide_id} ({100 * quality.findings.excluded_share:.0f} % of the tissue)"
        for slide_id, (_, quality) in judged.items()
        if much_spoiled(quality.findings.excluded_share, quality.found.thresholds)
    ]
    if spoiled:
        yield f"Much is spoiled by pen, fold, blur and the like on {', '.join(spoiled)}."
