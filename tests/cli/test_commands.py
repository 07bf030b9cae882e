"""The commands: exit codes, what stands on stdout and on stderr, and odd input of every kind."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from ihc_quant.cli import console
from ihc_quant.network import predictor
from ihc_quant.network.card import WEIGHTS_FOLDER
from ihc_quant.slide.writing import write_pyramid

REAL_LOAD = predictor.load_predictor
MARKER = ("--marker", "CCR4")


def refused(result: Any, code: int, *words: str) -> None:
    """Check that a command ended with one sentence on stderr and nothing on stdout."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error ")
    assert lines[0].endswith(".")
    for word in words:
        assert word in lines[0]


def nothing_written() -> bool:
    return list(Path().iterdir()) == []


def test_score_tells_the_figures(run: Any, tiny_slide: Path) -> None:
    result = run("score", tiny_slide, *MARKER)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    first, *_, last = result.stdout.splitlines()
    assert first.startswith("slide-")
    assert "assumed" in first
    assert last.startswith("Results: out")
    assert "For research use only" in result.stdout
    assert (Path(last.removeprefix("Results: ")) / "cells.parquet").is_file()


def test_json_is_all_that_stands_on_stdout(run: Any, tiny_slide: Path) -> None:
    result = run("score", tiny_slide, *MARKER, "--slide-id", "µ 1", "--json")
    assert result.exit_code == 0
    values = json.loads(result.stdout)
    assert values["outcome"] == "scored"
    assert values["slide_id"] == "µ 1"
    assert result.stdout.isascii()
    for command in (("inspect", tiny_slide), ("weights",)):
        assert json.loads(run(*command, "--json").stdout)


def test_failed_slide_is_json_too(run: Any) -> None:
    result = run("score", "nothing.svs", *MARKER, "--json")
    assert result.exit_code == console.EXIT_SLIDE_FAILED
    assert json.loads(result.stdout)["outcome"] == "failed"
    assert json.loads(result.stdout)["folder"] is None
    assert result.stderr.startswith("error nothing.svs: ")


def test_slide_without_tissue_is_done(run: Any, tmp_path: Path) -> None:
    write_pyramid(tmp_path / "white.tif", np.full((400, 400, 3), 244, np.uint8), 0.5)
    result = run("score", tmp_path / "white.tif", *MARKER)
    assert result.exit_code == console.EXIT_DONE
    assert "no tissue" in result.stdout


def test_rescore_and_export(run: Any, scored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ihc_quant.batch.derivation.draw_pictures", lambda *_: None)
    shutil.copytree(scored, "out/slides/s1")
    figures = {}
    for threshold in ("0.2", "0.9"):
        values = json.loads(run("rescore", "out", "--threshold", threshold, "--json").stdout)
        figures[threshold] = values["slides"][0]["score"]["counts"]
    assert figures["0.2"]["negative"] < figures["0.9"]["negative"]
    assert f"{scored.name}: CCR4" in run("rescore", "out/slides/s1", "--call-by", "od").stdout
    assert run("export", "out", "--geojson").stdout == "Written: out/slides/s1/cells.geojson\n"
    assert json.loads(Path("out/slides/s1/cells.geojson").read_text())["features"]
    said = run("export", "out", "--regions").stdout
    assert said == "Nothing was drawn or proposed: out/slides/s1\n", "score proposes only where asked"
    (Path("out/slides/s1/tiles.parquet")).write_bytes(b"")
    refused(run("rescore", "out"), console.EXIT_CANNOT_START, "score the slide again")
    refused(run("rescore", "elsewhere"), console.EXIT_CANNOT_START, "no results")
    refused(run("export", "out"), console.EXIT_CANNOT_START, "--geojson for cells or --regions")


NAMES = [
    "<img src=x onerror=alert(1)>.tif",
    "[red]x[/].tif",
    "[/red].tif",
    ":smile:.tif",
    "trailing\\",
    "new\nline.tif",
    "\x1b[31mred.tif",
    "µ ü 切片.tif",
    "a" * 200 + ".tif",
    "%s {0}.tif",
]


@pytest.mark.parametrize("name", NAMES)
def test_missing_slide_with_odd_name(run: Any, name: str) -> None:
    shown = "".join(character if character.isprintable() else "�" for character in name)
    refused(run("score", name, *MARKER), console.EXIT_SLIDE_FAILED, f"error {shown}: ")
    refused(run("inspect", name), console.EXIT_SLIDE_FAILED, f"error {shown}: ")
    assert nothing_written()


@pytest.mark.parametrize("name", NAMES)
def test_real_slide_with_odd_name(run: Any, tmp_path: Path, name: str) -> None:
    write_pyramid(tmp_path / "white.tif", np.full((300, 300, 3), 244, np.uint8), 0.5)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    (tmp_path / "white.tif").rename(path)
    result = run("score", path, *MARKER)
    assert result.exit_code == 0, result.output
    assert "no tissue" in result.stdout
    assert json.loads(run("inspect", path, "--json").stdout)["slide"] == str(path)
    assert run("inspect", path).exit_code == 0
    results = [file for file in Path("out").rglob("*") if file.is_file()]
    assert len(results) > 5
    assert not [file for file in results if name.removesuffix(".tif").encode() in file.read_bytes()]


@pytest.mark.skipif(os.name != "posix", reason="names of bytes exist on POSIX only")
def test_name_that_is_no_text(run: Any, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.tif")
    refused(run("score", path, *MARKER), console.EXIT_SLIDE_FAILED, "caf�.tif: ")
    write_pyramid(tmp_path / "white.tif", np.full((300, 300, 3), 244, np.uint8), 0.5)
    (tmp_path / "white.tif").rename(path)
    refused(run("score", path, *MARKER, "--slide-id", os.fsdecode(b"\xe9")), console.EXIT_CANNOT_START, "folder")
    assert run("score", path, *MARKER).exit_code == 0
    assert run("inspect", path, "--json").exit_code == 0


def broken(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "slide.tif"
    match kind:
        case "folder":
            path.mkdir()
        case "empty":
            path.touch()
        case "text":
            path.write_text("no slide at all")
        case "link":
            path.symlink_to(tmp_path / "nowhere")
        case "pipe":
            os.mkfifo(path)
        case "cut":
            write_pyramid(path, np.full((600, 600, 3), 200, np.uint8), 0.5)
            path.write_bytes(path.read_bytes()[:300])
    return path


@pytest.mark.parametrize("kind", ["folder", "empty", "text", "link", "pipe", "cut"])
def test_what_is_no_slide(run: Any, tmp_path: Path, kind: str) -> None:
    path = broken(tmp_path, kind)
    refused(run("score", path, *MARKER), console.EXIT_SLIDE_FAILED, str(path))
    assert nothing_written()


def test_missing_calibration_names_the_option(run: Any, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "crop.png"), np.full((300, 300, 3), 244, np.uint8))
    refused(run("score", tmp_path / "crop.png", *MARKER), console.EXIT_SLIDE_FAILED, "--mpp")
    assert run("score", tmp_path / "crop.png", *MARKER, "--mpp", "0.5").exit_code == 0


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--marker", "CD99"), "CCR4"),
        (("--marker", "[red]x[/]"), "[red]x[/]"),
        ((*MARKER, "--chromogen", "AEC"), "DAB"),
        ((*MARKER, "--chromogen", "ink"), "Fast Red"),
        ((*MARKER, "--mpp", "0"), "--mpp"),
        ((*MARKER, "--mpp", "352.8"), "--mpp"),
        ((*MARKER, "--mpp", "nan"), "--mpp"),
        ((*MARKER, "--cuts", "0.2"), "0.2,0.4,0.6"),
        ((*MARKER, "--cuts", ""), "0.2,0.4,0.6"),
        ((*MARKER, "--cuts", "0.2,0.4,inf"), "0.2,0.4,0.6"),
        ((*MARKER, "--cuts", "a,b,c"), "0.2,0.4,0.6"),
        ((*MARKER, "--cuts", "0.6,0.4,0.2"), "ascend"),
        ((*MARKER, "--call-by", "eye"), "eye"),
        ((*MARKER, "--compartment", "membrane"), "membrane"),
        ((*MARKER, "--tile", "100"), "multiple"),
        ((*MARKER, "--tile", "0"), "--tile"),
        ((*MARKER, "--margin", "16"), "--margin"),
        ((*MARKER, "--runtime", "abacus"), "runtime"),
        ((*MARKER, "--precision", "int4"), "--precision int4"),
    ],
)
def test_impossible_settings(run: Any, tiny_slide: Path, options: tuple[str, ...], word: str) -> None:
    refused(run("score", tiny_slide, *options), console.EXIT_CANNOT_START, word)
    assert nothing_written()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("slide.svs",),
        ("slide.svs", *MARKER, "--tile", "many"),
        ("a", *MARKER, "--threshold", "nan"),
        ("a", "[red]b[/]", *MARKER),
        ("--x",),
    ],
)
def test_wrong_usage(run: Any, arguments: tuple[str, ...]) -> None:
    result = run("score", *arguments)
    assert result.exit_code == console.EXIT_CANNOT_START
    assert result.stdout == ""
    assert "Usage:" in result.stderr
    assert "Traceback" not in result.stderr
    assert "[red]b[/]" in result.stderr or "[red]b[/]" not in arguments


def test_impossible_slide_id(run: Any, tiny_slide: Path) -> None:
    for identifier in ("", " ", "x" * 300):
        refused(
            run("score", tiny_slide, *MARKER, "--slide-id", identifier),
            console.EXIT_CANNOT_START,
            "cannot name a folder",
        )
    assert nothing_written()


@pytest.mark.parametrize(
    ("option", "values"),
    [("--runtime", "auto, torch, openvino"), ("--precision", "auto, float32, bfloat16, int8")],
)
def test_an_unknown_way_to_compute(run: Any, tiny_slide: Path, option: str, values: str) -> None:
    result = run("score", tiny_slide, *MARKER, option, "foo")
    refused(result, console.EXIT_CANNOT_START, f"{option} foo: unknown; use {values}.")
    assert nothing_written()


@pytest.mark.skipif(not (WEIGHTS_FOLDER / "open.json").is_file(), reason="the open weights are not here")
def test_integers_that_weights_were_not_taught_for_are_cautioned_in_one_line(run: Any, tiny_slide: Path) -> None:
    asked = ("score", tiny_slide, *MARKER, "--precision", "int8", "--weights")
    (line,) = (each for each in run(*asked, "open").stderr.splitlines() if each.startswith("caution: "))
    assert "not taught to be held in integers" in line
    assert "caution: " not in run(*asked, "default", "-o", "other").stderr


def test_output_that_is_a_file(run: Any, tiny_slide: Path) -> None:
    Path("results").write_text("mine")
    refused(
        run("score", tiny_slide, *MARKER, "-o", "results"), console.EXIT_CANNOT_START, "results", "file stands", "-o"
    )
    assert Path("results").read_text() == "mine"


def test_weights_that_cannot_be_used(
    run: Any, tiny_slide: Path, tmp_path: Path, painted_predictor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor, "load_predictor", REAL_LOAD)
    card = tmp_path / "mine.json"

    def score() -> Any:
        return run("score", tiny_slide, *MARKER, "--weights", card)

    refused(score(), console.EXIT_CANNOT_START, "no such weights")
    card.write_text(painted_predictor.card.model_dump_json())
    refused(score(), console.EXIT_CANNOT_START, "mine.safetensors", "missing")
    card.with_suffix(".safetensors").write_bytes(b"flipped")
    refused(score(), console.EXIT_CANNOT_START, "digest")
    card.write_text("{}")
    refused(score(), console.EXIT_CANNOT_START, "not a valid weights' card")
    assert nothing_written()


@pytest.mark.skipif(not (WEIGHTS_FOLDER / "default.json").is_file(), reason="the default weights are not here")
def test_one_flipped_byte_in_real_weights(run: Any, tiny_slide: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(predictor, "load_predictor", REAL_LOAD)
    for suffix in (".json", ".safetensors"):
        shutil.copy(WEIGHTS_FOLDER / f"default{suffix}", tmp_path / f"mine{suffix}")
    data = bytearray((tmp_path / "mine.safetensors").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "mine.safetensors").write_bytes(data)
    result = run("score", tiny_slide, *MARKER, "--weights", tmp_path / "mine.safetensors")
    refused(result, console.EXIT_CANNOT_START, "digest")


def test_fault_of_the_program_shows_a_traceback(run: Any, tiny_slide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("here")

    monkeypatch.setattr("ihc_quant.batch.slide_overview.find_tissue", fail)
    result = run("score", tiny_slide, *MARKER)
    assert result.exit_code == console.EXIT_BUG
    assert "Traceback" in result.stderr
    assert "ZeroDivisionError: here" in result.stderr
    assert result.stdout == ""
    assert nothing_written()
    result = run("inspect", tiny_slide)
    assert result.exit_code == console.EXIT_BUG
    assert "Please report it" in result.stderr


def test_interruption(run: Any, tiny_slide: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ihc_quant.batch.slide_measuring.estimate_white_point", stop)
    result = run("score", tiny_slide, *MARKER)
    assert result.exit_code == console.EXIT_INTERRUPTED
    assert result.stderr.startswith("interrupted")
    assert nothing_written()


def test_demo_goes_on_after_a_damaged_slide(run: Any, tmp_path: Path, tiny_slide: Path, monkeypatch: Any) -> None:
    samples = tmp_path / "samples"
    samples.mkdir()
    shutil.copy(tiny_slide, samples / "a.tif")
    (samples / "b.tif").write_text("damaged")
    (samples / "manifest.csv").write_text(
        "slide_id,biopsy_id,patient_id,site,marker,chromogen,slide\n"
        "b-CD4,b,p,skin,CD4,DAB,b.tif\nb-CCR4,b,p,skin,CCR4,DAB,a.tif\n"
    )
    monkeypatch.setattr("ihc_quant.cli.score.SAMPLES", samples)
    result = run("demo")
    assert result.exit_code == console.EXIT_SLIDE_FAILED
    assert "error" in result.stderr
    page = Path("out/demo/biopsies/b/report.html").read_text()
    assert "data:image/png" in page
    report = json.loads(Path("out/demo/biopsies/b/report.json").read_text())
    assert [outcome["outcome"] for outcome in report["outcomes"]] == ["failed", "scored"]
    assert report["complete"] is False
    run("rescore", "out/demo", "--threshold", "0.99")
    rescored = json.loads(Path("out/demo/biopsies/b/report.json").read_text())
    assert rescored["outcomes"][0] == report["outcomes"][0]
    assert rescored["outcomes"][1]["score"]["counts"] != report["outcomes"][1]["score"]["counts"]
    assert Path("out/demo/biopsies/b/report.html").read_text() != page
    run("rescore", "out/demo/slides/b-CCR4")
    assert json.loads(Path("out/demo/biopsies/b/report.json").read_text()) == report
    assert Path("out/demo/biopsies/b/report.html").read_text() == page
    for secret in ("a.tif", "b.tif", str(tmp_path)):
        assert secret not in page
        assert secret not in json.dumps(report)


def test_look_only_commands(run: Any, tiny_slide: Path) -> None:
    assert "can be scored: yes" in run("inspect", tiny_slide).stdout
    assert run("weights").exit_code == 0
    assert run("--version").stdout.startswith("ihc-quant ")
    doctor = run("doctor")
    assert doctor.exit_code == 0, doctor.output
    assert "python" in doctor.stdout
    assert nothing_written()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_stdout_that_takes_nothing(tiny_slide: Path) -> None:
    program = [sys.executable, "-c", "from ihc_quant.cli.main import main; main()", "inspect", str(tiny_slide)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == console.EXIT_CANNOT_START
    assert done.stderr.splitlines()[0] == (
        "error stdout: it cannot be written (No space left on device); send it to another place."
    )
    assert "Traceback" not in done.stderr
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(program, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert "Traceback" not in done.stderr
    assert "fault" not in done.stderr
