"""Which fields train, which choose the operating points, which test. By patient, never by tile."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ihc_quant.errors import SettingsError
from ihc_quant.training.field import TrainingField

FOLDS = 5
"""Folds of the cross-validation. Sets without patients are split by image, of every five in order of name."""
CD138_FOLDS = ("001", "003", "004", "005", "006")
"""Patient group of the CD138 set that each fold holds out."""
PATIENTS_KNOWN = ("cd138", "laboratory")
"""Sets whose groups are patients; of all others they are images."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Three disjoint sets of fields.

    Attributes
    ----------
    training : tuple of TrainingField
        The network learns from these alone.
    validation : tuple of TrainingField
        Choose the best checkpoint, the thresholds and the calibration.
    test : tuple of TrainingField
        Looked at once, for the card.
    """

    training: tuple[TrainingField, ...]
    validation: tuple[TrainingField, ...]
    test: tuple[TrainingField, ...]

    def groups(self) -> dict[str, list[str]]:
        """Return the groups of each part, for the card."""
        return {
            part: sorted({f"{field.source}/{field.group}" for field in getattr(self, part)})
            for part in ("training", "validation", "test")
        }


def split_by_patient(fields: Sequence[TrainingField], validation: Sequence[str], test: Sequence[str]) -> Split:
    """Split fields whose group is a patient; the named patients validate and test, all others train.

    Raises
    ------
    SettingsError
        Where a patient is named that is not there, or is named for both.
    """
    if both := set(validation) & set(test):
        raise SettingsError(f"patient {', '.join(sorted(both))} cannot both validate and test; name another.")
    known = {field.group for field in fields}
    if missing := (set(validation) | set(test)) - known:
        raise SettingsError(f"no such patient: {', '.join(sorted(missing))}; there are {', '.join(sorted(known))}.")
    held_out = {*validation, *test}
    return Split(
        tuple(field for field in fields if field.group not in held_out),
        tuple(field for field in fields if field.group in validation),
        tuple(field for field in fields if field.group in test),
    )


def split_by_image(fields: Sequence[TrainingField], seed: int | None = None) -> Split:
    """Split fields by group: of every ``FOLDS`` the first tests and the second validates.

    Parameters
    ----------
    fields : sequence of TrainingField
        Of one source.
    seed : int, optional
        Takes the groups in an order drawn from it and from their names alone; without, in order of the fields' names.
    """
    ordered, fold = _by_group(fields, seed)
    return Split(
        tuple(field for field in ordered if fold[field.group] > 1),
        tuple(field for field in ordered if fold[field.group] == 1),
        tuple(field for field in ordered if fold[field.group] == 0),
    )


def hold_out_fold(
    fields: Sequence[TrainingField], fold: int, patients: Sequence[str] = (), seed: int | None = None
) -> Split:
    """Test on one fold and train on all others; nothing validates.

    Parameters
    ----------
    fields : sequence of TrainingField
        Of one source.
    fold : int
        Below ``FOLDS``.
    patients : sequence of str, optional
        Group that each fold holds out; without, a fold holds out every fifth group.
    seed : int, optional
        Orders these groups, see ``split_by_image``.

    Raises
    ------
    SettingsError
        Where the groups of the fields are not these patients, as one would then be held out by no fold.
    """
    if not patients:
        ordered, fold_of = _by_group(fields, seed)
        held_out = {group for group, of_group in fold_of.items() if of_group == fold}
        return Split(
            tuple(field for field in ordered if field.group not in held_out),
            (),
            tuple(field for field in ordered if field.group in held_out),
        )
    if odd := {field.group for field in fields} ^ set(patients):
        raise SettingsError(
            f"folds hold out the patients {', '.join(patients)}, but {', '.join(sorted(odd))} is missing or new; "
            "fetch the whole set."
        )
    return split_by_patient(fields, (), (patients[fold],))


def in_fold(items: Mapping[str, T], fold: int) -> dict[str, T]:
    """Return the items that a fold holds out: every ``FOLDS``-th in order of name.

    Examples
    --------
    >>> in_fold({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}, 0)
    {'a': 1, 'f': 6}
    """
    return {name: items[name] for index, name in enumerate(sorted(items)) if index % FOLDS == fold}


def _by_group(fields: Sequence[TrainingField], seed: int | None) -> tuple[list[TrainingField], dict[str, int]]:
    """Return the fields in order of name, and the fold of each group."""
    ordered = sorted(fields, key=lambda field: field.name)
    groups = list(dict.fromkeys(field.group for field in ordered))
    if seed is not None:
        # In the order of a list, whoever heads it would be tested; the order of digests nobody chose.
        groups.sort(key=lambda group: hashlib.sha256(f"{seed} {group}".encode()).digest())
    return ordered, {group: index % FOLDS for index, group in enumerate(groups)}


def joined(splits: Sequence[Split]) -> Split:
    """Return the union of several splits."""
    return Split(
        tuple(field for split in splits for field in split.training),
        tuple(field for split in splits for field in split.validation),
        tuple(field for split in splits for field in split.test),
    )
