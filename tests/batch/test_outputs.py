"""Results are whole or absent, whatever happens while they are written."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from ihc_quant.batch.outputs import CURES, LONGEST_NAME, RESULT_FILE, folder_name, whole_folder, write_whole
from ihc_quant.errors import OutputError


def write_results(final: Path, text: str) -> None:
    with whole_folder(final) as folder:
        (folder / RESULT_FILE).write_text(text)


def everything_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_folder_appears_whole_and_replaces_earlier_results(tmp_path: Path) -> None:
    final = tmp_path / "out" / "slides" / "s1"
    with whole_folder(final) as folder:
        (folder / RESULT_FILE).write_text("first")
        (folder / "old").touch()
        assert not final.exists()
    assert everything_in(final) == ["old", RESULT_FILE]
    write_results(final, "second")
    assert everything_in(tmp_path) == ["out", "out/slides", "out/slides/s1", f"out/slides/s1/{RESULT_FILE}"]
    assert (final / RESULT_FILE).read_text() == "second"


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, OutputError])
def test_failure_leaves_nothing_new(tmp_path: Path, error: type[BaseException]) -> None:
    def fail(final: Path) -> None:
        with whole_folder(final) as folder:
            (folder / "half").touch()
            raise error

    with pytest.raises(error):
        fail(tmp_path / "out" / "slides" / "s1")
    assert everything_in(tmp_path) == []
    write_results(tmp_path / "s1", "first")
    with pytest.raises(error):
        fail(tmp_path / "s1")
    assert everything_in(tmp_path) == ["s1", f"s1/{RESULT_FILE}"]


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".s1.partial").mkdir()
    (tmp_path / ".s1.partial" / "half").touch()
    (tmp_path / ".s1.lock").touch()
    write_results(tmp_path / "s1", "new")
    assert everything_in(tmp_path) == ["s1", f"s1/{RESULT_FILE}"]


def test_results_moved_aside_by_a_killed_run_come_back(tmp_path: Path) -> None:
    write_results(tmp_path / ".s1.replaced", "old")
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "s1"):
        raise ZeroDivisionError
    assert (tmp_path / "s1" / RESULT_FILE).read_text() == "old"
    assert everything_in(tmp_path) == ["s1", f"s1/{RESULT_FILE}"]


def test_failed_move_keeps_earlier_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_results(tmp_path / "s1", "old")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name.endswith(".partial"):
            raise OSError(errno.EACCES, "no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OutputError, match="permissions"):
        write_results(tmp_path / "s1", "new")
    assert (tmp_path / "s1" / RESULT_FILE).read_text() == "old"
    assert everything_in(tmp_path) == ["s1", f"s1/{RESULT_FILE}"]


@pytest.mark.parametrize("place", ["file", "file/slides/s1", "slides", "link"])
def test_what_is_no_result_is_not_replaced(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides" / "photo.jpg").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    before = everything_in(tmp_path)
    with pytest.raises(OutputError, match=r"; name another (folder|one) with -o"):
        write_results(tmp_path / place, "new")
    assert everything_in(tmp_path) == before
    assert (tmp_path / "file").read_text() == "mine"


def test_two_runs_do_not_mix(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "s1") as folder:
        with pytest.raises(OutputError, match="another run"):
            write_results(tmp_path / "s1", "second")
        write_results(tmp_path / "s2", "beside")
        (folder / RESULT_FILE).write_text("first")
    assert (tmp_path / "s1" / RESULT_FILE).read_text() == "first"
    assert everything_in(tmp_path) == ["s1", f"s1/{RESULT_FILE}", "s2", f"s2/{RESULT_FILE}"]


@pytest.mark.parametrize("number", sorted(CURES))
def test_write_error_names_place_and_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputError) as caught, whole_folder(tmp_path / "s1") as folder:
        write_whole(folder / "overview.png", b"data")
    assert str(caught.value) == f"{tmp_path / 's1' / 'overview.png'}: {CURES[number]}."
    assert everything_in(tmp_path) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_parent(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="change the permissions"):
        write_results(tmp_path / "s1", "new")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a place where nobody may write")
def test_place_that_takes_no_folders() -> None:
    with pytest.raises(OutputError, match=r"^/proc/out.*name another folder with -o\.$"):
        write_results(Path("/proc/out/s1"), "new")


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs limits on the size of files")
def test_disk_limit_in_the_real_writer(tmp_path: Path) -> None:
    program = f"""
import resource, signal, sys
from pathlib import Path
import numpy as np
from ihc_quant.batch.cell_store import CellWriter
from ihc_quant.batch.outputs import whole_folder
from ihc_quant.domain.cell_table import CellTable, scalar_columns
from ihc_quant.errors import OutputError
n = 200_000
rng = np.random.default_rng(0)
columns = {{c.name: (rng.random(n) * 100).astype(c.dtype) for c in scalar_columns()}}
table = CellTable(outline_xy=np.zeros((0, 2), np.int16), outline_start=np.zeros(n + 1, np.int64), **columns)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
call = lambda cells: (cells.p_positive > 0.5, (cells.p_positive > 0.5).astype(np.int8))
try:
    with whole_folder(Path({str(tmp_path / "s1")!r})) as folder, CellWriter(folder / "cells.parquet", call, {{}}) as w:
        w.write(table)
except OutputError as error:
    sys.exit(str(error))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == f"{tmp_path / 's1' / 'cells.parquet'}: {CURES[errno.EFBIG]}."
    assert everything_in(tmp_path) == []


@given(st.text(max_size=40))
def test_folder_names_are_safe_and_lead_back(identifier: str) -> None:
    try:
        name = folder_name(identifier)
    except OutputError:
        event("refused")
        return
    assert unquote(name) == identifier
    assert name.isascii()
    assert name.isprintable()
    assert not set(name) & set("/\\:*?\"<>|&;$`'")
    assert not name.startswith((".", " "))
    assert not name.endswith((".", " "))
    assert name.partition(".")[0].upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}
    assert 1 <= len(name) <= LONGEST_NAME


@pytest.mark.parametrize("identifier", ["CON", "nul.txt", "a.", "..", "com1", "-rf", "a/b", "C:x", "µ"])
def test_odd_identifiers_have_folders(identifier: str, tmp_path: Path) -> None:
    name = folder_name(identifier)
    (tmp_path / name).mkdir()
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208
    assert unquote(name) == identifier


@pytest.mark.parametrize("identifier", ["", "\udce9", " ", " a", "a ", "x" * 101, "µ" * 20])
def test_impossible_identifiers_are_refused(identifier: str) -> None:
    with pytest.raises(OutputError, match="cannot name a folder"):
        folder_name(identifier)


def test_run_that_is_turned_away_lets_nobody_else_in(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "s1") as folder:
        for _ in range(3):
            with pytest.raises(OutputError, match="another run"):
                write_results(tmp_path / "s1", "second")
        (folder / RESULT_FILE).write_text("first")
    assert (tmp_path / "s1" / RESULT_FILE).read_text() == "first"
