"""Which cells of the sample biopsies carry CD4, CD8 and CCR4, and how strongly."""

from dataclasses import replace

import numpy as np

from ihc_quant.synthetic.plan import Region
from ihc_quant.synthetic.population import EOSINOPHIL, HISTIOCYTE, LYMPHOCYTE, MARKERS, Population

CD4, CD8, CCR4 = range(len(MARKERS))

LYMPHOCYTES: dict[Region, tuple[float, float, float]] = {
    Region.DERMIS: (0.60, 0.22, 0.45),
    Region.INFILTRATE: (0.66, 0.17, 0.68),
    Region.EPIDERMIS: (0.35, 0.45, 0.55),
    Region.BASAL: (0.35, 0.45, 0.55),
    Region.PARACORTEX: (0.62, 0.20, 0.55),
    Region.MANTLE: (0.09, 0.03, 0.15),
    Region.GERMINAL_CENTRE: (0.60, 0.05, 0.12),
    Region.SINUS: (0.40, 0.22, 0.35),
    Region.CAPSULE: (0.50, 0.20, 0.35),
}
"""Fraction of lymphocytes with CD4, with CD8, and of those with CD4 the fraction with CCR4. Painted values in the
spirit of DOMAIN.md (a CD4-rich infiltrate whose clone carries CCR4), not measurements."""

CCR4_ON_CD8, CCR4_ON_OTHERS = 0.05, 0.01
"""Fraction of CD8+ lymphocytes, and of lymphocytes with neither, that carry CCR4."""

CD4_ON_HISTIOCYTES, CD4_ON_EOSINOPHILS, CCR4_ON_EOSINOPHILS = 0.55, 0.10, 0.03
"""CD4 is also on histiocytes and some eosinophils (DOMAIN.md)."""

_MEDIAN = {CD4: 0.85, CD8: 1.0, CCR4: 0.8}
_SPREAD = {CD4: 0.30, CD8: 0.25, CCR4: 0.42}
_WEAK = 0.5


def with_markers(population: Population, rng: np.random.Generator) -> Population:
    """Return the population with its markers.

    Parameters
    ----------
    population : Population
    rng : Generator

    Returns
    -------
    Population
        No lymphocyte carries both CD4 and CD8.
    """
    n = population.size
    table = np.zeros((max(Region) + 1, 3))
    for region, fractions in LYMPHOCYTES.items():
        table[region] = fractions
    p4, p8, pc = table[population.region].T
    lymphocyte = population.kind == LYMPHOCYTE
    drawn = rng.random(n)
    carries = np.zeros((n, len(MARKERS)), np.bool_)
    carries[:, CD4] = lymphocyte & (drawn < p4)
    carries[:, CD8] = lymphocyte & (drawn >= p4) & (drawn < p4 + p8)
    chance = np.where(carries[:, CD4], pc, np.where(carries[:, CD8], CCR4_ON_CD8, CCR4_ON_OTHERS))
    carries[:, CCR4] = lymphocyte & (rng.random(n) < chance)
    carries[:, CD4] |= (population.kind == HISTIOCYTE) & (rng.random(n) < CD4_ON_HISTIOCYTES)
    carries[:, CD4] |= (population.kind == EOSINOPHIL) & (rng.random(n) < CD4_ON_EOSINOPHILS)
    carries[:, CCR4] |= (population.kind == EOSINOPHIL) & (rng.random(n) < CCR4_ON_EOSINOPHILS)
    strength = np.zeros((n, len(MARKERS)), np.float32)
    for marker in range(len(MARKERS)):
        value = _MEDIAN[marker] * np.exp(_SPREAD[marker] * rng.standard_normal(n))
        value = np.where(lymphocyte, value, _WEAK * value)
        strength[:, marker] = np.where(carries[:, marker], np.clip(value, 0.25, 1.8), 0)
    return replace(population, carries=carries, strength=strength)
