"""Stain vectors, and which marker and chromogen a section shows."""

import math
from dataclasses import dataclass

MARKERS: tuple[str, ...] = ("CD4", "CD8", "CCR4", "H&E", "negative_control", "other")
"""What a section was stained for."""

SITES: tuple[str, ...] = ("skin", "lymph_node", "other")
"""Where a biopsy was taken."""

CHROMOGENS: tuple[str, ...] = ("DAB", "AEC", "Fast Red", "magenta", "other", "none")
"""Chromogens that may be recorded; H&E has none."""

UNSTAINED_MARKER = "H&E"
"""The one of ``MARKERS`` that has no chromogen."""

NO_CHROMOGEN = "none"
"""Of sections that are shown and not scored, as H&E."""

SCORED_CHROMOGENS: tuple[str, ...] = ("DAB",)
"""Chromogens whose stain vectors are known; another one would be scored silently as DAB, so it is refused."""


@dataclass(frozen=True, slots=True)
class StainVector:
    """Unit vector of a stain in optical-density space.

    Attributes
    ----------
    name : str
        ``"hematoxylin"`` or the chromogen's name.
    red, green, blue : float
        Share of the stain's optical density (−log10) in each channel; the vector has length 1.
    """

    name: str
    red: float
    green: float
    blue: float

    def __post_init__(self) -> None:
        length = math.sqrt(self.red**2 + self.green**2 + self.blue**2)
        if not abs(length - 1) < 1e-6:
            raise ValueError(f"a stain vector has length 1, got {length:.4f} for {self.name}; use StainVector.of")

    @classmethod
    def of(cls, name: str, red: float, green: float, blue: float) -> "StainVector":
        """Return the vector scaled to length 1."""
        length = math.sqrt(red**2 + green**2 + blue**2)
        if length == 0:
            raise ValueError(f"the stain vector of {name} is zero")
        return cls(name, red / length, green / length, blue / length)


@dataclass(frozen=True, slots=True)
class StainMatrix:
    """Stains of one slide. One estimate for a slide, never one for each tile.

    Attributes
    ----------
    hematoxylin : StainVector
        The counterstain.
    chromogens : tuple of StainVector
        One a chromogen slot; today one, two chromogens on a section fit in.
    white : tuple of float
        Intensity (R, G, B) of empty glass, 0 to 255. Optical density is −log10(I / white).
    source : str
        ``"reference"`` or ``"estimated"``, for provenance.
    """

    hematoxylin: StainVector
    chromogens: tuple[StainVector, ...]
    white: tuple[float, float, float]
    source: str

    def __post_init__(self) -> None:
        if not 1 <= len(self.chromogens) <= 2:
            raise ValueError("a section carries one or two chromogens")
        if not all(0 < channel <= 255 for channel in self.white):
            raise ValueError(f"a white point lies above 0 and up to 255, got {self.white}")


REFERENCE_HEMATOXYLIN = StainVector.of("hematoxylin", 0.651, 0.701, 0.290)
"""Default hematoxylin vector of QuPath 0.5 (Ruifrok and Johnston 2001)."""

REFERENCE_DAB = StainVector.of("DAB", 0.269, 0.568, 0.778)
"""Default DAB vector of QuPath 0.5 (Ruifrok and Johnston 2001)."""


@dataclass(frozen=True, slots=True)
class SectionStain:
    """What one section shows in one chromogen slot.

    Attributes
    ----------
    marker : str
        One of ``MARKERS``.
    chromogen : str
        One of ``CHROMOGENS``.
    chromogen_assumed : bool
        True where the user did not state the chromogen and DAB was taken.
    """

    marker: str
    chromogen: str
    chromogen_assumed: bool

    def __post_init__(self) -> None:
        if self.marker not in MARKERS:
            raise ValueError(f"unknown marker {self.marker!r}; one of {', '.join(MARKERS)}")
        if self.chromogen not in CHROMOGENS:
            raise ValueError(f"unknown chromogen {self.chromogen!r}; one of {', '.join(CHROMOGENS)}")


@dataclass(frozen=True, slots=True)
class Panel:
    """The sections of one biopsy and what each shows.

    Attributes
    ----------
    sections : tuple of (slide_id, stains)
        For each section its identifier and one stain a chromogen slot.
    """

    sections: tuple[tuple[str, tuple[SectionStain, ...]], ...]

    def slides_of(self, marker: str) -> tuple[str, ...]:
        """Return the identifiers of the sections that show ``marker``, in the panel's order."""
        return tuple(slide for slide, stains in self.sections if any(stain.marker == marker for stain in stains))
