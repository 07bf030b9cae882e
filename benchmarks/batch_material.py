"""Small sample slides, a manifest of them, and the program run over it: what the benchmarks of batches share."""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from material import node_plane, write_slide

from ihc_quant.domain.geometry import Grid, GridBox
from ihc_quant.slide.opening import open_slide
from ihc_quant.slide.resample import read_grid
from ihc_quant.slide.writing import write_pyramid

SAMPLES = Path(__file__).resolve().parents[1] / "slides_sample"
HEADER = ("slide_id", "biopsy_id", "patient_id", "site", "marker", "chromogen", "slide")
MARKERS = ("CD4", "CD8", "CCR4")
PIXEL_UM = 0.5


def write_crops(folder: Path, count: int, side_px: int = 512) -> dict[str, Path]:
    """Write squares of the painted samples as slides of 0.5 µm per pixel, each another one; return them by slide_id."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = sorted(SAMPLES.glob("*.tiff"))
    slides: dict[str, Path] = {}
    for number in range(count):
        source, turn = paths[number % len(paths)], number // len(paths)
        marker = source.stem.rsplit("-", 1)[-1]
        target = folder / f"accession 47-11 µ {number:03d}.tiff"
        with open_slide(source) as reader:
            size, mpp = reader.info.size, reader.info.require_mpp()
            grid = Grid(PIXEL_UM, mpp)
            width, height = int(size.width * mpp.x / PIXEL_UM), int(size.height * mpp.y / PIXEL_UM)
            x = width // 4 + 37 * turn % max(1, width // 2 - side_px)
            y = height // 4 + 53 * turn % max(1, height // 2 - side_px)
            write_pyramid(target, read_grid(reader, grid, GridBox(x, y, x + side_px, y + side_px)), PIXEL_UM)
        slides[_slide_id(number, marker)] = target
    return slides


def write_nodes(folder: Path, count: int, width: int, height: int) -> dict[str, Path]:
    """Write slides of lymph node of 0.25 µm per pixel, each a little lower than the one before; return by slide_id."""
    folder.mkdir(parents=True, exist_ok=True)
    plane, slides = node_plane(width), {}
    for number in range(count):
        slides[_slide_id(number, MARKERS[number % 3])] = path = folder / f"node-{number:03d}.tiff"
        write_slide(path, plane, width, height - 16 * number)
    return slides


def _slide_id(number: int, marker: str) -> str:
    """Return the slide_id that ``write_manifest`` reads: three slides a biopsy, the marker last."""
    return f"b{number // 3:02d}-{number:03d}-{marker}"


def write_manifest(path: Path, slides: Mapping[str, Path]) -> Path:
    """Write a manifest; the marker is the end of the slide_id, the biopsy its beginning."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for slide_id, slide in slides.items():
            biopsy = slide_id.split("-", 1)[0]
            marker = slide_id.rsplit("-", 1)[-1]
            chosen = marker if marker in MARKERS else "CCR4"
            writer.writerow((slide_id, biopsy, f"p-{biopsy}", "skin", chosen, "DAB", slide))
    return path


def program(command: str, manifest: Path, out: Path, *options: object) -> list[str]:
    """Return the words that start the program over a manifest."""
    start = "from ihc_quant.cli.main import main; main()"
    words = (command, manifest, "-o", out, *options)
    return [sys.executable, "-c", start, *(str(word) for word in words)]


def run_program(command: str, manifest: Path, out: Path, *options: object) -> "subprocess.CompletedProcess[str]":
    """Run the program to its end."""
    return subprocess.run(
        program(command, manifest, out, *options), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


TIMES = (
    re.compile(rb'"(?:seconds|created|generated|made|started|updated)[a-z_]*": (?:[0-9.]+|"[^"]*")'),
    re.compile(rb"\d{4}-\d\d-\d\dT[0-9:.]+(?:\+00:00|Z)?"),
)
"""Times in results: durations by their names, moments by their form."""

NOT_RESULTS = ("run.json", "run.log", ".lock")
"""Files that tell how the run went, which differs by intention."""


def results_without_times(out: Path) -> dict[str, bytes]:
    """Return every result of a run by its place, times masked."""
    found = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.is_file() and name not in NOT_RESULTS and not name.startswith(".state/"):
            found[name] = _without_times(path, path.read_bytes())
    return found


def _without_times(path: Path, data: bytes) -> bytes:
    if path.name == "slide.json":
        values = json.loads(data)
        values["timings_s"] = {}
        data = json.dumps(values).encode()
    if path.name == "summary.md":
        # The last column of the table of slides is seconds.
        data = re.sub(rb"\| [0-9.]+ \|$", b"| |", data, flags=re.MULTILINE)
    for pattern in TIMES:
        data = pattern.sub(b"", data) if path.suffix in {".json", ".md", ".html", ".csv"} else data
    return data


def differences(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> Sequence[str]:
    """Return the names of results that differ or are in one alone."""
    return sorted(name for name in {**one, **other} if one.get(name) != other.get(name))
