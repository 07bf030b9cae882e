"""The columns of the cohort table, each defined once: name, type, unit, meaning, when it is missing, and its value.

The CSV, the Parquet file and the data dictionary are made from these definitions and from nothing else.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

from ihc_quant.domain.clinical import BLOOD_SERIES, SERIES_NAMES
from ihc_quant.domain.outcome import Failed, Scored
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.report.cohort_entry import COHORT_RATIOS, Cell, CohortColumn, CohortEntry, Kind
from ihc_quant.report.cohort_marker import MarkerFigures, marker_figures

COHORT_MARKERS: tuple[str, ...] = ("CD4", "CD8", "CCR4")
"""Markers with columns of their own."""

BETWEEN = " | "
"""Stands between the sentences of one cell."""


def cohort_columns(further_series: Sequence[str] = (), scheme_ids: Sequence[str] = ()) -> tuple[CohortColumn, ...]:
    """Return the columns of a cohort table.

    Parameters
    ----------
    further_series : sequence of str
        Further series of the clinical table; those of ``SERIES_NAMES`` always have columns.
    scheme_ids : sequence of str
        CCR4 schemes, in the order of their columns.
    """
    columns = (
        *_biopsy_columns(),
        *(column for marker in COHORT_MARKERS for column in _marker_columns(marker)),
        *(column for name in COHORT_RATIOS for column in _ratio_columns(name)),
        *map(_scheme_column, scheme_ids),
        *_blood_columns([name for name in further_series if name not in SERIES_NAMES]),
        *_source_columns(),
    )
    names = [column.name for column in columns]
    if len(set(names)) < len(names):
        raise ValueError(f"two columns have the same name among {names}")
    return columns


def _biopsy_columns() -> Iterator[CohortColumn]:
    yield CohortColumn("biopsy_id", "text", "", "the biopsy, as in the manifest", "never", lambda e: e.report.biopsy_id)
    yield CohortColumn(
        "patient_id", "text", "", "the patient, as in the manifest", "never", lambda e: e.report.patient_id
    )
    yield CohortColumn("site", "text", "", "skin, lymph_node or other", "never", lambda e: e.report.site)
    yield CohortColumn(
        "biopsy_day",
        "integer",
        "days",
        "day of the biopsy counted from the first infusion (day 0); negative before it",
        "not recorded",
        lambda e: e.biopsy_day,
    )
    yield CohortColumn(
        "complete",
        "truth",
        "",
        "whether the biopsy has a section of each marker and all were scored; incomplete is not smaller",
        "never",
        lambda e: e.report.complete,
    )
    yield CohortColumn(
        "incomplete_because",
        "text",
        "",
        "markers without a section, and sections that were not scored, each with the reason",
        "the biopsy is complete",
        lambda e: BETWEEN.join(e.report.missing) or None,
    )
    yield CohortColumn(
        "sections", "integer", "sections", "sections that the manifest lists", "never", lambda e: len(e.report.outcomes)
    )
    yield CohortColumn(
        "sections_scored",
        "integer",
        "sections",
        "sections of them that were scored",
        "never",
        lambda e: sum(isinstance(outcome, Scored) for outcome in e.report.outcomes),
    )


def _marker_columns(marker: str) -> Iterator[CohortColumn]:
    short, cells = marker.lower(), f"{marker}+ cells"
    uncounted = f"no {marker} section, or not every one of them was scored"

    def column(suffix: str, kind: Kind, unit: str, meaning: str, missing: str, name: str) -> CohortColumn:
        return CohortColumn(f"{short}_{suffix}", kind, unit, meaning, missing, partial(_of_marker, marker, name))

    yield column("sections", "integer", "sections", f"sections stained for {marker}", "never", "sections")
    yield column(
        "status",
        "text",
        "",
        "scored; incomplete: one of its sections was not scored; no section",
        "never",
        "status",
    )
    yield column("cells", "integer", "cells", "all nucleated cells, the denominator", uncounted, "cells")
    yield column("positive_cells", "integer", "cells", f"{cells} of any grade", uncounted, "positive_cells")
    for grade in ("1+", "2+", "3+"):
        name = {"1+": "one_plus", "2+": "two_plus", "3+": "three_plus"}[grade]
        yield column(name, "integer", "cells", f"{cells} of grade {grade} (cuts not validated)", uncounted, name)
    yield column("area_mm2", "number", "mm²", "tissue analysed", uncounted, "area_mm2")
    for figure, unit, meaning in (
        ("positive_fraction", "fraction of all nucleated cells, 0 to 1", f"{cells} over all nucleated cells"),
        ("density_per_mm2", "cells/mm²", f"{cells} over the tissue analysed"),
        ("h_score", "H-score, 0 to 300", "(1 · 1+ cells + 2 · 2+ cells + 3 · 3+ cells) / all cells × 100"),
    ):
        absent = f"{uncounted}, or not evaluable ({short}_notes says why)"
        no_interval = f"{absent}; no such interval could be given; or several sections, whose reports have intervals"
        yield column(figure, "number", unit, meaning, absent, figure)
        for end in ("low", "high"):
            outer = "lowest" if end == "low" else "highest"
            yield column(
                f"{figure}_sampling_{end}",
                "number",
                unit,
                f"{outer} limit of its intervals of sampling alone (95 % unless the settings say otherwise)",
                no_interval,
                f"{figure}_sampling_{end}",
            )
            if figure == "positive_fraction":
                yield column(
                    f"{figure}_measurement_{end}",
                    "number",
                    unit,
                    "limit of its interval of sampling and the network's own error together",
                    f"{no_interval}; or the network's own error is not known",
                    f"{figure}_measurement_{end}",
                )
    yield column(
        "intervals_reliable",
        "truth",
        "",
        "whether every interval meets the conditions of its method",
        "there is no interval",
        "intervals_reliable",
    )
    yield column(
        "notes", "text", "", "what must stand beside the figures, and why some are missing", "nothing to say", "notes"
    )


def _of_marker(marker: str, name: str, entry: CohortEntry) -> Cell:
    figures: MarkerFigures = marker_figures(marker, entry.report.outcomes)
    return figures.cells.get(name)


def _ratio_columns(name: str) -> Iterator[CohortColumn]:
    short = name.lower().replace(":", "_") + "_density_ratio"
    absent = f"not evaluable ({short}_reason says why), or not computed"
    above, below = name.split(":")
    meaning = (
        f"density of {above}+ cells over density of {below}+ cells on serial sections; not a fraction of cells, may "
        "exceed 1"
    )

    columns: tuple[tuple[str, Kind, str, str, str], ...] = (
        ("value", "number", "ratio", meaning, absent),
        ("low", "number", "ratio", "lowest limit of its intervals", absent),
        ("high", "number", "ratio", "highest limit of its intervals", absent),
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
    if part == "value" or not estimate.intervals:
        return estimate.value if part == "value" else None
    limits = [each.low if part == "low" else each.high for each in estimate.intervals]
    return min(limits) if part == "low" else max(limits)


def _scheme_column(scheme_id: str) -> CohortColumn:
    return CohortColumn(
        f"ccr4_scheme_{scheme_id.lower().replace('-', '_')}",
        "text",
        "",
        f"what the published scheme {scheme_id} says of the biopsy, by the widest interval",
        "not computed",
        lambda e: e.schemes.get(scheme_id),
    )


def _blood_columns(further: Sequence[str]) -> Iterator[CohortColumn]:
    absent = "no clinical table, or no sample near enough (blood_notes says why)"
    known = [*BLOOD_SERIES, *((name, "as its name says", f"{name} of the clinical table") for name in further)]
    for series, unit, meaning in known:
        yield CohortColumn(
            f"blood_{series}",
            "number",
            unit,
            f"{meaning}, of the sample nearest to the biopsy",
            absent,
            partial(_of_blood, series, "value"),
        )
        yield CohortColumn(
            f"blood_{series}_offset_days",
            "integer",
            "days",
            "day of that sample less day of the biopsy; negative where blood was taken first",
            absent,
            partial(_of_blood, series, "offset_days"),
        )
    yield CohortColumn(
        "blood_notes",
        "text",
        "",
        "samples that were as near, samples from the other side of the first infusion, and why figures are missing",
        "nothing to say",
        lambda e: BETWEEN.join(f"{figure.series}: {figure.note}" for figure in e.blood if figure.note) or None,
    )
    no_table = "no clinical table"
    yield CohortColumn(
        "blood_response",
        "text",
        "",
        "blood response of the patient at the last infusion; complete: CD3−CD4+ cells < 0.5 % of all lymphocytes; "
        "partial: their number fell by > 50 % from the start of treatment without complete response",
        no_table,
        lambda e: e.response.category if e.response else None,
    )
    yield CohortColumn(
        "blood_response_reason",
        "text",
        "",
        "what the blood response rests on, or why it cannot be evaluated",
        no_table,
        lambda e: e.response.reason if e.response else None,
    )
    yield CohortColumn(
        "response_stated",
        "text",
        "",
        "the response as the clinical table states it; nothing is computed from it",
        "not stated, or no clinical table",
        lambda e: e.response_stated or None,
    )


def _of_blood(series: str, attribute: Literal["value", "offset_days"], entry: CohortEntry) -> Cell:
    figure = next((figure for figure in entry.blood if figure.series == series), None)
    if figure is None:
        return None
    return figure.value if attribute == "value" else figure.offset_days


def _source_columns() -> Iterator[CohortColumn]:
    yield CohortColumn(
        "flags",
        "text",
        "",
        "what may have fooled the figures, as in the report",
        "no flags",
        lambda e: BETWEEN.join(e.report.flags) or None,
    )
    for name, meaning in (
        ("software", "name and version of the program that measured"),
        ("weights_name", "weights of the network"),
        ("weights_sha256", "digest of these weights"),
        ("settings_sha256", "digest of the settings"),
    ):
        yield CohortColumn(
            name, "text", "", f"{meaning}; all of them where sections differ", "no section was measured",
            partial(_of_sources, name),
        )  # fmt: skip
    yield CohortColumn("notice", "text", "", "stands on every result", "never", lambda _: RESEARCH_USE_ONLY)


def _of_sources(name: str, entry: CohortEntry) -> Cell:
    sources = [outcome.provenance for outcome in entry.report.outcomes if not isinstance(outcome, Failed)]
    return BETWEEN.join(dict.fromkeys(str(getattr(source, name)) for source in sources)) or None
