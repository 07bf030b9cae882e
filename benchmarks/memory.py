"""Peak memory of ``score`` on a slide of 30,000 × 30,000 px and on one a quarter as large, built from real pixels.

Bars: at most 2 GB on the large slide, and at most 10 % more there than on the small one. It takes minutes: the large
slide holds 56 mm² of tissue. Each run is a process of its own, and the high-water mark of its resident memory is read
while it runs; every thread and library of it is counted. Quality control is on unless another mode is asked for.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from material import node_slide
from scoring_runs import ScoreRun, run_program
from tables import Bar, show

from ihc_quant.batch.settings import QualityMode

LARGE_PX = 30_000
LIMIT_GB = 2.0
GROWTH_LIMIT_PERCENT = 10.0
GB = 1e9


def measure(side_px: int, options: list[str]) -> tuple[ScoreRun, str, float]:
    """Build a square slide, score it, remove it; returns the run, what the slide is made of and its size in MB."""
    say(f"building {side_px} × {side_px} px …")
    with node_slide(side_px, side_px) as (slide, source), TemporaryDirectory(prefix="ihc_quant_bench_") as out:
        file_mb = slide.stat().st_size / 1e6
        say(f"built, {file_mb:.0f} MB; scoring …")
        run = run_program(slide, Path(out), "other", *options)
        say(f"scored {run.counts.total:,} cells in {run.seconds:.0f} s")
    return run, source, file_mb


def say(line: str) -> None:
    """Print progress on stderr, so that stdout holds the table alone."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Peak memory of score on a large slide and on a quarter of it.")
    parser.add_argument("--side", type=int, default=LARGE_PX, help="of the large slide in px (default 30000)")
    parser.add_argument("--workers", type=int, help="as score's own option; its default if not given")
    parser.add_argument("--quality", default="report", choices=get_args(QualityMode), help="default report, as score's")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    extra = ["--quality", options.quality]
    extra += [] if options.workers is None else ["--workers", str(options.workers)]
    rows, peaks, source = [], [], ""
    for side_px in (options.side // 2, options.side):
        run, source, file_mb = measure(side_px, extra)
        peaks.append(None if run.peak_bytes is None else run.peak_bytes / GB)
        area_mm2 = run.counts.area_um2 / 1e6
        rows.append(
            {
                "slide": f"{side_px} × {side_px} px",
                "file MB": round(file_mb),
                "tissue mm²": area_mm2,
                "cells": run.counts.total,
                "seconds": run.seconds,
                "s/mm²": run.seconds / area_mm2,
                "peak GB": peaks[-1],
            }
        )
    small, large = peaks
    growth = None if small is None or large is None else 100 * (large / small - 1)
    bars = [
        Bar(f"peak memory on {options.side} × {options.side} px, GB (1e9 bytes)", large, LIMIT_GB),
        Bar("growth from a quarter of it, %", growth, GROWTH_LIMIT_PERCENT),
    ]
    show("Memory", [source, f"quality control: {options.quality}"], rows, bars, as_json=options.json)


if __name__ == "__main__":
    main()
