"""The cohort's columns of one marker: all that was analysed, the infiltrate, the hot spot, what was left out."""

from collections.abc import Iterator
from functools import partial

from ihc_quant.report.cohort_entry import Cell, CohortColumn, CohortEntry, Kind
from ihc_quant.report.cohort_marker import OVER_GRADES

SAMPLING = "limit of its intervals of sampling alone (95 % unless the settings say otherwise)"
SAMPLING_OF_SPOT = (
    "limit of its interval of sampling alone, which allows for the choice of the window and holds for this section as "
    "it lies"
)
"""What stands after “lowest” and “highest”."""

GRADES = (("1+", "one_plus"), ("2+", "two_plus"), ("3+", "three_plus"))


def marker_columns(marker: str) -> Iterator[CohortColumn]:
    """Return the columns of a marker; its name in small letters stands in front of theirs."""
    cells = f"{marker}+ cells"
    uncounted = f"no {marker} section, not every one of them was scored, or they are not taken together"
    no_infiltrate = f"{uncounted}, or not every one has an infiltrate of the same origin"
    yield _column(marker, "sections", "integer", "sections", f"sections stained for {marker}", "never")
    yield _column(
        marker, "status", "text", "", "scored; incomplete: one of its sections was not scored; no section", "never"
    )
    yield from _counts(marker, "", "", uncounted)
    for grade, name in GRADES:
        yield _column(marker, name, "integer", "cells", f"{cells} of grade {grade} (cuts not validated)", uncounted)
    yield _column(marker, "area_mm2", "number", "mm²", "tissue analysed", uncounted)
    yield from _estimates(marker, "", "the tissue analysed", uncounted)
    yield from _reliable(marker, "")
    no_spot = f"{uncounted}, several sections, or no such window"
    yield _column(
        marker, "hot_spot_density_per_mm2", "number", "cells/mm²",
        f"{cells} in the window of 0.2 mm² where they are densest; the highest of many, so it tends to be too high",
        no_spot,
    )  # fmt: skip
    yield from _limits(marker, "hot_spot_density_per_mm2", "cells/mm²", no_spot, SAMPLING_OF_SPOT)
    yield _column(marker, "left_out_mm2", "number", "mm²", "tissue found and not analysed", uncounted)
    yield _column(
        marker, "infiltrate_origin", "text", "",
        "drawn: a person drew or confirmed it; proposed, not reviewed: the software found it",
        no_infiltrate,
    )  # fmt: skip
    yield from _counts(marker, "infiltrate_", " of the infiltrate", no_infiltrate)
    yield _column(marker, "infiltrate_area_mm2", "number", "mm²", "tissue of the infiltrate", no_infiltrate)
    yield from _estimates(marker, "infiltrate_", "the infiltrate", no_infiltrate)
    yield from _reliable(marker, "infiltrate_")
    yield _column(
        marker, "notes", "text", "", "what must stand beside the figures, and why some are missing", "nothing to say"
    )


def _counts(marker: str, prefix: str, where: str, missing: str) -> Iterator[CohortColumn]:
    yield _column(marker, f"{prefix}cells", "integer", "cells", f"all nucleated cells{where}, the denominator", missing)
    yield _column(
        marker, f"{prefix}positive_cells", "integer", "cells", f"{marker}+ cells of any grade{where}", missing
    )


def _estimates(marker: str, prefix: str, where: str, uncounted: str) -> Iterator[CohortColumn]:
    """Return the figures over one region, each with the limits of its intervals."""
    absent = f"{uncounted}, or not evaluable ({marker.lower()}_notes says why)"
    no_interval = f"{absent}; or no such interval could be given"
    unit_of_share, cells = "fraction of all nucleated cells, 0 to 1", f"{marker}+ cells"
    shares = ((f"{name}_fraction", unit_of_share, f"{cells} of grade {grade} over all cells") for grade, name in GRADES)
    for figure, unit, meaning in (
        ("positive_fraction", unit_of_share, f"{cells} over all nucleated cells"),
        ("density_per_mm2", "cells/mm²", f"{cells} over {where}"),
        ("h_score", "H-score, 0 to 300", "(1 · 1+ cells + 2 · 2+ cells + 3 · 3+ cells) / all cells × 100"),
        ("cell_density_per_mm2", "cells/mm²", f"all nucleated cells over {where}"),
        *shares,
    ):
        of_region = f"{meaning}, of the infiltrate" if prefix and not figure.endswith("per_mm2") else meaning
        yield _column(marker, f"{prefix}{figure}", "number", unit, of_region, absent)
        yield from _limits(marker, f"{prefix}{figure}", unit, no_interval, SAMPLING)


def _limits(marker: str, figure: str, unit: str, no_interval: str, sampling: str) -> Iterator[CohortColumn]:
    """Return the columns of a figure's outer limits."""
    stands_for = "; cuts moved by ±25 % stand for the error of grades" if figure.endswith(OVER_GRADES) else ""
    unknown = f"{no_interval}; or the network's own error is not known"
    for end, outer in (("low", "lowest"), ("high", "highest")):
        yield _column(marker, f"{figure}_sampling_{end}", "number", unit, f"{outer} {sampling}", no_interval)
    for end in ("low", "high"):
        says = f"limit of its interval of sampling and the network's own error together{stands_for}"
        yield _column(marker, f"{figure}_measurement_{end}", "number", unit, says, unknown)


def _reliable(marker: str, prefix: str) -> Iterator[CohortColumn]:
    apart = "figures over grades and the hot spot apart"
    for kind, of_kind in (
        ("sampling", "intervals of sampling alone, the hot spot apart"),
        ("measurement", f"intervals of sampling and the network's own error together, {apart}"),
    ):
        says = f"whether every condition of the {of_kind} is met ({marker.lower()}_notes says which is not)"
        yield _column(marker, f"{prefix}{kind}_reliable", "truth", "", says, "there is no such interval")


def _column(marker: str, name: str, kind: Kind, unit: str, meaning: str, missing: str) -> CohortColumn:
    return CohortColumn(f"{marker.lower()}_{name}", kind, unit, meaning, missing, partial(_of_marker, marker, name))


def _of_marker(marker: str, name: str, entry: CohortEntry) -> Cell:
    return entry.markers[marker].cells.get(name)
