"""A small YAML file to a mapping, with what YAML lets pass silently refused."""

from pathlib import Path
from typing import Any

import yaml

from ihc_quant.errors import SettingsError

MAX_BYTES = 4 * 1024 * 1024
"""A list of ten thousand slides is smaller."""


class _PlainLoader(yaml.SafeLoader):
    """A safe loader that also refuses names given twice, of which YAML keeps the last, and references."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, "references (*) are not read", parent.start_mark if parent else None
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in names:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value!r} stands there twice", key.start_mark
                    )
                names.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[Any, Any]:
    """Return the mapping that a YAML file holds; an empty file is an empty mapping.

    Raises
    ------
    SettingsError
        Where it cannot be read, is no YAML, names something twice, or holds no mapping.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: there is no such YAML file; check the path.") from error
    except OSError as error:
        raise SettingsError(f"{path}: the YAML file cannot be read; check the path and its permissions.") from error
    if len(content) > MAX_BYTES:
        raise SettingsError(f"{path}: it is too large for settings (over {MAX_BYTES // 1024**2} MB); check the path.")
    try:
        document = yaml.load(content.decode("utf-8-sig"), _PlainLoader)  # noqa: S506, the loader derives from SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise SettingsError(f"{path}: {line}{error.problem}; correct the YAML.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: it is no YAML in UTF-8; correct or write it anew.") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: it holds no 'name: value' lines; see the example in docs/retraining.md.")
    return document
