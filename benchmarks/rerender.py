"""How long writing all reports again takes, from a run's output alone: no slide, no network.

The output of ``ihc-quant demo`` is copied until there are enough biopsies of three sections, each under a name of its
own. Then ``rewrite_reports`` is timed, and its reports are compared with those before, byte for byte. Bar: 50 biopsies
under a minute on 2 cores.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tables import Bar, show

from ihc_quant.batch.manifest import ManifestRow, read_manifest
from ihc_quant.batch.measurement import read_slide_json, write_slide_json
from ihc_quant.batch.reports import rewrite_reports, write_reports
from ihc_quant.cli.score import SAMPLES
from ihc_quant.domain.outcome import SlideOutcome

SECONDS_LIMIT = 60.0
CORES = 2


def main() -> int:
    """Copy, write, write again, and compare."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("results", type=Path, help="output folder of ihc-quant demo")
    options.add_argument("--biopsies", type=int, default=50)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    with scratch() as out:
        rows, outcomes = copies(given.results, out, given.biopsies)
        started = time.perf_counter()
        write_reports(rows, outcomes, out)
        first_s = time.perf_counter() - started
        before = reports(out)
        started, started_cpu = time.perf_counter(), time.process_time()
        pages = rewrite_reports(out)
        again_s, cpu_s = time.perf_counter() - started, time.process_time() - started_cpu
        differ = sum(data != before[path] for path, data in reports(out).items())
        largest = max(page.stat().st_size for page in pages)
    row = {
        "biopsies": given.biopsies, "sections": len(rows), "first_s": round(first_s, 1), "again_s": round(again_s, 1),
        "again_cpu_s": round(cpu_s, 1), "files_that_differ": differ, "largest_page_mb": round(largest / 1e6, 2),
    }  # fmt: skip
    bars = [
        Bar(f"seconds for {given.biopsies} biopsies", again_s, SECONDS_LIMIT),
        Bar("files that differ", differ, 0),
        Bar("largest page, MB", largest / 1e6, 5.0),
    ]
    load = f"load of the machine while it ran: {os.getloadavg()[0]:.1f}"
    show("Writing reports again", [f"{CORES} cores", load], [row], bars, as_json=given.json)
    return 0 if all(bar.met for bar in bars) else 1


@contextmanager
def scratch() -> Iterator[Path]:
    """Give an empty folder that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def copies(results: Path, out: Path, biopsies: int) -> tuple[list[ManifestRow], dict[str, SlideOutcome]]:
    """Copy the sample biopsies' results under new names; return the manifest of the copies and what became of each."""
    samples = read_manifest(SAMPLES / "manifest.csv", need_files=False)
    names = list(dict.fromkeys(row.biopsy_id for row in samples))
    rows: list[ManifestRow] = []
    outcomes: dict[str, SlideOutcome] = {}
    for number in range(biopsies):
        for row in (row for row in samples if row.biopsy_id == names[number % len(names)]):
            copy = renamed(row, number)
            folder = Path(shutil.copytree(results / "slides" / row.slide_id, out / "slides" / copy.slide_id))
            outcome, measurement, timings = read_slide_json(folder)
            outcomes[copy.slide_id] = replace(outcome, slide_id=copy.slide_id)
            measured = measurement.model_copy(update={"slide_id": copy.slide_id})
            write_slide_json(folder, outcomes[copy.slide_id], measured, timings)
            rows.append(copy)
    return rows, outcomes


def renamed(row: ManifestRow, number: int) -> ManifestRow:
    """Return a sample's section as one of another biopsy, whose slide is not there."""
    biopsy = f"{row.biopsy_id}-{number:03}"
    return replace(
        row, slide_id=f"{biopsy}-{row.stain.marker}", biopsy_id=biopsy, patient_id=f"P-{number}", slide=Path("gone")
    )


def reports(out: Path) -> dict[Path, bytes]:
    """Return everything that was written about biopsies and cohort."""
    return {path: path.read_bytes() for path in [*out.glob("biopsies/*/*"), *out.glob("cohort*")]}


if __name__ == "__main__":
    sys.exit(main())
