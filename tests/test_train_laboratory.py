"""train.py on a laboratory's own images: who is held out, what a run keeps of it, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import train
from ihc_quant.errors import SettingsError
from ihc_quant.network.card import read_card
from ihc_quant.training.starts import LEARNED_BEFORE
from tests.tiny_runs import FOLDED, ROOT, flags_of

pytestmark = pytest.mark.usefixtures("threads_as_before")


def pictures(folder: Path, patients: int = 5) -> Path:
    """Write a laboratory's list of pictures with marked cells, one of each patient."""
    folder.mkdir()
    rows = ["image,x_px,y_px,label"]
    for number in range(patients):
        rgb = np.random.default_rng(number).integers(200, 256, (64, 64, 3), dtype=np.uint8)
        for x, y, call in ((12, 12, "positive"), (40, 20, "negative"), (20, 44, "positive"), (48, 48, "negative")):
            rgb[y - 4 : y + 4, x - 4 : x + 4] = (110, 60, 30) if call == "positive" else (110, 110, 180)
            rows.append(f"{number}.png,{x},{y},{call}")
        Image.fromarray(rgb).save(folder / f"{number}.png")
    (folder / "points.csv").write_text("\n".join(rows))
    items = [{"image": f"{n}.png", "annotation": "points.csv", "patient": f"P{n}"} for n in range(patients)]
    (folder / "ours.yaml").write_text(json.dumps({"marker": "CCR4", "mpp": 0.5, "items": items}))
    return folder / "ours.yaml"


def ours(folder: Path, listed: Path, *more: str) -> list[str]:
    """Return the flags of a short run on a laboratory's pictures."""
    tiny = replace(FOLDED, painted_fields=5, name="ours", weights=str(folder / "weights"))
    held_out = ["--validation-patients=", "--test-patients=", "--hold-out-images"]
    return [*flags_of(tiny), *held_out, "--laboratory-share", "1", "--laboratory", str(listed), *more]


def test_a_run_keeps_its_split_and_refuses_a_laboratory_that_changed(runs: Path, tmp_path: Path) -> None:
    listed = pictures(tmp_path / "archive")
    train.main(ours(tmp_path, listed))
    card = read_card(tmp_path / "weights" / "ours.json")
    groups = json.loads((runs / "ours" / "split.json").read_text())["groups"]
    for part in ("training", "validation", "test"):
        assert [name for name in card.split[part] if "laboratory" in name] == [
            name for name in groups[part] if "laboratory" in name
        ]
    # The archive may move; finishing anew then changes nothing.
    (tmp_path / "archive").rename(tmp_path / "moved")
    listed = tmp_path / "moved" / "ours.yaml"
    train.main([*ours(tmp_path, listed), "--finish"])
    again = read_card(tmp_path / "weights" / "ours.json")
    assert (again.split, again.sha256, again.metrics) == (card.split, card.sha256, card.metrics)
    # Its items in another order would have made other patients the tested ones of a list that decides by order.
    content = json.loads(listed.read_text())
    listed.write_text(json.dumps(content | {"items": content["items"][::-1]}))
    for more in ([], ["--finish"]):
        with pytest.raises(SettingsError, match="the list of the laboratory has changed"):
            train.main([*ours(tmp_path, listed), *more])
    listed.write_text(json.dumps(content))
    (tmp_path / "moved" / "points.csv").write_text((tmp_path / "moved" / "points.csv").read_text() + "\n")
    with pytest.raises(SettingsError, match=r"points\.csv of the laboratory has changed"):
        train.main([*ours(tmp_path, listed), "--finish"])


def test_a_run_that_cannot_begin_leaves_no_folder(runs: Path, tmp_path: Path) -> None:
    listed = pictures(tmp_path / "archive", patients=2)
    with pytest.raises(SettingsError, match=r"ours\.yaml: its items are of 2 patients .* 3 are the least"):
        train.main(ours(tmp_path, listed))
    listed = pictures(tmp_path / "more", patients=5)
    with pytest.raises(SettingsError, match="no such patient: P7"):
        train.main(ours(tmp_path, listed, "--validation-patients", "P7"))
    with pytest.raises(SettingsError, match=r"in laboratory nothing is left"):
        train.main(ours(tmp_path, listed, "--validation-patients", "P0,P1", "--test-patients", "P2,P3,P4"))
    with pytest.raises(SettingsError, match=r"--pixel-um 0\.25: painted images"):
        train.main(ours(tmp_path, listed, "--pixel-um", "0.25"))
    with pytest.raises(SettingsError, match=r"default work at 0\.5 .* this run at 0\.6; set --pixel-um"):
        # Painted images would be refused before.
        train.main(ours(tmp_path, listed, "--pixel-um", "0.6", "--painted", "0", "--start", "default"))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "ours.safetensors").write_bytes(b"of another run")
    with pytest.raises(SettingsError, match=r"ours\.safetensors: another run than"):
        train.main(ours(tmp_path, listed))
    assert not (runs / "ours").exists()


def test_what_the_starting_weights_learned_from_is_in_no_figure(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = pictures(tmp_path / "archive")
    train.main(ours(tmp_path, listed, "--start", "default"))
    assert "learned from 2 patients or images of painted that would be held out" in capsys.readouterr().err
    first, default = read_card(tmp_path / "weights" / "ours.json"), read_card(ROOT / "weights" / "default.json")
    assert not [name for part in ("validation", "test") for name in first.split[part] if "laboratory" not in name]
    assert set(first.metrics) - {"lysto"} == {"laboratory"}
    assert {error.source for error in first.measurement} <= {"laboratory"}
    assert first.folds == default.folds
    assert set(default.split["training"]) <= set(first.split[LEARNED_BEFORE])
    # A second round from these weights holds out none of what either learned from, though the seed draws others.
    again = ours(
        tmp_path, listed, "--start", str(tmp_path / "weights" / "ours.json"), "--name", "second", "--seed", "2"
    )
    learned = {name for name in first.split["training"] if name.startswith("laboratory")}
    settings = train.parse_settings(again)
    split = train.settled_split(settings, train.collection_of(settings).read()).groups()
    planned = train.split_of(settings, train.collection_of(settings).read()).groups()
    assert learned & {*planned["validation"], *planned["test"]}, "or the test shows nothing"
    assert not learned & {*split["validation"], *split["test"]}
    assert not [name for part in ("validation", "test") for name in split[part] if "painted" in name]


def learned_from(folder: Path, *groups: str) -> str:
    """Write weights that say they learned from these groups, and return how they are named as a start."""
    card = read_card(ROOT / "weights" / "default.json")
    tensors = (ROOT / "weights" / "default.safetensors").read_bytes()
    (folder / "known.safetensors").write_bytes(tensors)
    known = card.model_copy(update={"split": {"training": list(groups)}})
    (folder / "known.json").write_text(known.model_dump_json())
    return str(folder / "known.json")


def test_who_is_held_out_is_drawn_from_those_the_start_does_not_know(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = pictures(tmp_path / "archive", patients=7)
    for known in (("P0", "P1", "P2", "P3", "P4"), ("P2", "P3", "P4", "P5", "P6"), ("P0", "P1")):
        start = learned_from(tmp_path, *(f"laboratory/{name}" for name in known))
        settings = train.parse_settings(ours(tmp_path, listed, "--start", start))
        groups = train.settled_split(settings, train.collection_of(settings).read()).groups()
        drawn = {part: {n for n in groups[part] if n.startswith("laboratory")} for part in groups}
        assert drawn["validation"]
        assert drawn["test"]
        assert {f"laboratory/{name}" for name in known} <= drawn["training"]
        assert sum(map(len, drawn.values())) == 7
    start = learned_from(tmp_path, *(f"laboratory/P{n}" for n in range(6)))
    for more in ([], ["--fold", "0"]):
        with pytest.raises(
            SettingsError, match=r"by their pseudonyms .* all its patients but P6; 2 others .*--test-pat"
        ):
            train.main(ours(tmp_path, listed, "--start", start, *more))
    assert not (runs / "ours").exists()
    # Whoever is named keeps the last word, and is told that painted fields are no tissue.
    capsys.readouterr()
    train.begin(*begun(ours(tmp_path, listed, "--start", start, "--validation-patients", "P6")))
    told = capsys.readouterr().err
    assert "held out of the laboratory's patients, to choose thresholds on: P6; to test on: nobody." in told
    assert "no real tissue is tested" in told


def begun(flags: list[str]) -> tuple[train.Settings, Any]:
    """Return what a run of these flags begins with."""
    settings = train.parse_settings(flags)
    return settings, train.collection_of(settings).read()


def test_a_second_round_goes_on_exactly(runs: Path, tmp_path: Path) -> None:
    listed = pictures(tmp_path / "archive", patients=7)
    start = learned_from(tmp_path, "laboratory/P0", "laboratory/P3", "painted/painted-1")
    settings, sources = begun(ours(tmp_path, listed, "--start", start))
    run, first = train.begin(settings, sources)
    again = train.settled_split(run, sources)
    assert (again.training, again.validation, again.test) == (first.training, first.validation, first.test)


def test_names_of_patients_may_be_spaced_and_defaults_are_for_cd138_alone(tmp_path: Path) -> None:
    listed = pictures(tmp_path / "archive")
    settings, sources = begun(ours(tmp_path, listed, "--validation-patients", "P0, P1 ,", "--test-patients= P2"))
    groups = train.split_of(settings, sources).groups()
    assert {"laboratory/P0", "laboratory/P1"} <= set(groups["validation"])
    assert "laboratory/P2" in groups["test"]
    alone = ["--name=ours", "--laboratory=ours.yaml", "--laboratory-share=2", "--cd138=0"]
    drawn = train.parse_settings(alone)
    assert (drawn.validation_patients, drawn.test_patients, drawn.hold_out_images) == ("", "", True)
    stated = train.parse_settings([*alone, "--validation-patients=006"])
    assert (stated.validation_patients, stated.test_patients, stated.hold_out_images) == ("006", "", False)
    assert train.parse_settings(["--cd138=0"]).test_patients == "003"
    assert train.parse_settings([*alone[:-1]]).test_patients == "003"


def test_an_old_run_of_another_pixel_size_can_still_be_finished(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = pictures(tmp_path / "archive")
    start = learned_from(tmp_path, "cd138/001")
    settings, sources = begun(ours(tmp_path, listed, "--painted=0", "--pixel-um=0.6", "--start", start))
    with pytest.raises(SettingsError, match=r"this run at 0\.6; set --pixel-um"):
        train.begin(settings, sources)
    with monkeypatch.context() as patch:
        patch.setattr(train, "require_pixel", lambda *_: None)
        run, split = train.begin(settings, sources)
    assert train.settled_split(run, sources).groups() == split.groups()
    train.begin(run, sources)
