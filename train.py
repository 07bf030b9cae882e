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
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ihc_quant.errors import IhcQuantError, SettingsError
from ihc_quant.network.architecture import MAP_NAMES, CellNetwork, normalise
from ihc_quant.network.card import Architecture, DataSource
from ihc_quant.network.torch_predictor import arrays_of
from ihc_quant.network.weights import save_arrays
from ihc_quant.training.assessment import quick_scores
from ihc_quant.training.augmentation import AugmentationRanges
from ihc_quant.training.batches import Batch, BatchDrawer
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
    read_he_slide,
    read_point_set,
)
from ihc_quant.training.splits import Split, joined, split_by_image, split_by_patient
from ihc_quant.training.state import State, load_last, save_last

RUNS = Path("runs")  # folder of logs and checkpoints

LICENCES = {  # what is learned from, and under which licence
    "cd138": "none stated (STTARR plasma-cell-detection)",
    "bcdata": "none stated (BCData sample)",
    "dsb2018": "CC0 (Data Science Bowl 2018)",
    "painted": "this project's own painter",
    "he": "none stated (lymph node, H&E); OpenSlide test data (one H&E slide)",
}

PLACE = ("data", "weights", "threads", "finish")  # settings of where and how a run is done, not of what is learned


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
    steps: int = 2000  # optimiser steps
    size_px: int = 192  # side of a training image, a multiple of the network's stride
    cd138: int = 6  # images of marrow with CD138 in a batch
    bcdata: int = 2  # images of breast with Ki-67 in a batch
    dsb2018: int = 2  # images with outlined nuclei, without chromogen, in a batch
    painted: int = 4  # painted images in a batch
    he: int = 2  # images of H&E, where nothing is positive, in a batch
    he_slide: str = "slides/no-mpp-jpeg2000.svs"  # an H&E slide in the data folder, at 0.5 µm per pixel; "" for none
    painted_fields: int = 320  # painted images to draw from
    painted_px: int = 320  # their side
    on_positive: float = 0.5  # share of crops placed around a positive cell, where there is one
    rate: float = 3e-3  # highest learning rate, reached after the warm-up
    warm_up: int = 150  # steps of linear warm-up; a cosine to zero follows
    decay: float = 0.02  # weight decay
    averaging: float = 0.995  # decay of the running average of weights, which is what is kept
    positivity_weight: float = 1.0  # weight of the positivity loss beside centre and extent
    every: int = 200  # steps between validations and checkpoints
    seed: int = 1  # of the first weights, of the batches and of their augmentation
    threads: int = 2  # CPU threads
    finish: bool = False  # choose operating points, test, write weights and card; no training

    def __post_init__(self) -> None:
        for name in ("steps", "every", "painted_fields", "painted_px", "threads", "pixel_um", "rate"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"--{name.replace('_', '-')} must be above 0, not {getattr(self, name)}.")
        stride_px = Architecture().stride_px
        if self.size_px <= 0 or self.size_px % stride_px:
            raise SettingsError(f"--size-px must be a multiple of {stride_px}, not {self.size_px}.")
        if min(self.shares().values()) < 0 or not any(self.shares().values()):
            raise SettingsError(f"a batch needs images: state how many of {', '.join(LICENCES)}.")

    def shares(self) -> dict[str, int]:
        """Return how many images of each source are in a batch."""
        return {source: int(getattr(self, source)) for source in LICENCES}

    def lesson(self) -> dict[str, str | int | float]:
        """Return the settings that decide what is learned, and so stand in the card."""
        return {name: value for name, value in asdict(self).items() if name not in PLACE}


# --- data -----------------------------------------------------------------------------------------------------------
def load_split(settings: Settings) -> Split:
    """Read every source and split it by patient or, where patients are unknown, by image."""
    folder, pixel_um = Path(settings.data), settings.pixel_um
    if not folder.is_dir():
        raise SettingsError(f"--data {folder}: no such folder; name the one that holds labelled/ and unlabelled/.")
    cd138 = read_point_set(folder / "labelled" / "cd138", "cd138", CD138_MPP, pixel_um, CD138_BORDER_PX)
    bcdata = read_point_set(folder / "labelled" / "bcdata", "bcdata", BCDATA_MPP, pixel_um, 0)
    dsb2018 = read_dsb2018(folder / "labelled" / "dsb2018", pixel_um)
    he = read_he(folder / "unlabelled" / "lymphnode_cd3", HE_MPP, pixel_um)
    if settings.he_slide:
        he += read_he_slide(folder / settings.he_slide, HE_MPP, pixel_um)
    painted = paint_fields(range(settings.painted_fields), settings.painted_px)
    return joined(
        [
            split_by_patient(cd138, settings.validation_patients.split(","), settings.test_patients.split(",")),
            split_by_image(bcdata),
            split_by_image(dsb2018),
            split_by_image(painted),
            Split(tuple(he), (), ()),
        ]
    )


def batches_of(settings: Settings, split: Split) -> BatchDrawer:
    """Return what draws the batch of any step."""
    pools = {source: [field for field in split.training if field.source == source] for source in LICENCES}
    if lacking := [source for source, count in settings.shares().items() if count and not pools[source]]:
        raise SettingsError(f"nothing is left to train on in {', '.join(lacking)}; set --{lacking[0]} 0.")
    return BatchDrawer(
        pools=pools,
        shares=settings.shares(),
        size_px=settings.size_px,
        pixel_um=settings.pixel_um,
        ranges=AugmentationRanges(),
        on_positive=settings.on_positive,
        seed=settings.seed,
    )


# --- network and optimiser ------------------------------------------------------------------------------------------
def first_state(settings: Settings) -> State:
    """Return a network that has learned nothing, on the GPU where there is one."""
    torch.manual_seed(settings.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = CellNetwork(Architecture()).to(device).to(memory_format=torch.channels_last)
    average = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.decay)
    return State(network, average, optimiser)


# --- loop -----------------------------------------------------------------------------------------------------------
def learning_rate(step: int, settings: Settings) -> float:
    """Return the rate of a step: linear warm-up, then a cosine to zero."""
    if step < settings.warm_up:
        return settings.rate * ((step + 1) / settings.warm_up)
    progress = (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)
    return settings.rate * 0.5 * (1 + math.cos(math.pi * progress))


def take_step(state: State, batch: Batch, settings: Settings) -> NDArray[np.float32]:
    """Learn from one batch; return the losses of the three maps."""
    device = next(state.network.parameters()).device
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(state.step, settings)
    state.network.train()
    image = normalise(torch.from_numpy(batch.rgb).to(device)).to(memory_format=torch.channels_last)
    values, weights = torch.from_numpy(batch.values).to(device), torch.from_numpy(batch.weights).to(device)
    losses = map_losses(state.network(image), values, weights)
    importance = torch.tensor([1.0, 1.0, settings.positivity_weight], device=device)
    state.optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward((losses * importance).sum())
    nn.utils.clip_grad_norm_(state.network.parameters(), 5.0)
    state.optimiser.step()
    # The average follows faster at first, lest it remember the weights that had learned nothing.
    kept = min(settings.averaging, (state.step + 1) / (state.step + 10))
    for name, tensor in state.network.state_dict().items():
        if tensor.is_floating_point():
            state.average[name].lerp_(tensor, 1 - kept)
        else:
            state.average[name].copy_(tensor)
    state.step += 1
    return np.asarray(losses.detach().cpu().numpy(), np.float32)


def train(settings: Settings, split: Split, folder: Path) -> None:
    """Train from the start, or go on from ``last``."""
    torch.set_num_threads(settings.threads)
    state, drawer = first_state(settings), batches_of(settings, split)
    if (folder / "last.safetensors").exists():
        load_last(state, folder / "last.safetensors")
        forget_after(folder / "log.csv", state.step)
        print(f"resuming at step {state.step}", file=sys.stderr)
    averaged = CellNetwork(Architecture()).to(next(state.network.parameters()).device)
    clock, start, losses = time.monotonic(), state.step, []
    for _, batch in drawer.draw_ahead(start, settings.steps):
        losses.append(take_step(state, batch, settings))
        if state.step % settings.every and state.step != settings.steps:
            continue
        averaged.load_state_dict(state.average)
        scores = quick_scores(averaged.eval(), split.validation, settings.pixel_um)
        if scores["mean"] > state.best:
            state.best = scores["mean"]
            save_arrays(arrays_of(state.average), folder / "best.safetensors")
        log(folder / "log.csv", state.step, np.mean(losses, axis=0), scores)
        save_last(state, folder / "last.safetensors")
        losses.clear()
        left_s = (time.monotonic() - clock) / (state.step - start) * (settings.steps - state.step)
        print(f"step {state.step}/{settings.steps}, {left_s / 60:.0f} min left", file=sys.stderr)


def log(path: Path, step: int, losses: NDArray[np.float32], scores: dict[str, float]) -> None:
    """Add a line to the log, on disk and on the screen."""
    row = {"step": step} | dict(zip(MAP_NAMES, losses.astype(np.float64).round(4).tolist(), strict=True)) | scores
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(" ".join(f"{name}={value:.4g}" for name, value in row.items()), flush=True)


def forget_after(path: Path, step: int) -> None:
    """Drop lines of the log that were written after the checkpoint; they will come again."""
    head, *lines = path.read_text().splitlines(keepends=True) if path.exists() else [""]
    path.write_text(head + "".join(line for line in lines if int(line.split(",")[0]) <= step))


# --- from a checkpoint to weights -----------------------------------------------------------------------------------
def finish(settings: Settings, split: Split, folder: Path) -> None:
    """Choose the operating points on validation, test once, write weights and card."""
    best = folder / "best.safetensors"
    if not best.exists():
        raise SettingsError(f"{best}: there is no trained network yet; run once without --finish.")
    counted = read_counted(Path(settings.data) / "labelled" / "lysto", LYSTO_MPP, settings.pixel_um)
    sources = [source_of(source, split, settings) for source in LICENCES]
    sources.append(DataSource(name="lysto", licence="none stated (LYSTO copy)", role="test", images=len(counted)))
    card = finish_weights(best, Path(settings.weights) / settings.name, split, counted, sources, settings.lesson())
    print(json.dumps(card.metrics, indent=2))


def source_of(source: str, split: Split, settings: Settings) -> DataSource:
    """Return what the card says of a set: what it was used for, and how many of its images were."""
    parts = {"training": split.training, "validation": split.validation, "test": split.test}
    if not settings.shares()[source]:
        del parts["training"]
    images = {role: sum(field.source == source for field in part) for role, part in parts.items()}
    role = ", ".join(role for role, count in images.items() if count)
    return DataSource(name=source, licence=LICENCES[source], role=role or "none", images=sum(images.values()))


# --- from flags to weights ------------------------------------------------------------------------------------------
def parse_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Return the settings given as flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in fields(Settings):
        flag = f"--{field.name.replace('_', '-')}"
        if field.type is bool:
            parser.add_argument(flag, action="store_true")
        else:
            assert isinstance(field.type, type)
            parser.add_argument(flag, type=field.type, default=field.default, help=f"default {field.default}")
    return Settings(**vars(parser.parse_args(arguments)))


def settings_of_run(settings: Settings, folder: Path) -> Settings:
    """Return the settings a run was started with, so that its split and its schedule stay what they were.

    Raises
    ------
    SettingsError
        Where training would go on with others, or where nobody can tell what a run to finish learned from.
    """
    path = folder / "settings.json"
    if not path.exists():
        if settings.finish:
            raise SettingsError(
                f"{path} is missing, and with it what the run learned from; put it beside the checkpoint."
            )
        return settings
    started = Settings(**(json.loads(path.read_text()) | {name: getattr(settings, name) for name in PLACE}))
    changed = [name for name, value in started.lesson().items() if value != settings.lesson()[name]]
    if changed and not settings.finish:
        name, value = changed[0].replace("_", "-"), getattr(started, changed[0])
        raise SettingsError(f"{folder}: this run was started with --{name} {value}; go on so, or take another --name.")
    return started


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and finish, or finish what was trained."""
    settings = parse_settings(arguments)
    folder = RUNS / settings.name
    settings = settings_of_run(settings, folder)
    split = load_split(settings)
    if not settings.finish:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "settings.json").write_text(json.dumps(asdict(settings), indent=2))
        train(settings, split, folder)
    finish(settings, split, folder)


if __name__ == "__main__":
    try:
        main()
    except IhcQuantError as error:
        sys.exit(f"train.py: {error}")
