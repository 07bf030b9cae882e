"""The command ``evaluate``: readers in a table, the machine from results or a table, cells in GeoJSON."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ihc_quant.batch.cell_store import read_columns
from ihc_quant.batch.machine_reader import values_of_results, values_of_table
from ihc_quant.cli import console
from ihc_quant.domain.agreement import Measure
from ihc_quant.errors import SettingsError


def refused(result: Any, *words: str) -> None:
    assert result.exit_code == console.EXIT_CANNOT_START, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error ")
    assert line.endswith(".")
    for word in words:
        assert word in line


def readings(path: str, kind: str, targets: list[str], **readers: list[float]) -> None:
    rows = [f"{target},{name},{value}" for name, given in readers.items()
            for target, value in zip(targets, given, strict=True)]  # fmt: skip
    Path(path).write_text("\n".join([f"{kind},reader,value", *rows, ""]))


TARGETS = ["b1", "b2", "b3", "b4", "b5"]
ANN, BOB, MACHINE = [5.0, 12, 30, 44, 71], [8.0, 9, 33, 40, 80], [6.0, 14, 28, 47, 70]


def test_readers_with_the_machine_in_the_table(run: Any) -> None:
    readings("r.csv", "biopsy_id", TARGETS, Ann=ANN, Bob=BOB, machine=MACHINE)
    result = run("evaluate", "r.csv", "--cuts", "high:>25", "--cuts", "10", "-o", "out")
    assert result.exit_code == 0, result.output
    assert "5 biopsies, 3 readers; the machine is the reader 'machine'" in result.stdout
    assert "scheme high: ≤ 25 | > 25" in result.stdout
    page = Path("out/agreement.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    written = json.loads(Path("out/agreement.json").read_text(encoding="utf-8"))
    printed = json.loads(run("evaluate", "r.csv", "--cuts", "high:>25", "--cuts", "10", "--json").stdout)
    assert written == printed
    assert [pair["with_machine"] for pair in printed["pairs"]] == [True, True, False]
    assert run("evaluate", "readers", "r.csv").stdout == run("evaluate", "r.csv").stdout


def test_machine_from_a_column_of_a_table(run: Any) -> None:
    readings("r.csv", "biopsy_id", TARGETS, Ann=ANN, Bob=BOB)
    Path("cohort.csv").write_text(
        "biopsy_id,ccr4_fraction,note\n" + "".join(f"{t},{m / 100},\n" for t, m in zip(TARGETS, MACHINE, strict=True))
    )
    arguments = ("evaluate", "r.csv", "--machine", "cohort.csv")
    result = run(*arguments, "--column", "ccr4_fraction", "--times", "100", "--json")
    values = json.loads(result.stdout)
    assert values["machine"] == "machine"
    assert values["pairs"][0]["of_one"] == pytest.approx(MACHINE)
    refused(run(*arguments), "--column")
    refused(run(*arguments, "--column", "ccr4"), "no column 'ccr4'", "ccr4_fraction")
    refused(run("evaluate", "r.csv", "--times", "100"), "--machine")


def test_published_schemes_by_their_id(run: Any) -> None:
    readings("r.csv", "biopsy_id", TARGETS, Ann=ANN, Bob=BOB, machine=MACHINE)
    result = run("evaluate", "r.csv", "--scheme", "kobe-poteligeo-test", "--scheme", "geller-2020-infiltrate-25")
    assert "scheme kobe-poteligeo-test: negative | positive" in result.stdout, result.output
    assert "scheme geller-2020-infiltrate-25: low | high" in result.stdout
    refused(run("evaluate", "r.csv", "--scheme", "kobe"), "no such scheme", "kobe-poteligeo-test")
    refused(run("evaluate", "r.csv", "--scheme", "kobe-poteligeo-test", "--measure", "density"), "percentages")


def test_a_scheme_leaves_out_what_a_report_would_not_judge(run: Any) -> None:
    targets = [f"b{number}" for number in range(1, 9)]
    figures = [5.0, 12, 30, 44, 71, 28, 20, 60]
    readings("r.csv", "biopsy_id", targets, Ann=figures)
    stated = {
        "b2": ("lymph_node", "drawn", 900),
        "b4": ("skin", '"proposed, not reviewed"', 900),
        "b5": ("skin", "drawn", 99),
    }
    rows = [
        ",".join(map(str, (target, *stated.get(target, ("skin", "drawn", 900)), figure / 100, figure / 100)))
        for target, figure in zip(targets, figures, strict=True)
    ]
    infiltrate = "ccr4_infiltrate_positive_fraction"
    header = f"biopsy_id,site,ccr4_infiltrate_origin,ccr4_infiltrate_cells,{infiltrate},ccr4_positive_fraction"
    Path("cohort.csv").write_text("\n".join([header, *rows, ""]))
    arguments = ("evaluate", "r.csv", "--machine", "cohort.csv", "--times", "100", "--missing", "pairwise", "--column")
    result = run(*arguments, infiltrate, "--scheme", "geller-2020-infiltrate-25", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["pairs"][0]["targets"] == ["b1", "b3", "b6", "b7", "b8"]
    for words in (
        "b2 (of lymph_node, and geller-2020-infiltrate-25 is for skin)",
        "b4 (infiltrate proposed, not reviewed)",
        "b5 (99 cells, fewer than 100)",
    ):
        assert words in result.stderr
    without = run(*arguments, infiltrate, "--cuts", "25", "--json")
    assert len(json.loads(without.stdout)["pairs"][0]["targets"]) == 8
    refused(run(*arguments, "ccr4_positive_fraction", "--scheme", "blood-2012-skin-5"), f"name {infiltrate}")
    refused(run(*arguments, infiltrate, "--scheme", "kobe-poteligeo-test"), "no column of it")


def test_rows_of_the_machines_table(tmp_path: Path) -> None:
    path = tmp_path / "cohort.csv"
    path.write_text("biopsy_id,v\n'-1,0.5\nb2,\n")
    assert values_of_table(path, "biopsy_id", "v", Measure.PERCENT, 100.0) == {"-1": 50.0}
    path.write_text("biopsy_id,v\nb1,50\n")
    with pytest.raises(SettingsError, match=r"line 2, v: 5000.0 is not possible for percent"):
        values_of_table(path, "biopsy_id", "v", Measure.PERCENT, 100.0)
    path.write_text("biopsy_id,v\nb1,50\nb1,51\n")
    with pytest.raises(SettingsError, match=r"line 3, biopsy_id: 'b1' stands there already"):
        values_of_table(path, "biopsy_id", "v", Measure.PERCENT, 1.0)


def test_machine_from_results(run: Any, scored: Path) -> None:
    shutil.copytree(scored, "out/slides/s1")
    score = json.loads((scored / "slide.json").read_text(encoding="utf-8"))["result"]["score"]
    assert values_of_results(Path("out"), Measure.PERCENT)[scored.name] == pytest.approx(
        100 * score["positive_fraction"]["value"]
    )
    assert values_of_results(Path("out"), Measure.H_SCORE)[scored.name] == score["h_score"]["value"]
    readings("r.csv", "slide_id", [scored.name, "s2", "s3", "s4"], Ann=ANN[:4], Bob=BOB[:4])
    result = run("evaluate", "r.csv", "--machine", "out", "--missing", "pairwise", "--json")
    assert [len(pair["targets"]) for pair in json.loads(result.stdout)["pairs"]] == [1, 1, 4]
    refused(run("evaluate", "r.csv", "--machine", "out"), "1 of 4 targets", "--missing pairwise")
    refused(run("evaluate", "r.csv", "--machine", "elsewhere"), "elsewhere", "no results")
    readings("b.csv", "biopsy_id", TARGETS, Ann=ANN)
    refused(run("evaluate", "b.csv", "--machine", "out"), "cohort.csv")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--missing", "some"), "--missing some"),
        (("--order", "a,,b"), "--order a,,b"),
        (("--cuts", "x"), "--cuts x"),
        (("--times", "0"), "--times 0"),
        (("--order", "a,b"), "column category"),
    ],
)
def test_options_that_do_not_do(run: Any, arguments: tuple[str, str], word: str) -> None:
    readings("r.csv", "biopsy_id", TARGETS, Ann=ANN, Bob=BOB)
    refused(run("evaluate", "r.csv", *arguments), word)


def test_a_table_with_one_fault_is_one_sentence(run: Any) -> None:
    Path("r.csv").write_text("slide_id,reader,value\ns1,Ann,5\ns1,Bob,about 7\n")
    refused(run("evaluate", "r.csv"), "r.csv: line 3, value: 'about 7' is no number; write for example 12.5")
    refused(run("evaluate", "missing.csv"), "no such table")


def annotate(scored: Path, *, drop: int, mpp: float = 0.5) -> dict[str, Any]:
    """Return the found cells themselves as annotations, but for the last ones, with the whole slide as valid area."""
    cells = read_columns(scored / "cells.parquet", ["x_l0", "y_l0", "positive"])
    features: list[dict[str, Any]] = [
        {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [700, 0], [700, 600], [0, 600], [0, 0]]]},
         "properties": {"classification": {"name": "Region*"}}}
    ]  # fmt: skip
    for x, y, positive in list(zip(*(cells[name].tolist() for name in cells), strict=True))[
        : len(cells["x_l0"]) - drop
    ]:
        features.append(
            {"geometry": {"type": "Point", "coordinates": [x, y]},
             "properties": {"classification": {"name": "Positive" if positive else "Negative"}}}
        )  # fmt: skip
    return {"type": "FeatureCollection", "features": [{"type": "Feature", **feature} for feature in features]}


def test_cells_against_annotations(run: Any, scored: Path) -> None:
    shutil.copytree(scored, "out/slides/s1")
    total = len(read_columns(scored / "cells.parquet", ["x_l0"])["x_l0"])
    Path("a.geojson").write_text(json.dumps(annotate(scored, drop=10)))
    values = json.loads(run("evaluate", "cells", "a.geojson", "--json").stdout)
    assert values["slide_id"] == scored.name
    either = values["figures"][2]
    assert (either["tp"], either["fp"], either["fn"]) == (total - 10, 10, 0)
    assert either["recall"]["value"] == 1
    assert values["area_mm2"] == pytest.approx(700 * 600 * 0.25 / 1e6)
    assert np.sum(values["calls"]) == total - 10
    lines = run("evaluate", "cells", "a.geojson", "-r", "out/slides/s1").stdout.splitlines()
    assert lines[0].startswith(f"{scored.name}: {total - 10} marked and {total} found cells")
    assert lines[-1].startswith("For research use only")
    Path("classes.yaml").write_text("classes:\n  Positive: negative\n  Negative: positive\n  Region*: valid\n")
    swapped = json.loads(run("evaluate", "cells", "a.geojson", "--classes", "classes.yaml", "--json").stdout)
    assert swapped["figures"][2] == either
    assert swapped["figures"][0]["tp"] == 0


def test_cells_that_cannot_be_compared(run: Any, scored: Path) -> None:
    Path("a.geojson").write_text(json.dumps(annotate(scored, drop=0)))
    refused(run("evaluate", "cells", "a.geojson"), "out", "no results")
    for name in ("s1", "s2"):
        shutil.copytree(scored, f"out/slides/{name}")
    refused(run("evaluate", "cells", "a.geojson"), "2 slides", "--results")
    refused(run("evaluate", "cells", "b.geojson", "-r", "out/slides/s1"), "b.geojson", "check the path")
