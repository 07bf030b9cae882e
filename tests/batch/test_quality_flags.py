"""Flags of quality: from what is kept of each section, with the sections they concern."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ihc_quant.batch.biopsies import complete_report
from ihc_quant.batch.measurement import Measurement, read_slide_json, write_slide_json
from ihc_quant.batch.outputs import RESULT_FILE
from ihc_quant.batch.quality_control import QualityFound, QualityUsed
from ihc_quant.batch.quality_flags import quality_flags
from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.domain.outcome import Scored
from ihc_quant.domain.provenance import Provenance
from ihc_quant.domain.quality import ControlProposal, QualityFindings
from ihc_quant.domain.score import CellCounts
from ihc_quant.domain.stain import SectionStain
from ihc_quant.scoring.score import score_marker
from ihc_quant.tissue.quality import PALE
from ihc_quant.tissue.quality_settings import QualitySettings

PROVENANCE = Provenance("s", {}, "p", "r", "w", "0" * 64, "none", {}, "0" * 64, "0" * 64, "file")
FEW_CHROMOGEN = "only 1 pixels show mostly chromogen, 200 are needed"
WEAK = CellCounts(508, 635, 0, 0, 5e5)

Flagger = Callable[..., list[str]]


def section(slide_id: str, counts: CellCounts = WEAK) -> Scored:
    stain = SectionStain("CCR4", "DAB", chromogen_assumed=False)
    return Scored(slide_id, stain, score_marker("CCR4", counts, None), ((1, counts),), PROVENANCE)


def of_quality(**findings: Any) -> QualityUsed:
    found = QualityFound(excludes=False, thresholds=QualitySettings(), controls=(), step_um=8.0)
    return QualityUsed(found=found, findings=QualityFindings(**findings))


def with_colours(measurement: Measurement, quality: QualityUsed | None, **stains: Any) -> Measurement:
    known = {"deviation_degrees": 5.0, "deviation_note": "", "unfit_share": 0.0, **stains}
    update = {"stains": measurement.stains.model_copy(update=known), "quality": quality}
    return measurement.model_copy(update=update)


@pytest.fixture
def measurement(scored: Path) -> Measurement:
    return read_slide_json(scored)[1]


@pytest.fixture
def flags_of(measurement: Measurement) -> Flagger:
    """Return the flags of sections a and b that both were found so."""

    def made(quality: QualityUsed | None, counts: CellCounts = WEAK, **stains: Any) -> list[str]:
        each = with_colours(measurement, quality, **stains)
        return list(quality_flags([section("a", counts), section("b", counts)], {"a": each, "b": each}))

    return made


def test_a_good_slide_has_no_flag_of_quality(flags_of: Flagger) -> None:
    assert flags_of(of_quality()) == []


@pytest.mark.parametrize(
    ("findings", "told"),
    [
        ({"white_deviation": 0.13}, "Unusual white point on a (13 % from the expected), b (13 % from the expected)"),
        ({"excluded_share": 0.4}, "spoiled by pen, fold, blur and the like on a (40 % of the tissue), b (40 %"),
        ({"flags": (PALE,)}, "Pale stain on a, b"),
    ],
)
def test_a_finding_is_told_once_for_all_sections(flags_of: Flagger, findings: dict[str, Any], told: str) -> None:
    (flag,) = flags_of(of_quality(**findings))
    assert told in flag


def test_control_tissue_that_was_counted_is_told_of_each_section(flags_of: Flagger) -> None:
    flags = flags_of(of_quality(controls=(ControlProposal((2, 3), 1500.0, "it lies apart"),)))
    assert [flag.startswith("Fragment 2, 3 of ") and "control tissue" in flag for flag in flags] == [True, True]


def test_stain_vectors_are_judged_only_by_quality_control_and_told_once(flags_of: Flagger) -> None:
    (flag,) = flags_of(of_quality(), deviation_degrees=19.4, unfit_share=0.9)
    assert flag.startswith("Unusual stain vectors on a (19° from the reference), b (19° from the reference)")
    assert flags_of(None, deviation_degrees=19.4, unfit_share=0.9) == []


def test_colours_of_another_chromogen_are_flagged_where_no_cell_was_positive(flags_of: Flagger) -> None:
    negative = CellCounts(1773, 0, 0, 0, 5e5)
    (flag,) = flags_of(of_quality(), negative, deviation_degrees=None, deviation_note=FEW_CHROMOGEN, unfit_share=0.15)
    assert "Unusual stain vectors on a (15.0 % of the strongly coloured pixels)" in flag


@pytest.mark.parametrize(
    ("counts", "flagged"),
    [
        (WEAK, True),
        (CellCounts(1773, 0, 0, 0, 5e5), False),
        (CellCounts(100_000, 900, 0, 0, 5e7), False),
        (CellCounts(50, 90, 0, 0, 5e4), False),
        (CellCounts(508, 500, 100, 35, 5e5), False),
    ],
    ids=["many weak", "negative", "few among many", "few cells", "strong ones that no sampled pixel met"],
)
def test_positive_calls_without_chromogen_are_flagged_and_negative_sections_are_not(
    flags_of: Flagger, counts: CellCounts, flagged: bool
) -> None:
    for quality in (of_quality(), None):
        flags = flags_of(quality, counts, deviation_degrees=None, deviation_note=FEW_CHROMOGEN)
        assert len(flags) == 2 * flagged
        assert all("almost no sampled pixel" in flag for flag in flags)
    assert flags_of(of_quality(), counts) == [], "chromogen was found"
    hematoxylin = FEW_CHROMOGEN.replace("chromogen", "hematoxylin")
    assert flags_of(of_quality(), counts, deviation_degrees=None, deviation_note=hematoxylin) == []


def test_a_biopsy_is_flagged_by_what_its_folder_keeps_and_older_results_are_read(scored: Path, tmp_path: Path) -> None:
    outcome, kept, timings = read_slide_json(scored)
    folder = tmp_path / "slides" / "a"
    folder.mkdir(parents=True)
    outcome = replace(outcome, slide_id="a")
    found = with_colours(kept, of_quality(), deviation_degrees=19.4).model_copy(update={"slide_id": "a"})
    write_slide_json(folder, outcome, found, timings)
    values = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
    del values["measurement"]["stains"]["unfit_share"]  # as it was written before
    (folder / RESULT_FILE).write_text(json.dumps(values), encoding="utf-8")
    report = complete_report(BiopsyReport("b", "p", "lymph_node", (outcome,)), tmp_path)
    assert any(flag.startswith("Unusual stain vectors on a (19°") for flag in report.flags)
