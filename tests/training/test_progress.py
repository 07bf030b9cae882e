"""The log, its curves and what is told while a run goes on."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ihc_quant.training.charts import COLOURS, PANEL_PX, draw_reliability
from ihc_quant.training.progress import Watch, add_to_log, forget_after, open_board, read_log


def row(step: int, **scores: float) -> dict[str, float]:
    return {"step": step, "centre": 1 / step, "extent": 0.5, "positivity": 0.2, **scores}


def pixels(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def colour(text: str) -> list[int]:
    return [int(text[i : i + 2], 16) for i in (1, 3, 5)]


def test_a_log_grows_is_cut_back_and_its_curves_follow(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    for step in (1, 2, 3):
        add_to_log(path, row(step, mean=step / 4))
    assert read_log(path)["mean"] == [0.25, 0.5, 0.75]
    three = (tmp_path / "curves.png").read_bytes()
    assert pixels(tmp_path / "curves.png").shape == (PANEL_PX[1], 2 * PANEL_PX[0], 3)
    forget_after(path, 2)
    assert read_log(path)["step"] == [1, 2]
    add_to_log(path, row(3, mean=0.75))
    assert (tmp_path / "curves.png").read_bytes() == three


def test_a_log_that_was_lost_or_emptied_begins_anew(tmp_path: Path) -> None:
    forget_after(tmp_path / "none.csv", 5)
    assert not (tmp_path / "none.csv").exists()
    path = tmp_path / "log.csv"
    path.write_text("")
    forget_after(path, 5)
    add_to_log(path, row(6))
    assert read_log(path)["step"] == [6]


def test_without_validation_there_are_only_losses(tmp_path: Path) -> None:
    add_to_log(tmp_path / "log.csv", row(1))
    assert pixels(tmp_path / "curves.png").shape == (PANEL_PX[1], PANEL_PX[0], 3)


def test_a_reliability_diagram_shows_each_source_where_its_cells_are(tmp_path: Path) -> None:
    bins = {"reliability": [(0.2, 0.9, 5)], "calibration_error": 0.7}
    draw_reliability({"cd138": bins, "lysto": {}, "he": {"reliability": []}, "bcdata": bins}, tmp_path / "r.png")
    picture = pixels(tmp_path / "r.png")
    assert picture.shape == (PANEL_PX[1], 2 * PANEL_PX[0], 3)
    y, x = np.nonzero((picture[:, : PANEL_PX[0]] == colour(COLOURS[0])).all(axis=2))
    dot = (x < PANEL_PX[0] / 2) & (y < PANEL_PX[1] / 3)  # a fifth to the right, nine tenths up; the legend is right
    assert 20 < dot.sum() < 80
    draw_reliability({"lysto": {}}, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_tensorboard_is_written_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[Any] = []

    class Writer:
        def __init__(self, log_dir: str, purge_step: int) -> None:
            told.append((Path(log_dir), purge_step))

        def add_scalar(self, name: str, value: float, step: int) -> None:
            told.append((name, value, step))

        def close(self) -> None:
            told.append("closed")

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    with Watch(tmp_path, 4, 10) as watch:
        watch.step_taken()
        watch.validated({"step": 5, "mean": 0.5}, 120)
    assert told == [(tmp_path / "tensorboard", 5), ("mean", 0.5, 5), "closed"]
    assert capsys.readouterr().err == "step 5, 2 min left\n"


def test_without_tensorboard_nothing_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert open_board(tmp_path, 0) is None
    assert not list(tmp_path.iterdir())
