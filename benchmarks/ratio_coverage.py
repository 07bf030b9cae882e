"""How often the interval of a ratio of densities holds the truth: two sections that share nothing."""

from typing import Any

from point_patterns import CELLS_PER_MM2, Clustering, simulate_sections
from simulated_blocks import GRIDS, SIDE_BLOCKS, blocks_of, corner, percent_held, tissue_of_all

from ihc_quant.scoring.blocks import BLOCK_UM
from ihc_quant.scoring.bootstrap import ratio_interval
from ihc_quant.scoring.intervals import poisson_ratio_interval

PAIRS = ((0.4, 0.1), (0.1, 0.1))
"""True fractions of positive cells of numerator and denominator."""

OTHER_SEED = 1_000_003
"""Added to the seed for the denominators, so that both sections share nothing."""


def ratio_rows(
    clustering: Clustering, pair: tuple[float, float], number: int, draws: int, seed: int
) -> list[dict[str, Any]]:
    """Return a row for each size of the sections: how often each interval held the ratio, in percent."""
    side_um, tissue = SIDE_BLOCKS * BLOCK_UM, tissue_of_all()
    truth = pair[0] * CELLS_PER_MM2 / (pair[1] * CELLS_PER_MM2)
    seeds = (seed, seed + OTHER_SEED)
    sides = [
        simulate_sections(clustering, fraction, number, side_um=side_um, seed=own)
        for fraction, own in zip(pair, seeds, strict=True)
    ]
    held: dict[tuple[int, int], list[tuple[bool | None, bool | None]]] = {grid: [] for grid in GRIDS}
    for sections in zip(*sides, strict=True):
        blocks = [blocks_of(section, tissue) for section in sections]
        for grid in GRIDS:
            one, other = (corner(each, *grid) for each in blocks)
            counts = one.total(), other.total()
            if not counts[0].positive or not counts[1].positive:
                held[grid].append((None, None))
                continue
            spatial = ratio_interval(one, other, draws=draws)
            poisson = poisson_ratio_interval(
                counts[0].positive, counts[0].area_um2 / 1e6, counts[1].positive, counts[1].area_um2 / 1e6
            )
            spatial_held = None if spatial is None else spatial.low <= truth <= spatial.high
            held[grid].append((spatial_held, poisson.low <= truth <= poisson.high))
    rows = []
    for (rows_of, cols), answers in held.items():
        none = sum(answer is None for answer, _ in answers)
        rows.append(
            {
                "clustering": clustering.name,
                "true %": f"{100 * pair[0]:g} over {100 * pair[1]:g}",
                "blocks": rows_of * cols,
                "ratio": percent_held([answer for answer, _ in answers]),
                "Poisson": percent_held([answer for _, answer in answers]),
                "no interval": round(100 * none / number, 1),
            }
        )
    return rows
