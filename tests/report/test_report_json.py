"""What is written is what is read, and nothing else is believed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ihc_quant.domain.biopsy import BiopsyReport
from ihc_quant.domain.outcome import Failed, NoTissue, Scored, SlideOutcome
from ihc_quant.domain.provenance import Provenance
from ihc_quant.domain.score import (
    CellCounts,
    CorrectedFraction,
    Estimate,
    Interval,
    MarkerScore,
    NetworkError,
    UncertainCalls,
)
from ihc_quant.domain.stain import CHROMOGENS, MARKERS, SectionStain
from ihc_quant.errors import OutputError
from ihc_quant.report.report_json import (
    outcome_from_json,
    outcome_json,
    report_from_json,
    report_json,
)

texts = st.text(max_size=12)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | finite | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
stains = st.builds(SectionStain, st.sampled_from(MARKERS), st.sampled_from(CHROMOGENS), st.booleans())
provenances = st.builds(
    Provenance,
    software=texts,
    libraries=st.dictionaries(texts, texts, max_size=3),
    platform=texts,
    runtime=texts,
    weights_name=texts,
    weights_sha256=texts,
    weights_licence=texts,
    settings=st.dictionaries(texts, json_values, max_size=3),
    settings_sha256=texts,
    slide_hash=texts,
    mpp_source=st.sampled_from(["file", "override"]),
)
intervals = st.builds(
    lambda ends, level, method, reliable, note: Interval(min(ends), max(ends), level, method, reliable, note),
    st.tuples(finite, finite),
    st.floats(0.5, 0.99),
    texts,
    st.booleans(),
    texts,
)
estimates = st.builds(
    lambda value, unit, some: Estimate(value, unit, tuple(some)), finite, texts, st.lists(intervals, max_size=2)
) | st.builds(lambda unit, reason: Estimate(None, unit, reason=reason), texts, st.text(min_size=1, max_size=9))
whole = st.integers(0, 10**9)
counts = st.builds(CellCounts, whole, whole, whole, whole, st.floats(0, 1e12))
uncertain = st.builds(
    lambda share, cells, more, estimate: UncertainCalls(share / 2, share, cells, cells + more, *[estimate] * 3),
    st.floats(0, 1),
    whole,
    whole,
    estimates,
)
network_errors = st.builds(NetworkError, texts) | st.builds(
    lambda one, two, three, four, estimate: NetworkError(one, two, three, four, (CorrectedFraction(one, estimate),)),
    texts,
    texts,
    texts,
    texts,
    estimates,
)
scores = st.builds(
    lambda marker, counted, one, two, cautions, calls, error: MarkerScore(
        marker, counted, one, two, one, tuple(cautions), calls, error, two, (one, two, one)
    ),
    texts,
    counts,
    estimates,
    estimates,
    st.lists(texts, max_size=2),
    st.none() | uncertain,
    network_errors,
)
outcomes: st.SearchStrategy[SlideOutcome] = st.one_of(
    st.builds(Scored, texts, stains, scores, st.lists(st.tuples(whole, counts), max_size=2).map(tuple), provenances),
    st.builds(NoTissue, texts, stains, provenances),
    st.builds(Failed, texts, stains, texts),
)


@given(outcomes)
def test_an_outcome_comes_back_exactly(outcome: SlideOutcome) -> None:
    written = json.dumps(outcome_json(outcome), allow_nan=False)
    assert outcome_from_json(json.loads(written)) == outcome


@given(outcomes)
def test_the_order_of_keys_does_not_depend_on_the_order_of_a_mapping(outcome: SlideOutcome) -> None:
    turned = json.loads(json.dumps(outcome_json(outcome)), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert json.dumps(outcome_json(outcome_from_json(turned))) == json.dumps(outcome_json(outcome))


def wrong(values: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    changed: dict[str, Any] = json.loads(json.dumps(values))
    *steps, last = path.split(".")
    place = changed
    for step in steps:
        place = place[step]
    place[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("outcome", "finished"),
        ("slide_id", 7),
        ("score.counts.negative", -1),
        ("score.counts.negative", "8766"),
        ("score.counts.negative", 8.5),
        ("score.counts.blue", 1),
        ("score.positive_fraction.value", None),
        ("score.h_score.value", float("nan")),
        ("score.uncertain.cells", 10_001),
        ("score.uncertain.high", 0.1),
        ("stain.chromogen", "ink"),
        ("stain.chromogen_assumed", 1),
        ("provenance.libraries", ["numpy"]),
        ("extra", "entry"),
    ],
)
def test_a_damaged_outcome_is_refused_with_the_cure(scored: Scored, path: str, value: object) -> None:
    with pytest.raises(OutputError, match="score the slide again"):
        outcome_from_json(wrong(outcome_json(scored), path, value))


def test_a_missing_entry_is_named(scored: Scored) -> None:
    values = outcome_json(scored)
    del values["score"]["counts"]["area_um2"], values["score"]["h_score"]
    with pytest.raises(OutputError, match=r"score\.h_score"):
        outcome_from_json(values)


def test_numbers_that_json_lacks_are_refused_on_the_way_out(scored: Scored) -> None:
    provenance = NoTissue("s", scored.stain, scored.provenance)
    settings = {"threshold": float("inf")}
    with pytest.raises(ValueError, match="inf"):
        outcome_json(
            NoTissue("s", scored.stain, Provenance(**{**fields_of(provenance.provenance), "settings": settings}))
        )


def fields_of(provenance: Provenance) -> dict[str, Any]:
    return {name: getattr(provenance, name) for name in Provenance.__dataclass_fields__}


def test_a_name_that_is_no_unicode_can_be_written_and_read(failed: Failed) -> None:
    values = outcome_json(Failed("a\udcff", failed.stain, failed.reason))
    json.dumps(values, ensure_ascii=False).encode("utf-8")
    assert outcome_from_json(values) == Failed("a?", failed.stain, failed.reason)


def test_a_report_states_whether_it_is_complete(report: BiopsyReport, complete_report: BiopsyReport) -> None:
    values = report_json(report)
    assert values["schema"] == "ihc_quant/report/1"
    assert values["complete"] is False
    assert values["missing"] == list(report.missing)
    assert [outcome["outcome"] for outcome in values["outcomes"]] == ["scored", "failed", "scored", "no_tissue"]
    assert report_json(complete_report)["complete"] is True
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_a_report_comes_back_exactly(full_report: BiopsyReport, report: BiopsyReport) -> None:
    for each in (full_report, report):
        written = json.dumps(report_json(each), allow_nan=False)
        assert report_from_json(json.loads(written)) == each
        assert json.dumps(report_json(report_from_json(json.loads(written)))) == written


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", "ihc_quant/report/0"),
        ("outcomes", {}),
        ("outcomes", ["scored"]),
        ("biopsy_day", "3"),
        ("complete", True),
        ("missing", []),
        ("flags", "none"),
        ("panel.ratios", None),
        ("sections", [{"slide_id": "another", "replicate": "", "details": {}, "scan": {}}]),
        ("extra", "entry"),
    ],
)
def test_a_damaged_report_is_refused_with_the_cure(report: BiopsyReport, path: str, value: object) -> None:
    with pytest.raises(OutputError, match="write the report again"):
        report_from_json(wrong(report_json(report), path, value))


def test_a_report_without_an_entry_is_refused(report: BiopsyReport) -> None:
    for name in ("outcomes", "panel", "site", "notice", "schema"):
        values = report_json(report)
        del values[name]
        with pytest.raises(OutputError, match="write the report again"):
            report_from_json(values)
