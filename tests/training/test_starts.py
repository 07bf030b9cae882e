"""What the starting weights learned from is not held out."""

from pathlib import Path

import pytest

from ihc_quant.errors import SettingsError
from ihc_quant.network.card import WEIGHTS_FOLDER, DataSource, WeightsCard, read_card
from ihc_quant.training.field import TrainingField
from ihc_quant.training.splits import Split
from ihc_quant.training.starts import (
    LEARNED_BEFORE,
    learned_before,
    left_out_notice,
    require_pixel,
    start_card,
    was_learned,
    without_learned,
)
from ihc_quant.training.statements import INHERITED
from tests.training.conftest import one_pixel


def field_of(source: str, group: str) -> TrainingField:
    return one_pixel(source, group, group)


@pytest.fixture(scope="module")
def shipped() -> WeightsCard:
    return read_card(WEIGHTS_FOLDER / "default.json")


def test_what_the_start_learned_from_neither_validates_nor_tests(shipped: WeightsCard) -> None:
    planned = Split(
        (field_of("painted", "painted-1"),),
        (field_of("cd138", "006"), field_of("laboratory", "P01")),
        (field_of("cd138", "003"), field_of("bcdata", "4"), field_of("laboratory", "P02"), field_of("cd138", "new")),
    )
    before = learned_before(shipped)
    assert without_learned(planned, before).groups() == {
        "training": ["painted/painted-1"],
        "validation": ["laboratory/P01"],
        "test": ["cd138/new", "laboratory/P02"],
    }
    assert "3 patients or images of bcdata, cd138 that would be held out" in left_out_notice(planned, before)
    assert "of laboratory (by pseudonym) that" in left_out_notice(planned, {"laboratory/P01"})
    assert left_out_notice(planned, frozenset()) == ""
    assert without_learned(planned, frozenset()).groups() == planned.groups()


def test_chains_of_starts_are_followed_and_what_a_card_leaves_open_counts_as_learned(shipped: WeightsCard) -> None:
    painted = DataSource(name="painted", licence="", role="training", images=1)
    inherited = DataSource(name="cd138", licence="", role=INHERITED, images=1)
    told = shipped.model_copy(
        update={
            "sources": (painted, inherited),
            "split": {"training": ["painted/painted-1"], "test": ["painted/painted-2"], LEARNED_BEFORE: ["cd138/001"]},
        }
    )
    assert learned_before(told) == {"painted/painted-1", "cd138/001"}
    silent = told.model_copy(update={"split": {"training": ["painted/painted-1"]}})
    assert learned_before(silent) == {"painted/painted-1", "cd138/*"}
    assert was_learned(learned_before(silent), "cd138", "whoever")
    assert not was_learned(learned_before(silent), "painted", "painted-2")
    assert learned_before(None) == frozenset()


def test_the_card_is_that_of_what_the_run_keeps(shipped: WeightsCard, tmp_path: Path) -> None:
    assert start_card("", tmp_path) is None
    assert start_card("default", tmp_path) == shipped
    assert start_card(str(WEIGHTS_FOLDER / "efficientnet-lite0.safetensors"), tmp_path) is None
    (tmp_path / "start.safetensors").write_bytes(b"")
    assert start_card("weights that are gone", tmp_path) is None
    (tmp_path / "start.json").write_text(shipped.model_copy(update={"name": "kept"}).model_dump_json())
    card = start_card("weights that are gone", tmp_path)
    assert card is not None
    assert card.name == "kept"


def test_a_start_of_another_pixel_size_is_refused(shipped: WeightsCard) -> None:
    require_pixel(None, 0.25)
    require_pixel(shipped, 0.5)
    with pytest.raises(SettingsError, match=r"the weights default work at 0\.5 .* this run at 0\.25; set --pixel-um"):
        require_pixel(shipped, 0.25)
