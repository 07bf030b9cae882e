"""Painted fields that are kept are those that would be painted."""

from pathlib import Path

import numpy as np
import pytest

from ihc_quant.synthetic.field import PaintedField
from ihc_quant.training import painted_cache
from ihc_quant.training.painted_cache import painted_field


def assert_same(one: PaintedField, other: PaintedField) -> None:
    assert one.pixel_um == other.pixel_um
    for name in ("rgb", "labels", "positive", "centres_px", "kind"):
        kept, painted = getattr(one, name), getattr(other, name)
        assert kept.dtype == painted.dtype
        assert (kept == painted).all()


def test_a_kept_field_is_the_painted_one_and_is_not_painted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted = painted_field(3, 48, None)
    assert_same(painted_field(3, 48, tmp_path / "new"), painted)
    (path,) = (tmp_path / "new").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(painted_cache, "paint_training_field", lambda *_: pytest.fail("painted again"))
        assert_same(painted_field(3, 48, tmp_path / "new"), painted)
    path.write_bytes(path.read_bytes()[:-40])  # damaged: painted anew
    assert_same(painted_field(3, 48, tmp_path / "new"), painted)
    np.load(path, allow_pickle=False).close()


def test_what_another_painter_left_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    painted_field(3, 32, tmp_path)
    monkeypatch.setattr(painted_cache, "painter_digest", lambda: "0" * 64)
    painted_field(3, 32, tmp_path)
    painted_field(4, 32, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
