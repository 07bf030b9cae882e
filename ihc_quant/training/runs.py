"""Runs on disk: with which settings one was started, and whether several followed the same recipe."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from ihc_quant.errors import SettingsError

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
            raise SettingsError(
                f"{path} is missing, and with it what the run learned from; put it beside the checkpoint."
            )
        return settings
    defaults = {field.name: field.default for field in fields(settings)}
    now = {name: getattr(settings, name) for name in place}
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
                    f"{getattr(started, name)}; go on so, or take another --name."
                )
    return started


def write_settings(settings: RunSettings) -> None:
    """Keep the settings a run is started with."""
    settings.folder.mkdir(parents=True, exist_ok=True)
    (settings.folder / SETTINGS_FILE).write_text(json.dumps(asdict(settings), indent=2), encoding="utf-8")


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
                    f"{folder} was trained with --{name.replace('_', '-')} {other[name]} and {first} with {value}; "
                    "train all folds and the run on everything by one recipe."
                )
