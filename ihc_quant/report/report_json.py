"""Outcomes and reports as JSON values, and back: keys in a fixed order, every value checked when it is read."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.domain.outcome import Failed, NoTissue, Scored, Shown, SlideOutcome
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.errors import OutputError

_KINDS: dict[str, type[Scored] | type[Shown] | type[NoTissue] | type[Failed]] = {
    "scored": Scored,
    "shown": Shown,
    "no_tissue": NoTissue,
    "failed": Failed,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
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
    return {"outcome": _NAMES[type(outcome)], **_plain(outcome)}


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
    try:
        outcome: SlideOutcome = _ADAPTERS[name].validate_json(json.dumps(attributes, allow_nan=False), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or name
        raise OutputError(f"The result cannot be read at {place} ({first['msg']}); score the slide again.") from error
    except (TypeError, ValueError) as error:
        raise OutputError(f"The result holds a value that is not JSON ({error}); score the slide again.") from error
    if outcome_json(outcome) != dict(values):
        raise OutputError("The result holds entries that this version does not know; score the slide again.")
    return outcome


def report_json(report: BiopsyReport) -> dict[str, Any]:
    """Return a biopsy's report as JSON values, keys in a fixed order.

    Raises
    ------
    ValueError
        As ``outcome_json``.
    """
    return {
        "biopsy_id": report.biopsy_id,
        "patient_id": report.patient_id,
        "site": report.site,
        "complete": report.complete,
        "notice": RESEARCH_USE_ONLY,
        "flags": list(report.flags),
        "outcomes": [outcome_json(outcome) for outcome in report.outcomes],
    }


def _plain(value: object) -> Any:
    """Return dataclasses, mappings and tuples as JSON values, floats unchanged."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("keys of a JSON object are strings")
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
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
