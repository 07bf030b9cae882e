"""The commands that read slides: ``score`` and ``demo``."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from ihc_quant.cli import options
from ihc_quant.cli.console import note, plainly, say, say_json, tell, tile_progress

SAMPLES = Path(__file__).resolve().parents[2] / "slides_sample"
"""The painted biopsies that come with the project."""


@plainly
def score(
    slide: Annotated[Path, typer.Argument(help="Whole-slide image, OME-TIFF, PNG or JPEG.")],
    marker: Annotated[str, typer.Option(help="CD4, CD8, CCR4, H&E, negative_control or other.")],
    out: options.Out = Path("out"),
    chromogen: Annotated[str | None, typer.Option(help="DAB; taken and recorded as assumed if not given.")] = None,
    slide_id: Annotated[
        str | None, typer.Option(help="Name of the results; made from the slide's hash if not given.")
    ] = None,
    mpp: options.MppOption = None,
    series: options.Series = None,
    fragments: options.Fragments = None,
    annotations: options.Annotations = None,
    propose_infiltrate: options.ProposeInfiltrate = False,
    quality: options.Quality = options.QUALITY,
    weights: options.Weights = "default",
    threshold: options.Threshold = None,
    cuts: options.Cuts = None,
    call_by: options.CallBy = "network",
    compartment: options.Compartment = "cell",
    tile: Annotated[int, typer.Option(help="Core of a tile, in pixels of 0.5 µm.")] = 1024,
    margin: Annotated[int, typer.Option(help="Margin of a tile, in pixels of 0.5 µm.")] = 48,
    allow_coarse: Annotated[bool, typer.Option(help="Score slides coarser than 0.55 µm per pixel.")] = False,
    workers: options.Workers = None,
    runtime: options.Runtime = "auto",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    json: options.Json = False,
) -> None:
    """Score one slide: cell table, tile table, scores and pictures."""
    stain = options.section_stain(marker, chromogen)
    override = options.square_mpp(mpp)
    named = options.fragment_numbers(fragments)
    measure = options.measure_settings(
        weights, tile, margin, allow_coarse, precision, quality, runtime=runtime, device=device
    )
    execution = options.execution_settings(runtime, device, workers)
    options.call_rule(threshold, cuts, call_by, compartment, 0.5)

    from ihc_quant.network.predictor import load_predictor

    # The network is loaded and compiled while the rest of the program is imported.
    with ThreadPoolExecutor(1, thread_name_prefix="network") as beside:
        loading = beside.submit(
            load_predictor,
            weights,
            runtime=execution.runtime,
            device=execution.device,
            workers=execution.workers,
            precision=measure.precision,
            image_px=tile + 2 * margin,
        )

        from ihc_quant.batch.slide_job import run_slide
        from ihc_quant.batch.slide_task import SlideTask
        from ihc_quant.report.report_json import outcome_json
        from ihc_quant.report.slide_summary import summary_lines

        predictor = loading.result()
    rule = options.call_rule(threshold, cuts, call_by, compartment, predictor.card.thresholds.positive)
    with tile_progress(slide.name) as on_progress:
        task = SlideTask(slide, stain, slide_id, override, series, named, annotations, propose_infiltrate)
        run = run_slide(task, out, predictor, measure, rule, execution.workers, on_progress)
    if json:
        say_json({"folder": None if run.folder is None else str(run.folder), **outcome_json(run.outcome)})
    if run.error is not None:
        raise typer.Exit(tell(run.error))
    if not json:
        for line in summary_lines(run.outcome):
            say(line)
        say(f"Results: {run.folder}")


@plainly
def demo(
    out: options.Out = Path("out") / "demo",
    weights: options.Weights = "default",
    workers: options.Workers = None,
) -> None:
    """Score the painted sample biopsies and write a report page for each."""
    execution = options.execution_settings("auto", "auto", workers)
    measure = options.measure_settings(weights, 1024, 48, False)

    from ihc_quant.batch.manifest import read_manifest
    from ihc_quant.batch.reports import write_reports
    from ihc_quant.batch.section_tasks import slide_tasks
    from ihc_quant.batch.slide_job import run_slide
    from ihc_quant.network.predictor import load_predictor
    from ihc_quant.report.slide_summary import summary_lines

    rows = read_manifest(SAMPLES / "manifest.csv")
    tasks = slide_tasks(rows)
    predictor = load_predictor(weights, workers=execution.workers, precision=measure.precision)
    rule = options.call_rule(None, None, "network", "cell", predictor.card.thresholds.positive)
    runs = {}
    for row, task in zip(rows, tasks, strict=True):
        with tile_progress(row.slide_id) as on_progress:
            run = run_slide(task, out, predictor, measure, rule, execution.workers, on_progress)
        runs[row.slide_id] = run
        for line in summary_lines(run.outcome)[:-1]:
            say(line)
    pages = write_reports(rows, {slide_id: run.outcome for slide_id, run in runs.items()}, out)
    say("The samples are painted, so these figures show how the program works and nothing of its accuracy.")
    say("Reports:")
    for page in pages:
        say(f"  {page}")
    codes = [tell(run.error) for run in runs.values() if run.error is not None]
    if codes:
        note("at least one slide could not be scored; its report says which")
        raise typer.Exit(min(codes))
