"""A first manifest from the names of slide files, for a person to complete."""

import csv
import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ihc_quant.batch.manifest import MANIFEST_COLUMNS, REQUIRED_COLUMNS
from ihc_quant.batch.manifest_cells import CellFault, parse_cell
from ihc_quant.batch.manifest_names import guess_biopsies, guess_marker, guess_site, stem_of
from ihc_quant.batch.outputs import writing
from ihc_quant.domain.stain import NO_CHROMOGEN, UNSTAINED_MARKER
from ihc_quant.errors import ManifestError, OutputError

SLIDE_SUFFIXES: tuple[str, ...] = (
    ".svs", ".tif", ".tiff", ".ndpi", ".vms", ".vmu", ".scn", ".mrxs", ".bif", ".svslide", ".czi", ".png", ".jpg",
    ".jpeg",
)  # fmt: skip
"""Endings of files that can hold a slide or a picture of one."""

INDEX_SUFFIXES = frozenset({".vms", ".vmu"})
"""Hamamatsu's index files; the JPEGs beside one are its parts."""

MANY_FILES_SUFFIX = ".dcm"
"""DICOM keeps one slide in many files; which of them is the slide's is not read off names."""

COMMENTS = (
    "# A draft from file names. Fill in every empty cell of the first seven columns; the others may stay empty.",
    "# chromogen is empty on purpose: state it from the staining protocol. A section in another colour would be scored "
    "as DAB without a word.",
    "# patient_id is empty on purpose: give a pseudonym; one patient has one. biopsy_id, site and marker are guesses: "
    "check them.",
    "# The column slide holds file names, which may identify a patient; reports show slide_id instead.",
    "# Then run: ihc-quant manifest check",
)
"""Stand above the header; whoever reads a manifest skips them."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A drafted manifest.

    Attributes
    ----------
    text : str
        CSV with comments above the header.
    sections, biopsies : int
        How many there are; biopsies as guessed.
    empty : tuple of (column, int)
        Required columns that a person must fill in, and in how many lines.
    left_out : tuple of str
        Sentences about files that may be slides and are not in the draft.
    """

    text: str
    sections: int
    biopsies: int
    empty: tuple[tuple[str, int], ...]
    left_out: tuple[str, ...]


def draft_manifest(folder: Path, start: Path, *, ids_from_names: bool = False) -> Draft:
    """Draft a manifest of the slides in a folder and the folders inside it.

    Parameters
    ----------
    folder : Path
        Hidden files and folders in it are left out.
    start : Path
        Folder in which the manifest will lie; paths are written relative to it.
    ids_from_names : bool
        Whether ``slide_id`` is the name of the file. Otherwise it is ``s001`` and so on, since a file's name may be
        an accession number and ``slide_id`` stands on every page.

    Raises
    ------
    ManifestError
        Where the folder cannot be read or holds no slide.
    """
    slides, left_out = _slides_in(folder)
    if not slides:
        raise ManifestError(f"{folder}: no slide was found there; name the folder that holds the slide files.")
    inside = [slide.relative_to(folder) for slide in slides]
    biopsies = guess_biopsies(inside)
    names = [stem_of(slide) for slide in inside] if ids_from_names else [""] * len(slides)
    lines = [
        {
            "slide_id": slide_id,
            "biopsy_id": f"b{biopsy:02d}",
            "site": guess_site(name),
            "marker": (marker := guess_marker(name)),
            "chromogen": NO_CHROMOGEN if marker == UNSTAINED_MARKER else "",
            "slide": _written_path(slide, start),
        }
        for slide, name, biopsy, slide_id in zip(slides, inside, biopsies, _slide_ids(names), strict=True)
    ]
    text = io.StringIO(newline="")
    text.writelines(f"{comment}\n" for comment in COMMENTS)
    writer = csv.DictWriter(text, MANIFEST_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    counts = {column: sum(not line.get(column) for line in lines) for column in REQUIRED_COLUMNS}
    empty = tuple((column, count) for column, count in counts.items() if count)
    return Draft(text.getvalue(), len(lines), max(biopsies), empty, left_out)


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet, whole or not at all.

    Raises
    ------
    OutputError
        Where it exists or cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            _publish(partial, path)
        except FileExistsError as error:
            raise OutputError(
                f"{path}: it exists and is not overwritten; move it away or name another one with -o."
            ) from error
        finally:
            partial.unlink(missing_ok=True)


def _publish(partial: Path, path: Path) -> None:
    """Give a whole file its name, unless the name is taken."""
    try:
        # A second name for the same file: one step, and it fails where the name is taken.
        path.hardlink_to(partial)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # memory sticks and some network folders know no second name
        if path.exists() or path.is_symlink():
            raise FileExistsError(path) from None
        partial.replace(path)


def _slides_in(folder: Path) -> tuple[list[Path], tuple[str, ...]]:
    """Return the files that can be slides in natural order, and sentences about those that were left out."""
    slides: list[Path] = []
    in_many_files = 0
    unwritable: list[str] = []
    for path in _files_in(folder):
        suffix = path.suffix.lower()
        if suffix == MANY_FILES_SUFFIX:
            in_many_files += 1
        elif suffix in SLIDE_SUFFIXES:
            if path.name.isprintable():
                slides.append(path)
            else:
                unwritable.append(ascii(path.name))
    indexed = {slide.parent for slide in slides if slide.suffix.lower() in INDEX_SUFFIXES}
    slides = [slide for slide in slides if not (slide.parent in indexed and slide.suffix.lower() in {".jpg", ".jpeg"})]
    left_out = [f"{name}: its name cannot be written in a manifest; rename it" for name in unwritable]
    if in_many_files:
        left_out.append(f"{in_many_files} DICOM files are not in the draft: add a line for each slide by hand")
    return sorted(slides, key=lambda slide: _natural(str(slide))), tuple(left_out)


def _files_in(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise ManifestError(f"{error.filename}: the folder cannot be read; check the path and its permissions.")

    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place) / name for name in files if not name.startswith("."))


def _natural(text: str) -> list[tuple[int, str]]:
    """Return a key that sorts 2 before 10."""
    parts = re.split(r"([0-9]+)", text.casefold())
    return [(int(part), "") if place % 2 else (0, part) for place, part in enumerate(parts)]


def _slide_ids(names: Sequence[str]) -> list[str]:
    """Return identifiers: each name that can be one and is unique, else ``s`` and the slide's number."""
    width = max(3, len(str(len(names))))
    taken: set[str] = set()
    ids = []
    for number, name in enumerate(names, start=1):
        chosen = ""
        with suppress(CellFault):
            chosen = str(parse_cell("slide_id", name)) if name else ""
        if not chosen or chosen.casefold() in taken:
            chosen = f"s{number:0{width}d}"
        taken.add(chosen.casefold())
        ids.append(chosen)
    return ids


def _written_path(slide: Path, start: Path) -> str:
    """Return a path relative to the manifest where that is possible, with / between folders."""
    try:
        text = Path(os.path.relpath(slide.resolve(), start.resolve())).as_posix()
    except ValueError:  # another drive
        text = slide.resolve().as_posix()
    # A spreadsheet would take a cell that begins so for a formula, and the reader one with # for a comment.
    return f"./{text}" if text[0] in "=+-@#" or text != text.strip() else text
