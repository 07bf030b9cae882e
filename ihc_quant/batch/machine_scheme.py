"""Which figures of a cohort table a published CCR4 scheme may be laid on, by the same rules as in a report."""

import re
from collections.abc import Iterator, Mapping, Sequence

from ihc_quant.domain.ccr4 import Ccr4Scheme
from ihc_quant.scoring.score import ScoreSettings

FRACTION_COLUMN = re.compile(r"([a-z0-9]+)_(?:([a-z]+)_)?positive_fraction")
"""Columns of percentages in a cohort table: marker, and the region unless it is everything that was analysed."""

DRAWN = "drawn"
"""How the table calls the origin of a region that a person drew or confirmed."""


def refuse_column(column: str, header: Sequence[str], schemes: Sequence[Ccr4Scheme]) -> str:
    """Return why a column of a cohort table cannot be judged by a scheme, as ``what; cure``; "" where it can.

    Parameters
    ----------
    column : str
        With the machine's figures.
    header : sequence of str
        Of the table; one that is no cohort table is not judged.
    schemes : sequence of Ccr4Scheme
        With cuts.
    """
    match = FRACTION_COLUMN.fullmatch(column)
    if match is None or f"{match[1]}_infiltrate_origin" not in header:
        return ""
    for scheme in schemes:
        if match[1] != "ccr4":
            return f"{scheme.id} judges CCR4+ cells; name a column of ccr4"
        if scheme.region != (match[2] or ""):
            wanted = f"ccr4_{scheme.region}_positive_fraction"
            cure = f"name {wanted}" if wanted in header else f"the table has no column of it; leave {scheme.id} out"
            return f"{scheme.id} judges the percentage of the {scheme.region}; {cure}"
    return ""


def unfit(row: Mapping[str, str], column: str, schemes: Sequence[Ccr4Scheme]) -> str:
    """Return why the figure of a row cannot be judged by all schemes, a clause; "" where it can.

    Parameters
    ----------
    row : mapping of column to text
        Of a cohort table; what it does not state refuses nothing.
    column : str
        With the machine's figures.
    schemes : sequence of Ccr4Scheme
        With cuts.
    """
    return next(_faults(row, column, schemes), "")


def _faults(row: Mapping[str, str], column: str, schemes: Sequence[Ccr4Scheme]) -> Iterator[str]:
    match = FRACTION_COLUMN.fullmatch(column)
    if not schemes or match is None:
        return
    site = row.get("site", "")
    for scheme in schemes:
        if site and scheme.sites and site not in scheme.sites:
            yield f"of {site}, and {scheme.id} is for {' or '.join(scheme.sites)}"
    prefix = f"{match[1]}_{match[2]}_" if match[2] else f"{match[1]}_"
    origin = row.get(f"{prefix}origin", "") if match[2] else ""
    if origin and origin != DRAWN:
        yield f"{match[2]} {origin}"
    cells, fewest = row.get(f"{prefix}cells", ""), ScoreSettings().insufficient_below
    if cells.isdecimal() and int(cells) < fewest:
        yield f"{cells} cells, fewer than {fewest}"
