"""Runs over a manifest: what is done, what is left, and why."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ihc_quant.batch.file_stamp import file_stamp
from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.run import StoredOutcomes
from ihc_quant.batch.run_state import STATES_FOLDER
from ihc_quant.domain.outcome import Scored
from ihc_quant.errors import OutputError
from ihc_quant.scoring.calls import CallRule
from ihc_quant.slide.writing import write_pyramid
from tests.batch.bench import Bench, Watch, files_in, words


def test_run_is_done_and_done_again_does_nothing(bench: Bench) -> None:
    watch = Watch()
    record = bench.run(watch=watch)
    assert record.counts() == {"scored": 2}
    assert watch.lines == ["2 slides; measure: 2", "s1: measured", "s2: measured"]
    before = files_in(bench.out / "slides")
    assert bench.steps() == dict.fromkeys(("s1", "s2"), ("keep", "done already"))
    watch = Watch()
    assert bench.run(watch=watch).counts() == {"scored": 2}
    assert watch.lines == ["2 slides; done already: 2"]
    assert bench.measured == ["s1", "s2"]
    assert files_in(bench.out / "slides") == before
    assert "2 slides: 2 scored." in words(bench)


def test_results_are_those_of_one_slide_alone(bench: Bench, score: Callable[..., Any], tmp_path: Path) -> None:
    bench.propose_infiltrate = False  # `score` proposes none unasked
    bench.run()
    for name, path in bench.slides.items():
        alone = score(path, tmp_path / "alone", slide_id=name)
        assert files_in(alone.folder) == files_in(bench.out / "slides" / name)


def test_new_threshold_needs_no_slide(bench: Bench) -> None:
    first = StoredOutcomes(bench.run(), bench.out)["s1"]
    assert isinstance(first, Scored)
    bench.slides["s1"].unlink()
    rule = CallRule(p_threshold=0.9, cuts_od=(0.1, 0.3, 0.5))
    assert bench.steps(rule)["s1"] == ("rescore", "settings changed: cuts, threshold")
    second = StoredOutcomes(bench.run(rule=rule), bench.out)["s1"]
    assert isinstance(second, Scored)
    assert second.score.counts != first.score.counts
    assert bench.measured == ["s1", "s2"]
    assert bench.steps(rule)["s1"] == ("keep", "done already; the slide is no longer there")
    bench.run()
    assert StoredOutcomes(bench.run(), bench.out)["s1"] == first


def test_without_a_proposed_infiltrate_scores_are_made_anew_without_slides(bench: Bench) -> None:
    def proposed() -> bool:
        outcome, measurement, _ = read_slide_json(bench.out / "slides" / "s1")
        assert isinstance(outcome, Scored)
        stated = outcome.provenance.settings["calls"]
        assert isinstance(stated, dict)
        assert (stated["proposed_infiltrate"] is not None) == measurement.propose_infiltrate
        return measurement.propose_infiltrate

    bench.run()
    before = files_in(bench.out / "slides")
    assert proposed()
    bench.propose_infiltrate = False
    for slide in bench.slides.values():
        slide.unlink()
    assert bench.steps()["s1"] == ("rescore", "settings changed: proposed infiltrate")
    bench.run()
    assert not proposed()
    assert bench.steps()["s1"] == ("keep", "done already; the slide is no longer there")
    bench.propose_infiltrate = True
    bench.run()
    assert bench.measured == ["s1", "s2"]
    assert files_in(bench.out / "slides") == before


def test_results_are_kept_where_slides_and_states_are_gone(bench: Bench) -> None:
    bench.stains["s2"] = ("H&E", "none")
    bench.run()
    before = files_in(bench.out / "slides")
    for slide in bench.slides.values():
        slide.unlink()
    watch = Watch()
    assert bench.run(watch=watch).counts() == {"scored": 1, "shown": 1}
    kept = "2 slides are not where the manifest says; results of the same settings are kept without: s1, s2"
    assert watch.notes == [kept]
    shutil.rmtree(bench.out / STATES_FOLDER)
    watch = Watch()
    assert bench.run(watch=watch).counts() == {"scored": 1, "shown": 1}
    assert watch.lines[1:] == ["s1: found whole", "s2: found whole"]
    assert watch.notes == [kept]
    assert files_in(bench.out / "slides") == before


def test_earlier_settings_find_their_results_although_the_slide_is_gone(bench: Bench) -> None:
    bench.run()
    bench.slides["s1"].unlink()
    record = bench.run(tile_px=512)
    assert [state.slide_id for state in record.failures()] == ["s1"], "other settings need the slide"
    assert bench.steps()["s1"] == ("check", "failed before; settings changed: tile")
    record = bench.run()
    assert record.lines["s1"].doing == "found whole"
    assert record.counts() == {"scored": 2}


def test_a_section_that_is_only_shown_does_not_follow_settings_of_scores(bench: Bench) -> None:
    bench.stains["s1"] = ("H&E", "none")
    bench.run()
    bench.propose_infiltrate = False
    assert bench.steps(CallRule(p_threshold=0.9), tile_px=512)["s1"] == ("keep", "done already")


def test_other_measurement_is_measured(bench: Bench) -> None:
    bench.run()
    assert bench.steps(tile_px=512)["s1"] == ("measure", "settings changed: tile")
    bench.run(tile_px=512)
    assert bench.measured == ["s1", "s2"] * 2
    assert bench.steps(tile_px=512, force=True)["s1"] == ("measure", "--force")


def test_a_card_finished_anew_for_the_same_weights_measures_again(bench: Bench) -> None:
    bench.run()
    card = bench.predictor.card
    bench.predictor.card = card.model_copy(update={"calibration": card.calibration.model_copy(update={"slope": 2.0})})
    try:
        assert bench.steps()["s1"] == ("measure", "settings changed: weights")
    finally:
        bench.predictor.card = card


def test_other_slide_in_the_same_place_is_measured(bench: Bench) -> None:
    bench.run()
    white = np.full((300, 300, 3), 244, np.uint8)
    write_pyramid(bench.slides["s1"], white, 0.5)
    assert bench.steps()["s1"] == ("check", "the slide's file was written or moved since")
    assert bench.run().counts() == {"scored": 1, "no tissue": 1}
    assert bench.measured == ["s1", "s2", "s1"]


def test_same_slide_copied_elsewhere_is_not_measured(bench: Bench) -> None:
    bench.run()
    moved = bench.folder / "elsewhere.tif"
    shutil.copy(bench.slides["s1"], moved)
    bench.slides["s1"] = moved
    watch = Watch()
    bench.run(watch=watch)
    assert watch.lines[1:] == ["s1: found whole"]
    assert bench.measured == ["s1", "s2"]
    assert bench.steps()["s1"] == ("keep", "done already")


@pytest.mark.parametrize("damage", ["no states", "half a state", "another state"])
def test_results_are_found_without_their_states(bench: Bench, damage: str) -> None:
    bench.run()
    before = files_in(bench.out / "slides")
    state = bench.out / STATES_FOLDER / "s1.json"
    match damage:
        case "no states":
            shutil.rmtree(bench.out / STATES_FOLDER)
        case "half a state":
            state.write_bytes(state.read_bytes()[:50])
        case "another state":
            shutil.copy(bench.out / STATES_FOLDER / "s2.json", state)
    assert bench.steps()["s1"] == ("check", "results of unknown settings are there")
    bench.run()
    assert bench.measured == ["s1", "s2"]
    assert files_in(bench.out / "slides") == before


def test_results_that_are_gone_or_damaged_are_made_again(bench: Bench) -> None:
    bench.run()
    before = files_in(bench.out / "slides")
    shutil.rmtree(bench.out / "slides" / "s1")
    (bench.out / "slides" / "s2" / "slide.json").write_text("{")
    assert [action for action, _ in bench.steps().values()] == ["measure", "check"]
    bench.run()
    assert files_in(bench.out / "slides") == before


def test_results_of_another_version_are_measured_again(bench: Bench) -> None:
    bench.run()
    before = files_in(bench.out / "slides")
    result, state = bench.out / "slides" / "s1" / "slide.json", bench.out / STATES_FOLDER / "s1.json"
    values = json.loads(result.read_text(encoding="utf-8"))
    # As a version before this one left both: the state knows no layout, and the score knows no grades.
    del values["result"]["score"]["grade_fractions"]
    result.write_text(json.dumps(values | {"schema": "ihc_quant/slide/4"}), encoding="utf-8")
    kept = json.loads(state.read_text(encoding="utf-8"))
    del kept["layout"]
    stamp = file_stamp(result)
    assert stamp is not None
    state.write_text(json.dumps(kept | {"result": stamp.model_dump()}), encoding="utf-8")
    with pytest.raises(OutputError, match="another version; score the slide again"):
        read_slide_json(result.parent)
    assert bench.steps() == {
        "s1": ("measure", "its results are of another version of the program"),
        "s2": ("keep", "done already"),
    }
    bench.run()
    assert bench.measured == ["s1", "s2", "s1"]
    assert files_in(bench.out / "slides") == before


def test_results_of_another_command_are_called_anew(bench: Bench) -> None:
    from ihc_quant.batch.rescoring import rescore_slide

    bench.run()
    before = files_in(bench.out / "slides")
    rescore_slide(bench.out / "slides" / "s1", lambda _: CallRule(mode="od"))
    assert bench.steps()["s1"] == ("check", "its results were changed by another command")
    bench.run()
    assert bench.measured == ["s1", "s2"]
    assert files_in(bench.out / "slides") == before


def test_run_json_names_paths_and_reasons(bench: Bench) -> None:
    bench.run()
    values = json.loads((bench.out / "run.json").read_text(encoding="utf-8"))
    assert values["state"] == "done"
    assert values["counts"] == {"scored": 2}
    assert values["slides"][0]["path"] == str(bench.slides["s1"])
    assert (values["slides"][0]["why"], values["slides"][0]["did"]) == ("new", "measured")
    assert not list(bench.out.rglob("*.partial"))
