"""How a painted slide looks: its stains, its focus and its scanner."""

import math
from dataclasses import dataclass

import numpy as np

from ihc_quant.domain.stain import StainVector
from ihc_quant.stain.estimate import angle_degrees

SAMPLE_HEMATOXYLIN = StainVector.of("hematoxylin", 0.668, 0.660, 0.344)
"""Hematoxylin of the sample slides only; training never draws a vector near it."""

SAMPLE_DAB = StainVector.of("DAB", 0.300, 0.555, 0.776)
"""DAB of the sample slides only; training never draws a vector near it."""

KEPT_APART_DEGREES = 1.5
"""Least angle between a vector that training may use and the sample's vector of the same stain."""


@dataclass(frozen=True, slots=True)
class Look:
    """Appearance of one slide. Optical densities are −log10; lengths are in µm.

    Attributes
    ----------
    hematoxylin, dab, melanin, eosin : StainVector
        The pigments; ``eosin`` is the pale pink-brown of eosinophil granules, red cells and horn.
    white : tuple of float
        Intensity (R, G, B) of empty glass.
    hematoxylin_od, dab_od : float
        OD of a typical lymphocyte's nucleus, and of a strong cell's membrane.
    chromatin : float
        Contrast of the texture inside nuclei.
    ring_um : float
        Width of a stained membrane.
    completeness : float
        Share of a membrane that stains, 0 to 1, on the average cell.
    ring, blush, nuclear : float
        How the chromogen is shared among membrane, cytoplasm and nucleus.
    granular : float
        How grainy the chromogen lies.
    bleed : float
        Share of the chromogen that spreads about a cell, as precipitate does.
    haze_od, blue_haze_od : float
        Non-specific chromogen and hematoxylin on the ground substance.
    collagen_od : float
        Non-specific chromogen on collagen.
    melanin_od : float
        OD of a melanin granule; 0 paints none.
    eosin_od, eosin_brown : float
        OD of eosinophil granules, and how much of it is chromogen (peroxidase not blocked).
    blur_um, defocus_um : float
        Standard deviation of the optics' blur, and how much more it has where the slide is out of focus.
    sharpening : float
        Strength of the scanner's sharpening.
    noise : float
        Standard deviation of the sensor's noise, in grey levels.
    warp_um : float
        How irregular outlines are.
    """

    hematoxylin: StainVector
    dab: StainVector
    melanin: StainVector
    eosin: StainVector
    white: tuple[float, float, float]
    hematoxylin_od: float
    dab_od: float
    chromatin: float
    ring_um: float
    completeness: float
    ring: float
    blush: float
    nuclear: float
    granular: float
    bleed: float
    haze_od: float
    blue_haze_od: float
    collagen_od: float
    melanin_od: float
    eosin_od: float
    eosin_brown: float
    blur_um: float
    defocus_um: float
    sharpening: float
    noise: float
    warp_um: float


MELANIN = StainVector.of("melanin", 0.41, 0.57, 0.71)
"""Between black and brown; it unmixes to DAB with a small residual (DOMAIN.md)."""

EOSIN = StainVector.of("eosin", 0.30, 0.63, 0.66)
"""Pale pink-brown; our judgement by eye."""


def sample_look(marker: str, site: str) -> Look:
    """Return the look of a sample slide.

    Parameters
    ----------
    marker : str
        ``"CD4"``, ``"CD8"`` or ``"CCR4"``.
    site : str
        ``"skin"`` or ``"lymph_node"``.

    Returns
    -------
    Look
    """
    strength, completeness, haze = {"CD4": (0.62, 0.72, 0.045), "CD8": (1.0, 0.88, 0.02), "CCR4": (0.6, 0.7, 0.05)}[
        marker
    ]
    skin = site == "skin"
    return Look(
        hematoxylin=SAMPLE_HEMATOXYLIN,
        dab=SAMPLE_DAB,
        melanin=MELANIN,
        eosin=EOSIN,
        white=(243.0, 242.0, 240.0) if skin else (242.0, 241.0, 243.0),
        hematoxylin_od=0.42 if skin else 0.38,
        dab_od=strength,
        chromatin=0.22,
        ring_um=0.55,
        completeness=completeness,
        ring=1.0,
        blush=0.22 if marker == "CD8" else 0.3,
        nuclear=0.0,
        granular=0.35,
        bleed=0.12,
        haze_od=haze,
        blue_haze_od=0.065 if skin else 0.08,
        collagen_od=0.03,
        melanin_od=0.7,
        eosin_od=0.15,
        eosin_brown=0.5,
        blur_um=0.30,
        defocus_um=0.45,
        sharpening=0.35,
        noise=1.0,
        warp_um=0.5,
    )


def draw_look(rng: np.random.Generator) -> Look:
    """Draw the look of a training field: broad, and never that of the sample slides."""
    membrane = rng.random() < 0.82
    weak = rng.random() < 0.15
    white = np.clip(rng.normal(242, 7), 218, 254) + rng.normal(0, (3.5, 2.5, 3.5))
    return Look(
        hematoxylin=_drawn_vector(rng, (0.655, 0.690, 0.300), SAMPLE_HEMATOXYLIN, 3.5),
        dab=_drawn_vector(rng, (0.280, 0.570, 0.770), SAMPLE_DAB, 2.5),
        melanin=_jitter(rng, MELANIN, 3.0),
        eosin=_jitter(rng, EOSIN, 4.0),
        white=tuple(float(value) for value in np.clip(white, 205, 255)),  # type: ignore[arg-type]
        hematoxylin_od=float(rng.uniform(0.14, 0.75)),
        dab_od=float(rng.uniform(0.16, 0.4) if weak else rng.uniform(0.4, 1.5)),
        chromatin=float(rng.uniform(0.08, 0.4)),
        ring_um=float(rng.uniform(0.35, 0.95)),
        completeness=float(rng.uniform(0.4, 1.0)),
        ring=1.0 if membrane else float(rng.uniform(0, 0.3)),
        blush=float(rng.uniform(0.08, 0.8)),
        nuclear=float(rng.uniform(0, 0.25)) if membrane else float(rng.uniform(0.5, 1.0)),
        granular=float(rng.uniform(0.1, 0.7)),
        bleed=float(max(0.0, rng.uniform(-0.15, 0.4))),
        haze_od=float(rng.exponential(0.04)),
        blue_haze_od=float(rng.uniform(0.01, 0.12)),
        collagen_od=float(rng.exponential(0.03)),
        melanin_od=float(rng.uniform(0.3, 1.1)) if rng.random() < 0.6 else 0.0,
        eosin_od=float(rng.uniform(0.05, 0.4)),
        eosin_brown=float(rng.uniform(0, 0.8)),
        blur_um=float(rng.uniform(0.18, 0.55)),
        defocus_um=float(min(1.1, rng.exponential(0.35))),
        sharpening=float(max(0.0, rng.uniform(-0.4, 1.2))),
        noise=float(rng.uniform(0.3, 4.0)),
        warp_um=float(rng.uniform(0.3, 0.75)),
    )


def _jitter(rng: np.random.Generator, vector: StainVector, degrees: float) -> StainVector:
    """Turn a vector by a random angle of that standard deviation along each axis."""
    rgb = np.array([vector.red, vector.green, vector.blue]) + rng.normal(0, math.radians(degrees), 3)
    return StainVector.of(vector.name, *(float(value) for value in np.maximum(rgb, 0.02)))


def _drawn_vector(
    rng: np.random.Generator, mean: tuple[float, float, float], forbidden: StainVector, degrees: float
) -> StainVector:
    """Draw a vector about a mean, again and again until it is far enough from the sample's."""
    while True:
        drawn = _jitter(rng, StainVector.of(forbidden.name, *mean), degrees)
        if angle_degrees(drawn, forbidden) >= KEPT_APART_DEGREES:
            return drawn
