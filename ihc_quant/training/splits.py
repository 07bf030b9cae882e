"""Which fields train, which choose the operating points, which test. By patient, never by tile."""

from collections.abc import Sequence
from dataclasses import dataclass

from ihc_quant.errors import SettingsError
from ihc_quant.training.field import TrainingField

IMAGE_FOLDS = 5
"""Sets without patients are split by image: of every five in order of name one tests and one validates."""


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


def split_by_image(fields: Sequence[TrainingField]) -> Split:
    """Split fields whose group is the image: of every ``IMAGE_FOLDS`` the first tests and the second validates."""
    ordered = sorted(fields, key=lambda field: field.name)
    fold = {group: index % IMAGE_FOLDS for index, group in enumerate(dict.fromkeys(field.group for field in ordered))}
    return Split(
        tuple(field for field in ordered if fold[field.group] > 1),
        tuple(field for field in ordered if fold[field.group] == 1),
        tuple(field for field in ordered if fold[field.group] == 0),
    )


def joined(splits: Sequence[Split]) -> Split:
    """Return the union of several splits."""
    return Split(
        tuple(field for split in splits for field in split.training),
        tuple(field for split in splits for field in split.validation),
        tuple(field for split in splits for field in split.test),
    )
