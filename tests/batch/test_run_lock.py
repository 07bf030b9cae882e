"""One run at a time in a folder, whatever becomes of the one before."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ihc_quant.batch.run_lock import LOCK_FILE, OWNER_FILE, run_lock
from ihc_quant.errors import OutputError

HOLD = """
import sys
from pathlib import Path
from ihc_quant.batch.run_lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(out: Path) -> "subprocess.Popen[str]":
    """Start a process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_second_run_is_told_who_is_there_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    with holder(tmp_path / "out") as process:
        with pytest.raises(OutputError, match=f"process {process.pid} on .*wait for it"), run_lock(tmp_path / "out"):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
    with run_lock(tmp_path / "out") as weaker:
        assert weaker == ""
    assert (tmp_path / "out" / LOCK_FILE).read_bytes() == b""


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="name another folder"), run_lock(tmp_path / "file"):
        pass


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behave like a disk without locks."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)


def test_disk_without_locks(tmp_path: Path, no_locks: None) -> None:
    with run_lock(tmp_path) as weaker:
        assert OWNER_FILE in weaker
        with pytest.raises(OutputError, match="another run"), run_lock(tmp_path):
            pass
    assert not (tmp_path / OWNER_FILE).exists()


@pytest.mark.parametrize(
    ("owner", "taken_over"),
    [
        ({"host": "here", "pid": 2**22 + 1, "started": 0.0}, True),
        ({"host": "here", "pid": "mine", "started": 0.0}, True),
        ({"host": "elsewhere", "pid": 2**22 + 1, "started": 0.0}, False),
        ("half a li", False),
    ],
)
def test_owner_that_has_died_is_replaced(tmp_path: Path, no_locks: None, owner: object, taken_over: bool) -> None:
    if isinstance(owner, dict):
        host = socket.gethostname() if owner["host"] == "here" else owner["host"]
        pid = psutil.Process().pid if owner["pid"] == "mine" else owner["pid"]
        owner = json.dumps({**owner, "host": host, "pid": pid})
    (tmp_path / OWNER_FILE).write_text(str(owner))
    if taken_over:
        with run_lock(tmp_path):
            assert str(psutil.Process().pid) in (tmp_path / OWNER_FILE).read_text()
    else:
        with pytest.raises(OutputError, match=OWNER_FILE), run_lock(tmp_path):
            pass
        assert (tmp_path / OWNER_FILE).exists()
