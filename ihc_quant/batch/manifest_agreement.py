"""Where the lines of a manifest contradict one another."""

import os
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ihc_quant.batch.manifest_cells import Entry

Finding = tuple[int, str, str]
"""Line, column, ``what; cure``."""


def contradictions(entries: Sequence[Entry], folder: Path) -> Iterator[Finding]:
    """Yield where lines contradict one another.

    Parameters
    ----------
    entries : sequence of Entry
        Values that are missing or impossible take no part.
    folder : Path
        Of the manifest; relative paths start there.
    """
    yield from _repeated_slides(entries)
    yield from _biopsy_facts(entries)
    yield from _one_spelling(entries, "patient_id", "patient")
    yield from _shared_indices(entries, folder)
    yield from _glasses(entries, folder)
    yield from _shared_annotations(entries, folder)


def _by(entries: Iterable[Entry], key: Any) -> list[list[Entry]]:
    """Return the entries in groups of one key; entries whose key is None are left out."""
    groups: defaultdict[Hashable, list[Entry]] = defaultdict(list)
    for entry in entries:
        value = key(entry)
        if value is not None:
            groups[value].append(entry)
    return list(groups.values())


def _folded(column: str) -> Any:
    # Capital letters are not told apart, because some file systems do not tell them apart in folders' names.
    return lambda entry: entry.values[column].casefold() if column in entry.values else None


def _path(entry: Entry, column: str, folder: Path) -> str | None:
    if column not in entry.values:
        return None
    return os.path.normcase(os.path.realpath(folder / str(entry.values[column])))


def _odd_ones(group: Sequence[Entry], column: str) -> Iterator[tuple[Entry, Entry]]:
    """Yield each entry whose value is not that of most, and the first entry that has the value of most.

    Of values that are equally frequent the first counts as that of most: one odd line is one message.
    """
    stated = [entry for entry in group if column in entry.values]
    if not stated:
        return
    most = Counter(entry.values[column] for entry in stated).most_common(1)[0][0]
    model = next(entry for entry in stated if entry.values[column] == most)
    for entry in stated:
        if entry.values[column] != most:
            yield entry, model


def _repeated_slides(entries: Sequence[Entry]) -> Iterator[Finding]:
    for group in _by(entries, _folded("slide_id")):
        for entry in group[1:]:
            what = f"{entry.values['slide_id']!r} already stands in line {group[0].line}"
            yield entry.line, "slide_id", f"{what}; make it unique"


def _biopsy_facts(entries: Sequence[Entry]) -> Iterator[Finding]:
    """Yield where the sections of one biopsy differ in what is true of the biopsy."""
    for group in _by(entries, _folded("biopsy_id")):
        biopsy = group[0].values["biopsy_id"]
        for column in ("biopsy_id", "patient_id", "site", "biopsy_day"):
            for entry, model in _odd_ones(group, column):
                what = f"biopsy {biopsy!r} has {model.values[column]!r} in line {model.line}"
                yield entry.line, column, f"{what}; write the same, or give another biopsy_id"
        stated = [entry for entry in group if "biopsy_day" in entry.values]
        for entry in group:
            # A flag about treatment that is read off one section must not depend on which section states the day.
            if stated and "biopsy_day" not in {*entry.values, *entry.faulty}:
                what = f"it is empty, and line {stated[0].line} has {stated[0].values['biopsy_day']} for this biopsy"
                yield entry.line, "biopsy_day", f"{what}; write it in all its lines"


def _one_spelling(entries: Sequence[Entry], column: str, noun: str) -> Iterator[Finding]:
    """Yield identifiers that differ from others in capital letters alone; inside a biopsy that was said already."""
    for group in _by(entries, _folded(column)):
        for entry, model in _odd_ones(group, column):
            if entry.values.get("biopsy_id") != model.values.get("biopsy_id"):
                what = f"{noun} {model.values[column]!r} of line {model.line} is written in other capitals here"
                yield entry.line, column, f"{what}; write the same, or another name for another {noun}"


def _shared_indices(entries: Sequence[Entry], folder: Path) -> Iterator[Finding]:
    """Yield sections of one biopsy that have one index and lie on two glasses."""

    def key(entry: Entry) -> tuple[str, int] | None:
        values = entry.values
        known = "biopsy_id" in values and "section_index" in values and "slide" in values
        return (values["biopsy_id"].casefold(), values["section_index"]) if known else None

    for group in _by(entries, key):
        for entry in group[1:]:
            if _path(entry, "slide", folder) != _path(group[0], "slide", folder):
                what = f"{entry.values['section_index']} is the section of line {group[0].line}, on another glass"
                yield entry.line, "section_index", f"{what}; number the sections as they were cut, or leave it empty"


def _glasses(entries: Sequence[Entry], folder: Path) -> Iterator[Finding]:
    """Yield where lines take the same part of one file, or state two things of one image."""
    sound = [entry for entry in entries if not entry.faulty & {"series", "fragments"}]
    for group in _by(sound, lambda entry: _path(entry, "slide", folder)):
        unstated = [entry for entry in group if "series" not in entry.values]
        if unstated and len(unstated) < len(group):
            other = next(entry for entry in group if "series" in entry.values)
            what = f"line {other.line} names a series of this file and this line none"
            # Without a number the largest image is read, which may be the very one of the other line.
            yield unstated[0].line, "series", f"{what}; name it in all lines of the file"
        for image in _by(group, lambda entry: entry.values.get("series", -1)):
            yield from _one_image(image)


def _one_image(group: Sequence[Entry]) -> Iterator[Finding]:
    for place, entry in enumerate(group[1:], start=1):
        mine = set(entry.values.get("fragments", ()))
        for other in group[:place]:
            theirs = set(other.values.get("fragments", ()))
            if not mine and not theirs:
                what = f"line {other.line} takes the same file whole"
                yield entry.line, "slide", f"{what}; remove one, or name series or fragments in both"
            elif not (mine and theirs):
                what = f"this line and line {other.line} share a file, and one of them takes it whole"
                yield entry.line, "fragments", f"{what}; name the fragments of both"
            elif mine & theirs:
                what = f"fragment {min(mine & theirs)} is taken in line {other.line} as well"
                yield entry.line, "fragments", f"{what}; give each fragment to one section"
            else:
                continue
            break
    for entry, model in _odd_ones(group, "mpp"):
        what = f"line {model.line} has {model.values['mpp'].x:g} for the same image"
        yield entry.line, "mpp", f"{what}; write the same"


def _shared_annotations(entries: Sequence[Entry], folder: Path) -> Iterator[Finding]:
    """Yield annotations that are named for two images: they were drawn on one of them."""
    for group in _by(entries, lambda entry: _path(entry, "annotations", folder)):
        for entry in group[1:]:
            images = {(_path(one, "slide", folder), one.values.get("series")) for one in (entry, group[0])}
            if len(images) > 1:
                what = f"line {group[0].line} names the same file for another image"
                yield entry.line, "annotations", f"{what}; name what was drawn on this one"
