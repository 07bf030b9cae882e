"""train.py: settings from flags, a schedule, and a run that goes on after a stop as if there had been none."""

import csv
import json
import math
import runpy
import shlex
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import train
from ihc_quant.errors import SettingsError, WeightsError
from ihc_quant.network.card import DataSource, read_card
from ihc_quant.network.quantisation import lies_on_steps, on_steps
from ihc_quant.network.weights import load_arrays
from ihc_quant.training.field import TrainingField
from ihc_quant.training.finishing import UNKNOWN_ORIGIN
from ihc_quant.training.runs import settings_of_run, write_settings
from ihc_quant.training.splits import Split, split_by_image
from ihc_quant.training.state import State, save_last
from ihc_quant.training.statements import INHERITED
from tests.tiny_runs import FOLDED, ROOT, TINY, flags_of

pytestmark = pytest.mark.usefixtures("threads_as_before")
ENCODER = ROOT / "weights" / "efficientnet-lite0.safetensors"


class Stopped(Exception):
    """Somebody pulled the plug."""


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
        return log(path, step, losses, scores)

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


def kept_in(folder: Path, kind: str) -> dict[str, NDArray[np.float32]]:
    """Return the floats of the last checkpoint's ``network``, ``average`` or ``mean``."""
    tensors = load_arrays(folder / "last.safetensors").items()
    floats = [(name, np.asarray(array, np.float32)) for name, array in tensors if array.dtype == np.float32]
    return {name.removeprefix(f"{kind}."): array for name, array in floats if name.startswith(f"{kind}.")}


IN_PARTS = replace(TINY, steps=2, every=1, warm_up=1, restarts=2, restart_steps=2, rounded_steps=2)


@pytest.mark.parametrize("stop", range(1, 8))
def test_a_run_in_parts_goes_on_exactly(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    def stopping(state: State, path: Path) -> None:
        save_last(state, path)
        if state.step == stop:
            raise Stopped

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    train.train(IN_PARTS, split, whole)
    with monkeypatch.context() as patch:
        patch.setattr(train, "save_last", stopping)
        with pytest.raises(Stopped):
            train.train(IN_PARTS, split, parts)
    train.train(IN_PARTS, split, parts)
    assert_same_run(whole, parts)


def test_restarts_keep_the_mean_of_what_each_part_ended_with(split: Split, tmp_path: Path) -> None:
    ends = []
    for restarts in range(3):
        folder = tmp_path / str(restarts)
        folder.mkdir()
        train.train(replace(IN_PARTS, restarts=restarts, rounded_steps=0), split, folder)
        ends.append(kept_in(folder, "average"))
    mean = kept_in(tmp_path / "2", "mean")
    assert mean.keys() == ends[0].keys()
    for name, array in mean.items():
        np.testing.assert_allclose(array, np.mean([end[name] for end in ends], axis=0), rtol=1e-4, atol=1e-6)


def test_with_validation_too_the_best_is_what_the_last_part_makes(split: Split, tmp_path: Path) -> None:
    train.train(IN_PARTS, split, tmp_path)
    best = load_arrays(tmp_path / "best.safetensors")
    assert lies_on_steps({name: np.asarray(array, np.float32) for name, array in best.items()})
    assert [step for step in range(9) if replace(IN_PARTS, rounded_steps=0).may_be_best(step)] == [2, 4, 6]
    with pytest.raises(SettingsError, match="--patience ends a run"):
        replace(IN_PARTS, patience=1)


def test_rounded_steps_leave_weights_that_integers_hold_and_teach_the_rest(split: Split, tmp_path: Path) -> None:
    exact, rounded = tmp_path / "exact", tmp_path / "rounded"
    for folder, settings in ((exact, replace(IN_PARTS, rounded_steps=0)), (rounded, IN_PARTS)):
        folder.mkdir()
        train.train(settings, split, folder)
    before, after = kept_in(exact, "mean"), kept_in(rounded, "average")
    assert not lies_on_steps(before)
    assert lies_on_steps(after)
    for name, array in before.items():
        if array.ndim == 4:
            np.testing.assert_array_equal(after[name], on_steps(array))
        elif name.endswith(".1.bias"):
            assert not np.array_equal(after[name], array), name


def test_a_finished_run_is_left_as_it_is(split: Split, tmp_path: Path) -> None:
    short = replace(TINY, steps=1)
    train.train(short, split, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    train.train(short, split, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert set(before) == {"log.csv", "curves.png", "last.safetensors", "best.safetensors"}


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


def test_each_part_rises_to_its_own_height_and_falls() -> None:
    settings = replace(
        TINY, steps=10, warm_up=2, rate=4e-3, restarts=2, restart_steps=5, restart_rate=1e-3, rounded_steps=7
    )
    rates = [train.learning_rate(step, settings) for step in range(settings.all_steps)]
    parts = [rates[:10], rates[10:15], rates[15:20], rates[20:]]
    assert [len(part) for part in parts] == [10, 5, 5, 7]
    assert [max(part) for part in parts] == pytest.approx([4e-3, 1e-3, 1e-3, 1e-3])
    assert parts[1] == parts[2]
    assert all(part[2:] == sorted(part[2:], reverse=True) for part in parts)
    assert [step for step in range(30) if settings.ends_part(step)] == [10, 15, 20]


def test_every_setting_is_a_flag_with_its_default() -> None:
    assert train.parse_settings([]) == train.Settings()
    for field in fields(train.Settings):
        flag = f"--{field.name.replace('_', '-')}"
        if field.type is bool:
            assert getattr(train.parse_settings([flag]), field.name) is True
        elif field.name in ("fold", "precision", "encoder"):
            value = {"fold": "3", "precision": "float32", "encoder": "efficientnet_lite0"}[field.name]
            assert getattr(train.parse_settings([flag, value]), field.name) == value
        elif field.name == "laboratory_share":
            stated = train.parse_settings([flag, "16", "--laboratory", "ours.yaml", "--name", "ours"])
            assert stated.laboratory_share == 16
        elif field.type is str:
            assert getattr(train.parse_settings([flag, "other"]), field.name) == "other"
        elif field.type is float:
            assert getattr(train.parse_settings([flag, "0.5"]), field.name) == 0.5
        else:
            assert getattr(train.parse_settings([flag, "16"]), field.name) == 16


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--fold", "5"], "--fold must be one of 0, 1, 2, 3, 4 or all, not 5"),
        (
            ["--encoder", "resnet"],
            "--encoder must be auto or one of plain, efficientnet_lite0, not",
        ),
        (["--precision", "half"], "--precision must be one of auto, float32, bfloat16"),
        (["--patience", "-1"], "--patience"),
        (["--laboratory-share", "2"], "--laboratory"),
        (["--size-px", "100"], "--size-px must be a multiple of 16"),
        (["--steps", "0"], "--steps must be above 0"),
        (["--painted-fields", "-1"], "--painted-fields must be above 0"),
        (["--cd138", "-1"], "--cd138 must be 0 or more, not -1"),
        (["--laboratory-share", "-2"], "--laboratory-share must be 0 or more"),
        (["--rate", "nan"], "--rate must be above 0 and at most 1, not nan"),
        (["--extent-weight", "inf"], "--extent-weight must be 0 or more, not inf"),
        (["--averaging", "1"], "--averaging must be 0 or more and below 1"),
        (["--on-positive", "2"], "--on-positive must be from 0 to 1"),
        (["--warm-up", "-1"], "--warm-up must be 0 or more"),
        (["--seed", "-1"], "--seed must be from 0 to"),
        (["--threads", "100000"], "--threads must be from 1 to 1024"),
        (["--pixel-um", "16"], r"--pixel-um must be from 0\.05 to 5"),
        (["--name", "../../evil"], "--name must be letters, .*not '../../evil'"),
        (["--name", ""], "--name must be letters"),
        (["--name", ".hidden"], "with no dot in front"),
        (["--laboratory", "ours.yaml", "--laboratory-share", "4"], "--name default is that of shipped weights"),
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
    with pytest.raises(SettingsError, match=r"in laboratory nothing is left .* --laboratory-share 0"):
        train.train(replace(TINY, name="ours", laboratory_share=1, laboratory="ours.yaml"), split, tmp_path)


def test_a_run_goes_on_with_the_settings_it_was_started_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "RUNS", tmp_path)
    started = replace(TINY, data="elsewhere", precision="float32")
    write_settings(started)
    place = train.PLACE
    assert settings_of_run(TINY, place) == replace(started, data=TINY.data)  # automatic precision was decided
    with pytest.raises(SettingsError, match="--steps 6"):
        settings_of_run(replace(TINY, steps=7), place)
    with pytest.raises(SettingsError, match="--precision float32"):
        settings_of_run(replace(TINY, precision="bfloat16"), place)
    # To finish, none need be stated again: the split and the card are those of the run.
    finishing = train.Settings(data="here", finish=True)
    assert settings_of_run(finishing, place) == replace(started, data="here", finish=True, threads=2)
    assert settings_of_run(replace(TINY, name="new"), place) == replace(TINY, name="new")
    # Without them the test images could be ones that were learned from.
    (tmp_path / "new").mkdir()
    with pytest.raises(SettingsError, match="what the run learned from"):
        settings_of_run(replace(finishing, name="new"), place)
    with pytest.raises(SettingsError, match=r"none: there is no such run; correct --name"):
        settings_of_run(replace(finishing, name="none"), place)
    with pytest.raises(SettingsError, match='--start ""; go on so'):
        settings_of_run(replace(TINY, start="open"), place)
    (tmp_path / "default" / "settings.json").write_text('{"stepz": 3}')
    with pytest.raises(SettingsError, match="not the settings of a run"):
        settings_of_run(TINY, place)


def test_a_card_tells_what_was_learned_from_but_not_where_it_lay() -> None:
    assert set(train.Settings().lesson()).isdisjoint({"data", "weights", "threads", "finish", "overwrite"})
    lesson = replace(TINY, start="/home/me/w.safetensors", laboratory="/home/me/ours.yaml").lesson()
    assert (lesson["start"], lesson["laboratory"]) == ("w.safetensors", "ours.yaml")


def test_finishing_before_training_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "RUNS", tmp_path)
    with pytest.raises(SettingsError, match="no trained network yet"):
        train.finish(TINY, {})


def test_training_stops_when_the_score_no_longer_rises_and_stays_stopped(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.3, 0.5, 0.4, 0.45, 0.9])
    monkeypatch.setattr(train, "quick_scores", lambda *_: {"mean": next(scores)})
    patient = replace(TINY, steps=20, every=1, patience=2)
    train.train(patient, split, tmp_path)
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    assert [float(row["mean"]) for row in rows] == [0.3, 0.5, 0.4, 0.45]
    train.train(patient, split, tmp_path)
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 5
    last, best = load_arrays(tmp_path / "last.safetensors"), load_arrays(tmp_path / "best.safetensors")
    assert (int(last["step"]), int(last["best_step"])) == (4, 2)
    assert any((last[f"average.{name}"] != array).any() for name, array in best.items())


def test_without_validation_the_last_average_is_the_best_and_no_patience_is_lost(split: Split, tmp_path: Path) -> None:
    train.train(replace(TINY, patience=1), Split(split.training, (), split.test), tmp_path)
    last, best = load_arrays(tmp_path / "last.safetensors"), load_arrays(tmp_path / "best.safetensors")
    assert int(last["step"]) == TINY.steps
    for name, array in best.items():
        assert array.tobytes() == last[f"average.{name}"].tobytes()
    assert (tmp_path / "log.csv").read_text().splitlines()[0] == "step,centre,extent,positivity"


def test_an_unfinished_run_without_validation_leaves_nothing_that_looks_finished(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(state, path):  # type: ignore[no-untyped-def]
        save_last(state, path)
        if state.step == 4:
            raise Stopped

    monkeypatch.setattr(train, "save_last", stopping)
    with pytest.raises(Stopped):
        train.train(TINY, Split(split.training, (), ()), tmp_path)
    assert not (tmp_path / "best.safetensors").exists()


def test_mixed_precision_learns_much_the_same(split: Split, tmp_path: Path) -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        folder = tmp_path / precision
        folder.mkdir()
        train.train(replace(TINY, precision=precision), split, folder)
        losses.append([float(v) for v in (folder / "log.csv").read_text().splitlines()[-1].split(",")[1:4]])
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_training_can_start_from_other_weights(split: Split, tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    train.train(TINY, split, old)
    given = old / "best.safetensors"
    before = given.read_bytes()
    settings = replace(TINY, encoder="plain", start=str(given), seed=99)
    state = train.first_state(settings, new)
    for name, array in load_arrays(given).items():
        assert (state.network.state_dict()[name].numpy() == array).all()
    given.unlink()  # the run goes on from its own copy
    assert (new / "start.safetensors").read_bytes() == before
    train.train(settings, split, new)
    assert int(load_arrays(new / "last.safetensors")["step"]) == TINY.steps
    with pytest.raises(WeightsError, match="nowhere"):
        train.first_state(replace(settings, start="nowhere"), tmp_path)


def test_training_can_start_from_an_encoder_that_was_taught_elsewhere(split: Split, tmp_path: Path) -> None:
    settings = replace(TINY, encoder="efficientnet_lite0", start=str(ENCODER), steps=2)
    state = train.first_state(settings, tmp_path)
    given = load_arrays(ENCODER)
    learned = {name for name in state.network.state_dict() if name.startswith("encoder.") and "num_batches" not in name}
    assert all((state.network.state_dict()[name].numpy() == given[name]).all() for name in learned)
    lacking = {".".join(name.split(".")[1:3]) for name in set(given) - learned}
    assert lacking == {"3.3", "3.4", "3.5"}  # the last residuals of the coarsest level
    chance = train.first_state(replace(settings, start=""), tmp_path)
    assert torch.equal(state.network.head.weight, chance.network.head.weight)
    train.train(settings, split, tmp_path)
    assert np.isfinite(load_arrays(tmp_path / "best.safetensors")["encoder.0.0.0.weight"]).all()
    with pytest.raises(SettingsError, match="another architecture"):
        train.first_state(replace(settings, encoder="plain"), tmp_path)


def test_folds_and_the_run_on_everything_make_a_card(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [*flags_of(replace(FOLDED, weights=str(tmp_path / "weights"))), "--test-patients="]
    train.main([*flags, "--fold", "2"])
    lone = read_card(runs / "default-fold-2" / "weights.json")
    assert "fixed" in lone.calibration.fitted_on
    assert lone.thresholds.positive == 0.5
    with pytest.raises(SettingsError, match="default-fold-0, default-fold-1, default-fold-3, default-fold-4"):
        train.main(flags)
    train.main([*flags, "--fold", "all"])
    cards = [read_card(runs / f"default-fold-{fold}" / "weights.json") for fold in range(5)]
    tested = [card.split["test"] for card in cards]
    assert sorted(name for names in tested for name in names) == [f"painted/painted-{n}" for n in range(10)]
    for card, names in zip(cards, tested, strict=True):
        assert set(card.split["training"]).isdisjoint(names)
        assert len(card.split["training"]) == 8
        assert "other fold models" in card.calibration.fitted_on
        assert card.metrics["painted"]["images"] == 2
    train.main([*flags, "--finish"])
    whole = read_card(tmp_path / "weights" / "default.json")
    assert whole.split["training"] == sorted(f"painted/painted-{n}" for n in range(10))
    assert whole.split["test"] == []
    assert [whole.split[f"default-fold-{fold}"] for fold in range(5)] == tested
    assert whole.metrics["painted"]["images"] == 10
    assert "fold models" in whole.figures_of
    assert [fold["name"] for fold in whole.training["folds"]] == [card.name for card in cards]
    weights = load_arrays(tmp_path / "weights" / "default.safetensors")
    for name, array in load_arrays(runs / "default" / "best.safetensors").items():
        assert (weights[name] == array).all()
    assert "painted: F1 positive" in capsys.readouterr().out
    # Folds of another recipe say nothing of it.
    path = runs / "default-fold-3" / "settings.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rate": 0.5}))
    with pytest.raises(SettingsError, match=r"default-fold-3 was trained with --rate 0\.5"):
        train.main([*flags, "--finish"])


def test_a_card_follows_from_what_was_used_and_what_it_started_from(runs: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text('hold_out_images: true\ntest_patients: ""\n')
    flags = [*flags_of(replace(FOLDED, weights=str(weights))), "--settings", str(recipe)]
    train.main([*flags, "--name", "first"])
    first = read_card(weights / "first.json")
    assert [(source.name, source.role, source.images) for source in first.sources] == [
        ("painted", "training, validation, test", 10)
    ]
    assert first.licence.startswith("Learned only from this project's own painted images")
    assert first.validated_for.startswith("no real DAB tissue")
    assert (first.started_from, first.figures_of, first.measurement) == ("", "", ())
    assert first.training["precision"] in ("float32", "bfloat16")
    assert (runs / "first" / "reliability.png").exists() == bool(first.metrics["painted"]["reliability"])
    # An encoder has no card; what it learned from is known all the same.
    train.main([*flags, "--name", "third", "--start", str(ENCODER)])
    third = read_card(weights / "third.json")
    assert [(source.name, source.role) for source in third.sources[1:]] == [("imagenet", INHERITED)]
    assert "imagenet" in third.licence
    assert third.licence.startswith("Research use only")
    # Of weights without a card nobody knows, and their figures say so.
    train.main([*flags, "--name", "fourth", "--start", str(runs / "first" / "best.safetensors")])
    assert read_card(weights / "fourth.json").figures_of == f"these weights; {UNKNOWN_ORIGIN}"
    # What a start was not free to learn from binds what goes on from it.
    bound = first.model_copy(update={"sources": (DataSource(name="cd138", licence="none", role="training", images=9),)})
    (weights / "first.json").write_text(bound.model_dump_json())
    train.main([*flags, "--name", "second", "--start", str(weights / "first.safetensors")])
    second = read_card(weights / "second.json")
    assert second.started_from == first.sha256
    assert second.training["start"] == "first.safetensors"
    assert second.licence.startswith("Research use only")
    assert [source.name for source in second.sources] == ["painted", "cd138"]


def test_a_recipe_is_a_yaml_file_and_a_flag_wins_over_it(tmp_path: Path) -> None:
    recipe = tmp_path / "ours.yaml"
    recipe.write_text('rate: 3e-3  # highest\nsteps: 7\nvalidation_patients: ""\nhold_out_images: true\n')
    assert train.parse_settings(["--settings", str(recipe), "--steps", "9"]) == train.Settings(
        rate=3e-3, steps=9, validation_patients="", hold_out_images=True
    )
    assert not train.parse_settings(["--settings", str(recipe), "--no-hold-out-images"]).hold_out_images


def test_ctrl_c_ends_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ihc_quant.training.collection.Collection.read", interrupted)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    assert stopped.value.code == 130
    assert capsys.readouterr().err.endswith("stopped; the same command goes on from the last checkpoint.\n")


def test_a_damaged_checkpoint_and_a_lost_best_are_one_sentence(split: Split, tmp_path: Path) -> None:
    short = replace(TINY, steps=1)
    train.train(short, split, tmp_path)
    (tmp_path / "best.safetensors").unlink()
    with pytest.raises(SettingsError, match=r"best\.safetensors is missing, which this run wrote at step 1"):
        train.train(short, split, tmp_path)
    (tmp_path / "last.safetensors").write_bytes(b"cut off")
    with pytest.raises(SettingsError, match=r"last\.safetensors: the checkpoint is damaged; put a copy"):
        train.train(short, split, tmp_path)


def test_the_manuals_flags_say_what_its_recipe_says(tmp_path: Path) -> None:
    manual = (ROOT / "docs" / "retraining.md").read_text(encoding="utf-8")
    (tmp_path / "my.yaml").write_text(manual.split("```yaml\n")[3].split("```")[0])
    recipe = train.parse_settings(["--settings", str(tmp_path / "my.yaml")])
    told = manual.split("The same as flags alone:")[1].split("\n\n")[1].replace("\\\n", " ")
    flags = train.parse_settings(shlex.split(told)[2:])
    assert flags == replace(recipe, laboratory="laboratory.yaml")
    assert recipe.laboratory == str(tmp_path / "laboratory.yaml")


@pytest.mark.parametrize("name", ["default", "open"])
def test_the_recipes_of_shipped_weights_can_be_read(name: str) -> None:
    settings = train.parse_settings(["--settings", str(ROOT / "weights" / f"{name}.yaml")])
    assert settings.name == name
    learned = {source for source, count in settings.shares().items() if count}
    assert settings.architecture.encoder == ("plain" if name == "open" else "efficientnet_lite0")
    assert bool(settings.start) == (name == "default")
    assert learned == ({"dsb2018", "painted"} if name == "open" else {"cd138", "bcdata", "dsb2018", "painted", "he"})
    assert not settings.validation_patients + settings.test_patients


@pytest.mark.shared
def test_the_real_sets_are_split_by_patient(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "RUNS", tmp_path)
    settings = replace(train.Settings(), data=str(shared_data), painted_fields=5, painted_px=32)
    sources = train.collection_of(settings).read()
    split = train.split_of(settings, sources)
    groups = {part: set(names) for part, names in split.groups().items()}
    assert groups["validation"] >= {"cd138/006"}
    assert {name for name in groups["test"] if name.startswith("cd138")} == {"cd138/003"}
    assert {name for name in groups["training"] if name.startswith("cd138")} == {"cd138/001", "cd138/004", "cd138/005"}
    assert sum(map(len, groups.values())) == len(set.union(*groups.values()))
    for field in (*split.training, *split.validation, *split.test):
        assert field.points_px is None or is_on(field.points_px, field.rgb.shape)
    # Each group is held out by one fold, and trains in all others.
    names = [name for name in set.union(*groups.values()) if not name.startswith("he/")]
    folds = [train.split_of(replace(settings, fold=str(fold)), sources).groups() for fold in range(5)]
    assert sorted(name for fold in folds for name in fold["test"]) == sorted(names)
    assert [name for fold in folds for name in fold["test"] if name.startswith("cd138")] == [
        f"cd138/{patient}" for patient in ("001", "003", "004", "005", "006")
    ]
    for fold in folds:
        assert not set(fold["training"]) & set(fold["test"])
        assert set(fold["training"]) | set(fold["test"]) == set.union(*groups.values())
    # What is not learned from is tested, all of it.
    foreign = train.split_of(replace(settings, cd138=0, bcdata=0, validation_patients="", test_patients=""), sources)
    assert set(foreign.groups()["test"]) == {n for n in names if n.startswith(("cd138", "bcdata"))}


def is_on(points_px: NDArray[np.float64], shape: tuple[int, ...]) -> bool:
    return bool((points_px >= 0).all() and (points_px <= (shape[1], shape[0])).all())
