"""Files of our own, whatever lies in their place by now: a folder, a FIFO, a socket, a device, a link."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a link",
}


class NotAFile(OSError):
    """Something that is not a file lies where one should be."""

    def __init__(self, path: str | Path) -> None:
        try:
            what = _KINDS.get(stat.S_IFMT(os.lstat(path).st_mode), "something else")
        except OSError:
            what = "something else"
        super().__init__(errno.EEXIST, f"{what} is where a file should be", str(path))


def descriptor(path: str | Path, flags: int = os.O_RDONLY, *, follow: bool = False) -> int:
    """A descriptor of the file `path`; never waits, as opening a FIFO does. `follow`: a link to a file will do.

    Raises:
        NotAFile: something else lies there.
        OSError: it cannot be opened.
    """
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        opened = os.open(path, flags, 0o644)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):  # a link, a socket, a folder
            raise NotAFile(path) from None
        raise
    if stat.S_ISREG(os.fstat(opened).st_mode):
        return opened
    os.close(opened)
    raise NotAFile(path)


def reading(path: str | Path, *, follow: bool = False) -> BufferedReader:
    """The file `path`, opened to be read in bytes; raises as `descriptor` does."""
    return os.fdopen(descriptor(path, follow=follow), "rb")


def content(path: str | Path, *, follow: bool = False) -> bytes:
    """All bytes of the file `path`; raises as `descriptor` does."""
    with reading(path, follow=follow) as file:
        return file.read()


def entries(folder: str | Path) -> list[tuple[str, str | None, tuple[int, ...] | None]]:
    """What is right below a folder, by name: where it leads if it is a link, and what tells whether it is as it was.

    That is size, times, inode and rights of a file, and of anything else only what it is; None where there is nothing.
    """
    found = []
    with os.scandir(folder) as each:
        for entry in each:
            leads, signature = os.readlink(entry.path) if entry.is_symlink() else None, None
            try:
                status = entry.stat()
            except OSError:
                pass
            else:
                times = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
                regular = stat.S_ISREG(status.st_mode)
                signature = (status.st_mode, *times) if regular else (stat.S_IFMT(status.st_mode),)
            found.append((entry.name, leads, signature))
    return sorted(found)


def discard(path: str | Path) -> None:
    """Remove whatever lies at `path`: a link, not what it leads to; a folder with all in it. Nothing there is fine."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise
        import shutil  # here, because it loads all compression libraries, and most commands remove nothing

        shutil.rmtree(path)
