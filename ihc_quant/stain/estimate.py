"""White point and stain vectors of a slide, estimated once from its overview or from a sample of its pixels.

The pipeline measures with the reference vectors and the estimated white point. Estimated vectors are recorded, so that
quality control can say how far a slide's colours lie from the reference; they differ with the amount of each stain, and
a slide with little chromogen would otherwise be scored against a vector made of noise.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.stain import REFERENCE_DAB, REFERENCE_HEMATOXYLIN, StainMatrix, StainVector
from ihc_quant.stain.density import FULL_WHITE, White, averaged, optical_density, require_rgb
from ihc_quant.stain.unmixing import unmixing_matrix

GLASS_PIXEL_UM = 4.0
"""Pixel size at which glass is judged even; finer pixels of pale stroma can be even too."""

GLASS_MIN_INTENSITY = 185
"""Darkest channel of empty glass; scanners are set to show it at 220 to 255."""

GLASS_MAX_CHROMA = 14
"""Largest difference between the channels of empty glass, of 255; a pale hematoxylin or DAB haze exceeds it."""

EXPECTED_WHITE = 240.0
"""Intensity of each channel of empty glass that a scan is expected to show. Glass was 232 to 244 on 80 CD138 fields,
235 to 247 on two CD3 crops, 243 to 246 on CMU-1, 239 to 243 on pictures of pen and 252 to 254 on PD-1 cores."""

GLASS_WINDOW_PX = 5
"""Edge of the window in which glass must be even, in overview pixels; wide enough to see the structure of stroma."""

GLASS_MAX_NOISE = 2.0
"""Standard deviation of green within the window, of 255: glass has 0.5 to 1.9 with its noise, pale stroma 5."""

STRIP_PX = 256
"""Rows of an overview in which glass is sought at once, so that memory stays small on a whole glass."""

MIN_BACKGROUND_SHARE = 0.02
"""Share of the overview that must be empty glass; below it the estimate would rest on holes and pale tissue."""

MIN_PIXEL_OD = 0.15
"""Mean optical density below which a pixel's direction is mostly noise (Macenko 2009, 10.1109/ISBI.2009.5193250)."""

DOMINANT_SHARE = 0.65
"""Share of a pixel's stain density that makes one stain dominant, by the reference vectors."""

MIN_STAIN_PIXELS = 200
"""Pixels that must be dominated by a stain before its vector is estimated."""

ANGLE_PERCENTILE = 5.0
"""Robust extreme of the angles in the stain plane, in per cent from either end (Macenko takes 1; rare pigment and red
cells lie beyond it)."""

SHOW_MOSTLY = "pixels show mostly"
LACKS_CHROMOGEN = f"{SHOW_MOSTLY} chromogen"
"""Words of the reason where the sample holds too little chromogen; results that were kept are searched for them."""

STRONG_PIXEL_OD = 0.35
"""Mean optical density from which a pixel's colour is judged by itself; paler ones vary with scanner and JPEG."""

UNFIT_DEGREES = 15.0
"""Angle from every mixture of the two reference stains beyond which a pixel fits neither."""

MAX_DEVIATION_DEGREES = 20.0
"""Largest plausible angle between an estimated and a reference vector; hematoxylin and DAB are 37° apart."""


@dataclass(frozen=True, slots=True)
class WhitePoint:
    """Intensity of empty glass.

    Attributes
    ----------
    rgb : tuple of float
        (R, G, B), 0 to 255.
    source : str
        ``"estimated"`` or ``"assumed"``.
    background_share : float
        Share of the overview that is empty glass, 0 to 1.
    reason : str
        Why it was assumed; empty otherwise.
    """

    rgb: White
    source: str
    background_share: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StainEstimate:
    """Stain vectors of a slide and how they came about.

    Attributes
    ----------
    stains : StainMatrix
        The estimated vectors, or the reference ones; its ``source`` says which.
    hematoxylin_deviation_degrees, chromogen_deviation_degrees : float or None
        Angle between the estimated and the reference vector, also where the estimate was refused; None where there was
        too little stain to estimate.
    reason : str
        Why the reference vectors stand; empty where the estimate does.
    unfit_share : float or None
        Share of the strongly absorbing pixels, 0 to 1, that no mixture of the reference vectors explains; None where
        there were too few of them.
    """

    stains: StainMatrix
    hematoxylin_deviation_degrees: float | None
    chromogen_deviation_degrees: float | None
    reason: str = ""
    unfit_share: float | None = None

    @property
    def stain_deviation_degrees(self) -> float | None:
        """The larger of the two angles; None where there was no estimate."""
        if self.hematoxylin_deviation_degrees is None or self.chromogen_deviation_degrees is None:
            return None
        return max(self.hematoxylin_deviation_degrees, self.chromogen_deviation_degrees)


@dataclass(frozen=True, slots=True)
class SlideColours:
    """What a slide's colours are judged by.

    Attributes
    ----------
    white : tuple of float, or None
        Intensity (R, G, B) of empty glass; None where the slide shows none.
    stain_degrees : float or None
        Angle between the slide's own stain vectors and the reference; None where they could not be estimated.
    unfit_share : float or None
        Share of the strongly absorbing pixels that fit neither reference stain; None where it is not known.
    """

    white: White | None = None
    stain_degrees: float | None = None
    unfit_share: float | None = None


def white_deviation(white: White) -> float:
    """Return the largest difference of a channel from ``EXPECTED_WHITE``, as a share of it.

    Examples
    --------
    >>> white_deviation((240.0, 228.0, 246.0))
    0.05
    """
    return max(abs(channel - EXPECTED_WHITE) for channel in white) / EXPECTED_WHITE


def reference_stains(white: White = FULL_WHITE) -> StainMatrix:
    """Return QuPath's default hematoxylin and DAB vectors with a white point."""
    return StainMatrix(REFERENCE_HEMATOXYLIN, (REFERENCE_DAB,), white, "reference")


def estimate_white_point(overview: NDArray[np.uint8], pixel_um: float = GLASS_PIXEL_UM) -> WhitePoint:
    """Return the intensity of empty glass of a slide.

    Glass is bright, unsaturated and even. Pure 255 is left out where other glass exists: scanners and readers fill
    places that were never scanned with it.

    Parameters
    ----------
    overview : ndarray, shape (H, W, 3), uint8
        The slide at a few µm per pixel, or a picture.
    pixel_um : float
        Size of its pixels; finer ones are averaged to ``GLASS_PIXEL_UM`` first.

    Returns
    -------
    WhitePoint
        The median colour of the brightest glass, or 255 with the reason where less than ``MIN_BACKGROUND_SHARE`` of the
        overview is glass.

    Raises
    ------
    TypeError, ValueError
        Where the overview is not uint8 (H, W, 3) with at least one pixel.
    """
    require_rgb(overview)
    if overview.ndim != 3 or 0 in overview.shape:
        raise ValueError(f"an overview has shape (H, W, 3), got {overview.shape}")
    overview = averaged(overview, max(1, int(GLASS_PIXEL_UM / pixel_um + 1e-6)))
    red, green, blue = (np.ascontiguousarray(overview[..., channel]) for channel in range(3))
    lowest = np.minimum(np.minimum(red, green), blue)
    filled = lowest == 255
    glass = (lowest >= GLASS_MIN_INTENSITY) & (np.maximum(np.maximum(red, green), blue) - lowest <= GLASS_MAX_CHROMA)
    for start in range(0, len(green), STRIP_PX):
        first, end = max(0, start - GLASS_WINDOW_PX), start + STRIP_PX
        glass[start:end] &= _noise(green[first : end + GLASS_WINDOW_PX])[start - first : end - first] <= GLASS_MAX_NOISE
    real = glass & ~filled
    scanned = max(1, filled.size - int(np.count_nonzero(filled)))
    share = float(np.count_nonzero(real)) / scanned
    if share < MIN_BACKGROUND_SHARE:
        if float(filled.mean()) >= MIN_BACKGROUND_SHARE:
            return WhitePoint(FULL_WHITE, "estimated", float(filled.mean()))
        reason = f"only {share:.1%} of the slide is empty glass, {MIN_BACKGROUND_SHARE:.0%} are needed"
        return WhitePoint(FULL_WHITE, "assumed", share, reason)
    # The brightest well-filled peak: pale even tissue may be frequent, but it is never brighter than the glass.
    counts = np.zeros(256, np.int64)
    for start in range(0, len(green), STRIP_PX):
        strip = slice(start, start + STRIP_PX)
        counts += np.bincount(green[strip][real[strip]], minlength=256)
    counts = np.convolve(counts, np.ones(5, np.int64), "same")
    peak = _peak_below(counts, int(np.flatnonzero(counts >= 0.25 * counts.max())[-1]))
    near = real & (np.abs(np.arange(256) - peak) <= 4)[green]
    medians = (float(np.median(channel[near])) for channel in (red, green, blue))
    return WhitePoint((next(medians), next(medians), next(medians)), "estimated", share)


def _noise(channel: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the standard deviation within the window around each pixel; the border is mirrored."""
    size, border = (GLASS_WINDOW_PX, GLASS_WINDOW_PX), cv2.BORDER_REFLECT
    values = channel.astype(np.float32)
    mean = np.asarray(cv2.blur(values, size, borderType=border), np.float32)
    square = np.asarray(cv2.sqrBoxFilter(values, cv2.CV_32F, size, borderType=border), np.float32)
    return np.sqrt(np.maximum(square - mean * mean, 0))


def _peak_below(counts: NDArray[np.int64], start: int) -> int:
    """Return the position of the local maximum reached by climbing down in intensity from ``start``."""
    position = start
    while position > 0 and counts[position - 1] >= counts[position]:
        position -= 1
    return position


def estimate_stains(pixels: NDArray[np.uint8], white: White = FULL_WHITE) -> StainEstimate:
    """Return the hematoxylin and chromogen vectors of a slide, after Macenko 2009 with two changes.

    Pixels are balanced between those that the reference vectors call hematoxylin and those they call chromogen, because
    the plane of a slide with one positive cell in a hundred would otherwise be a plane of hematoxylin and noise; and
    the angles are taken at ``ANGLE_PERCENTILE``.

    Parameters
    ----------
    pixels : ndarray, shape (n, 3), uint8
        A sample of the slide's tissue, at about 0.5 to 1 µm per pixel.
    white : tuple of float
        Intensity of empty glass.

    Returns
    -------
    StainEstimate
        With the reference vectors and a reason where there is too little of a stain or the estimate is implausible.
    """
    require_rgb(pixels)
    reference = reference_stains(white)
    density = optical_density(pixels.reshape(-1, 3), white).astype(np.float64)
    usable = (density.mean(axis=1) >= MIN_PIXEL_OD) & (pixels.reshape(-1, 3).min(axis=1) > 5)
    density = density[usable]
    unfit = _unfit_share(density, reference)
    amounts = np.maximum(density @ unmixing_matrix(reference)[:, :2], 0)
    share = amounts[:, 1] / np.maximum(amounts.sum(axis=1), 1e-9)
    groups = {"hematoxylin": density[share <= 1 - DOMINANT_SHARE], "chromogen": density[share >= DOMINANT_SHARE]}
    for name, members in groups.items():
        if len(members) < MIN_STAIN_PIXELS:
            reason = f"only {len(members)} {SHOW_MOSTLY} {name}, {MIN_STAIN_PIXELS} are needed"
            return StainEstimate(reference, None, None, reason, unfit)
    directions = _extreme_directions(groups["hematoxylin"], groups["chromogen"])
    hematoxylin, chromogen = (
        StainVector.of(old.name, *(float(value) for value in new))
        for old, new in zip((reference.hematoxylin, reference.chromogens[0]), directions, strict=True)
    )
    off_h = angle_degrees(hematoxylin, reference.hematoxylin)
    off_c = angle_degrees(chromogen, reference.chromogens[0])
    if max(off_h, off_c) > MAX_DEVIATION_DEGREES:
        reason = f"the estimate lies {max(off_h, off_c):.0f}° from the reference, {MAX_DEVIATION_DEGREES:.0f}° at most"
        return StainEstimate(reference, off_h, off_c, reason, unfit)
    return StainEstimate(StainMatrix(hematoxylin, (chromogen,), white, "estimated"), off_h, off_c, unfit_share=unfit)


def _unfit_share(density: NDArray[np.float64], reference: StainMatrix) -> float | None:
    """Return the share of the strongly absorbing pixels that lie off every mixture of the two stains.

    Nothing is grouped by the reference vectors first: with another chromogen those groups are empty.
    """
    strong = density[density.mean(axis=1) >= STRONG_PIXEL_OD]
    if len(strong) < MIN_STAIN_PIXELS:
        return None
    pair = (reference.hematoxylin, reference.chromogens[0])
    vectors = np.array([(vector.red, vector.green, vector.blue) for vector in pair], np.float64)
    units = strong / np.linalg.norm(strong, axis=1, keepdims=True)
    amounts = units @ unmixing_matrix(reference)
    # The third stain is the unit normal of the plane. A colour beyond either stain is nearest to that stain itself.
    between = (amounts[:, :2] >= 0).all(axis=1)
    cosine = np.where(between, np.sqrt(np.maximum(1 - amounts[:, 2] ** 2, 0)), (units @ vectors.T).max(axis=1))
    return float(np.mean(cosine < np.cos(np.radians(UNFIT_DEGREES))))


def _extreme_directions(
    hematoxylin: NDArray[np.float64], chromogen: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the unit vectors at the robust ends of the plane that holds both groups; each group weighs the same."""
    units = [group / np.linalg.norm(group, axis=1, keepdims=True) for group in (hematoxylin, chromogen)]
    scatter = sum(unit.T @ unit / len(unit) for unit in units)
    _, axes = np.linalg.eigh(scatter)
    first, second = axes[:, 2], axes[:, 1]
    first = first * np.sign(first.sum())
    angles = [np.arctan2(unit @ second, unit @ first) for unit in units]
    towards = 1.0 if np.median(angles[1]) >= np.median(angles[0]) else -1.0
    ends = (
        towards * np.percentile(towards * angles[0], ANGLE_PERCENTILE),
        towards * np.percentile(towards * angles[1], 100 - ANGLE_PERCENTILE),
    )
    low, high = (np.maximum(np.cos(end) * first + np.sin(end) * second, 0) for end in ends)
    return low, high


def angle_degrees(a: StainVector, b: StainVector) -> float:
    """Return the angle between two stain vectors, in degrees."""
    cosine = a.red * b.red + a.green * b.green + a.blue * b.blue
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
