"""Which places of a slide are tissue.

Decided by absolute measures relative to empty glass, never by a threshold that splits the histogram (Otsu): a picture
without background is tissue from edge to edge, and a blank one holds none, and neither has two modes to split. A place
is tissue where it absorbs light *and* shows colour or structure. Empty glass has neither, haze and glue absorb evenly
and without structure, grey fill absorbs without either. Two sets of cuts (hysteresis) keep pale tissue that hangs
together with tissue beyond doubt. Both are read after a blur, which widens tissue by several µm; so the border is set
last, by the density of the pixels themselves.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.geometry import Grid
from ihc_quant.stain.density import White, averaged, optical_density, require_rgb
from ihc_quant.stain.estimate import estimate_white_point
from ihc_quant.tissue.fragments import fill_holes, number_fragments
from ihc_quant.tissue.map import TissueMap
from ihc_quant.tissue.smoothing import smoothed

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TissueSettings:
    """Cuts of the tissue mask. Densities are log10, lengths µm, areas µm²; chosen on real slides and pictures.

    Attributes
    ----------
    working_um : float
        Pixels finer than this are averaged to at most this size first, so that pictures at 0.25 µm per pixel and
        overviews at 8 µm are judged alike.
    colour_blur_um : float
        Standard deviation of the blur before colour and density are read; one to two pixels of JPEG chroma noise.
    texture_window_um : float
        Edge of the window in which structure is measured, three to four lymphocytes.
    weak_od, strong_od : float
        Mean density of the channels, blurred. Glass stays within 0.005 of the white point; stroma begins at 0.015.
    weak_texture, strong_texture : float
        Standard deviation of density within the window. Empty glass reaches 0.006 where it is noisy or shaded; the
        palest stroma has 0.010, cells 0.03 and more.
    strong_chroma : float
        Density of the most absorbing channel less that of the least, blurred. Pale hematoxylin and pale DAB have 0.02
        and more, glass 0.006.
    strong_colour : float
        The same as a share of the mean density: hematoxylin has 0.75, DAB 0.9, eosin more, a black line or dust next to
        none.
    even_od, even_chroma, even_texture : float
        Tissue with little structure (keratin, colloid, blur) counts as weak where it is this dark and coloured, and
        not wholly even; tinted glass has a chroma of up to 0.06, but no density and no structure.
    dark_od : float
        As dark as this, a place counts as weak however even it is: saturated DAB, folds. Glass and haze never are.
    seed_um2 : float
        Strong area that weak tissue must hang together with, a few lymphocytes; a lone pixel of JPEG noise on a pen
        line is no proof of tissue. In pictures too small for it, ``speck_share`` of the picture.
    hole_um2 : float
        Holes up to this size are filled: lumens of capillaries, cracks, unstained nuclei. Fat cells, 50 µm wide and
        more, stay holes.
    border_um : float
        Within this distance of its border a mask is judged again, pixel by pixel without a blur; the blur and the
        window of the texture do not carry tissue farther out.
    border_od : float
        There a pixel is tissue from this mean density on, or from half of that of the tissue around it where that is
        less. Tissue of 0.1 reaches it where it fills a fifth of a pixel; a pixel with a nucleus in it always does.
    speck_um2 : float
        Fragments with less tissue are dropped as dust, unless they fill ``speck_share`` of a picture.
    speck_share : float
        Share of the picture that a fragment smaller than ``speck_um2`` must fill to be kept; it matters only for
        pictures of less than a fifth of a millimetre, in which there is no room for a larger one.
    gap_um : float
        Pieces up to this far apart are one fragment: cracks, tears, the pieces of a fatty section. Levels of a punch
        on one glass lie farther apart.
    """

    working_um: float = 4.0
    colour_blur_um: float = 4.0
    texture_window_um: float = 28.0
    weak_od: float = 0.012
    weak_texture: float = 0.009
    strong_od: float = 0.03
    strong_texture: float = 0.015
    strong_chroma: float = 0.015
    strong_colour: float = 0.2
    even_od: float = 0.06
    even_chroma: float = 0.03
    even_texture: float = 0.004
    dark_od: float = 0.3
    seed_um2: float = 400.0
    hole_um2: float = 2_000.0
    border_um: float = 10.0
    border_od: float = 0.02
    speck_um2: float = 10_000.0
    speck_share: float = 0.1
    gap_um: float = 150.0

    def __post_init__(self) -> None:
        lengths = ("working_um", "colour_blur_um", "texture_window_um", "border_um")
        for name in (*lengths, "weak_od", "weak_texture", "even_texture", "border_od"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is above 0, got {getattr(self, name)}")
        if self.strong_od < self.weak_od or self.strong_texture < self.weak_texture:
            raise ValueError("the strong cuts are not below the weak ones")
        if min(self.seed_um2, self.hole_um2, self.speck_um2, self.gap_um) < 0 or not 0 <= self.speck_share <= 1:
            raise ValueError(f"areas and gaps are not negative and a share lies within 0 to 1, got {self}")


DEFAULT_SETTINGS = TissueSettings()


def find_tissue(overview: NDArray[np.uint8], grid: Grid, settings: TissueSettings = DEFAULT_SETTINGS) -> TissueMap:
    """Return where tissue lies. Pure and deterministic.

    Parameters
    ----------
    overview : ndarray, shape (H, W, 3), uint8
        The whole slide, or a whole picture, on ``grid``; its first pixel lies at the origin. At most about 10 µm per
        pixel. Its border is not taken for an edge of tissue.
    grid : Grid
        Grid of the overview.
    settings : TissueSettings
        Cuts.

    Returns
    -------
    TissueMap
        On the overview's grid and with its shape.

    Raises
    ------
    TypeError, ValueError
        Where the overview is not uint8 (H, W, 3) with at least one pixel.
    """
    require_rgb(overview)
    if overview.ndim != 3 or 0 in overview.shape:
        raise ValueError(f"an overview has shape (H, W, 3), got {overview.shape}")
    factor = max(1, int(settings.working_um / grid.pixel_um + 1e-6))
    working, working_um = averaged(overview, factor), grid.pixel_um * factor
    white = estimate_white_point(working, working_um).rgb
    mask = fill_holes(_tissue_pixels(working, white, working_um, settings), settings.hole_um2 / working_um**2)
    mask = _with_its_border(mask, working, white, working_um, settings)
    fragments = number_fragments(
        mask,
        gap_px=settings.gap_um / working_um,
        min_px=min(settings.speck_um2 / working_um**2, settings.speck_share * mask.size),
    )
    height, width = overview.shape[:2]
    full = fragments if factor == 1 else fragments.repeat(factor, axis=0).repeat(factor, axis=1)[:height, :width]
    return TissueMap(np.ascontiguousarray(full), grid)


STRIP_PX = 256
"""Rows of an overview that are judged at once: on a whole glass the densities alone would take a gigabyte."""


def _tissue_pixels(rgb: NDArray[np.uint8], white: White, pixel_um: float, settings: TissueSettings) -> Mask:
    """Return the mask by hysteresis: weak pixels that hang together with a strong one."""
    weak, strong = np.empty(rgb.shape[:2], np.bool_), np.empty(rgb.shape[:2], np.bool_)
    beyond = int(4 * settings.colour_blur_um / pixel_um + settings.texture_window_um / pixel_um) + 4
    for start in range(0, len(rgb), STRIP_PX):
        first, end = max(0, start - beyond), start + STRIP_PX
        inside = slice(start - first, end - first)
        both = _weak_and_strong(optical_density(rgb[first : end + beyond], white), pixel_um, settings)
        weak[start:end], strong[start:end] = (each[inside] for each in both)
    strong &= weak
    count, labels = cv2.connectedComponents(weak.astype(np.uint8), connectivity=8)
    seeds = np.bincount(labels[strong], minlength=count)
    keep = seeds >= max(1.0, min(settings.seed_um2 / pixel_um**2, settings.speck_share * weak.size))
    keep[0] = False
    return np.asarray(keep[labels], np.bool_)


def _weak_and_strong(density: NDArray[np.float32], pixel_um: float, settings: TissueSettings) -> tuple[Mask, Mask]:
    """Return which pixels reach the weak cuts, and which the strong ones."""
    blurred = _blurred(density, settings.colour_blur_um / pixel_um)
    red, green, blue = (blurred[..., channel] for channel in range(3))
    mean = (red + green + blue) / np.float32(3)
    chroma = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    texture = _texture(_mean(density), settings.texture_window_um / pixel_um)
    weak = (mean >= settings.weak_od) & (texture >= settings.weak_texture)
    strong = (mean >= settings.strong_od) & (texture >= settings.strong_texture)
    strong &= chroma >= np.maximum(settings.strong_chroma, settings.strong_colour * mean)
    weak |= mean >= settings.dark_od
    weak |= (mean >= settings.even_od) & (texture >= settings.even_texture) & (chroma >= settings.even_chroma)
    return weak, strong


def _with_its_border(
    mask: Mask, rgb: NDArray[np.uint8], white: White, pixel_um: float, settings: TissueSettings
) -> Mask:
    """Return the mask without the places along its border that only a blur made tissue; no deeper than border_um."""
    reach = max(1, round(settings.border_um / pixel_um))
    # As OpenCV erodes, the border of the image is no edge.
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    core = cv2.erode(mask.astype(np.uint8), around) > 0
    kept, sigma_px = core, max(settings.border_um / pixel_um, 0.5)
    beyond = int(4 * sigma_px) + 4
    for start in range(0, len(rgb), STRIP_PX):
        first, end = max(0, start - beyond), start + STRIP_PX
        inside, there = slice(start - first, end - first), mask[first : end + beyond]
        density = _mean(optical_density(rgb[first : end + beyond], white))
        half = smoothed(density, there, sigma_px) / 2
        filled = density >= np.minimum(half, np.float32(settings.border_od))
        kept[start:end] |= (there & filled)[inside]
    return fill_holes(kept, settings.hole_um2 / pixel_um**2)


def _mean(density: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean density of the three channels."""
    return np.asarray((density[..., 0] + density[..., 1] + density[..., 2]) / np.float32(3), np.float32)


def _blurred(density: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    blurred = cv2.GaussianBlur(density, (0, 0), sigmaX=max(sigma_px, 0.5), borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32)


def _texture(density: NDArray[np.float32], window_px: float) -> NDArray[np.float32]:
    """Return the standard deviation of density within a square window; the border is mirrored."""
    edge = max(3, 2 * round(window_px / 2) + 1)
    mean = cv2.blur(density, (edge, edge), borderType=cv2.BORDER_REFLECT)
    square = cv2.blur(density * density, (edge, edge), borderType=cv2.BORDER_REFLECT)
    return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0)), np.float32)
