"""Quality control of a slide: one cause for each place, and what must be said of the whole."""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.quality import CAUSE_WORDS, Cause, ControlProposal, QualityFindings, QualityMap
from ihc_quant.stain.density import White
from ihc_quant.stain.estimate import EXPECTED_WHITE, SlideColours, white_deviation
from ihc_quant.tissue.artefacts import edge_band, find_blank, find_blur, find_pen, find_saturated
from ihc_quant.tissue.fold_chances import FoldChances, likely_folds
from ihc_quant.tissue.folds import find_folds
from ihc_quant.tissue.map import TissueMap
from ihc_quant.tissue.quality_settings import DEFAULT_QUALITY, QualitySettings
from ihc_quant.tissue.tile_measures import DensityRaster, MeasureRaster

PIECES_APART_UM = 500.0
"""Tissue farther apart is judged by itself, so that memory grows with the largest piece and not with the glass. No
detector looks farther than half of it."""

FLAGGED_UNFIT_SHARE = 0.1
"""Share of strongly absorbing pixels that fit neither stain above which a slide's colours are flagged. No setting, so
that slides measured before are not measured again. It was 0 to 0.057 on 102 real pictures with DAB or hematoxylin alone
(four sets), 0.148 on a picture recoloured to Fast Red and 0.104 on one of turned hue."""

PALE = "The stain is pale: cells may have been missed."


def find_causes(
    overview: NDArray[np.uint8],
    tissue: TissueMap,
    measures: MeasureRaster,
    white: White,
    settings: QualitySettings = DEFAULT_QUALITY,
    folds: FoldChances | None = None,
) -> QualityMap:
    """Return the cause of each place of a slide. Pure and deterministic.

    Parameters
    ----------
    overview : ndarray, shape (H, W, 3), uint8
        The slide on the tissue map's grid.
    tissue : TissueMap
    measures : MeasureRaster
        Of the slide's tiles.
    white : tuple of float
        White point.
    settings : QualitySettings
    folds : FoldChances, optional
        From the fold network; without them rules tell folds from the measures.

    Raises
    ------
    ValueError
        Where overview and tissue differ in shape.
    """
    if overview.shape[:2] != tissue.mask.shape:
        raise ValueError(f"overview and tissue have one shape, got {overview.shape[:2]} and {tissue.mask.shape}")
    pixel_um = tissue.grid.pixel_um
    on_squares = _nearest(tissue.mask, pixel_um, measures.step_um, measures.values.shape[:2])
    found = {
        Cause.EDGE: edge_band(tissue.mask, settings.edge_um / pixel_um),
        Cause.PEN: find_pen(overview, pixel_um, white, settings),
    }
    pieces = list(_pieces_apart(on_squares, PIECES_APART_UM / measures.step_um))
    if folds is not None:
        found[Cause.FOLD] = likely_folds(folds, tissue.mask, pixel_um, settings)
    for cause, find in (
        *(((Cause.FOLD, find_folds),) if folds is None else ()),
        (Cause.BLANK, find_blank),
        (Cause.SATURATED, find_saturated),
        (Cause.BLUR, find_blur),
    ):
        squares = np.zeros(on_squares.shape, np.bool_)
        for place, piece in pieces:
            squares[place] |= find(MeasureRaster(measures.values[place], measures.step_um), piece, settings)
        found[cause] = _nearest(squares, measures.step_um, pixel_um, tissue.mask.shape) & tissue.mask
    causes = np.zeros(tissue.mask.shape, np.uint8)
    for cause in sorted(found, reverse=True):
        causes[found[cause]] = cause
    return QualityMap(causes, tissue.grid)


def summarise(
    quality: QualityMap,
    tissue: TissueMap,
    density: DensityRaster,
    colours: SlideColours,
    controls: tuple[ControlProposal, ...] = (),
    settings: QualitySettings = DEFAULT_QUALITY,
) -> QualityFindings:
    """Return what must be said of a slide: shares by cause, pen on glass, control tissue, colours off, stain pale.

    Parameters
    ----------
    quality : QualityMap
    tissue : TissueMap
        The part that is told of.
    density : DensityRaster
    colours : SlideColours
    controls : tuple of ControlProposal
    settings : QualitySettings
    """
    whole = tissue.area_um2()
    areas = quality.areas_um2(tissue.mask)
    shares = {CAUSE_WORDS[cause]: area / whole for cause, area in areas.items()}
    excluded = sum(area for cause, area in areas.items() if cause in settings.excluded) / whole if whole else 0.0
    glass = quality.areas_um2(~tissue.mask).get(Cause.PEN, 0.0)
    flags = []
    if much_spoiled(excluded, settings):
        flags.append(f"{100 * excluded:.0f} % of the tissue is spoiled (pen, fold, blur and the like).")
    flags += _colour_flags(colours, settings)
    shape = density.values.shape
    on_squares = _nearest(tissue.mask, tissue.grid.pixel_um, density.step_um, shape) & density.known
    if on_squares.any() and float(np.quantile(density.od_of(on_squares), 0.9)) < settings.pale_od:
        flags.append(PALE)
    for control in controls:
        numbers = ", ".join(str(number) for number in control.fragments)
        flags.append(
            f"Fragment {numbers} may be control tissue ({control.reason}). It was counted; name the control or the "
            "patient's fragments to leave it out."
        )
    off_white = None if colours.white is None else white_deviation(colours.white)
    return QualityFindings(shares, excluded, glass, off_white, controls, tuple(flags))


def _colour_flags(colours: SlideColours, settings: QualitySettings) -> Iterator[str]:
    """Yield what must be said of a slide's stain vectors and of its glass."""
    degrees, white = colours.stain_degrees, colours.white
    if vectors_off(colours, settings):
        yield (
            f"Unusual stain vectors: the slide's own lie {degrees:.0f}° from the reference that it was scored with "
            f"(more than {settings.flagged_degrees:g}°); check chromogen, counterstain and scan."
        )
    elif colours_unfit(colours, settings):
        yield (
            f"Unusual stain vectors: {100 * (colours.unfit_share or 0):.1f} % of the strongly coloured pixels fit "
            f"neither reference vector (more than {100 * FLAGGED_UNFIT_SHARE:g} %), so stain may have been missed or "
            "mistaken; check chromogen, counterstain and scan."
        )
    if white is not None and white_off(off := white_deviation(white), settings):
        shown = ", ".join(f"{channel:.0f}" for channel in white)
        yield (
            f"Unusual white point: empty glass shows as {shown} (red, green, blue), up to {100 * off:.0f} % from the "
            f"neutral {EXPECTED_WHITE:g} that is expected (more than {100 * settings.flagged_white:g} %); check lamp, "
            "exposure and white balance of the scan."
        )


def vectors_off(colours: SlideColours, settings: QualitySettings) -> bool:
    """Return whether a slide's own stain vectors lie too far from those that it was scored with."""
    return colours.stain_degrees is not None and colours.stain_degrees > settings.flagged_degrees


def colours_unfit(colours: SlideColours, settings: QualitySettings) -> bool:
    """Return whether too many strong pixels fit neither stain of the score, though no vector was seen to lie off."""
    many = colours.unfit_share is not None and colours.unfit_share > FLAGGED_UNFIT_SHARE
    return many and not vectors_off(colours, settings)


def white_off(deviation: float | None, settings: QualitySettings) -> bool:
    """Return whether empty glass, where there is any, deviates too far from the white that is expected."""
    return deviation is not None and deviation > settings.flagged_white


def much_spoiled(excluded_share: float, settings: QualitySettings) -> bool:
    """Return whether too much of the tissue is spoiled."""
    return excluded_share > settings.flagged_share


def _pieces_apart(
    on_squares: NDArray[np.bool_], apart_px: float
) -> Iterator[tuple[tuple[slice, slice], NDArray[np.bool_]]]:
    """Yield pieces of tissue that lie so far apart: the rectangle around each, and the piece within, bool (H, W)."""
    reach = max(1, int(np.ceil(apart_px / 2)))
    # A plain square, which OpenCV grows in two passes.
    grown = cv2.dilate(on_squares.astype(np.uint8), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(grown, connectivity=8)
    for number in range(1, count):
        left, top, width, height = (int(value) for value in stats[number, :4])
        place = (slice(top, top + height), slice(left, left + width))
        yield place, np.asarray(on_squares[place] & (labels[place] == number), np.bool_)


def _nearest(mask: NDArray[np.bool_], from_um: float, to_um: float, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a mask on another grid of the same origin, each pixel taking what lies at its centre."""
    rows = np.minimum(((np.arange(shape[0]) + 0.5) * to_um / from_um).astype(np.intp), mask.shape[0] - 1)
    columns = np.minimum(((np.arange(shape[1]) + 0.5) * to_um / from_um).astype(np.intp), mask.shape[1] - 1)
    return np.asarray(mask[np.ix_(rows, columns)], np.bool_)
