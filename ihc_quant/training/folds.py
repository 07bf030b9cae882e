"""Out-of-fold predictions: each fold's model on what that fold held out.

They choose the operating point of weights that learned from everything, and give honest figures: the fields of a fold
are judged at a point that was chosen on the other folds alone, so that no patient chooses the thresholds that it is
measured at.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ihc_quant.errors import SettingsError
from ihc_quant.network.card import WeightsCard, file_sha256
from ihc_quant.training.assessment import FieldMaps, run_network
from ihc_quant.training.figures import (
    JudgedField,
    count_figures,
    count_positive,
    held_out_figures,
    judge,
    measurement_errors,
)
from ihc_quant.training.finishing import Trained, Verdict, write_weights
from ihc_quant.training.operating_point import QUICK_POINT, OperatingPoint, Trials, choose_operating_point
from ihc_quant.training.runs import check_same_recipe
from ihc_quant.training.splits import PATIENTS_KNOWN
from ihc_quant.training.statements import STAINED

FOLD_WEIGHTS = "weights"
"""Name, in a fold's folder, of its weights and card."""


@dataclass(frozen=True, slots=True, eq=False)
class JudgedFold:
    """What a fold held out, as its model sees it.

    Attributes
    ----------
    trained : Trained
    point : OperatingPoint
        Chosen on the other folds.
    fields : list of JudgedField
        At that point.
    counts : tuple of ndarray, shape (n,), int64
        Found and true number of positive cells of the counted crops.
    """

    trained: Trained
    point: OperatingPoint
    fields: list[JudgedField]
    counts: tuple[NDArray[np.int64], NDArray[np.int64]]

    def summary(self) -> dict[str, Any]:
        """Return what the card of the weights that learned from everything says of this fold."""
        return {
            "name": self.trained.name,
            "checkpoint_sha256": file_sha256(self.trained.checkpoint),
            "precision": self.trained.settings.get("precision"),
            "centre": self.point.cells.centre_threshold,
            "presence": self.point.cells.presence_threshold,
            "slope": self.point.scaling.slope,
            "intercept": self.point.scaling.intercept,
            "positive": self.point.positive,
        }


def finish_from_folds(whole: Trained, target: Path, folds: Sequence[Trained]) -> WeightsCard:
    """Write the weights of a run that learned from everything, with the operating point and figures of its folds.

    Parameters
    ----------
    whole : Trained
        The run whose weights are written.
    target : Path
        Where they go, without suffix.
    folds : sequence of Trained
        All folds of the same recipe.

    Raises
    ------
    SettingsError
        Where the recipes differ, or no stained field was held out to choose on.
    """
    check_same_recipe({run.folder: run.settings for run in (whole, *folds)})
    maps = [held_out_maps(fold) for fold in folds]
    trials = Trials()
    judged = judge_folds(folds, maps, trials)
    fields = [field for fold in judged for field in fold.fields]
    found, true = (np.concatenate([fold.counts[part] for fold in judged]) for part in (0, 1))
    verdict = Verdict(
        point=chosen_on(folds, maps, trials),
        fitted_on=f"matched cells that the {len(folds)} fold models found on what they held out",
        metrics={**held_out_figures(fields), "lysto": count_figures(found, true)},
        measurement=tuple(
            replace(error, how=f"out-of-fold, {len(folds)} folds by {_unit(error.source)}")
            for error in measurement_errors(fields, "out-of-fold")
        ),
        split=whole.groups() | {fold.name: fold.groups()["test"] for fold in folds},
        figures_of=(
            "the fold models of the same recipe, each on what it held out and at an operating point chosen on the "
            "other folds; these weights retrain the recipe on everything"
        ),
        training={"folds": [fold.summary() for fold in judged]},
    )
    return write_weights(whole, target, verdict)


def finish_folds(folds: Sequence[Trained], numbers: Sequence[int]) -> list[WeightsCard]:
    """Write weights and card of the folds of these numbers, at the operating point that all others choose."""
    check_same_recipe({fold.folder: fold.settings for fold in folds})
    judged = judge_folds(folds, [held_out_maps(fold) for fold in folds], Trials())
    return [
        _write_fold(judged[number], "matched cells that the other fold models found on what they held out")
        for number in numbers
    ]


def finish_lone_fold(fold: Trained) -> WeightsCard:
    """Write weights and card of a fold while others are missing, at fixed thresholds."""
    judged = _judged(fold, held_out_maps(fold), QUICK_POINT)
    return _write_fold(judged, "nothing: thresholds are fixed and probabilities as they come until all folds are there")


def held_out_maps(fold: Trained) -> list[FieldMaps]:
    """Return what a fold's model says of the fields that it held out."""
    return run_network(fold.network(), fold.split.test)


def judge_folds(folds: Sequence[Trained], maps: Sequence[Sequence[FieldMaps]], trials: Trials) -> list[JudgedFold]:
    """Judge what each fold held out at the operating point that the other folds choose.

    Parameters
    ----------
    folds : sequence of Trained
    maps : sequence of sequence of FieldMaps
        Of the held-out fields of each fold.
    trials : Trials
        What was tried on them before.
    """
    judged = []
    for number, fold in enumerate(folds):
        others = [other for other in range(len(folds)) if other != number]
        point = chosen_on([folds[other] for other in others], [maps[other] for other in others], trials)
        judged.append(_judged(fold, maps[number], point))
    return judged


def chosen_on(folds: Sequence[Trained], maps: Sequence[Sequence[FieldMaps]], trials: Trials) -> OperatingPoint:
    """Return the operating point that the held-out fields of several folds choose.

    Of these, only sets with a chromogen take part that the folds learned from; on others the model is only tested.

    Raises
    ------
    SettingsError
        Where there is none.
    """
    stained = [
        result
        for fold, of_fold in zip(folds, maps, strict=True)
        for result in of_fold
        if result.field.source in set(STAINED) & {field.source for field in fold.split.training}
    ]
    if not stained:
        raise SettingsError(f"the folds hold out no field of {' or '.join(STAINED)} to choose on.")
    return choose_operating_point(stained, folds[0].pixel_um, trials)


def _unit(source: str) -> str:
    """Return what folds hold out of a source."""
    return "patient" if source in PATIENTS_KNOWN else "image"


def _judged(fold: Trained, maps: Sequence[FieldMaps], point: OperatingPoint) -> JudgedFold:
    counts = count_positive(fold.network(), fold.counted, fold.pixel_um, point)
    return JudgedFold(fold, point, judge(maps, fold.pixel_um, point), counts)


def _write_fold(fold: JudgedFold, fitted_on: str) -> WeightsCard:
    verdict = Verdict(
        point=fold.point,
        fitted_on=fitted_on,
        metrics={**held_out_figures(fold.fields), "lysto": count_figures(*fold.counts)},
        measurement=measurement_errors(fold.fields, "on what this fold held out"),
        split=fold.trained.groups(),
    )
    return write_weights(fold.trained, fold.trained.folder / FOLD_WEIGHTS, verdict)
