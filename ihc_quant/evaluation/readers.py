"""From a table of readers to every figure of their agreement, people beside the machine."""

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.agreement import (
    Agreement,
    CategoryAgreement,
    CategoryPair,
    GroupReliability,
    MachineAgainstPeople,
    Measure,
    PairAgreement,
)
from ihc_quant.domain.score import Estimate
from ihc_quant.errors import SettingsError
from ihc_quant.evaluation.bland_altman import difference_limits
from ihc_quant.evaluation.concordance import concordance
from ihc_quant.evaluation.cut_points import CutScheme
from ihc_quant.evaluation.intraclass import ICC_FORMS, intraclass, mean_squares
from ihc_quant.evaluation.kappa import Weighting, category_table, kappa, same_category
from ihc_quant.evaluation.machine_against_people import judge_machine
from ihc_quant.evaluation.readers_csv import ReaderTable

FEWEST_TARGETS = 3
"""With fewer there is no figure of agreement at all."""

NO_CATEGORY = -1

_NUMBERED = re.compile(r"([0-9]+(?:\.[0-9]+)?)\+?")


def agree(
    table: ReaderTable,
    measure: Measure,
    *,
    machine: str | None = None,
    schemes: Sequence[CutScheme] = (),
    order: Sequence[str] = (),
    complete: bool = True,
) -> Agreement:
    """Return the agreement of the readers of a table.

    Parameters
    ----------
    table : ReaderTable
    measure : Measure
        Of the values.
    machine : str or None
        The reader that is the machine, if it is in the table.
    schemes : sequence of CutScheme
        Categories that values are put in.
    order : sequence of str
        Categories that readers wrote, from lowest to highest. Without it they have an order where they are numbers or
        grades such as 2+.
    complete : bool
        Whether only targets that every reader judged are used. Otherwise each pair and group has those of its own.

    Raises
    ------
    SettingsError
        Where there are fewer than two readers or too few targets that all judged, or a category is not in the order.
    """
    if machine not in table.readers:
        machine = None
    readers = (*(name for name in table.readers if name != machine), *([machine] if machine else []))
    if len(readers) < 2:
        raise SettingsError(
            f"{table.path}: only {readers[0]!r} judged; agreement needs a second reader or the machine."
        )
    columns = [table.readers.index(name) for name in readers]
    notes: list[str] = []
    groups: tuple[GroupReliability, ...] = ()
    pairs: tuple[PairAgreement, ...] = ()
    comparison: tuple[MachineAgainstPeople, ...] = ()
    categories: list[CategoryAgreement] = []
    if table.values is not None:
        values = table.values[:, columns]
        names, values = _judging(readers, values, np.isfinite(values))
        values = _usable(table, names, values, np.isfinite(values), complete, "values", notes)
        groups = _groups(names, values, machine)
        pairs = tuple(_pair(table, measure, names, values, pair, machine) for pair in _pairs(names, machine))
        comparison = _comparison(names, values, machine)
        for scheme in schemes:
            codes = np.where(np.isfinite(values), scheme.classify(np.nan_to_num(values)), NO_CATEGORY)
            categories.append(_scheme(scheme.name, scheme.categories, True, names, codes, machine))
    elif schemes:
        raise SettingsError(f"{table.path}: --cuts divides values; add a column value, or leave the option out.")
    if table.categories is not None:
        words = table.categories[:, columns]
        names, words = _judging(readers, words, words != "")
        words = _usable(table, names, words, words != "", complete, "categories", notes)
        known, ordered = _order(table, words, order)
        codes = np.full(words.shape, NO_CATEGORY, np.int64)
        for number, category in enumerate(known):
            codes[words == category] = number
        categories.append(_scheme("categories", known, ordered, names, codes, machine))
    elif order:
        raise SettingsError(f"{table.path}: --order is for categories; add a column category, or leave the option out.")
    return Agreement(
        table.target_kind, measure, readers, machine, len(table.targets), tuple(notes), groups, pairs,
        tuple(categories), comparison,
    )  # fmt: skip


def _judging(
    readers: Sequence[str], cells: NDArray[Any], given: NDArray[np.bool_]
) -> tuple[tuple[str, ...], NDArray[Any]]:
    """Return the readers who judged anything at all, and their columns."""
    some: NDArray[np.bool_] = np.asarray(given.any(axis=0))
    return tuple(name for name, judged in zip(readers, some, strict=True) if judged), cells[:, some]


def _usable(
    table: ReaderTable, names: Sequence[str], cells: NDArray[Any], given: NDArray[np.bool_], complete: bool,
    what: str, notes: list[str],
) -> NDArray[Any]:  # fmt: skip
    """Return the cells that are compared, those left out made empty, and note what was missing."""
    n, k = given.shape
    if k < 2:
        raise SettingsError(f"{table.path}: {what} of fewer than two readers are given; agreement needs two.")
    whole = given.all(axis=1)
    lacks = ", ".join(f"{name} {count}" for name, count in zip(names, (~given).sum(axis=0), strict=True) if count)
    if not lacks:
        notes.append(f"{what}: all {n} targets were judged by all {k} readers")
        return cells
    if not complete:
        notes.append(f"{what}: of {n} targets missing: {lacks}; each pair is compared on the targets that both judged")
        return cells
    used = int(whole.sum())
    if used < FEWEST_TARGETS:
        raise SettingsError(
            f"{table.path}: {what} by every reader exist for {used} of {n} targets, too few (missing: {lacks}); "
            "have these judged, or compare each pair on its own targets with --missing pairwise."
        )
    notes.append(f"{what}: {used} of {n} targets are compared, those judged by every reader (missing: {lacks})")
    empty = cells.copy()
    empty[~whole] = "" if cells.dtype.kind == "U" else np.nan
    return empty


def _pairs(names: Sequence[str], machine: str | None) -> list[tuple[int, int]]:
    """Return pairs of columns, those with the machine first and the machine first in each."""
    people = [number for number, name in enumerate(names) if name != machine]
    with_machine = [(names.index(machine), other) for other in people] if machine in names else []
    return [*with_machine, *combinations(people, 2)]


def _groups(names: Sequence[str], values: NDArray[np.float64], machine: str | None) -> tuple[GroupReliability, ...]:
    people = [number for number, name in enumerate(names) if name != machine]
    groups = []
    if len(people) > 1:
        groups.append(("people", people))
    if machine in names:
        groups.append(("people and machine", list(range(len(names)))))
    return tuple(_group(name, names, values, members) for name, members in groups)


def _group(name: str, names: Sequence[str], values: NDArray[np.float64], members: Sequence[int]) -> GroupReliability:
    own = values[:, members]
    whole = own[np.isfinite(own).all(axis=1)]
    squares = mean_squares(whole) if len(whole) >= FEWEST_TARGETS else None
    reason = f"fewer than {FEWEST_TARGETS} targets were judged by all"
    forms = intraclass(squares) if squares else tuple(Estimate(None, form, reason=reason) for form in ICC_FORMS)
    readers = tuple(names[member] for member in members)
    return GroupReliability(name, readers, len(whole), len(values) - len(whole), squares, forms)


def _pair(
    table: ReaderTable, measure: Measure, names: Sequence[str], values: NDArray[np.float64], pair: tuple[int, int],
    machine: str | None,
) -> PairAgreement:  # fmt: skip
    both = np.flatnonzero(np.isfinite(values[:, pair]).all(axis=1))
    one, other = values[both, pair[0]], values[both, pair[1]]
    return PairAgreement(
        one=names[pair[0]],
        other=names[pair[1]],
        with_machine=names[pair[0]] == machine,
        targets=tuple(table.targets[row] for row in both),
        of_one=tuple(map(float, one)),
        of_other=tuple(map(float, other)),
        left_out=len(values) - len(both),
        concordance=concordance(one, other),
        limits=difference_limits(one, other, measure.unit),
        mean_absolute_difference=float(np.abs(one - other).mean()) if len(both) else None,
    )


def _comparison(
    names: Sequence[str], values: NDArray[np.float64], machine: str | None
) -> tuple[MachineAgainstPeople, ...]:
    if machine not in names:
        return ()
    column = names.index(machine)
    whole = values[np.isfinite(values).all(axis=1)]
    return judge_machine(np.delete(whole, column, axis=1), whole[:, column])


def _order(table: ReaderTable, words: NDArray[np.str_], order: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Return the categories and whether they have an order."""
    given = sorted(set(words[words != ""].tolist()))
    if order:
        unknown = [category for category in given if category not in order]
        if unknown:
            raise SettingsError(
                f"{table.path}: the category {unknown[0]!r} is not in --order {','.join(order)}; "
                "correct the table or add it to the order."
            )
        return tuple(order), True
    numbers = [_NUMBERED.fullmatch(category) for category in given]
    if all(numbers):
        return tuple(sorted(given, key=lambda category: float(category.rstrip("+")))), True
    return tuple(given), False


def _scheme(
    scheme: str, categories: tuple[str, ...], ordered: bool, names: Sequence[str], codes: NDArray[np.int64],
    machine: str | None,
) -> CategoryAgreement:  # fmt: skip
    pairs = []
    for pair in _pairs(names, machine):
        both = (codes[:, pair] != NO_CATEGORY).all(axis=1)
        table = category_table(codes[both, pair[0]], codes[both, pair[1]], len(categories))
        weighted = ordered and len(categories) > 2
        pairs.append(
            CategoryPair(
                one=names[pair[0]],
                other=names[pair[1]],
                with_machine=names[pair[0]] == machine,
                left_out=int((~both).sum()),
                table=tuple(tuple(map(int, row)) for row in table),
                same=same_category(table),
                kappa=kappa(table),
                linear=kappa(table, Weighting.LINEAR) if weighted else None,
                quadratic=kappa(table, Weighting.QUADRATIC) if weighted else None,
            )
        )
    return CategoryAgreement(scheme, categories, ordered, tuple(pairs))
