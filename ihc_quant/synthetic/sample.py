"""The two sample biopsies: their populations, sections and pictures.

Arrays and truth only; ``batch/samples.py`` writes them.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ihc_quant.domain.geometry import GridBox
from ihc_quant.synthetic.biopsy_plan import lymph_node_plan, skin_plan
from ihc_quant.synthetic.camera import REACH_UM, photograph
from ihc_quant.synthetic.carriage import with_markers
from ihc_quant.synthetic.field import SAMPLE_SEEDS
from ihc_quant.synthetic.look import Look, sample_look
from ihc_quant.synthetic.painting import lay_pigment
from ihc_quant.synthetic.plan import Plan, Region
from ihc_quant.synthetic.population import MARKERS, Population, populate
from ihc_quant.synthetic.section import Section, cut
from ihc_quant.synthetic.texture import smooth_noise
from ihc_quant.synthetic.visibility import ShownNuclei, can_be_seen, nuclear_contrast, owner_sums, shown_nuclei

SECTION_UM = 4.0
"""Thickness of every sample section."""

PIXEL_UM = 0.25
"""µm per pixel of the sample slides."""

_SLAB_UM = 36.0
_FIRST_UM = 12.0
_BAND_PX = 384


@dataclass(frozen=True, slots=True)
class Biopsy:
    """One painted biopsy.

    Attributes
    ----------
    biopsy_id, patient_id, site : str
    seed : int
        One of ``SAMPLE_SEEDS``.
    size_um : (float, float)
        Width and height of the glass that is scanned.
    plan : Plan
    population : Population
        In a slab of ``depth_um``.
    depth_um : float
    """

    biopsy_id: str
    patient_id: str
    site: str
    seed: int
    size_um: tuple[float, float]
    plan: Plan
    population: Population
    depth_um: float

    @property
    def tissue_um2(self) -> float:
        """Area of the tissue's outline, vessels and fat included."""
        return float((self.plan.region != Region.GLASS).sum()) * self.plan.pixel_um**2

    @property
    def tissue_without_fat_um2(self) -> float:
        """Area of the tissue less its fat vacuoles, which look like glass."""
        return float((~np.isin(self.plan.region, (Region.GLASS, Region.FAT))).sum()) * self.plan.pixel_um**2


@dataclass(frozen=True, slots=True)
class PaintedSection:
    """One stained section of a biopsy, with its truth.

    Attributes
    ----------
    marker : str
    index : int
        1 for the first section cut.
    section : Section
        Cells in the slide's plane: x and y in µm from the corner of level-0 pixel (0, 0).
    carries : ndarray of bool, (n,)
        Which cells carry the section's marker.
    visible : ndarray of bool, (n,)
        Which of the cells that count a reader of the picture could mark, by ``visibility.can_be_seen``.
    rgb : ndarray of uint8, (H, W, 3)
        At ``PIXEL_UM``.
    """

    marker: str
    index: int
    section: Section
    carries: NDArray[np.bool_]
    visible: NDArray[np.bool_]
    rgb: NDArray[np.uint8]


def grow_biopsies() -> tuple[Biopsy, Biopsy]:
    """Return the skin and the lymph-node biopsy, not yet painted."""
    return (
        grow_biopsy("skin", SAMPLE_SEEDS.start + 1, (1560.0, 1120.0)),
        grow_biopsy("lymph_node", SAMPLE_SEEDS.start + 2, (1460.0, 1180.0)),
    )


def grow_biopsy(site: str, seed: int, size_um: tuple[float, float]) -> Biopsy:
    """Lay out a biopsy and fill it with cells.

    Parameters
    ----------
    site : str
        ``"skin"`` or ``"lymph_node"``.
    seed : int
    size_um : (float, float)

    Returns
    -------
    Biopsy

    Raises
    ------
    ValueError
        If the seed is not one of those kept for samples.
    """
    if seed not in SAMPLE_SEEDS:
        raise ValueError(f"a sample's seed lies in {SAMPLE_SEEDS}, got {seed}")
    rng = np.random.default_rng(seed)
    plan = (skin_plan if site == "skin" else lymph_node_plan)(*size_um, rng)
    population = with_markers(populate(plan, _SLAB_UM, rng), rng)
    number = seed - SAMPLE_SEEDS.start
    return Biopsy(f"sample-{site}", f"SAMPLE-{number}", site, seed, size_um, plan, population, _SLAB_UM)


def paint_biopsy(biopsy: Biopsy, *, workers: int = 2) -> Iterator[PaintedSection]:
    """Paint the consecutive sections of a biopsy, one for each of CD4, CD8 and CCR4.

    Parameters
    ----------
    biopsy : Biopsy
    workers : int
        Threads; the pixels do not depend on it.

    Yields
    ------
    PaintedSection
    """
    for index, marker in enumerate(MARKERS):
        rng = np.random.default_rng([biopsy.seed, index])
        # No two sections lie on the glass alike.
        shift_um = tuple(float(np.round(value)) for value in rng.uniform(-40, 40, 2))
        section = cut(biopsy.population, _FIRST_UM + index * SECTION_UM, SECTION_UM)
        strength = section.cells.strength[:, index]
        look = sample_look(marker, biopsy.site)
        rgb, shown = _paint(biopsy, section, strength, look, (shift_um[0], shift_um[1]), index, workers)
        cells = section.cells
        x_um, y_um = cells.x_um + np.float32(shift_um[0]), cells.y_um + np.float32(shift_um[1])
        on_glass = (x_um >= 0) & (x_um < biopsy.size_um[0]) & (y_um >= 0) & (y_um < biopsy.size_um[1])
        section = replace(section, counted=section.counted & on_glass)
        moved, carries = replace(cells, x_um=x_um, y_um=y_um), cells.carries[:, index]
        contrast = nuclear_contrast(rgb, PIXEL_UM, look.white, shown.x_um, shown.y_um)
        visible = section.counted & can_be_seen(shown, contrast, carries)
        yield PaintedSection(marker, index + 1, replace(section, cells=moved), carries, visible, rgb)


def _paint(
    biopsy: Biopsy,
    section: Section,
    strength: NDArray[np.float32],
    look: Look,
    shift_um: tuple[float, float],
    index: int,
    workers: int,
) -> tuple[NDArray[np.uint8], ShownNuclei]:
    """Paint a whole section in bands, so that memory stays bounded; return what shows of each nucleus as well."""
    width, height = (round(side / PIXEL_UM) for side in biopsy.size_um)
    dx, dy = (round(value / PIXEL_UM) for value in shift_um)
    reach = int(np.ceil(REACH_UM / PIXEL_UM))
    coarse = 64
    rng = np.random.default_rng([biopsy.seed, index, 1])
    focus = np.clip(0.35 + 0.4 * smooth_noise(rng, (height // coarse + 3, width // coarse + 3), 8), 0, 1)
    rgb = np.empty((height, width, 3), np.uint8)

    def paint_band(top: int) -> NDArray[np.int64]:
        bottom = min(height, top + _BAND_PX)
        box = GridBox(-dx - reach, top - dy - reach, width - dx + reach, bottom - dy + reach)
        pigment = lay_pigment(section, biopsy.plan, strength, look, box, PIXEL_UM, noise_origin_um=(0.0, 90.0 * index))
        rows = (np.arange(top - reach, bottom + reach, dtype=np.float32) + reach) / coarse
        columns = (np.arange(-reach, width + reach, dtype=np.float32) + reach) / coarse
        at = np.meshgrid(columns, rows)
        blur = np.asarray(cv2.remap(focus, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
        picture = photograph(pigment, look, blur, PIXEL_UM, np.random.default_rng([biopsy.seed, index, 2, top]))
        rgb[top:bottom] = picture[reach:-reach, reach:-reach]
        return owner_sums(pigment.owner[reach:-reach, reach:-reach], section.cells.size, top)

    sums = np.zeros((3, section.cells.size), np.int64)
    with ThreadPoolExecutor(workers) as pool:
        for part in pool.map(paint_band, range(0, height, _BAND_PX)):
            sums += part
    return rgb, shown_nuclei(sums, PIXEL_UM)
