"""The cohort's columns of blood, from the clinical table."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

from ihc_quant.domain.clinical import BLOOD_SERIES
from ihc_quant.report.cohort_entry import BETWEEN, Cell, CohortColumn, CohortEntry


def blood_columns(further: Sequence[str]) -> Iterator[CohortColumn]:
    """Return the columns of blood, those of further series after the known ones."""
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
