"""Weights on disk: cards that cannot be mistaken, digests that must match, and no pickle that is ever opened."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from ihc_quant.domain.measurement_error import LogCountError
from ihc_quant.errors import WeightsError
from ihc_quant.network.card import WEIGHTS_FOLDER, MeasurementError, WeightsCard, file_sha256, read_card, resolve_card
from ihc_quant.network.weights import load_arrays, load_weights, save_arrays

SHIPPED = sorted(WEIGHTS_FOLDER.glob("*.json"))


def test_a_card_comes_back_as_it_was_written(card_path: Path) -> None:
    card = read_card(card_path)
    assert WeightsCard.model_validate_json(card.model_dump_json()) == card
    with pytest.raises(ValidationError):
        card.name = "another"


@pytest.mark.parametrize("part", [(), ("architecture",), ("calibration",), ("thresholds",), ("sources", 0)])
def test_a_field_that_nobody_knows_is_refused(card_path: Path, part: tuple[Any, ...]) -> None:
    card = json.loads(card_path.read_text())
    inner = card
    for step in part:
        inner = inner[step]
    inner["surprise"] = 1
    card_path.write_text(json.dumps(card))
    with pytest.raises(WeightsError, match=r"random\.json.*not a valid"):
        read_card(card_path)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("thresholds", "positive", 1.5),
        ("thresholds", "uncertain", [0.8, 0.2]),
        ("thresholds", "uncertain", [0.6, 0.8]),
        ("thresholds", "uncertain", [0.2, 0.4]),
        ("calibration", "slope", 0.0),
        ("calibration", "slope", -1.0),
        ("calibration", "slope", float("nan")),
        ("architecture", "decoder_blocks", [1]),
        ("architecture", "widths", [8]),
    ],
)
def test_a_card_with_impossible_values_is_refused(card_path: Path, part: str, name: str, value: Any) -> None:
    card = json.loads(card_path.read_text())
    card[part][name] = value
    card_path.write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="not a valid"):
        load_weights(card_path)


MEASURED = {
    "source": "cd138",
    "marker": "CD138",
    "tissue": "marrow",
    "how": "out-of-fold, by patient",
    "images": 101,
    "patients": 5,
    "bias_points": -0.4,
    "sd_points": 2.2,
    "positive_cells": 186,
    "negative_cells": 2205,
    "sensitivity": 0.965,
    "specificity": 0.998,
}


def test_the_measured_error_comes_back_and_an_older_card_has_none(card_path: Path) -> None:
    card = json.loads(card_path.read_text())
    for name in ("measurement", "figures_of", "started_from"):
        del card[name]
    card_path.write_text(json.dumps(card))
    assert read_card(card_path).measurement == ()
    card_path.write_text(json.dumps(card | {"measurement": [MEASURED], "figures_of": "folds", "started_from": "ab"}))
    back = read_card(card_path)
    assert back.measurement == (MeasurementError(**MEASURED),)  # type: ignore[arg-type]
    assert WeightsCard.model_validate_json(back.model_dump_json()) == back


COUNTED = {"images": 48, "patients": 5, "least_cells": 10, "cells": 950, "bias_log": 0.03, "sd_log": 0.2}


def test_the_error_of_counts_comes_back(card_path: Path) -> None:
    card = json.loads(card_path.read_text())
    measured = MEASURED | {"positive_count": COUNTED, "cell_count": None}
    card_path.write_text(json.dumps(card | {"measurement": [measured]}))
    (back,) = read_card(card_path).measurement
    assert back.positive_count == LogCountError(**COUNTED)  # type: ignore[arg-type]
    assert back.cell_count is None
    card = read_card(card_path)
    assert WeightsCard.model_validate_json(card.model_dump_json()) == card


def test_the_calls_of_each_patient_are_taken_from_the_figures_by_group(card_path: Path) -> None:
    def group(tp: int, missed: int, rate: float | None) -> dict[str, Any]:
        return {
            "positive": {"tp": tp, "fn": missed},
            "negative": {"tp": 99, "fn": 2},
            "sensitivity": rate,
            "specificity": 0.99,
        }

    card = json.loads(card_path.read_text()) | {"measurement": [MEASURED | {"patients": 3}]}
    groups = {"001": group(90, 5, 0.9), "002": group(0, 4, None), "003": group(0, 7, 0.0)}
    card["metrics"] = {"cd138": {"by_group": groups}}
    card_path.write_text(json.dumps(card))
    (error,) = read_card(card_path).errors_by_patient()
    assert [(each.positive_cells, each.sensitivity) for each in error.by_patient] == [(100, 0.9), (0, None), (7, 0.0)]
    assert {each.negative_cells for each in error.by_patient} == {100}
    for measured in ([MEASURED], [MEASURED | {"patients": 3}, MEASURED | {"patients": 3, "marker": "CD4"}]):
        card_path.write_text(json.dumps(card | {"measurement": measured}))
        assert all(each.by_patient == () for each in read_card(card_path).errors_by_patient())
    unusable: list[dict[str, Any]] = [
        {},
        {"cd138": {}},
        {"cd138": 3},
        {"cd138": {"by_group": {"001": {"sensitivity": 1}}}},
    ]
    for metrics in unusable:
        card_path.write_text(json.dumps(card | {"metrics": metrics}))
        assert read_card(card_path).errors_by_patient() == read_card(card_path).measurement


@pytest.mark.skipif(not SHIPPED, reason="no weights are shipped here")
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_cells_of_all_patients_are_those_of_the_set(path: Path) -> None:
    for error in read_card(path).errors_by_patient():
        if error.by_patient:
            for cells, by_patient in (
                (error.positive_cells, [each.positive_cells for each in error.by_patient]),
                (error.negative_cells, [each.negative_cells for each in error.by_patient]),
            ):
                assert sum(by_patient) == pytest.approx(cells, rel=0.02)


@pytest.mark.parametrize(
    "change",
    [
        {"surprise": 1},
        {"positive_count": COUNTED | {"surprise": 1}},
        {"positive_count": COUNTED | {"patients": 49}},
        {"positive_count": COUNTED | {"cells": 479}},
        {"positive_count": COUNTED | {"least_cells": 0}},
        {"cell_count": COUNTED | {"bias_log": 21}},
        {"cell_count": COUNTED | {"sd_log": -0.1}},
        {"patients": 102},
        {"sd_points": -1.0},
        {"bias_points": float("nan")},
        {"sensitivity": None},
        {"sensitivity": 1.1},
        {"negative_cells": 0},
    ],
)
def test_an_error_that_nobody_can_have_measured_is_refused(card_path: Path, change: dict[str, Any]) -> None:
    card = json.loads(card_path.read_text())
    card_path.write_text(json.dumps(card | {"measurement": [MEASURED | change]}))
    with pytest.raises(WeightsError, match="not a valid"):
        read_card(card_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00"])
def test_a_file_that_is_no_card_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "card.json"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"card\.json"):
        read_card(path)


def test_the_card_of_a_network_for_folds_says_what_it_is() -> None:
    with pytest.raises(
        WeightsError, match=r"default\.json: this is the card of a network that tells folds .* use weights"
    ):
        read_card(WEIGHTS_FOLDER / "folds" / "default.json")


def test_a_flipped_byte_is_refused_with_the_file_and_the_cure(card_path: Path) -> None:
    path = card_path.with_suffix(".safetensors")
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="digest differs") as caught:
        load_weights(card_path)
    assert str(path) in str(caught.value)
    assert "fetch the weights again" in str(caught.value)


def test_a_card_or_weights_alone_are_refused(card_path: Path, tmp_path: Path) -> None:
    path = card_path.with_suffix(".safetensors")
    assert load_weights(path).card == load_weights(card_path).card
    path.rename(tmp_path / "away")
    with pytest.raises(WeightsError, match=r"random\.safetensors.*missing"):
        load_weights(card_path)
    card_path.unlink()
    (tmp_path / "away").rename(path)
    with pytest.raises(WeightsError, match="no such weights"):
        load_weights(path)
    with pytest.raises(WeightsError, match="no such weights"):
        load_weights("a name that nothing has")


def test_a_folder_in_place_of_the_weights_is_refused(card_path: Path) -> None:
    path = card_path.with_suffix(".safetensors")
    path.unlink()
    path.mkdir()
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(card_path)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_pickle_is_never_opened(card_path: Path, tmp_path: Path, suffix: str) -> None:
    sprung, path = tmp_path / "sprung", card_path.with_suffix(suffix)
    digest = file_sha256(card_path.with_suffix(".safetensors"))
    path.write_bytes(pickle.dumps(Trap(sprung)))
    # Even a card that vouches for it does not help.
    card_path.write_text(card_path.read_text().replace(digest, file_sha256(path)))
    with pytest.raises(WeightsError, match=path.name):
        load_weights(path)
    with pytest.raises(WeightsError):
        load_arrays(path)
    assert not sprung.exists()
    pickle.loads(path.read_bytes())
    assert sprung.exists()  # the trap does work


def test_arrays_come_back_as_they_were_written(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "matrix": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "step": np.array(7, np.int64),
        "none": np.empty((0, 2), np.float64),
    }
    digest = save_arrays(arrays, tmp_path / "arrays.safetensors")
    back = load_arrays(tmp_path / "arrays.safetensors")
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype
        assert back[name].shape == array.shape
        assert np.array_equal(back[name], array)
    assert digest == file_sha256(tmp_path / "arrays.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["arrays.safetensors"]


@pytest.mark.skipif(not SHIPPED, reason="no weights are shipped here")
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_weights_say_what_they_are(path: Path) -> None:
    weights = load_weights(path.stem)
    assert resolve_card(path.stem) == path
    card = weights.card
    assert card.name == path.stem
    assert card.pixel_um == 0.5
    assert weights.path.stat().st_size <= 12e6
    learned = {source.name for source in card.sources if "training" in source.role}
    if card.name == "open":
        assert learned == {"painted", "dsb2018"}
        assert "CC0" in card.licence
    else:
        assert card.licence.startswith("Research use only")
    assert "not validated for CCR4" in card.validated_for
    assert {source.name for source in card.sources}.isdisjoint({"deepliif", "pd1_tma"})
    assert all(source.licence for source in card.sources)
    assert not any(str(value).startswith("/") for value in card.training.values()), "no folder of anybody's machine"
    low, high = card.thresholds.uncertain
    assert low <= card.thresholds.positive <= high


@pytest.mark.skipif(not SHIPPED, reason="no weights are shipped here")
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_weights_were_tested_on_patients_they_never_saw(path: Path) -> None:
    card = read_card(path)
    parts = {name: set(card.split[name]) for name in ("training", "validation", "test")}
    folds = [set(groups) for name, groups in card.split.items() if name not in parts]
    assert sum(map(len, parts.values())) == len(set.union(*parts.values()))
    assert sum(map(len, folds)) == len(set().union(*folds)), "no group is held out by two folds"
    if folds:
        assert "fold models" in card.figures_of
        patients = {group for group in parts["training"] if group.startswith("cd138/")}
        assert patients <= set.union(*folds), "every patient is held out once"
    else:
        assert all(parts.values())
    sources = {source.name for source in card.sources}
    assert {group.split("/")[0] for group in set.union(*parts.values(), *folds)} <= sources


@pytest.mark.skipif(not SHIPPED, reason="no weights are shipped here")
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_open_weights_name_no_network_that_learned_under_other_terms(path: Path) -> None:
    card = read_card(path)
    if card.folds is None:
        assert card.name == "open"
        return
    stated = json.loads((path.parent / "folds" / f"{card.folds.name}.json").read_text(encoding="utf-8"))
    assert (
        stated["sha256"] == card.folds.sha256 == file_sha256(path.parent / "folds" / f"{card.folds.name}.safetensors")
    )
    assert stated["licence"].startswith("Research use only")
    assert card.licence.startswith("Research use only")
    assert {source["name"] for source in stated["sources"]}.isdisjoint({"deepliif", "pd1_tma"})
