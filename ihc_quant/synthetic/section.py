"""A section cut through a population: which cells it holds and how large they look in it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ihc_quant.synthetic.population import Population, select
from ihc_quant.synthetic.visibility import VISIBLE_PROFILE_UM


@dataclass(frozen=True, slots=True)
class Section:
    """The cells that a section holds, wholly or in part.

    Attributes
    ----------
    cells : Population
        Those whose body reaches into the section.
    z_um, thickness_um : float
        Where the section begins and how thick it is.
    nucleus_scale : ndarray of float32, (n,)
        Width of the largest nuclear profile in the section over the nucleus' full width; 0 where it holds no nucleus.
    body_scale : ndarray of float32, (n,)
        The same of the whole cell.
    filling : ndarray of float32, (n,)
        Share of the section's thickness that the nucleus fills at its centre, 0 to 1.
    diameter_um : ndarray of float32, (n,)
        Area-equivalent width of the nuclear profile.
    counted : ndarray of bool, (n,)
        Whether the section holds enough of the nucleus for it to be seen if nothing hides it: its largest profile
        inside is at least ``VISIBLE_PROFILE_UM`` wide. A nucleus whose centre lies in the section shows its full width.
    """

    cells: Population
    z_um: float
    thickness_um: float
    nucleus_scale: NDArray[np.float32]
    body_scale: NDArray[np.float32]
    filling: NDArray[np.float32]
    diameter_um: NDArray[np.float32]
    counted: NDArray[np.bool_]


def cut(population: Population, z_um: float, thickness_um: float) -> Section:
    """Cut a section out of a population.

    Parameters
    ----------
    population : Population
    z_um : float
        Where the section begins.
    thickness_um : float
        How thick it is.

    Returns
    -------
    Section

    Raises
    ------
    ValueError
        If the section has no thickness.
    """
    if not thickness_um > 0:
        raise ValueError(f"a section has a positive thickness, got {thickness_um} µm")
    top = z_um + thickness_um
    away = np.maximum(0, np.maximum(z_um - population.z_um, population.z_um - top)).astype(np.float32)
    inside = np.flatnonzero(away < population.short_um + population.rim_um)
    cells, away = select(population, inside), away[inside]
    nucleus = np.sqrt(np.maximum(0, 1 - (away / cells.short_um) ** 2))
    body = np.sqrt(np.maximum(0, 1 - (away / (cells.short_um + cells.rim_um)) ** 2))
    low = np.maximum(z_um, cells.z_um - cells.short_um)
    high = np.minimum(top, cells.z_um + cells.short_um)
    lobes = np.where(cells.lobe_um > 0, 2.0, 1.0)
    diameter = (2 * np.sqrt(cells.long_um * cells.short_um * lobes) * nucleus).astype(np.float32)
    return Section(
        cells=cells,
        z_um=z_um,
        thickness_um=thickness_um,
        nucleus_scale=nucleus.astype(np.float32),
        body_scale=body.astype(np.float32),
        filling=(np.maximum(0, high - low) / thickness_um).astype(np.float32),
        diameter_um=diameter,
        counted=diameter >= VISIBLE_PROFILE_UM,
    )
