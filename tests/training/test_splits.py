"""Splits: by patient, disjoint, complete."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.errors import SettingsError
from ihc_quant.training.field import TrainingField
from ihc_quant.training.sources import patient_of
from ihc_quant.training.splits import (
    CD138_FOLDS,
    FOLDS,
    Split,
    hold_out_fold,
    in_fold,
    joined,
    split_by_image,
    split_by_patient,
)


def field_of(name: str, group: str) -> TrainingField:
    pixel = np.zeros((1, 1, 3), np.uint8)
    return TrainingField("set", name, group, pixel, None, np.empty(0, np.int8), None, np.ones((1, 1), np.bool_))


groups = st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=40)


def parts_of(split: Split) -> list[set[str]]:
    return [{field.group for field in part} for part in (split.training, split.validation, split.test)]


def assert_disjoint_and_whole(split: Split, fields: list[TrainingField]) -> None:
    training, validation, test = parts_of(split)
    assert not training & validation
    assert not training & test
    assert not validation & test
    kept = [field.name for part in (split.training, split.validation, split.test) for field in part]
    assert sorted(kept) == sorted(field.name for field in fields)


@given(groups, st.data())
def test_no_patient_is_on_two_sides(names: list[str], data: st.DataObject) -> None:
    fields = [field_of(f"{index}", group) for index, group in enumerate(names)]
    present = sorted(set(names))
    order = data.draw(st.permutations(present))
    cut, end = sorted(data.draw(st.tuples(st.integers(0, len(order)), st.integers(0, len(order)))))
    split = split_by_patient(fields, order[:cut], order[cut:end])
    assert_disjoint_and_whole(split, fields)
    assert parts_of(split) == [set(order[end:]), set(order[:cut]), set(order[cut:end])]


@given(groups)
def test_images_of_one_group_stay_together_without_patients_too(names: list[str]) -> None:
    fields = [field_of(f"{index:02}", group) for index, group in enumerate(names)]
    split = split_by_image(fields)
    assert_disjoint_and_whole(split, fields)
    assert parts_of(split_by_image(fields[::-1])) == parts_of(split)


def test_a_fifth_of_the_images_tests_and_a_fifth_validates() -> None:
    split = split_by_image([field_of(f"{index:02}", f"{index:02}") for index in range(25)])
    assert [len(part) for part in (split.training, split.validation, split.test)] == [15, 5, 5]
    assert split.groups()["test"] == ["set/00", "set/05", "set/10", "set/15", "set/20"]


@pytest.mark.parametrize(("validation", "test"), [(["a"], ["a"]), (["z"], ["a"]), (["a"], [""])])
def test_a_patient_named_twice_or_not_there_is_refused(validation: list[str], test: list[str]) -> None:
    with pytest.raises(SettingsError, match="patient"):
        split_by_patient([field_of("1", "a"), field_of("2", "b")], validation, test)


@pytest.mark.parametrize(
    ("stem", "patient"), [("CD138-003A_2", "003"), ("CD138-003B_11", "003"), ("CD138-001_0", "001")]
)
def test_the_two_slides_of_a_patient_are_one_patient(stem: str, patient: str) -> None:
    assert patient_of(stem) == patient


def test_splits_are_joined_part_by_part() -> None:
    one, two, three = (field_of(name, name) for name in "abc")
    whole = joined([Split((one,), (two,), ()), Split((), (), (three,))])
    assert (whole.training, whole.validation, whole.test) == ((one,), (two,), (three,))


@given(st.lists(st.sampled_from(CD138_FOLDS), max_size=30))
def test_each_patient_is_held_out_by_one_fold_and_trains_in_all_others(names: list[str]) -> None:
    fields = [field_of(f"{index}", group) for index, group in enumerate([*CD138_FOLDS, *names])]
    splits = [hold_out_fold(fields, fold, CD138_FOLDS) for fold in range(FOLDS)]
    for split, patient in zip(splits, CD138_FOLDS, strict=True):
        assert_disjoint_and_whole(split, fields)
        assert parts_of(split) == [set(CD138_FOLDS) - {patient}, set(), {patient}]


@given(groups)
def test_each_image_is_held_out_by_one_fold(names: list[str]) -> None:
    fields = [field_of(f"{index:02}", group) for index, group in enumerate(names)]
    splits = [hold_out_fold(fields[::-1], fold) for fold in range(FOLDS)]
    for split in splits:
        assert_disjoint_and_whole(split, fields)
        assert not split.validation
    assert sorted(field.name for split in splits for field in split.test) == [field.name for field in fields]


@pytest.mark.parametrize("present", [CD138_FOLDS[:4], (*CD138_FOLDS, "007")])
def test_a_patient_that_no_fold_would_hold_out_is_refused(present: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match=r"00[67] is missing or new"):
        hold_out_fold([field_of(group, group) for group in present], 0, CD138_FOLDS)


@given(st.sets(st.text(min_size=1), max_size=20))
def test_folds_partition_counted_crops(names: set[str]) -> None:
    folds = [in_fold(dict.fromkeys(names, 1), fold) for fold in range(FOLDS)]
    assert sorted(name for fold in folds for name in fold) == sorted(names)
