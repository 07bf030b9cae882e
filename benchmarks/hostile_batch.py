"""A batch of good slides among hostile ones: every good slide is done, every bad one is one clear line.

Hostile are the files of ``../shared/data/hostile`` and seeded mutations (fuzzed bytes, truncations) of a valid slide. A
mutation that leaves the pixels readable may be scored: then it must be done, not failed.

Run as ``python benchmarks/hostile_batch.py [--mutations 50] [--good 6] [--timeout 120] [--memory 4]``.
"""

import argparse
import json
import random
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from batch_material import program, write_crops, write_manifest

HOSTILE = Path(__file__).resolve().parents[2] / "shared" / "data" / "hostile"


def mutations(slide: Path, folder: Path, count: int, seed: int) -> dict[str, Path]:
    """Write damaged copies of a slide: every fourth one truncated, the others with bytes changed."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    valid = slide.read_bytes()
    made = {}
    for number in range(count):
        data = bytearray(valid)
        if number % 4 == 0:
            del data[chance.randrange(1, len(data)) :]
        else:
            # Half of them in the head and tail, where tags and offsets lie.
            places = [(0, len(data)), (0, 400), (len(data) - 4000, len(data))][number % 3]
            for _ in range(chance.choice((1, 8, 64, 512))):
                data[chance.randrange(*places)] = chance.randrange(256)
        path = folder / f"mutation {number:02d}.tiff"
        path.write_bytes(bytes(data))
        made[f"m-mutation-{number:02d}"] = path
    return made


class PeakMemory(threading.Thread):
    """Looks at the largest process below another one, ten times a second."""

    def __init__(self, process: psutil.Popen) -> None:
        super().__init__(daemon=True)
        self.process = process
        self.worker_bytes = 0
        self.parent_bytes = 0

    def run(self) -> None:
        """Look until the process has ended."""
        while self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE:
            try:
                self.parent_bytes = max(self.parent_bytes, self.process.memory_info().rss)
                for child in self.process.children(recursive=True):
                    self.worker_bytes = max(self.worker_bytes, child.memory_info().rss)
            except psutil.Error:
                pass
            time.sleep(0.1)


def main() -> None:
    """Run the benchmark and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=50)
    parser.add_argument("--good", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--memory", type=float, default=4.0, help="GB")
    parser.add_argument("--keep", type=Path, help="folder to keep")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        good = {f"g-{name}": path for name, path in write_crops(folder / "good", arguments.good).items()}
        bad = {f"h-{number:03d}": path for number, path in enumerate(sorted(HOSTILE.iterdir()))}
        bad |= mutations(next(iter(good.values())), folder / "bad", arguments.mutations, arguments.seed)
        slides = dict(sorted({**good, **bad}.items(), key=lambda item: hash_of(item[0])))
        manifest = write_manifest(folder / "manifest.csv", slides)
        out = folder / "out"
        limits = ("--timeout", arguments.timeout, "--memory", arguments.memory, "--workers", 2)
        words = program("batch", manifest, out, *limits)
        started = time.monotonic()
        with (folder / "stderr.txt").open("wb") as stderr:
            process = psutil.Popen(words, stderr=stderr)
            memory = PeakMemory(process)
            memory.start()
            code = process.wait()
        seconds = time.monotonic() - started
        lines = (folder / "stderr.txt").read_text(encoding="utf-8", errors="replace").splitlines()
        sys.exit(0 if judge(out, good, bad, code, lines, seconds, memory, arguments) else 1)


def hash_of(name: str) -> int:
    """Return a number that mixes good and bad in an order that is always the same."""
    return int.from_bytes(random.Random(name).randbytes(4), "big")


def judge(
    out: Path,
    good: dict[str, Path],
    bad: dict[str, Path],
    code: int,
    lines: list[str],
    seconds: float,
    memory: PeakMemory,
    arguments: argparse.Namespace,
) -> bool:
    """Print what came of it and return whether the bar is met."""
    slides = {slide["slide_id"]: slide for slide in json.loads((out / "run.json").read_text())["slides"]}
    undone = [name for name in good if slides[name]["state"] != "scored"]
    failed = {name: slides[name] for name in bad if slides[name]["state"] == "failed"}
    read = [name for name in bad if slides[name]["state"] in {"scored", "no tissue"}]
    unclear = [name for name, slide in failed.items() if not is_clear(slide["reason"])]
    limits = [name for name, slide in failed.items() if re.search(r"limit|crash|died", slide["reason"])]
    other = [line for line in lines if not re.match(r"\[\d+/\d+|Not scored:|  |\d+ slides;", line)]
    slowest = max((slide["seconds"] or 0.0 for slide in slides.values()), default=0.0)
    print(f"{len(slides)} slides in {seconds:.0f} s, exit code {code}")
    print(f"good: {len(good)}, not done: {undone or 'none'}")
    print(
        f"bad: {len(bad)}; failed {len(failed)}, read all the same {len(read)}; limits or crashes: {limits or 'none'}"
    )
    print(f"reasons that are not one clear line: {unclear or 'none'}; other lines on stderr: {other or 'none'}")
    print(f"slowest slide {slowest:.1f} s of {arguments.timeout:.0f} s")
    print(f"largest worker {memory.worker_bytes / 1e9:.2f} GB of {arguments.memory:g} GB; "
          f"parent {memory.parent_bytes / 1e9:.2f} GB")  # fmt: skip
    for reason in sorted({slide["reason"] for slide in failed.values()}):
        print(f"  {sum(slide['reason'] == reason for slide in failed.values()):3d} × {reason}")
    within = slowest <= arguments.timeout + 5 and memory.worker_bytes <= arguments.memory * 1.1e9
    return code == 3 and not undone and not unclear and not other and within


def is_clear(reason: str) -> bool:
    """Return whether a reason is one line that names what is wrong and the cure, and no fault of the program."""
    return "\n" not in reason and ("; " in reason or ": " in reason) and "program failed" not in reason


if __name__ == "__main__":
    main()
