"""What may lie where a file should be, for tables of tests: each puts one thing at a path."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Thing = Callable[[Path, Path, pytest.MonkeyPatch], None]
"""Puts something at the first path; the second is a folder of somebody else."""


def _folder(path: Path, foreign: Path, patch: pytest.MonkeyPatch) -> None:
    path.mkdir()


def _full_folder(path: Path, foreign: Path, patch: pytest.MonkeyPatch) -> None:
    (path / "sub").mkdir(parents=True)
    (path / "sub" / "file").write_text("x")


def _fifo(path: Path, foreign: Path, patch: pytest.MonkeyPatch) -> None:
    os.mkfifo(path)


def _socket(path: Path, foreign: Path, patch: pytest.MonkeyPatch) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{folder}/{path.name}")  # the name of a socket may have 107 bytes only
    os.close(folder)


def _device(path: Path, foreign: Path, patch: pytest.MonkeyPatch) -> None:
    path.symlink_to("/dev/zero")


def _dangling(path: Path, foreign: Path, patch: pytest.MonkeyPatch) -> None:
    path.symlink_to(foreign / "nothing")


def _link_to_file(path: Path, foreign: Path, patch: pytest.MonkeyPatch) -> None:
    path.symlink_to(foreign / "file")


def _link_to_folder(path: Path, foreign: Path, patch: pytest.MonkeyPatch) -> None:
    path.symlink_to(foreign)


def _loop(path: Path, foreign: Path, patch: pytest.MonkeyPatch) -> None:
    path.symlink_to(path.name)


def _empty(path: Path, foreign: Path, patch: pytest.MonkeyPatch) -> None:
    path.touch()


def _noise(path: Path, foreign: Path, patch: pytest.MonkeyPatch) -> None:
    path.write_bytes(bytes(range(256)) * 16)


def _unreadable(path: Path, foreign: Path, patch: pytest.MonkeyPatch) -> None:
    """No permission, also for root: the system call answers as the kernel would."""
    path.write_text("x")
    os.link(path, foreign / "kept")  # else the next file may get its inode
    os_open, inode = os.open, path.stat().st_ino

    def open_(at: str | Path, flags: int, *more: int, **others: int) -> int:
        if os.path.lexists(at) and os.lstat(at).st_ino == inode:
            raise PermissionError(13, "Permission denied", str(at))
        return os_open(at, flags, *more, **others)

    patch.setattr(os, "open", open_)


THINGS: Mapping[str, Thing] = {
    "a folder": _folder,
    "a folder with files": _full_folder,
    "a FIFO": _fifo,
    "a socket": _socket,
    "a link to a device": _device,
    "a dangling link": _dangling,
    "a link to a file": _link_to_file,
    "a link to a folder": _link_to_folder,
    "a link to itself": _loop,
    "an empty file": _empty,
    "noise": _noise,
    "an unreadable file": _unreadable,
}


def foreign_folder(path: Path) -> dict[str, str]:
    """Make a folder of somebody else, of which nothing may change; returns what is in it."""
    path.mkdir()
    (path / "file").write_text("of somebody else")
    return inside(path)


def inside(path: Path) -> dict[str, str]:
    """The files of a folder with their texts."""
    return {str(each.relative_to(path)): each.read_text() for each in sorted(path.rglob("*")) if each.is_file()}
