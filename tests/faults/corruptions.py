"""Files of the store and of the workspace, damaged by chance: a build gives the right files, or says what is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

from tests.faults.sound import Sound, files, same, told
from tests.project import Project


class Corruptions:
    """A small project that was built, one to three of whose files are damaged."""

    def __init__(self, sound: Sound) -> None:
        self._sound = sound

    def round(self, chance: Random) -> str:
        project = self._sound.copy()
        places = (project.store, project.folder / "build")
        there = sorted(path for place in places for path in place.rglob("*") if path.is_file())
        done = [
            chance.choice(_DAMAGES)(chance.choice(there), chance, there) for _ in range(chance.choice((1, 1, 2, 3)))
        ]
        try:
            outcome = self._after(project)
            shutil.rmtree(project.folder / "build")  # so that all of it has to come from the store
            self._sound.check(project)
        except AssertionError as wrong:
            raise AssertionError(f"{'; '.join(done)}: {wrong}") from None
        return outcome

    def _after(self, project: Project) -> str:
        """What a build says, and one after it."""
        build = project.run("build", "recipe.yaml")
        if build.returncode == 0:
            same(files(project), self._sound.files)
            return "right at once"
        refused = told(build.returncode, build.stderr)
        version = project.store / "version"
        assert f"{version} is damaged" in refused, refused
        version.write_text("format: 1\n")  # as the message says
        self._sound.check(project)
        return "refused, then right"


def _flip(path: Path, chance: Random, _: list[Path]) -> str:
    data = bytearray(path.read_bytes())
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return _write(path, bytes(data), "a bit flipped")


def _truncate(path: Path, chance: Random, _: list[Path]) -> str:
    return _write(path, path.read_bytes()[: chance.randrange(path.stat().st_size + 1)], "cut short")


def _empty(path: Path, *_: object) -> str:
    return _write(path, b"", "emptied")


def _zeros(path: Path, *_: object) -> str:
    return _write(path, bytes(path.stat().st_size), "all zeros")


def _remove(path: Path, *_: object) -> str:
    path.unlink(missing_ok=True)
    return f"{path.name}: removed"


def _swap(path: Path, chance: Random, others: list[Path]) -> str:
    other = chance.choice(others)
    if not (path.exists() and other.exists()):
        return "nothing"
    one, two = path.read_bytes(), other.read_bytes()
    _write(other, one, "")
    return _write(path, two, f"swapped with {other.name}")


def _write(path: Path, data: bytes, what: str) -> str:
    """As a careless hand would: in place, read-only or not."""
    if path.exists():
        path.chmod(0o644)
    path.write_bytes(data)
    return f"{path.parent.name}/{path.name}: {what}"


_DAMAGES = (_flip, _truncate, _empty, _zeros, _remove, _swap)
