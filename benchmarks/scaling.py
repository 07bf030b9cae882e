"""How the time of a batch goes with workers and slides, and whether the parent's memory grows.

Each worker pinned to one core: the throughput of two workers over that of one. Not pinned: two workers of one thread
against one worker of two. Both on slides of lymph node of 5.2 mm², which is half of a small biopsy (10 to 150 mm²), and
on crumbs of 0.6 mm², of which more than half of the time is not spent on tiles. Then 10, 20 and 40 crumbs of a quarter
of that. Times are those of the slides' work: from the first slide that a worker is given, when it has loaded its
network, to the last that has ended.

The first slide of each worker also compiles the network for its tiles and loads what post-processing compiled, which
takes about as long as a small slide and does not grow with their number. So the series is judged by the straight line
through its times: where the line begins, never below 0, is stated as what is spent once, and the bar is how far any
time lies from it.

Run as ``python benchmarks/scaling.py [--slides 8] [--series 10 20 40]`` on a machine that does nothing else.
"""

import argparse
import json
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from batch_material import program, write_crops, write_manifest, write_nodes
from scipy.optimize import nnls

WAYS: dict[str, tuple[object, ...]] = {
    "1 worker, pinned": ("--workers", 1, "--threads", 1, "--pin"),
    "2 workers, pinned": ("--workers", 2, "--threads", 1, "--pin"),
    "1 worker": ("--workers", 1),
    "2 workers": ("--workers", 2),
}
"""How the same slides are worked on, and the options that ask for it."""


def timed(folder: Path, slides: dict[str, Path], name: str, *options: object) -> tuple[float, float, float]:
    """Run a batch; return seconds of its slides, seconds in all, and the parent's peak memory in MB."""
    out = folder / f"out-{name}"
    manifest = write_manifest(folder / f"{name}.csv", slides)
    started, peak = time.monotonic(), 0
    with (folder / f"{name}.txt").open("wb") as stderr:
        process = psutil.Popen(program("batch", manifest, out, *options), stdout=stderr, stderr=stderr)
        while process.poll() is None:
            peak = max(peak, process.memory_info().rss if process.status() != psutil.STATUS_ZOMBIE else 0)
            time.sleep(0.1)
    if process.returncode:
        raise RuntimeError((folder / f"{name}.txt").read_text(encoding="utf-8"))
    states = json.loads((out / "run.json").read_text(encoding="utf-8"))["counts"]
    if states != {"scored": len(slides)}:
        raise RuntimeError(f"not every slide was scored: {states}")
    return work_seconds(out), time.monotonic() - started, peak / 1e6


def work_seconds(out: Path) -> float:
    """Return the seconds from the first slide begun to the last one ended, as the log says."""
    lines = (out / "run.log").read_text(encoding="utf-8").splitlines()
    moments = [
        datetime.fromisoformat(line.split(" ", 1)[0]) for line in lines if re.search(r": (begun|measured)", line)
    ]
    return (moments[-1] - moments[0]).total_seconds()


def straight_line(counts: Sequence[int], seconds: Sequence[float]) -> tuple[float, float, float]:
    """Return the line that misses the times by the least share: seconds each, seconds once, greatest share missed.

    Examples
    --------
    >>> [round(value, 6) for value in straight_line([10, 20, 40], [12.0, 22.0, 42.0])]
    [1.0, 2.0, 0.0]
    """
    times = np.asarray(seconds, np.float64)
    design = np.stack([np.asarray(counts, np.float64), np.ones(len(times))], axis=1)
    # Divided by the times, so that what is least is the share by which they are missed, not the seconds.
    # Never less than 0 once: such a line would follow times that grow faster than the slides, as their power 1.5.
    (each, once), _ = nnls(design / times[:, None], np.ones(len(times)))
    return float(each), float(once), float(np.abs(design @ (each, once) / times - 1).max())


def compare(name: str, folder: Path, slides: dict[str, Path], repeats: int) -> None:
    """Print how two workers do against one on some slides, pinned and not."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    # The ways take turns, so that a machine that gets busy slows all of them.
    for repeat in range(repeats):
        for number, (way, options) in enumerate(WAYS.items()):
            seconds[way].append(timed(folder, slides, f"{name}-{number}-{repeat}", *options)[0])
    sizes = [path.stat().st_size for path in slides.values()]
    print(f"{len(slides)} slides, {name}, {median(sizes) / 1e6:.1f} MB each, median of {repeats}")
    for way, each in seconds.items():
        print(f"  {way}: {median(each):.1f} s ({', '.join(f'{s:.1f}' for s in each)})")
    pinned = median(seconds["1 worker, pinned"]) / median(seconds["2 workers, pinned"])
    free = median(seconds["1 worker"]) / median(seconds["2 workers"])
    print(f"  pinned: two workers give {pinned:.2f} times the throughput of one (bar: 1.7)")
    print(f"  not pinned: {free:.2f} times (bar: 1)", flush=True)


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=8)
    parser.add_argument("--series", type=int, nargs="*", default=[10, 20, 40])
    parser.add_argument("--side", type=int, default=1536, help="side of a crumb in pixels of 0.5 µm")
    parser.add_argument(
        "--node",
        type=int,
        nargs=2,
        default=[10240, 8192],
        metavar=("WIDTH", "HEIGHT"),
        help="of a slide of node in pixels of 0.25 µm; 0 0 to omit it",
    )
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if all(arguments.node):
            nodes = write_nodes(folder / "nodes", arguments.slides, *arguments.node)
            compare("node", folder, nodes, arguments.repeats)
            shutil.rmtree(folder / "nodes")
        compare("crumb", folder, write_crops(folder / "slides", arguments.slides, arguments.side), arguments.repeats)
        times = []
        for count in arguments.series:
            many = write_crops(folder / f"slides-{count}", count, arguments.side // 2)
            worked, whole, parent_mb = timed(folder, many, f"series-{count}", "--workers", 2)
            print(f"{count} slides: {worked:.1f} s, {worked / count:.2f} s each; {whole:.0f} s in all; "
                  f"parent {parent_mb:.0f} MB")  # fmt: skip
            times.append(worked)
        if len(times) > 2:
            slope, once, off = straight_line(arguments.series, times)
            print(f"line: {once:.1f} s once and {slope:.2f} s each; farthest from it: {100 * off:.1f} % (bar: 10 %)")


if __name__ == "__main__":
    main()
