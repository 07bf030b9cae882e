"""Teach the network that tells folds: lessons, network, loop, folded tensors and their card.

    python benchmarks/train_folds.py --goes-with weights/default.json    (writes weights/folds/default.safetensors and
                                                        .json, and its name and digest into the card of the weights)
    python benchmarks/train_folds.py --open             (from pictures of an open licence alone; name "open")

Lessons are kept below ``runs/fold-lessons`` and finished members below ``runs/fold-networks``, by what they were made
with: an interrupted run goes on where it was. Remove both folders after a change to lessons or network.
"""

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
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

from ihc_quant.network.card import WEIGHTS_FOLDER
from ihc_quant.network.weights import Arrays, load_arrays, save_arrays
from ihc_quant.tissue.fold_planes import DENSITY_STEP_OD, PLANES
from ihc_quant.tissue.quality_settings import DEFAULT_QUALITY

LESSONS_FOLDER = PROJECT / "runs" / "fold-lessons"
MEMBERS_FOLDER = PROJECT / "runs" / "fold-networks"
LESSON_SEED = 0
"""Lesson i is drawn from this seed and i, so more lessons begin with the same ones."""
LOT = 20
"""Lessons in a file."""

WIDTHS = (16, 24, 32, 48)
"""Channels of each level, finest first."""
BATCH = 8
RATE = 3e-3
"""Highest learning rate, reached after the warm-up; it falls to 0 along a cosine."""
WARM_UP_STEPS = 50
WEIGHT_DECAY = 0.05
LARGEST_GRADIENT = 5.0
AVERAGED = 0.995
"""Share of the averaged weights that a step leaves as they are, once there were enough steps."""

LIMITS = {
    "least": DEFAULT_QUALITY.fold_chance,
    "sure": DEFAULT_QUALITY.fold_sure,
    "least_um2": DEFAULT_QUALITY.fold_chance_um2,
    "note": "least chance in a fold, least chance somewhere in it, smallest fold; chosen on the tuning nodes",
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
        np.savez_compressed(
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


def batch_of(lessons: Sequence[Lesson], rng: np.random.Generator) -> Tensor:
    """Return random lessons, each varied, float32 (N, 11, H, W): densities, share of fold, 1 where that is known."""
    chosen = [_varied(lessons[int(rng.integers(len(lessons)))], rng) for _ in range(BATCH)]
    return torch.from_numpy(np.ascontiguousarray(np.stack(chosen).transpose(0, 3, 1, 2)))


def _varied(lesson: Lesson, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a lesson as another stainer and another scanner would have made it, turned or mirrored."""
    density = lesson.planes.astype(np.float32) * np.float32(DENSITY_STEP_OD)
    colours = np.exp(rng.normal(0, 0.25)) * np.exp(rng.normal(0, 0.08, 3))
    gamma = float(np.exp(rng.normal(0, 0.12)))
    # Sharper optics leave means as they are and spread the least and the largest.
    spread = np.exp(rng.normal(0, (0.02, 0.08, 0.05)))
    gains = np.outer(spread, colours).ravel() * 0.25 ** (1 - gamma)
    density = density ** np.float32(gamma) * gains.astype(np.float32) + np.float32(rng.uniform(-0.01, 0.03))
    truth, known = (part[..., np.newaxis].astype(np.float32) for part in (lesson.truth, lesson.known))
    turned = np.rot90(np.concatenate([density, truth, known], axis=-1), int(rng.integers(4)))
    return turned[:, ::-1] if rng.random() < 0.5 else turned


# --- network --------------------------------------------------------------------------------------------------------
class Block(nn.Module):
    """Convolution of 3 × 3, batch normalisation and rectifier."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.normalisation = nn.BatchNorm2d(channels_out)

    def forward(self, features: Tensor) -> Tensor:
        """Return features of shape (N, channels_out, H / stride, W / stride)."""
        return functional.relu(self.normalisation(self.convolution(features)))


class FoldTeacher(nn.Module):
    """The small U-Net that ``FoldNetwork`` runs, as it learns: batch normalisation is still apart."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stem, self.first = Block(PLANES, widths[0]), Block(widths[0], widths[0])
        self.down = nn.ModuleList(nn.Sequential(Block(a, b, 2), Block(b, b)) for a, b in pairwise(widths))
        self.mid = nn.Sequential(Block(widths[-1], widths[-1]), Block(widths[-1], widths[-1]))
        self.side = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.up = nn.ModuleList(Block(a, a) for a in widths[:-1])
        self.head = nn.Conv2d(widths[0], 1, 1)

    def forward(self, density: Tensor) -> Tensor:
        """Return logits (N, H, W) for densities (N, 9, H, W), sides multiples of 8."""
        levels = [self.first(self.stem(density))]
        for step in self.down:
            levels.append(step(levels[-1]))
        features = self.mid(levels.pop())
        for level in reversed(range(len(levels))):
            wider = functional.interpolate(self.side[level](features), scale_factor=2.0, mode="nearest")
            features = self.up[level](levels[level] + wider)
        logits: Tensor = self.head(features)[:, 0]
        return logits


def folded(network: FoldTeacher) -> Arrays:
    """Return weight and bias of every convolution, batch normalisation folded in: ``{layer}.weight``, float32."""
    arrays: Arrays = {}
    for name, module in network.named_modules():
        if isinstance(module, Block):
            normalisation = module.normalisation
            mean, variance = normalisation.running_mean, normalisation.running_var
            assert mean is not None
            assert variance is not None
            scale = normalisation.weight.double() / (variance.double() + normalisation.eps).sqrt()
            weight = module.convolution.weight.double() * scale[:, None, None, None]
            bias = normalisation.bias.double() - mean.double() * scale
        elif isinstance(module, nn.Conv2d) and module.bias is not None:
            weight, bias = module.weight, module.bias
        else:
            continue
        arrays[f"{name}.weight"] = weight.detach().numpy().astype(np.float32)
        arrays[f"{name}.bias"] = bias.detach().numpy().astype(np.float32)
    return arrays


# --- loop -----------------------------------------------------------------------------------------------------------
def loss_of(logits: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """Return cross-entropy, in which a fold weighs three times as much, and half of what overlaps too little (Dice)."""
    weight = known * (1 + 2 * truth)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    chance, wanted = torch.sigmoid(logits) * known, truth * known
    # 50 squares keep the overlap steady where a batch holds hardly a fold.
    overlap = (2 * (chance * wanted).sum() + 50) / (chance.sum() + wanted.sum() + 50)
    return (entropy * weight).sum() / weight.sum().clamp(min=1) + 0.5 * (1 - overlap)


def taught(lessons: Sequence[Lesson], steps: int, seed: int) -> FoldTeacher:
    """Return a network of averaged weights that learned from the lessons."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network, averaged = FoldTeacher(), FoldTeacher()
    averaged.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY)
    losses: list[float] = []
    started = time.perf_counter()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / WARM_UP_STEPS) * 0.5 * (1 + np.cos(np.pi * step / steps))
        batch = batch_of(lessons, rng)
        loss = loss_of(network(batch[:, :PLANES]), batch[:, PLANES], batch[:, PLANES + 1])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
        optimiser.step()
        _average(averaged, network, min(AVERAGED, (step + 1) / (step + 10)))
        losses.append(loss.item())
        if (step + 1) % 100 == 0 or step + 1 == steps:
            progress = f"seed {seed}: step {step + 1} of {steps}, loss {np.mean(losses[-100:]):.4f}"
            print(f"{progress}, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return averaged.eval()


def _average(averaged: FoldTeacher, network: FoldTeacher, kept: float) -> None:
    """Move averaged weights, means and variances towards those of the network."""
    state = network.state_dict()
    for name, tensor in averaged.state_dict().items():
        if tensor.is_floating_point():
            tensor.lerp_(state[name], 1 - kept)
        else:
            tensor.copy_(state[name])


# --- command --------------------------------------------------------------------------------------------------------
def card_of(options: argparse.Namespace, lessons: Sequence[Lesson], sha256: str) -> dict[str, Any]:
    """Return what is stated of the network."""
    drawn_from = Counter(lesson.group for lesson in lessons)
    return {
        "name": options.name,
        "kind": "folds",
        "sha256": sha256,
        "members": len(options.seeds),
        "widths": WIDTHS,
        "step_um": STEP_UM,
        "licence": FREE if options.open else RESEARCH_ONLY,
        "sources": [
            {"name": name, "licence": LICENCES[name], "lessons": drawn_from[name]} for name in sorted(drawn_from)
        ],
        "lessons": len(lessons),
        "steps": options.steps,
        "seeds": options.seeds,
        "limits": LIMITS,
    }


def _whole_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def main() -> None:
    """Draw lessons, teach every member and write tensors and card."""
    parser = argparse.ArgumentParser(description="Teach the network that tells folds.")
    parser.add_argument("--name", help='of the network (default "default", or "open")')
    parser.add_argument("--lessons", type=int, default=1800)
    parser.add_argument("--steps", type=int, default=900, help="of each member (default 900)")
    parser.add_argument("--seeds", type=_whole_numbers, default=(0, 1), help="one a member (default 0,1)")
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
    made_with = f"{'open' if options.open else 'all'}-{LESSON_SEED}-{options.lessons}-lessons-{options.steps}-steps"
    (MEMBERS_FOLDER / made_with).mkdir(parents=True, exist_ok=True)
    arrays: Arrays = {}
    for member, seed in enumerate(options.seeds):
        kept = MEMBERS_FOLDER / made_with / f"{seed}.safetensors"
        if not kept.exists():
            save_arrays(folded(taught(lessons, options.steps, seed)), kept)
        arrays |= {f"{member}.{name}": array for name, array in load_arrays(kept).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    card = card_of(options, lessons, save_arrays(arrays, path))
    path.with_suffix(".json").write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if options.goes_with:
        stated = json.loads(options.goes_with.read_text(encoding="utf-8"))
        stated["folds"] = {"name": path.stem, "sha256": card["sha256"]}
        options.goes_with.write_text(json.dumps(stated, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path}: {len(options.seeds)} members, {sum(array.size for array in arrays.values())} numbers")


if __name__ == "__main__":
    main()
