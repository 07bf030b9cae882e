"""The columns of the cohort table, each defined once: name, type, unit, meaning, when it is missing, and its value.

The CSV, the Parquet file and the data dictionary are made from these definitions and from nothing else.
"""

from collections.abc import Iterator, Sequence
from functools import partial

from ihc_quant.domain.clinical import SERIES_NAMES
from ihc_quant.domain.outcome import Failed, Scored
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.report.cohort_blood_columns import blood_columns
from ihc_quant.report.cohort_entry import BETWEEN, COHORT_MARKERS, COHORT_RATIOS, Cell, CohortColumn, CohortEntry
from ihc_quant.report.cohort_marker_columns import marker_columns
from ihc_quant.report.cohort_panel_columns import ratio_columns, scheme_column


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
        *(column for marker in COHORT_MARKERS for column in marker_columns(marker)),
        *(column for name in COHORT_RATIOS for column in ratio_columns(name)),
        *map(scheme_column, scheme_ids),
        *blood_columns([name for name in further_series if name not in SERIES_NAMES]),
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
        lambda e: e.report.biopsy_day,
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
