"""Painted fields with their truth, as many as training asks for."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ihc_quant.domain.geometry import GridBox
from ihc_quant.synthetic.camera import photograph
from ihc_quant.synthetic.look import Look, draw_look
from ihc_quant.synthetic.painting import Pigment, lay_pigment
from ihc_quant.synthetic.plan import Plan, Region, direction_along, plan_of
from ihc_quant.synthetic.population import (
    BASAL,
    DARTS,
    ENDOTHELIUM,
    EOSINOPHIL,
    FIBROBLAST,
    GERMINAL,
    HISTIOCYTE,
    KERATINOCYTE,
    KINDS,
    LYMPHOCYTE,
    Population,
    populate,
)
from ihc_quant.synthetic.section import cut
from ihc_quant.synthetic.texture import smooth_noise
from ihc_quant.synthetic.visibility import can_be_seen, nuclear_contrast, owner_sums, shown_nuclei

SAMPLE_SEEDS = range(900_000_000, 900_001_000)
"""Seeds kept for the sample slides; no training field is painted from them."""

_PLAN_PIXEL_UM = 2.0
_MARGIN_UM = 12.0
_FAINTEST_OD = 0.13
"""No positive cell of a training field stains more faintly: a label must be something that can be seen."""

_SCENES: tuple[tuple[Region, ...], ...] = (
    (Region.PARACORTEX,),
    (Region.PARACORTEX,),
    (Region.PARACORTEX, Region.GERMINAL_CENTRE),
    (Region.PARACORTEX, Region.SINUS),
    (Region.MANTLE, Region.GERMINAL_CENTRE),
    (Region.PARACORTEX, Region.MANTLE),
    (Region.INFILTRATE, Region.DERMIS),
    (Region.INFILTRATE, Region.EPIDERMIS),
    (Region.DERMIS, Region.INFILTRATE),
    (Region.EPIDERMIS, Region.DERMIS),
    (Region.EPIDERMIS, Region.INFILTRATE),
    (Region.DERMIS, Region.VESSEL_WALL),
    (Region.GERMINAL_CENTRE, Region.PARACORTEX),
    (Region.CAPSULE, Region.PARACORTEX),
    (Region.GLAND, Region.DERMIS),
    (Region.FAT, Region.INFILTRATE),
)
"""The two kinds of tissue a field may hold; the first fills most of it."""


@dataclass(frozen=True, slots=True)
class PaintedField:
    """A painted picture and the truth about its nuclei.

    Attributes
    ----------
    rgb : ndarray of uint8, (H, W, 3)
    labels : ndarray of int32, (H, W)
        Nucleus i + 1 covers the pixels of that value; 0 is background. Nuclei that cannot be seen
        (``visibility.can_be_seen``) carry no label.
    positive : ndarray of bool, (n,)
        Whether nucleus i belongs to a cell that carries the marker.
    centres_px : ndarray of float64, (n, 2)
        Mean x and y of each nucleus' visible pixels; the centre of pixel (0, 0) is (0.5, 0.5).
    kind : ndarray of uint8, (n,)
        Index into ``population.KINDS``.
    pixel_um : float
        Side of a pixel.
    """

    rgb: NDArray[np.uint8]
    labels: NDArray[np.int32]
    positive: NDArray[np.bool_]
    centres_px: NDArray[np.float64]
    kind: NDArray[np.uint8]
    pixel_um: float


def paint_training_field(seed: int, size_px: int, *, pixel_um: float = 0.5, look: Look | None = None) -> PaintedField:
    """Paint a field of random tissue in a random look.

    Parameters
    ----------
    seed : int
        The same seed, size and pixel give the same field. Seeds of the sample slides are refused.
    size_px : int
        Side of the square field.
    pixel_um : float
        Side of a pixel; the field is painted twice as fine and averaged where this is 0.4 µm or more.
    look : Look, optional
        Drawn from the seed by default.

    Returns
    -------
    PaintedField

    Raises
    ------
    ValueError
        If the seed is one of ``SAMPLE_SEEDS`` or negative, or a size is not positive.
    """
    if seed in SAMPLE_SEEDS or seed < 0:
        raise ValueError(f"seed {seed} is kept for the sample slides, or negative")
    if size_px <= 0 or not pixel_um > 0:
        raise ValueError(f"a field has a positive size, got {size_px} px of {pixel_um} µm")
    rng = np.random.default_rng([17, seed])
    drawn = draw_look(rng)
    look = drawn if look is None else look
    finer = 2 if pixel_um >= 0.4 else 1
    fine_um, margin = pixel_um / finer, round(_MARGIN_UM / pixel_um) * finer
    plan = _draw_plan(size_px * pixel_um + 2 * margin * fine_um, rng)
    thickness = float(rng.uniform(3, 5))
    population = populate(
        plan,
        thickness + 16,
        rng,
        crowding=float(np.exp(rng.uniform(-1.6, 0.6))),
        size_factor=float(np.clip(rng.normal(1.05, 0.12), 0.8, 1.4)),
        mixture=_draw_mixture(rng),
    )
    strength = _draw_strength(population, look.dab_od, rng)
    population.strength[:, 0] = strength
    section = cut(population, 8.0, thickness)
    strength = section.cells.strength[:, 0]
    box = GridBox(0, 0, size_px * finer, size_px * finer)
    shifted = replace(
        section,
        cells=replace(
            section.cells, x_um=section.cells.x_um - margin * fine_um, y_um=section.cells.y_um - margin * fine_um
        ),
    )
    moved = _moved_plan(plan, margin * fine_um)
    pad = 8
    origin = (float(rng.uniform(0, 256)), float(rng.uniform(0, 256)))
    pigment = lay_pigment(shifted, moved, strength, look, box.grown(pad), fine_um, noise_origin_um=origin)
    if rng.random() < 0.3:
        _scatter_grains(pigment, fine_um, rng)
    side = size_px * finer + 2 * pad
    focus = np.clip(0.5 + 0.7 * smooth_noise(rng, (side // 8 + 1, side // 8 + 1), 30 / fine_um / 8), 0, 1)
    focus = cv2.resize(focus, (side, side), interpolation=cv2.INTER_LINEAR)
    rgb = photograph(pigment, look, focus, fine_um, rng)[pad:-pad, pad:-pad]
    owner = pigment.owner[pad:-pad, pad:-pad]
    if finer == 2:
        rgb = np.asarray(cv2.resize(rgb, (size_px, size_px), interpolation=cv2.INTER_AREA), np.uint8)
        owner = owner[1::2, 1::2]
    if rng.random() < 0.7:
        rgb = _through_jpeg(rgb, int(rng.integers(45, 95)))
    rgb, n = np.ascontiguousarray(rgb, np.uint8), section.cells.size
    shown = shown_nuclei(owner_sums(owner, n), pixel_um)
    contrast = nuclear_contrast(rgb, pixel_um, look.white, shown.x_um, shown.y_um)
    rows = np.flatnonzero(section.counted & can_be_seen(shown, contrast, strength > 0))
    number = np.zeros(n + 1, np.int32)
    number[rows] = np.arange(1, len(rows) + 1)
    centres_px = np.stack([shown.x_um[rows], shown.y_um[rows]], axis=1) / pixel_um
    return PaintedField(rgb, number[owner], strength[rows] > 0, centres_px, section.cells.kind[rows], pixel_um)


def _scatter_grains(pigment: Pigment, pixel_um: float, rng: np.random.Generator) -> None:
    """Scatter grains of precipitate or pigment that belong to no cell, singly and in heaps; adds to the layers."""
    layer = pigment.dab if rng.random() < 0.6 else pigment.melanin
    height, width = layer.shape
    spots = np.zeros_like(layer)
    for _ in range(int(rng.integers(1, 9))):
        middle = rng.random(2) * (width, height)
        for _ in range(int(rng.geometric(0.12))):
            x, y = middle + rng.normal(0, 4 / pixel_um, 2)
            radius = max(1, round(float(rng.uniform(0.2, 1.0)) / pixel_um))
            cv2.circle(spots, (int(x), int(y)), radius, float(rng.uniform(0.2, 1.0)), -1)
    layer += cv2.GaussianBlur(spots, (0, 0), 0.3 / pixel_um)


def _through_jpeg(rgb: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Return the picture as it comes back from a JPEG file."""
    _, coded = cv2.imencode(".jpg", np.ascontiguousarray(rgb[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    picture = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture[..., ::-1], np.uint8)


def _draw_plan(side_um: float, rng: np.random.Generator) -> Plan:
    """Lay two kinds of tissue, and now and then glass, over a square."""
    cells = int(np.ceil(side_um / _PLAN_PIXEL_UM))
    shape = (cells, cells)
    first, *rest = _SCENES[rng.integers(len(_SCENES))]
    noise = smooth_noise(rng, shape, float(rng.uniform(12, 40)) / _PLAN_PIXEL_UM)
    region = np.full(shape, first, np.uint8)
    for other in rest:
        region[noise > rng.normal(0.3, 0.8)] = other
    epidermis = region == Region.EPIDERMIS
    if epidermis.any():
        region[epidermis & (ndimage.distance_transform_edt(epidermis) * _PLAN_PIXEL_UM < 10)] = Region.BASAL
    hole = smooth_noise(rng, shape, float(rng.uniform(4, 10)) / _PLAN_PIXEL_UM)
    if rng.random() < 0.5:
        region[hole > rng.uniform(1.6, 2.6)] = Region.LUMEN
    if rng.random() < 0.2:
        region[smooth_noise(rng, shape, 40 / _PLAN_PIXEL_UM) > rng.uniform(0.2, 1.2)] = Region.GLASS
    angle = direction_along(noise) + np.float32(rng.choice([0, np.pi / 2], p=[0.75, 0.25]))
    turn = float(rng.uniform(0, np.pi))
    row, column = np.mgrid[:cells, :cells].astype(np.float32) * np.float32(_PLAN_PIXEL_UM)
    along = column * np.float32(np.cos(turn)) + row * np.float32(np.sin(turn))
    across = row * np.float32(np.cos(turn)) - column * np.float32(np.sin(turn))
    crowding = np.clip(0.75 + 0.35 * smooth_noise(rng, shape, 12 / _PLAN_PIXEL_UM), 0.05, 1).astype(np.float32)
    return plan_of(region, angle.astype(np.float32), crowding, (along, across), _PLAN_PIXEL_UM)


def _moved_plan(plan: Plan, margin_um: float) -> Plan:
    """Cut the margin off the rasters that are painted, so that they begin where the field begins."""
    shift = margin_um / plan.pixel_um
    move = np.array([[1, 0, -shift], [0, 1, -shift]], np.float32)
    size = (plan.region.shape[1], plan.region.shape[0])
    ground, collagen, horn, along, across = (
        np.asarray(
            cv2.warpAffine(field, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
        )
        for field in (plan.ground, plan.collagen, plan.horn, plan.along, plan.across)
    )
    return replace(plan, ground=ground, collagen=collagen, horn=horn, along=along, across=across)


def _draw_mixture(rng: np.random.Generator) -> dict[Region, dict[int, float]]:
    """Vary how many cells of each kind a region holds."""
    mixture = {
        region: {kind: rate * float(rng.uniform(0.5, 1.5)) for kind, rate in kinds.items()}
        for region, kinds in DARTS.items()
    }
    if rng.random() < 0.2:
        for region in (Region.PARACORTEX, Region.INFILTRATE):
            mixture[region][EOSINOPHIL] += float(rng.uniform(0, 1.5))
    if rng.random() < 0.2:
        mixture[Region.DERMIS][FIBROBLAST] += float(rng.uniform(0, 0.6))
        mixture[Region.INFILTRATE][GERMINAL] = float(rng.uniform(0, 3))
    return mixture


def _draw_strength(population: Population, dab_od: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw which cells carry the field's marker, in clusters, and how strongly."""
    share = np.zeros(len(KINDS), np.float64)
    kind_is_lymphoid = rng.random() < 0.85
    fraction = float(
        rng.choice(
            [0.0, rng.uniform(0.01, 0.15), rng.uniform(0.1, 0.6), rng.uniform(0.5, 1.0)], p=[0.06, 0.3, 0.44, 0.2]
        )
    )
    if kind_is_lymphoid:
        share[LYMPHOCYTE] = fraction
        share[GERMINAL] = fraction * rng.uniform(0, 0.6)
        share[HISTIOCYTE] = rng.choice([0.0, rng.uniform(0, 0.7)])
        share[EOSINOPHIL] = rng.choice([0.0, rng.uniform(0, 0.3)])
        share[ENDOTHELIUM] = 0.03 * fraction
    else:
        for kind in (KERATINOCYTE, BASAL, GERMINAL, LYMPHOCYTE, FIBROBLAST):
            share[kind] = fraction * rng.uniform(0, 1)
    uneven = 0.5 + 1.0 * rng.random()
    cluster = np.exp(uneven * 0.5 * np.sin(population.x_um / 23 + 1.3 * np.sin(population.y_um / 31)))
    carries = rng.random(population.size) < np.clip(share[population.kind] * cluster, 0, 1)
    strength = np.clip(np.exp(rng.normal(-0.1, 0.38, population.size)), max(0.3, _FAINTEST_OD / dab_od), 1.7)
    return np.where(carries, strength, 0).astype(np.float32)
