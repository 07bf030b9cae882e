"""Results on disk: whole or absent, never half.

A slide's results are written into a hidden folder beside their final place and moved there in one step at the end. What
a run leaves behind when it is killed is a hidden ``.partial`` folder, which nobody takes for a result and the next run
removes.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from ihc_quant.errors import OutputError

LONGEST_NAME = 100
"""Longest folder name made from an identifier; file systems allow 255 bytes, network shares sometimes fewer."""

CURES = {
    errno.ENOSPC: "the disk is full; free some space or name another folder with -o",
    errno.EDQUOT: "the disk quota is used up; free some space or name another folder with -o",
    errno.EFBIG: "the file grew beyond what this disk or account allows; name another folder with -o",
    errno.EROFS: "the disk is read-only; name another folder with -o",
    errno.EACCES: "you may not write there; change the permissions or name another folder with -o",
    errno.EPERM: "you may not write there; change the permissions or name another folder with -o",
    errno.ENOTDIR: "a file stands where a folder is needed; name another folder with -o",
    errno.EEXIST: "a file stands where a folder is needed; name another folder with -o",
}


def folder_name(identifier: str) -> str:
    """Return a folder name for an identifier: safe on every system, readable, and different for different identifiers.

    Raises
    ------
    OutputError
        Where the identifier is empty or too long.

    Examples
    --------
    >>> folder_name("skin-1 CCR4")
    'skin-1 CCR4'
    >>> folder_name("../etc")
    '%2E.%2Fetc'
    """
    name = quote(identifier, safe=" ()+,=@")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if not name.strip() or name != name.strip() or len(name) > LONGEST_NAME:
        raise OutputError(
            f"{identifier!r}: this identifier cannot name a folder; give one of 1 to {LONGEST_NAME} plain characters."
        )
    return name


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
        raise OutputError(f"{path}: {cure}.") from error


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
        Where the folder cannot be made, filled or moved.
    """
    partial = final.with_name(f".{final.name}.partial")
    replaced = final.with_name(f".{final.name}.replaced")
    try:
        with writing(final):
            for leftover in (partial, replaced):
                shutil.rmtree(leftover, ignore_errors=True)
            partial.mkdir(parents=True)
            yield partial
            if final.exists():
                final.rename(replaced)
            partial.rename(final)
            shutil.rmtree(replaced, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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
