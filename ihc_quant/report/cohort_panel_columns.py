"""The cohort's columns of figures over several sections: density ratios and CCR4 schemes."""

from collections.abc import Iterator
from functools import partial

from ihc_quant.report.cohort_entry import Cell, CohortColumn, CohortEntry, Kind
from ihc_quant.scoring.network_error import by_what_they_hold


def ratio_columns(name: str) -> Iterator[CohortColumn]:
    """Return the columns of a density ratio."""
    short = name.lower().replace(":", "_") + "_density_ratio"
    absent = f"not evaluable ({short}_reason says why), or not computed"
    both = "limit of its interval of sampling and the network's own error of both sections together"
    unknown = f"{absent}; or the network's own error is not known"
    above, below = name.split(":")
    meaning = (
        f"density of {above}+ cells over density of {below}+ cells on serial sections; not a fraction of cells, may "
        "exceed 1"
    )

    columns: tuple[tuple[str, Kind, str, str, str], ...] = (
        ("value", "number", "ratio", meaning, absent),
        ("sampling_low", "number", "ratio", "lowest limit of its intervals of sampling alone", absent),
        ("sampling_high", "number", "ratio", "highest limit of its intervals of sampling alone", absent),
        ("measurement_low", "number", "ratio", both, unknown),
        ("measurement_high", "number", "ratio", both, unknown),
        ("reason", "text", "", "why there is no ratio", "there is one, or none was computed"),
    )
    for part, kind, unit, says, missing in columns:
        column = short if part == "value" else f"{short}_{part}"
        yield CohortColumn(column, kind, unit, says, missing, partial(_of_ratio, name, part))


def _of_ratio(name: str, part: str, entry: CohortEntry) -> Cell:
    estimate = entry.ratios.get(name)
    if estimate is None:
        return None
    if part == "reason":
        return estimate.reason or None
    if part == "value":
        return estimate.value
    kind, _, end = part.partition("_")
    sampling, both = by_what_they_hold(estimate.intervals)
    limits = [each.low if end == "low" else each.high for each in (sampling if kind == "sampling" else both)]
    if not limits:
        return None
    return min(limits) if end == "low" else max(limits)


def scheme_column(scheme_id: str) -> CohortColumn:
    """Return the column of a CCR4 scheme."""
    return CohortColumn(
        f"ccr4_scheme_{scheme_id.lower().replace('-', '_')}",
        "text",
        "",
        f"what the published scheme {scheme_id} says of the biopsy, by the widest interval",
        "not computed",
        lambda e: e.schemes.get(scheme_id),
    )
