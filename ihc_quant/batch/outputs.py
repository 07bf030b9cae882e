"""Results on disk: whole or absent, never half.

A slide's results are written into a hidden folder beside their final place and moved there in one step at the end. What
a run leaves behind when it is killed is a hidden ``.partial`` folder, which nobody takes for a result and the next run
removes.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

from ihc_quant.errors import OutputError

RESULT_FILE = "slide.json"
"""Every folder of results holds it; a folder without it is not ours to replace."""

SLIDES_FOLDER = "slides"
"""Folder of a run's output that holds one folder of results a slide."""

LONGEST_NAME = 100
"""Longest folder name made from an identifier; file systems allow 255 bytes, network shares sometimes fewer."""

RESERVED_NAMES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
)
"""Names that Windows keeps for devices, with any extension (Microsoft, "Naming Files, Paths, and Namespaces")."""

CURES = {
    errno.ENOSPC: "the disk is full; free some space or name another folder with -o",
    errno.EDQUOT: "the disk quota is used up; free some space or name another folder with -o",
    errno.EFBIG: "the file grew beyond what this disk or account allows; name another folder with -o",
    errno.EROFS: "the disk is read-only; name another folder with -o",
    errno.EACCES: "you may not write there; change the permissions or name another folder with -o",
    errno.EPERM: "you may not write there; change the permissions or name another folder with -o",
    errno.ENAMETOOLONG: "the path is too long for this system; name another folder with -o",
    errno.ENOTDIR: "a file stands where a folder is needed; name another folder with -o",
    errno.EEXIST: "a file stands where a folder is needed; name another folder with -o",
}


class ResultsBusy(OutputError):
    """Another process is writing the same results."""


def folder_name(identifier: str) -> str:
    """Return a folder name for an identifier: safe on every system, readable, and different for different identifiers.

    ``urllib.parse.unquote`` leads back. Identifiers that differ in capital letters alone share a folder where the file
    system does not tell them apart; a manifest with such identifiers is refused.

    Raises
    ------
    OutputError
        Where the identifier is empty, too long, or begins or ends with a space.

    Examples
    --------
    >>> folder_name("skin-1 CCR4")
    'skin-1 CCR4'
    >>> folder_name("../etc")
    '%2E.%2Fetc'
    >>> folder_name("con")
    '%63on'
    """
    try:
        name = quote(identifier, safe=" ()+,=@")
    except UnicodeEncodeError:  # half a character, as odd arguments have
        name = ""
    if name.startswith(".") or name.partition(".")[0].lower() in RESERVED_NAMES:
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if name.endswith("."):
        name = name[:-1] + "%2E"
    if not name or name != name.strip() or len(name) > LONGEST_NAME:
        raise OutputError(
            f"{identifier!r}: this identifier cannot name a folder; give one of 1 to {LONGEST_NAME} plain characters."
        )
    return name


def final_place(path: Path) -> Path:
    """Return where a path will lie when its partial folder has been moved, which is what a message should name.

    Examples
    --------
    >>> final_place(Path("out/slides/.skin-1.partial/cells.parquet")).as_posix()
    'out/slides/skin-1/cells.parquet'
    """
    return Path(
        *(
            part[1:].removesuffix(".partial") if part.startswith(".") and part.endswith(".partial") else part
            for part in path.parts
        )
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Translate a failure to write into one sentence that names the place and the cure.

    Raises
    ------
    OutputError
        For every ``OSError`` of the body.
    """
    try:
        yield
    except OSError as error:
        cure = CURES.get(error.errno or 0, "writing failed; check the disk or name another folder with -o")
        raise OutputError(f"{final_place(path)}: {cure}.") from error


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """Give a folder to write into that takes the place of ``final`` when the body ends well, and vanishes otherwise.

    Parameters
    ----------
    final : Path
        Where the results belong; earlier results there are replaced.

    Yields
    ------
    Path
        Folder to write into.

    Raises
    ------
    OutputError
        Where the folder cannot be made or moved, where another run writes to it, or where something other than results
        stands in its place.
    """
    with writing(final):
        final = final.resolve()
        partial = final.with_name(f".{final.name}.partial")
        replaced = final.with_name(f".{final.name}.replaced")
        made = [parent for parent in final.parents if not parent.exists()]
        final.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as undo:
        undo.callback(_remove_empty, made)
        undo.enter_context(_locked(final))
        undo.callback(shutil.rmtree, partial, ignore_errors=True)
        with writing(final):
            _recover(final, replaced)
            _require_replaceable(final)
            if partial.exists():
                shutil.rmtree(partial)
            partial.mkdir()
        yield partial
        with writing(final):
            if final.exists():
                final.rename(replaced)
            try:
                partial.rename(final)
            except OSError:
                _recover(final, replaced)
                raise
            shutil.rmtree(replaced, ignore_errors=True)


def _recover(final: Path, replaced: Path) -> None:
    """Put earlier results back that a run moved aside and did not replace; remove those that it did replace."""
    if replaced.exists():
        if final.exists():
            shutil.rmtree(replaced, ignore_errors=True)
        else:
            replaced.rename(final)


def _require_replaceable(final: Path) -> None:
    """Refuse to replace what is no result of ours."""
    if final.is_dir() and any(final.iterdir()) and not (final / RESULT_FILE).is_file():
        raise OutputError(
            f"{final}: this folder holds something other than results; name another one with -o or --slide-id."
        )
    if final.exists() and not final.is_dir():
        raise FileExistsError(errno.EEXIST, "a file stands there", str(final))


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, innermost first, that are empty."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def _locked(final: Path) -> Iterator[None]:
    """Keep other runs from the same results; the system lets go of the lock when the process ends, however it ends."""
    if fcntl is None:
        yield
        return
    lock = final.with_name(f".{final.name}.lock")
    with writing(final):
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A run that just ended may have removed the file between the two calls: then this lock guards nothing.
            if not (lock.exists() and os.path.samestat(os.fstat(handle), lock.stat())):
                raise BlockingIOError
        except (BlockingIOError, FileNotFoundError) as error:
            raise ResultsBusy(
                f"{final}: another run is writing there; wait for it or name another folder with -o."
            ) from error
        try:
            yield
        finally:
            # By its holder alone: a lock that others removed would let a third one in.
            lock.unlink(missing_ok=True)
    finally:
        os.close(handle)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    with writing(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
