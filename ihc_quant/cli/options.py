"""Options that several commands take, and how they become settings. Imports nothing heavy."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ihc_quant.cli.console import note
from ihc_quant.domain.geometry import Mpp
from ihc_quant.domain.stain import CHROMOGENS, MARKERS, NO_CHROMOGEN, SCORED_CHROMOGENS, UNSTAINED_MARKER, SectionStain
from ihc_quant.errors import SettingsError

if TYPE_CHECKING:
    from ihc_quant.batch.settings import ExecutionSettings, MeasureSettings
    from ihc_quant.scoring.calls import CallRule

Out = Annotated[Path, typer.Option("--out", "-o", help="Output folder; results go to OUT/slides/<slide_id>/.")]
Weights = Annotated[str, typer.Option(help="Shipped weights by name, or the path of a weights' card.")]
Threshold = Annotated[
    float | None,
    typer.Option(min=0.0, max=1.0, help="Probability from which a cell is positive; the weights' card's if not given."),
]
Cuts = Annotated[
    str | None, typer.Option(help="Optical densities from which a cell is 1+, 2+ and 3+; 0.2,0.4,0.6 if not given.")
]
CallBy = Annotated[str, typer.Option(help="network: positive by probability. od: by optical density alone (QuPath's).")]
Compartment = Annotated[str, typer.Option(help="Where density is graded: cell, nucleus or ring.")]
MppOption = Annotated[float | None, typer.Option("--mpp", help="µm per pixel of level 0, instead of the file's.")]
Series = Annotated[int | None, typer.Option(min=0, help="Image of a file that holds several.")]
Fragments = Annotated[
    str | None,
    typer.Option(help="Tissue fragments that are this section, as numbered in the overview: 1;3. All if not given."),
]
Annotations = Annotated[
    Path | None,
    typer.Option(
        help="GeoJSON of drawn regions, as QuPath exports it: analyse, exclude, compartments, control tissue."
    ),
]
NoProposal = Annotated[bool, typer.Option("--no-proposal", help="Propose no infiltrate in skin where none was drawn.")]
ProposeInfiltrate = Annotated[
    bool, typer.Option("--propose", help="Propose an infiltrate where none was drawn; for skin.")
]
Quality = Annotated[
    str,
    typer.Option(
        help="Quality control: off, report what it finds (all is counted), or exclude pen, empty and blurred places."
    ),
]
QUALITY = "report"
"""Nothing is left out unasked: on 26 BCData pictures, which are soft, blur would take 17 % of the tissue."""
Workers = Annotated[int | None, typer.Option(min=1, max=256, help="Tiles worked on at once; the cores if not given.")]
Runtime = Annotated[str, typer.Option(help="auto, torch or openvino.")]
Precision = Annotated[
    str,
    typer.Option(
        help="auto: int8 where the weights were taught so and the CPU computes, else float32; or float32, bfloat16 "
        "(where the processor can) or int8: figures differ a little."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu or a GPU such as cuda:0.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def section_stain(marker: str, chromogen: str | None) -> SectionStain:
    """Return what a section shows; H&E has no chromogen and is shown, not scored.

    Raises
    ------
    SettingsError
        Where marker or chromogen are unknown, contradict each other or cannot be scored.
    """
    if marker not in MARKERS:
        raise SettingsError(f"--marker {marker}: unknown; use one of {', '.join(MARKERS)}.")
    if chromogen is not None and chromogen not in CHROMOGENS:
        raise SettingsError(f"--chromogen {chromogen}: unknown; use one of {', '.join(CHROMOGENS)}.")
    if marker == UNSTAINED_MARKER or chromogen == NO_CHROMOGEN:
        if marker != UNSTAINED_MARKER:
            raise SettingsError(f"--chromogen {NO_CHROMOGEN}: only {UNSTAINED_MARKER} has none; state the chromogen.")
        if chromogen not in (None, NO_CHROMOGEN):
            raise SettingsError(f"--marker {marker}: it has no chromogen; leave --chromogen out.")
        return SectionStain(marker, NO_CHROMOGEN, chromogen_assumed=False)
    if chromogen is not None and chromogen not in SCORED_CHROMOGENS:
        raise SettingsError(
            f"--chromogen {chromogen}: cannot be scored yet; only DAB can, scored as DAB it would be wrong."
        )
    return SectionStain(marker, chromogen or "DAB", chromogen_assumed=chromogen is None)


def fragment_numbers(fragments: str | None) -> tuple[int, ...]:
    """Return the fragments of a section; empty for all.

    Raises
    ------
    SettingsError
        Where they are no numbers of fragments.
    """
    if fragments is None:
        return ()
    from ihc_quant.batch.manifest_cells import CellFault, parse_fragments

    try:
        return parse_fragments(fragments.strip())
    except CellFault as fault:
        raise SettingsError(f"--fragments: {fault}.") from fault


def square_mpp(mpp: float | None) -> Mpp | None:
    """Return the override of the calibration.

    Raises
    ------
    SettingsError
        Where it is not plausible.
    """
    try:
        return None if mpp is None else Mpp.square(mpp)
    except ValueError as error:
        raise SettingsError(f"--mpp {mpp}: {error}.") from error


def call_rule(
    threshold: float | None, cuts: str | None, call_by: str, compartment: str, card_threshold: float
) -> "CallRule":
    """Return the rule of calls and grades.

    Raises
    ------
    SettingsError
        Where a value is out of range or unknown.
    """
    from ihc_quant.scoring.calls import QUPATH_CUTS_OD, CallRule

    try:
        one, two, three = QUPATH_CUTS_OD if cuts is None else (_finite(cut) for cut in cuts.split(","))
    except ValueError as error:
        raise SettingsError(f"--cuts {cuts}: three numbers are needed, for example 0.2,0.4,0.6.") from error
    try:
        return CallRule(
            mode=call_by,  # type: ignore[arg-type]
            p_threshold=card_threshold if threshold is None else threshold,
            cuts_od=(one, two, three),
            compartment=compartment,  # type: ignore[arg-type]
        )
    except ValueError as error:
        raise SettingsError(f"The rule of calls is not possible: {error}.") from error


def _finite(text: str) -> float:
    """Return a finite number, or raise a ValueError."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not finite")
    return number


def measure_settings(
    weights: str,
    tile: int,
    margin: int,
    allow_coarse: bool,
    precision: str = "auto",
    quality: str = QUALITY,
    *,
    runtime: str = "auto",
    device: str = "auto",
) -> "MeasureSettings":
    """Return the settings of the measurement.

    Raises
    ------
    SettingsError
        Where a value is out of range or unknown.
    """
    from pydantic import ValidationError

    from ihc_quant.batch.settings import MeasureSettings, known_quality_mode
    from ihc_quant.network.precision import caution_of, settled_precision
    from ihc_quant.network.weights import load_weights

    mode = known_quality_mode(quality)
    exactness = settled_precision(precision, weights, runtime=runtime, device=device)
    try:
        settings = MeasureSettings(
            weights=weights,
            tile_px=tile,
            margin_px=margin,
            allow_coarse=allow_coarse,
            precision=exactness,
            quality=mode,
        )
    except ValidationError as error:
        raise SettingsError(
            f"{told(error)}; --tile is 64 to 8192 pixels, --margin 32 to 512, both multiples of 16."
        ) from error
    # What ``auto`` chose needs no word.
    if precision == "int8" and (caution := caution_of(exactness, load_weights(weights))):
        note(f"caution: {caution}")
    return settings


def execution_settings(runtime: str, device: str, workers: int | None) -> "ExecutionSettings":
    """Return the settings of the execution.

    Raises
    ------
    SettingsError
        Where a value is unknown.
    """
    from pydantic import ValidationError

    from ihc_quant.batch.settings import ExecutionSettings
    from ihc_quant.network.predictor import known_runtime

    known_runtime(runtime)
    try:
        values = {"runtime": runtime, "device": device} | ({} if workers is None else {"workers": workers})
        return ExecutionSettings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(f"{told(error)}; see --help for the values.") from error


def told(error: Exception) -> str:
    """Return a validation error in one line."""
    from pydantic import ValidationError

    assert isinstance(error, ValidationError)
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
