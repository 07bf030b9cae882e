"""The published schema of ``report.json``, made from the classes that it is written from.

Run as ``python -m ihc_quant.report.json_schema`` to write ``schemas/report-1.schema.json`` again after a change.
"""

import json
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.domain.outcome import Failed, NoTissue, Scored, Shown
from ihc_quant.domain.provenance import RESEARCH_USE_ONLY
from ihc_quant.report.report_json import OUTCOME_NAMES, REPORT_SCHEMA

SCHEMA_FILE = Path(__file__).parent / "schemas" / "report-1.schema.json"
"""The schema as it is published."""

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_DERIVED: Mapping[str, Mapping[str, Any]] = {
    "schema": {"const": REPORT_SCHEMA, "description": "Name and version of this layout."},
    "notice": {"const": RESEARCH_USE_ONLY},
    "complete": {"type": "boolean", "description": "Whether nothing is missing."},
    "missing": {
        "type": "array",
        "items": {"type": "string"},
        "description": "What makes the biopsy incomplete, a clause each.",
    },
}
"""Keys that are not attributes of a class."""


def report_schema() -> dict[str, Any]:
    """Return the JSON schema of ``report.json``: every key, its type and what it means; no other keys are allowed."""
    schema = TypeAdapter(BiopsyReport).json_schema(mode="serialization")
    definitions: dict[str, dict[str, Any]] = schema.pop("$defs")
    for kind in (Scored, Shown, NoTissue, Failed):
        outcome = definitions[kind.__name__]
        outcome["properties"] = {"outcome": {"const": OUTCOME_NAMES[kind]}, **outcome["properties"]}
    outcomes = schema["properties"]["outcomes"]["items"]
    outcomes["oneOf"] = outcomes.pop("anyOf")
    schema["properties"] = {**_DERIVED, **schema["properties"]}
    for each in (schema, *definitions.values()):
        _close(each)
    return {
        "$schema": DIALECT,
        "$id": f"{REPORT_SCHEMA}.schema.json",
        "title": "Report of a biopsy",
        **{key: value for key, value in schema.items() if key != "title"},
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """Return the schema as it is published."""
    return json.dumps(report_schema(), indent=2, ensure_ascii=False) + "\n"


def _close(schema: dict[str, Any]) -> None:
    """Require every key of an object and no other, and say what each means."""
    summary, meanings = _documented(schema.get("description", ""))
    schema["description"] = summary
    for name, value in schema["properties"].items():
        _plain(value)
        if name in meanings:
            value["description"] = meanings[name]
    schema["required"] = list(schema["properties"])
    schema["additionalProperties"] = False


def _plain(value: Any) -> None:
    """Take away what repeats the key or is never left out: titles made of names, and defaults."""
    if isinstance(value, dict):
        for surplus in ("title", "default"):
            value.pop(surplus, None)
        for inner in value.values():
            _plain(inner)
    elif isinstance(value, list):
        for inner in value:
            _plain(inner)


def _documented(docstring: str) -> tuple[str, dict[str, str]]:
    """Return the text of a numpydoc docstring before its sections, and what it says of each attribute."""
    summary, _, attributes = docstring.partition("\n\nAttributes\n----------\n")
    attributes = re.split(r"\n\n\w+\n-+\n", attributes)[0] + "\n"
    meanings: dict[str, str] = {}
    for entry in re.finditer(r"^(\w[\w, ]*) : (.*)\n((?:(?: {4}.*)?\n)*)", attributes, re.MULTILINE):
        text = _in_json(" ".join(textwrap.dedent(entry[3]).split()))
        for name in entry[1].split(", "):
            if text:
                meanings[name] = text
    return _in_json(" ".join(re.split(r"\n\n\w+\n-+\n", summary)[0].split())), meanings


def _in_json(text: str) -> str:
    """Return a sentence of a docstring in the words of JSON."""
    return re.sub(r"\bNone\b", "null", text.replace("``", "`"))


if __name__ == "__main__":
    SCHEMA_FILE.parent.mkdir(exist_ok=True)
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
