"""Flags of a biopsy, from the manifest alone."""

from pathlib import Path

import pytest

from ihc_quant.batch.flags import biopsy_flags
from ihc_quant.batch.manifest import ManifestRow
from ihc_quant.domain.stain import SectionStain


def section(site: str = "lymph_node", marker: str = "CCR4", **details: str) -> ManifestRow:
    stain = SectionStain(marker, "DAB", chromogen_assumed=False)
    return ManifestRow(f"s-{marker}", "b", "p", site, stain, Path("s.tiff"), None, None, tuple(details.items()))


CONTROL = section(marker="negative_control", peroxidase_block="H2O2")


def test_a_documented_biopsy_of_a_node_has_no_flags() -> None:
    assert biopsy_flags([section(peroxidase_block="H2O2", epitope="C-terminal", biopsy_day="3"), CONTROL]) == ()


def test_melanin_is_flagged_in_skin_alone() -> None:
    assert any("melanin" in flag for flag in biopsy_flags([section("skin")]))
    assert not any("melanin" in flag for flag in biopsy_flags([section("lymph_node")]))


def test_a_missing_block_and_a_missing_control_are_flagged() -> None:
    flags = biopsy_flags([section()])
    assert any("peroxidase" in flag and "s-CCR4" in flag for flag in flags)
    assert any("control" in flag for flag in flags)


@pytest.mark.parametrize("block", ["no", "None", "not done"])
def test_a_block_that_was_left_out_is_not_taken_for_one(block: str) -> None:
    flags = biopsy_flags([section(peroxidase_block=block), CONTROL])
    assert [flag for flag in flags if "was not blocked on s-CCR4" in flag]
    assert not [flag for flag in flags if "is recorded" in flag]


@pytest.mark.parametrize(
    ("day", "epitope", "flagged"),
    [
        ("0", "", True),
        ("14", "N-terminal", True),
        ("14", "N terminus", True),
        ("14", "NH2-terminal, residues 1-29", True),
        ("14", "amino terminus", True),
        ("14", "C-terminal", False),
        ("14", "C terminus", False),
        ("-3", "", False),
        ("", "", False),
    ],
)
def test_an_epitope_that_the_drug_may_mask_is_flagged(day: str, epitope: str, flagged: bool) -> None:
    given = {name: value for name, value in (("biopsy_day", day), ("epitope", epitope)) if value}
    assert any("mask" in flag for flag in biopsy_flags([section("lymph_node", "CCR4", **given)])) is flagged
    assert not any("mask" in flag for flag in biopsy_flags([section("lymph_node", "CD4", **given)]))
