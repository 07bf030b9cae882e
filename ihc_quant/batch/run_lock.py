"""One run at a time in an output folder.

The lock is the system's: it ends with the process that holds it, however that ends. Where a file system knows no such
locks, a file with the owner's name takes its place; one whose owner has died on this machine is taken over.
"""

import errno
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

from ihc_quant.batch.outputs import writing
from ihc_quant.errors import OutputError

LOCK_FILE = ".lock"
OWNER_FILE = ".lock.owner"

NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
"""What a file system answers that knows no locks."""


@contextmanager
def run_lock(out: Path) -> Iterator[str]:
    """Keep other runs out of an output folder.

    Parameters
    ----------
    out : Path
        Made where it is missing.

    Yields
    ------
    str
        A sentence where the lock is weaker than usual; else empty.

    Raises
    ------
    OutputError
        Where another run holds the lock, or the folder cannot be written.
    """
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        handle = os.open(out / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if _system_lock(handle, out):
            with writing(out / LOCK_FILE):
                os.ftruncate(handle, 0)
                os.write(handle, _this_run().encode())
            yield ""
            with writing(out / LOCK_FILE):
                os.ftruncate(handle, 0)
        else:
            with _owner_file(out / OWNER_FILE, out):
                yield (
                    f"{out}: this disk knows no locks, so {OWNER_FILE} stands in for one; remove that file if a "
                    "machine died during a run"
                )
    finally:
        os.close(handle)


def _system_lock(handle: int, out: Path) -> bool:
    """Take the system's lock; False where there are none here."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _taken(out, out / LOCK_FILE) from error
    except OSError as error:
        if error.errno in NO_LOCKS:
            return False
        raise OutputError(
            f"{out}: the folder cannot be locked ({error.strerror}); name another one with -o."
        ) from error
    return True


@contextmanager
def _owner_file(path: Path, out: Path) -> Iterator[None]:
    """Hold a file that names this run."""
    with writing(path):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            if not _is_dead(path):
                raise _taken(out, path) from None
            handle = os.open(path, os.O_WRONLY | os.O_TRUNC)
        os.write(handle, _this_run().encode())
        os.close(handle)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _this_run() -> str:
    process = psutil.Process()
    return json.dumps({"host": socket.gethostname(), "pid": process.pid, "started": process.create_time()})


def _owner(path: Path) -> tuple[str, int, float] | None:
    """Return host, process and its start as a lock states them; None where it states nothing that can be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return str(values["host"]), int(values["pid"]), float(values["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_dead(path: Path) -> bool:
    """Return whether the owner of a lock is known to have ended."""
    owner = _owner(path)
    if owner is None or owner[0] != socket.gethostname():
        return False
    try:
        # Numbers of processes are used again; the start tells the owner from a later one.
        return abs(psutil.Process(owner[1]).create_time() - owner[2]) > 1.0
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def _taken(out: Path, path: Path) -> OutputError:
    owner = _owner(path)
    who = f" (process {owner[1]} on {owner[0]})" if owner else ""
    remove = f", remove {path.name} if that machine has died," if path.name == OWNER_FILE else ""
    return OutputError(f"{out}: another run{who} is writing there; wait for it{remove} or name another folder with -o.")
