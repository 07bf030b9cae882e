"""Train the network: settings, data, network, optimiser, loop, evaluation; read it from top to bottom.

Run ``python train.py --data FOLDER`` with the folder of labelled sets. It writes ``runs/<name>/``: ``log.csv``,
``last`` (resumes exactly) and ``best`` (chosen on the validation patients). At the end, or with ``--finish`` at any
time, it chooses the operating points on the validation patients, tests on patients that were never seen, and writes
weights and card into ``weights/``.
"""

import argparse
import csv
import json
import math
import sys
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ihc_quant.network.architecture import MAP_NAMES, Architecture, CellNetwork, normalise
from ihc_quant.network.card import DataSource
from ihc_quant.network.torch_predictor import arrays_of
from ihc_quant.network.weights import load_arrays, save_arrays
from ihc_quant.training.assessment import quick_scores
from ihc_quant.training.augmentation import AugmentationRanges
from ihc_quant.training.batches import BatchDrawer
from ihc_quant.training.finishing import finish_weights
from ihc_quant.training.losses import map_losses
from ihc_quant.training.sources import (
    BCDATA_MPP,
    CD138_BORDER_PX,
    CD138_MPP,
    HE_MPP,
    LYSTO_MPP,
    paint_fields,
    read_counted,
    read_dsb2018,
    read_he,
    read_point_set,
)
from ihc_quant.training.splits import Split, joined, split_by_image, split_by_patient


# --- settings -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Settings:
    """Every knob; each is a flag of the same name."""

    data: str = "../shared/data"  # folder that holds labelled/ and unlabelled/
    name: str = "default"  # name of the run and of its weights
    weights: str = "weights"  # folder of finished weights
    pixel_um: float = 0.5  # µm per pixel that the network works at
    validation_patients: str = "006"  # CD138 groups that choose checkpoint and operating points, comma-separated
    test_patients: str = "003"  # CD138 groups that are looked at once
    steps: int = 2400  # optimiser steps
    size_px: int = 192  # side of a training image, a multiple of the network's stride
    cd138: int = 6  # images of each source in a batch
    bcdata: int = 2
    dsb2018: int = 2
    painted: int = 5
    he: int = 1
    painted_fields: int = 320  # painted images to draw from
    painted_px: int = 320  # their side
    on_positive: float = 0.5  # share of crops placed around a positive cell, where there is one
    rate: float = 3e-3  # highest learning rate, reached after the warm-up
    warm_up: int = 150  # steps of linear warm-up; a cosine to zero follows
    decay: float = 0.02  # weight decay
    averaging: float = 0.995  # decay of the running average of weights, which is what is kept
    positivity_weight: float = 1.0  # weight of the positivity loss beside centre and extent
    every: int = 200  # steps between validations and checkpoints
    seed: int = 1
    threads: int = 2  # CPU threads
    finish: bool = False  # choose operating points, test, write weights and card; no training


# --- data -----------------------------------------------------------------------------------------------------------
def load_split(settings: Settings) -> Split:
    """Read every source and split it by patient or, where patients are unknown, by image."""
    folder = Path(settings.data)
    pixel_um, labelled = settings.pixel_um, folder / "labelled"
    cd138 = read_point_set(labelled / "cd138", "cd138", CD138_MPP, pixel_um, CD138_BORDER_PX)
    bcdata = read_point_set(labelled / "bcdata", "bcdata", BCDATA_MPP, pixel_um, 0)
    he = read_he(folder / "unlabelled" / "lymphnode_cd3", HE_MPP, pixel_um)
    painted = paint_fields(range(settings.painted_fields), settings.painted_px)
    return joined(
        [
            split_by_patient(cd138, settings.validation_patients.split(","), settings.test_patients.split(",")),
            split_by_image(bcdata),
            split_by_image(read_dsb2018(labelled / "dsb2018", pixel_um)),
            split_by_image(painted),
            Split(tuple(he), (), ()),
        ]
    )


# --- state that is kept ---------------------------------------------------------------------------------------------
def learning_rate(step: int, settings: Settings) -> float:
    """Return the rate of a step: linear warm-up, then a cosine to zero."""
    if step < settings.warm_up:
        return settings.rate * (step + 1) / settings.warm_up
    progress = (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)
    return settings.rate * 0.5 * (1 + math.cos(math.pi * progress))


def save_last(folder: Path, step: int, network: nn.Module, average: dict[str, Tensor], optimiser: torch.optim.Optimizer,
              best: float) -> None:  # fmt: skip
    """Write all that is needed to go on exactly: weights, their average, the optimiser's moments, the step."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": tensor for name, tensor in state.items()}
    save_arrays(arrays_of(tensors | {"step": torch.tensor(step), "best": torch.tensor(best, dtype=torch.float64)}),
                folder / "last.safetensors")  # fmt: skip


def load_last(
    folder: Path, network: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[int, dict[str, Tensor], float]:
    """Restore what ``save_last`` wrote; return the next step, the averaged weights and the best score so far."""
    tensors = {name: torch.tensor(array) for name, array in load_arrays(folder / "last.safetensors").items()}
    parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}}
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        head, _, rest = name.partition(".")
        if head in parts:
            parts[head][rest] = tensor
        elif head == "optimiser":
            number, _, moment = rest.partition(".")
            moments.setdefault(int(number), {})[moment] = tensor
    network.load_state_dict(parts["network"])
    optimiser.load_state_dict({"state": moments, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(tensors["step"]), parts["average"], float(tensors["best"])


# --- network, optimiser, loop ---------------------------------------------------------------------------------------
def train(settings: Settings, split: Split, folder: Path) -> None:
    """Train from the start or from ``last``."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = CellNetwork(Architecture()).to(device).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.decay)
    start, best = 0, -1.0
    average = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    if (folder / "last.safetensors").exists():
        start, average, best = load_last(folder, network, optimiser)
        print(f"resuming at step {start}", file=sys.stderr)
    pools = {source: [field for field in split.training if field.source == source] for source in SOURCES}
    shares = {source: int(getattr(settings, source)) for source in SOURCES}
    ranges = AugmentationRanges()
    drawer = BatchDrawer(
        pools, shares, settings.size_px, settings.pixel_um, ranges, settings.on_positive, settings.seed
    )
    weight = torch.tensor([1.0, 1.0, settings.positivity_weight], device=device)
    clock, losses = time.monotonic(), []
    for step, batch in drawer.draw_ahead(start, settings.steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, settings)
        network.train()
        image = normalise(torch.from_numpy(batch.rgb).to(device)).to(memory_format=torch.channels_last)
        each = map_losses(network(image), torch.from_numpy(batch.values).to(device),
                          torch.from_numpy(batch.weights).to(device))  # fmt: skip
        optimiser.zero_grad(set_to_none=True)
        (each * weight).sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        decay = min(settings.averaging, (step + 1) / (step + 10))
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                average[name].lerp_(tensor, 1 - decay)
            else:
                average[name].copy_(tensor)
        losses.append(each.detach().cpu().numpy())
        if (step + 1) % settings.every == 0 or step + 1 == settings.steps:
            averaged = CellNetwork(Architecture()).to(device)
            averaged.load_state_dict(average)
            scores = quick_scores(averaged.eval(), split.validation, settings.pixel_um)
            if scores["mean"] > best:
                best = scores["mean"]
                save_arrays(arrays_of(average), folder / "best.safetensors")
            save_last(folder, step + 1, network, average, optimiser, best)
            log(folder, step + 1, np.mean(losses, axis=0), scores)
            left = (time.monotonic() - clock) / (step + 1 - start) * (settings.steps - step - 1)
            print(f"step {step + 1}/{settings.steps}, {left / 60:.0f} min left", file=sys.stderr)
            losses = []


def log(folder: Path, step: int, losses: np.ndarray, scores: dict[str, float]) -> None:
    """Add a line to the log, on disk and on the screen."""
    row = {"step": step} | dict(zip(MAP_NAMES, losses.round(4).tolist(), strict=True)) | scores
    new = not (folder / "log.csv").exists()
    with (folder / "log.csv").open("a", newline="") as stream:
        writer = csv.DictWriter(stream, row)
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(" ".join(f"{name}={value:.4g}" for name, value in row.items()), flush=True)


SOURCES = ("cd138", "bcdata", "dsb2018", "painted", "he")

LICENCES = {
    "cd138": "none stated (STTARR plasma-cell-detection)",
    "bcdata": "none stated (BCData sample)",
    "dsb2018": "CC0 (Data Science Bowl 2018)",
    "painted": "this project's own painter",
    "he": "none stated (lymph node, H&E)",
}


# --- from flags to weights ------------------------------------------------------------------------------------------
def parse_settings() -> Settings:
    """Return the settings given as flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in fields(Settings):
        if field.type is bool:
            parser.add_argument(f"--{field.name}", action="store_true")
        else:
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=field.default)
    return Settings(**vars(parser.parse_args()))


def main() -> None:
    """Train, or finish a trained run."""
    settings = parse_settings()
    folder = Path("runs") / settings.name
    folder.mkdir(parents=True, exist_ok=True)
    split = load_split(settings)
    if not settings.finish:
        (folder / "settings.json").write_text(json.dumps(asdict(settings), indent=2))
        train(settings, split, folder)
    learned = [
        DataSource(name=source, licence=LICENCES[source], role="training, validation and test, split",
                   images=sum(field.source == source for part in (split.training, split.validation, split.test)
                              for field in part))
        for source in SOURCES
    ]  # fmt: skip
    counted = read_counted(Path(settings.data) / "labelled" / "lysto", LYSTO_MPP, settings.pixel_um)
    tested = DataSource(name="lysto", licence="none stated (LYSTO copy)", role="test only", images=len(counted))
    card = finish_weights(folder / "best.safetensors", Path(settings.weights) / settings.name, split, counted,
                          [*learned, tested], asdict(settings))  # fmt: skip
    print(json.dumps(card.metrics, indent=2))


if __name__ == "__main__":
    main()
