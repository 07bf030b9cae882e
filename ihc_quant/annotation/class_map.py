"""What a laboratory's class names mean: a small YAML from QuPath's names to the few things that can be learned."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ihc_quant.annotation.yaml_file import read_yaml
from ihc_quant.errors import SettingsError


class Meaning(StrEnum):
    """What an object of a class stands for.

    ``POSITIVE``, ``NEGATIVE`` and ``UNKNOWN`` are cells, ``UNKNOWN`` one whose marker nobody judged. ``VALID`` is an
    area in which every cell was marked, ``IGNORE`` one from which nothing is to be learned. ``SKIP`` leaves the object
    aside as if nobody had drawn it: the outline of a tissue or of an annotation's parent.
    """

    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNKNOWN = "unknown"
    IGNORE = "ignore"
    VALID = "valid"
    SKIP = "skip"


CELLS: frozenset[Meaning] = frozenset({Meaning.POSITIVE, Meaning.NEGATIVE, Meaning.UNKNOWN})
"""Meanings that are cells; of the others ``IGNORE`` and ``VALID`` are areas."""


@dataclass(frozen=True, slots=True)
class ClassMap:
    """Meanings of class names.

    Attributes
    ----------
    path : Path
        For messages.
    meanings : mapping of str to Meaning
        By class name, exactly as QuPath shows it; an asterisk is part of the name.
    """

    path: Path
    meanings: Mapping[str, Meaning]

    def require(self, class_names: Iterable[str], source: Path) -> None:
        """Check that every class of a file has a meaning.

        Parameters
        ----------
        class_names : iterable of str
            Of each object.
        source : Path
            The file, for the message.

        Raises
        ------
        SettingsError
            Names all classes without a meaning, with the number of their objects.
        """
        unmapped = Counter(name for name in class_names if name not in self.meanings)
        if unmapped:
            named = ", ".join(f"{name!r} ({count})" for name, count in sorted(unmapped.items()))
            raise SettingsError(
                f"{source}: these classes have no meaning in {self.path}: {named}; "
                f"map each to {', '.join(Meaning)} under classes."
            )


def read_class_map(path: Path) -> ClassMap:
    """Read a class map.

    Parameters
    ----------
    path : Path
        YAML with one entry ``classes``, which maps class names to meanings.

    Raises
    ------
    SettingsError
        Where the file is no such map; all wrong entries are named.
    """
    document = read_yaml(path)
    classes = document.get("classes")
    if set(document) != {"classes"} or not isinstance(classes, dict) or not classes:
        raise SettingsError(f'{path}: a class map has the one entry "classes", with lines like "Tumor: Positive".')
    faults: list[str] = []
    meanings: dict[str, Meaning] = {}
    for name, meaning in classes.items():
        if not isinstance(name, str):
            faults.append(f"{name!r} is read as no text, so put the name in quotes")
        elif not isinstance(meaning, str) or meaning not in set(Meaning):
            faults.append(f"{name!r} is {meaning!r}, which is none of {', '.join(Meaning)}")
        elif name.strip() in meanings:
            faults.append(f"{name.strip()!r} stands there twice, once with blanks around it, so remove one")
        else:
            meanings[name.strip()] = Meaning(meaning)
    if faults:
        raise SettingsError(f"{path}: {'; '.join(faults)}.")
    return ClassMap(path, meanings)
