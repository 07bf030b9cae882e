"""The published schema is that of the classes, and a report keeps to it."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.report.json_schema import SCHEMA_FILE, report_schema, schema_text
from ihc_quant.report.report_json import report_json

VALIDATOR = Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))


def faults(values: object) -> list[str]:
    return [fault.message for fault in VALIDATOR.iter_errors(values)]


def test_the_published_schema_is_up_to_date() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "run python -m ihc_quant.report.json_schema"
    Draft202012Validator.check_schema(report_schema())


def test_reports_keep_to_it(report: BiopsyReport, complete_report: BiopsyReport, full_report: BiopsyReport) -> None:
    for each in (report, complete_report, full_report, BiopsyReport("B", "P", "skin", ())):
        assert faults(json.loads(json.dumps(report_json(each)))) == []


def changed(values: dict[str, Any], change: str) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(values))
    scored = copy["outcomes"][0]
    match change:
        case "a surplus key":
            scored["score"]["colour"] = "brown"
        case "a missing key":
            del scored["left_out"]
        case "another type":
            scored["score"]["counts"]["negative"] = "many"
        case "another outcome":
            scored["outcome"] = "failed"
        case "another version":
            copy["schema"] = "ihc_quant/report/0"
        case "a number for text":
            copy["flags"] = [7]
    return copy


@pytest.mark.parametrize(
    "change",
    ["a surplus key", "a missing key", "another type", "another outcome", "another version", "a number for text"],
)
def test_what_is_no_report_does_not(full_report: BiopsyReport, change: str) -> None:
    assert faults(changed(report_json(full_report), change))


def test_every_key_that_needs_words_has_them() -> None:
    schema = report_schema()
    described = schema["$defs"]["MarkerScore"]["properties"]["positive_fraction"]["description"]
    assert described.startswith("Positive cells over all nucleated cells, 0 to 1.")
    assert all(each["description"] for each in (schema, *schema["$defs"].values()))
