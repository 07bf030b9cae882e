"""The command as a whole: pictures through the slide job with a stand-in for the network, to tables, bars and files."""

import json
from pathlib import Path
from typing import Any

import accuracy
import artefacts
import numpy as np
import pytest
from accuracy_report import bars, tables
from artefacts import Artefact, by_kind, false_positives
from labelled_images import LabelledImage
from PIL import Image
from scored_pictures import FoundCells, Scorer

from ihc_quant.domain.geometry import Mpp
from ihc_quant.errors import SettingsError
from ihc_quant.network.card import WeightsCard
from ihc_quant.network.predictor import MapPredictor
from tests.conftest import PaintedPredictor

SPACING_PX = 24


def paint(path: Path, side_px: int = 192) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Paint tissue at 0.5 µm with nuclei in rows, every fourth brown; return their places in px and their calls."""
    rgb = np.full((side_px, side_px, 3), (226.0, 206, 222))
    y, x = np.mgrid[:side_px, :side_px]
    places = [(c, r) for r in range(16, side_px - 8, SPACING_PX) for c in range(16, side_px - 8, SPACING_PX)]
    for number, (column, row) in enumerate(places):
        rgb[(y - row) ** 2 + (x - column) ** 2 < 36] = (140, 90, 50) if number % 4 == 0 else (90, 95, 160)
    rgb += np.random.default_rng(1).normal(0, 2, rgb.shape)
    Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8)).save(path)
    return np.array(places) + 0.5, np.arange(len(places)) % 4 == 0


def labelled(folder: Path, source: str, group: str) -> LabelledImage:
    path = folder / f"{source}-{group}.png"
    places_px, positive = paint(path)
    count = int(positive.sum()) if source == "lysto" else None
    return LabelledImage(source, path.name, group, path, 0.5, (192, 192), places_px * 0.5, positive, count=count)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, painted_predictor: PaintedPredictor) -> WeightsCard:
    """Replace images and weights; the card says which images were learned from."""
    split = {"training": ["cd138/001", "bcdata/1"], "validation": [], "test": ["cd138/003", "bcdata/2"]}
    predictor = PaintedPredictor()
    predictor.card = painted_predictor.card.model_copy(update={"split": split})
    images = {
        "cd138": [labelled(tmp_path, "cd138", group) for group in ("001", "003")],
        "bcdata": [labelled(tmp_path, "bcdata", group) for group in ("1", "2")],
        "lysto": [labelled(tmp_path, "lysto", "crop")],
    }
    monkeypatch.setattr(accuracy, "READERS", {source: lambda _, those=those: those for source, those in images.items()})
    monkeypatch.setattr(accuracy, "SHARED_DATA", tmp_path)
    monkeypatch.setattr(accuracy, "usual_predictor", lambda *_, **__: predictor)
    monkeypatch.setattr(accuracy, "resolve_card", lambda name: name)
    monkeypatch.setattr(accuracy, "read_card", lambda _: predictor.card)
    monkeypatch.setattr("tuned_classical.CANDIDATES", 4)
    monkeypatch.setattr("tuned_classical.STEPS", 2)
    monkeypatch.setattr("tuned_classical.FINALISTS", 1)
    return predictor.card


def test_the_command_judges_held_out_images_and_keeps_earlier_parts(
    stand_in: WeightsCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.md"
    accuracy.main(["--only", "cd138,bcdata", "--json", str(out), "--markdown", str(page)])
    first = json.loads(out.read_text())
    assert first["sources"]["cd138"]["network"]["images"] == 1
    assert "cd138-001" not in capsys.readouterr().err
    detection = first["sources"]["cd138"]["network"]["detection"]
    assert detection["positive"]["f1"] > 0.9
    assert detection["negative"]["f1"] > 0.9
    assert first["sources"]["bcdata"]["classical"]["detection"]["either"]["f1"] > 0.9
    (tuned,) = first["classical"].values()
    assert tuned["images"] == 2
    accuracy.main(["--only", "lysto", "--json", str(out)])
    shown = capsys.readouterr().out
    second = json.loads(out.read_text())
    assert set(second["sources"]) == {"cd138", "bcdata", "lysto"}
    assert second["classical"] == first["classical"]
    assert "Counts of positive cells" in shown
    assert "bar: cd138: F1 of positive cells ≥ 0.84" in shown
    assert "| cd138: F1 of positive cells | ≥ 0.84 |" in page.read_text()


def test_what_is_left_out_stands_on_stdout_with_the_reason(
    stand_in: WeightsCard, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.split["training"] += stand_in.split.pop("test")
    stand_in.split["test"] = []
    accuracy.main(["--only", "cd138,bcdata"])
    shown = capsys.readouterr().out
    for source in ("cd138", "bcdata"):
        (line,) = (line for line in shown.splitlines() if f"{source}: left out" in line)
        assert line.strip() == (
            f"{source}: left out, as {stand_in.name} learned from it to the last image: not judged; use --folds with "
            "the cards of its folds"
        )
    assert "Detection" not in shown


def test_weights_with_nothing_to_tune_on_say_that_the_classical_pipeline_is_not_tuned(
    stand_in: WeightsCard, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in.split["training"] = []
    accuracy.main(["--only", "cd138"])
    shown = capsys.readouterr().out
    assert f"classical pipeline: not tuned: {stand_in.name} learned from no image of cd138 or bcdata" in shown
    assert "classical, not tuned" in shown


def test_an_image_that_several_folds_never_saw_counts_once(
    stand_in: WeightsCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cards = {name: stand_in.model_copy(update={"name": name, "sha256": name}) for name in ("a", "b")}
    monkeypatch.setattr(accuracy, "read_card", lambda name: cards[name])
    accuracy.main(["--folds", "a", "b", "--only", "cd138,lysto", "--json", str(tmp_path / "out.json")])
    sources = json.loads((tmp_path / "out.json").read_text())["sources"]
    assert sources["lysto"]["network"]["counts"]["crops with 13"]["crops"] == 1
    assert sources["cd138"]["network"]["percent_error"]["images"] == 1
    assert capsys.readouterr().err.count("lysto-crop") == 1
    with pytest.raises(SettingsError, match="--folds a: the same weights as a; name each fold once"):
        accuracy.main(["--folds", "a", "b", "a"])


@pytest.mark.parametrize("tile", ["100", "0", "many"])
def test_a_tile_that_cannot_be_is_refused(tile: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        accuracy.parse(["--tile-px", tile])
    assert left.value.code == 2
    assert f"--tile-px: {tile}: 64 to 8192 pixels, a multiple of 16" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--markdown"])
def test_a_folder_that_is_not_there_is_refused_before_any_work(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        accuracy.parse([option, str(tmp_path / "none" / "out")])
    assert f"{option} {tmp_path / 'none' / 'out'}: there is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{", "[]", '{"classical": 3}'])
def test_a_file_that_is_no_report_is_refused_and_kept(content: str, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"out\.json: it holds no report of an earlier run; name another file"):
        accuracy.open_report(path, [], 256)
    assert path.read_text() == content


def test_stains_are_changed_on_held_out_images(stand_in: WeightsCard, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    accuracy.main(["--only", "robustness", "--json", str(out)])
    report = json.loads(out.read_text())
    assert report["robustness"]["images"].startswith("1 of cd138, 1 of bcdata")
    assert report["robustness"]["changes"]["all"]["images"] == 16
    assert next(bar.name for bar in bars(report)).startswith("robustness, worst change")
    assert [table.title for table in tables(report)] == ["Stain, light, focus, compression"]


def test_other_weights_start_a_new_report_but_keep_tuned_pipelines(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text(json.dumps({"weights": [{"name": "a"}], "tile_px": 256, "sources": {}, "classical": {"k": 1}}))
    assert accuracy.open_report(path, [{"name": "b"}], 256) == {
        "weights": [{"name": "b"}], "tile_px": 256, "quality": "off", "classical": {"k": 1}
    }  # fmt: skip
    assert "sources" in accuracy.open_report(path, [{"name": "a"}], 256)
    assert "sources" not in accuracy.open_report(path, [{"name": "a"}], 256, "exclude")


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        accuracy.parse(["--only", "cd137"])
    assert "there is no part cd137" in capsys.readouterr().err


def test_a_scored_picture_has_outlines_where_its_nuclei_are(tmp_path: Path, painted_predictor: MapPredictor) -> None:
    places_px, positive = paint(tmp_path / "p.png")
    found = Scorer(painted_predictor, tile_px=64).score(tmp_path / "p.png", Mpp.square(0.5))
    assert len(found.places_um) == len(places_px)
    assert found.percent == pytest.approx(100 * positive.mean())
    assert found.tissue_mm2 == pytest.approx((192 * 0.5e-3) ** 2, rel=0.1)
    labels = found.labels((192, 192), 0.5)
    areas = np.bincount(labels.ravel())[1:]
    assert len(areas) == len(places_px)
    # A disc of 6 px; at twice the size each nucleus covers four times as many pixels.
    assert np.median(areas) == pytest.approx(np.pi * 36, rel=0.25)
    finer = np.bincount(found.labels((384, 384), 0.25).ravel())[1:]
    assert finer == pytest.approx(4 * areas)


def test_false_positives_are_counted_and_drawn(
    stand_in: WeightsCard, tmp_path: Path, painted_predictor: MapPredictor
) -> None:
    paint(tmp_path / "pen.png")
    chosen = [Artefact("pen", tmp_path / "pen.png", 0.5), Artefact("pen", tmp_path / "001.png", 0.5)]
    rows = false_positives(Scorer(painted_predictor), stand_in, chosen, tmp_path / "sheets")
    assert rows[1]["note"] == "seen in training: not judged"
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (refused,) = false_positives(Scorer(painted_predictor), stand_in, [Artefact("pen", tmp_path / "broken.png", 0.5)])
    assert refused["note"].startswith("refused: ")
    (kind,) = by_kind([*rows, refused])
    assert (kind["pictures"], kind["positive"]) == (1, rows[0]["positive"])
    assert kind["per mm² of picture"] == pytest.approx(rows[0]["positive"] / (192 * 0.5e-3) ** 2)
    with Image.open(tmp_path / "sheets" / "artefacts-pen.png") as sheet:
        assert (np.asarray(sheet) == artefacts.POSITIVE_RGB).all(axis=2).any()


def test_no_cells_have_no_percentage_and_no_rate() -> None:
    none = FoundCells(np.empty((0, 2)), np.empty(0, np.bool_))
    assert none.percent is None
    row = artefacts.row_of(Artefact("pen", Path("a.png"), 0.5), none, 0.1)
    assert (row["per mm² of tissue"], row["per mm² of picture"]) == (None, 0.0)
