"""The split that a run is started with, kept beside its checkpoints: who trained is never taken for held out later."""

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from ihc_quant.errors import SettingsError
from ihc_quant.network.card import file_sha256
from ihc_quant.slide.facts import quick_hash
from ihc_quant.training.field import TrainingField
from ihc_quant.training.laboratory_file import read_laboratory_file
from ihc_quant.training.splits import Split

SPLIT_FILE = "split.json"
"""In the run's folder."""
PARTS = ("training", "validation", "test")


@dataclass(frozen=True, slots=True)
class KeptSplit:
    """What a run keeps of its split.

    Attributes
    ----------
    groups : mapping of part to list of str
        Groups (``source/group``) of each of ``PARTS``.
    laboratory : mapping of str to str
        Digest of each file of the laboratory, see ``laboratory_digests``; empty without one.
    """

    groups: Mapping[str, list[str]]
    laboratory: Mapping[str, str]


def laboratory_digests(path: Path) -> dict[str, str]:
    """Return the digest of a laboratory's list and of each file that it names.

    Lists, class maps and annotations go by all of their content, images by their size, beginning and end. Files go by
    the names that the list gives them, so a laboratory may move as a whole.
    """
    laboratory = read_laboratory_file(path)
    texts = {name for item in laboratory.items for name in (*item.annotation, item.classes) if name}
    return (
        {"the list": file_sha256(path)}
        | {name: file_sha256(laboratory.located(name)) for name in sorted(texts)}
        | {name: quick_hash(laboratory.located(name)) for name in sorted({item.image for item in laboratory.items})}
    )


def write_split(folder: Path, split: Split, laboratory: Mapping[str, str]) -> None:
    """Keep the split that a run is started with.

    Parameters
    ----------
    folder : Path
        Of the run.
    split : Split
    laboratory : mapping of str to str
        See ``laboratory_digests``.
    """
    content = {"groups": split.groups(), "laboratory": dict(laboratory)}
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{SPLIT_FILE}.partial"
    partial.write_text(json.dumps(content, indent=2), encoding="utf-8")
    partial.replace(folder / SPLIT_FILE)


def read_split(folder: Path) -> KeptSplit | None:
    """Return the split that a run was started with, None of a run that kept none.

    Raises
    ------
    SettingsError
        Where the file is damaged.
    """
    path = folder / SPLIT_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        groups = {part: list(content["groups"][part]) for part in PARTS}
        return KeptSplit(groups, dict(content["laboratory"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SettingsError(f"{path}: this is not the split of a run; restore the file or train anew.") from error


def split_as_kept(folder: Path, planned: Split, learned: Container[str], laboratory: Mapping[str, str]) -> Split:
    """Return the split that a run was started with.

    Parameters
    ----------
    folder : Path
        Of the run.
    planned : Split
        Of what lies there now; it gives the order of the fields, and the parts of sets that are not learned from. It is
        returned for a run of an earlier release, which kept none, unless a laboratory took part.
    learned : container of str
        Sets that the run learns from.
    laboratory : mapping of str to str
        Digests of what the laboratory's files hold now.

    Raises
    ------
    SettingsError
        Where the images are no longer those of the start, so that nobody could tell who was held out.
    """
    kept = read_split(folder)
    if kept is None and "laboratory" not in learned:
        return planned
    if kept is None:
        raise SettingsError(
            f"{folder}: {SPLIT_FILE} is missing, and with it which patients of the laboratory were held out; restore "
            "it, or train anew under another --name."
        )
    for name in {**kept.laboratory, **laboratory}:
        if kept.laboratory.get(name) != laboratory.get(name):
            raise SettingsError(
                f"{folder}: since this run was started, {name} of the laboratory has changed, and patients that were "
                "learned from could be taken for held out; restore it, or train anew under another --name."
            )
    part_of = {group: part for part, groups in kept.groups.items() for group in groups}
    now = {group for groups in planned.groups().values() for group in groups}
    if odd := sorted(group for group in now ^ part_of.keys() if group.split("/")[0] in learned):
        raise SettingsError(
            f"{folder}: since this run was started, {odd[0]} was added or removed, and with it who is held out may "
            "differ; restore the images, or train anew under another --name."
        )
    parts: dict[str, list[TrainingField]] = {part: [] for part in PARTS}
    for part in PARTS:
        for field in getattr(planned, part):
            as_kept = part_of[f"{field.source}/{field.group}"] if field.source in learned else part
            parts[as_kept].append(field)
    return Split(*(tuple(parts[part]) for part in PARTS))
