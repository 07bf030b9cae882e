"""Flags of a biopsy: from the manifest's records, from what was drawn, and from the scan."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from ihc_quant.batch.flags import biopsy_flags
from ihc_quant.batch.measurement import Measurement, read_slide_json
from ihc_quant.domain.biopsy import BiopsyReport, SectionRecord
from ihc_quant.domain.outcome import DrawnBy, Failed, LeftOut, NoTissue, RegionScore, Scored, Shown, SlideOutcome
from ihc_quant.domain.provenance import Provenance
from ihc_quant.domain.score import CellCounts
from ihc_quant.domain.serial_sections import AnalysedRegion
from ihc_quant.domain.stain import SectionStain
from ihc_quant.scoring.score import score_marker

PROVENANCE = Provenance("s", {}, "p", "r", "w", "0" * 64, "none", {}, "0" * 64, "0" * 64, "file")

MANY = CellCounts(900, 60, 30, 10, 1e6)

Section = tuple[SlideOutcome, dict[str, str]]


def section(marker: str = "CCR4", counts: CellCounts = MANY, **details: str) -> Section:
    stain = SectionStain(marker, "DAB", chromogen_assumed=False)
    return Scored(f"s-{marker}", stain, score_marker(marker, counts, None), ((1, counts),), PROVENANCE), details


def flags_of(
    *sections: Section,
    site: str = "lymph_node",
    day: int | None = None,
    measured: Mapping[str, Measurement] | None = None,
) -> tuple[str, ...]:
    records = tuple(SectionRecord(outcome.slide_id, details=details) for outcome, details in sections)
    outcomes = tuple(outcome for outcome, _ in sections)
    report = BiopsyReport("b", "p", site, outcomes, sections=records, biopsy_day=day)
    return biopsy_flags(report, measured or {})


CONTROL = section("negative_control", peroxidase_block="H2O2")
PANEL = tuple(section(marker, peroxidase_block="H2O2", epitope="C-terminal") for marker in ("CD4", "CD8", "CCR4"))


def test_a_documented_biopsy_of_a_node_tells_only_what_its_control_shows() -> None:
    (flag,) = flags_of(*PANEL, CONTROL, day=3)
    assert flag.startswith("On the control section s-negative_control, without primary antibody, 100 of 1,000 cells")
    assert "10.0 % (8.3–12.0, 95 % Wilson" in flag
    assert flag.endswith("Nothing was subtracted from the figures of the other sections.")


def test_melanin_is_flagged_in_skin_alone() -> None:
    assert any("melanin" in flag and "s-CCR4" in flag for flag in flags_of(section(), site="skin"))
    assert not any("melanin" in flag for flag in flags_of(section()))


@pytest.mark.parametrize(
    ("region", "excluded", "flagged"),
    [
        (AnalysedRegion("epidermis", "drawn"), "", False),
        (AnalysedRegion("dermis", "drawn"), "", True),
        (AnalysedRegion("infiltrate", "proposed"), "Ignore*", True),
        (AnalysedRegion("infiltrate", "proposed"), "pen", True),
        (AnalysedRegion("infiltrate", "proposed"), "Melanin*", False),
        (AnalysedRegion("infiltrate", "proposed"), "hair", False),
    ],
)
def test_melanin_is_not_flagged_where_somebody_drew_the_epidermis_or_excluded_melanin(
    region: AnalysedRegion, excluded: str, flagged: bool
) -> None:
    outcome, details = section()
    assert isinstance(outcome, Scored)
    drawn_by = DrawnBy("0" * 64, 2, excluded=("fold", excluded) if excluded else ())
    left_out = (LeftOut("drawn exclusion", 1e4),)
    parts = (RegionScore(region, outcome.score),)
    drawn = replace(outcome, compartments=parts, left_out=left_out, annotations=drawn_by)
    undrawn = section("CD4")
    of_ccr4, of_cd4 = (
        [flag for flag in flags_of((drawn, details), undrawn, site="skin") if "melanin" in flag and name in flag]
        for name in ("s-CCR4", "s-CD4")
    )
    assert bool(of_ccr4) is flagged
    assert of_cd4, "the other section stays flagged"


def test_a_missing_block_and_a_missing_control_are_flagged() -> None:
    flags = flags_of(section())
    assert any("peroxidase" in flag and "s-CCR4" in flag for flag in flags)
    assert any("There is no control section" in flag for flag in flags)


@pytest.mark.parametrize("block", ["no", "None", "not done", "No block", "not performed", "omitted", "none used", "0"])
def test_a_block_that_was_left_out_is_not_taken_for_one(block: str) -> None:
    flags = flags_of(section(peroxidase_block=block), CONTROL)
    assert [flag for flag in flags if "was not blocked on s-CCR4" in flag]
    assert not [flag for flag in flags if "is recorded" in flag]


@pytest.mark.parametrize("block", ["unknown", "n/a", "?", "-", "Not recorded"])
def test_a_block_that_nobody_knows_of_is_not_recorded(block: str) -> None:
    flags = flags_of(section(peroxidase_block=block), CONTROL)
    assert [flag for flag in flags if "No peroxidase block is recorded for s-CCR4" in flag]


@pytest.mark.parametrize("block", ["H2O2", "yes", "3 % H2O2, 10 min", "Novolink block"])
def test_a_block_is_taken_for_one(block: str) -> None:
    assert not [flag for flag in flags_of(section(peroxidase_block=block), CONTROL) if "eosinophils" in flag]


def test_a_section_without_chromogen_needs_no_block() -> None:
    shown = Shown("s-HE", SectionStain("H&E", "none", chromogen_assumed=False), PROVENANCE), dict[str, str]()
    assert not any("s-HE" in flag for flag in flags_of(*PANEL, CONTROL, shown))


def test_a_control_without_a_figure_is_no_control() -> None:
    stain = SectionStain("negative_control", "DAB", chromogen_assumed=False)
    for control in (Failed("c", stain, "it is torn"), NoTissue("c", stain, PROVENANCE)):
        assert any("control section c gives no figure" in flag for flag in flags_of(*PANEL, (control, {})))


@pytest.mark.parametrize(
    ("day", "epitope", "flagged"),
    [
        (0, "", True),
        (14, "N-terminal", True),
        (14, "N terminus", True),
        (14, "NH2-terminal, residues 1-29", True),
        (14, "amino terminus", True),
        (14, "unknown", True),
        (14, "extracellular", True),
        (14, "N- and C-terminal", True),
        (14, "not C-terminal", True),
        (14, "C-terminal", False),
        (14, "Cterm, residues 310-360", False),
        (14, "carboxy-terminal", False),
        (14, "C terminus", False),
        (-3, "", False),
        (None, "", False),
    ],
)
def test_an_epitope_that_the_drug_may_mask_is_flagged(day: int | None, epitope: str, flagged: bool) -> None:
    given = {"epitope": epitope} if epitope else {}
    ccr4, cd4 = ((section(marker)[0], given) for marker in ("CCR4", "CD4"))
    assert any("mask" in flag for flag in flags_of(ccr4, day=day)) is flagged
    assert not any("mask" in flag for flag in flags_of(cd4, day=day))


def test_a_biopsy_without_a_section_says_that_it_is_incomplete() -> None:
    assert flags_of(section(), CONTROL)[0] == (
        "Incomplete biopsy, which is not a smaller one: it has no CD4 section; it has no CD8 section."
    )


@pytest.mark.parametrize(("negative", "words"), [(490, ""), (300, "low count: 310 cells"), (20, "insufficient: 30")])
def test_few_cells_are_flagged(negative: int, words: str) -> None:
    flags = [flag for flag in flags_of(section(counts=CellCounts(negative, 5, 3, 2, 1e6))) if "s-CCR4 (CCR4)" in flag]
    assert len(flags) == bool(words)
    assert all(words in flag for flag in flags)


def test_few_cells_of_a_compartment_are_flagged_by_its_name() -> None:
    outcome, details = section()
    assert isinstance(outcome, Scored)
    few = RegionScore(AnalysedRegion("infiltrate", "drawn"), score_marker("CCR4", CellCounts(0, 5, 0, 0, 1e4), None))
    flags = flags_of((replace(outcome, compartments=(few,)), details), CONTROL)
    assert "s-CCR4 (CCR4, infiltrate): insufficient: 5 cells, fewer than 100." in flags


def test_a_proposed_infiltrate_is_flagged_until_somebody_draws_it() -> None:
    outcome, details = section()
    assert isinstance(outcome, Scored)
    for origin, flagged in (("proposed", True), ("drawn", False)):
        region = AnalysedRegion("infiltrate", origin)  # type: ignore[arg-type]
        with_region = replace(outcome, compartments=(RegionScore(region, outcome.score),))
        assert any("not reviewed" in flag for flag in flags_of((with_region, details))) is flagged


@pytest.fixture
def measurement(scored: Path) -> Measurement:
    return read_slide_json(scored)[1]


@pytest.mark.parametrize(("mpp", "flagged"), [(0.5, False), (0.55, False), (0.8, True)])
def test_a_coarse_scan_is_flagged(measurement: Measurement, mpp: float, flagged: bool) -> None:
    facts = measurement.facts.model_copy(update={"mpp_x": mpp, "mpp_y": mpp})
    flags = flags_of(section(), measured={"s-CCR4": measurement.model_copy(update={"facts": facts})})
    assert any("s-CCR4 (0.8)" in flag for flag in flags) is flagged


def test_a_section_that_is_only_shown_names_no_weights(measurement: Measurement) -> None:
    shown = Shown("s-HE", SectionStain("H&E", "none", chromogen_assumed=False), PROVENANCE), dict[str, str]()
    flags = flags_of(section(), shown, measured={"s-HE": measurement})
    assert not [flag for flag in flags if flag.startswith("Weights ")]


def test_weights_say_once_what_they_were_tested_on(measurement: Measurement) -> None:
    flags = flags_of(section(), section("CD4"), measured={"s-CCR4": measurement, "s-CD4": measurement})
    assert [flag for flag in flags if flag.startswith("Weights ")] == ["Weights painted were tested on nothing."]
