"""Whether a file is still the one that was looked at: size, time and number, without reading it."""

from pathlib import Path

from ihc_quant.batch.settings import SettingsPart
from ihc_quant.errors import SlideUnreadable
from ihc_quant.slide.files import shown

MIRAX_SUFFIX = ".mrxs"
"""A MIRAX slide is a small file beside a folder of its name, which holds the pixels."""


class FileStamp(SettingsPart):
    """What the file system says of a file.

    Attributes
    ----------
    size : int
        In bytes; of a MIRAX slide with its folder.
    mtime_ns : int
        When it was last written, in ns since 1970; of a MIRAX slide the newest of its files.
    inode : int
        Its number: a file put in the place of another, of the same size and time, has another one.
    """

    size: int
    mtime_ns: int
    inode: int


def file_stamp(path: Path) -> FileStamp | None:
    """Return the stamp of a file; None where it cannot be looked at."""
    try:
        status = path.stat()
        parts = [status]
        if path.suffix.lower() == MIRAX_SUFFIX and path.with_suffix("").is_dir():
            parts += [part.stat() for part in path.with_suffix("").iterdir()]
    except (OSError, ValueError):  # a null character in the path is a ValueError
        return None
    return FileStamp(
        size=sum(part.st_size for part in parts),
        mtime_ns=max(part.st_mtime_ns for part in parts),
        inode=status.st_ino,
    )


def require_unchanged(path: Path, before: FileStamp | None) -> None:
    """Refuse what was read of a file that is no longer the same.

    Raises
    ------
    SlideUnreadable
        Where the file has vanished or changed since ``before``.
    """
    now = file_stamp(path)
    if now is None and before is not None:
        raise SlideUnreadable(shown(path), "the file vanished while it was read; put it back and score it again")
    if now != before:
        raise SlideUnreadable(
            shown(path), "the file changed while it was read; wait until it is copied whole and score it again"
        )
