"""The commands that look and change nothing: ``inspect`` and ``doctor``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ihc_quant.cli import options
from ihc_quant.cli.console import EXIT_CANNOT_START, plainly, say, say_json


@plainly
def inspect(
    slide: Annotated[Path, typer.Argument(help="Whole-slide image, OME-TIFF, PNG or JPEG.")],
    mpp: options.MppOption = None,
    series: options.Series = None,
    json: options.Json = False,
) -> None:
    """Tell what a slide is and whether it can be scored."""
    override = options.square_mpp(mpp)

    from ihc_quant.batch.inspection import inspect_slide

    facts = inspect_slide(slide, override, series)
    if json:
        say_json(facts)
        return
    for name, value in facts.items():
        say(f"{name.replace('_', ' ')}: {'not recorded' if value is None else value}")


@plainly
def doctor(json: options.Json = False) -> None:
    """Check versions, codecs, devices and weights."""
    from ihc_quant.batch.inspection import examine_installation

    findings = examine_installation()
    if json:
        say_json(findings)
    else:
        for name, value in _flat(findings):
            say(f"{name}: {value}")
    if findings["faults"]:
        raise typer.Exit(EXIT_CANNOT_START)


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested findings as lines."""
    lines: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            lines += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            lines.append((prefix + name, "; ".join(str(item) for item in value) or "none"))
        else:
            lines.append((prefix + name, str(value)))
    return lines
