"""From a laboratory's list to the card of weights that learned from it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ihc_quant.network.card import read_card
from tests.training.laboratory_folder import Folder, dots, painted

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import train

RECIPE = """name: mine
laboratory_share: 2
painted: 1
painted_fields: 10
painted_px: 64
cd138: 0
bcdata: 0
dsb2018: 0
he: 0
validation_patients: ""
test_patients: ""
hold_out_images: true
steps: 1
size_px: 32
threads: 1
"""


@pytest.fixture(autouse=True)
def _threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_what_was_read_is_told_and_its_terms_stand_in_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Folder(tmp_path)
    marks = folder.geojson(dots())
    items: list[dict[str, object]] = []
    for number in range(5):
        rgb = painted()
        rgb[0, 0] = number
        image = folder.picture(f"{number}.png", rgb)
        items.append({"image": image, "annotation": marks, "patient": f"P{number}"})
    items[4]["tissue"] = "Lymph node"
    listed = folder.listed(*items, licence="ours", tissue="skin", mpp=0.25)
    (tmp_path / "my.yaml").write_text(RECIPE)
    monkeypatch.setattr(train, "RUNS", tmp_path / "runs")
    places = ["--data", str(tmp_path / "none"), "--weights", str(tmp_path / "weights"), "--laboratory", str(listed)]
    train.main(["--settings", str(tmp_path / "my.yaml"), *places])
    told = capsys.readouterr().err
    assert "item 001 (P0; CCR4, skin): 4 cells, 1 positive, 2 negative, 1 unknown, as points, in 0.05 mm²" in told
    assert told.count("item 00") == 5
    card = read_card(tmp_path / "weights" / "mine.json")
    assert [(each.marker, each.tissue, each.licence) for each in card.sources if each.name == "laboratory"] == [
        ("CCR4", "skin", "ours"),
        ("CCR4", "Lymph node", "ours"),
    ]
    assert "a laboratory's own images (licence: ours)" in card.licence
