"""The page of readers' agreement: one file with its tables and plots, which asks for nothing from a network."""

import json
from dataclasses import asdict
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ihc_quant.domain.agreement import Agreement
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.report.agreement_text import (
    FORMS,
    MEASURES,
    figure,
    pair_name,
    percent,
    scheme_heading,
    slope_remark,
)
from ihc_quant.report.bland_altman_plot import bland_altman_svg, plot_range
from ihc_quant.report.figures import one_line

SCHEMA = "ihc_quant/agreement/1"
"""Name and version of the layout of ``agreement.json``."""


def _printable(value: object) -> object:
    """Return text from outside without signs that no page can carry."""
    return one_line(value) if type(value) is str else value


_ENVIRONMENT = Environment(
    loader=PackageLoader("ihc_quant.report", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_printable,
    trim_blocks=True,
    lstrip_blocks=True,
)


def agreement_json(agreement: Agreement) -> dict[str, Any]:
    """Return the agreement as JSON values, keys in a fixed order."""
    values = {"schema": SCHEMA, "notice": RESEARCH_USE_ONLY, **asdict(agreement)}
    plain: dict[str, Any] = json.loads(json.dumps(values, allow_nan=False))
    return plain


def render_agreement(agreement: Agreement) -> str:
    """Return the page."""
    x_range, y_range = plot_range(agreement.pairs)
    plots = [
        # The plot escapes what it shows.
        (pair, Markup(bland_altman_svg(pair, x_range, y_range, agreement.measure.unit)))  # noqa: S704
        for pair in agreement.pairs
        if pair.targets
    ]
    return _ENVIRONMENT.get_template("agreement.html.j2").render(
        agreement=agreement,
        plots=plots,
        measure=MEASURES[agreement.measure],
        forms=FORMS,
        figure=figure,
        percent=percent,
        pair_name=pair_name,
        slope_remark=slope_remark,
        scheme_heading=scheme_heading,
        notice=RESEARCH_USE_ONLY,
    )
