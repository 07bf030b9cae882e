"""Agreement of a whole table: missing figures, pairs, groups, schemes, and the machine beside people."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ihc_quant.domain.agreement import Measure
from ihc_quant.errors import SettingsError
from ihc_quant.evaluation.cut_points import parse_cuts
from ihc_quant.evaluation.intraclass import intraclass, mean_squares
from ihc_quant.evaluation.machine_against_people import judge_machine
from ihc_quant.evaluation.readers import agree
from ihc_quant.evaluation.readers_csv import ReaderTable


def table_of(
    readers: Sequence[str], values: NDArray[np.float64] | None = None, categories: Sequence[Sequence[str]] | None = None
) -> ReaderTable:
    n = len(values) if values is not None else len(categories or ())
    targets = tuple(f"b{number}" for number in range(n))
    words = None if categories is None else np.array(categories, np.str_)
    return ReaderTable(Path("readers.csv"), "biopsy_id", targets, tuple(readers), values, words)


def people_and_machine(n: int = 30, error: float = 4.0, seed: int = 1) -> NDArray[np.float64]:
    """Return figures (n, 3) of two people with an error of 4 and of a machine with its own."""
    random = np.random.default_rng(seed)
    true = random.uniform(5, 80, n)
    return np.column_stack([true + random.normal(0, size, n) for size in (4.0, 4.0, error)])


def test_machine_stands_first_in_its_pairs_and_last_among_readers() -> None:
    values = people_and_machine()
    found = agree(table_of(["machine", "Ann", "Bob"], values), Measure.PERCENT, machine="machine")
    assert found.readers == ("Ann", "Bob", "machine")
    assert [(pair.one, pair.other, pair.with_machine) for pair in found.pairs] == [
        ("machine", "Ann", True), ("machine", "Bob", True), ("Ann", "Bob", False)
    ]  # fmt: skip
    assert [group.readers for group in found.groups] == [("Ann", "Bob"), ("Ann", "Bob", "machine")]
    assert found.groups[0].forms == intraclass(mean_squares(values[:, 1:]))
    assert found.pairs[0].limits.bias.value == pytest.approx((values[:, 0] - values[:, 1]).mean())


def test_missing_figures_are_left_out_for_everybody_or_for_the_pair() -> None:
    values = people_and_machine()
    values[:5, 0] = math.nan
    values[29, 1] = math.nan
    table = table_of(["Ann", "Bob", "machine"], values)
    whole = agree(table, Measure.PERCENT, machine="machine")
    assert [len(pair.targets) for pair in whole.pairs] == [24, 24, 24]
    assert whole.missing == (
        "values: 24 of 30 targets are compared, those judged by every reader (missing: Ann 5, Bob 1)",
    )
    assert whole.pairs[0].left_out == 6
    pairwise = agree(table, Measure.PERCENT, machine="machine", complete=False)
    assert [len(pair.targets) for pair in pairwise.pairs] == [25, 29, 24]
    assert pairwise.groups[0].targets == 24
    assert "b0" not in pairwise.pairs[0].targets
    assert "b0" in pairwise.pairs[1].targets


def test_too_few_targets_that_all_judged() -> None:
    values = people_and_machine(4)
    values[0, 0] = values[1, 1] = math.nan
    table = table_of(["Ann", "Bob", "machine"], values)
    with pytest.raises(SettingsError, match=r"exist for 2 of 4 targets.*Ann 1, Bob 1.*--missing pairwise"):
        agree(table, Measure.PERCENT)
    found = agree(table, Measure.PERCENT, complete=False)
    assert "fewer than 3" in found.groups[0].forms[0].reason
    assert "fewer than 3" in found.pairs[0].concordance.reason


def test_schemes_put_values_in_categories() -> None:
    values = np.array([[5.0, 12.0], [10.0, 10.0], [30.0, 26.0], [25.0, 40.0]])
    found = agree(table_of(["Ann", "Bob"], values), Measure.PERCENT, schemes=[parse_cuts("x:10,>25")])
    (scheme,) = found.schemes
    assert scheme.categories == ("< 10", "≥ 10", "> 25")
    assert scheme.pairs[0].table == ((0, 1, 0), (0, 1, 1), (0, 0, 1))
    assert scheme.pairs[0].same.value == 0.5
    assert scheme.pairs[0].quadratic is not None


def test_order_of_categories() -> None:
    words = [["low", "high"], ["high", "high"], ["low", "low"], ["middle", "low"]]
    table = table_of(["Ann", "Bob"], categories=words)
    plain = agree(table, Measure.OTHER).schemes[0]
    assert not plain.ordered
    assert plain.pairs[0].linear is None
    ordered = agree(table, Measure.OTHER, order=["low", "middle", "high"]).schemes[0]
    assert ordered.ordered
    assert ordered.pairs[0].linear is not None
    with pytest.raises(SettingsError, match="'middle' is not in --order"):
        agree(table, Measure.OTHER, order=["low", "high"])
    grades = agree(table_of(["Ann", "Bob"], categories=[["3+", "2+"], ["0", "1+"], ["10", "0"]]), Measure.OTHER)
    assert grades.schemes[0].categories == ("0", "1+", "2+", "3+", "10")
    assert grades.schemes[0].ordered


def test_what_cannot_be_compared() -> None:
    with pytest.raises(SettingsError, match="only 'Ann' judged"):
        agree(table_of(["Ann"], np.ones((3, 1))), Measure.PERCENT)
    words = table_of(["Ann", "Bob"], categories=[["a", "a"]] * 3)
    with pytest.raises(SettingsError, match="--cuts divides values"):
        agree(words, Measure.PERCENT, schemes=[parse_cuts("10")])
    with pytest.raises(SettingsError, match="--order is for categories"):
        agree(table_of(["Ann", "Bob"], np.ones((3, 2))), Measure.PERCENT, order=["a"])
    silent = np.array([[1.0, math.nan]] * 3)
    with pytest.raises(SettingsError, match="fewer than two readers"):
        agree(table_of(["Ann", "Bob"], silent), Measure.PERCENT)


def test_a_machine_worse_than_people_is_told_from_one_that_is_as_good() -> None:
    as_good = agree(table_of(["A", "B", "machine"], people_and_machine(60)), Measure.PERCENT, machine="machine")
    worse = agree(table_of(["A", "B", "machine"], people_and_machine(60, 20.0)), Measure.PERCENT, machine="machine")
    for compared in as_good.comparison:
        interval = compared.difference.intervals[0]
        assert interval.low <= 0 <= interval.high
    concordance, distance = worse.comparison
    assert concordance.larger_is_better
    assert concordance.difference.intervals[0].high < 0
    assert not distance.larger_is_better
    assert distance.difference.intervals[0].low > 0
    pairs = [pair.concordance.value or 0.0 for pair in worse.pairs]
    assert concordance.machine == pytest.approx(np.mean(pairs[:2]))
    assert concordance.people == pytest.approx(pairs[2])


def test_one_person_judges_no_machine() -> None:
    values = people_and_machine()
    assert judge_machine(values[:, :1], values[:, 2]) == ()
    few = judge_machine(values[:5, :2], values[:5, 2])
    assert not few[0].difference.intervals
    flat = judge_machine(np.ones((12, 2)), np.ones(12))
    assert [compared.figure for compared in flat] == ["mean absolute difference"]
