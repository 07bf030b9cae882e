"""How often the interval of a hot spot holds the highest expected density of any window of a simulated section."""

from math import sqrt
from typing import Any

import numpy as np
from point_patterns import PIXEL_UM, Clustering, simulate_sections
from simulated_blocks import SIDE_BLOCKS
from tables import Bar

from ihc_quant.scoring.blocks import BLOCK_UM
from ihc_quant.scoring.hot_spot import HOT_SPOT_MM2, MIN_TISSUE_SHARE, find_hot_spot
from ihc_quant.scoring.intervals import garwood_interval
from ihc_quant.scoring.windows import lay_windows

LEAST_PERCENT = 92.0
"""Both limits hold for any tissue, so that the interval is wide on purpose: there is no upper bar."""


def hot_spot_rows(clustering: Clustering, fraction: float, number: int, seed: int) -> dict[str, Any]:
    """Return how often the interval held the truth, in percent, and how far found density and limits lay from it."""
    side_um = SIDE_BLOCKS * BLOCK_UM
    side = round(side_um / PIXEL_UM)
    tissue = np.ones((side, side), np.bool_)
    windows = lay_windows(tissue, PIXEL_UM, sqrt(HOT_SPOT_MM2 * 1e6), MIN_TISSUE_SHARE)
    assert windows is not None  # tissue from edge to edge
    chosen, naive, below, above, found, low, high = ([] for _ in range(7))
    for index, section in enumerate(simulate_sections(clustering, fraction, number, side_um=side_um, seed=seed)):
        expected = windows.of_pixels(section.expected, PIXEL_UM)[windows.enough] / windows.area_um2[windows.enough]
        truth = 1e6 * float(expected.max())
        spot = find_hot_spot(section.x_um, section.y_um, section.positive, tissue, PIXEL_UM, seed=index)
        interval = spot.density_per_mm2.intervals[0]
        unchosen = garwood_interval(spot.positive, spot.tissue_um2 / 1e6)
        chosen.append(interval.low <= truth <= interval.high)
        naive.append(unchosen.low <= truth <= unchosen.high)
        above.append(truth > interval.high)
        below.append(truth < interval.low)
        found.append((spot.density_per_mm2.value or 0.0) / truth)
        low.append(interval.low / truth)
        high.append(interval.high / truth)
    percent = {
        "held": chosen, "truth above": above, "truth below": below, "as if not chosen": naive,
    }  # fmt: skip
    row: dict[str, Any] = {"clustering": clustering.name, "true %": f"{100 * fraction:g}"}
    row |= {name: round(100 * float(np.mean(answers)), 1) for name, answers in percent.items()}
    of_truth = {"found": found, "lower limit": low, "upper limit": high}
    return row | {name: round(float(np.median(ratios)), 2) for name, ratios in of_truth.items()}


def hot_spot_bars(rows: list[dict[str, Any]]) -> list[Bar]:
    """Return whether the interval keeps its bar."""
    worst = min(row["held"] for row in rows)
    return [Bar("hot spot: lowest coverage, %", worst, LEAST_PERCENT, at_most=False)]
