"""Published ways to call CCR4 staining positive or high, and what each says of a biopsy."""

from dataclasses import dataclass
from typing import Literal

from ihc_quant.domain.serial_sections import AnalysedRegion

Outcome = Literal["category", "indeterminate", "not applicable"]


@dataclass(frozen=True, slots=True)
class FractionCut:
    """A cut on a positive fraction and whether the cut itself belongs above.

    Attributes
    ----------
    fraction : float
        0 to 1.
    inclusive : bool
        True for "≥", False for ">".
    """

    fraction: float
    inclusive: bool

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise ValueError(f"a cut lies between 0 and 1, got {self.fraction}")

    def is_above(self, fraction: float) -> bool:
        """Return whether a fraction belongs above the cut.

        Examples
        --------
        >>> FractionCut(0.10, inclusive=True).is_above(0.10), FractionCut(0.05, inclusive=False).is_above(0.05)
        (True, False)
        """
        return fraction >= self.fraction if self.inclusive else fraction > self.fraction

    @property
    def label(self) -> str:
        """The cut as a page prints it: ``"≥ 10 %"``."""
        return f"{'≥' if self.inclusive else '>'} {100 * self.fraction:g} %"


@dataclass(frozen=True, slots=True)
class Ccr4Scheme:
    """One published scheme.

    Attributes
    ----------
    id, citation, antibody : str
        ``antibody`` as the source names it, or what is not known of it.
    denominator : str
        Cells of which the source gives the percentage.
    cut : FractionCut or None
        None where the source gives no number.
    categories : tuple of str
        Names below and above the cut; of all grades where there is no cut.
    region : str
        Kind of region whose cells stand for the denominator, drawn or confirmed by a person; empty without a cut.
    sites : tuple of str
        Where the scheme was set up; empty for anywhere.
    unnumbered : str
        Where there is no cut, the clause that completes "not applicable: …"; empty otherwise.
    scope : tuple of str
        Sentences that stand beside any outcome.
    """

    id: str
    citation: str
    antibody: str
    denominator: str
    cut: FractionCut | None
    categories: tuple[str, ...]
    region: str = ""
    sites: tuple[str, ...] = ()
    unnumbered: str = ""
    scope: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.cut is None) != bool(self.unnumbered) or (self.cut is None) == bool(self.region):
            raise ValueError(f"scheme {self.id} has a cut and a region, or says why it has none")
        if self.cut is not None and len(self.categories) != 2:
            raise ValueError(f"scheme {self.id} has one name below and one above its cut")


@dataclass(frozen=True, slots=True)
class SchemeVerdict:
    """What one scheme says of one section.

    Attributes
    ----------
    scheme : Ccr4Scheme
    outcome : {"category", "indeterminate", "not applicable"}
    category : str
        One of the scheme's; empty unless the outcome is ``"category"``.
    text : str
        The verdict in words, as a page prints it.
    slide_id : str
        Section that was judged; empty where none was.
    region : AnalysedRegion or None
        Region whose percentage was used; None where the scheme is not applicable.
    fraction, low, high : float or None
        The positive fraction and the outer limits of all its intervals; None where the scheme is not applicable.
    notes : tuple of str
        Sentences that must stand beside the verdict.
    """

    scheme: Ccr4Scheme
    outcome: Outcome
    category: str
    text: str
    slide_id: str = ""
    region: AnalysedRegion | None = None
    fraction: float | None = None
    low: float | None = None
    high: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.outcome == "category") != bool(self.category):
            raise ValueError("only a category has a category's name")
        if self.category and self.category not in self.scheme.categories:
            raise ValueError(f"scheme {self.scheme.id} knows no category {self.category!r}")
        if (self.outcome == "not applicable") != (self.fraction is None):
            raise ValueError("what was judged has a fraction, what was not has none")
