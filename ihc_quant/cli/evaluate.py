"""The command ``evaluate``: agreement with human readers, of slides or biopsies and cell by cell."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ihc_quant.cli import options
from ihc_quant.cli.console import note, plainly, say, say_json
from ihc_quant.domain.agreement import Measure
from ihc_quant.domain.geometry import Point, Size
from ihc_quant.errors import SettingsError

if TYPE_CHECKING:
    from ihc_quant.evaluation.readers_csv import ReaderTable

PAGE_FILE, JSON_FILE = "agreement.html", "agreement.json"
"""Names of what ``--out`` gets."""


class ReadersByDefault(TyperGroup):
    """Commands of which ``readers`` need not be written: ``evaluate readers.csv``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``readers`` in front where no command is named."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["readers", *args]
        return super().parse_args(ctx, args)


evaluate = typer.Typer(
    cls=ReadersByDefault,
    no_args_is_help=True,
    help="Measure agreement with people: `evaluate TABLE.csv` for readings, `evaluate cells FILE.geojson` for cells.",
)


@evaluate.command()
@plainly
def readers(
    table: Annotated[
        Path,
        typer.Argument(help="CSV, a row a reading: slide_id or biopsy_id; reader; value, category or both."),
    ],
    machine: Annotated[
        Path | None,
        typer.Option(help="The machine's figures: output folder of score, or a CSV such as cohort.csv."),
    ] = None,
    column: Annotated[str | None, typer.Option(help="Column of the machine's figures in that CSV.")] = None,
    times: Annotated[float, typer.Option(help="Multiply that column, for example by 100 if it holds fractions.")] = 1.0,
    machine_reader: Annotated[str, typer.Option(help="Name of the reader that is the machine.")] = "machine",
    measure: Annotated[Measure, typer.Option(help="What the values are.")] = Measure.PERCENT,
    cuts: Annotated[
        list[str] | None,
        typer.Option(help="Cut points of a scheme, as in 10 or 'high:>25' or '1,10,50'; may be repeated."),
    ] = None,
    scheme: Annotated[
        list[str] | None,
        typer.Option(help="Published CCR4 scheme, as in kobe-poteligeo-test; for percentages; may be repeated."),
    ] = None,
    order: Annotated[str | None, typer.Option(help="Categories from lowest to highest, divided by commas.")] = None,
    missing: Annotated[
        str, typer.Option(help="complete: targets that everybody judged. pairwise: those of each pair.")
    ] = "complete",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=f"Folder that gets {PAGE_FILE} with plots, and {JSON_FILE}.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Measure how readers agree with one another and with the machine."""
    if missing not in ("complete", "pairwise"):
        raise SettingsError(f"--missing {missing}: unknown; use complete or pairwise.")
    if not (math.isfinite(times) and times > 0):
        raise SettingsError(f"--times {times}: it must be a number above 0.")
    ordered = tuple(part.strip() for part in order.split(",")) if order is not None else ()
    if order is not None and (not all(ordered) or len(set(ordered)) != len(ordered)):
        raise SettingsError(f"--order {order}: write each category once, divided by commas, as in low,middle,high.")

    from ihc_quant.evaluation.cut_points import parse_cuts, published_scheme
    from ihc_quant.evaluation.readers import agree
    from ihc_quant.evaluation.readers_csv import read_readers_csv
    from ihc_quant.report.agreement_page import agreement_json
    from ihc_quant.report.agreement_text import agreement_lines

    if scheme and measure is not Measure.PERCENT:
        raise SettingsError("--scheme: published schemes cut percentages; leave it out or write --measure percent.")
    schemes = [*map(parse_cuts, cuts or ()), *map(published_scheme, scheme or ())]
    readings = read_readers_csv(table, measure)
    if machine is not None:
        readings = _with_machine(readings, machine, machine_reader, measure, column, times, scheme or ())
    elif column is not None or times != 1.0:
        raise SettingsError("--column and --times belong to --machine; name the table of the machine's figures.")
    agreement = agree(
        readings, measure, machine=machine_reader, schemes=schemes, order=ordered, complete=missing == "complete"
    )
    if out is not None:
        _write(agreement, out)
    if json:
        say_json(agreement_json(agreement))
        return
    for line in agreement_lines(agreement):
        say(line)
    if out is not None:
        say(f"Page: {out / PAGE_FILE}")


@evaluate.command()
@plainly
def cells(
    annotations: Annotated[list[Path], typer.Argument(help="GeoJSON of one slide: cells, and areas fully marked.")],
    results: Annotated[
        Path, typer.Option("--results", "-r", help="Results of that slide: its folder, or a run with one slide.")
    ] = Path("out"),
    classes: Annotated[
        Path | None,
        typer.Option(
            help="YAML from classes to meanings; Positive, Negative, Other, Region* and Ignore* if not given."
        ),
    ] = None,
    radius: Annotated[float, typer.Option(min=0.1, max=50.0, help="Greatest distance of a match in µm.")] = 4.0,
    whole: Annotated[
        bool, typer.Option("--whole", help="The whole slide was marked, where no valid area is drawn.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Count the cells that people marked and the machine found with the same call."""
    import numpy as np

    from ihc_quant.annotation.class_map import read_class_map
    from ihc_quant.batch.cell_store import CELLS_FILE, read_columns
    from ihc_quant.batch.measurement import read_slide_json
    from ihc_quant.batch.rescoring import slide_folders
    from ihc_quant.evaluation.marked_cells import KNOWN_CLASSES, compare_cells, read_marked_cells
    from ihc_quant.report.agreement_text import cell_lines

    folders = slide_folders(results)
    if len(folders) > 1:
        raise SettingsError(
            f"{results}: it holds results of {len(folders)} slides; name the folder of the annotated one with "
            f"--results, for example {folders[0]}."
        )
    class_map = read_class_map(classes) if classes is not None else KNOWN_CLASSES
    outcome, measurement, _ = read_slide_json(folders[0])
    facts = measurement.facts
    x0, y0, _, _ = facts.bounds_l0
    size = Size(facts.width_px, facts.height_px)
    marked = read_marked_cells(annotations, class_map, size, measurement.mpp, Point(x0, y0), whole=whole)
    found = read_columns(folders[0] / CELLS_FILE, ["x_um", "y_um", "positive"])
    places = np.column_stack([found["x_um"], found["y_um"]])
    agreement = compare_cells(places, found["positive"].astype(np.bool_), marked, radius)
    if json:
        from dataclasses import asdict

        say_json({"schema": "ihc_quant/cell_agreement/1", "slide_id": outcome.slide_id, **asdict(agreement)})
        return
    for line in cell_lines(outcome.slide_id, agreement):
        say(line)


def _with_machine(
    table: "ReaderTable",
    machine: Path,
    name: str,
    measure: Measure,
    column: str | None,
    times: float,
    scheme_ids: Sequence[str],
) -> "ReaderTable":
    """Return the table with the machine as a further reader."""
    from ihc_quant.batch.machine_reader import values_of_results, values_of_table
    from ihc_quant.scoring.ccr4_schemes import CCR4_SCHEMES

    if machine.is_file():
        if column is None:
            raise SettingsError(f"{machine}: name the column of the machine's figures with --column.")
        schemes = [scheme for scheme in CCR4_SCHEMES if scheme.id in scheme_ids]
        values = values_of_table(machine, table.target_kind, column, measure, times, schemes, tell=note)
        return table.with_reader(name, values)
    if table.target_kind == "biopsy_id":
        raise SettingsError(
            f"{machine}: results are of slides, the readings of biopsies; name a table of biopsies such as cohort.csv "
            "with --machine and --column."
        )
    if column is not None or times != 1.0:
        raise SettingsError(f"{machine}: --column and --times belong to a CSV; leave them out for a folder.")
    return table.with_reader(name, values_of_results(machine, measure))


def _write(agreement: Any, out: Path) -> None:
    """Write page and JSON."""
    import json

    from ihc_quant.batch.outputs import write_whole
    from ihc_quant.report.agreement_page import agreement_json, render_agreement

    text = json.dumps(agreement_json(agreement), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(out / JSON_FILE, (text + "\n").encode("utf-8", "replace"))
    write_whole(out / PAGE_FILE, render_agreement(agreement).encode("utf-8", "replace"))
    note(f"written: {out / JSON_FILE}")
