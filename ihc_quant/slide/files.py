"""What can be said of a path before any library opens it. Nothing here blocks, whatever the path names."""

import errno
import os
import stat
from pathlib import Path

from ihc_quant.errors import SlideUnreadable

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of a TIFF and of a BigTIFF, little- and big-endian."""

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
JPEG_MAGIC = b"\xff\xd8\xff"

_ERRNO_REASONS = {
    errno.ENOENT: "there is no such file; check the path",
    errno.ENOTDIR: "there is no such file; a part of the path is not a folder",
    errno.EACCES: "reading it is not permitted; ask for read permission on the file and its folder",
    errno.EPERM: "reading it is not permitted; ask for read permission on the file and its folder",
    errno.ELOOP: "the links of this path lead in a circle; give the path of the file itself",
    errno.ENAMETOOLONG: "the path is too long for this system; give the file a shorter name",
    errno.EIO: "the disk reports a read error; copy the file anew from its source",
    errno.ESTALE: "the network folder has gone away; mount it again",
}


def shown(path: Path) -> str:
    """Return a path for a message: characters that do not print are replaced."""
    return "".join(character if character.isprintable() else "�" for character in str(path))


def require_file(path: Path, name: str) -> int:
    """Return the size in bytes of a regular, readable file that is not empty.

    Raises
    ------
    SlideUnreadable
        For anything else: missing, a folder, a dangling link, a pipe or device, no permission, empty.
    """
    try:
        status = path.stat()
    except OSError as error:
        if error.errno == errno.ENOENT and path.is_symlink():
            raise SlideUnreadable(name, "the link leads to a file that does not exist; mend the link") from error
        raise SlideUnreadable(name, os_reason(error)) from error
    except ValueError as error:  # a null character in the path
        raise SlideUnreadable(name, "this is not a valid path; check the path") from error
    if stat.S_ISDIR(status.st_mode):
        raise SlideUnreadable(name, "this is a folder; give the slide file inside it")
    if not stat.S_ISREG(status.st_mode):
        raise SlideUnreadable(name, "this is a pipe or device; copy the slide to an ordinary file first")
    if not os.access(path, os.R_OK):
        raise SlideUnreadable(name, _ERRNO_REASONS[errno.EACCES])
    if status.st_size == 0:
        raise SlideUnreadable(name, "the file is empty; copy it anew from its source")
    return status.st_size


def os_reason(error: OSError) -> str:
    """Return the reason, with the cure, for an error of the operating system."""
    fallback = f"the system cannot read it ({os.strerror(error.errno)}); copy the file anew" if error.errno else ""
    return _ERRNO_REASONS.get(error.errno or 0) or fallback or "the system cannot read it; copy the file anew"


def file_head(path: Path, name: str) -> bytes:
    """Return the first 16 bytes of a file."""
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise SlideUnreadable(name, os_reason(error)) from error
