"""Splits: by patient, disjoint, complete."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.errors import SettingsError
from ihc_quant.training.collection import SplitPlan, held_out_notice, laboratory_held_out
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
from tests.training.conftest import one_pixel


def field_of(name: str, group: str) -> TrainingField:
    return one_pixel("set", name, group)


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


@given(st.permutations([f"P{number:02}" for number in range(12)]), st.integers(0, 3))
def test_the_order_of_a_list_decides_nothing_where_a_seed_does(order: list[str], seed: int) -> None:
    def listed(names: list[str]) -> list[TrainingField]:
        return [field_of(f"item {number:03}", name) for number, name in enumerate(names, start=1)]

    patients = sorted(order)
    assert parts_of(split_by_image(listed(order), seed)) == parts_of(split_by_image(listed(patients), seed))
    for fold in range(FOLDS):
        one, other = (hold_out_fold(listed(names), fold, (), seed) for names in (order, patients))
        assert parts_of(one) == parts_of(other)
    tests = {tuple(sorted(parts_of(split_by_image(listed(patients), seed))[2])) for seed in range(4)}
    assert len(tests) > 1


def plan(validation: str = "", test: str = "", fold: int | None = None, hold_out: bool = False) -> SplitPlan:
    validating, testing = ([name for name in part.split(",") if name] for part in (validation, test))
    return SplitPlan(fold, validating, testing, hold_out, "ours.yaml", 1)


SHARES = {"cd138": 1, "laboratory": 1}
SOURCES = {
    "cd138": [field_of(group, group) for group in CD138_FOLDS],
    "laboratory": [field_of(f"item {number}", f"P{number}") for number in range(6)],
}


def test_patients_of_a_laboratory_can_be_named_beside_those_of_cd138() -> None:
    assert parts_of(plan("P1,006", "P2,003").split(SOURCES, SHARES)) == [
        {"001", "004", "005", "P0", "P3", "P4", "P5"},
        {"006", "P1"},
        {"003", "P2"},
    ]
    alone = {"laboratory": SOURCES["laboratory"]}
    assert parts_of(plan("P1", "P2").split(alone, SHARES))[1:] == [{"P1"}, {"P2"}]
    # The defaults name CD138's groups, which says nothing of a laboratory: a fifth of it each is held out.
    assert [len(part) for part in parts_of(plan("006", "003").split(alone, SHARES))] == [3, 1, 2]


@pytest.mark.parametrize(("validation", "test"), [("P9", ""), ("", "cd138/006"), ("P1,nobody", "P2")])
def test_a_name_that_no_set_has_is_refused(validation: str, test: str) -> None:
    with pytest.raises(SettingsError, match=r"no such patient: .*--validation-patients .*001, .*P0, P1"):
        plan(validation, test).split(SOURCES, SHARES)
    with pytest.raises(SettingsError, match="patient P1 cannot both validate and test"):
        plan("P1", "P1").split(SOURCES, SHARES)


@pytest.mark.parametrize(("patients", "words"), [(1, r"1 patient \(P0\)"), (2, r"2 patients \(P0, P1\)")])
def test_too_few_patients_of_a_laboratory_are_a_sentence_that_names_its_list(patients: int, words: str) -> None:
    few = {"laboratory": SOURCES["laboratory"][:patients]}
    for each in (plan(hold_out=True), plan(fold=3)):
        with pytest.raises(SettingsError, match=rf"^ours\.yaml: .*{words}; 3 are the least"):
            each.split(few, SHARES)
    assert len(plan().split(few, SHARES).training) == patients  # folds or not, nobody is to be held out here


def test_before_the_first_step_it_is_told_that_nobody_is_held_out() -> None:
    painted, outlined = (replace(field_of("1", "1"), source=source) for source in ("painted", "dsb2018"))
    assert held_out_notice(Split((painted,), (painted,), (painted,)), "") == ""
    assert "nobody tests" in held_out_notice(Split((painted,), (painted,), ()), "")
    assert "--fold all" in held_out_notice(Split((painted,), (), ()), "")
    assert held_out_notice(Split((painted,), (), (painted,)), "0") == ""
    assert held_out_notice(Split((painted,), (), (outlined,)), "2").startswith("fold 2 holds out nothing of cd138 or")
    with pytest.raises(SettingsError, match="validation part holds no field of cd138 or"):
        held_out_notice(Split((painted,), (outlined,), ()), "")


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


def of_set(source: str, *names: str) -> list[TrainingField]:
    return [replace(field_of(name, name), source=source) for name in names]


def test_what_the_start_knows_trains_and_folds_hold_out_the_others() -> None:
    sources = {"cd138": of_set("cd138", *CD138_FOLDS), "bcdata": of_set("bcdata", *"abcdefg")}
    before = {"cd138/001", "bcdata/a", "bcdata/c"}
    plans = [SplitPlan(fold, (), (), hold_out_images=False, before=before) for fold in range(FOLDS)]
    splits = [plan.split(sources, {"cd138": 1, "bcdata": 1}) for plan in plans]
    for split in splits:
        assert_disjoint_and_whole(split, [*sources["cd138"], *sources["bcdata"]])
        assert before <= set(split.groups()["training"])
    tested = [name for split in splits for name in split.groups()["test"]]
    assert sorted(tested) == [*(f"bcdata/{name}" for name in "bdefg"), *(f"cd138/{n}" for n in CD138_FOLDS[1:])]
    # Of a set without a share nobody trains, and what is known is not tested either.
    foreign = plans[0].split(sources, {"cd138": 0, "bcdata": 1}).groups()
    assert not [name for names in foreign.values() for name in names if name.startswith("cd138")]


def test_real_tissue_that_is_all_known_is_refused_where_some_would_be_held_out() -> None:
    sources = {"bcdata": of_set("bcdata", *"abcde"), "painted": of_set("painted", *"abcde")}
    shares = {"bcdata": 1, "painted": 1}
    for unseen, purpose in (("", "to choose thresholds on"), ("e", "to choose thresholds on")):
        before = {f"bcdata/{name}" for name in set("abcde") - set(unseen)}
        plan = SplitPlan(None, (), (), hold_out_images=True, before=before)
        with pytest.raises(SettingsError, match=f"learned from bcdata, .* nothing is left {purpose}; add items"):
            plan.split(sources, shares)
    enough = SplitPlan(None, (), (), hold_out_images=True, before={"bcdata/a", "bcdata/b", "bcdata/c"})
    assert parts_of(enough.split(sources, shares))[1:] == [{"e", "b"}, {"d", "a"}]


def test_of_a_laboratory_it_is_told_who_is_held_out_and_that_painted_fields_are_no_tissue() -> None:
    ours, painted = of_set("laboratory", "P1", "P2", "P3"), of_set("painted", "1", "2")
    alone = Split(tuple(ours), (painted[0],), (painted[1],))
    assert held_out_notice(alone, "").startswith("painted fields alone are held out to choose thresholds on")
    assert held_out_notice(Split(tuple(ours[1:]), (ours[0],), (painted[1],)), "").startswith("no real tissue is tested")
    assert held_out_notice(Split((ours[2],), (ours[0],), (ours[1],)), "") == ""
    told = laboratory_held_out(Split((ours[2],), (ours[0],), (ours[1], painted[0])), "")
    assert told == "held out of the laboratory's patients, to choose thresholds on: P1; to test on: P2."
    assert (
        laboratory_held_out(Split(tuple(ours), (), ()), "3") == "fold 3 holds out of the laboratory's patients: nobody."
    )
    assert laboratory_held_out(Split(tuple(painted), (), ()), "") == ""
