"""Teach the network that tells folds, and say how it does on lymph nodes that it has not seen.

    python benchmarks/train_folds.py --cache DIR [--target FILE]
    python benchmarks/train_folds.py --cache DIR --start FILE --epochs 14    goes on from weights, with the nodes

Two steps. First it learns from all sources but the lymph nodes and is judged on folds painted onto the tuning nodes:
what is chosen (size, limits of probability) is chosen there. Then it goes on with the nodes as well, which are no fair
judges from then on. ``quality.py --set judged`` judges the outcome on two pictures that are in no source.
The weights of the package were made by the first command and by two of the second, each from the one before.
Their first lot of samples was drawn by an earlier state of ``fold_samples.py``, the other two are drawn as they were,
so the commands give weights of the same kind and not the same weights.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from fold_samples import LICENCES, SOURCES, Sample, drawn
from numpy.typing import NDArray
from torch import nn

from ihc_quant.tissue.fold_features import PLANES, seen
from ihc_quant.tissue.fold_network import FoldNetwork, read_network
from ihc_quant.tissue.folds import folds_of, signs_of
from ihc_quant.tissue.quality_settings import DEFAULT_QUALITY

CHANNELS, DILATIONS = 12, (1, 1, 2, 4, 8, 2, 1)
SEED, SAMPLES_EACH = 70_002, 300
"""Seed of the first lot of samples; each lot has its own."""
LOTS = 3
HELD_OUT = ("ihc_a", "pair1")
BATCH, RATE, DECAY = 8, 3e-3, 1e-3
EPOCHS_WITHOUT, EPOCHS_WITH = 18, 12
STRENGTH = 0.25
"""Standard deviation by which logarithms of densities are shifted, so that strength of stain is no clue."""
DIGITS = 5
TARGET = Path(__file__).resolve().parents[1] / "ihc_quant" / "tissue" / "fold_network.json"


class Learner(nn.Module):
    """The network of ``fold_network`` as torch learns it."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [PLANES, *[CHANNELS] * len(DILATIONS)]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=dilation, dilation=dilation)
            for before, after, dilation in zip(sizes, sizes[1:], DILATIONS, strict=False)
        )
        self.last = nn.Conv2d(CHANNELS, 1, 1)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """Return logits, (N, H, W), of planes (N, C, H, W)."""
        known, layer = planes[:, -1:], planes
        for number, convolution in enumerate(self.convolutions):
            change = torch.relu(convolution(layer)) * known
            layer = layer + change if number else change
        logits: torch.Tensor = self.last(layer)[:, 0]
        return logits

    def put(self, network: FoldNetwork) -> None:
        """Start from weights that were learned before."""
        with torch.no_grad():
            for convolution, kernels, offsets in zip(self.convolutions, network.kernels, network.offsets, strict=True):
                convolution.weight.copy_(torch.from_numpy(kernels))  # type: ignore[operator]
                convolution.bias.copy_(torch.from_numpy(offsets))  # type: ignore[operator]
            self.last.weight.copy_(torch.from_numpy(network.last)[None, :, None, None])
            self.last.bias.fill_(network.last_offset)  # type: ignore[union-attr]

    def taken(self) -> FoldNetwork:
        """Return what was learned, rounded as it is kept."""
        rounded = [
            (_rounded(convolution.weight), _rounded(convolution.bias))  # type: ignore[arg-type]
            for convolution in self.convolutions
        ]
        return FoldNetwork(
            tuple(kernels for kernels, _ in rounded),
            tuple(offsets for _, offsets in rounded),
            DILATIONS,
            _rounded(self.last.weight)[0, :, 0, 0],
            float(_rounded(self.last.bias)[0]),  # type: ignore[arg-type]
        )


def _rounded(values: torch.Tensor) -> NDArray[np.float32]:
    return np.round(values.detach().numpy().astype(np.float64), DIGITS).astype(np.float32)


def samples(seed: int, count: int, cache: Path) -> list[Sample]:
    """Return a lot of samples, from the cache where they were made before."""
    path = cache / f"folds-{seed}-{count}.npz"
    if not path.exists():
        made = [drawn(SOURCES, np.random.default_rng([seed, number])) for number in range(count)]
        np.savez_compressed(
            path,
            values=np.stack([sample.values for sample in made]),
            tissue=np.stack([sample.tissue for sample in made]),
            truth=np.stack([sample.truth for sample in made]),
            pale=np.stack([sample.pale for sample in made]),
            group=np.array([sample.group for sample in made]),
        )
    with np.load(path) as kept:
        planes = zip(kept["values"], kept["tissue"], kept["truth"], kept["pale"], kept["group"], strict=True)
        return [Sample(values, tissue, truth, pale, str(group)) for values, tissue, truth, pale, group in planes]


def learn(learner: Learner, lot: Sequence[Sample], epochs: int, rng: np.random.Generator) -> None:
    """Go on learning from samples."""
    planes = np.stack([seen(sample.values, sample.tissue) for sample in lot])
    truths = np.stack([sample.truth for sample in lot]).astype(np.float32)
    # Where fat lies double there is nothing to see, so nothing is asked there.
    weights = np.stack([sample.tissue & ~(sample.pale & sample.truth) for sample in lot]).astype(np.float32)
    batches = len(lot) // BATCH
    optimiser = torch.optim.AdamW(learner.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=epochs * batches + 1, pct_start=0.15)
    started = time.time()
    shifted = torch.tensor([1.0] * 5 + [0.5] * 2)[None, :, None, None]
    for epoch in range(epochs):
        order, total = rng.permutation(len(lot)), 0.0
        for batch in range(batches):
            rows = order[batch * BATCH : (batch + 1) * BATCH]
            x, y, w = _turned([torch.from_numpy(values[rows]) for values in (planes, truths, weights)], rng)
            shifts = torch.from_numpy(rng.normal(0, STRENGTH, (len(rows), 1, 1, 1)).astype(np.float32))
            x[:, :7] += x[:, -1:] * shifts * shifted
            losses = nn.functional.binary_cross_entropy_with_logits(learner(x), y, reduction="none")
            loss = (losses * w).sum() / w.sum().clamp(min=1)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        print(f"epoch {epoch + 1}: loss {total / batches:.4f}, {time.time() - started:.0f} s", flush=True)


def _turned(planes: list[torch.Tensor], rng: np.random.Generator) -> list[torch.Tensor]:
    turns, mirrored = int(rng.integers(4)), rng.random() < 0.5
    turned = [torch.rot90(plane, turns, (-2, -1)) for plane in planes]
    return [(plane.flip(-1) if mirrored else plane).clone() for plane in turned]


def judged(network: FoldNetwork, lot: Sequence[Sample]) -> str:
    """Return recall and precision by area."""
    hit = true = told = 0
    for sample in lot:
        signs = signs_of(seen(sample.values, sample.tissue), network)
        found = folds_of(signs, 8.0, DEFAULT_QUALITY) & ~(sample.pale & sample.truth)
        truth = sample.truth & ~sample.pale
        hit, true, told = hit + int((found & truth).sum()), true + int(truth.sum()), told + int(found.sum())
    return f"recall {hit / max(true, 1):.3f}  precision {hit / max(told, 1):.3f}  ({true * 64e-6:.2f} mm²)"


def write(network: FoldNetwork, count: int, target: Path) -> None:
    """Write the weights with where they come from."""
    stated = {
        "what": "folds on squares of 8 µm, from the measures of tile_measures.py",
        "made_by": "benchmarks/train_folds.py",
        "learned_from": f"{count} samples with folds painted on, seeds from {SEED}: {', '.join(LICENCES)}",
        "licence": "Some sources state no licence: for research only.",
        "dilations": list(network.dilations),
        "kernels": [_listed(kernels) for kernels in network.kernels],
        "offsets": [_listed(offsets) for offsets in network.offsets],
        "last": _listed(network.last),
        "last_offset": round(network.last_offset, DIGITS),
    }
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in stated.items())
    target.write_text("{\n" + lines + "\n}\n", encoding="utf-8")


def _listed(values: NDArray[np.float32]) -> object:
    return np.round(values.astype(np.float64), DIGITS).tolist()


def main() -> None:
    """Learn in two steps and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps the samples")
    parser.add_argument("--target", type=Path, default=TARGET)
    parser.add_argument("--start", type=Path, help="weights to go on from, without the first step")
    parser.add_argument("--epochs", type=int, default=EPOCHS_WITH, help="of the last step")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    given.cache.mkdir(parents=True, exist_ok=True)
    lot = [sample for number in range(LOTS) for sample in samples(SEED + number, SAMPLES_EACH, given.cache)]
    learner = Learner()
    if given.start is None:
        without = [sample for sample in lot if sample.group not in HELD_OUT]
        learn(learner, without, EPOCHS_WITHOUT, rng)
        network = learner.taken()
        write(network, len(without), given.cache / "without-nodes.json")
        for group in HELD_OUT:
            held_out = [sample for sample in lot if sample.group == group]
            print(f"not seen, {group}: {judged(network, held_out)}", flush=True)
    else:
        learner.put(read_network(given.start.read_text(encoding="utf-8")))
    learn(learner, lot, given.epochs, rng)
    write(learner.taken(), len(lot), given.target)
    print(given.target)


if __name__ == "__main__":
    main()
