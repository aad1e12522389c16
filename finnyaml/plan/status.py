"""Which tasks of a plan are cached, stale and why, blocked and why.

The one place that decides whether a trace still holds. `finnyaml plan` asks it without running anything; the engine
asks it again for each task once the tasks before it are there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnyaml.errors import ExitCode
from finnyaml.plan.doubts import doubts
from finnyaml.plan.graph import Plan
from finnyaml.plan.reasons import Reason, of_parts
from finnyaml.plan.task import Task
from finnyaml.steps.imports import module_at, package_state
from finnyaml.store import Artifact, Entry, ObjectDamaged, Store, Trace
from finnyaml.store.digests import (
    content_digest,
    digest_of,
    file_digest,
    folder_digest,
    link_digest,
    listing_digest,
    look_digest,
    looks_digest,
)
from finnyaml.store.names import Names
from finnyaml.store.tree import look_in, merge, overlay
from finnyaml.tools import variables

LOOKED = ("out/verification/", "out/bundle/")
"""Where tasks that look at what steps made leave their own files."""

Tree = Mapping[str, Entry]
ToolVersions = Callable[[str], str | None]


@dataclass(frozen=True)
class Built:
    """A task that is there: the digest of its model, the whole tree after it, and the evidence."""

    digest: str
    tree: Tree
    artifact: Artifact
    trace: Trace


@dataclass(frozen=True)
class Status:
    """`state` is `cached`, `stale`, `waiting` (for the result of a stale task) or `blocked`.

    `built` is set where cached, and `doubts` says why a clean build may give another result. `key` and `inputs` are
    known unless waiting. `missing` names the tools that block.
    """

    state: str
    reasons: tuple[Reason, ...] = ()
    built: Built | None = None
    key: str = ""
    parts: Mapping[str, Any] = field(default_factory=dict)
    tree: Tree = field(default_factory=dict, repr=False)
    missing: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass
class Looks:
    """What files and packages of this machine hold, once somebody has looked, and which artifacts are there whole."""

    digests: dict[tuple[str, Callable[[Path], str | None]], str | None] = field(default_factory=dict)
    packages: dict[str, str | None] = field(default_factory=dict)
    artifacts: set[str] = field(default_factory=set)


class Judge:
    """Holds what judging needs: the store, the tools of this machine, and the record of the last build here.

    `distrusted` are tasks that have to run where there are doubts about their stored results (`doubts`). Judges of the
    variants of one recipe may share their `looks`. `elsewhere` has the tasks that run at another place, each with what
    is known of the variables and tools there: by kind and name, as in a trace.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        tool_versions: ToolVersions,
        missing_tools: Callable[[tuple[str, ...]], tuple[str, ...]],
        last: Mapping[str, Any],
        distrusted: Container[str] = (),
        looks: Looks | None = None,
        elsewhere: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
    ) -> None:
        self.plan = plan
        self._elsewhere = elsewhere or {}
        self._distrusted = distrusted
        self._store = store
        self._tool_versions = tool_versions
        self._missing_tools = missing_tools
        self._last = last
        self._names = Names(None, plan.recipe.directory)
        self._seen = looks or Looks()

    def survey(self, selected: set[str], forced: frozenset[str] = frozenset()) -> dict[str, Status]:
        """The status of every selected task as it is now, in order, without running anything."""
        found: dict[str, Status] = {}
        for task in self.plan.tasks.values():
            if task.id not in selected:
                continue
            waits = [need for need in task.needs if found[need].state != "cached"]
            if not waits:
                built = {need: found[need].built for need in task.needs}
                found[task.id] = self.judge(task, built, forced=task.id in forced)  # type: ignore[arg-type]
                continue
            missing = self._missing(task)
            blocked = [need for need in waits if found[need].state == "blocked"]
            if missing or blocked:
                reasons = tuple(Reason("blocked", need) for need in blocked)
                found[task.id] = Status("blocked", reasons, missing=missing)
            else:
                found[task.id] = Status("waiting", tuple(Reason("waits", need) for need in waits))
        return found

    def judge(self, task: Task, built: Mapping[str, Built], *, forced: bool = False, trusted: bool = False) -> Status:
        """Whether a task has to run, given all that it needs. `trusted`: doubts do not count this time.

        Raises:
            TreeConflict: two of the tasks it needs left different files of one name.
        """
        inputs = {need: item.digest for need, item in built.items()}
        tree = merge(
            self._given(task, need, built[need].tree) if index else built[need].tree
            for index, need in enumerate(task.needs)
        )
        parts = task.parts(inputs)
        key = digest_of(parts)
        reasons: list[Reason] = []
        if forced:
            reasons.append(Reason("always" if task.trust.always else "forced", task.id))
        else:
            for trace in self._store.candidates(key):
                differences = self._differences(trace, task, tree)
                if not differences:
                    doubtful = doubts(task, trace)
                    doubted = doubtful and not trusted and task.id in self._distrusted
                    if not doubted and not self._store.complete(key, trace):
                        continue
                    found = Reason("distrusted", doubtful[0]) if doubted else self._restore(trace, tree)
                    if isinstance(found, Built):
                        return Status("cached", (), found, key, parts, tree, doubts=doubtful)
                    differences = [found]
                reasons = reasons or differences
        missing = self._missing(task)
        why = tuple(reasons or self._compare_with_last(task, parts, tree))
        return Status("blocked" if missing else "stale", why, None, key, parts, tree, missing)

    def _missing(self, task: Task) -> tuple[str, ...]:
        """What a task needs and its machine does not have; of another machine that shows there."""
        return () if task.id in self._elsewhere else self._missing_tools(task.tools)

    def _given(self, task: Task, need: str, tree: Tree) -> Tree:
        """What a further need gives: its folders without the model; of what only looks, the files of its own.

        A bundle says the digest of every step's model; that is all it has of those before the last.
        """
        needed = self.plan.tasks.get(need)
        if needed is None or needed.is_step:
            return {} if task.declared.digests_only else _without_model(tree)
        return {path: entry for path, entry in tree.items() if path.startswith(LOOKED)}

    def read_values(self, task: Task, tree: Tree, reads: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """What everything in `reads` is now: the same shape with current values."""
        return {kind: {name: self._now(kind, name, task, tree) for name in names} for kind, names in reads.items()}

    def _now(self, kind: str, name: str, task: Task, tree: Tree) -> Any:
        if kind == "config":
            return task.setting(name)
        if kind == "file":
            return self._file(name, task)
        if kind == "text":
            return self._digest(name, content_digest)
        if kind == "dir":
            return self._digest(name, folder_digest)
        if kind == "stat":
            return look_in(tree, name) if name.startswith("@tree/") else self._digest(name, look_digest)
        if kind == "looks":
            return self._digest(name, self._looks)
        if kind == "link":
            return self._digest(name, link_digest)
        if kind == "tree":
            if name.endswith("/"):
                return listing_digest(tree, name.rstrip("/"))
            return tree[name].digest if name in tree else None
        there = self._elsewhere.get(task.id)
        if kind == "env":
            if there is not None and name in there.get("env", {}):
                return there["env"][name]
            return variables.recorded(name, os.environ.get(name))
        if kind == "environment":
            own = variables.digest(os.environ, name)
            brought, found = (there or {}).get("environment", {}).get(name, (None, None))
            return found if brought == own else own
        if kind == "module":
            return module_at(self._names.path(name))
        if kind == "package":
            return self._package(name)
        if kind == "tool":
            return self._tool_versions(name) if there is None else there.get("tool", {}).get(name)
        return None

    def _file(self, name: str, task: Task) -> str | None:
        if not name.startswith("@inputs/"):
            return self._digest(name, file_digest)
        staged = task.staged.get(name.removeprefix("@inputs/"))
        if staged is None:
            return None
        if staged.download is not None:
            return staged.download.sha256
        return hashlib.sha256(staged.data).hexdigest() if staged.data is not None else file_digest(str(staged.source))

    def _digest(self, name: str, digest: Callable[[Path], str | None]) -> str | None:
        """Digest of a file or folder of this machine; each is looked at once per survey."""
        if (
            name,
            digest,
        ) not in self._seen.digests:  # code may open what turns out to be a folder, and then list it
            self._seen.digests[name, digest] = digest(self._names.path(name))
        return self._seen.digests[name, digest]

    def _looks(self, folder: Path) -> str | None:
        return looks_digest(folder, self._store.memo, self._store.put_memo)

    def _package(self, name: str) -> str | None:
        if name not in self._seen.packages:
            path = self._names.path(name)
            self._seen.packages[name] = package_state(name, path, self._store.memo, self._store.put_memo)
        return self._seen.packages[name]

    def look_again(self) -> None:
        """Forget what files held: they may have changed since they were last looked at."""
        self._seen.digests.clear()
        self._seen.packages.clear()
        self._seen.artifacts.clear()

    def _differences(self, trace: Trace, task: Task, tree: Tree) -> list[Reason]:
        now = self.read_values(task, tree, trace.reads)
        return [
            Reason(kind, name, old, now[kind][name])
            for kind, names in trace.reads.items()
            for name, old in names.items()
            if now[kind][name] != old and not _only_missing(kind, now[kind][name])
        ]

    def _restore(self, trace: Trace, tree: Tree) -> Built | Reason:
        """The result of a trace, if the store can give it here."""
        try:
            artifact = self._store.artifact(trace.artifact)
        except ObjectDamaged as error:
            return Reason("damaged", error.digest[:12])
        if trace.artifact not in self._seen.artifacts:
            room = len(str(self._store.work / ("0" * 16)))
            for path, entry in artifact.files.items():
                if not all(map(self._store.has, entry.blobs)):
                    return Reason("damaged", path)
                if entry.pinned not in (None, room):
                    return Reason("pinned", path)
            self._seen.artifacts.add(trace.artifact)
        return Built(artifact.digest, overlay(tree, artifact), artifact, trace)

    def _compare_with_last(self, task: Task, parts: Mapping[str, Any], tree: Tree) -> list[Reason]:
        """No trace has this key; what changed since this workspace was last built?"""
        last = self._last.get(task.id)
        if last is None:
            return [Reason("new", task.id)]
        reasons = of_parts(last["parts"], parts, task.needs)
        reads = last["reads"]
        now = self.read_values(task, tree, reads)
        for kind, names in reads.items():
            reasons += [
                Reason(kind, name, old, now[kind][name]) for name, old in names.items() if now[kind][name] != old
            ]
        return reasons or [Reason("forgotten", task.id)]


def _only_missing(kind: str, now: Any) -> bool:
    """A tool that is not here does not contradict a result made with it: that version still gives it."""
    return kind == "tool" and now is None


def verdict(statuses: Mapping[str, Status]) -> ExitCode:
    """The exit code that a plan with blocked tasks announces."""
    return ExitCode.TOOL_MISSING if any(item.missing for item in statuses.values()) else ExitCode.OK


def _without_model(tree: Tree) -> Tree:
    """A tree that joins by its folders only: the model comes from the first of a task's needs."""
    return {path: entry for path, entry in tree.items() if path != "model.onnx"}
