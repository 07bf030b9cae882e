"""Levels of one block are named as replicates; two stains are not."""

from pathlib import Path

from ihc_quant.batch.manifest import ManifestRow
from ihc_quant.batch.replicates import Replicate, name_replicates
from ihc_quant.domain.stain import SectionStain


def row(
    slide_id: str, marker: str = "CCR4", biopsy: str = "b", index: int | None = None, **details: str
) -> ManifestRow:
    stain = SectionStain(marker, "DAB", chromogen_assumed=False)
    given = tuple(details.items())
    return ManifestRow(slide_id, biopsy, "p", "skin", stain, Path("s"), None, None, given, section_index=index)


def test_levels_are_numbered_as_they_were_cut() -> None:
    named = name_replicates([row("a", index=9), row("b", index=3), row("c", "CD4"), row("d", biopsy="other")])
    assert named == {"b": Replicate("b", 1, 2), "a": Replicate("a", 2, 2)}
    assert named["a"].name == "level 2 of 2"


def test_without_all_indices_the_order_of_the_manifest_holds() -> None:
    named = name_replicates([row("a", index=9), row("b"), row("c", index=1)])
    assert [(key, value.number, value.count) for key, value in named.items()] == [("a", 1, 3), ("b", 2, 3), ("c", 3, 3)]


def test_two_antibodies_or_unnamed_markers_are_no_replicates() -> None:
    assert name_replicates([row("a", epitope="N-terminal"), row("b", epitope="C-terminal")]) == {}
    assert name_replicates([row("a", clone="1G1"), row("b")]) == {}
    assert name_replicates([row("a", "other"), row("b", "other")]) == {}
