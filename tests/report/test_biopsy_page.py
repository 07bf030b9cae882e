"""The page of a biopsy: what it says, what it must not say, and that it carries everything with it."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from syrupy.assertion import SnapshotAssertion

from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.domain.outcome import Failed, Scored
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.report.biopsy_page import SlidePictures, render_biopsy
from ihc_quant.report.encoding import encode_png

HOSTILE = "<img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Elements with their attributes, and the visible text, of a page."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == [], "each element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def words(html: str) -> str:
    return re.sub(r"\s+", " ", Page(html).text)


def test_the_page_of_a_fixed_report(
    report: BiopsyReport, pictures: dict[str, SlidePictures], snapshot: SnapshotAssertion
) -> None:
    html = render_biopsy(report, pictures)
    # A picture's bytes may change with the version of zlib.
    assert re.sub(r"base64,[A-Za-z0-9+/=]+", "base64,…", html) == snapshot


def test_the_same_report_gives_the_same_bytes(report: BiopsyReport, pictures: dict[str, SlidePictures]) -> None:
    assert render_biopsy(report, pictures) == render_biopsy(report, dict(reversed(pictures.items())))


def test_nothing_is_fetched(report: BiopsyReport, pictures: dict[str, SlidePictures]) -> None:
    html = render_biopsy(report, pictures)
    page = Page(html)
    assert not re.search(r"(?i)https?://|src=\"//|url\(|@import", html)
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object", "form", "base"})
    assert all((image["src"] or "").startswith("data:image/") for image in page.all("img"))
    assert all((link["href"] or "").startswith("#") for link in page.all("a"))
    policy = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy
    assert "default-src 'none'" in (policy[0] or "")


def test_the_page_can_be_read_without_seeing_it(report: BiopsyReport, pictures: dict[str, SlidePictures]) -> None:
    page = Page(render_biopsy(report, pictures))
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("title")) == len(page.all("h1")) == len(page.all("main")) == 1
    assert len(page.all("img")) == 2
    assert all(image["alt"] and image["width"] and image["height"] for image in page.all("img"))
    assert all(cell["scope"] in ("row", "col") for cell in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    names = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(names) == len(set(names))
    targets = {(link["href"] or "#")[1:] for link in page.all("a")}
    targets |= {
        attributes["aria-labelledby"] or "" for _, attributes in page.elements if "aria-labelledby" in attributes
    }
    assert targets <= set(names)


def test_names_and_sentences_from_outside_stay_text(report: BiopsyReport, scored: Scored) -> None:
    provenance = replace(scored.provenance, settings={HOSTILE: HOSTILE}, libraries={HOSTILE: HOSTILE}, runtime=HOSTILE)
    hostile = replace(
        scored,
        slide_id=HOSTILE,
        provenance=provenance,
        score=replace(scored.score, cautions=(HOSTILE,)),
    )
    picture = encode_png(np.zeros((2, 2, 3), np.uint8))
    html = render_biopsy(
        BiopsyReport(HOSTILE, f'"{HOSTILE}', HOSTILE, (hostile,), (HOSTILE,)),
        {HOSTILE: SlidePictures(picture, picture)},
    )
    page = Page(html)
    assert "<img src=x" not in html
    assert len(page.all("img")) == 2
    assert all("onerror" not in attributes for _, attributes in page.elements)
    assert HOSTILE in page.text
    assert HOSTILE in (page.all("img")[0]["alt"] or "")


def test_names_that_are_no_unicode_do_not_break_the_page(failed: Failed) -> None:
    odd = replace(failed, slide_id="a\udcff", reason="cannot open b\udcfe\x00.tif")
    html = render_biopsy(BiopsyReport("\udcfd", "P\x07", "skin", (odd,), ("flag\udcff",)), {})
    assert "cannot open b  .tif" in html.encode("utf-8").decode("utf-8")


def test_a_failed_section_makes_the_biopsy_incomplete(report: BiopsyReport, complete_report: BiopsyReport) -> None:
    text = words(render_biopsy(report, {}))
    assert "Biopsy LN1 INCOMPLETE" in text
    assert "LN1-CD8 (CD8) failed: the file states no µm per pixel" in text
    assert "LN1-CCR4 (CCR4) shows no cells" in text
    assert "not scored: the file states no µm per pixel" in text
    assert "no tissue found; nothing was scored" in text
    assert "Sections scored 2 of 4" in text
    assert "LN1-control (negative_control) shows no tissue" in text
    complete = words(render_biopsy(complete_report, {}))
    assert "incomplete" not in complete.lower()
    assert "Biopsy SK1 Complete" in complete


def test_a_section_without_cells_is_not_evaluable(without_cells: Scored) -> None:
    text = words(render_biopsy(BiopsyReport("B", "P", "other", (without_cells,)), {}))
    assert text.count("not evaluable no cells were found") == 3, "in the headline and twice in its row"
    assert "nan" not in text.lower().split()
    assert "0 %" not in text


def test_each_figure_has_its_denominator_and_its_intervals(report: BiopsyReport) -> None:
    text = words(render_biopsy(report, {}))
    assert "12.3 % 1,234 of 10,000 nucleated cells 11.7–13.0 (95 % Wilson)" in text
    assert "9.5–15.2 (95 % block bootstrap, unreliable: note 1)" in text
    assert "Note 1: interval unreliable: only 9 blocks." in text
    assert "526 cells/mm² 401–656 (95 % block bootstrap)" in text
    assert "DAB (assumed)" in text
    assert "Melanin may count as DAB" in text
    assert "The sections' thickness is not recorded." in text


def test_each_section_says_how_sure_its_calls_are(report: BiopsyReport) -> None:
    text = words(render_biopsy(report, {}))
    assert "6.0–20.1 (95 % sampling + measurement, unreliable: note 2)" in text
    assert "Uncertain calls 8.1 %, 812 of 10,000 cells, with a probability from 0.35 to 0.85" in text
    assert "9.2 % if all of them were negative, 17.3 % if all of them were positive" in text
    errors = text.partition("What is known of it")[2]
    assert (
        "Percentage percent positive, 1+, 2+ and 3+, H-score, bounds on co-expression, schemes; sensitivity and "
        "specificity alone: corrected value, and again density, hot spot, density ratios Measured on CD138, marrow "
        "(101 images of 5 patients); not validated for CD4"
    ) in errors
    assert "all cells per mm²; with sensitivity and specificity again density, hot spot, density ratios" in errors
    assert "Number of positive cells density, hot spot, density ratios Measurement error unknown" in errors
    assert "a sensitivity figure, not a result" in text
    assert "Intervals Wilson; block bootstrap; sampling + measurement, simulated" in text
    assert "Measurement error unknown" in text, "said for the section whose weights state none"


def test_percent_in_skin_has_its_caution(complete_report: BiopsyReport) -> None:
    caution = "Nearly meaningless in skin"
    assert words(render_biopsy(complete_report, {})).count(caution) == len(complete_report.outcomes) + 1, (
        "in each row and the headline"
    )
    assert caution not in words(render_biopsy(replace(complete_report, site="lymph_node"), {}))


def test_the_notice_stands_at_both_ends_and_on_every_printed_sheet(report: BiopsyReport) -> None:
    html = render_biopsy(report, {})
    text = words(html).strip()
    assert text.count(RESEARCH_USE_ONLY) == 2
    assert text.endswith(RESEARCH_USE_ONLY)
    assert text.index(RESEARCH_USE_ONLY) < text.index("Panel")
    assert "header.notice { display: table-header-group; break-inside: avoid; }" in html
    assert "footer.notice { display: table-footer-group; break-inside: avoid; }" in html


def test_the_page_claims_no_more_than_it_knows(report: BiopsyReport) -> None:
    text = words(render_biopsy(report, {}))
    for claim in (
        r"\bT cells?\b",
        r"\bclonal",
        r"target cells",
        r"eligib",
        r"respon[ds]",
        r"double.positive",
        r"fit for",
    ):
        assert not re.search(claim, text, re.IGNORECASE), claim
    for limit in ("not one section", "not validated", "not an amount of antigen", "Missed nuclei", "no statement on"):
        assert limit in text


def test_provenance_names_what_made_the_figures(report: BiopsyReport) -> None:
    text = words(render_biopsy(report, {}))
    for part in ("ihc-quant 0.1.0", "membrane-small-1", "ab" * 32, "research only", "cd" * 32, "ef" * 32, "the file"):
        assert part in text
    assert "call.cuts_od 0.2, 0.4, 0.6" in text
    assert "region none" in text
    assert text.count("Settings of LN1-CD4, LN1-CCR4, LN1-control") == 1


@pytest.mark.parametrize("sections", [3, 12])
def test_a_page_stays_under_5_mb(scored: Scored, sections: int) -> None:
    rng = np.random.default_rng(0)
    picture = encode_png(rng.integers(0, 256, (700, 900, 3)).astype(np.uint8))
    slides = tuple(replace(scored, slide_id=f"s{number}") for number in range(sections))
    pictures = {slide.slide_id: SlidePictures(picture, picture) for slide in slides}
    html = render_biopsy(BiopsyReport("B", "P", "skin", slides), pictures)
    assert len(html.encode()) < 5_000_000
    assert len(Page(html).all("img")) == 2 * sections


def test_a_picture_that_is_none_is_refused(complete_report: BiopsyReport) -> None:
    with pytest.raises(ValueError, match="PNG or JPEG"):
        render_biopsy(complete_report, {"LN1-CD4": SlidePictures(b"<svg>", b"<svg>")})


def test_a_biopsy_without_sections_has_a_page() -> None:
    assert "The biopsy has no sections." in words(render_biopsy(BiopsyReport("B", "P", "skin", ()), {}))
