"""Names and ownership of what runs leave on disk."""

from pathlib import Path

import pytest

from ihc_quant.errors import SettingsError
from ihc_quant.network.card import WEIGHTS_FOLDER, file_sha256
from ihc_quant.training.runs import SHIPPED, note_finished, require_name, require_own


def test_the_names_of_shipped_weights_are_those_of_their_recipes() -> None:
    assert sorted(SHIPPED) == sorted(path.stem for path in WEIGHTS_FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", ["mine", "mine-6", "v1.5", "_x", "0"])
def test_plain_names_are_taken(name: str) -> None:
    require_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "../evil", "a/b", "a\\b", "a b", "ä", ".x", "x\n"])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="--name must be letters"):
        require_name(name)


def test_finished_weights_are_replaced_by_their_own_run_alone(tmp_path: Path) -> None:
    target, run, other = tmp_path / "weights" / "mine", tmp_path / "run", tmp_path / "other"
    for folder in (target.parent, run, other):
        folder.mkdir()
    require_own(target, run, overwrite=False)  # nothing is there yet
    there = target.with_name("mine.safetensors")
    there.write_bytes(b"first")
    (run / "best.safetensors").write_bytes(b"first")
    require_own(target, run, overwrite=False)
    for _ in range(2):
        note_finished(run, file_sha256(there))
    assert (run / "finished.txt").read_text() == f"{file_sha256(there)}\n"
    (run / "best.safetensors").write_bytes(b"better")
    require_own(target, run, overwrite=False)  # it finished to these before
    with pytest.raises(SettingsError, match=r"another run than .*other made these weights.* --overwrite"):
        require_own(target, other, overwrite=False)
    require_own(target, other, overwrite=True)


def test_weights_that_name_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"--weights .*file: this is a file; name the folder"):
        require_own(tmp_path / "file" / "mine", tmp_path, overwrite=True)
