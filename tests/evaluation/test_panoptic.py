"""Panoptic quality: equal maps are perfect, an overlap counts from one half on, images add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from ihc_quant.evaluation.matching import Detection
from ihc_quant.evaluation.panoptic import PanopticSum, compare_instances

maps = hnp.arrays(np.int32, (6, 7), elements=st.integers(0, 4))


def row(*numbers: int) -> NDArray[np.int32]:
    return np.array([numbers], np.int32)


@given(maps)
def test_a_map_agrees_with_itself_whatever_its_numbers(labels: NDArray[np.int32]) -> None:
    nuclei = len(np.unique(labels[labels > 0]))
    result = compare_instances(np.where(labels > 0, 3 * labels + 7, 0).astype(np.int32), labels)
    assert result == PanopticSum(Detection(nuclei, 0, 0), nuclei)
    assert result.quality == (1.0 if nuclei else None)


@given(maps, maps)
def test_exchanging_the_maps_exchanges_wrongly_found_and_missed(
    one: NDArray[np.int32], other: NDArray[np.int32]
) -> None:
    here, there = compare_instances(one, other), compare_instances(other, one)
    assert (here.detection.fp, here.detection.fn) == (there.detection.fn, there.detection.fp)
    assert here.iou == pytest.approx(there.iou)
    if here.segmentation_quality is not None and here.recognition_quality is not None:
        assert here.quality == pytest.approx(here.segmentation_quality * here.recognition_quality)
        assert 0.5 < here.segmentation_quality <= 1


def test_half_an_overlap_is_no_match() -> None:
    assert compare_instances(row(1, 1, 0), row(1, 0, 0)).detection == Detection(0, 1, 1)
    assert compare_instances(row(1, 1, 1), row(1, 1, 0)) == PanopticSum(Detection(1, 0, 0), 2 / 3)


def test_a_split_nucleus_is_one_match_at_most() -> None:
    result = compare_instances(row(1, 1, 1, 2, 2), row(9, 9, 9, 9, 9))
    assert result == PanopticSum(Detection(1, 1, 0), 0.6)
    assert result.quality == pytest.approx(0.4)


def test_nothing_against_nothing_has_no_quality() -> None:
    empty = compare_instances(row(0, 0), row(0, 0))
    assert (empty.quality, empty.segmentation_quality, empty.recognition_quality) == (None, None, None)
    assert compare_instances(row(0, 0), row(1, 0)).quality == 0


def test_bad_maps_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        compare_instances(row(1, 0), row(1))
    with pytest.raises(ValueError, match="numbered from 1"):
        compare_instances(row(-1, 0), row(1, 0))
