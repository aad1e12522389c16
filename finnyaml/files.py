"""Files, whatever lies in their place by now: a folder, a FIFO, a socket, a device, a link."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path

_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a link",
}


class NotAFile(OSError):
    """Something that is not a file lies where one should be."""

    def __init__(self, path: str | Path, *, follow: bool = False) -> None:
        what = (kind_of(path) if follow else _kind(os.lstat, path)) or "something else"
        super().__init__(errno.EEXIST, f"{what} is where a file should be", str(path))


def kind_of(path: str | Path) -> str | None:
    """What is at `path`, as a word with its article; what a link leads to. None where there is nothing at all."""
    found = _kind(os.stat, path)
    return found or ("a link that leads nowhere" if _kind(os.lstat, path) else None)


def _kind(look: Callable[[str | Path], os.stat_result], path: str | Path) -> str | None:
    try:
        return _KINDS.get(stat.S_IFMT(look(path).st_mode), "something else")
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None


def descriptor(path: str | Path, flags: int = os.O_RDONLY, *, follow: bool = False) -> int:
    """A descriptor of the file `path`; never waits, as opening a FIFO does. `follow`: a link to a file will do.

    Raises:
        NotAFile: something else lies there.
        OSError: it cannot be opened.
    """
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        opened = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):  # a link, a socket, a folder
            raise NotAFile(path, follow=follow) from None
        raise
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise NotAFile(path, follow=follow)
    if flags & os.O_CREAT:
        share(opened, os.path.dirname(path))
    return opened


def is_shared(folder: str | Path) -> bool:
    """Whether what lies in a folder belongs to its group: it is set-group-ID (`chmod g+s`), and the group may write."""
    wanted = stat.S_ISGID | stat.S_IWGRP
    return os.stat(folder or ".").st_mode & wanted == wanted


def share(descriptor: int, folder: str | Path) -> None:
    """Let the group write an open file that was made in a shared `folder`, whatever the umask says."""
    status = os.fstat(descriptor)
    if status.st_uid == os.geteuid() and status.st_mode & 0o060 != 0o060 and is_shared(folder):
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode) | 0o060)


def umask() -> int:
    """The umask of this process. Asked from the kernel, since setting it to read it would meet other threads."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        return next((int(line.split()[1], 8) for line in status if line.startswith("Umask:")), 0o022)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing; one that is there is fine. In a shared folder it is shared.

    FileExistsError where something else lies there.
    """
    try:
        path.mkdir()
    except FileNotFoundError:
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
    except FileExistsError:
        if not path.is_dir():
            raise
        return
    if is_shared(path.parent):
        path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o2070)


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
