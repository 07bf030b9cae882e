"""What the documentation shows is possible: example tables, classes of regions, columns, and links."""

import re
from pathlib import Path

import pytest

from ihc_quant.annotation.region_classes import SYNONYMS, region_kind
from ihc_quant.batch.clinical import CLINICAL_COLUMNS, read_clinical
from ihc_quant.batch.manifest import MANIFEST_COLUMNS, read_manifest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def text_of(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_example_tables_are_valid_and_all_columns_are_listed(tmp_path: Path) -> None:
    text = text_of("manifest.md")
    paths = []
    for name, table in zip(("manifest", "clinical"), re.findall(r"```csv\n(.*?)```", text, re.DOTALL), strict=True):
        paths.append(tmp_path / f"{name}.csv")
        paths[-1].write_text(table, encoding="utf-8")
    rows, clinical = read_manifest(paths[0], need_files=False), read_clinical(paths[1])
    assert len(rows) == 4
    assert len(clinical.records) == 3
    assert clinical.cautions == ()
    first, second = text.split("## Clinical table")
    assert re.findall(r"^\| `(\w+)`", first, re.MULTILINE) == list(MANIFEST_COLUMNS)
    assert re.findall(r"^\| `(\w+)`", second, re.MULTILINE) == list(CLINICAL_COLUMNS)


def test_classes_of_the_documentation_are_those_that_are_read() -> None:
    rows = re.findall(r"^\| `([\w ]+)` \| (`.*?`) \|", text_of("regions.md"), re.MULTILINE)
    assert len(rows) == len(SYNONYMS)
    for name, others in rows:
        kind = region_kind(name)
        assert kind is not None
        assert {region_kind(other) for other in re.findall(r"`([^`]+)`", others)} == {kind}


@pytest.mark.parametrize("page", sorted([ROOT / "README.md", *DOCS.glob("*.md")]), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        assert "://" in link or (page.parent / link).exists(), f"{page.name} links to {link}"
