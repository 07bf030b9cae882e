"""Runs on disk: with which settings one was started, and whether several followed the same recipe."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from ihc_quant.errors import SettingsError
from ihc_quant.network.card import file_sha256

SHIPPED = ("default", "open")
"""Names of the weights that come with the program."""
FINISHED_FILE = "finished.txt"
"""In the run's folder: the SHA-256 of all weights that it was finished to, one a line."""
MOVABLE = ("laboratory",)
"""Settings of which a run takes the path as asked for now, where it is asked for: ``split_file`` knows the content."""
SETTINGS_FILE = "settings.json"
"""In the run's folder."""
NOT_THE_RECIPE = (
    "name",
    "fold",
    "validation_patients",
    "test_patients",
    "hold_out_images",
    "patience",
    "precision",
    "every",
    *MOVABLE,
)
"""Settings in which folds and the run on everything may differ: whom they hold out, and how they are carried out."""


class RunSettings(Protocol):
    """Settings of a run, a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def finish(self) -> bool:
        """Whether nothing is to be trained."""
        ...

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        ...

    def lesson(self) -> Mapping[str, Any]:
        """Return the settings that decide what is learned."""
        ...


S = TypeVar("S", bound=RunSettings)


def settings_of_run(settings: S, place: Sequence[str]) -> S:
    """Return the settings a run was started with, so that its split and its schedule stay what they were.

    Parameters
    ----------
    settings : dataclass
        As asked for now.
    place : sequence of str
        Names of settings that are taken as asked for now: where and how the run is done, not what is learned.

    Raises
    ------
    SettingsError
        Where training would go on with others, or where nobody can tell what a run to finish learned from.
    """
    path = settings.folder / SETTINGS_FILE
    if not path.exists():
        if settings.finish:
            if not settings.folder.exists():
                raise SettingsError(f"{settings.folder}: there is no such run; correct --name, or train it first.")
            raise SettingsError(
                f"{path} is missing, and with it what the run learned from; put it beside the checkpoint."
            )
        return settings
    defaults = {field.name: field.default for field in fields(settings)}
    now = {name: getattr(settings, name) for name in place}
    now |= {name: asked for name in MOVABLE if (asked := getattr(settings, name))}
    try:
        started = replace(settings, **(defaults | json.loads(path.read_text(encoding="utf-8")) | now))
    except (ValueError, TypeError) as error:
        raise SettingsError(f"{path}: these are not the settings of a run; restore the file.") from error
    if not settings.finish:
        asked = settings.lesson()
        for name, value in started.lesson().items():
            # What is automatic is decided once, when the run starts.
            if value != asked[name] and asked[name] != "auto":
                raise SettingsError(
                    f"{settings.folder}: this run was started with --{name.replace('_', '-')} "
                    f"{_stated(getattr(started, name))}; go on so, or take another --name."
                )
    return started


def _stated(value: object) -> str:
    """Return a value as a flag states it, which nothing but quotes does of an empty one."""
    return f"{value}" or '""'


def was_started(folder: Path) -> bool:
    """Return whether a run was started in this folder."""
    return (folder / SETTINGS_FILE).exists()


def write_settings(settings: RunSettings) -> None:
    """Keep the settings a run is started with."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    (settings.folder / SETTINGS_FILE).write_text(json.dumps(asdict(settings), indent=2), encoding="utf-8")


def require_name(name: str) -> None:
    """Refuse a name that is no plain file name: a run's folder and its weights are called so."""
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name):
        raise SettingsError(
            f"--name must be letters, digits, dots, dashes and underscores, with no dot in front, not {name!r}."
        )


def require_own(target: Path, folder: Path, *, overwrite: bool) -> None:
    """Refuse to replace finished weights that another run made.

    Parameters
    ----------
    target : Path
        Where the weights go, without suffix.
    folder : Path
        Of the run.
    overwrite : bool
        Whether that is wanted.

    Raises
    ------
    SettingsError
        Where other weights are there, or the folder for weights is none.
    """
    if target.parent.exists() and not target.parent.is_dir():
        raise SettingsError(f"--weights {target.parent}: this is a file; name the folder that finished weights go to.")
    there, best, record = target.with_name(f"{target.name}.safetensors"), folder / "best.safetensors", _record(folder)
    if overwrite or not there.exists():
        return
    digest = file_sha256(there)
    if digest not in record and not (best.exists() and file_sha256(best) == digest):
        raise SettingsError(
            f"{there}: another run than {folder} made these weights, and they would be replaced; take another --name "
            "or --weights folder, or say --overwrite."
        )


def note_finished(folder: Path, digest: str) -> None:
    """Keep the digest of weights that a run was finished to, so that it may replace them later."""
    if digest not in _record(folder):
        with (folder / FINISHED_FILE).open("a", encoding="utf-8") as stream:
            stream.write(f"{digest}\n")


def _record(folder: Path) -> list[str]:
    path = folder / FINISHED_FILE
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def check_same_recipe(lessons: Mapping[Path, Mapping[str, Any]]) -> None:
    """Refuse runs that did not learn by the same recipe: figures of one would say nothing of the other.

    Parameters
    ----------
    lessons : mapping of a run's folder to the settings that decide what it learned

    Raises
    ------
    SettingsError
        Naming two runs and the setting in which they differ.
    """
    (first, lesson), *others = lessons.items()
    for folder, other in others:
        for name, value in lesson.items():
            if name not in NOT_THE_RECIPE and other[name] != value:
                raise SettingsError(
                    f"{folder} was trained with --{name.replace('_', '-')} {_stated(other[name])} and {first} with "
                    f"{_stated(value)}; train all folds and the run on everything by one recipe."
                )
