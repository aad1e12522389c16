"""What may be written in a workspace: nothing through a link, and what cannot be written is said with what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from finnyaml.errors import FinnyamlError
from finnyaml.files import kind_of

_IN_THE_WAY = (errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY)


def refuse_links(root: Path, paths: Iterable[str]) -> None:
    """Refuse to reach any of `paths` (relative to the workspace `root`) through a link; `root` itself may be one.

    Raises:
        FinnyamlError: a folder on the way to one of them is a link.
    """
    folders = {str(folder) for path in paths for folder in PurePosixPath(path).parents}
    for folder in sorted(folders - {"."}):
        if (link := root / folder).is_symlink():
            message = f"{link} is a link to {os.readlink(link)}: finnyaml does not write or clean what is behind it"
            raise FinnyamlError(message, hint=f"remove the link; {root} as a whole may be a link to another disk")


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Turn any OSError inside into a `FinnyamlError` that says what is wrong in the workspace `root`."""
    try:
        yield
    except OSError as error:
        hint = "set `output:` in the recipe to a folder that can"
        if error.errno in _IN_THE_WAY:
            hint = f"move {_in_the_way(Path(error.filename2 or error.filename))} away, and try again"
        place = f" ({error.filename})" if error.filename else ""
        raise FinnyamlError(f"the workspace {root} cannot be written: {error.strerror}{place}", hint=hint) from error


def _in_the_way(path: Path) -> Path:
    """What keeps `path` from being written: itself, or what is where a folder on the way to it should be."""
    return next((folder for folder in reversed(path.parents) if kind_of(folder) not in ("a folder", None)), path)
