"""Files of a store and finnyaml's own records in a workspace, one of them damaged, under commands that rely on it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

from finnyaml.cli import quick
from finnyaml.cli.app import run
from finnyaml.errors import ExitCode
from finnyaml.store import Store
from tests.fuzz.mutation import EDGES, damaged, edited
from tests.fuzz.watch import watched
from tests.project import Project

WORDS = (
    *EDGES,
    *b'null [] {} -1 ""'.split(),
    *(b"9" * 400, b"[" * 2000, b'"\\ud800"', b'"../../x"', b'"/etc/passwd"', b"\n"),
)
BUILD = ["build", "recipe.yaml"]
"""The command line that has a stamp."""


class Stores:
    """A small project that was built; `kind` says which file of its store or workspace is damaged."""

    def __init__(self, folder: Path, warm: Path) -> None:
        """`warm` is a store as `tests.project.warm` makes it."""
        self._project = Project(folder / "stores", folder / "store")
        shutil.copytree(warm, self._project.store)
        for _ in range(2):  # the first stamp may be too fresh to tell by
            done = self._project.run(*BUILD)
            assert done.returncode == 0, done.stderr
        self._answer = done.stdout
        self._files = self._places()
        self._whole = self._all()
        self.seeds = {kind: [path.read_bytes()] for kind, path in self._files.items()}
        self._plan = self._said("plan", "recipe.yaml", "--json")

    def mutated(self, kind: str, seed: bytes, chance: Random) -> bytes:
        return chance.choice((edited, damaged))(seed, chance, WORDS)

    def check(self, kind: str, data: bytes) -> bool:
        """Whether nobody notices. What was damaged counts as not there, or is refused and told; anything else, and
        above all another answer than before, is a fault.
        """
        path = self._files[kind]
        path.chmod(0o644)
        path.write_bytes(data)
        try:
            with watched(str(self._project.folder), may_change=str(self._project.folder.parent)):
                return self._look()
        finally:
            self._restore()

    def _look(self) -> bool:
        with self._here(), contextlib.redirect_stdout(io.StringIO()) as told:
            quickly = quick.up_to_date([*BUILD])
        assert not quickly or told.getvalue() == self._answer, f"the quick path says {told.getvalue()!r}"
        now = self._said("plan", "recipe.yaml", "--json")
        for name, task in (json.loads(now)["tasks"] if now else {}).items():
            before = json.loads(self._plan)["tasks"][name]
            assert task["state"] != "cached" or task == before, f"{name} is another one: {task}"
        listed = [self._said(*command) for command in (("log", "recipe.yaml"), ("cache", "list"), ("cache", "verify"))]
        return now == self._plan and None not in listed

    def _said(self, *command: str) -> str | None:
        """What a command prints; None where it refuses. AssertionError where it does not know what it has."""
        out, err = io.StringIO(), io.StringIO()
        with self._here(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run([*command])
        told = err.getvalue()
        assert code in [*ExitCode], code
        assert "defect of finnyaml" not in told and "Traceback" not in told, f"{' '.join(command)}: {told}"
        return out.getvalue() if code == 0 else None

    @contextlib.contextmanager
    def _here(self) -> Iterator[None]:
        """In the folder of the project, with its store, as a command that was just started."""
        there, environment = os.getcwd(), dict(os.environ)
        os.chdir(self._project.folder)
        os.environ.update(self._project.environment())
        try:
            yield
        finally:
            os.chdir(there)
            os.environ.clear()
            os.environ.update(environment)

    def _places(self) -> dict[str, Path]:
        """One file of each kind."""
        store, root = Store.open(self._project.store), self._project.store
        built = {key: store.traces(key)[0] for key in store.trace_keys()}
        key, trace = next((key, trace) for key, trace in built.items() if trace.info["task"] == "scale")
        model = store.artifact(trace.artifact).files["model.onnx"].blob
        private = self._project.folder / "build/.finnyaml"
        last = max((private / "runs").iterdir())
        memos = {path.name.partition("-")[0]: path for path in sorted((root / "memos").iterdir())}
        return {
            "object": root / "objects" / model[:2] / model,
            "artifact": root / "objects" / trace.artifact[:2] / trace.artifact,
            "trace": root / "traces" / key[:2] / key,
            "version": root / "version",
            "memo": memos["tree"],
            "code": memos["code"],
            "stamp": memos["stamp"],
            "manifest": private / "workspace.json",
            **{path.stem: path for path in private.glob("*.json") if path.stem != "workspace"},
            **{f"run-{path.stem}": path for path in last.iterdir() if path.is_file()},
        }

    def _all(self) -> dict[Path, tuple[bytes, int]]:
        folders = (self._project.store, self._project.folder)
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        return {path: (path.read_bytes(), path.stat().st_mode) for path in files}

    def _restore(self) -> None:
        """As it was, times aside: what is damaged here is bytes."""
        for path in self._all().keys() - self._whole.keys():
            path.unlink()
        for path, (data, mode) in self._whole.items():
            if not path.is_file() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                path.write_bytes(data)
                path.chmod(mode)
