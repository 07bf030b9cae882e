"""train.py: settings from flags, a schedule, and a run that goes on after a stop as if there had been none."""

import csv
import json
import math
import runpy
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ihc_quant.errors import SettingsError
from ihc_quant.network.weights import load_arrays
from ihc_quant.training.field import TrainingField
from ihc_quant.training.splits import Split, split_by_image
from ihc_quant.training.state import save_last

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import train  # noqa: E402

TINY = train.Settings(
    steps=6, every=2, size_px=32, cd138=0, bcdata=0, dsb2018=0, painted=2, he=0, warm_up=3, seed=5, threads=1
)


class Stopped(Exception):
    """Somebody pulled the plug."""


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def split() -> Split:
    """Ten pictures with a dark and a pale square."""
    pictures = []
    for seed in range(10):
        rgb = np.random.default_rng(seed).integers(200, 256, (40, 40, 3), dtype=np.uint8)
        rgb[6:14, 6:14], rgb[24:32, 22:30] = (110, 60, 30), (110, 110, 180)
        labels = np.zeros((40, 40), np.int32)
        labels[6:14, 6:14], labels[24:32, 22:30] = 1, 2
        points, calls, valid = np.array([[10.0, 10], [26, 28]]), np.array([1, 0], np.int8), np.ones((40, 40), np.bool_)
        pictures.append(TrainingField("painted", f"p{seed}", f"p{seed}", rgb, points, calls, labels, valid))
    return split_by_image(pictures)


def assert_same_run(one: Path, other: Path) -> None:
    assert (one / "log.csv").read_text() == (other / "log.csv").read_text()
    for name in ("last.safetensors", "best.safetensors"):
        arrays, others = load_arrays(one / name), load_arrays(other / name)
        assert arrays.keys() == others.keys()
        for key, array in arrays.items():
            assert array.shape == others[key].shape, key
            assert array.tobytes() == others[key].tobytes(), key


@pytest.mark.parametrize("moment", ["before the log", "after the log", "after the checkpoint", "within a step"])
def test_a_run_that_was_stopped_goes_on_exactly(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    train.train(TINY, split, whole)
    log, take_step = train.log, train.take_step

    def stopping_log(path, step, losses, scores):  # type: ignore[no-untyped-def]
        if moment == "before the log" and step == 4:
            raise Stopped
        log(path, step, losses, scores)

    def stopping_save(state, path):  # type: ignore[no-untyped-def]
        if moment == "after the log" and state.step == 4:
            raise Stopped
        save_last(state, path)
        if moment == "after the checkpoint" and state.step == 4:
            raise Stopped

    def stopping_step(state, batch, settings):  # type: ignore[no-untyped-def]
        if moment == "within a step" and state.step == 3:
            raise Stopped
        return take_step(state, batch, settings)

    with monkeypatch.context() as patch:
        patch.setattr(train, "log", stopping_log)
        patch.setattr(train, "save_last", stopping_save)
        patch.setattr(train, "take_step", stopping_step)
        with pytest.raises(Stopped):
            train.train(TINY, split, parts)
    train.train(TINY, split, parts)
    assert_same_run(whole, parts)
    rows = list(csv.DictReader((whole / "log.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["2", "4", "6"]
    assert len({row["centre"] for row in rows}) == 3  # it did learn something at each step


def test_a_finished_run_is_left_as_it_is(split: Split, tmp_path: Path) -> None:
    short = replace(TINY, steps=1)
    train.train(short, split, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    train.train(short, split, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert set(before) == {"log.csv", "last.safetensors", "best.safetensors"}


def test_training_lowers_the_loss(split: Split, tmp_path: Path) -> None:
    train.train(replace(TINY, steps=16, every=4, rate=1e-2), split, tmp_path)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert float(rows[-1]["extent"]) < 0.8 * float(rows[0]["extent"])


@given(st.integers(0, 60), st.integers(1, 40))
def test_the_rate_rises_falls_and_never_passes_its_height(warm_up: int, steps: int) -> None:
    settings = replace(TINY, warm_up=warm_up, steps=steps)
    rates = [train.learning_rate(step, settings) for step in range(steps)]
    assert all(0 < rate <= settings.rate and math.isfinite(rate) for rate in rates)
    top = min(warm_up, steps)
    assert rates[:top] == sorted(rates[:top])
    assert rates[warm_up:] == sorted(rates[warm_up:], reverse=True)
    if warm_up < steps:
        assert rates[warm_up] == pytest.approx(settings.rate)


def test_every_setting_is_a_flag_with_its_default() -> None:
    assert train.parse_settings([]) == train.Settings()
    for field in fields(train.Settings):
        flag = f"--{field.name.replace('_', '-')}"
        if field.type is bool:
            assert getattr(train.parse_settings([flag]), field.name) is True
        elif field.type is str:
            assert getattr(train.parse_settings([flag, "other"]), field.name) == "other"
        else:
            assert getattr(train.parse_settings([flag, "16"]), field.name) == 16


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--size-px", "100"], "--size-px must be a multiple of 16"),
        (["--steps", "0"], "--steps must be above 0"),
        (["--painted-fields", "-1"], "--painted-fields must be above 0"),
        (["--cd138", "-1"], "a batch needs images"),
        ([*["--cd138", "0", "--bcdata", "0", "--dsb2018", "0", "--painted", "0", "--he", "0"]], "a batch needs images"),
    ],
)
def test_an_impossible_setting_is_one_sentence(flags: list[str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        train.parse_settings(flags)


def test_a_missing_data_folder_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["train.py", "--data", "nowhere"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    assert stopped.value.code == (
        "train.py: --data nowhere: no such folder; name the one that holds labelled/ and unlabelled/."
    )
    assert not list(tmp_path.iterdir())


def test_a_source_of_which_nothing_is_left_to_train_on_is_refused(split: Split, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--cd138 0"):
        train.train(replace(TINY, cd138=1), split, tmp_path)


def test_a_run_goes_on_with_the_settings_it_was_started_with(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(asdict(replace(TINY, data="elsewhere"))))
    assert train.settings_of_run(TINY, tmp_path) == TINY
    with pytest.raises(SettingsError, match="--steps 6"):
        train.settings_of_run(replace(TINY, steps=7), tmp_path)
    # To finish, none need be stated again: the split and the card are those of the run.
    finishing = train.Settings(data="here", finish=True)
    assert train.settings_of_run(finishing, tmp_path) == replace(TINY, data="here", finish=True, threads=2)
    assert train.settings_of_run(TINY, tmp_path / "new") == TINY
    # Without them the test images could be ones that were learned from.
    with pytest.raises(SettingsError, match="what the run learned from"):
        train.settings_of_run(finishing, tmp_path / "new")


def test_a_card_tells_what_was_learned_from_but_not_where_it_lay(split: Split) -> None:
    assert set(train.Settings().lesson()).isdisjoint({"data", "weights", "threads", "finish"})
    used, unused = (
        train.source_of("painted", split, TINY),
        train.source_of("painted", split, replace(TINY, he=1, painted=0)),
    )
    assert (used.role, used.images) == ("training, validation, test", 10)
    assert (unused.role, unused.images) == ("validation, test", 4)
    assert train.source_of("he", split, TINY).role == "none"


def test_finishing_before_training_is_refused(split: Split, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no trained network yet"):
        train.finish(TINY, split, tmp_path)


@pytest.mark.shared
def test_the_real_sets_are_split_by_patient(shared_data: Path) -> None:
    split = train.load_split(replace(train.Settings(), data=str(shared_data), painted_fields=5, painted_px=32))
    groups = {part: set(names) for part, names in split.groups().items()}
    assert groups["validation"] >= {"cd138/006"}
    assert {name for name in groups["test"] if name.startswith("cd138")} == {"cd138/003"}
    assert {name for name in groups["training"] if name.startswith("cd138")} == {"cd138/001", "cd138/004", "cd138/005"}
    assert sum(map(len, groups.values())) == len(set.union(*groups.values()))
    for field in (*split.training, *split.validation, *split.test):
        assert field.points_px is None or is_on(field.points_px, field.rgb.shape)


def is_on(points_px: NDArray[np.float64], shape: tuple[int, ...]) -> bool:
    return bool((points_px >= 0).all() and (points_px <= (shape[1], shape[0])).all())
