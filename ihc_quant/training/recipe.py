"""Settings of a run from a YAML recipe and from flags; a flag wins over the recipe."""

import argparse
import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ihc_quant.annotation.yaml_file import read_yaml
from ihc_quant.errors import SettingsError

_KINDS = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true or false"}


Limits = Mapping[str, tuple[Callable[[float], bool], Sequence[str]]]
"""What settings must be, in words: a test, and the names of those that it holds for."""


def require_limits(settings: Any, limits: Limits) -> None:
    """Refuse the first setting that is no finite number or beyond its limits.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> require_limits(SimpleNamespace(steps=0), {"above 0": (lambda value: value > 0, ("steps",))})
    Traceback (most recent call last):
    ...
    ihc_quant.errors.SettingsError: --steps must be above 0, not 0.
    """
    for words, (holds, names) in limits.items():
        for name in names:
            value = getattr(settings, name)
            if not (math.isfinite(value) and holds(value)):
                raise SettingsError(f"--{name.replace('_', '-')} must be {words}, not {value}.")


def stated_settings(
    settings: type[Any], description: str | None, arguments: Sequence[str] | None, files: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the settings that a command states; all others keep their defaults.

    Parameters
    ----------
    settings : type
        A dataclass whose fields are of type int, float, str or bool and have defaults; each becomes a flag, and a key
        of the recipe that ``--settings`` names.
    description : str, optional
        For ``--help``.
    arguments : sequence of str, optional
        Flags; those of the command line without.
    files : sequence of str, optional
        Settings that name a file which a recipe states from its own folder.

    Returns
    -------
    dict of str to value

    Raises
    ------
    SettingsError
        Where the recipe cannot be used.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", type=Path, metavar="FILE.yaml", help="a recipe: any of the settings below")
    comments = comments_of(settings)
    for field in fields(settings):
        # A flag that is not given must not hide what the recipe says.
        kind: dict[str, Any] = (
            {"action": argparse.BooleanOptionalAction} if field.type is bool else {"type": field.type}
        )
        flag = f"--{field.name.replace('_', '-')}"
        text = f"{comments.get(field.name, '')} (default {field.default!r})".strip().replace("%", "%%")
        parser.add_argument(flag, default=argparse.SUPPRESS, help=text, **kind)
    given = vars(parser.parse_args(arguments))
    recipe = given.pop("settings")
    stated = read_recipe(recipe, settings) if recipe else {}
    located = {name: str(recipe.parent / stated[name]) for name in files if stated.get(name)}
    return stated | located | given


def comments_of(settings: type[Any]) -> dict[str, str]:
    """Return what the source says of each field behind its default: the one place where a knob is explained."""
    try:
        source = inspect.getsource(settings)
    except (OSError, TypeError):  # no source lies about: --help is then shorter
        return {}
    return dict(re.findall(r"^    (\w+): .*?  # (.+)$", source, re.MULTILINE))


def read_recipe(path: Path, settings: type[Any]) -> dict[str, Any]:
    """Read a YAML file whose keys are fields of a dataclass.

    Raises
    ------
    SettingsError
        Where it cannot be read, or a key is unknown or of the wrong kind.
    """
    content = read_yaml(path)
    if not content:
        raise SettingsError(f"--settings {path}: this holds no settings; write lines such as `steps: 2000`.")
    kinds = {field.name: field.type for field in fields(settings)}
    if unknown := [str(key) for key in content if key not in kinds]:
        raise SettingsError(f"--settings {path}: there is no setting {unknown[0]}; see train.py --help for those.")
    return {key: _value(path, key, value, kinds[key]) for key, value in content.items()}


def _value(path: Path, key: str, value: Any, kind: Any) -> Any:
    """Return a value as the kind of its setting; a number such as 3e-3 is text to YAML, as it has no point."""
    if kind is float and isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return float(value)
        except ValueError:
            pass
    if type(value) is not kind:
        raise SettingsError(f"--settings {path}: {key} must be {_KINDS[kind]}, not {value!r}.")
    return value
