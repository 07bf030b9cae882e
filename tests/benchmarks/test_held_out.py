"""Weights are judged on what they never saw, and on nothing else."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from held_out import held_out, left_out_because, require_unseen, saw_file, trained_on
from labelled_images import LabelledImage

from ihc_quant.errors import SettingsError
from ihc_quant.network.card import DataSource, WeightsCard
from ihc_quant.training.starts import LEARNED_BEFORE
from ihc_quant.training.statements import INHERITED
from tests.conftest import PaintedPredictor


def image(source: str, group: str, name: str = "") -> LabelledImage:
    return LabelledImage(
        source, name or group, group, Path(group), 0.5, (64, 64), np.empty((0, 2)), np.empty(0, np.bool_)
    )


def card(**split: Sequence[str]) -> WeightsCard:
    return PaintedPredictor().card.model_copy(update={"split": {part: list(groups) for part, groups in split.items()}})


TILES = [image("cd138", group, f"{group}_{number}") for group in ("001", "003", "006") for number in range(2)]


def test_the_card_names_what_is_held_out() -> None:
    split = card(training=["cd138/001", "bcdata/1"], validation=["cd138/006"], test=["cd138/003"])
    assert {one.group for one in held_out(TILES, split)} == {"003"}
    assert {one.group for one in trained_on(TILES, split)} == {"001"}


def test_a_source_that_was_never_seen_is_judged_whole() -> None:
    split = card(training=["bcdata/1"], validation=[], test=["bcdata/2"])
    assert held_out(TILES, split) == TILES
    assert trained_on(TILES, split) == []


def test_a_source_that_was_seen_to_the_last_image_is_not_judged() -> None:
    assert held_out(TILES, card(training=["cd138/001"], validation=["cd138/006"], test=[])) == []


@pytest.mark.parametrize("test", [[], ["cd138/003"]])
def test_what_the_weights_they_started_from_learned_from_is_not_judged(test: list[str]) -> None:
    source = DataSource(name="cd138", licence="none", role=INHERITED, images=101)
    started = card(training=["bcdata/1"], test=test).model_copy(update={"sources": (source,)})
    assert held_out(TILES, started) == []
    assert "started from weights that learned from cd138" in left_out_because(TILES, started)
    assert left_out_because([image("bcdata", "2")], started.model_copy(update={"split": {}})) == ""
    with pytest.raises(SettingsError, match="cd138/003 is training of the start data"):
        require_unseen(["cd138/003"], started)


def test_what_is_left_out_has_a_reason() -> None:
    assert "to the last image" in left_out_because(TILES, card(training=["cd138/001"], test=[]))
    assert left_out_because(TILES, card(training=["cd138/001"], test=["cd138/003"])) == ""
    assert left_out_because([], card()) == "no images are there"


@pytest.mark.parametrize("known", ["cd138/003", "cd138/*"])
def test_groups_that_the_starting_weights_learned_from_are_not_judged(known: str) -> None:
    split = card(training=["laboratory/P1"], test=["laboratory/P2"])
    split = split.model_copy(update={"split": split.split | {LEARNED_BEFORE: [known]}})
    assert held_out(TILES, split) == []
    with pytest.raises(SettingsError, match="cd138/003 is training of the start data"):
        require_unseen(["cd138/003"], split)


def test_images_named_with_their_suffix_are_the_same() -> None:
    crops = [image("lysto", "training_1"), image("lysto", "training_2")]
    assert held_out(crops, card(training=[], test=["lysto/training_2.png"])) == crops[1:]


def test_a_card_that_contradicts_itself_or_the_data_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"cd138/003 is validation data .* cannot judge"):
        held_out(TILES, card(training=["cd138/001"], validation=["cd138/003"], test=["cd138/003"]))
    with pytest.raises(SettingsError, match="tests on cd138/009, which is not among"):
        held_out(TILES, card(training=["cd138/001"], test=["cd138/009"]))
    with pytest.raises(SettingsError, match="cd138/001 is training data"):
        require_unseen(["cd138/001"], card(training=["cd138/001"], test=[]))


def test_a_slide_that_was_learned_from_is_known_by_its_name() -> None:
    split = card(training=["he/no-mpp-jpeg2000"], test=["he/other"])
    assert saw_file("slides/no-mpp-jpeg2000.svs", split)
    assert not saw_file("other.svs", split)
