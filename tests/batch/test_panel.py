"""The panel: every section and part takes part, and what is missing says why."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ihc_quant.batch.panel import biopsy_panel
from ihc_quant.domain.biopsy import SectionRecord
from ihc_quant.domain.measurement_error import LogCountError, MeasurementError
from ihc_quant.domain.outcome import Failed, NoTissue, RegionScore, Scored, SlideOutcome
from ihc_quant.domain.provenance import Provenance
from ihc_quant.domain.score import CellCounts
from ihc_quant.domain.serial_sections import AnalysedRegion
from ihc_quant.domain.stain import SectionStain
from ihc_quant.scoring.blocks import BlockCounts
from ihc_quant.scoring.ccr4_schemes import CCR4_SCHEMES
from ihc_quant.scoring.score import score_marker

PROVENANCE = Provenance("s", {}, "p", "r", "w", "0" * 64, "none", {}, "0" * 64, "0" * 64, "file")
SAMPLES = Path(__file__).resolve().parents[2] / "slides_sample"
RNG = np.random.default_rng(7)


def blocks(positive_share: float, count: int = 30) -> BlockCounts:
    cells = RNG.integers(60, 140, count)
    positive = RNG.binomial(cells, positive_share)
    grades = np.column_stack([cells - positive, positive, np.zeros((count, 2), np.int64)])
    row, col = np.divmod(np.arange(count), 6)
    return BlockCounts(np.ones(count, np.int64), grades, np.full(count, 62_500.0), row, col)


def scored(slide_id: str, marker: str, whole: BlockCounts, *parts: tuple[AnalysedRegion, BlockCounts]) -> Scored:
    stain = SectionStain(marker, "DAB", chromogen_assumed=False)
    score = score_marker(marker, whole.total(), whole)
    compartments = tuple(RegionScore(region, score_marker(marker, of.total(), of), 6.9) for region, of in parts)
    return Scored(slide_id, stain, score, ((1, whole.total()),), PROVENANCE, nucleus_um=7.0, compartments=compartments)


def records(*outcomes: SlideOutcome, **details: str) -> list[SectionRecord]:
    return [SectionRecord(outcome.slide_id, details=details) for outcome in outcomes]


INFILTRATE = AnalysedRegion("infiltrate", "drawn")
CD4, CD8, CCR4, PART4, PART_C = blocks(0.3), blocks(0.1), blocks(0.2), blocks(0.6, 12), blocks(0.4, 12)


def test_every_part_has_its_ratio_bounds_and_reading() -> None:
    outcomes = (
        scored("a4", "CD4", CD4, (INFILTRATE, PART4)),
        scored("a8", "CD8", CD8),
        scored("ac", "CCR4", CCR4, (INFILTRATE, PART_C)),
        scored("n", "negative_control", blocks(0.01), (AnalysedRegion("dermis", "drawn"), blocks(0.01))),
    )
    kept = {"a4": (CD4, PART4), "a8": (CD8,), "ac": (CCR4, PART_C)}
    details = {"section_index": "3", "section_thickness_um": "4", "clone": "1G1"}
    panel = biopsy_panel("b", "skin", outcomes, records(*outcomes, **details), kept, {})
    over = {
        (ratio.name, ratio.numerator.region.kind if ratio.numerator.region else ""): ratio for ratio in panel.ratios
    }
    assert list(over) == [
        ("CD4:CD8", "all tissue"), ("CCR4:CD4", "all tissue"), ("CD4:CD8", "infiltrate"), ("CCR4:CD4", "infiltrate"),
    ]  # fmt: skip
    whole = over["CCR4:CD4", "all tissue"]
    assert whole.ratio.value == pytest.approx(CCR4.total().positive / CD4.total().positive)
    assert [interval.method.split(",")[0] for interval in whole.ratio.intervals][-1].startswith("spatial block")
    assert any("section index 3" in warning for warning in whole.warnings)
    assert not any("thickness" in warning for warning in whole.warnings)
    assert over["CD4:CD8", "infiltrate"].ratio.reason == "a8 (CD8) was not scored over infiltrate"
    assert {bounds.one.region.kind for bounds in panel.bounds if bounds.one.region} == {"all tissue", "infiltrate"}
    verdicts = {verdict.scheme.id: verdict for verdict in panel.schemes}
    assert list(verdicts) == [scheme.id for scheme in CCR4_SCHEMES]
    geller = verdicts["geller-2020-infiltrate-25"]
    assert (geller.slide_id, geller.region) == ("ac", INFILTRATE)
    assert geller.fraction == PART_C.total().positive / PART_C.total().total
    assert any("1G1" in note for note in geller.notes)
    assert verdicts["kobe-poteligeo-test"].outcome == "not applicable"


def test_the_networks_error_reaches_the_ratio_where_both_sections_have_it() -> None:
    count = LogCountError(24, 24, 10, 1200, 0.1, 0.1)
    known = (MeasurementError("s", "Ki-67", "breast", "by image", 26, 26, 3.0, 4.6, 900, 1100, 0.95, 0.97, count),)
    outcomes = (scored("a4", "CD4", CD4), scored("ac", "CCR4", CCR4))
    kept = {"a4": (CD4,), "ac": (CCR4,)}
    for errors, carried in (({"a4": known, "ac": known}, True), ({"a4": known, "ac": None}, False), ({}, False)):
        ratio = biopsy_panel("b", "skin", outcomes, records(*outcomes), kept, errors).ratios[1]
        interval = ratio.ratio.intervals[-1]
        assert interval.method.startswith("sampling + measurement") is carried
        if carried:
            assert interval.note == "measured on Ki-67, breast; not validated for CCR4; not validated for CD4"


def test_what_is_missing_says_why() -> None:
    stain = SectionStain("CD8", "DAB", chromogen_assumed=False)
    nothing = score_marker("CCR4", CellCounts(area_um2=1e5), None)
    empty = Scored("ac", SectionStain("CCR4", "DAB", False), nothing, ((1, nothing.counts),), PROVENANCE)
    for missing, reason in (
        (Failed("a8", stain, "the file is empty; copy it anew"), "a8 (CD8) failed: the file is empty; copy it anew"),
        (NoTissue("a8", stain, PROVENANCE), "a8 (CD8) shows no tissue"),
    ):
        outcomes = (scored("a4", "CD4", CD4), missing, empty)
        panel = biopsy_panel("b", "skin", outcomes, records(*outcomes), {}, {})
        assert [ratio.ratio.reason for ratio in panel.ratios] == [reason, "ac (CCR4) shows no cells"]
        assert [bounds.reason for bounds in panel.bounds] == ["ac (CCR4) shows no cells"]


def test_without_blocks_the_ratio_says_that_its_interval_is_unreliable() -> None:
    outcomes = (scored("a4", "CD4", CD4), scored("a8", "CD8", CD8))
    (ratio, absent) = biopsy_panel("b", "skin", outcomes, records(*outcomes), {"a4": (CD4,), "a8": None}, {}).ratios
    assert len(ratio.ratio.intervals) == 1
    assert any(warning.startswith("Interval unreliable: no spatial interval") for warning in ratio.warnings)
    assert absent.ratio.reason == "the biopsy has no CCR4 section"


def test_blocks_of_other_cells_or_parts_are_refused() -> None:
    outcome = scored("a4", "CD4", CD4)
    for wrong in ((CD8,), (CD4, PART4)):
        with pytest.raises(ValueError, match="a4"):
            biopsy_panel("b", "skin", [outcome], records(outcome), {"a4": wrong}, {})


@pytest.mark.parametrize("number", [0, 1])
def test_the_true_coexpressing_fraction_of_a_sample_lies_inside_the_bounds_of_its_true_counts(number: int) -> None:
    biopsy = json.loads((SAMPLES / "truth" / "biopsies.json").read_text(encoding="utf-8"))["biopsies"][number]
    outcomes = []
    for section in biopsy["sections"]:
        positive = pq.read_table(SAMPLES / "truth" / f"{section['slide_id']}.parquet")["positive"].to_numpy()
        counts = CellCounts(int((~positive).sum()), int(positive.sum()), 0, 0, biopsy["tissue_area_um2"])
        score = score_marker(section["marker"], counts, None)
        stain = SectionStain(section["marker"], "DAB", chromogen_assumed=False)
        outcomes.append(Scored(section["slide_id"], stain, score, ((1, counts),), PROVENANCE))
    (bounds,) = biopsy_panel(biopsy["biopsy_id"], biopsy["site"], outcomes, records(*outcomes), {}, {}).bounds
    assert bounds.widened is not None
    assert bounds.widened.low <= biopsy["fraction_cd4_and_ccr4_in_slab"] <= bounds.widened.high
