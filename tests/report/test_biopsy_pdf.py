"""The PDF says what the page says, the same way each time; without its library one line says so."""

import re
import sys
import zlib
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.domain.outcome import Failed
from ihc_quant.domain.stain import SectionStain
from ihc_quant.report.biopsy_pdf import PdfMissing, render_pdf
from ihc_quant.report.encoding import encode_png
from ihc_quant.report.page_head import make_head
from ihc_quant.report.slide_pictures import SlidePictures


def made(report: BiopsyReport, pictures: dict[str, SlidePictures]) -> bytes:
    pytest.importorskip("reportlab")
    pdf = render_pdf(report, pictures)
    assert isinstance(pdf, bytes)
    assert pdf.startswith(b"%PDF-")
    return pdf


def sheets(pdf: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b", pdf))


def drawn(pdf: bytes) -> bytes:
    """Return what is drawn on all sheets, unpacked; pictures and fonts among it."""
    unpacked = []
    for part in re.findall(rb"/FlateDecode[^>]*>>\s*stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        with suppress(zlib.error):
            unpacked.append(zlib.decompressobj().decompress(part))
    return b"".join(unpacked)


def test_the_same_report_gives_the_same_bytes(
    skin_report: BiopsyReport, skin_pictures: dict[str, SlidePictures]
) -> None:
    assert made(skin_report, skin_pictures) == made(skin_report, skin_pictures)


def test_the_notice_stands_on_every_sheet(skin_report: BiopsyReport, skin_pictures: dict[str, SlidePictures]) -> None:
    pdf = made(skin_report, skin_pictures)
    assert sheets(pdf) > 3
    assert drawn(pdf).count(b"For research use only. Not for use in diagnostic procedures.") == 2 * sheets(pdf)
    assert b"For research use only. Not for use in diagnostic procedures." in pdf, "also what the file says of itself"


def test_the_head_marks_unreliable_limits_as_the_page_does(
    skin_report: BiopsyReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = pytest.importorskip("ihc_quant.report.pdf_flow", exc_type=ImportError)
    said, write = [], flow.paragraph

    def noted(text: str, *args: Any, **options: Any) -> Any:
        said.append(text)
        return write(text, *args, **options)

    monkeypatch.setattr(flow, "paragraph", noted)
    made(skin_report, {})
    head = make_head(skin_report, {})
    assert {line.text for card in head.cards for line in card.lines} <= set(said)
    assert {frame.figure for frame in head.frames} <= set(said)
    assert any("+ measurement 6.0–20.1, unreliable: note 2" in text for text in said)


def test_pictures_are_on_it(skin_report: BiopsyReport, skin_pictures: dict[str, SlidePictures]) -> None:
    pictures = len(re.findall(rb"/Subtype /Image", made(skin_report, skin_pictures)))
    assert pictures >= 6, (
        "thumbnails, a heat map of each scored section, example cells, the scale; the same picture once"
    )
    assert len(re.findall(rb"/Subtype /Image", made(skin_report, {}))) == 0


def test_text_from_outside_is_not_markup(failed: Failed) -> None:
    odd = '<b>x & <img src="x"/> \udcff Ж'
    one = Failed(odd, SectionStain("CD8", "DAB", False), f"{odd}</para>")
    assert sheets(made(BiopsyReport(odd, odd, odd, (one, failed), (odd,)), {})) >= 2


def test_a_sentence_longer_than_a_sheet_is_printed(skin_report: BiopsyReport) -> None:
    flag = "This is a long sentence. " * 900
    few = sheets(made(skin_report, {}))
    assert sheets(made(replace(skin_report, flags=(flag,)), {})) > few


def test_large_pictures_fit(skin_report: BiopsyReport) -> None:
    tall = encode_png(np.full((900, 30, 3), 90, np.uint8))
    assert made(skin_report, {"SK2-CD4": SlidePictures(tall, tall)})


def test_without_the_library_one_line_says_so(skin_report: BiopsyReport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reportlab.platypus", None)
    missing = render_pdf(skin_report, {})
    assert isinstance(missing, PdfMissing)
    assert "\n" not in missing.reason
    assert "pip install 'ihc-quant[pdf]'" in missing.reason
