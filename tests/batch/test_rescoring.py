"""Scores again: the same bytes at the same settings, whole or not at all, one sentence where results are damaged."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ihc_quant.batch.cell_store import read_metadata
from ihc_quant.batch.manifest import ManifestRow
from ihc_quant.batch.measurement import read_slide_json
from ihc_quant.batch.reports import write_reports
from ihc_quant.batch.rescoring import rescore, rescore_slide, slide_folders
from ihc_quant.domain.outcome import Failed, NoTissue, Scored
from ihc_quant.domain.stain import SectionStain
from ihc_quant.errors import OutputError
from ihc_quant.scoring.calls import CallRule
from ihc_quant.slide.writing import write_pyramid

CCR4 = SectionStain("CCR4", "DAB", chromogen_assumed=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture
def results(scored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scored, tmp_path / "out" / "slides" / scored.name))


def test_same_settings_give_the_same_bytes(results: Path) -> None:
    before = contents(results)
    assert set(before) >= {"slide.json", "overview.png", "gallery.png", "cells.parquet", "tiles.parquet"}
    outcome = rescore_slide(results, lambda threshold: CallRule(p_threshold=threshold))
    assert contents(results) == before
    assert outcome == read_slide_json(results)[0]


def test_other_settings_and_back(results: Path) -> None:
    before = contents(results)
    rescore_slide(results, lambda _: CallRule(mode="od", cuts_od=(0.1, 0.3, 0.5)))
    changed = contents(results)
    assert {name for name in before if before[name] != changed[name]} >= {"slide.json", "cells.parquet"}
    assert read_metadata(results / "cells.parquet")["calls"]["mode"] == "od"
    rescore_slide(results, lambda _: CallRule())
    assert contents(results) == before


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ihc_quant.batch.derivation.draw_pictures", lambda *_: None)


@pytest.mark.usefixtures("without_pictures")
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted), st.sampled_from(["network", "od"]))
def test_higher_threshold_never_raises_positives(results: Path, thresholds: list[float], mode: Any) -> None:
    low, high = (
        rescore_slide(results, lambda _, value=value: CallRule(mode, value, (0.01 + value, 2.0, 3.0)))  # type: ignore[misc]
        for value in thresholds
    )
    assert isinstance(low, Scored)
    assert isinstance(high, Scored)
    assert high.score.counts.positive <= low.score.counts.positive
    assert high.score.counts.total == low.score.counts.total
    assert high.provenance.slide_hash == low.provenance.slide_hash


def test_other_version_is_named(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ihc_quant.batch.measurement.__version__", "9.9")
    outcome = rescore_slide(results, lambda _: CallRule())
    assert isinstance(outcome, Scored)
    assert outcome.provenance.software.startswith("ihc_quant 9.9, measured by ihc_quant ")


def test_export_of_earlier_calls_goes_and_own_files_stay(results: Path) -> None:
    (results / "cells.geojson").write_text("earlier")
    (results / "notes.txt").write_text("mine")
    rescore_slide(results, lambda _: CallRule())
    assert not (results / "cells.geojson").exists()
    assert (results / "notes.txt").read_text() == "mine"


def test_slide_without_tissue_is_rescored(score: Any, tmp_path: Path) -> None:
    write_pyramid(tmp_path / "white.tif", np.full((400, 400, 3), 244, np.uint8), 0.5)
    folder = score(tmp_path / "white.tif", tmp_path / "out").folder
    before = contents(folder)
    assert isinstance(rescore_slide(folder, lambda _: CallRule()), NoTissue)
    assert contents(folder) == before


def test_folder_may_be_named_from_within(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(results)
    monkeypatch.chdir(results)
    assert slide_folders(Path()) == [Path()]
    rescore_slide(Path(), lambda _: CallRule())
    assert contents(results) == before
    assert [path.name for path in results.parent.iterdir()] == [results.name]


def test_finds_slides_and_only_slides(results: Path) -> None:
    out = results.parents[1]
    shutil.copytree(results, results.parent / ".hidden.partial")
    (results.parent / "unfinished").mkdir()
    assert slide_folders(out) == [results]
    assert slide_folders(results) == [results]
    for place in (out / "nowhere", results.parent / "unfinished", results / "slide.json"):
        with pytest.raises(OutputError, match="no results"):
            slide_folders(place)


def change(path: Path, *keys: str, value: object) -> None:
    values = json.loads(path.read_text())
    inner = values
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    path.write_text(json.dumps(values))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cells cut": lambda folder: (folder / "cells.parquet").write_bytes(b"PAR1"),
    "cells gone": lambda folder: (folder / "cells.parquet").unlink(),
    "tiles gone": lambda folder: (folder / "tiles.parquet").unlink(),
    "tiles of another": lambda folder: shutil.copy(folder / "cells.parquet", folder / "tiles.parquet"),
    "no pixels": lambda folder: shutil.rmtree(folder / "pixels"),
    "thumbnail cut": lambda folder: (folder / "pixels" / "thumbnail.jpg").write_bytes(b"\xff\xd8\xff"),
    "fragments empty": lambda folder: (folder / "pixels" / "fragments.png").write_bytes(b""),
    "fragments of another": lambda folder: shutil.copy(
        folder / "pixels" / "examples.png", folder / "pixels" / "fragments.png"
    ),
    "fragments with gaps": lambda folder: cv2.imwrite(
        str(folder / "pixels" / "fragments.png"), np.full((9, 9), 7, np.uint16)
    ),
    "examples of another": lambda folder: shutil.copy(
        folder / "pixels" / "fragments.png", folder / "pixels" / "examples.png"
    ),
    "json cut": lambda folder: (folder / "slide.json").write_text("{"),
    "json list": lambda folder: (folder / "slide.json").write_text("[]"),
    "json empty": lambda folder: (folder / "slide.json").write_bytes(b""),
    "json not text": lambda folder: (folder / "slide.json").write_bytes(b"\xff\xfe"),
    "json deep": lambda folder: (folder / "slide.json").write_text("[" * 100_000),
    "schema": lambda folder: change(folder / "slide.json", "schema", value="other"),
    "mpp": lambda folder: change(folder / "slide.json", "measurement", "facts", "mpp_x", value=0),
    "cells": lambda folder: change(folder / "slide.json", "measurement", "cells", value=3),
    "examples": lambda folder: change(folder / "slide.json", "measurement", "examples", value=[10**9]),
    "tile_px": lambda folder: change(folder / "slide.json", "measurement", "tile_px", value=-5),
    "surplus": lambda folder: change(folder / "slide.json", "measurement", "surplus", value=1),
    "timings": lambda folder: change(folder / "slide.json", "timings_s", value=7),
    "outcome": lambda folder: change(folder / "slide.json", "result", "outcome", value="won"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_results_are_one_sentence_and_stay_as_they_are(results: Path, damage: str) -> None:
    DAMAGES[damage](results)
    before = contents(results)
    with pytest.raises(OutputError, match=r"^[^\n]*score the slide again\.$") as caught:
        rescore_slide(results, lambda _: CallRule())
    assert ".partial" not in str(caught.value)
    assert str(results.parent) in str(caught.value)
    assert contents(results) == before
    assert [path.name for path in results.parent.iterdir()] == [results.name]


def test_a_failed_section_does_not_come_back_from_an_earlier_run(results: Path) -> None:
    out = results.parents[1]
    row = ManifestRow(results.name, "b", "p", "skin", CCR4, Path("gone.tif"), None, None, ())
    failed = Failed(results.name, CCR4, "the file is empty; copy it anew from its source")
    write_reports([row], {results.name: failed}, out)
    page = (out / "biopsies" / "b" / "report.html").read_bytes()
    rescore(out, lambda _: CallRule(p_threshold=0.9))
    assert (out / "biopsies" / "b" / "report.html").read_bytes() == page
