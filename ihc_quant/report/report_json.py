"""Outcomes and reports as JSON values, and back: keys in a fixed order, every value checked when it is read."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ihc_quant.domain.biopsy import BiopsyPanel, BiopsyReport, SectionRecord
from ihc_quant.domain.outcome import Failed, NoTissue, Scored, Shown, SlideOutcome
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.errors import OutputError

REPORT_SCHEMA = "ihc_quant/report/1"
"""Name and version of the layout of ``report.json``."""

_DERIVED = ("schema", "notice", "complete", "missing")
"""Keys of a report that follow from the others."""
_AGAIN = "write the report again from its manifest"

_KINDS: dict[str, type[Scored] | type[Shown] | type[NoTissue] | type[Failed]] = {
    "scored": Scored,
    "shown": Shown,
    "no_tissue": NoTissue,
    "failed": Failed,
}
OUTCOME_NAMES = {kind: name for name, kind in _KINDS.items()}
"""What ``"outcome"`` says of each class."""
_ADAPTERS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for name, kind in _KINDS.items()}


def outcome_json(outcome: SlideOutcome) -> dict[str, Any]:
    """Return an outcome as JSON values: dictionaries, lists, strings, finite numbers, booleans and None.

    The first key, ``"outcome"``, says which it is; the others are the attributes in the order of their class, those of
    a mapping in alphabetical order.

    Raises
    ------
    ValueError
        Where a setting is not a JSON value or a number is not finite.
    """
    return {"outcome": OUTCOME_NAMES[type(outcome)], **plain_json(outcome)}


def outcome_from_json(values: Mapping[str, Any]) -> SlideOutcome:
    """Return the outcome that ``outcome_json`` wrote, exactly.

    Raises
    ------
    OutputError
        Where a value is missing, unknown, of another type, or not allowed by the class it belongs to.
    """
    name = values.get("outcome")
    if not isinstance(name, str) or name not in _KINDS:
        raise OutputError(f"The result states no known outcome ({', '.join(_KINDS)}); score the slide again.")
    attributes = {key: value for key, value in values.items() if key != "outcome"}
    outcome: SlideOutcome = _validated(_ADAPTERS[name], attributes, name, "The result", "score the slide again")
    if outcome_json(outcome) != dict(values):
        raise OutputError("The result holds entries that this version does not know; score the slide again.")
    return outcome


def report_json(report: BiopsyReport) -> dict[str, Any]:
    """Return a biopsy's report as JSON values, keys in a fixed order; ``report_schema`` describes them.

    Raises
    ------
    ValueError
        As ``outcome_json``.
    """
    return {
        "schema": REPORT_SCHEMA,
        "notice": RESEARCH_USE_ONLY,
        "biopsy_id": plain_json(report.biopsy_id),
        "patient_id": plain_json(report.patient_id),
        "site": plain_json(report.site),
        "biopsy_day": report.biopsy_day,
        "complete": report.complete,
        "missing": plain_json(report.missing),
        "flags": plain_json(report.flags),
        "panel": plain_json(report.panel),
        "sections": plain_json(report.sections),
        "outcomes": [outcome_json(outcome) for outcome in report.outcomes],
    }


def report_from_json(values: Mapping[str, Any]) -> BiopsyReport:
    """Return the report that ``report_json`` wrote, exactly.

    Raises
    ------
    OutputError
        Where a value is missing, unknown, of another type or version, or not allowed by the class it belongs to.
    """
    if values.get("schema") != REPORT_SCHEMA:
        raise OutputError(f"The report is none of the layout {REPORT_SCHEMA}; {_AGAIN}.")
    listed = values.get("outcomes")
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        raise OutputError(f"The report states no list of outcomes; {_AGAIN}.")
    outcomes = tuple(map(outcome_from_json, listed))
    own = {key: value for key, value in values.items() if key not in ("outcomes", *_DERIVED)}
    rest: _Rest = _validated(_REST, own, "report", "The report", _AGAIN)
    try:
        report = BiopsyReport(outcomes=outcomes, **{field.name: getattr(rest, field.name) for field in fields(rest)})
    except ValueError as error:
        raise OutputError(f"The report contradicts itself ({error}); {_AGAIN}.") from error
    if report_json(report) != dict(values):
        raise OutputError(f"The report holds entries that this version does not know; {_AGAIN}.")
    return report


@dataclass(frozen=True, slots=True)
class _Rest:
    """A report without its outcomes, which name their class in JSON."""

    biopsy_id: str
    patient_id: str
    site: str
    flags: tuple[str, ...]
    panel: BiopsyPanel
    sections: tuple[SectionRecord, ...]
    biopsy_day: int | None


_REST: TypeAdapter[Any] = TypeAdapter(_Rest)


def _validated(adapter: TypeAdapter[Any], values: Mapping[str, Any], name: str, what: str, cure: str) -> Any:
    """Return what a class makes of JSON values, with one sentence where it refuses them."""
    try:
        return adapter.validate_json(json.dumps(values, allow_nan=False), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or name
        raise OutputError(f"{what} cannot be read at {place} ({first['msg']}); {cure}.") from error
    except (TypeError, ValueError) as error:
        raise OutputError(f"{what} holds a value that is not JSON ({error}); {cure}.") from error


def plain_json(value: object) -> Any:
    """Return dataclasses, mappings and tuples as JSON values, floats unchanged.

    Raises
    ------
    ValueError
        Where something is not a JSON value or a number is not finite.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("keys of a JSON object are strings")
        return {key: plain_json(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if isinstance(value, str):
        # Lone surrogates, as odd file names have, cannot be written as UTF-8; each becomes a question mark.
        return value.encode("utf-8", "replace").decode("utf-8")
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"JSON knows no {value}")
        return value
    raise ValueError(f"a {type(value).__name__} is not a JSON value")
