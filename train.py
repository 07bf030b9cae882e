"""Train the network: settings, data, network, optimiser, loop, evaluation; read it from top to bottom.

    .venv/bin/python train.py --settings weights/default.yaml --data FOLDER --fold 0      (and 1 to 4: each a fifth out)
    .venv/bin/python train.py --settings weights/default.yaml --data FOLDER --overwrite   (then the shipped one, on all)

It writes ``runs/<name>/``: settings and split, ``log.csv`` and ``curves.png``, ``last`` (resumes exactly) and ``best``.
At the end, or with ``--finish`` at any time, it writes weights and card: operating point and figures come from patients
that were not learned from, those of ``--validation-patients`` and ``--test-patients`` or else those of the folds.
"""

import math
import sys
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ihc_quant.domain.geometry import MPP_RANGE_UM
from ihc_quant.errors import IhcQuantError, SettingsError
from ihc_quant.network.architecture import MAP_NAMES, CellNetwork, normalise
from ihc_quant.network.card import ARCHITECTURES, Architecture, WeightsCard
from ihc_quant.training.assessment import quick_scores
from ihc_quant.training.batches import EXACTLY, Batch, BatchDrawer
from ihc_quant.training.collection import (
    Collection,
    Sources,
    SplitPlan,
    held_out_counts,
    held_out_notice,
    laboratory_held_out,
)
from ihc_quant.training.counted import add_count_targets
from ihc_quant.training.figures import summary_of
from ihc_quant.training.finishing import Trained, finish_weights
from ihc_quant.training.folds import finish_folds, finish_from_folds, finish_lone_fold
from ihc_quant.training.laboratory import laboratory_summary
from ihc_quant.training.losses import map_losses
from ihc_quant.training.precision import PRECISIONS, mixed, usable_precision
from ihc_quant.training.progress import Watch, add_to_log, forget_after
from ihc_quant.training.recipe import require_limits, stated_settings
from ihc_quant.training.runs import SHIPPED, require_name, require_own, settings_of_run, was_started, write_settings
from ihc_quant.training.sources import Counted
from ihc_quant.training.split_file import arranged, laboratory_digests, parts_of, split_as_kept, write_split
from ihc_quant.training.splits import FOLDS, Split
from ihc_quant.training.starts import learned_before, left_out_notice, require_pixel, start_card, without_learned
from ihc_quant.training.state import (
    State,
    encoder_of,
    end_part,
    follow,
    freeze_weights,
    keep_best,
    load_last,
    out_of_patience,
    round_weights,
    save_last,
    start_from,
)

RUNS = Path("runs")  # folder of logs and checkpoints
FOLD_NAMES = [str(fold) for fold in range(FOLDS)]
SETS = ("cd138", "bcdata", "dsb2018", "painted", "he", "lysto")  # each names the setting of its share of a batch
PLACE = ("data", "weights", "threads", "finish", "overwrite")  # where and how a run is done, not what is learned
HELD_OUT = ("validation_patients", "test_patients")  # settings that name patients
FILES = ("laboratory",)  # settings that a recipe states from its own folder
WEIGHTS = ("extent_weight", "positivity_weight")
LIMITS = {  # what numbers must be
    "above 0": (lambda value: value > 0, ("steps", "restart_steps", "every", "painted_fields", "painted_px")),
    "above 0 and at most 1": (lambda value: 0 < value <= 1, ("rate", "restart_rate")),
    "from 0 to 1": (lambda value: 0 <= value <= 1, ("decay", "on_positive")),
    "0 or more and below 1": (lambda value: 0 <= value < 1, ("averaging",)),
    "0 or more": (
        lambda value: value >= 0,
        (*SETS, "laboratory_share", "patience", "restarts", "rounded_steps", "warm_up", "counts_from", *WEIGHTS),
    ),
    "from {:g} to {:g}".format(*MPP_RANGE_UM): (lambda um: MPP_RANGE_UM[0] <= um <= MPP_RANGE_UM[1], ("pixel_um",)),
    "from 1 to 1024": (lambda value: 1 <= value <= 1024, ("threads",)),
    "from 0 to 4294967295": (lambda value: 0 <= value < 2**32, ("seed",)),
}


# --- settings -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Settings:
    """Every knob; each is a flag of the same name, and a key of the YAML file that ``--settings`` names."""

    data: str = "../shared/data"  # folder that holds labelled/ and unlabelled/
    name: str = "default"  # name of the run and of its weights
    weights: str = "weights"  # folder of finished weights
    pixel_um: float = 0.5  # µm per pixel that the network works at
    fold: str = ""  # 0 to 4: hold out a fifth, learn from the rest with a fixed schedule; all: one fold after the other
    validation_patients: str = "006"  # patients, of CD138 or a laboratory, that choose thresholds; not used in folds
    test_patients: str = "003"  # patients looked at once; both defaults are of CD138, and a laboratory alone has none
    hold_out_images: bool = False  # though no patient is named, of five others or images one validates and one tests
    encoder: str = "auto"  # plain or efficientnet_lite0; auto: that of the weights to start from, plain where from none
    start: str = ""  # a name, a card or a safetensors file of weights, or of an encoder's, to start from; "" for chance
    steps: int = 1500  # optimiser steps of the first part
    patience: int = 0  # validations without a better score after which training stops; 0 for never
    size_px: int = 160  # side of a training image, a multiple of the network's stride
    cd138: int = 10  # images of marrow with CD138 in a batch
    bcdata: int = 3  # images of breast with Ki-67 in a batch
    dsb2018: int = 1  # images with outlined nuclei, without chromogen, in a batch
    painted: int = 1  # painted images in a batch
    he: int = 1  # images of H&E, where nothing is positive, in a batch
    lysto: int = 0  # crops of which only the number of positive cells is known
    counts_from: int = 300  # step from which counts teach; earlier the network proposes nothing worth choosing from
    laboratory_share: int = 0  # images of a laboratory's own in a batch
    laboratory: str = ""  # YAML that lists a laboratory's images and annotations; in a recipe, from its folder
    he_slide: str = "slides/no-mpp-jpeg2000.svs"  # an H&E slide in the data folder, at 0.5 µm per pixel; "" for none
    painted_fields: int = 320  # painted images to draw from
    painted_px: int = 320  # their side
    painted_exactly: bool = False  # their cells weigh more, brown that is no cell most, and stains become fainter
    on_positive: float = 0.5  # share of crops placed around a positive cell, where there is one
    rate: float = 3e-3  # highest learning rate, reached after the warm-up
    warm_up: int = 100  # steps of linear warm-up; a cosine to zero follows
    restarts: int = 0  # times the rate rises once more; kept is the mean of the weights at the end of each part
    restart_steps: int = 400  # steps of each such part
    restart_rate: float = 2e-3  # highest rate there and of rounded steps, reached after a warm-up of their own
    rounded_steps: int = 0  # steps at the end, weights of convolutions rounded for int8, all else learns; 0 for none
    decay: float = 0.02  # weight decay
    averaging: float = 0.99  # decay of the running average of weights, which is what a part ends with
    extent_weight: float = 1.0  # weight of the extent loss beside the centre's
    positivity_weight: float = 1.0  # weight of the positivity loss beside the centre's
    precision: str = "auto"  # float32, bfloat16, or auto: bfloat16 where the device has instructions for it
    every: int = 200  # steps between validations and checkpoints
    caution: str = ""  # a clause that goes with the figures into card and reports: "the recipe was chosen on them"
    seed: int = 1  # of the first weights, of the batches and of their augmentation
    threads: int = 2  # CPU threads
    finish: bool = False  # choose operating points, test, write weights and card; no training
    overwrite: bool = False  # replace finished weights of this name though another run made them

    def __post_init__(self) -> None:
        require_name(self.name)
        require_limits(self, LIMITS)
        if self.encoder not in ("auto", *ARCHITECTURES):
            raise SettingsError(f"--encoder must be auto or one of {', '.join(ARCHITECTURES)}, not {self.encoder}.")
        stride_px = max(architecture.stride_px for architecture in ARCHITECTURES.values())
        if self.size_px <= 0 or self.size_px % stride_px:
            raise SettingsError(f"--size-px must be a multiple of {stride_px}, not {self.size_px}.")
        if not any(self.shares().values()):
            raise SettingsError(f"a batch needs images: state how many of {', '.join(SETS)}.")
        if self.laboratory_share and not self.laboratory:
            raise SettingsError("--laboratory-share needs --laboratory, the YAML that lists the laboratory's images.")
        if self.laboratory_share and self.name in SHIPPED:
            raise SettingsError(f"--name {self.name} is that of shipped weights; give yours a --name of their own.")
        if self.fold not in ("", "all", *FOLD_NAMES):
            raise SettingsError(f"--fold must be one of {', '.join(FOLD_NAMES)} or all, not {self.fold}.")
        if self.precision not in PRECISIONS:
            raise SettingsError(f"--precision must be one of {', '.join(PRECISIONS)}, not {self.precision}.")
        if self.patience and (self.restarts or self.rounded_steps):
            raise SettingsError("--patience ends a run before its last part; leave out --restarts and --rounded-steps.")

    @property
    def architecture(self) -> Architecture:
        """Shape of the network, which is settled when the run starts."""
        return ARCHITECTURES[encoder_of(self.start) if self.encoder == "auto" else self.encoder]

    @property
    def exact_steps(self) -> int:
        """Optimiser steps before weights are rounded, restarts among them."""
        return self.steps + self.restarts * self.restart_steps

    @property
    def all_steps(self) -> int:
        """Optimiser steps from the first to the last."""
        return self.exact_steps + self.rounded_steps

    def ends_part(self, step: int) -> bool:
        """Return whether so many steps end the first part or one that a restart began."""
        return self.steps <= step <= self.exact_steps and (step - self.steps) % self.restart_steps == 0

    def may_be_best(self, step: int) -> bool:
        """Return whether what a run has after so many steps is of the kind that it is to end with."""
        if self.rounded_steps:
            return step > self.exact_steps
        return not self.restarts or self.ends_part(step)

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return RUNS / (f"{self.name}-fold-{self.fold}" if self.fold else self.name)

    @property
    def best(self) -> Path:
        """What the run makes."""
        return self.folder / "best.safetensors"

    @property
    def target(self) -> Path:
        """Where the finished weights go, without suffix."""
        return Path(self.weights) / self.name

    def shares(self) -> dict[str, int]:
        """Return how many images of each source are in a batch."""
        return {source: int(getattr(self, source)) for source in SETS} | {"laboratory": self.laboratory_share}

    def lesson(self) -> dict[str, str | int | float]:
        """Return the settings that decide what is learned, and so stand in the card; of files only the names."""
        lesson = {name: value for name, value in asdict(self).items() if name not in PLACE}
        return lesson | {"start": Path(self.start).name, "laboratory": Path(self.laboratory).name}


# --- data -----------------------------------------------------------------------------------------------------------
def collection_of(settings: Settings) -> Collection:
    """Return where the images are."""
    return Collection(
        folder=Path(settings.data),
        shares=settings.shares(),
        pixel_um=settings.pixel_um,
        he_slide=settings.he_slide,
        laboratory=settings.laboratory,
        painted_fields=settings.painted_fields,
        painted_px=settings.painted_px,
        kept=RUNS / ".painted",
    )


def split_of(settings: Settings, sources: Sources, before: Container[str] = frozenset()) -> Split:
    """Split every source by patient or, where patients are unknown, by image; what no batch draws from is tested."""
    named = [settings.validation_patients, settings.test_patients]
    validation, test = ([name.strip() for name in names.split(",") if name.strip()] for names in named)
    fold = int(settings.fold) if settings.fold else None
    plan = SplitPlan(fold, validation, test, settings.hold_out_images, settings.laboratory, settings.seed, before)
    return plan.split(sources, settings.shares())


def settled_split(settings: Settings, sources: Sources) -> Split:
    """Return the split that the run began with, or would; nobody is held out whom the starting weights know."""
    planned, before = split_of(settings, sources), known_before(settings)
    if not was_started(settings.folder):
        return arranged(planned, parts_of(split_of(settings, sources, before).groups()))
    learned = [source for source, count in settings.shares().items() if count]
    kept = split_as_kept(settings.folder, planned, learned, digests_of(settings), before)
    return without_learned(kept, before)


def known_before(settings: Settings) -> frozenset[str]:
    """Return what the starting weights learned from."""
    return learned_before(start_card(settings.start, settings.folder))


def digests_of(settings: Settings) -> dict[str, str]:
    """Return what the laboratory's files hold now."""
    return laboratory_digests(Path(settings.laboratory)) if settings.laboratory_share else {}


def batches_of(settings: Settings, split: Split) -> BatchDrawer:
    """Return what draws the batch of any step."""
    pools = {source: [field for field in split.training if field.source == source] for source in settings.shares()}
    if lacking := [source for source, count in settings.shares().items() if count and not pools[source]]:
        flag = "laboratory-share" if lacking[0] == "laboratory" else lacking[0]
        raise SettingsError(f"in {lacking[0]} nothing is left to train on; hold out fewer, or set --{flag} 0.")
    return BatchDrawer(
        pools=pools,
        shares=settings.shares(),
        size_px=settings.size_px,
        pixel_um=settings.pixel_um,
        on_positive=settings.on_positive,
        seed=settings.seed,
        handling={"painted": EXACTLY} if settings.painted_exactly else {},
    )


# --- network and optimiser ------------------------------------------------------------------------------------------
def first_state(settings: Settings, folder: Path) -> State:
    """Return a network that has learned nothing, or what ``--start`` names, on the GPU where there is one."""
    torch.manual_seed(settings.seed)
    network = CellNetwork(settings.architecture)
    if settings.start:
        start_from(network, settings.start, folder)
    network = network.to(training_device()).to(memory_format=torch.channels_last)
    average, mean = ({name: tensor.clone() for name, tensor in network.state_dict().items()} for _ in range(2))
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.decay)
    return State(network, average, mean, optimiser)


def training_device() -> torch.device:
    """Return the GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


# --- loop -----------------------------------------------------------------------------------------------------------
def learning_rate(step: int, settings: Settings) -> float:
    """Return the rate of a step: linear warm-up, then a cosine to zero; so anew in each part."""
    rate, steps = settings.rate, settings.steps
    if step >= settings.exact_steps:
        rate, steps, step = settings.restart_rate, settings.rounded_steps, step - settings.exact_steps
    elif step >= settings.steps:
        rate, steps = settings.restart_rate, settings.restart_steps
        step = (step - settings.steps) % steps
    if step < settings.warm_up:
        return rate * ((step + 1) / settings.warm_up)
    progress = (step - settings.warm_up) / max(1, steps - settings.warm_up)
    return rate * 0.5 * (1 + math.cos(math.pi * progress))


def take_step(state: State, batch: Batch, settings: Settings) -> NDArray[np.float32]:
    """Learn from one batch; return the losses of the three maps."""
    device = next(state.network.parameters()).device
    if state.step == settings.exact_steps:
        round_weights(state)
    if state.step >= settings.exact_steps:
        freeze_weights(state.network)
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(state.step, settings)
    state.network.train()
    image = normalise(torch.from_numpy(batch.rgb).to(device)).to(memory_format=torch.channels_last)
    values, weights = torch.from_numpy(batch.values).to(device), torch.from_numpy(batch.weights).to(device)
    with mixed(usable_precision(settings.precision, device), device):
        logits = state.network(image)
    if state.step >= settings.counts_from:
        add_count_targets(batch.counts, torch.sigmoid(logits.detach().float()), values, weights, settings.pixel_um)
    losses = map_losses(logits.float(), values, weights)
    importance = torch.tensor([1.0, settings.extent_weight, settings.positivity_weight], device=device)
    state.optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward((losses * importance).sum())
    nn.utils.clip_grad_norm_(state.network.parameters(), 5.0)
    state.optimiser.step()
    follow(state.average, state.network, state.step, settings.averaging)
    state.step += 1
    if settings.ends_part(state.step):
        end_part(state)
    return np.asarray(losses.detach().cpu().numpy(), np.float32)


def train(settings: Settings, split: Split, folder: Path) -> None:
    """Train from the start, or go on from ``last``."""
    state, drawer = first_state(settings, folder), batches_of(settings, split)
    if (folder / "last.safetensors").exists():
        load_last(state, folder / "last.safetensors")
        forget_after(folder / "log.csv", state.step)
        print(f"resuming at step {state.step}", file=sys.stderr)
    averaged = CellNetwork(settings.architecture).to(training_device())
    clock, start, losses = time.monotonic(), state.step, []
    patience = settings.patience * settings.every if split.validation else 0
    end = start if out_of_patience(state, patience) else settings.all_steps
    with Watch(folder, start, settings.all_steps) as watch:
        for _, batch in drawer.draw_ahead(start, end):
            losses.append(take_step(state, batch, settings))
            watch.step_taken()
            if state.step % settings.every and state.step != settings.all_steps:
                continue
            # Between two ends the mean of the ends says nothing of where the network is.
            kept = state.mean if settings.ends_part(state.step) else state.average
            averaged.load_state_dict(kept)
            scores = quick_scores(averaged.eval(), split.validation, settings.pixel_um) if split.validation else {}
            # Without validation the last is the best.
            if state.step == settings.all_steps or (scores and settings.may_be_best(state.step)):
                keep_best(state, kept, scores.get("mean"), folder / "best.safetensors")
            row = log(folder / "log.csv", state.step, np.mean(losses, axis=0), scores)
            save_last(state, folder / "last.safetensors")
            losses.clear()
            watch.validated(row, (time.monotonic() - clock) / (state.step - start) * (settings.all_steps - state.step))
            if out_of_patience(state, patience):
                break


def log(path: Path, step: int, losses: NDArray[np.float32], scores: Mapping[str, float]) -> dict[str, float]:
    """Add a line to the log, on disk and on the screen, and return it."""
    row = {"step": step} | dict(zip(MAP_NAMES, losses.astype(np.float64).round(4).tolist(), strict=True)) | dict(scores)
    add_to_log(path, row)
    print(" ".join(f"{name}={value:.4g}" for name, value in row.items()), flush=True)
    return row


# --- evaluation: from checkpoints to weights and cards --------------------------------------------------------------
def finish(asked: Settings, sources: Sources) -> list[WeightsCard]:
    """Choose operating points and test on what was held out; write weights and card of a run, of a fold or of all."""
    counted = collection_of(asked).read_counted()
    folds = [replace(asked, fold=fold, finish=True) for fold in FOLD_NAMES]
    missing = [fold for fold in folds if not fold.best.exists()]
    alone = None if asked.fold == "all" else trained(replace(asked, finish=True), sources, counted)
    if alone and asked.fold and missing:
        return [finish_lone_fold(alone)]
    target = asked.target
    if alone and not asked.fold:
        require_own(target, alone.folder, overwrite=asked.overwrite)
    if alone and alone.split.validation:
        return [finish_weights(alone, target)]
    if missing:
        names = ", ".join(fold.folder.name for fold in missing)
        raise SettingsError(
            f"the operating points of {asked.name} come from its folds, and these are not trained yet: {names}. Run "
            f"train.py --name {asked.name} --fold {missing[0].fold} and so on with the same recipe, then --finish."
        )
    prepared = [trained(fold, sources, counted) for fold in folds]
    if alone and not asked.fold:
        return [finish_from_folds(alone, target, prepared)]
    return finish_folds(prepared, [int(asked.fold)] if alone else range(FOLDS))


def trained(asked: Settings, sources: Sources, counted: Counted) -> Trained:
    """Return a run that has been trained, and what it held out."""
    if not asked.best.exists():
        raise SettingsError(f"{asked.best}: there is no trained network yet; run once without --finish.")
    run = settings_of_run(asked, PLACE)
    split = settled_split(run, sources)
    held_out = held_out_counts(counted, split, int(run.fold) if run.fold else None, known_before(run))
    return Trained(run.folder, split, held_out, run.lesson())


# --- from flags to weights ------------------------------------------------------------------------------------------
def parse_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Return the settings given as flags and by the recipe that ``--settings`` names."""
    stated = stated_settings(Settings, __doc__, arguments, FILES)
    settings = Settings(**stated)
    if settings.laboratory_share and not settings.cd138:
        # The defaults name patients of CD138; a laboratory's own may be called the same.
        unnamed = {name: "" for name in HELD_OUT if name not in stated}
        drawn = {"hold_out_images": True} if len(unnamed) == len(HELD_OUT) else {}
        settings = Settings(**(unnamed | drawn | stated))
    return settings


def begin(asked: Settings, sources: Sources) -> tuple[Settings, Split]:
    """Settle and keep what decides a run from its first step to its card; refuse here what could not end well."""
    precision = usable_precision(asked.precision, training_device())
    run = replace(asked, precision=precision, encoder=asked.architecture.encoder)
    if not was_started(run.folder):
        require_pixel(start_card(run.start, run.folder), run.pixel_um)
    split = settled_split(run, sources)
    batches_of(run, split).draw(0)
    tell(laboratory_held_out(split, run.fold))
    tell(held_out_notice(split, run.fold))
    if not run.fold:
        require_own(run.target, run.folder, overwrite=run.overwrite)
    if not was_started(run.folder):
        write_split(run.folder, split, digests_of(run))
    write_settings(run)
    return run, split


def tell(notice: str) -> None:
    """Show a notice, where there is one, beside the log."""
    if notice:
        print(f"train.py: {notice}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and finish, or finish what was trained; of all folds one after the other."""
    asked = parse_settings(arguments)
    torch.set_num_threads(asked.threads)
    runs = [replace(asked, fold=fold) for fold in FOLD_NAMES] if asked.fold == "all" else [asked]
    runs = [settings_of_run(run, PLACE) for run in runs]
    sources = collection_of(runs[0]).read()
    for line in laboratory_summary(sources.get("laboratory", ()), runs[0].pixel_um):
        print(line, file=sys.stderr)
    for run in runs:
        tell(left_out_notice(split_of(run, sources), known_before(run)))
    for run in [] if asked.finish else runs:
        settled, split = begin(run, sources)
        train(settled, split, run.folder)
    for card in finish(replace(runs[0], fold=asked.fold), sources):
        print(f"{card.name}\n{summary_of(card.metrics)}")


if __name__ == "__main__":
    try:
        main()
    except IhcQuantError as error:
        sys.exit(f"train.py: {error}")
    except KeyboardInterrupt:
        print("\ntrain.py: stopped; the same command goes on from the last checkpoint.", file=sys.stderr)
        sys.exit(130)
