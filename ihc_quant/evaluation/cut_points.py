"""Categories by cut points: ``25`` or ``>=25`` takes figures from 25 on, ``>25`` those above it."""

import math
import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ihc_quant.errors import SettingsError
from ihc_quant.scoring.ccr4_schemes import CCR4_SCHEMES

RULE = re.compile(r"\s*(>=|>|≥)?\s*([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*")


@dataclass(frozen=True, slots=True)
class Cut:
    """One cut point.

    Attributes
    ----------
    at : float
    strict : bool
        Whether a figure must lie above it; one that meets it is then still below.
    """

    at: float
    strict: bool

    @property
    def words(self) -> str:
        """How the category above it is called."""
        return f"{'>' if self.strict else '≥'} {self.at:g}"


@dataclass(frozen=True, slots=True)
class CutScheme:
    """Categories between cut points.

    Attributes
    ----------
    name : str
    cuts : tuple of Cut
        Ascending, at least one.
    labels : tuple of str
        Names of the categories where the scheme has its own; else they are made of the cuts.
    """

    name: str
    cuts: tuple[Cut, ...]
    labels: tuple[str, ...] = ()

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of the categories, from the lowest.

        Examples
        --------
        >>> parse_cuts("1,>10").categories
        ('< 1', '≥ 1', '> 10')
        """
        if self.labels:
            return self.labels
        first = self.cuts[0]
        return (f"{'≤' if first.strict else '<'} {first.at:g}", *(cut.words for cut in self.cuts))

    def classify(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the category of each finite figure, from 0 for the lowest.

        Examples
        --------
        >>> parse_cuts(">=10").classify(np.array([9.9, 10.0])).tolist()
        [0, 1]
        >>> parse_cuts(">10").classify(np.array([10.0, 10.1])).tolist()
        [0, 1]
        """
        category = np.zeros(values.shape, np.int64)
        for cut in self.cuts:
            category += (values > cut.at) if cut.strict else (values >= cut.at)
        return category


def parse_cuts(text: str) -> CutScheme:
    """Return the scheme that an option states.

    Parameters
    ----------
    text : str
        ``"NAME:CUT,CUT"`` or ``"CUT,CUT"``, which is then its own name.

    Raises
    ------
    SettingsError
        Where it is no such text or cuts do not ascend.

    Examples
    --------
    >>> parse_cuts("high:>25")
    CutScheme(name='high', cuts=(Cut(at=25.0, strict=True),), labels=())
    """
    name, colon, rules = text.rpartition(":")
    found = [RULE.fullmatch(rule) for rule in rules.split(",")]
    try:
        cuts = tuple(Cut(float(match[2]), match[1] == ">") for match in found if match)
    except ValueError:
        cuts = ()
    if len(cuts) != len(found) or (colon and not name.strip()) or not all(math.isfinite(cut.at) for cut in cuts):
        raise SettingsError(f"--cuts {text}: write cut points such as 10, '>25' or 'name:1,10,50'.")
    if any(later.at <= earlier.at for earlier, later in pairwise(cuts)):
        raise SettingsError(f"--cuts {text}: cut points must ascend; put them in order and name each once.")
    return CutScheme(name.strip() or ", ".join(cut.words for cut in cuts), cuts)


def published_scheme(scheme_id: str) -> CutScheme:
    """Return a published CCR4 scheme as cut points on a percentage.

    Raises
    ------
    SettingsError
        Where there is no such scheme, or its source gives no cut.

    Examples
    --------
    >>> published_scheme("geller-2020-infiltrate-25").categories
    ('low', 'high')
    >>> published_scheme("geller-2020-infiltrate-25").classify(np.array([25.0, 25.1])).tolist()
    [0, 1]
    """
    with_cut = {scheme.id: scheme for scheme in CCR4_SCHEMES if scheme.cut is not None}
    if scheme_id not in with_cut:
        known = any(scheme.id == scheme_id for scheme in CCR4_SCHEMES)
        what = "the source of this scheme gives no cut" if known else "there is no such scheme"
        raise SettingsError(f"--scheme {scheme_id}: {what}; write {' or '.join(with_cut)}.")
    scheme = with_cut[scheme_id]
    assert scheme.cut is not None
    cut = Cut(round(100 * scheme.cut.fraction, 9), strict=not scheme.cut.inclusive)
    return CutScheme(scheme.id, (cut,), scheme.categories)
