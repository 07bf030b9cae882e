"""One three-dimensional population of cells for each biopsy.

Cells are thrown one after another into a slab of tissue; one that would come too close to an earlier one is dropped
(random sequential adsorption), so nuclei crowd without lying in one another. A plan says which region each place
belongs to, and the region says which kinds of cells live there.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ihc_quant.synthetic.plan import Plan, Region


class Build(NamedTuple):
    """How cells of one kind are built; lengths in µm.

    ``long`` and ``short`` are the nucleus' mean diameters, ``spread`` their relative standard deviation, ``rim`` the
    cytoplasm around it, ``lobe`` the distance of its lobes from the centre, ``bend`` its curvature, ``stain`` its
    hematoxylin OD relative to a lymphocyte's, ``vesicular`` how much its chromatin gathers at the nuclear membrane,
    ``aligned`` whether it follows the fibres of its region.
    """

    name: str
    long: float
    short: float
    spread: float
    rim: float
    lobe: float
    bend: float
    stain: float
    vesicular: float
    aligned: bool


KINDS: tuple[Build, ...] = (
    Build("lymphocyte", 6.6, 5.9, 0.08, 1.05, 0.0, 0.0, 1.0, 0.25, False),
    Build("germinal_centre_cell", 9.0, 7.6, 0.12, 1.5, 0.0, 0.0, 0.66, 0.8, False),
    Build("histiocyte", 9.6, 6.4, 0.12, 2.6, 0.0, 0.035, 0.55, 0.7, False),
    Build("eosinophil", 4.2, 3.9, 0.08, 1.9, 1.9, 0.06, 1.15, 0.1, False),
    Build("fibroblast", 15.0, 3.0, 0.2, 0.6, 0.0, 0.010, 0.85, 0.3, True),
    Build("keratinocyte", 9.0, 7.0, 0.12, 2.9, 0.0, 0.0, 0.68, 0.6, True),
    Build("basal_keratinocyte", 9.6, 5.6, 0.10, 1.4, 0.0, 0.0, 0.95, 0.4, True),
    Build("endothelium", 10.5, 2.9, 0.15, 0.6, 0.0, 0.016, 0.9, 0.3, True),
    Build("gland_cell", 6.8, 5.8, 0.08, 2.2, 0.0, 0.0, 0.8, 0.4, True),
)
"""Lymphocytes are 7 to 10 µm across (DOMAIN.md); the other sizes are our judgement by eye on real sections."""

KIND_NAMES: tuple[str, ...] = tuple(build.name for build in KINDS)
LYMPHOCYTE, GERMINAL, HISTIOCYTE, EOSINOPHIL, FIBROBLAST, KERATINOCYTE, BASAL, ENDOTHELIUM, GLAND = range(len(KINDS))

MARKERS: tuple[str, ...] = ("CD4", "CD8", "CCR4")
"""Columns of ``Population.carries`` and ``Population.strength``."""

DARTS: dict[Region, dict[int, float]] = {
    Region.DERMIS: {FIBROBLAST: 0.10, LYMPHOCYTE: 0.025, HISTIOCYTE: 0.010, EOSINOPHIL: 0.010},
    Region.INFILTRATE: {LYMPHOCYTE: 11.0, HISTIOCYTE: 0.45, EOSINOPHIL: 0.4, FIBROBLAST: 0.2},
    Region.EPIDERMIS: {KERATINOCYTE: 25.0, LYMPHOCYTE: 0.05, HISTIOCYTE: 0.03},
    Region.BASAL: {BASAL: 14.0, LYMPHOCYTE: 0.15},
    Region.PARACORTEX: {LYMPHOCYTE: 40.0, HISTIOCYTE: 0.5, EOSINOPHIL: 0.3, GERMINAL: 0.5, FIBROBLAST: 0.15},
    Region.MANTLE: {LYMPHOCYTE: 45.0, FIBROBLAST: 0.03},
    Region.GERMINAL_CENTRE: {GERMINAL: 18.0, LYMPHOCYTE: 1.6, HISTIOCYTE: 0.8},
    Region.SINUS: {HISTIOCYTE: 0.5, LYMPHOCYTE: 0.45, EOSINOPHIL: 0.07, ENDOTHELIUM: 0.06},
    Region.CAPSULE: {FIBROBLAST: 0.22, LYMPHOCYTE: 0.02},
    Region.VESSEL_WALL: {ENDOTHELIUM: 3.0},
    Region.GLAND: {GLAND: 9.0},
    Region.FAT: {},
    Region.SEPTUM: {ENDOTHELIUM: 0.35, HISTIOCYTE: 0.05},
}
"""Cells thrown into 1000 µm³ of each region. Above about 5 the region is as full as hard cells can be."""


_FLATTEN = 0.75
"""Weight of the distance across the sections: below 1, cells keep further from those above and below than from those
beside them, so that fewer nuclei lie over one another in a section, as in real ones (by eye)."""

_FIRM_RIM = 0.4
"""Share of the cytoplasm that others may not enter; the rest gives way, so crowded cells meet along flat borders."""

_SOFTNESS = 0.87
"""Share of a cell's radius that others may not enter."""


@dataclass(frozen=True, slots=True)
class Population:
    """Every cell of a slab of tissue.

    Attributes
    ----------
    x_um, y_um, z_um : ndarray of float32, (n,)
        Centre of the nucleus; x and y in the section's plane, z across the sections.
    long_um, short_um : ndarray of float32, (n,)
        Semi-axes of the nucleus in the plane; across the sections it measures ``short_um``. A lobed nucleus has two
        ellipses of these axes, ``lobe_um`` to either side of the centre.
    angle : ndarray of float32, (n,)
        Direction of the long axis, radians from x towards y.
    lobe_um, bend, rim_um : ndarray of float32, (n,)
        See ``Build``.
    stain : ndarray of float32, (n,)
        Hematoxylin uptake relative to a lymphocyte's mean.
    kind : ndarray of uint8, (n,)
        Index into ``KINDS``.
    region : ndarray of uint8, (n,)
        Value of ``Region`` where the cell lives.
    carries : ndarray of bool, (n, 3)
        Whether the cell carries each of ``MARKERS``.
    strength : ndarray of float32, (n, 3)
        How strongly it stains for it, 0 where it does not carry it, about 1 where strong.
    phase : ndarray of float32, (n, 2)
        Where in the noise tiles the cell's own texture begins, µm.
    """

    x_um: NDArray[np.float32]
    y_um: NDArray[np.float32]
    z_um: NDArray[np.float32]
    long_um: NDArray[np.float32]
    short_um: NDArray[np.float32]
    angle: NDArray[np.float32]
    lobe_um: NDArray[np.float32]
    bend: NDArray[np.float32]
    rim_um: NDArray[np.float32]
    stain: NDArray[np.float32]
    kind: NDArray[np.uint8]
    region: NDArray[np.uint8]
    carries: NDArray[np.bool_]
    strength: NDArray[np.float32]
    phase: NDArray[np.float32]

    @property
    def size(self) -> int:
        """Number of cells."""
        return len(self.x_um)


@njit(cache=True, nogil=True)
def _keep_apart(
    x: NDArray[np.float32], y: NDArray[np.float32], z: NDArray[np.float32], radius: NDArray[np.float32], bin_um: float
) -> NDArray[np.bool_]:
    """Mark the darts that keep the sum of both radii from every dart kept before them."""
    n = len(x)
    nx = int(x.max() / bin_um) + 3
    ny = int(y.max() / bin_um) + 3
    nz = int(z.max() / bin_um) + 3
    first = np.full((nz, ny, nx), -1, np.int32)
    following = np.full(n, -1, np.int32)
    kept = np.zeros(n, np.bool_)
    for i in range(n):
        bx, by, bz = int(x[i] / bin_um) + 1, int(y[i] / bin_um) + 1, int(z[i] / bin_um) + 1
        free = True
        for cz in range(bz - 1, bz + 2):
            for cy in range(by - 1, by + 2):
                for cx in range(bx - 1, bx + 2):
                    j = first[cz, cy, cx]
                    while j >= 0 and free:
                        gap = radius[i] + radius[j]
                        distance = (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 + (_FLATTEN * (z[i] - z[j])) ** 2
                        free = distance >= gap * gap
                        j = following[j]
        if free:
            kept[i] = True
            following[i] = first[bz, by, bx]
            first[bz, by, bx] = i
    return kept


def populate(
    plan: Plan,
    depth_um: float,
    rng: np.random.Generator,
    *,
    crowding: float = 1.0,
    size_factor: float = 1.0,
    mixture: dict[Region, dict[int, float]] | None = None,
) -> Population:
    """Fill a slab of tissue with cells that carry no marker yet.

    Parameters
    ----------
    plan : Plan
        Which region each place belongs to.
    depth_um : float
        Thickness of the slab.
    rng : Generator
    crowding : float
        Factor on the number of cells thrown.
    size_factor : float
        Factor on every length of a cell.
    mixture : dict, optional
        Cells thrown into 1000 µm³, by region and kind; ``DARTS`` by default.

    Returns
    -------
    Population
    """
    darts = DARTS if mixture is None else mixture
    height, width = plan.region.shape
    volume = width * height * plan.pixel_um**2 * depth_um / 1000.0
    rate = np.zeros((max(Region) + 1, len(KINDS)), np.float64)
    for region, kinds in darts.items():
        for kind, value in kinds.items():
            rate[region, kind] = value * crowding
    throws = int(volume * rate.sum(axis=1).max())
    x = (rng.random(throws) * width * plan.pixel_um).astype(np.float32)
    y = (rng.random(throws) * height * plan.pixel_um).astype(np.float32)
    column = np.minimum((x / plan.pixel_um).astype(np.intp), width - 1)
    row = np.minimum((y / plan.pixel_um).astype(np.intp), height - 1)
    region_of = plan.region[row, column]
    # The share of throws that a region takes is its rate over the greatest; crowding varies from place to place.
    steps = np.cumsum(rate, axis=1) / rate.sum(axis=1).max()
    drawn = rng.random(throws)
    kind_of = (drawn[:, None] >= steps[region_of]).sum(axis=1)
    taken = (kind_of < len(KINDS)) & (rng.random(throws) < plan.crowding[row, column])
    x, y, region_of, kind_of = x[taken], y[taken], region_of[taken], kind_of[taken].astype(np.uint8)
    angle_of = plan.angle[row[taken], column[taken]]
    z = (rng.random(len(x)) * depth_um).astype(np.float32)
    cells = _build(x, y, z, region_of, kind_of, angle_of, rng, size_factor)
    # Long cells may touch along their flanks, hence the short axis.
    radius = (cells.short_um + cells.lobe_um * 0.6 + _FIRM_RIM * cells.rim_um) * np.float32(_SOFTNESS)
    if not len(radius):
        return cells
    return select(cells, _keep_apart(x, y, z, radius, float(2 * radius.max() + 1e-3)))


def _build(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    z: NDArray[np.float32],
    region: NDArray[np.uint8],
    kind: NDArray[np.uint8],
    angle: NDArray[np.float32],
    rng: np.random.Generator,
    size_factor: float,
) -> Population:
    """Give each thrown cell its size, shape and stain."""
    n = len(x)
    table = np.array([build[1:] for build in KINDS], np.float32)[kind]
    long, short, spread, rim, lobe, bend, stain, _, aligned = table.T
    size = np.clip(1 + spread * rng.standard_normal(n, dtype=np.float32), 0.7, 1.5) * np.float32(size_factor)
    aspect = np.exp(0.08 * rng.standard_normal(n, dtype=np.float32))
    turned = rng.random(n, dtype=np.float32) * np.float32(2 * np.pi)
    wobble = 0.22 * rng.standard_normal(n, dtype=np.float32)
    sign = np.where(rng.random(n) < 0.5, -1, 1).astype(np.float32)
    return Population(
        x_um=x,
        y_um=y,
        z_um=z,
        long_um=long / 2 * size * aspect,
        short_um=short / 2 * size / aspect,
        angle=np.where(aligned > 0, angle + wobble, turned).astype(np.float32),
        lobe_um=lobe * size,
        bend=bend * sign * rng.random(n, dtype=np.float32) * 2,
        rim_um=rim * size * np.clip(1 + 0.25 * rng.standard_normal(n, dtype=np.float32), 0.5, 1.8),
        stain=stain * np.exp(0.16 * rng.standard_normal(n, dtype=np.float32)),
        kind=kind,
        region=region,
        carries=np.zeros((n, len(MARKERS)), np.bool_),
        strength=np.zeros((n, len(MARKERS)), np.float32),
        phase=rng.random((n, 2), dtype=np.float32) * 256,
    )


def select(cells: Population, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Population:
    """Return the population of the given rows."""
    return Population(*(getattr(cells, name)[rows] for name in Population.__slots__))
