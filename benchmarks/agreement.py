"""How far a machine agrees with people on labelled images: the figures of one source."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from labelled_images import LabelledImage
from numpy.typing import NDArray
from scored_pictures import FoundCells

from ihc_quant.evaluation.matching import ClassDetection, Detection, detect_by_class, match_points
from ihc_quant.evaluation.panoptic import PanopticSum, compare_instances
from ihc_quant.training.calibration import MatchedCalls, calibration_error

RESAMPLES = 1000
"""Bootstrap resamples of the images."""
INTERVAL_PERCENT = 95.0
LIMITS_SD = 1.96
"""Limits of agreement lie this many standard deviations from the bias (Bland and Altman 1986, PMID 2868172)."""
SEED = 0

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class ImageResult:
    """An image and what a machine found in it."""

    image: LabelledImage
    found: FoundCells

    def detection(self) -> ClassDetection:
        """Match found with marked cells; what lies in the unmarked border is no error."""
        return detect_by_class(
            self.found.places_um,
            self.found.positive,
            self.image.places_um,
            self.image.positive,
            found_counts=self.image.marked_at(self.found.places_um),
            true_counts=self.image.marked_at(self.image.places_um),
        )

    def percent_error(self) -> float | None:
        """Return found less true positive percentage where cells were marked, in points; None without cells."""
        called = self.found.positive[self.image.marked_at(self.found.places_um)]
        true = self.image.positive[self.image.marked_at(self.image.places_um)]
        return 100 * float(called.mean() - true.mean()) if len(called) and len(true) else None

    def matched_calls(self) -> MatchedCalls:
        """Return probabilities and true calls of the cells that were found where people marked one."""
        if self.found.p_positive is None:
            raise ValueError("this machine states no probabilities")
        matches = match_points(self.found.places_um, self.image.places_um)
        kept = self.image.marked_at(self.image.places_um)[matches.true]
        true, found = matches.true[kept], matches.found[kept]
        return MatchedCalls(self.found.p_positive[found], self.image.positive[true])

    def panoptic(self) -> dict[str, PanopticSum]:
        """Compare the outlines of all nuclei, and of those of each call where there are positive ones."""
        true = self.image.labels
        if true is None:
            raise ValueError(f"{self.image.name}: nobody drew outlines")
        found = self.found.labels(self.image.size_px, self.image.mpp_um)
        result = {"nuclei": compare_instances(found, true)}
        if self.image.source == "deepliif":
            for call, wanted in (("positive", True), ("negative", False)):
                result[call] = compare_instances(
                    _only(found, self.found.positive == wanted), _only(true, self.image.positive == wanted)
                )
        return result


def _only(labels: NDArray[np.int32], wanted: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the map with the wanted ones of its nuclei, numbered from 1, alone."""
    return np.asarray(np.where(np.concatenate([[False], wanted])[labels], labels, 0), np.int32)


def source_figures(results: Sequence[ImageResult]) -> Figures:
    """Return the figures of the images of one source, pooled and by group.

    A figure that has nothing to stand on is missing: no detection where only counts are known, no panoptic quality
    without outlines, no calibration without probabilities.

    Raises
    ------
    ValueError
        Where an image occurs twice: its copies would count as if they were other images.
    """
    images = [result.image for result in results]
    if len({image.name for image in images}) < len(images):
        raise ValueError("each image is judged once")
    figures: Figures = {"images": len(images)}
    if counted := [result for result in results if result.image.count is not None]:
        return figures | {"counts": count_figures(counted)}
    detections = [result.detection() for result in results]
    figures["detection"] = detection_figures(detections, [image.name for image in images])
    groups = sorted({image.group for image in images})
    if len(groups) < len(images):
        figures["groups"] = {
            group: detection_figures(
                [one for one, image in zip(detections, images, strict=True) if image.group == group]
            )
            for group in groups
        }
    figures["percent_error"] = percent_figures([result.percent_error() for result in results])
    found = sum(one.either.tp + one.either.fp for one in detections)
    true = sum(one.either.tp + one.either.fn for one in detections)
    figures["cell_count"] = {
        "found": found,
        "true": true,
        "error_percent": 100 * (found - true) / true if true else None,
    }
    if all(result.found.p_positive is not None for result in results):
        calls = MatchedCalls.concatenate([result.matched_calls() for result in results])
        figures["calibration"] = {"error": calibration_error(calls), "cells": len(calls)}
    if all(image.labels is not None for image in images):
        figures["panoptic"] = panoptic_figures([result.panoptic() for result in results])
    return figures


def detection_figures(detections: Sequence[ClassDetection], names: Sequence[str] | None = None) -> Figures:
    """Return F1, precision and recall of each call, and of cells whatever their call, pooled.

    With the images' ``names`` the F1s get bootstrap intervals over images. Where people marked no cell of a call there
    is nothing to find, so it has no such figures, however many were found.
    """
    total = sum(detections, ClassDetection())
    figures: Figures = {}
    for call in ("positive", "negative", "either"):
        one: Detection = getattr(total, call)
        known = one.tp + one.fn > 0
        rates = {"f1": one.f1, "precision": one.precision, "recall": one.recall}
        figures[call] = {name: rate if known else None for name, rate in rates.items()} | asdict(one)
        if names is not None and known:
            counts = np.array([[part.tp, part.fp, part.fn] for part in (getattr(d, call) for d in detections)], float)
            figures[call]["f1_interval"] = bootstrap_interval(counts, names, _f1)
    return figures


def _f1(counts: NDArray[np.float64]) -> float:
    tp, fp, fn = counts.sum(axis=0)
    return float(2 * tp / (2 * tp + fp + fn)) if tp + fp + fn else float("nan")


def percent_figures(errors: Sequence[float | None]) -> Figures:
    """Return bias, standard deviation and limits of agreement of the images' percentages, in points."""
    known = np.array([error for error in errors if error is not None], float)
    if len(known) < 2:
        return {"images": len(known), "bias": None, "sd": None, "limits": None}
    bias, sd = float(known.mean()), float(known.std(ddof=1))
    return {"images": len(known), "bias": bias, "sd": sd, "limits": [bias - LIMITS_SD * sd, bias + LIMITS_SD * sd]}


def panoptic_figures(parts: Sequence[dict[str, PanopticSum]]) -> Figures:
    """Return panoptic quality and its parts, summed over images."""
    totals = {name: sum((part[name] for part in parts), PanopticSum()) for name in parts[0]}
    return {
        name: {"pq": total.quality, "sq": total.segmentation_quality, "rq": total.recognition_quality}
        for name, total in totals.items()
    }


def count_figures(results: Sequence[ImageResult]) -> Figures:
    """Return the errors of the number of positive cells, for each true number apart, with bootstrap intervals."""
    figures: Figures = {}
    for count in sorted({result.image.count for result in results if result.image.count is not None}):
        those = [result for result in results if result.image.count == count]
        names = [result.image.name for result in those]
        errors = np.array([[int(result.found.positive.sum()) - count] for result in those], float)
        figures[f"crops with {count}"] = {
            "crops": len(set(names)),
            "mean_absolute_error": float(np.abs(errors).mean()),
            "mean_absolute_error_interval": bootstrap_interval(errors, names, lambda e: float(np.abs(e).mean())),
            "median_error_percent": 100 * float(np.median(np.abs(errors))) / count,
            "median_error_percent_interval": bootstrap_interval(
                errors * (100 / count), names, lambda e: float(np.median(np.abs(e)))
            ),
            "bias_percent": 100 * float(errors.mean()) / count,
            "bias_percent_interval": bootstrap_interval(errors * (100 / count), names, lambda e: float(e.mean())),
        }
    return figures


def bootstrap_interval(
    values: NDArray[np.float64], names: Sequence[str], statistic: Callable[[NDArray[np.float64]], float]
) -> list[float] | None:
    """Return the percentile interval of a statistic over resampled images.

    Parameters
    ----------
    values : ndarray, shape (n, k)
        One row a result.
    names : sequence of str
        Image of each row; rows of one image are drawn together.
    statistic : callable
        From rows to a number, NaN where there is none.

    Returns
    -------
    list of float or None
        Low and high end; None for fewer than two images, or where no resample has a number.
    """
    rows_of = [np.flatnonzero(np.array(names) == name) for name in dict.fromkeys(names)]
    if len(rows_of) < 2:
        return None
    rng = np.random.default_rng(SEED)
    drawn = rng.integers(0, len(rows_of), (RESAMPLES, len(rows_of)))
    numbers = np.array([statistic(values[np.concatenate([rows_of[i] for i in draw])]) for draw in drawn])
    numbers = numbers[np.isfinite(numbers)]
    outside = (100 - INTERVAL_PERCENT) / 2
    return [float(end) for end in np.percentile(numbers, [outside, 100 - outside])] if len(numbers) else None
