"""The architecture of the two sample biopsies: a punch of skin and a lymph node.

Lengths in µm; sizes and shapes are our judgement by eye.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from ihc_quant.synthetic.plan import Plan, Region, direction_along, plan_of
from ihc_quant.synthetic.texture import smooth_noise

_PIXEL_UM = 2.0


def _raster(width_um: float, height_um: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return x and y in µm at the centre of each raster pixel."""
    row, column = np.mgrid[: int(height_um / _PIXEL_UM), : int(width_um / _PIXEL_UM)].astype(np.float32)
    return (column + np.float32(0.5)) * np.float32(_PIXEL_UM), (row + np.float32(0.5)) * np.float32(_PIXEL_UM)


def _line(rng: np.random.Generator, length: int, sigma_um: float) -> NDArray[np.float32]:
    """Return smooth noise along a line of raster pixels, with standard deviation 1."""
    noise = ndimage.gaussian_filter1d(rng.standard_normal(length + 400), sigma_um / _PIXEL_UM)[200:-200]
    return np.asarray(noise / noise.std(), np.float32)


def _lay_vessel(
    region: NDArray[np.uint8],
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    centre: tuple[float, float],
    radius: float,
    rng: np.random.Generator,
    *,
    cuff: float,
    ragged: NDArray[np.float32],
) -> None:
    """Lay a vessel with its wall and, where ``cuff`` is above 0, a sleeve of infiltrate that wide."""
    turn, flat = rng.uniform(0, np.pi), rng.uniform(0.4, 0.9)
    u = (x - centre[0]) * np.cos(turn) + (y - centre[1]) * np.sin(turn)
    v = (y - centre[1]) * np.cos(turn) - (x - centre[0]) * np.sin(turn)
    distance = np.hypot(u * flat, v / flat)
    soft = np.isin(region, (Region.DERMIS, Region.PARACORTEX, Region.INFILTRATE))
    if cuff > 0:
        region[soft & (distance + 14 * ragged < radius + cuff)] = Region.INFILTRATE
    region[soft & (distance < radius + 5)] = Region.VESSEL_WALL
    region[soft & (distance < radius)] = Region.LUMEN


def _lay_fat(
    region: NDArray[np.uint8],
    where: NDArray[np.bool_],
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    """Lay fat cells, bubbles of 50 to 90 µm with thin walls, over a part of the raster."""
    extent = np.array([float(x.max()), float(y.max())])
    points = rng.random((int(extent.prod() / 62.0**2), 2)) * extent
    places = np.stack([x[where], y[where]], axis=1)
    near = np.asarray(spatial.cKDTree(points).query(places, k=2)[0])
    wall = near[:, 1] - near[:, 0] < 5
    region[where] = np.where(wall, Region.SEPTUM, Region.FAT).astype(np.uint8)


def skin_plan(width_um: float, height_um: float, rng: np.random.Generator) -> Plan:
    """Return the plan of a punch of skin.

    Horn, epidermis with rete ridges, dermis with a band of infiltrate beneath the epidermis and sleeves of it about
    vessels, a hair follicle, sweat glands, and fat at the bottom.

    Parameters
    ----------
    width_um, height_um : float
        Of the glass; the tissue leaves a border free.
    rng : Generator

    Returns
    -------
    Plan
    """
    x, y = _raster(width_um, height_um)
    rows, columns = x.shape
    ragged = smooth_noise(rng, x.shape, 14 / _PIXEL_UM)
    surface = 150 + 16 * _line(rng, columns, 90)
    ridges = np.clip(0.25 + 0.8 * _line(rng, columns, 22) + 0.25 * _line(rng, columns, 60), 0, 2.2)
    lower = surface + 48 + 42 * ridges
    depth, below = y - surface, y - lower
    follicle = np.abs(x - (0.34 * width_um + 0.22 * depth + 10 * _line(rng, rows, 50)[:, None]))
    in_follicle = (follicle < 34 - depth * 0.012) & (depth > 20) & (depth < 480)
    region = np.full(x.shape, Region.DERMIS, np.uint8)
    band = 78 + 34 * _line(rng, columns, 60)
    region[(below > 6) & (below + 10 * ragged < band) & (_line(rng, columns, 80) > -0.9)] = Region.INFILTRATE
    for _ in range(17):
        centre = (rng.uniform(0.14, 0.86) * width_um, float(surface.mean()) + rng.uniform(180, 620))
        _lay_vessel(region, x, y, centre, rng.uniform(6, 15), rng, cuff=rng.uniform(18, 62), ragged=ragged)
    region[(below < 0) | in_follicle] = Region.EPIDERMIS
    deep = ndimage.distance_transform_edt(region == Region.EPIDERMIS) * _PIXEL_UM
    region[(deep > 0) & (deep < 11) & (depth > 18)] = Region.BASAL
    region[in_follicle & (follicle < 7)] = Region.CORNEUM
    glands = (0.70 * width_um, float(surface.mean()) + 560)
    for _ in range(9):
        gland = np.array(glands) + rng.normal(0, 42, 2)
        distance = np.hypot(x - gland[0], y - gland[1]) + 1.5 * ragged
        region[distance < 25] = Region.CAPSULE
        region[distance < 21] = Region.GLAND
        region[distance < 6] = Region.LUMEN
    fat = y + 30 * smooth_noise(rng, x.shape, 50 / _PIXEL_UM) > height_um - 290
    _lay_fat(region, fat & (region == Region.DERMIS), x, y, rng)
    horn = 20 + 9 * _line(rng, columns, 50)
    region[(depth < 0) & (depth > -horn)] = Region.CORNEUM
    left = 130 + 22 * _line(rng, rows, 70)[:, None] + 6 * _line(rng, rows, 8)[:, None]
    right = width_um - 140 + 22 * _line(rng, rows, 70)[:, None] + 6 * _line(rng, rows, 8)[:, None]
    bottom = height_um - 130 + 26 * _line(rng, columns, 70) + 6 * _line(rng, columns, 8)
    region[(depth <= -horn) | (x < left) | (x > right) | (y > bottom)] = Region.GLASS
    border = direction_along(np.minimum(np.abs(below), np.where(in_follicle, 40 - follicle, 400)).astype(np.float32))
    angle = np.where(region == Region.BASAL, border + np.pi / 2, np.where(region == Region.EPIDERMIS, border, 0))
    angle = np.where(region == Region.GLAND, rng.random(x.shape) * np.pi, angle).astype(np.float32)
    crowding = np.clip(0.7 + 0.4 * smooth_noise(rng, x.shape, 10 / _PIXEL_UM), 0.05, 1).astype(np.float32)
    crowding[np.isin(region, (Region.EPIDERMIS, Region.BASAL, Region.GLAND))] = 1
    across = (y - surface * np.exp(-np.maximum(depth, 0) / 150)).astype(np.float32)
    return plan_of(region, angle, crowding, (x, across), _PIXEL_UM)


def lymph_node_plan(width_um: float, height_um: float, rng: np.random.Generator) -> Plan:
    """Return the plan of a lymph node.

    Capsule and sinus, follicles with germinal centres, paracortex with vessels, medullary sinuses, and fat at the
    hilum.

    Parameters
    ----------
    width_um, height_um : float
        Of the glass; the tissue leaves a border free.
    rng : Generator

    Returns
    -------
    Plan
    """
    x, y = _raster(width_um, height_um)
    ragged = smooth_noise(rng, x.shape, 14 / _PIXEL_UM)
    coarse = smooth_noise(rng, x.shape, 90 / _PIXEL_UM)
    middle = (0.5 * width_um, 0.47 * height_um)
    half = (0.5 * width_um - 150, 0.47 * height_um - 130)
    u, v = (x - middle[0]) / half[0], (y - middle[1]) / half[1]
    rho = np.hypot(u, v) + 0.035 * coarse + 0.006 * ragged
    bean = 0.16 * np.exp(-((u / 0.35) ** 2)) * (v > 0)
    depth = ((1 - rho - bean) * min(half)).astype(np.float32)
    around = np.arctan2(u, -v)
    region = np.full(x.shape, Region.PARACORTEX, np.uint8)
    medulla = np.hypot(u / 0.55, (v - 0.62) / 0.5) + 0.1 * coarse < 1
    cords = smooth_noise(rng, x.shape, 11 / _PIXEL_UM)
    region[medulla & (cords > 0.25)] = Region.SINUS
    for _ in range(14):
        turn, far = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.7)
        centre = (middle[0] + half[0] * far * np.sin(turn), middle[1] - half[1] * far * np.cos(turn))
        _lay_vessel(region, x, y, centre, rng.uniform(4, 9), rng, cuff=0, ragged=ragged)
    for turn in np.linspace(-1.9, 1.9, 7) + rng.normal(0, 0.08, 7):
        far, radius = rng.uniform(0.66, 0.72), rng.uniform(88, 128)
        centre = (middle[0] + half[0] * far * np.sin(turn), middle[1] - half[1] * far * np.cos(turn))
        distance = np.hypot(x - centre[0], (y - centre[1]) * 1.1) + 5 * ragged
        region[distance < radius] = Region.MANTLE
        region[distance < radius * rng.uniform(0.5, 0.68)] = Region.GERMINAL_CENTRE
    region[(depth < 42) & (cords > -0.9)] = Region.SINUS
    region[depth < 22 + 5 * ragged] = Region.CAPSULE
    region[depth < 0] = Region.GLASS
    hilum = (depth < 4) & (np.abs(u + 0.1 * coarse) < 0.5) & (v > 0) & (y < height_um - 120 + 25 * coarse)
    _lay_fat(region, hilum, x, y, rng)
    angle = direction_along(depth)
    crowding = np.clip(0.9 + 0.25 * smooth_noise(rng, x.shape, 12 / _PIXEL_UM), 0.1, 1).astype(np.float32)
    fibres = (np.asarray(around * min(half), np.float32), depth)
    return plan_of(region, angle, crowding, fibres, _PIXEL_UM)
