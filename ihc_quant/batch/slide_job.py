"""One slide, from file to results on disk; the one place where an error of a slide becomes a value."""

from dataclasses import dataclass
from pathlib import Path

from ihc_quant.batch.derivation import derive, show
from ihc_quant.batch.file_stamp import file_stamp, require_unchanged
from ihc_quant.batch.outputs import SLIDES_FOLDER, folder_name, whole_folder
from ihc_quant.batch.region_store import read_annotations, save_regions
from ihc_quant.batch.settings import COARSEST_MPP_UM, MeasureSettings
from ihc_quant.batch.slide_measuring import Progress, measure_shown, measure_slide
from ihc_quant.batch.slide_task import SlideTask
from ihc_quant.domain.geometry import Point
from ihc_quant.domain.outcome import Failed, SlideOutcome
from ihc_quant.domain.slide import SlideInfo
from ihc_quant.domain.stain import NO_CHROMOGEN
from ihc_quant.errors import CalibrationMissing, IhcQuantError, SlideError
from ihc_quant.network.predictor import MapPredictor
from ihc_quant.scoring.calls import CallRule
from ihc_quant.slide.opening import open_slide


@dataclass(frozen=True, slots=True)
class SlideRun:
    """What became of a task.

    Attributes
    ----------
    outcome : SlideOutcome
    folder : Path or None
        Where its results lie; None where it failed.
    error : Exception or None
        A ``SlideError`` where the slide cannot be used; anything else is a fault of the program.
    """

    outcome: SlideOutcome
    folder: Path | None
    error: Exception | None = None


def run_slide(
    task: SlideTask,
    out: Path,
    predictor: MapPredictor,
    measure: MeasureSettings,
    rule: CallRule,
    workers: int,
    on_progress: Progress = lambda _done, _total: None,
) -> SlideRun:
    """Score one slide and write its results to ``out/slides/<slide_id>/``, whole or not at all.

    A section without chromogen is shown and not scored: no tile of it is read.

    Parameters
    ----------
    task : SlideTask
    out : Path
        Output folder of the run.
    predictor : MapPredictor
        The network, ready for ``workers`` threads.
    measure : MeasureSettings
    rule : CallRule
    workers : int
        Tiles worked on at once.
    on_progress : callable
        See ``Progress``.

    Returns
    -------
    SlideRun
        ``Failed`` where the slide cannot be used, and where the program has a fault; no result is left then.

    Raises
    ------
    OutputError
        Where results cannot be written: that stops the run.
    """
    given = "slide" if task.slide_id is None else task.slide_id
    stamp = file_stamp(task.path)
    try:
        with open_slide(task.path, mpp=task.mpp, series=task.series) as reader:
            shown = task.stain.chromogen == NO_CHROMOGEN
            if not shown:
                require_fine_enough(reader.info, str(task.path), measure)
            slide_id = default_id(reader.info) if task.slide_id is None else task.slide_id
            final = out / SLIDES_FOLDER / folder_name(slide_id)
            corner = reader.info.bounds_l0
            drawn = read_annotations(task.annotations, str(task.path), Point(corner.x0, corner.y0))
            with whole_folder(final) as folder:
                save_regions(folder, drawn)
                outcome: SlideOutcome
                if shown:
                    outcome = show(folder, *measure_shown(folder, slide_id, task, reader, measure, drawn))
                else:
                    measurement, timings = measure_slide(
                        folder, slide_id, task, reader, predictor, measure, rule, workers, on_progress, drawn
                    )
                    outcome = derive(folder, measurement, rule, timings)
                require_unchanged(task.path, stamp)
        return SlideRun(outcome, final)
    except SlideError as error:
        return SlideRun(Failed(given, task.stain, error.reason), None, error)
    except IhcQuantError:
        raise
    except Exception as error:  # noqa: BLE001 - the one boundary: a fault on one slide must not lose the others
        reason = f"the program failed ({type(error).__name__}); report it with the traceback"
        return SlideRun(Failed(given, task.stain, reason), None, error)


def default_id(info: SlideInfo) -> str:
    """Return the name of results that the user gave none: made from the pixels' hash, never from the file's name."""
    name = f"slide-{info.quick_hash[:12]}"
    return f"{name}-{info.series}" if info.series_count > 1 else name


def require_fine_enough(info: SlideInfo, name: str, measure: MeasureSettings) -> None:
    """Refuse a slide that is too coarse, unless the settings allow it.

    Raises
    ------
    CalibrationMissing
        Where µm per pixel are unknown or too coarse.
    """
    mpp = info.require_mpp()
    if mpp.coarser > COARSEST_MPP_UM and not measure.allow_coarse:
        raise CalibrationMissing(
            name,
            f"{mpp.coarser:.3g} µm per pixel are too coarse for the network (at most {COARSEST_MPP_UM}); scan at 20× "
            "or more, or pass --allow-coarse and take the figures with caution",
        )
