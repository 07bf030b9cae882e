"""The card of a set of weights as lines for a terminal. Imports nothing heavy."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.network.card import WeightsCard

CALLS = ("positive", "negative", "either")
"""Classes of which a card states detection figures."""

NESTED = (*CALLS, "by_group", "reliability")
"""Entries of a source's figures that have lines of their own."""


def brief_lines(card: WeightsCard) -> list[str]:
    """Return a card in a few lines: licence, what it was tested on, headline figures, thresholds."""
    thresholds = card.thresholds
    low, high = thresholds.uncertain
    lines = [
        f"{card.name} (of {card.created}, sha256 {card.sha256[:12]}…)",
        f"  licence: {card.licence}",
        f"  validated for: {card.validated_for}",
    ]
    lines += [f"  {source}: {headline}" for source, headline in _headlines(card.metrics)]
    if card.figures_of:
        lines.append(f"  these are figures of {card.figures_of}")
    lines.append(
        f"  thresholds: centre {thresholds.centre:g}, presence {thresholds.presence:g}, extent {thresholds.extent:g}, "
        f"positive {thresholds.positive:g}; calls from {low:g} to {high:g} are uncertain"
    )
    told = f"a network ({card.folds.name}, sha256 {card.folds.sha256[:12]}…)" if card.folds else "rules"
    lines.append(f"  folds are told by {told}")
    lines.append(f"  own error of the percentage: {_errors(card.measurement)}")
    return [*lines, f"  own error of the number of cells: {_count_errors(card.measurement)}"]


def card_lines(card: WeightsCard) -> list[str]:
    """Return all that a card states, the split by its sizes."""
    lines = brief_lines(card)
    lines += ["", f"pixel: {card.pixel_um:g} µm; values: {card.normalisation}; seed {card.seed}"]
    lines += [f"architecture: {_entries(card.architecture.model_dump())}"]
    if card.started_from:
        lines.append(f"started from: the weights of sha256 {card.started_from[:12]}…")
    calibration = card.calibration
    lines.append(
        f"calibration: slope {calibration.slope:g}, intercept {calibration.intercept:g}, fitted on "
        f"{calibration.fitted_on}"
    )
    lines += ["", "learned from and tested on:"]
    lines += [
        f"  {each.name}{f' ({each.marker}, {each.tissue})' if each.marker else ''}: {each.images} images, {each.role}; "
        f"licence: {each.licence}"
        for each in card.sources
    ]
    lines += ["groups: " + ", ".join(f"{part} {len(groups)}" for part, groups in card.split.items())]
    for source, figures in card.metrics.items():
        lines += ["", f"{source}:", *_figure_lines(figures)]
    lines += ["", "known failures:", *(f"  {failure}" for failure in card.known_failures or ("none stated",))]
    return [*lines, "", f"training: {_entries(card.training)}"]


def _headlines(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return for each source with marked cells its F1 of both calls."""
    headlines = []
    for source, figures in metrics.items():
        if not isinstance(figures, Mapping):
            continue
        detected = [
            f"F1 of {call} cells {f1:.3f}"
            for call in ("positive", "negative")
            if isinstance(figures.get(call), Mapping) and (f1 := figures[call].get("f1")) is not None
        ]
        if detected:
            images = f" on {figures['images']} images" if "images" in figures else ""
            headlines.append((source, ", ".join(detected) + images))
    return headlines


def _errors(errors: Sequence[MeasurementError]) -> str:
    return "; ".join(map(_error, errors)) or "not measured"


def _error(error: MeasurementError) -> str:
    shares = [
        f"{name} {share:.3f} of {cells} cells"
        for name, share, cells in (
            ("sensitivity", error.sensitivity, error.positive_cells),
            ("specificity", error.specificity, error.negative_cells),
        )
        if share is not None
    ]
    spread = f"{error.bias_points:+.1f} points on average, standard deviation {error.sd_points:.1f}"
    groups = f"{_numbered(error.images, 'image')} in {_numbered(error.patients, 'group')}, {error.how}"
    return ", ".join([f"{error.marker}, {error.tissue} ({groups}): {spread}", *shares])


def _count_errors(errors: Sequence[MeasurementError]) -> str:
    counted = [
        f"{error.marker}, {error.tissue}, {which} ({_numbered(count.images, 'image')} in "
        f"{_numbered(count.patients, 'group')} with at least {count.least_cells}): found / true "
        f"{math.exp(count.bias_log):.3f} as geometric mean, its logarithm {count.bias_log:+.3f} with standard "
        f"deviation {count.sd_log:.3f}"
        for error in errors
        for which, count in (("positive cells", error.positive_count), ("all cells", error.cell_count))
        if count is not None
    ]
    return "; ".join(counted) or "not measured"


def _figure_lines(figures: Any, indent: str = "  ") -> list[str]:
    """Return the figures of one source, or of one group of it."""
    if not isinstance(figures, Mapping):
        return [f"{indent}{_value(figures)}"]
    lines = [f"{indent}{call}: {_entries(figures[call])}" for call in CALLS if isinstance(figures.get(call), Mapping)]
    for name, value in figures.items():
        if name in NESTED:
            continue
        if isinstance(value, Mapping):
            lines += [f"{indent}{_words(name)}: {_entries(value)}"]
        else:
            lines.append(f"{indent}{_words(name)}: {_value(value)}")
    if figures.get("reliability"):
        lines.append(f"{indent}reliability (mean probability → share that is positive, cells):")
        lines += [f"{indent}  {p:.3f} → {share:.3f}, {cells}" for p, share, cells in figures["reliability"]]
    for group, of_group in figures.get("by_group", {}).items():
        lines += [f"{indent}group {group}:", *_figure_lines(of_group, indent + "  ")]
    return lines


def _entries(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{_words(name)} {_value(value)}" for name, value in values.items()) or "none stated"


def _value(value: Any) -> str:
    """Return a value of a card as text; nested ones in brackets."""
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return f"({_entries(value)})"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _numbered(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
