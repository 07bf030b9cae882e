"""What this machine offers: libraries that are missing or broken are told in one sentence, not with a traceback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ihc_quant.errors import SettingsError
from ihc_quant.network import devices

RUN = "import sys; from ihc_quant.cli.main import main; main()"


def with_broken(library: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command where a library cannot be imported."""
    folder.mkdir()
    (folder / f"{library}.py").write_text("raise ImportError('libmissing.so: cannot open shared object file')\n")
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    surroundings = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-c", RUN, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings, cwd=folder)


@pytest.mark.parametrize("library", ["openvino", "torch"])
def test_the_doctor_names_a_library_that_cannot_be_imported(tmp_path: Path, library: str) -> None:
    done = with_broken(library, tmp_path / "broken", "doctor", "--json")
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
    faults = json.loads(done.stdout)["faults"]
    (fault,) = (fault for fault in faults if fault.startswith(f"{library}: the library cannot be imported"))
    assert "libmissing.so" in fault
    assert f"pip install --force-reinstall {library}" in fault


def test_nothing_is_scored_without_the_library_and_the_reason_is_one_sentence(tmp_path: Path, tiny_slide: Path) -> None:
    asked = ("score", str(tiny_slide), "--marker", "CCR4", "--device", "cpu")
    done = with_broken("openvino", tmp_path / "broken", *asked)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "openvino: the library cannot be imported (libmissing.so" in done.stderr
    assert done.stdout == ""


def test_only_what_a_library_raises_on_import_is_translated() -> None:
    with (
        pytest.raises(SettingsError, match=r"torch: the library cannot be imported \(OSError\)"),
        devices.importing("torch"),
    ):
        raise OSError
    with pytest.raises(ZeroDivisionError), devices.importing("torch"):
        raise ZeroDivisionError


def test_a_gpu_is_usable_only_with_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "has_gpu_driver", lambda: False)
    assert not devices.gpu_is_usable()
