"""The cells of one line of a manifest: text to typed values, or what is wrong with it."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ihc_quant.batch.outputs import LONGEST_NAME, folder_name
from ihc_quant.domain.geometry import MPP_RANGE_UM, Mpp
from ihc_quant.domain.stain import (
    CHROMOGENS,
    MARKERS,
    NO_CHROMOGEN,
    SCORED_CHROMOGENS,
    SITES,
    UNSTAINED_MARKER,
)
from ihc_quant.errors import OutputError

LARGEST_WHOLE = 999_999
"""No file holds a million images, no block gives a million sections."""

HIGHEST_FRAGMENT = 32_767
"""Fragment numbers are int16 in the cell table."""

THICKNESS_RANGE_UM = (0.5, 100.0)
"""From ultrathin plastic to vibratome sections; paraffin sections have 2 to 5 µm."""

LARGEST_DAY = 36_525
"""A hundred years; a date written as a number (20240131) falls outside."""

SPREADSHEET_ERROR = re.compile(r"#(N/A|NV|NAME\?|REF!|VALUE!|DIV/0!|NULL!|NUM!|BEZUG!|WERT!)", re.IGNORECASE)
SCIENTIFIC = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)
"""What a spreadsheet makes of a long number."""
DATE = re.compile(r"(\d{1,4}[./-]){2}\d{1,4}|\d{1,2}[.-][^\W\d]{3,4}\.?|[^\W\d]{3,4}\.?[.-]\d{2}")
"""A date, or what a spreadsheet makes of ``1-3``: ``01.03.2024``, ``03. Jan``, ``Jan-03``."""


NOT_STATED = re.compile(
    r"[-–—?./]*|n\W*a\W*|n\W*k\W*|not\W+(recorded|known|stated|available|applicable|given|documented)|nan|null|unknown|"
    r"unrecorded|tbd",
    re.IGNORECASE,
)
"""How people write that they do not know: unknown, not recorded, n/a, n. a., ?, -."""


class CellFault(ValueError):
    """What is wrong with a cell and how to mend it: ``what; cure``."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """A fault of a manifest.

    Attributes
    ----------
    line : int
        Of the file; 0 for the header.
    rank : int
        Place of the column in the manifest's header, for the order of messages.
    column : str
        "" where the whole line or header is meant.
    text : str
        ``what; cure``, without a full stop.
    """

    line: int
    rank: int
    column: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a manifest.

    Attributes
    ----------
    line : int
        Of the file.
    values : mapping of column to value
        The cells that are filled and possible. Paths and free text stay ``str``.
    faulty : frozenset of str
        Columns whose cell is not possible: no conclusion is drawn from their absence.
    """

    line: int
    values: Mapping[str, Any]
    faulty: frozenset[str] = frozenset()


def parse_cell(column: str, text: str) -> object:
    """Return the value of a filled cell.

    Raises
    ------
    CellFault
        Where it is not possible.

    Examples
    --------
    >>> parse_cell("fragments", "1-3; 7")
    (1, 2, 3, 7)
    >>> parse_cell("site", "Lymph node")
    'lymph_node'
    """
    if SPREADSHEET_ERROR.fullmatch(text):
        raise CellFault(f"{text!r} is the error of a spreadsheet's formula; write the value itself")
    return PARSERS[column](text) if column in PARSERS else text


def stated(text: str) -> str:
    """Return what a cell states; nothing where it says that it is not known.

    Examples
    --------
    >>> stated("n/a"), stated("Not recorded"), stated("H2O2, 3 %")
    ('', '', 'H2O2, 3 %')
    """
    return "" if NOT_STATED.fullmatch(text.strip()) else text


def check_stain(values: Mapping[str, Any]) -> str:
    """Return what is wrong with the chromogen of a marker, as ``what; cure``; "" where nothing is."""
    marker, chromogen = values.get("marker"), values.get("chromogen")
    if marker is None or chromogen is None:
        return ""
    if marker == UNSTAINED_MARKER:
        return "" if chromogen == NO_CHROMOGEN else f"{marker} has no chromogen; write {NO_CHROMOGEN}"
    if chromogen == NO_CHROMOGEN:
        return f"only {UNSTAINED_MARKER} has none; state the chromogen of this section"
    if chromogen not in SCORED_CHROMOGENS:
        # The cure must not be to call it DAB: it would be scored as DAB, silently and wrongly.
        return f"{chromogen} cannot be scored, only {' or '.join(SCORED_CHROMOGENS)} can; leave the section out"
    return ""


def _plain(text: str) -> str:
    if not text.isprintable():
        raise CellFault(f"{text!r} holds a line break or another sign that cannot be printed; remove it")
    return text


def _identifier(text: str) -> str:
    if SCIENTIFIC.fullmatch(text):
        raise CellFault(f"{text!r} is a number that a spreadsheet rounded; format the column as text, write it again")
    if len(_plain(text)) > LONGEST_NAME:
        raise CellFault(f"{text[:20]!r}… is longer than {LONGEST_NAME} characters; shorten it")
    return text


def _folder_identifier(text: str) -> str:
    try:
        folder_name(_identifier(text))
    except OutputError as error:
        raise CellFault(f"{text!r} cannot name a folder; write a shorter one of plain characters") from error
    return text


def _one_of(allowed: tuple[str, ...], extra: str = "") -> Callable[[str], str]:
    """Return a parser of a closed list; capitals, spaces and hyphens are not told apart."""
    by_form = {_form(value): value for value in allowed}

    def parse(text: str) -> str:
        if _form(text) not in by_form:
            raise CellFault(f"{text!r} is not possible; write {' or '.join(allowed)}{extra}")
        return by_form[_form(text)]

    return parse


def _form(text: str) -> str:
    return re.sub(r"[\s_-]+", "_", text).casefold()


def _whole(text: str) -> int:
    # pandas writes a column of whole numbers with gaps as 1.0, 2.0.
    number = text.removesuffix(".0").removesuffix(",0")
    if not (number.isascii() and number.isdecimal()) or len(number) > 9 or int(number) > LARGEST_WHOLE:
        raise CellFault(f"{text[:40]!r} is no whole number from 0; correct it or leave it empty")
    return int(number)


def _number(text: str) -> float:
    """Return a number with a decimal point or comma; NaN for anything else."""
    try:
        number = float(text.replace(",", ".")) if text.isascii() else math.nan
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _mpp(text: str) -> Mpp:
    try:
        return Mpp.square(_number(text))
    except ValueError as error:
        low, high = MPP_RANGE_UM
        raise CellFault(
            f"{text[:40]!r} is no plausible number of µm per pixel ({low:g} to {high:g}); write for example 0.25"
        ) from error


def _thickness(text: str) -> float:
    low, high = THICKNESS_RANGE_UM
    number = _number(text)
    if not low <= number <= high:
        raise CellFault(f"{text[:40]!r} is no thickness of a section in µm ({low:g} to {high:g}); write for example 4")
    return number


def _day(text: str) -> int:
    if DATE.fullmatch(text):
        raise CellFault(
            f"{text!r} is a date, which can identify a patient; write days from the start of treatment, −3 before it"
        )
    sign = -1 if text[0] in "-−–" else 1
    number = text.lstrip("+-−–").removesuffix(".0").removesuffix(",0")
    if not (number.isascii() and number.isdecimal()) or len(number) > 9 or int(number) > LARGEST_DAY:
        raise CellFault(
            f"{text[:40]!r} is no whole number of days; write days from the start of treatment, −3 before it"
        )
    return sign * int(number)


def parse_fragments(text: str) -> tuple[int, ...]:
    """Return numbers of fragments, ascending.

    Raises
    ------
    CellFault
        Where they are none.
    """
    if DATE.fullmatch(text):
        raise CellFault(f"{text!r} is a date, which spreadsheets make of 1-3; write 1;2;3")
    numbers: list[int] = []
    for part in re.split(r"[\s;,+&]+", re.sub(r"\s*[-–]\s*", "-", text)):
        limits = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", part)
        first, last = (int(limits[1]), int(limits[2] or limits[1])) if limits else (0, 0)
        if not 1 <= first <= last <= HIGHEST_FRAGMENT:
            raise CellFault(f"{text[:40]!r} are no numbers of fragments, which count from 1; write for example 1;3")
        numbers += range(first, last + 1)
    if len(set(numbers)) < len(numbers):
        raise CellFault(f"{text[:40]!r} names a fragment twice; name it once")
    return tuple(sorted(numbers))


PARSERS: Mapping[str, Callable[[str], object]] = MappingProxyType(
    {
        "slide_id": _folder_identifier,
        "biopsy_id": _folder_identifier,
        "patient_id": _identifier,
        "site": _one_of(SITES),
        "marker": _one_of(MARKERS),
        "chromogen": _one_of(CHROMOGENS),
        "slide": _plain,
        "series": _whole,
        "fragments": parse_fragments,
        "mpp": _mpp,
        "clone": _plain,
        "epitope": _plain,
        "peroxidase_block": _plain,
        "section_index": _whole,
        "section_thickness_um": _thickness,
        "biopsy_day": _day,
        "annotations": _plain,
    }
)
"""By column."""
