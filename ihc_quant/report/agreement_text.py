"""Agreement of readers in plain lines for a terminal, and the words that the page shares with them."""

from collections.abc import Iterator, Mapping

from ihc_quant.domain.agreement import (
    Agreement,
    CategoryAgreement,
    CategoryPair,
    CellAgreement,
    Measure,
    PairAgreement,
)
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.domain.score import Estimate
from ihc_quant.report.figures import one_line

MEASURES: Mapping[Measure, str] = {
    Measure.PERCENT: "percent positive",
    Measure.DENSITY: "density of positive cells",
    Measure.H_SCORE: "H-score",
    Measure.OTHER: "value",
}
"""Measures in words."""

FORMS: Mapping[str, str] = {
    "ICC(1,1)": "other readers for each target, one reader's figure",
    "ICC(2,1)": "any readers, absolute agreement, one reader's figure",
    "ICC(3,1)": "these readers, consistency, one reader's figure",
    "ICC(1,k)": "other readers for each target, mean of the readers",
    "ICC(2,k)": "any readers, absolute agreement, mean of the readers",
    "ICC(3,k)": "these readers, consistency, mean of the readers",
}
"""Forms of the intraclass correlation in words."""


def figure(estimate: Estimate, decimals: int = 2) -> str:
    """Return a coefficient with its interval, or why there is none.

    Examples
    --------
    >>> from ihc_quant.domain.score import Interval
    >>> figure(Estimate(0.7148, "ICC(3,1)", (Interval(0.342, 0.946, 0.95, "F"),)))
    '0.71 (0.34 to 0.95)'
    >>> figure(Estimate(None, "CCC", reason="the figures do not vary"))
    'not evaluable: the figures do not vary'
    """
    if estimate.value is None:
        return f"not evaluable: {estimate.reason}"
    value = _number(estimate.value, decimals)
    if not estimate.intervals:
        return f"{value} (no interval)"
    interval = estimate.intervals[0]
    return f"{value} ({_number(interval.low, decimals)} to {_number(interval.high, decimals)})"


def percent(estimate: Estimate) -> str:
    """Return a fraction with its interval in percent, or why there is none.

    Examples
    --------
    >>> percent(Estimate(0.7, "fraction"))
    '70 % (no interval)'
    """
    if estimate.value is None:
        return figure(estimate)
    value = f"{100 * estimate.value:.0f} %"
    if not estimate.intervals:
        return f"{value} (no interval)"
    interval = estimate.intervals[0]
    return f"{value} ({100 * interval.low:.0f} to {100 * interval.high:.0f})"


def pair_name(pair: PairAgreement | CategoryPair) -> str:
    """Return how a pair of readers is called."""
    return f"{pair.one} – {pair.other}"


def slope_remark(pair: PairAgreement) -> str:
    """Return a caution where differences change with the size of the figure; empty otherwise."""
    slope = pair.limits.slope
    if slope.value is None or not slope.intervals:
        return ""
    interval = slope.intervals[0]
    if interval.low <= 0 <= interval.high:
        return ""
    return f"differences change with the mean (slope {figure(slope)}): the limits do not serve the whole range"


def scheme_heading(scheme: CategoryAgreement) -> str:
    """Return a scheme with its categories."""
    order = "" if scheme.ordered else " (no stated order, so kappa is unweighted)"
    return f"{scheme.scheme}: {' | '.join(scheme.categories)}{order}"


def agreement_lines(agreement: Agreement) -> list[str]:
    """Return the agreement as lines of text, without control characters."""
    return [one_line(line) for line in _lines(agreement)]


def _lines(agreement: Agreement) -> Iterator[str]:
    kind = "slides" if agreement.target_kind == "slide_id" else "biopsies"
    unit = f" in {agreement.measure.unit}" if agreement.measure.unit else ""
    machine = f"; the machine is the reader {agreement.machine!r}" if agreement.machine else "; no machine among them"
    yield f"{agreement.targets} {kind}, {len(agreement.readers)} readers{machine}"
    if agreement.pairs:
        yield f"values: {MEASURES[agreement.measure]}{unit}; intervals are at 95 %"
    yield from agreement.missing
    for group in agreement.groups:
        yield f"{group.name} ({', '.join(group.readers)}), {group.targets} targets:"
        yield from (f"  {form.unit} {figure(form)}: {FORMS[form.unit]}" for form in group.forms)
    for pair in agreement.pairs:
        yield f"{pair_name(pair)}{' [machine]' if pair.with_machine else ''}, {len(pair.targets)} targets:"
        yield f"  Lin's concordance {figure(pair.concordance)}"
        yield f"  mean difference {figure(pair.limits.bias)}{unit}"
        yield f"  limits of agreement {figure(pair.limits.low)} and {figure(pair.limits.high)}{unit}"
        if remark := slope_remark(pair):
            yield f"  caution: {remark}"
    for scheme in agreement.schemes:
        yield f"scheme {scheme_heading(scheme)}"
        for categorised in scheme.pairs:
            yield f"  {category_line(categorised)}"
    for compared in agreement.comparison:
        better = "more is better" if compared.larger_is_better else "less is better"
        yield (
            f"{compared.figure} ({better}), {compared.targets} targets: machine with people {compared.machine:.2f}, "
            f"people with one another {compared.people:.2f}, difference {figure(compared.difference)}"
        )
    if agreement.machine and agreement.pairs and not agreement.comparison:
        yield "the machine cannot be judged against people: that needs two of them with figures for the same targets"
    yield RESEARCH_USE_ONLY


def category_line(pair: CategoryPair) -> str:
    """Return the agreement of a pair in categories on one line."""
    parts = [f"same category {percent(pair.same)}", f"kappa {figure(pair.kappa)}"]
    if pair.linear is not None and pair.quadratic is not None:
        parts += [f"linear {figure(pair.linear)}", f"quadratic {figure(pair.quadratic)}"]
    marked = " [machine]" if pair.with_machine else ""
    return f"{pair_name(pair)}{marked}, {pair.targets} targets: {', '.join(parts)}"


def cell_lines(slide_id: str, agreement: CellAgreement) -> list[str]:
    """Return the agreement in cells as lines of text, without control characters."""
    lines = [
        f"{slide_id}: {agreement.marked:,} marked and {agreement.found:,} found cells in {agreement.area_mm2:.3g} mm² "
        f"where every cell was marked; matched one to one within {agreement.radius_um:g} µm",
        *(
            f"  {each.name}: F1 {figure(each.f1, 3)}, precision {figure(each.precision, 3)}, "
            f"recall {figure(each.recall, 3)}; {each.tp:,} found, {each.fp:,} wrongly found, {each.fn:,} missed"
            for each in agreement.figures
        ),
    ]
    (both_negative, called_positive), (called_negative, both_positive) = agreement.calls
    lines.append(
        f"  calls of the pairs: {both_positive:,} positive by both, {both_negative:,} negative by both, "
        f"{called_positive:,} positive by the machine alone, {called_negative:,} positive by the person alone"
    )
    lines.append("  brackets: 95 % Wilson, cells taken as independent, so too narrow where errors cluster")
    return [one_line(line) for line in (*lines, RESEARCH_USE_ONLY)]


def _number(value: float, decimals: int) -> str:
    """Return a number; what rounds to zero has no sign."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text
