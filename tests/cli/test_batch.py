"""The commands ``batch`` and ``report``: exit codes, what is told where, and that nothing names a patient."""

import csv
import json
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from ihc_quant.batch import slide_worker
from ihc_quant.cli import console
from ihc_quant.execution.in_process import InProcess
from ihc_quant.slide.writing import write_pyramid
from tests.batch.manifests import drawn, twenty_faults

HEADER = ("slide_id", "biopsy_id", "patient_id", "site", "marker", "chromogen", "slide", "annotations")


@pytest.fixture
def batch(run: Any, painted_predictor: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that runs a command over slides, in this process: ``batch({"s1": path}, "--dry-run")``."""
    card = types.SimpleNamespace(card=painted_predictor.card, floats=dict)
    monkeypatch.setattr("ihc_quant.network.weights.load_weights", lambda _: card)
    monkeypatch.setattr("ihc_quant.network.precision.load_weights", lambda _: card)
    monkeypatch.setattr("ihc_quant.execution.worker_processes.WorkerProcesses", lambda *_args, **_options: InProcess())
    slide_worker._loaded.cache_clear()

    def ran(
        slides: dict[str, Path],
        *options: object,
        command: str = "batch",
        stains: Mapping[str, tuple[str, str]] = MappingProxyType({}),
        annotations: Mapping[str, Path] = MappingProxyType({}),
    ) -> Any:
        with Path("manifest.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER)
            for slide_id, slide in slides.items():
                stain = stains.get(slide_id, ("CCR4", "DAB"))
                writer.writerow((slide_id, "b1", "p1", "skin", *stain, slide, annotations.get(slide_id, "")))
        return run(command, "manifest.csv", "--tile", "256", *options)

    return ran


@pytest.fixture
def pixels(tiny_slide: Path) -> NDArray[np.uint8]:
    """Return a piece of painted tissue."""
    return np.asarray(tifffile.imread(tiny_slide, key=0)[40:280, 40:280], np.uint8)


@pytest.fixture
def slide(pixels: NDArray[np.uint8], tmp_path: Path) -> Path:
    """Return a small slide with tissue."""
    path = tmp_path / "accession-4711.tif"
    write_pyramid(path, pixels, 0.5, quality=95, levels=1)
    return path


def test_good_and_bad_slides(batch: Any, slide: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.tif").write_text("no slide")
    slides = {"s1": slide, "bad": tmp_path / "bad.tif"}
    result = batch(slides)
    assert result.exit_code == console.EXIT_SLIDE_FAILED, result.output
    assert result.stdout == "2 slides: 1 scored, 1 failed. Summary: out/summary.md\n"
    first, *lines = result.stderr.splitlines()
    assert first == "2 slides; measure: 2"
    assert lines[0].startswith("[1/2, ")
    assert " left] s1 CCR4: scored, " in lines[0]
    assert lines[1].startswith("[2/2] bad CCR4: not scored: ")
    assert lines[2] == "Not scored:"
    assert lines[3].startswith("  bad: no reader knows this")
    again = batch(slides)
    assert again.exit_code == console.EXIT_SLIDE_FAILED
    assert again.stderr.splitlines()[0] == "2 slides; done already: 1, failed before and left: 1"
    assert batch({"s1": slide}).exit_code == console.EXIT_DONE


def test_plan_writes_nothing(batch: Any, slide: Path) -> None:
    result = batch({"s1": slide}, "--dry-run")
    assert result.exit_code == console.EXIT_DONE
    assert result.stdout == "s1: measure: new\n1 slides; measure: 1. Nothing was written.\n"
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--call-by", "eye"), "eye"),
        (("--precision", "int4"), "int4"),
        (("--force", "--retry-failed"), "--force"),
        (("--dask", "tcp://nowhere:1", "--workers", "2"), "--workers"),
    ],
)
def test_nothing_starts_with_impossible_settings(batch: Any, slide: Path, options: tuple[str, ...], word: str) -> None:
    result = batch({"s1": slide}, *options)
    assert result.exit_code == console.EXIT_CANNOT_START
    assert result.stderr.startswith("error ")
    assert word in result.stderr
    assert not Path("out").exists()


def test_nothing_starts_without_manifest_or_folder(batch: Any, run: Any, slide: Path) -> None:
    assert run("batch", "nothing.csv").exit_code == console.EXIT_CANNOT_START
    Path("taken").touch()
    result = batch({"s1": slide}, "-o", "taken")
    assert result.exit_code == console.EXIT_CANNOT_START
    assert "file stands" in result.stderr
    assert batch({"x" * 300: slide}).exit_code == console.EXIT_CANNOT_START


@pytest.mark.parametrize("command", ["batch", "report"])
def test_files_that_are_missing_are_all_told_before_any_work(
    batch: Any, slide: Path, tmp_path: Path, command: str
) -> None:
    gone, mended = tmp_path / "gone.tif", tmp_path / drawn(tmp_path, "Dermis")
    slides = {"s1": slide, "s2": gone}
    for options in ((), ("--dry-run",)):
        result = batch(slides, *options, command=command)
        assert result.exit_code == console.EXIT_CANNOT_START
        assert result.stdout == ""
        (told,) = result.stderr.splitlines()
        assert told == f"error manifest.csv: line 3, slide: {gone}: there is no such file; check the path."
        assert not Path("out").exists()
    bad = tmp_path / "bad.geojson"
    bad.write_text("{")
    copy = tmp_path / "copy.tif"
    copy.write_bytes(slide.read_bytes())
    slides |= {"s3": copy}
    result = batch(slides, command=command, annotations={"s1": tmp_path / "gone.geojson", "s3": bad})
    assert result.exit_code == console.EXIT_CANNOT_START
    told = [line.split(": ")[1] for line in result.stderr.splitlines()]
    assert told == ["line 2, annotations", "line 3, slide", "line 4, annotations"]
    assert not Path("out").exists()
    result = batch({"s1": slide}, command=command, annotations={"s1": mended})
    assert result.exit_code == console.EXIT_DONE, result.output


def test_twenty_faults_of_two_hundred_slides_are_told_by_a_run(run: Any, batch: Any, tmp_path: Path) -> None:
    path, expected = twenty_faults(tmp_path)
    for command in (("manifest", "check"), ("report",), ("batch",)):
        result = run(*command, path)
        assert result.exit_code == console.EXIT_CANNOT_START
        told = [tuple(line.split(": ")[1].split(", ")) for line in result.stderr.splitlines()]
        assert told == expected
        assert not Path("out").exists()


def test_files_of_results_that_are_kept_may_be_put_away(batch: Any, slide: Path, tmp_path: Path) -> None:
    second, bad, new = (tmp_path / name for name in ("second.tif", "bad.tif", "new.tif"))
    second.write_bytes(slide.read_bytes())
    bad.write_text("no slide")
    slides = {"s1": slide, "s2": second, "bad": bad}
    assert batch(slides, command="report").exit_code == console.EXIT_SLIDE_FAILED
    before = Path("out/cohort.csv").read_bytes()
    for path in slides.values():
        path.unlink()

    again = batch(slides, command="report")
    assert again.exit_code == console.EXIT_SLIDE_FAILED
    assert again.stderr.startswith("3 slides; done already: 2, failed before and left: 1\n")
    assert "bad: keep: failed before; the slide is not there" in batch(slides, "--dry-run").stdout
    assert Path("out/cohort.csv").read_bytes() == before
    called = batch(slides, "--threshold", "0.9", command="report")
    assert "score again from the cell table: 2" in called.stderr

    def lines(result: Any) -> list[str]:
        assert result.exit_code == console.EXIT_CANNOT_START
        return [line.split(": ")[1] for line in result.stderr.splitlines()]

    assert lines(batch({**slides, "new": new}, command="report")) == ["line 5, slide"]
    every = ["line 2, slide", "line 3, slide", "line 4, slide"]
    assert lines(batch(slides, "--tile", "512")) == every
    assert lines(batch(slides, "--force")) == every
    assert lines(batch(slides, "--retry-failed")) == every[2:]
    # Of a line with another fault the slide is missed only where no results are there.
    assert lines(batch({**slides, "new": new}, stains={"s1": ("CD99", "DAB"), "new": ("CD99", "DAB")})) == [
        "lines 2, 5, marker",
        "line 5, slide",
    ]
    drawing = tmp_path / drawn(tmp_path, "Dermis")
    placed = batch(slides, "--threshold", "0.9", annotations={"s1": drawing})
    assert "score again from the cell table: 1" in placed.stderr
    drawing.unlink()
    assert lines(batch(slides, "--threshold", "0.9", annotations={"s1": drawing})) == ["line 2, annotations"]


def test_interruption_and_faults_have_codes_of_their_own(batch: Any, slide: Path, monkeypatch: Any) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ihc_quant.batch.slide_overview.find_tissue", stop)
    result = batch({"s1": slide})
    assert result.exit_code == console.EXIT_INTERRUPTED
    assert json.loads(Path("out/run.json").read_text())["state"] == "interrupted"

    def fail(*_: object) -> None:
        raise ZeroDivisionError("here")

    monkeypatch.setattr("ihc_quant.batch.slide_overview.find_tissue", fail)
    result = batch({"s1": slide})
    assert result.exit_code == console.EXIT_BUG
    assert "ZeroDivisionError: here" in result.stderr


def planted(path: Path, rgb: NDArray[np.uint8], names: list[str]) -> None:
    """Write a slide that names a patient wherever a TIFF can."""
    description, artist, software, host = names
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(
            rgb,
            photometric="rgb",
            tile=(256, 256),
            compression="jpeg",
            compressionargs={"level": 95},
            description=f"Aperio Image Library v12\n240x240 [0,0 240x240]|AppMag = 20|MPP = 0.5|User = {description}",
            software=software,
            resolution=(20000, 20000),
            resolutionunit="CENTIMETER",
            extratags=[(315, 2, 0, artist, True), (316, 2, 0, host, True)],
            metadata=None,
        )
        # Label and macro, as scanners add them.
        for kind in ("label", "macro"):
            tiff.write(
                np.full((64, 64, 3), 200, np.uint8),
                photometric="rgb",
                description=f"Aperio Image Library v12\n{kind} 64x64 {description}",
                metadata=None,
            )


def test_no_output_names_the_patient(batch: Any, pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    names = ["MUSTERMANN-ERIKA", "ARTIST-19560812", "SOFT-WARE-S24-0815", "HOST-KLINIK-7"]
    folder = tmp_path / "Patientin Mustermann 1956"
    folder.mkdir()
    slide = folder / "S24-4711 Käthe.svs"
    planted(slide, pixels, names)
    bad = folder / "S24-4712 Käthe.svs"
    bad.write_bytes(slide.read_bytes()[:2000])
    other = folder / "S24-4713 Käthe.svs"
    other.write_text("no slide")
    weights, blood = folder / "S24-4714 Käthe.json", folder / "S24-4715 Käthe.csv"
    weights.touch()
    blood.write_text("patient_id,day,timepoint,aec_1e9_l\np1,0,treatment_start,2.0\n", encoding="utf-8")
    shown = folder / "S24-4716 Käthe.svs"
    shown.write_bytes(slide.read_bytes())
    slides = {"s1": slide, "s2": bad, "s3": other, "h1": shown}
    options = ("-o", "out", "--weights", weights, "--clinical", blood, "--pdf")
    result = batch(slides, *options, command="report", stains={"h1": ("H&E", "none")})
    assert result.exit_code == console.EXIT_SLIDE_FAILED, result.output
    assert result.stdout.count("Written: ") >= 1
    files = [path for path in Path("out").rglob("*") if path.is_file()]
    assert {"summary.md", "run.json", "run.log", "cells.parquet", "report.html"} <= {path.name for path in files}
    secrets = [*names, *(path.stem for path in (slide, bad, other, weights, blood, shown)), "Mustermann", str(tmp_path)]
    told = 0
    for path in files:
        data = path.read_bytes()
        found = [secret for secret in secrets if spelled(secret, data)]
        if path.name in {"run.json", "run.log"}:
            told += "Mustermann" in found
        else:
            assert not found, path
    assert told == 2


def spelled(secret: str, data: bytes) -> bool:
    """Return whether data holds a text in any spelling that files use."""
    escaped = secret.encode("ascii", "xmlcharrefreplace"), json.dumps(secret)[1:-1].encode()
    return any(text in data for text in (secret.encode(), secret.encode("utf-16-le"), *escaped))


def test_report_follows_the_scores(batch: Any, slide: Path) -> None:
    slides = {"s1": slide}
    result = batch(slides, command="report")
    assert result.exit_code == console.EXIT_DONE, result.output
    report = json.loads(Path("out/biopsies/b1/report.json").read_text())
    result = batch(slides, "--threshold", "0.9", command="report")
    assert "score again from the cell table: 1" in result.stderr
    assert json.loads(Path("out/biopsies/b1/report.json").read_text()) != report


LETTER = """patient_id,day,timepoint,cd3neg_cd4pos_pct,cd3neg_cd4pos_1e9_l,aec_1e9_l,response_stated
p1,-30,diagnosis,67.0,4.624,30.0,
p1,0,treatment_start,,4.624,,
p1,90,last_infusion,,0.003,,complete
p2,-30,diagnosis,30.7,0.336,2.0,
p2,0,treatment_start,,0.336,,
p2,90,last_infusion,,0.050,,partial
p3,-30,diagnosis,15.1,0.231,18.0,
p3,0,treatment_start,,1.824,,
p3,90,last_infusion,,0.006,,complete
p4,-30,diagnosis,61.0,1.921,1.5,
p4,0,treatment_start,,55.586,,
p4,90,last_infusion,,9.035,,partial
"""
"""The four cases of the letter; its days are not printed and are made up here."""


def test_blood_counts_reach_the_cohort(batch: Any, slide: Path) -> None:
    Path("blood.csv").write_text(LETTER, encoding="utf-8")
    result = batch({"s1": slide}, "--clinical", "blood.csv", command="report")
    assert result.exit_code == console.EXIT_DONE, result.output
    assert all(case in result.stderr for case in ("p2", "p3", "p4")), "patients without a biopsy here are named"
    with Path("out/cohort.csv").open(newline="", encoding="utf-8") as file:
        (biopsy,) = csv.DictReader(file)
    assert biopsy["response_stated"] == "complete"
    assert biopsy["blood_response"] == "at least partial; complete not evaluable"
    before = Path("out/cohort.csv").read_bytes()
    slide.unlink()
    result = batch({"s1": slide}, "--clinical", "blood.csv", command="report")
    assert "done already: 1" in result.stderr
    assert "results of the same settings are kept without: s1" in result.stderr
    assert Path("out/cohort.csv").read_bytes() == before


def test_all_faults_of_the_blood_counts_are_told_before_anything_is_done(batch: Any, slide: Path) -> None:
    faulty = LETTER.replace("67.0", "670").replace("p2,0,treatment_start", "p2,0,sometime").replace("18.0", "many")
    Path("blood.csv").write_text(faulty, encoding="utf-8")
    result = batch({"s1": slide}, "--clinical", "blood.csv", command="report")
    assert result.exit_code == console.EXIT_CANNOT_START
    for word in ("670", "sometime", "many"):
        assert word in result.stderr
    assert not Path("out").exists()


def test_no_workers_is_this_process(batch: Any, slide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ihc_quant.execution.worker_processes.WorkerProcesses", None)
    result = batch({"s1": slide}, "--workers", "0", "--no-proposal")
    assert result.exit_code == console.EXIT_DONE, result.output
    settings = json.loads(Path("out/run.json").read_text())["settings"]
    assert (settings["workers"], settings["no_proposal"]) == (0, True)
    values = json.loads(Path("out/slides/s1/slide.json").read_text())
    assert values["measurement"]["propose_infiltrate"] is False


def test_a_pdf_is_written_where_asked(batch: Any, slide: Path) -> None:
    pytest.importorskip("reportlab")
    result = batch({"s1": slide}, "--pdf", command="report")
    assert result.exit_code == console.EXIT_DONE, result.output
    assert Path("out/biopsies/b1/report.pdf").read_bytes().startswith(b"%PDF-")
