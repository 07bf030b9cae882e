"""The machine as a reader: its figures from results, or from a column of a table such as ``cohort.csv``."""

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from ihc_quant.batch.machine_scheme import refuse_column, unfit
from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.rescoring import slide_folders
from ihc_quant.domain.agreement import Measure
from ihc_quant.domain.ccr4 import Ccr4Scheme
from ihc_quant.domain.outcome import Scored
from ihc_quant.errors import SettingsError
from ihc_quant.evaluation.readers_csv import parse_value, refuse


def values_of_results(out: Path, measure: Measure) -> dict[str, float]:
    """Return the machine's figure of each scored slide.

    Parameters
    ----------
    out : Path
        Output folder of a run, or the folder of one slide in it.
    measure : Measure
        Percent positive (0 to 100), density of positive cells per mm², or H-score.

    Returns
    -------
    dict of slide_id to figure
        Without slides that were not scored or whose figure is not evaluable.

    Raises
    ------
    SettingsError
        Where the measure is none that results hold.
    OutputError
        Where there are no results or they cannot be read.
    """
    if measure is Measure.OTHER:
        raise SettingsError("--measure other: results hold no such figure; use percent, density or h-score.")
    values = {}
    for folder in slide_folders(out):
        outcome, _, _ = read_slide_json(folder)
        if not isinstance(outcome, Scored):
            continue
        score = outcome.score
        estimate, factor = {
            Measure.PERCENT: (score.positive_fraction, 100.0),
            Measure.DENSITY: (score.positive_density_per_mm2, 1.0),
            Measure.H_SCORE: (score.h_score, 1.0),
        }[measure]
        if estimate.value is not None:
            values[outcome.slide_id] = factor * estimate.value
    return values


def values_of_table(
    path: Path,
    target_kind: str,
    column: str,
    measure: Measure,
    factor: float,
    schemes: Sequence[Ccr4Scheme] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, float]:
    """Return the machine's figures in a column of a table.

    Parameters
    ----------
    path : Path
        CSV in UTF-8.
    target_kind : str
        Column of the identifiers.
    column : str
        Column of the figures.
    measure : Measure
        What they are.
    factor : float
        By which they are multiplied, for example 100 for fractions.
    schemes : sequence of Ccr4Scheme
        Schemes that judge the figures. In a cohort table a figure is left out where a scheme is not for the site, the
        region was not drawn or confirmed, or there are too few cells.
    tell : callable
        Called with a sentence that names what was left out.

    Raises
    ------
    SettingsError
        Where the table cannot be read or used; faults of rows on a line each.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            header = list(reader.fieldnames or ())
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path}: the machine's table cannot be read; it must be a CSV file in UTF-8.") from error
    for name in (target_kind, column):
        if name not in header:
            raise SettingsError(f"{path}: the machine's table has no column {name!r}, only {', '.join(header)}.")
    if refused := refuse_column(column, header, schemes):
        raise SettingsError(f"{path}, {column}: {refused}.")
    values: dict[str, float] = {}
    faults = []
    left_out: list[str] = []
    for line, row in rows:
        target, text = _plain(row[target_kind]), (row[column] or "").strip()
        try:
            value = parse_value(text, Measure.OTHER) * factor
            value = parse_value("" if math.isnan(value) else f"{value!r}", measure)
        except ValueError as fault:
            faults.append(f"line {line}, {column}: {fault}")
            continue
        if target in values:
            faults.append(f"line {line}, {target_kind}: {target!r} stands there already; keep one row")
        values[target] = value
        if not math.isnan(value) and (why := unfit({k: v or "" for k, v in row.items() if k}, column, schemes)):
            values[target] = math.nan
            left_out.append(f"{target} ({why})")
    refuse(path, faults)
    if left_out:
        tell(f"{path}: left out, because a scheme must not judge them: {'; '.join(left_out)}.")
    return {target: value for target, value in values.items() if not math.isnan(value)}


def _plain(text: str | None) -> str:
    """Return an identifier without the apostrophe that keeps a spreadsheet from taking it for a formula."""
    stripped = (text or "").strip()
    return stripped[1:] if stripped[:1] == "'" and stripped[1:2] in ("=", "+", "-", "@") else stripped
