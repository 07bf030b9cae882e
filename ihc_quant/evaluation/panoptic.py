"""Panoptic quality: whether nuclei are found, and how well their outlines fit (Kirillov 2019, 10.1109/CVPR.2019.00963).

A found and a true nucleus are one where their intersection is more than half of their union; no nucleus can do so with
two others, so that nothing has to be assigned.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ihc_quant.evaluation.matching import Detection

LEAST_IOU = 0.5
"""Intersection over union above which two nuclei are one."""


@dataclass(frozen=True, slots=True)
class PanopticSum:
    """Found, wrongly found and missed nuclei, and how well the found ones fit. A monoid: add over images first.

    Attributes
    ----------
    detection : Detection
    iou : float
        Sum of intersection over union of the matched pairs.

    Examples
    --------
    >>> both = PanopticSum(Detection(3, 1, 0), 2.4) + PanopticSum(Detection(1, 0, 1), 0.8)
    >>> round(both.segmentation_quality, 3), round(both.recognition_quality, 3), round(both.quality, 3)
    (0.8, 0.8, 0.64)
    """

    detection: Detection = field(default_factory=Detection)
    iou: float = 0.0

    def __add__(self, other: "PanopticSum") -> "PanopticSum":
        return PanopticSum(self.detection + other.detection, self.iou + other.iou)

    @property
    def segmentation_quality(self) -> float | None:
        """SQ: mean intersection over union of the matched pairs; None where there are none."""
        return self.iou / self.detection.tp if self.detection.tp else None

    @property
    def recognition_quality(self) -> float | None:
        """RQ: the F1 of matching, tp / (tp + fp / 2 + fn / 2); None where there is nothing at all."""
        return self.detection.f1

    @property
    def quality(self) -> float | None:
        """PQ = SQ · RQ, the sum of IoU over tp + fp / 2 + fn / 2; None where there is nothing at all."""
        marked = self.detection.tp + (self.detection.fp + self.detection.fn) / 2
        return self.iou / marked if marked else None


def compare_instances(found: NDArray[np.int32], true: NDArray[np.int32]) -> PanopticSum:
    """Compare two maps of nuclei.

    Parameters
    ----------
    found, true : ndarray, shape (H, W), int32
        Number of the nucleus at each pixel, 0 where there is none. Numbers need not be consecutive.

    Returns
    -------
    PanopticSum

    Raises
    ------
    ValueError
        Where the two maps differ in shape or a number is negative.

    Examples
    --------
    >>> compare_instances(np.array([[1, 1, 1, 0]], np.int32), np.array([[5, 5, 0, 0]], np.int32))
    PanopticSum(detection=Detection(tp=1, fp=0, fn=0), iou=0.6666666666666666)
    """
    if found.shape != true.shape:
        raise ValueError(f"maps of nuclei of shape {found.shape} and {true.shape} cannot be compared")
    if min(found.min(initial=0), true.min(initial=0)) < 0:
        raise ValueError("nuclei are numbered from 1, and 0 is none")
    found_numbers, of_found = np.unique(found, return_inverse=True)
    true_numbers, of_true = np.unique(true, return_inverse=True)
    shape = (len(found_numbers), len(true_numbers))
    pair, overlap = np.unique(of_found.ravel().astype(np.int64) * shape[1] + of_true.ravel(), return_counts=True)
    row, column = np.divmod(pair, shape[1])
    area_found, area_true = np.bincount(of_found.ravel()), np.bincount(of_true.ravel())
    iou = overlap / (area_found[row] + area_true[column] - overlap)
    same = (iou > LEAST_IOU) & (found_numbers[row] > 0) & (true_numbers[column] > 0)
    tp = int(same.sum())
    fp, fn = int((found_numbers > 0).sum()) - tp, int((true_numbers > 0).sum()) - tp
    return PanopticSum(Detection(tp, fp, fn), float(iou[same].sum()))
