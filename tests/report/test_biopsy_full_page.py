"""The page of a biopsy that has everything: order, headline, warnings, pictures, and text from outside."""

import re
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from syrupy.assertion import SnapshotAssertion

from ihc_quant.domain.biopsy import BiopsyPanel, BiopsyReport
from ihc_quant.domain.outcome import Failed, Scored
from ihc_quant.domain.serial_sections import AnalysedRegion
from ihc_quant.domain.stain import SectionStain
from ihc_quant.report import biopsy_page
from ihc_quant.report.biopsy_page import render_biopsy
from ihc_quant.report.density_map import DensityMap
from ihc_quant.report.encoding import encode_png
from ihc_quant.report.slide_pictures import SlidePictures, Thumbnail

HOSTILE = "<img src=x onerror=alert(1)>"
KEPT_WORDS = ("origin", "marker", "chromogen", "unit", "outcome", "label")
"""Text that only certain values are allowed in, or that the software itself writes."""


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.headings, self.images, self.skip = "", [], [], False  # type: ignore[var-annotated]
        self.labels: list[str] = []
        self.tags: list[str] = []
        self.feed(html)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append(tag)
        self.skip = tag == "style"
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if tag == "img":
            self.images.append(attributes)
        if tag == "svg":
            self.labels.append(attributes.get("aria-label") or "")
        assert not any(name.startswith("on") for name in attributes)

    def handle_data(self, data: str) -> None:
        if not self.skip:
            self.text += data


def test_the_page_of_a_full_report(
    skin_report: BiopsyReport, skin_pictures: dict[str, SlidePictures], snapshot: SnapshotAssertion
) -> None:
    html = render_biopsy(skin_report, skin_pictures)
    assert re.sub(r"base64,[A-Za-z0-9+/=]+", "base64,…", html) == snapshot


def test_the_most_important_comes_first(skin_report: BiopsyReport, skin_pictures: dict[str, SlidePictures]) -> None:
    text = Page(render_biopsy(skin_report, skin_pictures)).text.partition("Panel ")[2]
    places = [
        text.index(words)
        for words in (
            "positive cells per mm², one scale for all",
            "CCR4+ cells per mm²",
            "CCR4+ percent",
            "CCR4:CD4 density ratio",
            "CD4:CD8 density ratio",
            "What was analysed",
            "Controls",
            "Flags for the reader",
            "Results by section",
            "Example cells by grade",
            "Distribution of chromogen density",
            "How far the figures move",
            "Published CCR4 schemes",
            "Bounds on co-expression",
            "What is recorded of the sections",
            "How the figures were made",
            "What the figures do not say",
            "Weights used",
            "Reviewed by",
            "Where the figures come from",
        )
    ]
    assert places == sorted(places)


def test_headings_skip_no_level(skin_report: BiopsyReport, skin_pictures: dict[str, SlidePictures]) -> None:
    headings = Page(render_biopsy(skin_report, skin_pictures)).headings
    assert headings[0] == 1
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(headings))


def test_every_picture_is_described(skin_report: BiopsyReport, skin_pictures: dict[str, SlidePictures]) -> None:
    page = Page(render_biopsy(skin_report, skin_pictures))
    assert all(image["alt"] and image["width"] and image["height"] for image in page.images)
    alts = " ".join(image["alt"] or "" for image in page.images)
    for marker in ("CD4", "CD8", "CCR4"):
        assert f"Heat map of SK2-{marker}: density of {marker}+ cells from 0 to 1,500 per mm²." in alts
    assert "H&E section SK2-HE" in alts
    assert "Heat map of SK2-HE" not in alts
    assert len(page.labels) == 6
    assert "Histogram of 1,000 cells" in page.labels[0]
    assert "OD cuts × 0.75: 12.3 % positive, H-score 20" in page.labels[-1]


def test_missing_and_failed_sections_leave_an_empty_frame_with_the_reason(skin_report: BiopsyReport) -> None:
    failed = Failed("SK2-CD4", SectionStain("CD4", "DAB", False), "the file is damaged; copy it again")
    html = render_biopsy(replace(skin_report, outcomes=(failed, skin_report.outcomes[2]), sections=()), {})
    empty = re.findall(r'<p class="empty absent">(.*?)</p>', html)
    assert empty == [
        "not scored: the file is damaged; copy it again",
        "the biopsy has no CD8 section",
        "no pictures were made of this slide",
    ]


def test_the_headline_writes_out_denominator_and_both_intervals(skin_report: BiopsyReport) -> None:
    headline = Page(render_biopsy(skin_report, {})).text.partition("CCR4+ cells per mm²")[2].partition("What was")[0]
    assert "526 cells/mm² Sampling 401–656" in headline
    assert "12.3 % 1,234 of 10,000 nucleated cells in all tissue Sampling 11.7–13.0 (95 % Wilson)" in headline
    assert "Sampling + measurement 6.0–20.1 (95 % simulated, unreliable: note 2)" in headline
    assert headline.count("0.41 Sampling 0.29–0.61 (95 % block bootstrap, unreliable: note 3)") == 2
    for note in ("Note 2: interval unreliable: not validated for CD4.", "Note 3: interval unreliable: only 12 blocks."):
        assert headline.count(note) == 1
    assert headline.count("serial-section ratio, not a fraction of cells") == 2


def test_in_skin_without_a_drawn_infiltrate_density_leads(skin_report: BiopsyReport) -> None:
    text = Page(render_biopsy(skin_report, {})).text
    assert "the density is the headline, not the percentage" in text
    limits = "sampling 9.5–15.2, unreliable: note 1; + measurement 6.0–20.1, unreliable: note 2"
    assert f"infiltrate (proposed, not reviewed): 12.3 % ({limits})" in text, "only beside the headline"
    node = Page(render_biopsy(replace(skin_report, site="lymph_node"), {})).text
    assert "is the headline, not the percentage" not in node


def test_a_drawn_infiltrate_leads_the_percentage(skin_report: BiopsyReport) -> None:
    ccr4 = skin_report.outcomes[2]
    assert isinstance(ccr4, Scored)
    drawn = replace(ccr4.compartments[0], region=AnalysedRegion("infiltrate", "drawn"))
    sections = (*skin_report.outcomes[:2], replace(ccr4, compartments=(drawn,)), skin_report.outcomes[3])
    text = Page(render_biopsy(replace(skin_report, outcomes=sections), {})).text
    assert "1,234 of 10,000 nucleated cells in infiltrate Sampling" in text
    assert "is the headline, not the percentage" not in text


def test_what_is_not_given_is_not_evaluable(skin_report: BiopsyReport) -> None:
    headline = Page(render_biopsy(replace(skin_report, panel=BiopsyPanel()), {})).text
    assert headline.count("not evaluable no ratio was formed of these sections") == 2


def test_areas_are_given_by_cause_and_origin(skin_report: BiopsyReport) -> None:
    text = Page(render_biopsy(skin_report, {})).text
    assert "2.35 mm² epidermis (drawn) 2.35 mm² infiltrate (proposed, not reviewed)" in text
    assert "0.310 mm² drawn exclusion 0.0420 mm² out of focus" in text
    assert "4 drawn areas, file SHA-256 babababababa…" in text
    assert "control tissue on the same glass, not the patient's" in text
    assert "densest window of 447 µm × 447 µm" in text


def test_what_is_missing_is_not_recorded(skin_report: BiopsyReport) -> None:
    text = Page(render_biopsy(skin_report, {})).text.partition("What is recorded of the sections")[2]
    assert "12 days before the first infusion" in text
    assert "SK2-CD4 level 1 of 2 DAB (assumed) 4B12 not recorded not recorded not recorded 4" in text
    assert "Scanner Aperio Objective not recorded µm per pixel not recorded" in text


def test_schemes_and_bounds_say_what_they_need(skin_report: BiopsyReport) -> None:
    text = Page(render_biopsy(skin_report, {})).text
    assert "Not applicable: needs a drawn or confirmed infiltrate region" in text
    assert "0.0 to 27.0 %" in text
    assert "a double stain on one section, or stain, erase and restain, gives a true fraction" in text
    assert "Nuclei that were not found are missing from the denominators" in text


def hostile(value: Any, name: str = "") -> Any:
    """Return the value with every free text replaced."""
    if isinstance(value, str):
        return value if name in KEPT_WORDS or not value else HOSTILE
    if isinstance(value, AnalysedRegion):
        return value if value.origin == "tissue" else replace(value, kind=HOSTILE)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value, **{field.name: hostile(getattr(value, field.name), field.name) for field in fields(value)}
        )
    if isinstance(value, dict):
        return {HOSTILE if name in ("details", "scan") else key: hostile(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(hostile(each, name) for each in value)
    return value


def test_no_text_from_outside_becomes_markup(
    skin_report: BiopsyReport, skin_pictures: dict[str, SlidePictures]
) -> None:
    report = hostile(skin_report)
    html = render_biopsy(report, {HOSTILE: skin_pictures["SK2-CD4"]})
    page = Page(html)
    assert "<img src=x" not in html
    assert "script" not in page.tags
    assert page.text.count(HOSTILE) > 100
    assert all((image["src"] or "").startswith("data:image/") for image in page.images)


@pytest.mark.parametrize("sections", [3, 12])
def test_a_page_with_all_pictures_stays_under_5_mb(skin_report: BiopsyReport, sections: int) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (700, 900, 3)).astype(np.uint8)
    density = DensityMap(rng.random((700, 900), np.float32) * 1000, np.ones((700, 900), np.bool_), 8.0)
    picture = SlidePictures(encode_png(noise), encode_png(noise), Thumbnail(noise, 8.0), density)
    slides = tuple(replace(skin_report.outcomes[0], slide_id=f"s{number}") for number in range(sections))
    html = render_biopsy(
        replace(skin_report, outcomes=slides, sections=()), {slide.slide_id: picture for slide in slides}
    )
    assert len(html.encode()) < 5_000_000
    assert len(Page(html).images) == 4 * sections + 1, "frame, heat map, gallery and overview of each, and the scale"


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.1)."""
    full = colour.lstrip("#") if len(colour) == 7 else "".join(2 * digit for digit in colour.lstrip("#"))
    linear = [
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
        for part in (int(full[index : index + 2], 16) / 255 for index in (0, 2, 4))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_words_stand_out_from_every_paper() -> None:
    css = (Path(biopsy_page.__file__).parent / "templates" / "biopsy.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+);", css.partition("}")[0]))
    for words in ("ink", "quiet", "warn", "good"):
        for paper in ("paper", "pale", "warn-paper"):
            light, dark = luminance(colours[paper]), luminance(colours[words])
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (words, paper)
