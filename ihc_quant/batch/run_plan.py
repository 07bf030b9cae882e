"""What a run has to do: of each slide, whether it is done, and if not, what is missing and why."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ihc_quant.batch.file_stamp import FileStamp, file_stamp
from ihc_quant.batch.manifest import FilesNeeded, ManifestRow
from ihc_quant.batch.manifest_files import FILE_COLUMNS
from ihc_quant.batch.measurement import SCHEMA, read_slide_json
from ihc_quant.batch.redrawn import Redrawn, why_slide_is_needed
from ihc_quant.batch.run_state import Asked, SlideState, asked_of, read_state, result_stamp, slide_folder
from ihc_quant.batch.section_tasks import slide_tasks
from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.errors import ManifestError, OutputError, SlideError
from ihc_quant.network.card import WeightsCard
from ihc_quant.scoring.calls import CallRule

Action = Literal["keep", "check", "rescore", "measure"]
"""Keep what is there; compare it with the slide and do what is missing; score its cells again; measure the slide."""

ACTION_WORDS: Mapping[Action, str] = {
    "keep": "nothing to do",
    "check": "compare its results with the slide",
    "rescore": "score again from the cell table",
    "measure": "measure",
}

MOST_NAMED = 10
"""Slides named in a note."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a run does about one slide.

    Attributes
    ----------
    task : SlideTask
        Its ``slide_id`` is that of the manifest.
    slide_id : str
    asked : Asked
    action : Action
    why : str
    slide : FileStamp or None
        Of the slide file when the plan was made.
    state : SlideState or None
        From before.
    """

    task: SlideTask
    slide_id: str
    asked: Asked
    action: Action
    why: str
    slide: FileStamp | None
    state: SlideState | None


def plan_run(
    rows: Sequence[ManifestRow],
    out: Path,
    measure: MeasureSettings,
    rule: CallRule,
    card: WeightsCard,
    *,
    force: bool = False,
    retry_failed: bool = False,
    propose_infiltrate: bool = True,
) -> tuple[Step, ...]:
    """Return what is to be done, in the order of the manifest. Opens no slide and writes nothing.

    Parameters
    ----------
    rows : sequence of ManifestRow
    out : Path
        Output folder of the run.
    measure : MeasureSettings
    rule : CallRule
    card : WeightsCard
        Of the weights that will be used.
    force : bool
        Whether everything is measured again.
    retry_failed : bool
        Whether slides that failed before are tried again.
    propose_infiltrate : bool
        Whether the software proposes an infiltrate where none was drawn.

    Raises
    ------
    ManifestError
        Where sections state what cannot be applied.
    OutputError
        Where an identifier cannot name a folder.
    """
    steps = []
    for row, task in zip(rows, slide_tasks(rows, propose_infiltrate=propose_infiltrate), strict=True):
        asked = asked_of(task, measure, rule, card)
        state = read_state(out, row.slide_id)
        slide = file_stamp(row.slide)
        result = result_stamp(out, row.slide_id)
        decided: tuple[Action, str] = ("measure", "--force")
        if not force:
            decided = _decide(asked, state, slide, result, retry_failed)
            if decided[0] == "rescore" and state is not None and asked.may_read_others(state.asked):
                decided = _after_drawing(task, slide_folder(out, row.slide_id), decided[1])
        steps.append(Step(task, row.slide_id, asked, *decided, slide, state))
    return tuple(steps)


def _decide(
    asked: Asked, state: SlideState | None, slide: FileStamp | None, result: FileStamp | None, retry_failed: bool
) -> tuple[Action, str]:
    """Return what to do about a slide, and why."""
    if state is None:
        return ("measure", "new") if result is None else ("check", "results of unknown settings are there")
    if state.failed:
        action, why = _about_failed(asked, state, slide, retry_failed)
        # Results of earlier settings are still there, and may be those asked for now.
        return ("check" if action == "measure" and result is not None else action), why
    if result is None:
        return "measure", "its results are gone"
    if changed := asked.new_measurement(state.asked):
        return "measure", f"settings changed: {', '.join(changed)}"
    if result != state.result:
        return "check", "its results were changed by another command"
    if state.layout != SCHEMA:
        return "measure", "its results are of another version of the program"
    if slide not in {state.slide, None}:
        return "check", "the slide's file was written or moved since"
    if redrawn := asked.new_places(state.asked):
        changed = [*redrawn, *asked.new_calls(state.asked)]
        return "rescore", f"{', '.join(changed)} changed: scores made anew, no slide needed"
    if changed := asked.new_calls(state.asked):
        return "rescore", f"settings changed: {', '.join(changed)}"
    return "keep", "done already" if slide is not None else "done already; the slide is no longer there"


def _after_drawing(task: SlideTask, folder: Path, why: str) -> tuple[Action, str]:
    """Return what to do about a slide of which other places are asked for: measure it where others are to be read."""
    try:
        _, measurement, _ = read_slide_json(folder)
        needed = why_slide_is_needed(folder, measurement, Redrawn.of(task, measurement))
    except (OutputError, SlideError):
        # The worker says what is wrong with the file, or measures where results are damaged.
        return "rescore", why
    return ("measure", f"{why.partition(':')[0]}: {needed}") if needed else ("rescore", why)


def _about_failed(asked: Asked, state: SlideState, slide: FileStamp | None, retry_failed: bool) -> tuple[Action, str]:
    """Return what to do about a slide that failed before: nothing, unless something is different now."""
    if slide not in {state.slide, None}:
        return "measure", "failed before; the slide changed"
    if changed := [*asked.new_measurement(state.asked), *asked.new_places(state.asked)]:
        return "measure", f"failed before; settings changed: {', '.join(changed)}"
    if retry_failed:
        return "measure", "failed before; --retry-failed"
    again = "failed before: use --retry-failed"
    return "keep", (again if slide is not None else "failed before; the slide is not there")


def files_needed(out: Path, plan: Callable[[Sequence[ManifestRow]], Sequence[Step]]) -> FilesNeeded:
    """Return what tells which files of a manifest a run needs: slides of what is kept may have been put away since.

    Parameters
    ----------
    out : Path
        Output folder of the run.
    plan : callable
        Gives the steps of rows.
    """

    def needed(slide_id: str | None, row: ManifestRow | None) -> Collection[str]:
        if row is None:
            # A line with faults cannot be planned. Where it has results, its slide need not be there once it is mended.
            return FILE_COLUMNS if slide_id is None or result_stamp(out, slide_id) is None else ("annotations",)
        try:
            (step,) = plan([row])
        except (ManifestError, OutputError):
            return FILE_COLUMNS  # told once the manifest has no other fault
        if step.action == "measure":
            return FILE_COLUMNS
        # Results that are placed anew need what was drawn; those that are compared may.
        return () if step.action == "keep" else ("annotations",)

    return needed


def plan_notes(steps: Sequence[Step]) -> list[str]:
    """Return what is worth knowing before a run: slides that are gone, whose results are there."""
    gone = [
        step.slide_id
        for step in steps
        if step.slide is None and step.action != "measure" and not (step.state is not None and step.state.failed)
    ]
    if not gone:
        return []
    named = ", ".join(gone[:MOST_NAMED]) + (f" and {len(gone) - MOST_NAMED} more" if len(gone) > MOST_NAMED else "")
    are = "1 slide is" if len(gone) == 1 else f"{len(gone)} slides are"
    return [f"{are} not where the manifest says; results of the same settings are kept without: {named}"]


def plan_in_words(steps: Sequence[Step]) -> str:
    """Return in one line how much there is to do."""
    counts = Counter(step.action for step in steps)
    words = [
        f"{ACTION_WORDS[action]}: {counts[action]}" for action in ("measure", "rescore", "check") if counts[action]
    ]
    failed = sum(1 for step in steps if step.action == "keep" and step.state is not None and step.state.failed)
    if done := counts["keep"] - failed:
        words.append(f"done already: {done}")
    if failed:
        words.append(f"failed before and left: {failed}")
    return f"{len(steps)} slides; {', '.join(words)}"
