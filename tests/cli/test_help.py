"""Help starts at once, names every command, and the README shows nothing that does not exist."""

import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from ihc_quant.batch.settings import MeasureSettings
from ihc_quant.cli.console import EXIT_CODES
from ihc_quant.cli.main import app
from ihc_quant.cli.score import score
from ihc_quant.network.precision import AUTO

README = Path(__file__).resolve().parents[2] / "README.md"

PROGRAM: Any = typer.main.get_command(app)
COMMANDS: dict[str, Any] = dict(PROGRAM.commands)

HEAVY = ("torch", "openslide", "skimage", "cv2", "numba", "openvino", "pyarrow", "scipy", "numpy")


def examples() -> list[list[str]]:
    """Return the words of every indented line of the README that starts with the program."""
    lines = re.findall(r"^    (ihc-quant .*)$", README.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line, comments=True)[1:] for line in lines]


@pytest.mark.parametrize("words", examples(), ids=" ".join)
def test_readme_example_is_possible(words: list[str]) -> None:
    command = COMMANDS.get(words[0])
    assert command is not None, f"README.md shows the command {words[0]}, which does not exist"
    command.make_context(words[0], words[1:])


@pytest.mark.parametrize("name", COMMANDS)
def test_command_has_an_example_and_help(name: str) -> None:
    assert name in {words[0] for words in examples()}, f"README.md shows no example of the command {name}"
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0
    for parameter in COMMANDS[name].params:
        assert parameter.param_type_name == "argument" or max(parameter.opts, key=len) in result.stdout


def test_options_named_in_the_readme_exist() -> None:
    known = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts}
    text = re.sub(r"train\.py.*?\n\n", "", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    named = set(re.findall(r"`(--[a-z-]+)", text))
    assert named <= known | {"--help", "--version"}


def test_exit_codes_of_readme_and_help_agree() -> None:
    table = re.findall(r"^\| (\d+) \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert table == re.findall(r"(?<![\w])(\d+) ", EXIT_CODES)


def test_defaults_are_those_of_the_settings() -> None:
    defaults = {name: parameter.default for name, parameter in inspect.signature(score).parameters.items()}
    settings = MeasureSettings()
    assert (defaults["tile"], defaults["margin"]) == (settings.tile_px, settings.margin_px)
    assert (defaults["weights"], defaults["allow_coarse"]) == (settings.weights, settings.allow_coarse)
    assert (defaults["precision"], defaults["quality"]) == (AUTO, settings.quality)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["--version"],
        ["score", "--help"],
        ["batch", "--help"],
        ["report", "--help"],
        ["score"],
        ["weights"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported_before_work(arguments: list[str]) -> None:
    program = f"""
import sys
from ihc_quant.cli.main import main
sys.argv = ["ihc-quant", *{arguments!r}]
try:
    main()
except SystemExit:
    pass
print(*(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not done.stderr.splitlines()[-1].strip(), done.stderr
