"""What the names of slide files say about marker, site and biopsy. Where they say nothing, nothing is guessed."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from types import MappingProxyType

_BEFORE, _AFTER = r"(?<![^\W\d_])", r"(?![^\W\d_])"
"""A word that stands alone between letters; digits, signs and underscores may touch it."""

MARKER_WORDS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "negative_control": re.compile(
            rf"{_BEFORE}(neg(ative)?[\W_]*(control|ctrl|ktrl|kontrolle)|no[\W_]*primary|isotype){_AFTER}", re.IGNORECASE
        ),
        # CD194 is the other name of CCR4. A digit behind the number makes it another marker: CD45, CD40.
        "CCR4": re.compile(rf"{_BEFORE}(CCR[\W_]?4|CD[\W_]?194)(?!\d)", re.IGNORECASE),
        "CD4": re.compile(rf"{_BEFORE}CD[\W_]?4(?!\d)", re.IGNORECASE),
        "CD8": re.compile(rf"{_BEFORE}CD[\W_]?8(?!\d)", re.IGNORECASE),
        "H&E": re.compile(rf"{_BEFORE}(H[\W_]?(&|and|und)?[\W_]?E){_AFTER}", re.IGNORECASE),
    }
)
SITE_WORDS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "skin": re.compile(rf"{_BEFORE}(skin|haut|peau|cutaneous|derm(is|al)?){_AFTER}", re.IGNORECASE),
        "lymph_node": re.compile(rf"{_BEFORE}(lymph[\W_]*(node|nodes|knoten)|LN){_AFTER}", re.IGNORECASE),
    }
)


def guess_marker(slide: PurePath) -> str:
    """Return the marker that the name of a file states, or of its folders; "" for none or several.

    Parameters
    ----------
    slide : PurePath
        Relative to the folder that was drafted.

    Examples
    --------
    >>> guess_marker(PurePath("7-CD4.svs")), guess_marker(PurePath("7-CD45.svs")), guess_marker(PurePath("CD4/7.svs"))
    ('CD4', '', 'CD4')
    """
    for name in _names(slide):
        found = [marker for marker, word in MARKER_WORDS.items() if word.search(name)]
        if found[:1] == ["negative_control"]:
            return found[0]  # "CCR4 negative control" is the control of CCR4's stain
        if found:
            return found[0] if len(found) == 1 else ""
    return ""


def guess_site(slide: PurePath) -> str:
    """Return the site that the name of a file states, or of its folders; "" for none or several.

    Examples
    --------
    >>> guess_site(PurePath("lymph node/7.svs")), guess_site(PurePath("7 skinny.svs"))
    ('lymph_node', '')
    """
    for name in _names(slide):
        found = [site for site, word in SITE_WORDS.items() if word.search(name)]
        if found:
            return found[0] if len(found) == 1 else ""
    return ""


def guess_biopsies(slides: Sequence[PurePath]) -> list[int]:
    """Return the number of each slide's biopsy, from 1 in order of appearance.

    Slides of one folder whose names differ in nothing but the marker are taken for one biopsy. Names that differ in
    more, as in a section's number, are kept apart: lines are easier joined than a wrong union is seen.

    Examples
    --------
    >>> guess_biopsies([PurePath("7 CD4.svs"), PurePath("7 CD8.svs"), PurePath("8 CD4.svs"), PurePath("CD4/9.svs")])
    [1, 1, 2, 3]
    """
    numbers: dict[tuple[str, ...], int] = {}
    return [numbers.setdefault(_without_marker(slide), len(numbers) + 1) for slide in slides]


def stem_of(slide: PurePath) -> str:
    """Return the name of a file without its ending, of which ``.ome.tif`` is one."""
    return slide.stem.removesuffix(".ome").removesuffix(".OME")


def _names(slide: PurePath) -> list[str]:
    """Return the file's name without its ending, then its folders', the nearest first."""
    return [stem_of(slide), *reversed(slide.parent.parts)]


def _without_marker(slide: PurePath) -> tuple[str, ...]:
    names = [*slide.parent.parts, stem_of(slide)]
    for word in MARKER_WORDS.values():
        names = [word.sub(" ", name) for name in names]
    return tuple(re.sub(r"[\W_]+", " ", name).strip().casefold() for name in names)
