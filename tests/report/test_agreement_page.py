"""The page, the plot and the lines of readers' agreement."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from ihc_quant.domain.agreement import Agreement, Measure
from ihc_quant.evaluation.cut_points import parse_cuts
from ihc_quant.evaluation.readers import agree
from ihc_quant.evaluation.readers_csv import ReaderTable
from ihc_quant.report.agreement_page import agreement_json, render_agreement
from ihc_quant.report.agreement_text import agreement_lines
from ihc_quant.report.bland_altman_plot import bland_altman_svg, plot_range

ODD = "<img src=x onerror=alert(1)>"


def agreement_of(values: np.ndarray, readers: tuple[str, ...] = ("Ann", ODD, "machine")) -> Agreement:
    targets = tuple(f"b{number}" for number in range(len(values)))
    table = ReaderTable(Path("r.csv"), "biopsy_id", targets, readers, values, None)
    schemes = [parse_cuts("high:>25"), parse_cuts("1,10,50")]
    return agree(table, Measure.PERCENT, machine="machine", schemes=schemes, complete=False)


@pytest.fixture(scope="module")
def agreement() -> Agreement:
    random = np.random.default_rng(4)
    values = np.clip(random.uniform(5, 80, (20, 1)) + random.normal(0, 5, (20, 3)), 0, 100)
    values[0, 0] = np.nan
    return agreement_of(values)


def test_page_holds_every_figure_and_escapes_names(agreement: Agreement) -> None:
    page = render_agreement(agreement)
    assert "<img" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert page.count("<svg") == 3
    assert page.count('class="machine"') == 6
    assert "ICC(2,1)" in page
    assert "20 biopsies, 3 readers" in page
    assert "missing: Ann 1" in page
    assert page.count("For research use only") == 2
    assert not re.search(r"(?:src|href)=|https?:", page.replace("&lt;img src=x", ""))
    for pair in agreement.pairs:
        assert f"{pair.concordance.value:.2f} (" in page


def test_the_same_agreement_gives_the_same_page(agreement: Agreement) -> None:
    assert render_agreement(agreement) == render_agreement(agreement)
    values = agreement_json(agreement)
    assert values == json.loads(json.dumps(values))
    assert values["schema"] == "ihc_quant/agreement/1"
    assert values["pairs"][0]["targets"][0] == "b1"


def test_plot_shows_every_target_inside_its_axes(agreement: Agreement) -> None:
    ranges = plot_range(agreement.pairs)
    for pair in agreement.pairs:
        root = ElementTree.fromstring(bland_altman_svg(pair, *ranges, "%"))
        dots = [(float(dot.get("cx", "nan")), float(dot.get("cy", "nan"))) for dot in root.iter("circle")]
        assert len(dots) == len(pair.targets)
        assert all(58 <= x <= 356 and 12 <= y <= 276 for x, y in dots)
        difference = np.subtract(pair.of_one, pair.of_other)
        assert np.argmax(difference) == np.argmin([y for _, y in dots])
        assert root.find("title") is not None


@pytest.mark.parametrize("values", [np.full((4, 3), 10.0), np.zeros((3, 3)), np.array([[1.0, 2.0, np.nan]] * 4)])
def test_tables_that_say_little_still_give_a_page(values: np.ndarray) -> None:
    found = agreement_of(values)
    assert "not evaluable" in render_agreement(found)
    assert any("not evaluable" in line for line in agreement_lines(found))
    agreement_json(found)


def test_lines_state_the_machine_beside_people(agreement: Agreement) -> None:
    lines = agreement_lines(agreement)
    assert lines[0] == "20 biopsies, 3 readers; the machine is the reader 'machine'"
    assert lines[-1].startswith("For research use only")
    assert (
        sum(line.endswith("[machine], 19 targets:") or line.endswith("[machine], 20 targets:") for line in lines) == 2
    )
    assert any(line.startswith("Lin's concordance coefficient (more is better)") for line in lines)
    assert all(line.isprintable() for line in lines)


def test_a_slope_of_differences_is_told() -> None:
    one = np.linspace(5, 90, 20)
    values = np.column_stack([one, 0.7 * one + np.tile([0.5, -0.5], 10)])
    lines = agreement_lines(agreement_of(values, ("Ann", "Bob")))
    assert any("differences change with the mean" in line for line in lines)
    assert not any("machine with people" in line for line in lines)
