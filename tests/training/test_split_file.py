"""What a run keeps of its split, and how a change of its images is noticed."""

import json
from pathlib import Path

import numpy as np
import pytest

from ihc_quant.errors import SettingsError
from ihc_quant.training.field import TrainingField
from ihc_quant.training.split_file import SPLIT_FILE, laboratory_digests, read_split, split_as_kept, write_split
from ihc_quant.training.splits import Split

ITEM = {"image": "a.png", "annotation": "a.geojson", "patient": "P01", "marker": "CCR4", "classes": "classes.yaml"}


def field_of(group: str, source: str = "laboratory") -> TrainingField:
    pixel = np.zeros((1, 1, 3), np.uint8)
    return TrainingField(source, group, group, pixel, None, np.empty(0, np.int8), None, np.ones((1, 1), np.bool_))


PLANNED = Split((field_of("a"), field_of("b")), (field_of("c"),), (field_of("d"), field_of("e", "cd138")))


@pytest.fixture
def laboratory(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    for name in ("a.png", "a.geojson"):
        (folder / name).write_text(name)
    (folder / "classes.yaml").write_text("classes:\n  A: positive\n")
    (folder / "laboratory.yaml").write_text(json.dumps({"items": [ITEM]}))
    return folder / "laboratory.yaml"


@pytest.mark.parametrize("changed", ["a.png", "a.geojson", "classes.yaml", "laboratory.yaml"])
def test_a_change_of_any_file_of_a_laboratory_is_refused(laboratory: Path, tmp_path: Path, changed: str) -> None:
    run = tmp_path / "run"
    write_split(run, PLANNED, laboratory_digests(laboratory))
    path = laboratory.parent / changed
    # Of the same length.
    old, new = {"laboratory.yaml": ("P01", "P02"), "classes.yaml": ("A", "B")}.get(changed, ("a", "b"))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(SettingsError, match=r"of the laboratory has changed.* another --name") as refused:
        split_as_kept(run, PLANNED, ["laboratory"], laboratory_digests(laboratory))
    assert ("the list" if changed == laboratory.name else changed) in str(refused.value)


def test_comments_and_the_licence_change_nothing(laboratory: Path) -> None:
    before = laboratory_digests(laboratory)
    for path in (laboratory, laboratory.parent / "classes.yaml"):
        path.write_text("# looked through once more\n" + path.read_text())
    assert laboratory_digests(laboratory) == before
    laboratory.write_text(json.dumps({"licence": "ours", "items": [ITEM]}, indent=1))
    assert laboratory_digests(laboratory) == before


def test_a_laboratory_may_move_as_a_whole_and_its_list_be_renamed(laboratory: Path, tmp_path: Path) -> None:
    before = laboratory_digests(laboratory)
    laboratory.parent.rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "laboratory.yaml").rename(tmp_path / "elsewhere" / "ours.yaml")
    assert laboratory_digests(tmp_path / "elsewhere" / "ours.yaml") == before


def test_the_split_is_that_of_the_start_whatever_would_be_planned_now(tmp_path: Path) -> None:
    write_split(tmp_path, PLANNED, {})
    now = Split((field_of("d"), field_of("a")), (field_of("b"), field_of("e", "cd138")), (field_of("c"),))
    kept = split_as_kept(tmp_path, now, ["laboratory"], {})
    groups = {part: [name for name in names if "cd138" not in name] for part, names in kept.groups().items()}
    assert groups == {
        "training": ["laboratory/a", "laboratory/b"],
        "validation": ["laboratory/c"],
        "test": ["laboratory/d"],
    }
    assert kept.groups()["validation"] == ["cd138/e", "laboratory/c"], "what is not learned from may come and go"
    same = split_as_kept(tmp_path, PLANNED, ["laboratory"], {})
    assert (same.training, same.validation, same.test) == (PLANNED.training, PLANNED.validation, PLANNED.test)


@pytest.mark.parametrize("training", [(), (field_of("a"), field_of("b"), field_of("new"))])
def test_images_that_came_or_went_are_refused(tmp_path: Path, training: tuple[TrainingField, ...]) -> None:
    write_split(tmp_path, PLANNED, {})
    with pytest.raises(SettingsError, match=r"laboratory/(a|new) was added or removed"):
        split_as_kept(tmp_path, Split(training, PLANNED.validation, PLANNED.test), ["laboratory"], {})


def test_known_groups_that_the_run_kept_out_stay_out(tmp_path: Path) -> None:
    write_split(tmp_path, PLANNED, {})
    now = Split((*PLANNED.training, field_of("known")), PLANNED.validation, PLANNED.test)
    kept = split_as_kept(tmp_path, now, ["laboratory"], {}, {"laboratory/known"})
    assert kept.groups() == PLANNED.groups()
    with pytest.raises(SettingsError, match="laboratory/known was added"):
        split_as_kept(tmp_path, now, ["laboratory"], {})


def test_a_run_that_kept_no_split_is_taken_as_planned_but_not_with_a_laboratory(tmp_path: Path) -> None:
    assert read_split(tmp_path) is None
    assert split_as_kept(tmp_path, PLANNED, ["cd138"], {}) is PLANNED
    with pytest.raises(SettingsError, match=r"split\.json is missing"):
        split_as_kept(tmp_path, PLANNED, ["laboratory"], {})


@pytest.mark.parametrize("text", ["{", "[]", '{"groups": {}}', '{"groups": {"training": 1}, "laboratory": {}}'])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / SPLIT_FILE).write_text(text)
    with pytest.raises(SettingsError, match=r"split\.json: this is not the split of a run"):
        read_split(tmp_path)
