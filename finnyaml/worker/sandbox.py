"""The folder in which the steps of one worker run. Runs inside workers.

    <root>/model.onnx   the model a task produced
    <root>/build/       FINN_BUILD_DIR: code generation, simulation and synthesis folders
    <root>/out/         output_dir: reports, stitched IP, bitfile, driver ...
    <root>/inputs/      files that the recipe names, laid in before the task
    <root>/tmp/         temporary files, forgotten after each task
    <root>/told/        what processes tell of their reads (`finnyaml.tools.listen`)

A sandbox holds exactly the tree that the next task is given: what an earlier task or a killed one left is taken out
first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from finnyaml.files import discard
from finnyaml.store import Entry, Store, streams
from finnyaml.worker import content
from finnyaml.worker.content import Places

TREES = ("build", "out")
MODEL = "model.onnx"

_Signature = tuple[int, ...]

STAMP = 946_684_800_000_000_000
"""The modification time (ns: the year 2000) that files get here, so that a change shows however soon it comes."""


class Sandbox:
    """One worker's folder, and what it knows to be in it."""

    def __init__(self, root: Path, store: Store, places: Places) -> None:
        self.root = root
        self._store = store
        self._places = places
        self._known: dict[str, tuple[_Signature, Entry]] = {}
        for name in (*TREES, "inputs", "tmp"):
            (root / name).mkdir(parents=True, exist_ok=True)

    def checkout(self, tree: Mapping[str, Entry], inputs: Mapping[str, Entry]) -> None:
        """Make the folder hold exactly `tree` and the staged `inputs` as they are stored, `inputs/` last.

        Raises:
            ObjectDamaged: a blob is missing or not what its digest says.
        """
        self._empty("tmp")
        present = self._clear(tree)
        for relative, entry in tree.items():
            known = self._known.get(relative)
            if known is None or known[0] != present.get(relative) or known[1] != entry:
                self._restore(relative, entry)
        self._empty("inputs")
        for name, entry in inputs.items():
            streams.write(self.root / "inputs" / name, self._store.content(entry))

    def commit(self, before: Mapping[str, Entry]) -> tuple[dict[str, Entry], tuple[str, ...]]:
        """Store what differs from the tree `before`: (new and changed files, removed files)."""
        changed = {}
        seen = set()
        for relative in self._scan():
            seen.add(relative)
            known = self._known.get(relative)
            if known is not None and known[0] == _signature((self.root / relative).stat()):
                continue
            entry = self._keep(relative)
            if before.get(relative) != entry:
                changed[relative] = entry
        return changed, tuple(sorted(before.keys() - seen))

    def closure(self, tree: Mapping[str, Entry]) -> dict[str, str]:
        """The model and every file that it refers to, directly or through another model: path to digest."""
        reached: dict[str, str] = {}
        waiting = [MODEL] if MODEL in tree else []
        while waiting:
            relative = waiting.pop()
            reached[relative] = tree[relative].digest
            if relative.endswith(".onnx"):
                data = self._store.read(tree[relative].blob)
                for target in set(content.references(data, self._places)):
                    waiting.extend(path for path in _below(tree, target) if path not in reached)
        return reached

    def _restore(self, relative: str, entry: Entry) -> None:
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        streams.write(path, content.unpack(relative, entry, self._places, self._store))
        path.chmod(entry.mode)
        self._know(relative, entry)

    def _keep(self, relative: str) -> Entry:
        path = self.root / relative
        mode = stat.S_IMODE(path.stat().st_mode) | stat.S_IRUSR | stat.S_IWUSR
        linked = path.is_symlink()  # to what may not be ours; the next task gets a file in its place
        if not linked:
            path.chmod(mode)
        entry = content.pack(path, relative, self._places, self._store, mode)
        if not linked:
            self._know(relative, entry)
        return entry

    def _know(self, relative: str, entry: Entry) -> None:
        path = self.root / relative
        os.utime(path, ns=(STAMP, STAMP))
        self._known[relative] = (_signature(path.stat()), entry)

    def _clear(self, tree: Mapping[str, Entry]) -> dict[str, _Signature]:
        """Remove all that is not a plain file of `tree`, links too; returns what is left, with signatures."""
        left = {}
        paths = [str(self.root / MODEL)] if os.path.lexists(self.root / MODEL) else []
        for folder in TREES:
            for directory, folders, names in os.walk(self.root / folder):
                paths += [os.path.join(directory, name) for name in (*folders, *names)]
        for path in paths:
            status = os.lstat(path)
            relative = os.path.relpath(path, self.root)
            if stat.S_ISREG(status.st_mode) and relative in tree:
                left[relative] = _signature(status)
            elif not stat.S_ISDIR(status.st_mode):
                os.unlink(path)
        for folder in TREES:
            _prune(self.root / folder)
        return left

    def _scan(self) -> Iterator[str]:
        """Every file of the tree. Links count as what they point to, those to folders only inside the sandbox."""
        if (self.root / MODEL).exists():
            yield MODEL
        for folder in TREES:
            for path in _files(str(self.root / folder), os.path.realpath(self.root), ()):
                yield os.path.relpath(path, self.root)

    def _empty(self, name: str) -> None:
        discard(self.root / name)
        (self.root / name).mkdir()


def _signature(status: os.stat_result) -> _Signature:
    # The time of change too: a copy that keeps times (shutil.copy2) is a change.
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_mode


def _files(folder: str, within: str, above: tuple[str, ...]) -> Iterator[str]:
    """Every file below `folder`, but no sockets and no dangling links; a link to a folder `above` would never end."""
    real = os.path.realpath(folder)
    if real in above or os.path.commonpath([real, within]) != within:
        return
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():
            yield from _files(entry.path, within, (*above, real))
        elif os.path.isfile(entry.path) if entry.is_symlink() else entry.is_file():
            yield entry.path


def _below(tree: Mapping[str, Entry], target: str) -> Iterator[str]:
    if target in tree:
        yield target
    else:
        yield from (path for path in tree if path.startswith(f"{target}/"))


def _prune(folder: Path) -> None:
    """Remove folders that hold nothing: a left-over empty folder changes what a step finds."""
    for directory, _, _ in os.walk(folder, topdown=False):
        if Path(directory) != folder:
            try:
                os.rmdir(directory)
            except OSError:
                continue
