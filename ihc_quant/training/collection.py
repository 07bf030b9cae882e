"""All sets that a run learns from or is tested on, and how each is split."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ihc_quant.errors import SettingsError
from ihc_quant.training.field import TrainingField
from ihc_quant.training.laboratory import read_laboratory
from ihc_quant.training.sources import (
    BCDATA_MPP,
    CD138_BORDER_PX,
    CD138_MPP,
    HE_MPP,
    LYSTO_MPP,
    PAINTED_UM,
    Counted,
    counted_fields,
    paint_fields,
    read_counted,
    read_dsb2018,
    read_he,
    read_he_slide,
    read_point_set,
)
from ihc_quant.training.splits import (
    CD138_FOLDS,
    PATIENTS_KNOWN,
    Split,
    hold_out_fold,
    in_fold,
    joined,
    split_by_image,
    split_by_patient,
)
from ihc_quant.training.starts import was_learned, without_learned
from ihc_quant.training.statements import REAL, STAINED

IN_FOLDER = ("cd138", "bcdata", "dsb2018", "he", "lysto")
"""Sets that lie in the data folder."""
FEWEST_PATIENTS = 3
"""Patients of a laboratory of whom some can be held out: one each to learn from, to validate and to test on."""
FEWEST_UNSEEN = 2
"""Of these, such that the starting weights do not know: one each to validate and to test on."""
CURE = (
    "add items of patients that they do not know, name such in --validation-patients and --test-patients, or start "
    "from other weights"
)
Sources = Mapping[str, Sequence[TrainingField]]
"""Fields by source."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Where the sets are.

    Attributes
    ----------
    folder : Path
        Holds ``labelled/`` and ``unlabelled/``.
    shares : mapping of str to int
        Images of each source in a batch; those with none are only tested on.
    pixel_um : float
        The network's pixel size.
    he_slide : str
        An H&E slide in the folder; empty for none.
    laboratory : str
        YAML that lists a laboratory's own images; empty for none.
    painted_fields, painted_px : int
        Number and side of painted images.
    kept : Path or None
        Folder where painted images are kept, as painting them takes minutes.
    """

    folder: Path
    shares: Mapping[str, int]
    pixel_um: float
    he_slide: str
    laboratory: str
    painted_fields: int
    painted_px: int
    kept: Path | None = None

    def read(self) -> dict[str, list[TrainingField]]:
        """Read each set that is learned from, and each with marks that is there and can be tested on.

        Raises
        ------
        SettingsError
            Where a set that is to be learned from is not there.
        """
        if self.shares["painted"] and self.pixel_um != PAINTED_UM:
            raise SettingsError(
                f"--pixel-um {self.pixel_um:g}: painted images are of {PAINTED_UM:g} µm per pixel; "
                f"leave --pixel-um at {PAINTED_UM:g}, or set --painted 0."
            )
        labelled = self.folder / "labelled"
        if not self.folder.is_dir() and any(self.shares[name] for name in IN_FOLDER):
            raise SettingsError(
                f"--data {self.folder}: no such folder; name the one that holds labelled/ and unlabelled/."
            )
        sources: dict[str, list[TrainingField]] = {}
        if self._wanted("cd138"):
            sources["cd138"] = read_point_set(labelled / "cd138", "cd138", CD138_MPP, self.pixel_um, CD138_BORDER_PX)
        if self._wanted("bcdata"):
            sources["bcdata"] = read_point_set(labelled / "bcdata", "bcdata", BCDATA_MPP, self.pixel_um, 0)
        if self._wanted("dsb2018"):
            sources["dsb2018"] = read_dsb2018(labelled / "dsb2018", self.pixel_um)
        if self.shares["painted"]:
            sources["painted"] = paint_fields(range(self.painted_fields), self.painted_px, self.kept)
        if self.shares["he"]:
            sources["he"] = read_he(self.folder / "unlabelled" / "lymphnode_cd3", HE_MPP, self.pixel_um)
            if self.he_slide:
                sources["he"] += read_he_slide(self.folder / self.he_slide, HE_MPP, self.pixel_um)
        if self.shares["lysto"]:
            sources["lysto"] = counted_fields(self.read_counted())
        if self.shares["laboratory"]:
            sources["laboratory"] = read_laboratory(Path(self.laboratory), self.pixel_um)
        return sources

    def read_counted(self) -> Counted:
        """Read the LYSTO crops; none where they are missing and nothing is to be learned from them."""
        folder = self.folder / "labelled" / "lysto"
        return read_counted(folder, LYSTO_MPP, self.pixel_um) if self._wanted("lysto") else {}

    def _wanted(self, source: str) -> bool:
        return bool(self.shares[source]) or (self.folder / "labelled" / source).is_dir()


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """Who is held out.

    Attributes
    ----------
    fold : int or None
        Fold that is tested, with nothing to validate; None for the plan of patients below.
    validation, test : sequence of str
        Patients that validate and test, of CD138 or a laboratory. Where one is named, sets without patients are split
        by image, and so are a laboratory's patients where none of them is named.
    hold_out_images : bool
        They are, even where none is named.
    laboratory : str
        The list of the laboratory's images, for what is told of it.
    seed : int
        Orders the laboratory's patients, of whom every fifth is held out.
    before : container of str
        Groups that the starting weights know, see ``starts``. Who is held out is drawn from all others, and they train;
        of sets without a share, and where somebody named them, they do neither.
    """

    fold: int | None
    validation: Sequence[str]
    test: Sequence[str]
    hold_out_images: bool
    laboratory: str = ""
    seed: int = 1
    before: Container[str] = frozenset()

    def split(self, sources: Sources, shares: Mapping[str, int]) -> Split:
        """Split every source by patient or, where patients are unknown, by image.

        Raises
        ------
        SettingsError
            Where a patient is named that no set has, or those that the starting weights do not know are too few to hold
            any out.
        """
        learned = {name: fields for name, fields in sources.items() if shares[name]}
        if self.fold is None:
            known = {field.group for name in PATIENTS_KNOWN for field in learned.get(name, ())}
            # The groups of CD138 are known names in runs too that do not learn from it.
            if unknown := {*self.validation, *self.test} - known - set(CD138_FOLDS):
                there = ", ".join(sorted(known)) or "none"
                raise SettingsError(
                    f"no such patient: {', '.join(sorted(unknown))}; correct --validation-patients or "
                    f"--test-patients (patients that are learned from: {there})."
                )
        split = joined([self._split(name, fields, name in learned) for name, fields in sources.items()])
        split = without_learned(split, self.before)
        if self.fold is None and self.hold_out_images:
            self._require_real(split, learned)
        return split

    def _require_real(self, split: Split, learned: Sources) -> None:
        """Refuse a split in which real tissue is held out by nobody because the starting weights know it."""
        real = [name for name in REAL if any(was_learned(self.before, name, f.group) for f in learned.get(name, ()))]
        plain = replace(self, before=frozenset()).split(learned, dict.fromkeys(learned, 1)) if real else split
        for part, purpose in (("validation", "to choose thresholds on"), ("test", "to test on")):
            asked, left = (
                any(field.source in REAL and field.source in learned for field in getattr(of, part))
                for of in (plain, split)
            )
            if asked and not left:
                raise SettingsError(
                    f"the starting weights learned from {', '.join(real)}, and of real tissue that they do not know "
                    f"nothing is left {purpose}; {CURE}."
                )

    def _split(self, source: str, fields: Sequence[TrainingField], learned: bool) -> Split:
        """Return the parts of one source; what is not learned from is tested."""
        if source == "he":  # nobody marked cells there to measure by
            return Split(tuple(fields), (), ())
        if source == "lysto":  # the held-out crops are tested by their counts, see ``held_out_counts``
            return Split(self._counted(fields), (), ())
        unseen = [field for field in fields if not was_learned(self.before, source, field.group)]
        if self.fold is not None:
            seed = self._drawn_from(fields) if source == "laboratory" else None
            if source == "cd138":
                part = hold_out_fold(fields, self.fold, CD138_FOLDS)
            else:
                part = hold_out_fold(unseen, self.fold, (), seed)
            part = _all_else_trains(part, fields, unseen)
            return part if learned else Split((), (), part.test)
        if not learned:
            return Split((), (), tuple(fields))
        groups = {field.group for field in fields}
        validation, test = ([name for name in names if name in groups] for names in (self.validation, self.test))
        if source == "cd138" or (source == "laboratory" and (validation or test)):
            return split_by_patient(fields, validation, test)
        if self.validation or self.test or self.hold_out_images:
            seed = self._drawn_from(fields) if source == "laboratory" else None
            return _all_else_trains(split_by_image(unseen, seed), fields, unseen)
        return Split(tuple(fields), (), ())

    def _drawn_from(self, fields: Sequence[TrainingField]) -> int:
        """Return what a laboratory's patients are drawn from to be held out; refuse too few of them."""
        patients = sorted({field.group for field in fields})
        if len(patients) < FEWEST_PATIENTS:
            raise SettingsError(
                f"{self.laboratory}: its items are of {len(patients)} patient{'s' * (len(patients) > 1)} "
                f"({', '.join(patients)}); {FEWEST_PATIENTS} are the least, one each to learn from, to choose "
                "thresholds on and to test on, so add items of others."
            )
        unseen = [patient for patient in patients if not was_learned(self.before, "laboratory", patient)]
        if len(unseen) < FEWEST_UNSEEN:
            raise SettingsError(
                f"{self.laboratory}: by their pseudonyms the starting weights learned from all its patients but "
                f"{', '.join(unseen) or 'none'}; {FEWEST_UNSEEN} others are the least, one each to choose thresholds "
                f"on and to test on, so {CURE}."
            )
        return self.seed

    def _counted(self, fields: Sequence[TrainingField]) -> tuple[TrainingField, ...]:
        """Return the counted crops to learn from."""
        if self.fold is not None:
            return hold_out_fold(fields, self.fold).training
        held_out = self.validation or self.test or self.hold_out_images
        return split_by_image(fields).training if held_out else tuple(fields)


def _all_else_trains(part: Split, fields: Sequence[TrainingField], unseen: Sequence[TrainingField]) -> Split:
    """Return a split in which only what is unseen is held out, and every other field trains."""
    fresh, training = set(unseen), set(part.training)
    known = tuple(field for field in fields if field not in fresh and field not in training)
    validation, test = (tuple(field for field in held if field in fresh) for held in (part.validation, part.test))
    return Split((*part.training, *known), validation, test)


def laboratory_held_out(split: Split, fold: str) -> str:
    """Return a line that names the patients of a laboratory that are held out; "" where none takes part.

    Examples
    --------
    >>> laboratory_held_out(Split((), (), ()), "")
    ''
    """
    groups = split.groups()
    if not any(name.startswith("laboratory/") for names in groups.values() for name in names):
        return ""
    validation, test = (
        ", ".join(name.split("/", 1)[1] for name in groups[part] if name.startswith("laboratory/")) or "nobody"
        for part in ("validation", "test")
    )
    if fold:
        return f"fold {fold} holds out of the laboratory's patients: {test}."
    return f"held out of the laboratory's patients, to choose thresholds on: {validation}; to test on: {test}."


def held_out_notice(split: Split, fold: str) -> str:
    """Return what is to be told before a run that holds out too little; "" of others.

    Raises
    ------
    SettingsError
        Where some validate, but nothing on which thresholds can be chosen.
    """
    stained = " or ".join(STAINED)
    choosing = split.test if fold else split.validation
    if any(field.source in STAINED for field in choosing):
        laboratory = any(field.source == "laboratory" for field in split.training)
        if laboratory and not any(field.source in REAL for field in choosing):
            return "painted fields alone are held out to choose thresholds on: none of them comes from real tissue."
        if laboratory and split.test and not any(field.source in REAL for field in split.test):
            return "no real tissue is tested: the card's figures will say nothing of the laboratory's."
        return "" if split.test else "nobody tests: the card will have no figures."
    if fold:
        return f"fold {fold} holds out nothing of {stained}: no thresholds can be chosen on it and few figures made."
    if split.validation:
        raise SettingsError(
            f"the validation part holds no field of {stained} to choose thresholds on; hold out patients of these, or "
            "none at all and train the folds."
        )
    return (
        "nobody is held out to choose thresholds on: the weights can only be finished with the five folds of this "
        "recipe (--fold all)."
    )


def held_out_counts(counted: Counted, split: Split, fold: int | None, before: Container[str] = ()) -> Counted:
    """Return the counted crops that a run is tested on: of its fold, and none that it learned from.

    ``before`` are the groups that the weights it started from learned from, see ``starts``.
    """
    learned = {field.name for field in split.training if field.source == "lysto"}
    tested = counted if fold is None else in_fold(counted, fold)
    return {
        name: crop for name, crop in tested.items() if name not in learned and not was_learned(before, "lysto", name)
    }
