"""How sure figures are, beside their intervals: uncertain calls and the network's own error, in words."""

from ihc_quant.domain.score import MarkerScore, NetworkError, UncertainCalls
from ihc_quant.report.figures import format_count, format_estimate, format_with_intervals

NOT_BY_NETWORK = "not evaluable: cells were called by optical density, not by the network's probability"
UNCERTAIN_CALLS = "uncertain calls"
OWN_ERROR = "network's own error"
ACROSS_BAND = "percent positive across the band"


def doubts(score: MarkerScore) -> list[tuple[str, str]]:
    """Return what stands beside the figures of a section, as (name, words)."""
    lines = [
        (UNCERTAIN_CALLS, _share(score.uncertain) if score.uncertain else NOT_BY_NETWORK),
        *((f"{figure}, {OWN_ERROR}", said) for figure, said in score.network_error.by_figure),
    ]
    if score.uncertain is not None and score.uncertain.share.value is not None:
        lines.insert(1, (ACROSS_BAND, _across(score.uncertain)))
    if score.network_error.corrected:
        lines.append(("corrected for miscalls", _corrected(score.network_error)))
    return lines


def interval_methods(score: MarkerScore) -> str:
    """Return how the intervals of a section were made, each way once and in full."""
    estimates = (
        score.positive_fraction, score.positive_density_per_mm2, score.h_score, score.cell_density_per_mm2,
        *score.grade_fractions,
    )  # fmt: skip
    return "; ".join(dict.fromkeys(interval.method for each in estimates for interval in each.intervals))


def _corrected(error: NetworkError) -> str:
    figures = "; ".join(
        f"{format_with_intervals(each.fraction)} with miscalls as on {each.measured_on}" for each in error.corrected
    )
    return f"{figures} (Rogan–Gladen; a sensitivity figure, not a result)"


def _share(uncertain: UncertainCalls) -> str:
    cells = f"{format_count(uncertain.cells)} of {format_count(uncertain.total)} cells"
    if uncertain.share.value is None:
        return format_estimate(uncertain.share)
    return (
        f"{format_estimate(uncertain.share)}, {cells}, with a probability from {uncertain.low:g} to {uncertain.high:g}"
    )


def _across(uncertain: UncertainCalls) -> str:
    return (
        f"{format_estimate(uncertain.fraction_if_negative)} if all of them were negative, "
        f"{format_estimate(uncertain.fraction_if_positive)} if all of them were positive"
    )
