"""Scores again, at other settings or of other regions, from what is kept of a slide alone."""

import shutil
from collections.abc import Callable
from pathlib import Path

from ihc_quant.batch.cell_store import CellWriter, read_metadata, read_tiles
from ihc_quant.batch.derivation import CELLS_FILE, called, derive, show
from ihc_quant.batch.exporting import GEOJSON_FILE
from ihc_quant.batch.measurement import Measurement, read_slide_json
from ihc_quant.batch.outputs import RESULT_FILE, SLIDES_FOLDER, whole_folder, writing
from ihc_quant.batch.redrawn import Redrawn
from ihc_quant.batch.region_export import EXPORT_FILE, is_own_export
from ihc_quant.batch.region_store import REGIONS_FILE
from ihc_quant.batch.reports import Tell, rewrite_reports
from ihc_quant.domain.outcome import Shown, SlideOutcome
from ihc_quant.errors import OutputError
from ihc_quant.scoring.calls import CallRule, call_cells


def slide_folders(out: Path) -> list[Path]:
    """Return the folders of the slides in a run's output, or the folder itself where it is a slide's.

    Raises
    ------
    OutputError
        Where there are no results.
    """
    try:
        if (out / RESULT_FILE).is_file():
            return [out]
        folders = sorted(path.parent for path in (out / SLIDES_FOLDER).glob(f"[!.]*/{RESULT_FILE}"))
    except OSError as error:
        raise OutputError(f"{out}: this folder cannot be read; check its permissions.") from error
    if not folders:
        raise OutputError(f"{out}: there are no results of slides here; name the folder given to score with -o.")
    return folders


def rescore(out: Path, rule_for: Callable[[float], CallRule], *, tell: Tell = lambda _: None) -> list[SlideOutcome]:
    """Call and score the cells of a run, or of one slide of it, again, and write the reports of its biopsies again.

    Parameters
    ----------
    out : Path
        Output folder of a run, or the folder of one slide in it.
    rule_for : callable
        Gives the rule, told the threshold of the weights' card.
    tell : callable
        See ``Tell``.

    Raises
    ------
    OutputError
        Where the results cannot be read or written.
    """
    folders = slide_folders(out)
    home = folders[0].resolve().parent
    try:
        return [rescore_slide(folder, rule_for) for folder in folders]
    finally:
        # A page must not go on showing the figures of earlier settings, also where a later slide stopped the run.
        if home.name == SLIDES_FOLDER:
            rewrite_reports(home.parent, tell=tell)


def rescore_slide(
    folder: Path,
    rule_for: Callable[[float], CallRule],
    propose_infiltrate: bool | None = None,
    redrawn: Redrawn | None = None,
) -> SlideOutcome:
    """Call and score the cells of a slide again; its folder changes whole or not at all.

    Of a section that is shown and not scored only the picture is drawn again.

    Parameters
    ----------
    folder : Path
        A slide's results.
    rule_for : callable
        Gives the rule, told the threshold of the weights' card.
    propose_infiltrate : bool or None
        Whether the software proposes an infiltrate where none was drawn; as before where None.
    redrawn : Redrawn or None
        What people drew or named since, for which the slide is not needed; as before where None.

    Raises
    ------
    OutputError
        Where the results cannot be read or written.
    """
    earlier, measurement, timings = read_slide_json(folder)
    if isinstance(earlier, Shown):
        with whole_folder(folder) as fresh:
            return show(fresh, _carried_over(folder, fresh, measurement, redrawn), timings)
    if propose_infiltrate is not None:
        measurement = measurement.model_copy(update={"propose_infiltrate": propose_infiltrate})
    rule = rule_for(measurement.weights.positive_threshold)
    metadata = called(read_metadata(folder / CELLS_FILE), rule)
    with whole_folder(folder) as fresh:
        measurement = _carried_over(folder, fresh, measurement, redrawn)
        with CellWriter(fresh / CELLS_FILE, lambda cells: call_cells(cells, rule), metadata) as writer:
            for cells in read_tiles(folder / CELLS_FILE):
                writer.write(cells)
        return derive(fresh, measurement, rule, timings)


def _carried_over(folder: Path, fresh: Path, measurement: Measurement, redrawn: Redrawn | None) -> Measurement:
    """Copy into a fresh folder what is not made anew, and return the measurement with what people drew since."""
    # An export holds the earlier calls, so it does not go along.
    left = [CELLS_FILE, GEOJSON_FILE, *([] if redrawn is None else [REGIONS_FILE])]
    if redrawn is not None and is_own_export(folder / EXPORT_FILE, redrawn.drawn):
        left.append(EXPORT_FILE)
    with writing(folder):
        shutil.copytree(folder, fresh, dirs_exist_ok=True, ignore=shutil.ignore_patterns(*left))
    return measurement if redrawn is None else redrawn.applied_to(fresh, measurement)
