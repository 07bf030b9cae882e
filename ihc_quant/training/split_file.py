"""The split that a run is started with, kept beside its checkpoints: who trained is never taken for held out later."""

import hashlib
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from ihc_quant.annotation.yaml_file import read_yaml
from ihc_quant.errors import SettingsError
from ihc_quant.network.card import file_sha256
from ihc_quant.slide.facts import quick_hash
from ihc_quant.training.field import TrainingField
from ihc_quant.training.laboratory_file import read_laboratory_file
from ihc_quant.training.splits import Split
from ihc_quant.training.starts import was_learned

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

    The list and class maps go by what they say, without comments and licence, annotations by all of their bytes, images
    by their size, beginning and end. Files go by the names that the list gives, so a laboratory may move as a whole.
    """
    laboratory = read_laboratory_file(path)
    class_maps = {item.classes for item in laboratory.items if item.classes}
    return (
        {"the list": _said(path)}
        | {name: _said(laboratory.located(name)) for name in sorted(class_maps)}
        | {
            name: file_sha256(laboratory.located(name))
            for name in sorted({name for item in laboratory.items for name in item.annotation})
        }
        | {name: quick_hash(laboratory.located(name)) for name in sorted({item.image for item in laboratory.items})}
    )


def _said(path: Path) -> str:
    """Return the digest of what a YAML file says but for its licence, which decides nothing of a split."""
    said = {name: value for name, value in read_yaml(path).items() if name != "licence"}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


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


def arranged(planned: Split, part_of: Mapping[str, str]) -> Split:
    """Return the fields of a split in the parts that their groups belong to, in its order; others are left out.

    A run that goes on draws the batches that it would have drawn, so its fields must come in the order of the start.
    """
    parts: dict[str, list[TrainingField]] = {part: [] for part in PARTS}
    for part in PARTS:
        for field in getattr(planned, part):
            if (now := part_of.get(f"{field.source}/{field.group}")) is not None:
                parts[now].append(field)
    return Split(*(tuple(parts[part]) for part in PARTS))


def parts_of(groups: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the part of each group."""
    return {group: part for part, names in groups.items() for group in names}


def split_as_kept(
    folder: Path,
    planned: Split,
    learned: Container[str],
    laboratory: Mapping[str, str],
    before: Container[str] = frozenset(),
) -> Split:
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
    before : container of str
        Groups that the starting weights know; of these the run may have kept some out of every part.

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
    part_of = parts_of(kept.groups)
    now_part_of = parts_of(planned.groups())
    now = {group for group in now_part_of if group in part_of or not was_learned(before, *group.split("/", 1))}
    if odd := sorted(group for group in now ^ part_of.keys() if group.split("/")[0] in learned):
        raise SettingsError(
            f"{folder}: since this run was started, {odd[0]} was added or removed, and with it who is held out may "
            "differ; restore the images, or train anew under another --name."
        )
    tested = {group: part for group, part in now_part_of.items() if group.split("/")[0] not in learned}
    return arranged(planned, {group: part for group, part in part_of.items() if group not in tested} | tested)
