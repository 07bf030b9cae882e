"""Kill a batch again and again, as a power cut does, and go on: nothing is lost, nothing is done twice.

A report over small sample slides is run once without interruption. Then the same is run into another folder, its whole
process tree is killed (SIGKILL) at random moments, and it is started again each time. At the end the results must be
equal byte for byte except times, and no slide whose result was whole may have been written again.

Run as ``python benchmarks/kill.py [--slides 24] [--kills 30]``.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from batch_material import differences, program, results_without_times, run_program, write_crops, write_manifest


@dataclass(frozen=True, slots=True)
class KillResult:
    """What came of a batch that was killed.

    Attributes
    ----------
    kills : int
        That met a running batch.
    different : list of str
        Results that differ from the uninterrupted run's.
    again : list of str
        Slides that were written, or begun, again after their result was whole.
    left : list of str
        What killed runs left behind.
    seconds : float
    """

    kills: int
    different: list[str]
    again: list[str]
    left: list[str]
    seconds: float

    @property
    def good(self) -> bool:
        """Whether the bar is met."""
        return not (self.different or self.again or self.left)


def kill_and_resume(
    folder: Path, slides: int, kills: int, seed: int, side_px: int = 512, workers: int = 2, command: str = "report"
) -> KillResult:
    """Run the test in a folder."""
    started = time.monotonic()
    manifest = write_manifest(folder / "manifest.csv", write_crops(folder / "slides", slides, side_px))
    options = ("--workers", workers)
    began = time.monotonic()
    whole = run_program(command, manifest, folder / "whole", *options)
    length = time.monotonic() - began
    if whole.returncode:
        raise RuntimeError(f"the uninterrupted run ended with {whole.returncode}: {whole.stderr}")
    out, chance = folder / "killed", random.Random(seed)
    again: set[str] = set()
    met = 0
    while met < kills:
        before = whole_slides(out)
        log = log_of(out)
        missing = slides - len(before)
        # Three kills of four while slides are worked on, spread so that some are left for the end; the others at any
        # moment from the start.
        words = program(command, manifest, out, *options)
        if missing and chance.random() < 0.75:
            killed = killed_after(words, chance.uniform(0, 3 * length / kills), out)
        else:
            killed = killed_after(words, chance.uniform(0, 10 + length / slides))
        met += killed
        again |= written_again(before, whole_slides(out)) | begun_again(before, log_of(out)[len(log) :])
        if not killed and missing == 0:
            # It ended first: kill it earlier the next time.
            length = length / 2
    before, log = whole_slides(out), log_of(out)
    last = run_program(command, manifest, out, *options)
    if last.returncode:
        raise RuntimeError(f"the last run ended with {last.returncode}: {last.stderr}")
    again |= written_again(before, whole_slides(out)) | begun_again(before, log_of(out)[len(log) :])
    different = list(differences(results_without_times(folder / "whole"), results_without_times(out)))
    left = [path.relative_to(out).as_posix() for path in out.rglob(".*") if path.name not in {".lock", ".state"}]
    return KillResult(met, different, sorted(again), left, time.monotonic() - started)


def killed_after(words: list[str], seconds: float, out: Path | None = None) -> bool:
    """Start a program, kill it and all that it started after some seconds; return whether it still ran.

    The seconds count from the first slide that it begins, where its output folder is given.
    """
    begun = _begun(out) if out is not None else 0
    process = subprocess.Popen(
        words, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while out is not None and _begun(out) == begun and process.poll() is None:
        time.sleep(0.05)
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
        for child in children:  # workers lead groups of their own; a power cut spares none
            if child.is_running():
                child.kill()
        process.wait()
        psutil.wait_procs(children, timeout=30)
        return True


def _begun(out: Path) -> int:
    return sum(": begun" in line for line in log_of(out))


def whole_slides(out: Path) -> dict[str, tuple[int, int]]:
    """Return number and time of the result file of each slide whose result is whole."""
    found = {}
    for path in (out / "slides").glob("[!.]*/slide.json"):
        status = path.stat()
        found[path.parent.name] = (status.st_ino, status.st_mtime_ns)
    return found


def written_again(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> set[str]:
    """Return the slides whose result was whole and is another one now."""
    return {name for name, stamp in before.items() if after.get(name) != stamp}


def log_of(out: Path) -> list[str]:
    """Return the lines of the run's log."""
    path = out / "run.log"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def begun_again(before: dict[str, tuple[int, int]], lines: list[str]) -> set[str]:
    """Return the slides that were whole and were measured again, as the log says."""
    return {name for name in before for line in lines if f" {name}: measured" in line}


def main() -> None:
    """Run the benchmark and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=24)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--side", type=int, default=512, help="side of a slide in pixels of 0.5 µm")
    parser.add_argument("--command", choices=("batch", "report"), default="report")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = kill_and_resume(
            Path(folder),
            arguments.slides,
            arguments.kills,
            arguments.seed,
            arguments.side,
            arguments.workers,
            arguments.command,
        )
    print(f"{arguments.slides} slides, killed {result.kills} times, {result.seconds:.0f} s")
    print(f"results that differ from the uninterrupted run: {', '.join(result.different) or 'none'}")
    print(f"slides done again after their result was whole: {', '.join(result.again) or 'none'}")
    print(f"left behind by killed runs: {', '.join(result.left) or 'nothing'}")
    sys.exit(0 if result.good else 1)


if __name__ == "__main__":
    main()
