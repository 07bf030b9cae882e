"""Running commands in this process, with the painted stand-in of the network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ihc_quant.cli.main import app

Run = Callable[..., Any]


@pytest.fixture
def run(painted_predictor: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return a function that runs a command in an empty folder: ``run("score", slide, "--marker", "CCR4")``."""
    monkeypatch.setattr("ihc_quant.network.predictor.load_predictor", lambda *_args, **_options: painted_predictor)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def ran(*arguments: object) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return ran
