"""How often intervals hold the truth: simulated sections of 4 to 100 blocks whose figures are known.

Sections of 100 blocks are simulated (``point_patterns.py``) at three strengths of clustering and cut into blocks;
smaller sections are corners of these. Each is scored by the product's own functions. Bars: the block bootstrap holds
the truth in 92 to 97 % of the sections from 20 blocks on, and in 90 % or more wherever the report does not call it
unreliable. Intervals that take cells as independent stand beside it.

Pairs of independent sections show the same of a ratio of densities (``ratio_coverage.py``), and all windows of a
section the same of its hot spot (``hot_spot_coverage.py``).

Sections of few positive cells are simulated too: where none is positive the truth may lie above the upper limit in
2.5 % of all sections.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from hot_spot_coverage import hot_spot_bars, hot_spot_rows
from point_patterns import CELLS_PER_MM2, CLUSTERINGS, SHARES_OF_POSITIVE, Clustering, Section, simulate_sections
from ratio_coverage import PAIRS, ratio_rows
from simulated_blocks import GRIDS, SIDE_BLOCKS, blocks_of, corner, percent_held, tissue_of_all
from tables import Bar, markdown_table

from ihc_quant.domain.score import Interval
from ihc_quant.scoring.blocks import BLOCK_UM, BlockCounts
from ihc_quant.scoring.bootstrap import BOOTSTRAP_DRAWS, FEWEST_BLOCKS, MIN_BLOCKS, block_intervals
from ihc_quant.scoring.intervals import garwood_interval, grade_interval, wilson_interval

FRACTIONS = (0.1, 0.4)
SEED = 1998
BAR_FROM_BLOCKS = 20

RARE_FRACTIONS = (0.001, 0.01, 0.05)
RARE_GRIDS = ((2, 5), (4, 5), (5, 10), (10, 10))
ALL_OR_NOTHING = Clustering("all or nothing", 500.0, 0.999, 1.0)
"""Patches twice as wide as a block in which every cell is positive, and none outside: the worst for blocks as units."""

ABOVE_PERCENT = 2.5
LOW_PERCENT, HIGH_PERCENT, UNRELIABLE_BELOW_PERCENT = 92.0, 97.0, 90.0


OF_BLOCKS = ("percentage", "density", "H-score", "3+ share", "all cells")
"""Figures whose intervals take blocks as the units, and have to keep the bars."""


def intervals_of(blocks: BlockCounts, draws: int) -> dict[str, Interval | None]:
    """Return all intervals of the figures of a section."""
    total = blocks.total()
    spatial = block_intervals(blocks, draws=draws)
    grades = (total.negative, total.one_plus, total.two_plus, total.three_plus)
    return {
        "percentage": spatial.fraction,
        "Wilson": wilson_interval(total.positive, total.total) if total.total else None,
        "density": spatial.density_per_mm2,
        "Poisson": garwood_interval(total.positive, total.area_um2 / 1e6),
        "H-score": spatial.h_score,
        "grades joined": grade_interval(grades) if total.total else None,
        "3+ share": spatial.grades[2],
        "all cells": spatial.cell_density_per_mm2,
    }


def truth_of(fraction: float) -> dict[str, float]:
    """Return what each interval should hold."""
    truth = dict.fromkeys(("percentage", "Wilson"), fraction)
    truth |= dict.fromkeys(("density", "Poisson"), fraction * CELLS_PER_MM2)
    truth |= dict.fromkeys(("H-score", "grades joined"), 100 * fraction * sum(SHARES_OF_POSITIVE))
    return truth | {"3+ share": fraction * SHARES_OF_POSITIVE[2], "all cells": CELLS_PER_MM2}


def coverage_rows(
    clustering: Clustering, fraction: float, sections: Iterable[Section], draws: int
) -> list[dict[str, Any]]:
    """Return a row for each size of section: how often each interval held the truth, in percent."""
    truth = truth_of(fraction)
    tissue = tissue_of_all()
    held: dict[tuple[tuple[int, int], str], list[bool | None]] = {}
    for section in sections:
        blocks = blocks_of(section, tissue)
        for grid in GRIDS:
            for name, interval in intervals_of(corner(blocks, *grid), draws).items():
                held.setdefault((grid, name), []).append(
                    None if interval is None else interval.low <= truth[name] <= interval.high
                )
    rows = []
    for rows_of, cols in GRIDS:
        row: dict[str, Any] = {"clustering": clustering.name, "true %": f"{100 * fraction:g}", "blocks": rows_of * cols}
        row |= {name: percent_held(held[(rows_of, cols), name]) for name in truth}
        none = [answer is None for answer in held[(rows_of, cols), "percentage"]]
        rows.append(row | {"no interval": round(100 * sum(none) / len(none), 1)})
    return rows


def rare_rows(clustering: Clustering, fraction: float, sections: Iterable[Section], draws: int) -> list[dict[str, Any]]:
    """Return a row for each size of section: how often no cell was positive, or few blocks had one, and what held."""
    tissue = tissue_of_all()
    none: dict[tuple[int, int], list[tuple[float, float]]] = {grid: [] for grid in RARE_GRIDS}
    held: dict[tuple[int, int], list[tuple[bool, bool]]] = {grid: [] for grid in RARE_GRIDS}
    number = 0
    for section in sections:
        number += 1
        blocks = blocks_of(section, tissue)
        for grid in RARE_GRIDS:
            part = corner(blocks, *grid)
            counts = part.total()
            interval = block_intervals(part, draws=draws).fraction if counts.total else None
            if interval is None:
                continue
            wilson = wilson_interval(counts.positive, counts.total)
            if not counts.positive:
                none[grid].append((interval.high, wilson.high))
            few = int((part.grades[:, 1:].sum(axis=1) > 0).sum()) < FEWEST_BLOCKS
            low, high = min(interval.low, wilson.low), max(interval.high, wilson.high)
            held[grid].append((few, low <= fraction <= high))
    rows = []
    for (rows_of, cols), given in none.items():
        row: dict[str, Any] = {"clustering": clustering.name, "true %": f"{100 * fraction:g}", "blocks": rows_of * cols}
        row["none positive"] = round(100 * len(given) / number, 1)
        for place, name in enumerate(("blocks as units", "Wilson")):
            highs = np.array([high[place] for high in given])
            row[f"{name}: limit"] = round(100 * float(np.median(highs)), 1) if given else None
            row[f"{name}: truth above"] = round(100 * float(np.sum(highs < fraction)) / number, 1)
        answers = held[rows_of, cols]
        row["few blocks"] = round(100 * sum(few for few, _ in answers) / number, 1)
        row["few blocks: held"] = percent_held([answer for few, answer in answers if few])
        row["held"] = percent_held([answer for _, answer in answers])
        rows.append(row)
    return rows


def bars_of(rows: Sequence[dict[str, Any]]) -> list[Bar]:
    """Return whether the block bootstrap keeps its bars."""
    names = [name for name in (*OF_BLOCKS, "ratio") if name in rows[0]]
    judged = [row[name] for row in rows for name in names if row["blocks"] >= BAR_FROM_BLOCKS]
    trusted = [row[name] for row in rows for name in names if row["blocks"] >= MIN_BLOCKS]
    return [
        Bar(f"lowest coverage from {BAR_FROM_BLOCKS} blocks on, %", min(judged), LOW_PERCENT, at_most=False),
        Bar(f"highest coverage from {BAR_FROM_BLOCKS} blocks on, %", max(judged), HIGH_PERCENT),
        Bar(
            f"lowest coverage not called unreliable (from {MIN_BLOCKS} blocks on), %",
            min(trusted),
            UNRELIABLE_BELOW_PERCENT,
            at_most=False,
        ),
    ]


def rare_bars(rows: Sequence[dict[str, Any]]) -> list[Bar]:
    """Return whether sections without a positive cell keep their bar."""
    worst = max(row["blocks as units: truth above"] for row in rows)
    trusted = [row["held"] for row in rows if row["blocks"] >= MIN_BLOCKS and row["held"] is not None]
    return [
        Bar("none positive and the truth above the limit, % of sections", worst, ABOVE_PERCENT),
        Bar(
            f"rare calls: lowest coverage not called unreliable (from {MIN_BLOCKS} blocks on), %",
            min(trusted),
            UNRELIABLE_BELOW_PERCENT,
            at_most=False,
        ),
    ]


def main() -> None:
    """Simulate, score and print."""
    parser = argparse.ArgumentParser(description="Coverage of the intervals on simulated sections of known truth.")
    parser.add_argument("--patterns", type=int, default=1000, help="sections at each strength and percentage")
    parser.add_argument("--draws", type=int, default=BOOTSTRAP_DRAWS, help="of the bootstrap")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--only", choices=[clustering.name for clustering in (*CLUSTERINGS, ALL_OR_NOTHING)], help="one strength"
    )
    options = parser.parse_args()
    side_um = SIDE_BLOCKS * BLOCK_UM
    rows, rare, ratios, spots = [], [], [], []
    for clustering in (*CLUSTERINGS, ALL_OR_NOTHING):
        if options.only not in (None, clustering.name):
            continue
        for fraction in FRACTIONS if clustering in CLUSTERINGS else ():
            sections = simulate_sections(clustering, fraction, options.patterns, side_um=side_um, seed=options.seed)
            rows += coverage_rows(clustering, fraction, sections, options.draws)
            print(markdown_table(clustering.name, [], rows[-len(GRIDS) :]), file=sys.stderr, flush=True)
            spots.append(hot_spot_rows(clustering, fraction, options.patterns, options.seed))
        for pair in PAIRS if clustering in CLUSTERINGS else ():
            ratios += ratio_rows(clustering, pair, options.patterns, options.draws, options.seed)
            print(markdown_table("ratio", [], ratios[-len(GRIDS) :]), file=sys.stderr, flush=True)
        for fraction in RARE_FRACTIONS:
            sections = simulate_sections(clustering, fraction, options.patterns, side_um=side_um, seed=options.seed)
            rare += rare_rows(clustering, fraction, sections, options.draws)
    bars = bars_of(rows) if rows else []
    if options.json:
        judged = [*bars, *rare_bars(rare)] + (bars_of(ratios) + hot_spot_bars(spots) if ratios else [])
        told = [asdict(bar) | {"met": bar.met} for bar in judged]
        given = {"rows": rows, "ratios": ratios, "hot_spots": spots, "rare": rare, "bars": told}
        print(json.dumps(given, indent=2))
        return
    notes = [
        f"Percent of sections whose interval holds the truth; {options.patterns} sections at each strength and "
        f"percentage, {options.draws} draws, seed {options.seed}. *No interval*: percent of sections. *Wilson*, "
        "*Poisson* and *grades joined* take cells as independent; the others take blocks as the units."
    ]
    if rows:
        print(markdown_table("Coverage", notes, rows, bars))
        notes = ["Ratio of the densities of two independent sections, as of CD4 and CD8; *Poisson* as above."]
        print(markdown_table("Ratio of two sections", notes, ratios, bars_of(ratios)))
        notes = [
            "The highest expected density of any window of 0.2 mm² on sections of 100 blocks, percent of sections: how "
            "often its interval held it; how often it lay above and below; how often the exact interval of the window "
            "that was found held it, as if it had not been chosen. The median of what was found, and of either limit, "
            "over the truth."
        ]
        print(markdown_table("Hot spot", notes, spots, hot_spot_bars(spots)))
    notes = [
        "Percent of sections without a positive cell; the median of their upper limits, %; percent of all sections in "
        "which none was positive and the truth lay above that limit. *Few blocks*: percent of sections in which "
        f"positive cells lie in fewer than {FEWEST_BLOCKS} blocks, none included, and how often Wilson's and the "
        "blocks' interval together hold the truth there; *held*: the same in all sections."
    ]
    print(markdown_table("Rare positive cells", notes, rare, rare_bars(rare)))


if __name__ == "__main__":
    main()
