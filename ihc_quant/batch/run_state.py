"""What is known of each slide between runs: one small file a slide, written whole, with neither paths nor pixels.

The results in a slide's folder are the truth. A state saves looking into them, and keeps what a folder cannot: that a
slide failed, and why.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from ihc_quant.batch.file_stamp import FileStamp, file_stamp
from ihc_quant.batch.measurement import SCHEMA
from ihc_quant.batch.outputs import RESULT_FILE, SLIDES_FOLDER, folder_name, write_whole
from ihc_quant.batch.settings import MeasureSettings, SettingsPart
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.domain.outcome import Failed, NoTissue, Scored, Shown, SlideOutcome
from ihc_quant.domain.stain import SCORED_CHROMOGENS
from ihc_quant.network.card import WeightsCard, file_sha256
from ihc_quant.scoring.calls import CallRule

STATES_FOLDER = ".state"
"""Folder of a run's output that holds the states."""

Ending = Literal["scored", "shown", "no_tissue", "failed"]

OPTION_NAMES: Mapping[str, str] = {
    "tile_px": "tile",
    "margin_px": "margin",
    "weights_sha256": "weights",
    "card_sha256": "weights",
    "mpp_override_um": "mpp",
    "p_threshold": "threshold",
    "cuts_od": "cuts",
    "mode": "call-by",
    "allow_coarse": "allow-coarse",
    "annotations_sha256": "annotations",
    "propose_infiltrate": "proposed infiltrate",
}
"""What a setting is called by those who set it, where that is not its own name."""


class Asked(SettingsPart):
    """What was asked for of a slide, as JSON values.

    Attributes
    ----------
    measurement : dict
        Whatever decides the cell table; a change needs a new measurement.
    places : dict
        Which of the slide is the section, as people drew or named it; a change needs a new score, and a new measurement
        where other fragments are to be read.
    calls : dict
        The rule and whatever else is derived from the cell table; a change needs a new score. Empty where nothing is
        called.
    """

    measurement: dict[str, Any]
    places: dict[str, Any]
    calls: dict[str, Any]

    def new_measurement(self, earlier: "Asked") -> list[str]:
        """Return the names of the settings of the measurement that differ."""
        return differing(earlier.measurement, self.measurement)

    def new_places(self, earlier: "Asked") -> list[str]:
        """Return the names of what was drawn or named otherwise."""
        return differing(earlier.places, self.places)

    def may_read_others(self, earlier: "Asked") -> bool:
        """Return whether other fragments may have to be read: never where none were named and none are."""
        named = self.places.get("fragments") or earlier.places.get("fragments")
        return bool(named) and self.places != earlier.places

    def new_calls(self, earlier: "Asked") -> list[str]:
        """Return the names of the settings of the calls that differ."""
        return differing(_flat(earlier.calls), _flat(self.calls))


class SlideState(SettingsPart):
    """What became of a slide the last time.

    Attributes
    ----------
    slide_id : str
    ending : Ending
    asked : Asked
    slide : FileStamp or None
        Of the slide file; None where it was not there.
    result : FileStamp or None
        Of ``slide.json``; None where the slide failed.
    layout : str
        Of ``slide.json``; empty where an earlier version kept the state.
    cells, positive : int or None
        Counts over all that was analysed; None where nothing was scored.
    reason : str
        Why it failed, and the cure.
    fault : bool
        Whether it failed by a fault of the program.
    seconds : float
        Wall time of the last measurement or score.
    """

    slide_id: str
    ending: Ending
    asked: Asked
    slide: FileStamp | None
    result: FileStamp | None = None
    layout: str = ""
    cells: int | None = Field(default=None, ge=0)
    positive: int | None = Field(default=None, ge=0)
    reason: str = ""
    fault: bool = False
    seconds: float = Field(default=0.0, ge=0)

    @property
    def failed(self) -> bool:
        """Whether there are no results."""
        return self.ending == "failed"


def _flat(calls: Mapping[str, Any]) -> dict[str, Any]:
    return {**calls.get("rule", {}), **{key: value for key, value in calls.items() if key != "rule"}}


def differing(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names of what differs, as a user knows them.

    Examples
    --------
    >>> differing({"tile_px": 512, "precision": "float32"}, {"tile_px": 1024, "precision": "float32"})
    ['tile']
    """
    keys = [key for key in {**earlier, **now} if earlier.get(key) != now.get(key)]
    return sorted({OPTION_NAMES.get(key, key.replace("_", " ")) for key in keys})


def asked_of(task: SlideTask, measure: MeasureSettings, rule: CallRule, card: WeightsCard) -> Asked:
    """Return what is asked for of a slide."""
    measurement: dict[str, Any] = {
        "mpp_override_um": None if task.mpp is None else [task.mpp.x, task.mpp.y],
        "series": task.series,
        "marker": task.stain.marker,
        "chromogen": task.stain.chromogen,
    }
    places: dict[str, Any] = {"annotations_sha256": _digest(task.annotations)}
    calls: dict[str, Any] = {}
    if task.stain.chromogen in SCORED_CHROMOGENS:
        measurement |= measure.model_dump(mode="json") | measure.network_with(card)
        places["fragments"] = task.fragments
        calls = {"rule": asdict(rule), "propose_infiltrate": task.propose_infiltrate}
    else:
        measurement["overview_um"] = measure.overview_um  # nothing else decides how a section is shown
    # Through JSON, as the values come back from a file: tuples are lists there.
    asked = {"measurement": measurement, "places": places, "calls": calls}
    return Asked.model_validate(json.loads(json.dumps(asked)))


def _digest(path: Path | None) -> str | None:
    """Return the digest of an annotation file; ``"missing"`` where it cannot be read, so that mending it shows."""
    if path is None:
        return None
    try:
        return file_sha256(path)
    except (OSError, ValueError):
        return "missing"


def slide_folder(out: Path, slide_id: str) -> Path:
    """Return where the results of a slide lie."""
    return out / SLIDES_FOLDER / folder_name(slide_id)


def result_stamp(out: Path, slide_id: str) -> FileStamp | None:
    """Return the stamp of a slide's ``slide.json``; None where there are no results."""
    return file_stamp(slide_folder(out, slide_id) / RESULT_FILE)


def state_of(
    outcome: SlideOutcome,
    out: Path,
    asked: Asked,
    slide: FileStamp | None,
    *,
    seconds: float = 0.0,
    fault: bool = False,
) -> SlideState:
    """Return the state that an outcome means."""
    slide_id = outcome.slide_id
    if isinstance(outcome, Failed):
        return SlideState(
            slide_id=slide_id, ending="failed", asked=asked, slide=slide, reason=outcome.reason, fault=fault,
            seconds=seconds,
        )  # fmt: skip
    counts = outcome.score.counts if isinstance(outcome, Scored) else None
    return SlideState(
        slide_id=slide_id,
        ending=_ending(outcome),
        asked=asked,
        slide=slide,
        result=result_stamp(out, slide_id),
        layout=SCHEMA,
        cells=None if counts is None else counts.total,
        positive=None if counts is None else counts.positive,
        seconds=seconds,
    )


def _ending(outcome: Scored | Shown | NoTissue) -> Ending:
    match outcome:
        case Scored():
            return "scored"
        case Shown():
            return "shown"
        case NoTissue():
            return "no_tissue"


def _state_path(out: Path, slide_id: str) -> Path:
    return out / STATES_FOLDER / f"{folder_name(slide_id)}.json"


def write_state(out: Path, state: SlideState) -> None:
    """Keep what became of a slide, whole or not at all.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    write_whole(_state_path(out, state.slide_id), (state.model_dump_json(indent=1) + "\n").encode())


def read_state(out: Path, slide_id: str) -> SlideState | None:
    """Return what became of a slide; None where nothing is known, or what is there cannot be read.

    Raises
    ------
    OutputError
        Where the identifier cannot name a folder.
    """
    try:
        state = SlideState.model_validate_json(_state_path(out, slide_id).read_bytes())
    except (OSError, ValidationError):
        return None
    return state if state.slide_id == slide_id else None
