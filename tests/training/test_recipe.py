"""Recipes: what a YAML file may say, and one sentence for what it may not."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from ihc_quant.errors import SettingsError
from ihc_quant.training.recipe import read_recipe, require_limits, stated_settings


@dataclass
class Knobs:
    steps: int = 5  # how many, up to 100 %
    rate: float = 0.1
    name: str = "x"
    quick: bool = False
    items: str = ""  # a list


def written(folder: Path, text: str) -> Path:
    path = folder / "r.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_values_come_as_their_settings_have_them(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, 'rate: 3e-3\nsteps: 7\nname: "006"\nquick: yes\n'), Knobs)
    assert recipe == {"rate": 0.003, "steps": 7, "name": "006", "quick": True}
    assert type(read_recipe(written(tmp_path, "rate: 1"), Knobs)["rate"]) is float


def test_only_what_is_stated_is_stated(tmp_path: Path) -> None:
    recipe = str(written(tmp_path, "steps: 7\nquick: true\n"))
    assert stated_settings(Knobs, None, []) == {}
    assert stated_settings(Knobs, None, ["--settings", recipe]) == {"steps": 7, "quick": True}
    assert stated_settings(Knobs, None, ["--settings", recipe, "--no-quick", "--steps", "5"]) == {
        "steps": 5,
        "quick": False,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stepz: 7", "r.yaml: there is no setting stepz"),
        ("steps: many", "steps must be a whole number, not 'many'"),
        ("steps: true", "steps must be a whole number"),
        ("rate: fast", "rate must be a number"),
        ("name: 006", "name must be text in quotes, not 6"),
        ("quick: 1", "quick must be true or false"),
        ("- steps", "holds no 'name: value' lines"),
        ("", "holds no settings"),
        ("a: [", "line 1: .*correct the YAML"),
        ("steps: !!python/object/apply:os.getcwd []", "line 1: .*tag.*correct the YAML"),
        ("steps: 1\nsteps: 2", "line 2: 'steps' stands there twice"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        read_recipe(written(tmp_path, text), Knobs)


def test_a_file_that_a_recipe_names_lies_in_its_folder_and_one_of_a_flag_where_one_works(tmp_path: Path) -> None:
    recipe = str(written(tmp_path, "items: lists/ours.yaml\n"))
    assert stated_settings(Knobs, None, ["--settings", recipe], ["items"])["items"] == str(tmp_path / "lists/ours.yaml")
    assert stated_settings(Knobs, None, ["--settings", recipe, "--items", "b.yaml"], ["items"])["items"] == "b.yaml"
    absolute = str(written(tmp_path, f"items: {tmp_path / 'x.yaml'}\n"))
    assert stated_settings(Knobs, None, ["--settings", absolute], ["items"])["items"] == str(tmp_path / "x.yaml")
    nothing = str(written(tmp_path, 'items: ""\n'))
    assert stated_settings(Knobs, None, ["--settings", nothing], ["items"])["items"] == ""


def test_help_says_what_the_source_says_of_each_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        stated_settings(Knobs, None, ["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--steps STEPS how many, up to 100 % (default 5)" in text
    assert "--rate RATE (default 0.1)" in text


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -1.0])
def test_numbers_beyond_their_limits_are_refused(rate: float) -> None:
    with pytest.raises(SettingsError, match="--rate must be 0 or more, not"):
        require_limits(Knobs(rate=rate), {"0 or more": (lambda value: value >= 0, ["steps", "rate"])})


def test_a_recipe_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such YAML file"):
        read_recipe(tmp_path / "none.yaml", Knobs)
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(SettingsError, match="no YAML in UTF-8"):
        read_recipe(tmp_path / "b.yaml", Knobs)
