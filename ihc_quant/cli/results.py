"""The commands that work on results alone: ``rescore`` and ``export``."""

from pathlib import Path
from typing import Annotated

import typer

from ihc_quant.cli import options
from ihc_quant.cli.console import note, plainly, say, say_json
from ihc_quant.errors import SettingsError

Folder = Annotated[Path, typer.Argument(help="Output folder of a run, or the folder of one slide in it.")]


@plainly
def rescore(
    out: Folder,
    threshold: options.Threshold = None,
    cuts: options.Cuts = None,
    call_by: options.CallBy = "network",
    compartment: options.Compartment = "cell",
    json: options.Json = False,
) -> None:
    """Call and score measured cells again, at other settings, without slide or network; biopsies' reports follow."""
    options.call_rule(threshold, cuts, call_by, compartment, 0.5)

    from ihc_quant.batch import rescoring
    from ihc_quant.report.report_json import outcome_json
    from ihc_quant.report.slide_summary import summary_lines

    outcomes = rescoring.rescore(
        out, lambda card_threshold: options.call_rule(threshold, cuts, call_by, compartment, card_threshold), tell=note
    )
    if json:
        say_json({"slides": [outcome_json(outcome) for outcome in outcomes]})
        return
    for outcome in outcomes:
        for line in summary_lines(outcome):
            say(line)


@plainly
def export(
    out: Folder,
    geojson: Annotated[bool, typer.Option("--geojson", help="Cells as GeoJSON that QuPath opens.")] = False,
    regions: Annotated[
        bool,
        typer.Option(
            "--regions",
            help="Regions as GeoJSON, the proposed infiltrate too; corrected in QuPath they are annotations.",
        ),
    ] = False,
) -> None:
    """Write measured cells or regions for QuPath, beside their results."""
    if not geojson and not regions:
        raise SettingsError("Nothing to export: name what to write, --geojson for cells or --regions.")

    from ihc_quant.batch.exporting import export_geojson
    from ihc_quant.batch.region_export import export_regions
    from ihc_quant.batch.rescoring import slide_folders

    for folder in slide_folders(out):
        if geojson:
            path = export_geojson(folder)
            say(f"Without cells, because it is only shown: {folder}" if path is None else f"Written: {path}")
        if regions:
            path = export_regions(folder)
            say(f"Nothing was drawn or proposed: {folder}" if path is None else f"Written: {path}")
