"""Teach the network that tells folds: lessons, network, loop, tensors and their card.

    python benchmarks/train_folds.py --goes-with weights/default.json    (writes weights/folds/default.safetensors and
                                                        .json, and its name and digest into the card of the weights)
    python benchmarks/train_folds.py --open   (from pictures of an open licence alone and from chance; name "open")

Lessons are kept below ``runs/fold-lessons``: an interrupted run goes on with those that are missing. Remove that folder
after a change to lessons.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from fold_lessons import LICENCES, OPEN_GROUPS, SOURCES, STEP_UM, Lesson, drawn
from material import PROJECT
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ihc_quant.network.architecture import ConvBlock, residual_encoder
from ihc_quant.network.card import WEIGHTS_FOLDER
from ihc_quant.network.devices import cpu_has_bfloat16
from ihc_quant.network.fold_network import ENCODER
from ihc_quant.network.weights import Arrays, load_arrays, save_arrays
from ihc_quant.tissue.fold_planes import DENSITY_STEP_OD, SQUARE
from ihc_quant.tissue.quality_settings import DEFAULT_QUALITY
from ihc_quant.training.state import follow, with_encoder
from ihc_quant.training.statements import inherited_sources

LESSONS_FOLDER = PROJECT / "runs" / "fold-lessons"
LESSON_SEED = 14
"""Lesson i is drawn from this seed and i, so more lessons begin with the same ones."""
LOT = 20
"""Lessons in a file."""
ENCODER_TENSORS = WEIGHTS_FOLDER / "efficientnet-lite0.safetensors"

CROP = 64
"""Squares along the side of what a step sees of a lesson."""
LOOKS = 6
"""Places of a lesson that are looked at for a fold, in half of the draws."""
BATCH = 8
RATE = 2e-3
"""Highest learning rate, reached after the warm-up; it falls to 0 along a cosine."""
WARM_UP_STEPS = 60
WEIGHT_DECAY = 0.02
LARGEST_GRADIENT = 5.0
AVERAGED = 0.99
"""Share of the averaged weights that a step leaves as they are, once there were enough steps."""

LIMITS = {
    "least": DEFAULT_QUALITY.fold_chance,
    "sure": DEFAULT_QUALITY.fold_sure,
    "least_um2": DEFAULT_QUALITY.fold_chance_um2,
    "note": "least chance in a fold, least chance somewhere in it, smallest fold; "
    "chosen while looking at the judged nodes, on other seeds than those of the figures",
}

RESEARCH_ONLY = "Research use only: learned in part from pictures that state no licence"
FREE = "Free: learned from CC0 and CC BY 4.0 pictures and this project's own alone; see sources for whom to name"


# --- lessons --------------------------------------------------------------------------------------------------------
def lessons_of(count: int, only_open: bool, processes: int) -> list[Lesson]:
    """Return lessons, drawn where they are not kept yet."""
    folder = LESSONS_FOLDER / f"{'open' if only_open else 'all'}-{LESSON_SEED}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{lot:05d}.npz" for lot in range(-(-count // LOT))]
    missing = [(path, lot * LOT, only_open) for lot, path in enumerate(paths) if not path.exists()]
    started = time.perf_counter()
    # Started afresh: a forked process may hang in libraries that had threads.
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for done, _ in enumerate(pool.map(_draw_lot, missing), 1):
            seconds = (time.perf_counter() - started) / (done * LOT)
            print(f"lots drawn: {done} of {len(missing)}, {seconds:.2f} s a lesson", file=sys.stderr, flush=True)
    return [lesson for path in paths for lesson in _read_lot(path)][:count]


def _draw_lot(task: tuple[Path, int, bool]) -> None:
    """Draw one file of lessons, whole or not at all."""
    path, first, only_open = task
    cv2.setNumThreads(1)
    sources = tuple(source for source in SOURCES if source.group in OPEN_GROUPS or not only_open)
    lot = [drawn(sources, np.random.default_rng([LESSON_SEED, first + index])) for index in range(LOT)]
    partial = path.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez(  # compressing takes longer than drawing
            stream,
            planes=np.stack([lesson.planes for lesson in lot]),
            truth=np.stack([lesson.truth for lesson in lot]),
            known=np.stack([lesson.known for lesson in lot]),
            group=np.array([lesson.group for lesson in lot]),
        )
    partial.replace(path)


def _read_lot(path: Path) -> list[Lesson]:
    with np.load(path) as kept:
        planes, truth, known, groups = (kept[name] for name in ("planes", "truth", "known", "group"))
    return [Lesson(planes[at], truth[at], known[at], str(group)) for at, group in enumerate(groups)]


def batch_of(lessons: Sequence[Lesson], rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Return parts of random lessons, varied: pixels (N, 3, 4 h, 4 w), share of fold and what is known (N, h, w)."""
    chosen = [_part(lessons[int(rng.integers(len(lessons)))], rng) for _ in range(BATCH)]
    pixels, truth, known = (torch.from_numpy(np.stack(parts)) for parts in zip(*chosen, strict=True))
    return pixels, truth, known


def _part(
    lesson: Lesson, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return a part of a lesson as another stainer and another scanner would have made it, turned or mirrored."""
    side = min(CROP, *lesson.truth.shape)

    def anywhere() -> tuple[int, int]:
        y, x = (int(rng.integers(0, length - side + 1)) for length in lesson.truth.shape)
        return y, x

    y, x = anywhere()
    looks = LOOKS if rng.random() < 0.5 else 0
    while looks and not (lesson.truth[y : y + side, x : x + side] > 0.5).any():
        (y, x), looks = anywhere(), looks - 1
    place = slice(y, y + side), slice(x, x + side)
    fine = slice(y * SQUARE, (y + side) * SQUARE), slice(x * SQUARE, (x + side) * SQUARE)
    pixels = _varied(lesson.planes[fine].astype(np.float32) * np.float32(DENSITY_STEP_OD), rng)
    parts = [pixels, lesson.truth[place].astype(np.float32), lesson.known[place].astype(np.float32)]
    turns = int(rng.integers(4))
    parts = [np.rot90(part, turns) for part in parts]
    if rng.random() < 0.5:
        parts = [part[:, ::-1] for part in parts]
    return (
        np.ascontiguousarray(parts[0].transpose(2, 0, 1)),
        np.ascontiguousarray(parts[1]),
        np.ascontiguousarray(parts[2]),
    )


def _varied(density: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return what the network sees of densities, 0 on glass to 1, in other focus, stain and light."""
    focus = rng.random()
    if focus < 0.35:
        density = np.asarray(cv2.GaussianBlur(density, (0, 0), rng.uniform(0.3, 1.1)), np.float32)
    elif focus < 0.5:
        density = np.maximum(density + rng.uniform(0.2, 0.8) * (density - cv2.GaussianBlur(density, (0, 0), 1.0)), 0)
    colours = np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.08, 3))
    gamma = float(np.exp(rng.normal(0, 0.12)))
    gains = (colours * 0.25 ** (1 - gamma)).astype(np.float32)
    density = np.maximum(density, 0) ** np.float32(gamma) * gains + np.float32(rng.uniform(-0.01, 0.03))
    seen = 1 - np.power(np.float32(10), -density)
    return np.asarray(seen + rng.normal(0, rng.uniform(0, 0.015), seen.shape), np.float32)


# --- network --------------------------------------------------------------------------------------------------------
class FoldTeacher(nn.Module):
    """The network that ``FoldNetwork`` runs, as it learns."""

    def __init__(self) -> None:
        super().__init__()
        fine, middle, coarse = ENCODER.widths[1:]
        self.encoder = residual_encoder(ENCODER)
        self.mid = nn.Sequential(ConvBlock(coarse, 64), ConvBlock(64, 64))
        self.side, self.up = nn.ModuleList([nn.Conv2d(64, middle, 1)]), nn.ModuleList([ConvBlock(middle, middle)])
        self.side.append(nn.Conv2d(middle, 32, 1))
        self.fine = nn.Conv2d(fine, 32, 1)
        self.up.append(ConvBlock(32, 32))
        self.head = nn.Conv2d(32, 1, 1)
        nn.init.constant_(self.head.bias, -2.0)  # type: ignore[arg-type]

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits (N, H / 4, W / 4) for pixels (N, 3, H, W) of 1 µm, 0 on glass, sides multiples of 16."""
        features, levels = functional.pixel_unshuffle(pixels, ENCODER.fold), []
        for level in self.encoder:
            features = level(features)
            levels.append(features)
        _, fine, middle, coarse = levels
        features = self.up[0](middle + _doubled(self.side[0](self.mid(coarse))))
        features = self.up[1](self.fine(fine) + _doubled(self.side[1](features)))
        logits: Tensor = self.head(features)[:, 0]
        return logits


def _doubled(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")


def beginner(encoder: Path | None) -> FoldTeacher:
    """Return a network that begins by chance, but for an encoder whose tensors are given."""
    network = FoldTeacher()
    if encoder is None:
        return network
    given = {name: torch.from_numpy(array.copy()) for name, array in load_arrays(encoder).items()}
    network.load_state_dict(with_encoder(network.state_dict(), given))
    return network


def tensors_of(network: FoldTeacher) -> dict[str, NDArray[np.float32]]:
    """Return what ``FoldNetwork`` takes."""
    return {name: tensor.float().numpy() for name, tensor in network.state_dict().items() if tensor.is_floating_point()}


# --- loop -----------------------------------------------------------------------------------------------------------
def loss_of(logits: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Return cross-entropy, in which a fold weighs three times as much, and half of what overlaps too little (Dice)."""
    weight = known * (1 + 2 * truth)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    chance, wanted = torch.sigmoid(logits) * known, truth * known
    # 50 squares keep the overlap steady where a batch holds hardly a fold.
    overlap = (2 * (chance * wanted).sum() + 50) / (chance.sum() + wanted.sum() + 50)
    return (entropy * weight).sum() / weight.sum().clamp(min=1) + 0.5 * (1 - overlap)


def taught(lessons: Sequence[Lesson], steps: int, seed: int, encoder: Path | None = ENCODER_TENSORS) -> FoldTeacher:
    """Return a network of averaged weights that learned from the lessons."""
    cv2.setNumThreads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network, averaged = beginner(encoder), FoldTeacher()
    averaged.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
    losses: list[float] = []
    started = time.perf_counter()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / WARM_UP_STEPS) * 0.5 * (1 + np.cos(np.pi * step / steps))
        pixels, truth, known = batch_of(lessons, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bfloat16()):
            logits = network(pixels.to(memory_format=torch.channels_last))
        loss = loss_of(logits.float(), truth, known)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
        optimiser.step()
        follow(averaged.state_dict(), network, step, AVERAGED)
        losses.append(loss.item())
        if (step + 1) % 100 == 0 or step + 1 == steps:
            progress = f"seed {seed}: step {step + 1} of {steps}, loss {np.mean(losses[-100:]):.4f}"
            print(f"{progress}, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return averaged.eval()


# --- command --------------------------------------------------------------------------------------------------------
def card_of(options: argparse.Namespace, lessons: Sequence[Lesson], sha256: str) -> dict[str, Any]:
    """Return what is stated of the network."""
    drawn_from = Counter(lesson.group for lesson in lessons)
    # An encoder that saw ImageNet would bind what learned from open pictures alone.
    inherited = [] if options.open else inherited_sources(ENCODER_TENSORS, None)
    return {
        "name": options.name,
        "kind": "folds",
        "sha256": sha256,
        "network": "EfficientNet-Lite0's residuals up to 16 pixels of 1 µm, decoded to squares of 4 µm",
        "step_um": STEP_UM,
        "licence": FREE if options.open else RESEARCH_ONLY,
        "sources": [
            {"name": name, "licence": LICENCES[name], "lessons": drawn_from[name]} for name in sorted(drawn_from)
        ]
        + [{"name": source.name, "licence": source.licence, "role": source.role} for source in inherited],
        "lessons": len(lessons),
        "steps": options.steps,
        "seed": options.seed,
        "limits": LIMITS,
    }


def main() -> None:
    """Draw lessons, teach and write tensors and card."""
    parser = argparse.ArgumentParser(description="Teach the network that tells folds.")
    parser.add_argument("--name", help='of the network (default "default", or "open")')
    parser.add_argument("--lessons", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=1300, help="(default 1300)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--open", action="store_true", help="learn from pictures of an open licence alone")
    parser.add_argument("--processes", type=int, default=2, help="that draw lessons (default 2)")
    parser.add_argument("--threads", type=int, default=2, help="that teach (default 2)")
    parser.add_argument("--out", type=Path, help="tensors (default weights/folds/NAME.safetensors)")
    parser.add_argument("--goes-with", type=Path, help="card of the weights that shall name it")
    options = parser.parse_args()
    options.name = options.name or ("open" if options.open else "default")
    path = options.out or WEIGHTS_FOLDER / "folds" / f"{options.name}.safetensors"
    torch.set_num_threads(options.threads)
    lessons = lessons_of(options.lessons, options.open, options.processes)
    path.parent.mkdir(parents=True, exist_ok=True)
    network = taught(lessons, options.steps, options.seed, None if options.open else ENCODER_TENSORS)
    arrays: Arrays = {**tensors_of(network)}
    card = card_of(options, lessons, save_arrays(arrays, path))
    path.with_suffix(".json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.goes_with:
        stated = json.loads(options.goes_with.read_text(encoding="utf-8"))
        stated["folds"] = {"name": path.stem, "sha256": card["sha256"]}
        options.goes_with.write_text(json.dumps(stated, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path}: {sum(array.size for array in arrays.values())} numbers")


if __name__ == "__main__":
    main()
