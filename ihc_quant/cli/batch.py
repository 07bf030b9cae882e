"""The commands that score the slides of a manifest: ``batch``, and ``report``, which writes biopsies' pages too."""

import functools
import inspect
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ihc_quant.cli import options
from ihc_quant.cli.console import EXIT_BUG, EXIT_SLIDE_FAILED, note, plainly, say
from ihc_quant.errors import SettingsError

if TYPE_CHECKING:
    from ihc_quant.batch.manifest import ManifestRow
    from ihc_quant.batch.run_plan import Step
    from ihc_quant.batch.run_summary import RunRecord
    from ihc_quant.execution.executor import Executor

Manifest = Annotated[Path, typer.Argument(help="List of the sections, a CSV file; see `manifest init`.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Output folder; the same one again goes on where it stopped.")]
Workers = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=256,
        help="Slides at once; by cores, memory and slides if not given. 0: one after another in this process, without "
        "--timeout and --memory, for debugging.",
    ),
]
Threads = Annotated[
    int | None, typer.Option(min=1, max=256, help="Cores for each slide; the workers share all if not given.")
]
Pin = Annotated[bool, typer.Option("--pin", help="Hold each worker to cores of its own (Linux).")]
Timeout = Annotated[float, typer.Option(min=1, help="Seconds that one slide may take; it fails beyond.")]
Memory = Annotated[
    float | None, typer.Option(min=0.1, help="GB that one slide may take; its worker's share if not given.")
]
JobsPerWorker = Annotated[int, typer.Option(min=1, help="Slides after which a worker process is replaced.")]
Dask = Annotated[str | None, typer.Option(help="Run on a Dask cluster: its address (tcp://…) or its scheduler file.")]
Force = Annotated[bool, typer.Option("--force", help="Measure everything again.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Try slides again that failed before.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and why; write nothing.")]
AllowCoarse = Annotated[bool, typer.Option(help="Score slides coarser than 0.55 µm per pixel.")]
Tile = Annotated[int, typer.Option(help="Core of a tile, in pixels of 0.5 µm.")]
Margin = Annotated[int, typer.Option(help="Margin of a tile, in pixels of 0.5 µm.")]

FOUR_HOURS = 4 * 3600.0
"""A whole slide takes minutes; what takes hours hangs."""

MOST_FAILURES_SHOWN = 20
"""Failures listed at the end of a run; summary.md lists all."""


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What the command line states of a run: the options that ``batch`` and ``report`` share, with their defaults."""

    workers: Workers = None
    threads: Threads = None
    pin: Pin = False
    timeout: Timeout = FOUR_HOURS
    memory: Memory = None
    jobs_per_worker: JobsPerWorker = 50
    dask: Dask = None
    force: Force = False
    retry_failed: RetryFailed = False
    dry_run: DryRun = False
    weights: options.Weights = "default"
    threshold: options.Threshold = None
    cuts: options.Cuts = None
    call_by: options.CallBy = "network"
    compartment: options.Compartment = "cell"
    tile: Tile = 1024
    margin: Margin = 48
    allow_coarse: AllowCoarse = False
    no_proposal: options.NoProposal = False
    runtime: options.Runtime = "auto"
    device: options.Device = "auto"
    precision: options.Precision = "auto"
    quality: options.Quality = options.QUALITY


def _with_batch_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command each field of ``BatchOptions`` as an option, in place of its parameter ``given``.

    The command line is made from a function's signature, so that is what the fields are written into.
    """
    own = [each for each in inspect.signature(command).parameters.values() if each.name != "given"]
    shared = [
        inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type)
        for each in fields(BatchOptions)
    ]

    @functools.wraps(command)
    def called(*args: Any, **values: Any) -> None:
        stated = {each.name: values.pop(each.name) for each in shared if each.name in values}
        command(*args, **values, given=BatchOptions(**stated))

    called.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    return called


@plainly
@_with_batch_options
def batch(manifest: Manifest, out: Out = Path("out"), *, given: BatchOptions) -> None:
    """Score all slides of a manifest, side by side; a second run does only what is missing or changed."""
    _end(_run(manifest, out, given), out)


@plainly
@_with_batch_options
def report(
    manifest: Manifest,
    out: Out = Path("out"),
    clinical: Annotated[
        Path | None, typer.Option(help="Blood counts and treatment days, a CSV file, joined to the cohort table.")
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Write each report as a PDF as well (extra pdf).")] = False,
    *,
    given: BatchOptions,
) -> None:
    """Do what `batch` does, then write a page for each biopsy and the table of the cohort."""
    if clinical is not None:
        from ihc_quant.batch.clinical import read_clinical

        read_clinical(clinical)  # its faults are told before hours of work, not after
    record = _run(manifest, out, given)
    if record is not None:
        from ihc_quant.batch.manifest import read_manifest
        from ihc_quant.batch.reports import write_reports
        from ihc_quant.batch.run import StoredOutcomes

        rows = read_manifest(manifest, need_files=False)
        for page in write_reports(rows, StoredOutcomes(record, out), out, clinical, pdf=pdf, tell=note):
            say(f"Written: {page}")
    _end(record, out)


def _run(manifest: Path, out: Path, given: BatchOptions) -> "RunRecord | None":
    """Do a run, or print its plan and return None."""
    # Everything that can be wrong is, before anything is written.
    measure = options.measure_settings(
        given.weights, given.tile, given.margin, given.allow_coarse, given.precision, given.quality,
        runtime=given.runtime, device=given.device,
    )  # fmt: skip
    execution = options.execution_settings(given.runtime, given.device, given.threads)
    options.call_rule(given.threshold, given.cuts, given.call_by, given.compartment, 0.5)
    if given.force and given.retry_failed:
        raise SettingsError("--force measures everything again, failed slides too: leave --retry-failed out.")

    from ihc_quant.batch.manifest import read_manifest
    from ihc_quant.batch.run import RunSettings, run_batch
    from ihc_quant.batch.run_plan import files_needed, plan_in_words, plan_notes, plan_run
    from ihc_quant.batch.slide_worker import NetworkChoice
    from ihc_quant.cli.run_progress import run_progress
    from ihc_quant.network.weights import load_weights

    card = load_weights(given.weights).card
    measure = measure.model_copy(update={"weights": card.name})  # a path would stand in results
    rule = options.call_rule(given.threshold, given.cuts, given.call_by, given.compartment, card.thresholds.positive)

    def plan(rows: "Sequence[ManifestRow]") -> "Sequence[Step]":
        return plan_run(
            rows, out, measure, rule, card, force=given.force, retry_failed=given.retry_failed,
            propose_infiltrate=not given.no_proposal,
        )  # fmt: skip

    rows = read_manifest(manifest, need_files=files_needed(out, plan))
    steps = plan(rows)
    if given.dry_run:
        for step in steps:
            say(f"{step.slide_id}: {step.action}: {step.why}")
        for sentence in plan_notes(steps):
            note(sentence)
        say(f"{plan_in_words(steps)}. Nothing was written.")
        return None
    todo = sum(1 for step in steps if step.action != "keep")
    executor, shown = _executor(todo, given, execution.device)
    chosen = NetworkChoice(_absolute(given.weights), measure.precision, execution.runtime, execution.device)
    settings = RunSettings(measure, rule, chosen, shown | _settings_shown(given))
    with run_progress() as watch, _stopped_like_interrupted():
        return run_batch(lambda: plan(rows), manifest.absolute(), out, settings, executor, watch)


def _absolute(weights: str) -> str:
    """Return weights as a worker in another folder finds them."""
    return str(Path(weights).absolute()) if Path(weights).is_file() else weights


def _settings_shown(given: BatchOptions) -> dict[str, Any]:
    names = ("timeout", "jobs_per_worker", "force", "retry_failed", "weights", "threshold", "cuts", "call_by",
             "compartment", "tile", "margin", "allow_coarse", "no_proposal", "runtime", "device", "precision",
             "quality")  # fmt: skip
    return {name: getattr(given, name) for name in names}


def _executor(slides: int, given: BatchOptions, device: str) -> "tuple[Executor, dict[str, Any]]":
    """Return who does the work, and how that is stated in ``run.json``."""
    from ihc_quant.batch.worker_share import default_workers, memory_for_each
    from ihc_quant.execution.executor import Limits
    from ihc_quant.network.predictor import usable_cores

    if given.workers == 0 and given.dask is None:
        from ihc_quant.execution.in_process import InProcess

        threads = given.threads or usable_cores()
        return InProcess(threads), {"workers": 0, "threads": threads}
    gpus = _gpus(given.runtime, device)
    workers = given.workers or default_workers(slides, usable_cores(), len(gpus))
    memory = None if given.memory is None else int(given.memory * 1e9)
    if memory is None and given.dask is None:
        memory = memory_for_each(workers)
    limits = Limits(seconds=given.timeout, memory_bytes=memory, jobs_per_worker=given.jobs_per_worker)
    if given.dask is not None:
        if given.workers is not None:
            raise SettingsError("--workers counts the processes of this machine: leave it out with --dask.")
        from ihc_quant.execution.dask_cluster import DaskCluster

        return DaskCluster(given.dask, limits, given.threads), {"dask": given.dask}
    from ihc_quant.execution.worker_processes import WorkerProcesses

    threads = given.threads or max(1, usable_cores() // workers)
    shown = {"workers": workers, "threads": threads, "pin": given.pin, "memory_bytes": memory}
    own_gpus = gpus if device == "auto" else ()
    return WorkerProcesses(workers, limits, threads=threads, pin=given.pin, gpus=own_gpus), shown


def _gpus(runtime: str, device: str) -> tuple[str, ...]:
    """Return the GPUs that the network will run on, as CUDA names them; none where it runs on the cores."""
    from ihc_quant.network.devices import has_gpu_driver

    if device == "cpu" or runtime == "openvino" or (device == "auto" and not has_gpu_driver()):
        return ()
    if device != "auto":
        return (device,)
    from ihc_quant.network.devices import gpu_names

    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return tuple(visible) or tuple(str(number) for number in range(len(gpu_names())))


@contextmanager
def _stopped_like_interrupted() -> Iterator[None]:
    """Take a polite request to end, as schedulers of clusters send it, like Ctrl-C."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(record: "RunRecord | None", out: Path) -> None:
    """Tell how a run ended, failures last, and end the program with its code."""
    if record is None:
        return
    from ihc_quant.batch.run_summary import reason_and_cure

    counts = ", ".join(f"{number} {word}" for word, number in record.counts().items())
    say(f"{len(record.lines)} slides: {counts}. Summary: {out / 'summary.md'}")
    failures = record.failures()
    if not failures:
        return
    note("Not scored:")
    for state in failures[:MOST_FAILURES_SHOWN]:
        reason, cure = reason_and_cure(state.reason)
        note(f"  {state.slide_id}: {reason}{f'; {cure}' if cure else ''}")
    if (more := len(failures) - MOST_FAILURES_SHOWN) > 0:
        note(f"  and {more} more; summary.md lists them")
    faults = [line for line in record.lines.values() if line.doing == "failed" and line.state and line.state.fault]
    raise typer.Exit(EXIT_BUG if faults else EXIT_SLIDE_FAILED)
