"""Statements of a card follow from the sets that were learned from."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ihc_quant.domain.measurement_error import MeasurementError
from ihc_quant.network.card import DataSource
from ihc_quant.scoring.error_sets import Spread, known_error
from ihc_quant.training.field import TrainingField
from ihc_quant.training.statements import (
    FREE,
    INHERITED,
    LICENCES,
    known_failures,
    licence_of,
    sources_of,
    validated_for,
)

MakeField = Callable[..., TrainingField]


def used(name: str, role: str = "training") -> DataSource:
    return DataSource(name=name, licence=LICENCES[name], role=role, images=3)


def measured(source: str, marker: str, tissue: str, images: int = 101, patients: int = 5) -> MeasurementError:
    return MeasurementError(source, marker, tissue, "out-of-fold", images, patients, 0.1, 1.0, 10, 10, 0.9, 0.9)


def percent_spread(error: MeasurementError) -> Spread:
    return Spread(error.bias_points, error.sd_points, error.patients)


CD138, KI67 = measured("cd138", "CD138", "marrow"), measured("bcdata", "Ki-67", "breast", 26, 26)


@pytest.mark.parametrize("source", [name for name in LICENCES if name not in (*FREE, "laboratory")])
@pytest.mark.parametrize("role", ["training", "training, validation, test", INHERITED])
def test_one_set_without_a_licence_makes_the_weights_research_only(source: str, role: str) -> None:
    licence = licence_of([used("painted"), used(source, role)], origin_known=True)
    assert licence.startswith("Research use only")
    assert source in licence
    assert licence_of([used("painted"), used(source, "test")], origin_known=True).startswith("Learned only from this")


def test_free_sets_and_a_laboratorys_own_leave_the_weights_free() -> None:
    assert licence_of([used("painted"), used("dsb2018")], origin_known=True) == (
        "Learned only from this project's own painted images and CC0 images (Data Science Bowl 2018): "
        "no licence of an image set restricts these weights."
    )
    own = licence_of([used("painted"), used("laboratory")], origin_known=True)
    assert "a laboratory's own images" in own
    assert "CC0" not in own


def test_weights_of_unknown_origin_are_research_only() -> None:
    licence = licence_of([used("painted")], origin_known=False)
    assert licence.startswith("Research use only")
    assert "without a card" in licence


def test_what_was_learned_from_and_held_out_is_validated_and_the_rest_is_only_tested() -> None:
    assert validated_for([used("cd138"), used("bcdata")], [CD138, KI67]) == (
        "CD138 (marrow), 101 held-out images of 5 patients and Ki-67 (breast), 26 held-out images; "
        "not validated for CCR4, CD4 or CD8"
    )
    assert validated_for([used("painted"), used("cd138", "test")], [CD138]) == (
        "no real DAB tissue (never learned from, tested only: CD138 (marrow), 101 held-out images of 5 patients); "
        "not validated for CCR4, CD4 or CD8"
    )
    one = measured("cd138", "CD138", "marrow", 23, 1)
    assert "23 held-out images of 1 patient;" in validated_for([used("cd138")], [one])


def test_a_laboratorys_own_marker_and_tissue_are_validated_and_no_other() -> None:
    own = used("laboratory").model_copy(update={"marker": "CCR4", "tissue": "skin"})
    ccr4 = measured("laboratory", "CCR4", "skin", 12, 3)
    assert validated_for([used("cd138"), own], [CD138, ccr4]) == (
        "CD138 (marrow), 101 held-out images of 5 patients and CCR4 (skin), 12 held-out images of 3 patients; "
        "not validated for any other marker or tissue"
    )
    # Nothing was held out, or of another tissue than what was learned from: that validates nothing.
    assert validated_for([own], []) == "no real DAB tissue; not validated for CCR4, CD4 or CD8"
    node = measured("laboratory", "CCR4", "lymph node", 1, 1)
    assert validated_for([own], [node]) == (
        "no real DAB tissue (never learned from, tested only: CCR4 (lymph node), 1 held-out image); "
        "not validated for CCR4, CD4 or CD8"
    )
    assert "not validated" not in known_error("CCR4", [CD138, ccr4], percent_spread).doubt
    assert "not validated for CD4" in known_error("CD4", [CD138, ccr4], percent_spread).doubt


def test_fields_of_a_laboratory_have_an_entry_for_each_marker_tissue_and_licence(make_field: MakeField) -> None:
    shown = [("CCR4", "skin", "ours"), ("CD4", "skin", "ours"), ("CCR4", "skin", "ours")]
    fields = [
        replace(make_field("laboratory"), marker=marker, tissue=tissue, licence=licence)
        for marker, tissue, licence in shown
    ]
    sources = sources_of({"training": [make_field("painted"), *fields[:2]], "test": fields[2:]}, counted=5)
    assert [(each.name, each.marker, each.tissue, each.licence, each.role, each.images) for each in sources] == [
        ("painted", "", "", LICENCES["painted"], "training", 1),
        ("laboratory", "CCR4", "skin", "ours", "training, test", 2),
        ("laboratory", "CD4", "skin", "ours", "training", 1),
        ("lysto", "", "", LICENCES["lysto"], "test", 5),
    ]
    assert licence_of(sources, origin_known=True) == (
        "Learned only from this project's own painted images and a laboratory's own images (licence: ours), whose "
        "owner decides on their use: no other licence restricts these weights."
    )
    bound = licence_of([*sources, used("cd138", INHERITED)], origin_known=True)
    assert bound.startswith("Research use only: learned in part from image sets")
    assert "(licence: ours)" in bound


def test_failures_name_what_was_never_seen_and_what_is_biased() -> None:
    figures = {"cd138": {"percent_positive_bias_points": -3.2}, "lysto": {}}
    seen = known_failures([used("cd138"), used("he")], figures)
    unseen = known_failures([used("painted")], {})
    assert seen[-1] == "on cd138 the percentage of positive cells is off by -3.2 points on average"
    assert any("no real chromogen" in failure for failure in unseen)
    assert any("eosin" in failure for failure in unseen)
    assert not any("eosin" in failure or "no real chromogen" in failure for failure in seen)
