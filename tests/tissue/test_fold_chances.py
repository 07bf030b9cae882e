"""Which places the chances of the fold network make folds."""

import numpy as np
import pytest

from ihc_quant.tissue.fold_chances import CERTAIN, FoldChances, likely_folds
from ihc_quant.tissue.quality_settings import DEFAULT_QUALITY, QualitySettings


def chances(value: float, rows: slice = slice(20, 40), surest: float | None = None) -> FoldChances:
    """Return a slide of 400 by 400 µm with one band of this chance, and one square that is surer."""
    values = np.zeros((100, 100), np.uint8)
    values[rows] = round(CERTAIN * value)
    if surest is not None:
        values[rows.start + 6 : rows.start + 14, 40:60] = round(CERTAIN * surest)
    return FoldChances(values, 4.0)


@pytest.mark.parametrize("pixel_um", [2.0, 4.0, 5.3, 8.0])
def test_a_sure_band_is_told_where_it_lies(pixel_um: float) -> None:
    tissue = np.ones((round(400 / pixel_um),) * 2, np.bool_)
    found = likely_folds(chances(1.0), tissue, pixel_um, DEFAULT_QUALITY)
    middles_um = (np.arange(len(tissue)) + 0.5) * pixel_um
    inside = (middles_um > 80 + pixel_um) & (middles_um < 160 - pixel_um)
    outside = (middles_um < 80 - pixel_um - 4) | (middles_um > 160 + pixel_um + 4)
    assert found[inside].all()
    assert not found[outside].any()


@pytest.mark.parametrize(("value", "surest", "told"), [(0.6, None, False), (0.6, 0.9, True), (0.1, 0.9, False)])
def test_all_of_a_fold_is_likely_and_some_of_it_sure(value: float, surest: float | None, told: bool) -> None:
    found = likely_folds(chances(value, surest=surest), np.ones((100, 100), np.bool_), 4.0, DEFAULT_QUALITY)
    assert bool(found[20:40].all()) is told


def test_a_crumb_and_glass_are_no_fold() -> None:
    tissue = np.ones((100, 100), np.bool_)
    tissue[:, 5:] = False
    assert not likely_folds(chances(1.0), tissue, 4.0, QualitySettings(fold_chance_um2=2_000.0)).any()
    assert likely_folds(chances(1.0), tissue, 4.0, QualitySettings(fold_chance_um2=1_500.0)).any()
    assert not likely_folds(chances(1.0), np.zeros((100, 100), np.bool_), 4.0, DEFAULT_QUALITY).any()
