"""Which image sets of the weights' card speak for a figure, and how far the network may be off on one more patient.

A set of the section's own marker speaks for it alone; otherwise all sets are taken. None of those is known to hold for
another marker or tissue, so what rests on them is marked.

A set of a single patient does not tell how patients differ. One of another marker is then left aside, and the statement
says so. One of the section's own marker, as a laboratory's own images may be, is not dropped: its bias counts with the
spread and the degrees of freedom of each of the other sets, of its own marker where there are such, and where these are
of other markers they speak beside it, so that it never narrows what they say.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.domain.score import NO_ERROR_STATED

NAMED_MARKERS = ("CD4", "CD8", "CCR4")
"""Markers that a statement names; others are "this stain"."""


NOT_VALIDATED = "; not validated for "
"""Before the marker, where no set is of it."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Error of a figure on the images of one set, on a scale on which errors add.

    Attributes
    ----------
    bias, sd : float
    patients : int
    """

    bias: float
    sd: float
    patients: int

    def draw(self, draws: int, random: np.random.Generator) -> NDArray[np.float64]:
        """Return errors (draws,) of a new patient, bias + s √(1 + 1/k) t with k − 1 degrees of freedom.

        Notes
        -----
        The predictive distribution of one more value after k (Gelman et al., Bayesian Data Analysis, 3rd edition,
        section 3.2).
        """
        off = random.standard_t(self.patients - 1, draws) * (1 + 1 / self.patients) ** 0.5
        return np.asarray(self.bias + self.sd * off, np.float64)


@dataclass(frozen=True, slots=True)
class KnownError:
    """What is known of the error of a figure.

    Attributes
    ----------
    used : tuple of MeasurementError
        Sets that the statement describes.
    drawn : tuple of (MeasurementError, Spread)
        What is drawn from; empty where the error is not known.
    doubt : str
        What to add to the statement and to the note of the interval; empty where there is no doubt.
    aside : str
        What to add to the statement alone.
    """

    used: tuple[MeasurementError, ...]
    drawn: tuple[tuple[MeasurementError, Spread], ...]
    doubt: str = ""
    aside: str = ""

    @property
    def elsewhere(self) -> str:
        """For what no set is validated, as a note; empty where a set is of the marker itself."""
        return self.doubt.removeprefix("; ") if self.doubt.startswith(NOT_VALIDATED) else ""

    @property
    def note(self) -> str:
        """Why the error may not hold here, as an interval notes it."""
        return f"measured on {places_of([error for error, _ in self.drawn])}{self.doubt}" if self.doubt else ""

    def statement(self, details: Callable[[MeasurementError], str]) -> str:
        """Return on what the error was measured, or why it is not known."""
        if not self.used:
            return NO_ERROR_STATED
        each = "; ".join(map(details, self.used))
        if not self.drawn:
            return f"measurement error unknown: measured on a single patient ({each}){self.doubt}"
        return f"measured on {each}{self.doubt}{self.aside}"


def known_error(
    marker: str, errors: Sequence[MeasurementError], spread_of: Callable[[MeasurementError], Spread | None]
) -> KnownError:
    """Return what the image sets of a card say of the error of one figure of a marker.

    Parameters
    ----------
    marker : str
        One of ``ihc_quant.domain.stain.MARKERS``.
    errors : sequence of MeasurementError
        In any order.
    spread_of : callable
        Error of the figure on a set; None where it was not measured there.
    """
    told = [(error, spread) for error in errors if (spread := spread_of(error)) is not None]
    own = [(error, spread) for error, spread in told if error.marker == marker]
    used = own or told
    doubt = "" if own else f"{NOT_VALIDATED}{marker if marker in NAMED_MARKERS else 'this stain'}"
    drawn = [(error, spread) for error, spread in used if spread.patients > 1]
    single = [(error, spread) for error, spread in used if spread.patients == 1]
    aside = ""
    if single and own:
        lenders = drawn or [(error, spread) for error, spread in told if spread.patients > 1]
        lent = [
            (error, Spread(spread.bias, max(spread.sd, lender.sd), lender.patients))
            for error, spread in single
            for _, lender in lenders
        ]
        if lent:
            doubt = (
                f"; {places_of([error for error, _ in single])}: a single patient, so how patients differ is taken "
                f"from {places_of([error for error, _ in lenders])}"
            )
            drawn = [*lenders, *lent]
    elif single and drawn:
        aside = f"; {places_of([error for error, _ in single])} left aside, being of a single patient"
    return KnownError(tuple(error for error, _ in used), tuple(drawn), doubt, aside)


def place_of(error: MeasurementError) -> str:
    """Return marker and tissue of an image set, as a page names it."""
    return f"{error.marker}, {error.tissue}"


def places_of(errors: Sequence[MeasurementError]) -> str:
    """Return marker and tissue of image sets, each once."""
    return "; ".join(dict.fromkeys(map(place_of, errors)))


def images_of(images: int, patients: int) -> str:
    """Return how many images of how many patients, in words.

    Examples
    --------
    >>> images_of(101, 5), images_of(26, 26), images_of(1, 1)
    ('101 images of 5 patients', '26 images', '1 image of 1 patient')
    """
    named = "1 image" if images == 1 else f"{images} images"
    # Where patients are not known, each image stands for one.
    return named if patients == images > 1 else f"{named} of {patients} patient{'' if patients == 1 else 's'}"
