"""The results of ``accuracy.py`` as tables and bars."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tables import Bar, shown

Row = dict[str, Any]

F1_BARS = {("cd138", "positive"): 0.84, ("cd138", "negative"): 0.88, ("bcdata", "positive"): 0.80,
           ("bcdata", "negative"): 0.75}  # fmt: skip
CALIBRATED = ("cd138", "bcdata")
"""Sources with cells of either call, on which calibration has a bar."""

UNTUNED = "classical, not tuned"
"""Name of the classical pipeline where the weights learned from nothing that it could be tuned on."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its head and notes."""

    title: str
    notes: tuple[str, ...]
    rows: tuple[Row, ...]


def tables(report: Mapping[str, Any]) -> Iterator[Table]:
    """Yield the tables of whatever parts a report holds."""
    sources: Mapping[str, Any] = report.get("sources", {})
    detected = {name: both for name, both in sources.items() if "detection" in both["network"]}
    if detected:
        note = "one-to-one within 4 µm; the unmarked border is left out; intervals are bootstrapped over images"
        yield Table("Detection", (note,), tuple(_detection_rows(detected)))
        note = "found less true positive percentage by image, in points; cells are counted where people marked some"
        yield Table("Positive percentage, number of cells, calibration", (note,), tuple(_percent_rows(detected)))
    if outlined := {name: both for name, both in sources.items() if "panoptic" in both["network"]}:
        yield Table("Outlines", ("panoptic quality = segmentation × recognition",), tuple(_panoptic_rows(outlined)))
    if counted := {name: both for name, both in sources.items() if "counts" in both["network"]}:
        yield Table("Counts of positive cells", (), tuple(_count_rows(counted)))
    if "two_scanners" in report:
        note = (
            "affine fit on a random half of one scan's cells against the other scan's; F1 of all cells in common area"
        )
        yield Table("One section, two scanners", (note,), tuple(_scanner_rows(report["two_scanners"])))
    if "robustness" in report:
        note = "absolute move of the positive percentage of an image against the same image untouched, in points"
        rows = ({"change": name} | figures for name, figures in report["robustness"]["changes"].items())
        yield Table("Stain, light, focus, compression", (note, report["robustness"]["images"]), tuple(rows))
    if "artefacts" in report:
        yield Table(
            "Artefacts: cells called positive", (report["artefacts"]["note"],), tuple(report["artefacts"]["kinds"])
        )
        yield Table("Artefacts, picture by picture", (), tuple(report["artefacts"]["pictures"]))


def _machines(both: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    names = {"network": "network", "classical": "classical" if both.get("classical_tuned", True) else UNTUNED}
    return ((name, both[machine]) for machine, name in names.items() if machine in both)


def _detection_rows(sources: Mapping[str, Any]) -> Iterator[Row]:
    for source, both in sources.items():
        groups = both["network"].get("groups", {})
        for group in ("", *groups):
            for machine, figures in _machines(both):
                yield _detection_row(source, group, machine, figures)


def _detection_row(source: str, group: str, machine: str, figures: Mapping[str, Any]) -> Row:
    detection = figures["groups"][group] if group else figures["detection"]
    row: Row = {"set": f"{source} {group}".strip(), "machine": machine, "images": "" if group else figures["images"]}
    for call in ("positive", "negative"):
        one, short = detection[call], call[:3]
        row |= {f"{short} F1": _digits(one["f1"]), f"{short} interval": _interval(one.get("f1_interval"))}
        row |= {f"{short} P": _digits(one["precision"]), f"{short} R": _digits(one["recall"])}
    return row | {"any F1": _digits(detection["either"]["f1"])}


def _percent_rows(sources: Mapping[str, Any]) -> Iterator[Row]:
    for source, both in sources.items():
        for machine, figures in _machines(both):
            error = figures["percent_error"]
            yield {
                "set": source,
                "machine": machine,
                "images": error["images"],
                "bias": _digits(error["bias"], 2),
                "sd": _digits(error["sd"], 2),
                "limits of agreement": _interval(error["limits"], 1),
                "cells found": figures["cell_count"]["found"],
                "true": figures["cell_count"]["true"],
                "error %": _digits(figures["cell_count"]["error_percent"], 1),
                "ECE": _digits(figures.get("calibration", {}).get("error"), 4),
                "matched": figures.get("calibration", {}).get("cells"),
            }


def _panoptic_rows(sources: Mapping[str, Any]) -> Iterator[Row]:
    for source, both in sources.items():
        for machine, figures in _machines(both):
            for kind, parts in figures["panoptic"].items():
                row = {"set": source, "machine": machine, "of": kind}
                yield row | {name.upper(): _digits(parts[name]) for name in ("pq", "sq", "rq")}


def _count_rows(sources: Mapping[str, Any]) -> Iterator[Row]:
    for source, both in sources.items():
        for machine, figures in _machines(both):
            for group, one in figures["counts"].items():
                yield {
                    "set": f"{source}, {group}",
                    "machine": machine,
                    "crops": one["crops"],
                    "mean abs error": _digits(one["mean_absolute_error"], 2),
                    "interval": _interval(one["mean_absolute_error_interval"], 2),
                    "median error %": _digits(one["median_error_percent"], 1),
                    "interval %": _interval(one["median_error_percent_interval"], 1),
                    "bias %": _digits(one["bias_percent"], 1),
                    "bias interval %": _interval(one["bias_percent_interval"], 1),
                }


def _scanner_rows(figures: Mapping[str, Any]) -> Iterator[Row]:
    for weights, one in figures.items():
        for name, value in one.items():
            pair = " / ".join(shown(each) for each in value) if isinstance(value, list) else value
            yield {"weights": weights, "figure": name.replace("_", " "), "value": pair}


def bars(report: Mapping[str, Any]) -> list[Bar]:
    """Return the bars of the parts that a report holds."""
    judged: list[Bar] = []
    sources = {name: both["network"] for name, both in report.get("sources", {}).items()}
    for (source, call), limit in F1_BARS.items():
        if source in sources:
            judged.append(Bar(f"{source}: F1 of {call} cells", sources[source]["detection"][call]["f1"], limit, False))
    judged += [
        Bar(f"{source}: calibration error", sources[source]["calibration"]["error"], 0.05)
        for source in CALIBRATED
        if source in sources
    ]
    counts = sources.get("lysto", {}).get("counts", {})
    if one := counts.get("crops with 1"):
        judged.append(Bar("lysto, crops with 1: mean absolute error", one["mean_absolute_error"], 0.5))
    if many := counts.get("crops with 30"):
        judged.append(Bar("lysto, crops with 30: median error %", many["median_error_percent"], 12.0))
        judged.append(Bar("lysto, crops with 30: bias %, either way", abs(many["bias_percent"]), 5.0))
    if scans := list(report.get("two_scanners", {}).values()):
        apart = [scan["points_apart"] for scan in scans]
        judged.append(Bar("two scanners: points apart", None if None in apart else max(apart), 2.0))
        judged.append(Bar("two scanners: F1 of cells", min(scan["f1"] or 0.0 for scan in scans), 0.85, False))
    changes = [figures for name, figures in report.get("robustness", {}).get("changes", {}).items() if name != "all"]
    for figure, words, limit in (("median_points", "median", 3.0), ("p90_points", "90th percentile", 8.0)):
        if known := [change[figure] for change in changes if change[figure] is not None]:
            judged.append(Bar(f"robustness, worst change: {words} of moves in points", max(known), limit))
    return judged


def _digits(value: float | None, digits: int = 3) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _interval(ends: list[float] | None, digits: int = 2) -> str | None:
    return None if ends is None else f"{ends[0]:.{digits}f} to {ends[1]:.{digits}f}"
