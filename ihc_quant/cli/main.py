"""The program ``ihc-quant``."""

import io
import sys
from typing import Annotated

import typer

from ihc_quant import __version__
from ihc_quant.cli.batch import batch, report
from ihc_quant.cli.console import EXIT_CODES, say
from ihc_quant.cli.evaluate import evaluate
from ihc_quant.cli.look import doctor, inspect
from ihc_quant.cli.manifest import manifest
from ihc_quant.cli.results import export, rescore
from ihc_quant.cli.schema import schema
from ihc_quant.cli.score import demo, score
from ihc_quant.cli.weights import weights
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY

app = typer.Typer(
    name="ihc-quant",
    help="Quantify CD4, CD8 and CCR4 immunostains on whole-slide images, cell by cell.",
    epilog=f"{EXIT_CODES} {RESEARCH_USE_ONLY}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

for command in (score, batch, report, rescore, export, inspect, doctor, weights, schema, demo):
    app.command()(command)
app.add_typer(manifest, name="manifest")
app.add_typer(evaluate, name="evaluate")


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        say(f"ihc-quant {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Take the options of the program itself."""


def main() -> None:
    """Run the program."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no µ prints a question mark in its place.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()
