"""Settings of a run from a YAML recipe and from flags; a flag wins over the recipe."""

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ihc_quant.annotation.yaml_file import read_yaml
from ihc_quant.errors import SettingsError

_KINDS = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true or false"}


def stated_settings(settings: type[Any], description: str | None, arguments: Sequence[str] | None) -> dict[str, Any]:
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
    for field in fields(settings):
        # A flag that is not given must not hide what the recipe says.
        kind: dict[str, Any] = (
            {"action": argparse.BooleanOptionalAction} if field.type is bool else {"type": field.type}
        )
        flag, text = f"--{field.name.replace('_', '-')}", f"default {field.default!r}"
        parser.add_argument(flag, default=argparse.SUPPRESS, help=text, **kind)
    given = vars(parser.parse_args(arguments))
    recipe = given.pop("settings")
    return (read_recipe(recipe, settings) if recipe else {}) | given


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
