"""What a worker process keeps between jobs, and how it executes one: sandbox, recorder, runner, evidence."""

from __future__ import annotations

import contextlib
import multiprocessing.process
import os
import random
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from finnyaml import plugins
from finnyaml.finn import identity
from finnyaml.finn.kernels import kernels
from finnyaml.finn.kernels.register import register
from finnyaml.recipe.schema import schema_path
from finnyaml.steps.imports import package_state
from finnyaml.store import CACHE, Store
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
from finnyaml.store.tree import look_in
from finnyaml.tools.listen import TOLD
from finnyaml.worker.content import Places, save
from finnyaml.worker.context import Context, Keeping
from finnyaml.worker.functions import function_of
from finnyaml.worker.job import Done, Job
from finnyaml.worker.recorder import Reads, Recorder
from finnyaml.worker.sandbox import MODEL, Sandbox
from finnyaml.worker.witness import Witness

MANY = 100
"""From so many files in a folder on, a trace does not name each that was only asked for."""

FINN = "finnyaml.worker.warm_up:finn"
"""The imports of tasks that run FINN's code."""


class Worker:
    """The state that one worker process keeps between jobs."""

    def __init__(self, store: Path, sandbox: Path) -> None:
        self._store = Store.open(store)
        folders = identity.folders()
        self._places = Places.of(sandbox, folders)
        self._sandbox = Sandbox(sandbox, self._store, self._places)
        own = Path(__file__).resolve().parents[1]
        steps = [folders[name] for name in identity.SOURCE_PACKAGES if name in folders]
        brought = [folder for package in plugins.packages() for folder in plugins.folders_of(package)]
        kept = [self._store.root / name for name in ("objects", CACHE)]
        ours = [own, schema_path().parent, *kept]
        self._recorder = Recorder(steps, ours, brought)
        self._witness = Witness(sandbox / TOLD, steps, ours, brought, self._store.root / CACHE)
        # Else its list of fonts lies in the home folder, and whoever draws would depend on it.
        os.environ["MPLCONFIGDIR"] = str(self._store.root / CACHE / "matplotlib")
        self._kernels = frozenset(kernels().values())
        self._warm: dict[str, Reads] = {}
        self._warming = 0.0

    def run(self, job: Job) -> Done:
        """Execute a job. Whatever its step raises is passed on, after what it imported was forgotten."""
        _reset_peak_memory()
        try:
            return self._execute(job)
        except BaseException:
            _user_sources(())  # what the failed step imported is not the next one's
            raise

    @property
    def sandbox(self) -> Path:
        """The folder in which its jobs run."""
        return self._sandbox.root

    def _execute(self, job: Job) -> Done:
        at_import = self.warm_up(job.warm_up)
        warm_up, self._warming = self._warming, 0.0
        started, begun = time.monotonic(), time.time_ns()
        names = Names(self._sandbox.root, Path(job.recipe_dir))
        self._sandbox.checkout(job.tree, job.inputs)
        closure = self._sandbox.closure(job.tree)
        config_reads: set[str] = set()
        named: set[str] = set()

        def context_file(name: str) -> Path:
            path = names.path(name)
            named.add(str(path))  # whoever opens it, native code included
            return path

        def same(earlier: Mapping[str, Mapping[str, Any]], programs: Mapping[str, str | None]) -> bool:
            for name in earlier.get("env", {}):
                self._recorder.variable_seen(reads, name)
            now: dict[str, dict[str, Any]] = {"env": {name: reads.env.get(name) for name in earlier.get("env", {})}}
            for kind, digest, noted in (("file", file_digest, reads.files), ("stat", look_digest, reads.looks)):
                paths = {name: str(names.path(name)) for name in earlier.get(kind, {})}
                now[kind] = {name: digest(path) for name, path in paths.items()}
                noted.update(paths.values())
            reads.programs.update(programs)
            return all(now[kind] == dict(found) for kind, found in earlier.items())

        keeping = Keeping(self._store, self._places, job.basis, same) if job.basis else None
        context = Context(
            uses=job.uses,
            params=job.params,
            model=self._load(job),
            config=lambda: self._config(job, names, config_reads),
            file=context_file,
            recipe_dir=Path(job.recipe_dir),
            root=self._sandbox.root,
            cache=self._store.root / CACHE,
            metrics={},
            digests=job.digests,
            keeping=keeping,
        )
        finns = job.warm_up == FINN
        users = job.users_code and not finns  # else programs are FINN's tools, which count by their version
        os.chdir(self._sandbox.root / "tmp")
        with (
            self._recorder.environment_undone(),
            _deterministic(job.seed, self._sandbox.root),
            self._recorder.recording(Path(job.recipe_dir)) as reads,
            self._witness.listening(self._sandbox.root, Path(job.recipe_dir), users=users, finns=finns) as told,
        ):
            model = function_of(job.runner)(context)
        if model is not None:
            self._save(model)
        reads.sources = {*named, *map(str, _user_sources(reads.sources))}
        reads.files.update(at_import.files)
        reads.env = {**at_import.env, **reads.env}
        reads.environment.update(at_import.environment)
        told.sort(reads, self._recorder)
        changed, removed = self._sandbox.commit(job.tree)
        tree = {path: entry for path, entry in {**job.tree, **changed}.items() if path not in removed}
        looks, changed_looks = self._folded(reads, names, begun)
        recorded, unsure = _classify(reads, names, job.tree, closure, begun, users=users)
        recorded["looks"] = looks
        recorded["package"] = self._packages(reads, names)
        done = Done(
            digest=digest_of(self._sandbox.closure(tree)),
            model=MODEL if MODEL in tree else None,
            files=changed,
            removed=removed,
            config_reads=tuple(sorted(config_reads)),
            reads=recorded,
            programs=reads.programs,
            unsure=(*unsure, *changed_looks),
            seconds=time.monotonic() - started,
            warm_up=warm_up,
            peak_memory=_peak_memory(),
            metrics={**_metrics(model), **context.metrics},
            unseen=tuple(sorted(reads.unseen)),
            differs=told.differs(lambda path: names.hide(path).removeprefix("@recipe/")),
        )
        for afterwards in keeping.afterwards if keeping else ():
            afterwards(done)
        return done

    def warm_up(self, reference: str | None) -> Reads:
        """Import what a kind of task stands on, once per worker; returns what FINN looked at while it was imported."""
        if reference is None:
            return Reads()
        if reference not in self._warm:
            started = time.monotonic()
            with self._recorder.recording() as reads:
                function_of(reference)()
            self._warm[reference] = reads
            self._warming += time.monotonic() - started
        return self._warm[reference]

    def _packages(self, reads: Reads, names: Names) -> dict[str, str | None]:
        """The packages that the step imports, by name or place, with version or content."""
        named = {name: names.hide(name) if "/" in name else name for name in sorted(reads.packages)}
        memo, put_memo = self._store.memo, self._store.put_memo
        return {name: package_state(name, Path(at), memo, put_memo) for at, name in named.items()}

    def _folded(self, reads: Reads, names: Names, begun: int) -> tuple[dict[str, str | None], tuple[str, ...]]:
        """Of folders that were listed and in which all was asked for, one digest each, which says the same as one of
        each file; also files that changed under the step. All of these are taken out of `reads`.
        """
        asked: dict[str, set[str]] = defaultdict(set)
        for path in reads.looks | reads.links:
            asked[os.path.dirname(path)].add(path)
        found: dict[str, str | None] = {}
        unsure: list[str] = []
        for folder, paths in asked.items():
            if len(paths) < MANY or folder not in reads.folders or names.inside(folder) is not None:
                continue
            if paths == {os.path.join(folder, name) for name in os.listdir(folder)}:
                found[names.hide(folder)] = looks_digest(folder, self._store.memo, self._store.put_memo)
                unsure += (path for path in sorted(paths) if os.path.isfile(path) and _modified(path) > begun)
                reads.looks -= paths
                reads.links -= paths
        return found, tuple(unsure)

    def _load(self, job: Job) -> Any:
        if MODEL not in job.tree:
            return None
        from qonnx.core.modelwrapper import ModelWrapper

        model = ModelWrapper(str(self._sandbox.root / MODEL))
        if self._kernels.intersection(node.op_type for node in model.graph.node):
            register()
        return model

    def _save(self, model: Any) -> None:
        path = self._sandbox.root / MODEL
        path.unlink(missing_ok=True)
        save(model.model, path)
        if "finn.builder.build_dataflow_steps" in sys.modules:
            from finnyaml.finn import hwconfig

            hwconfig.write(model, self._sandbox.root / "out" / "final_hw_config.json")

    def _config(self, job: Job, names: Names, reads: set[str]) -> Any:
        from finnyaml.finn import config
        from finnyaml.finn.door import open_door

        values = {name: names.reveal(value) for name, value in job.config.items()}
        values["output_dir"] = str(self._sandbox.root / "out")
        return config.recording(config.make(open_door().config_class, values), reads)


class _Forks:
    """Forked children draw what follows from the job as well: Python seeds each afresh."""

    seed, count = "", 0

    @classmethod
    def before(cls) -> None:
        cls.count += 1

    @classmethod
    def in_child(cls) -> None:
        random.seed(f"finnyaml {cls.seed} {cls.count}")


os.register_at_fork(before=_Forks.before, after_in_child=_Forks.in_child)


@contextlib.contextmanager
def _deterministic(seed: str, sandbox: Path) -> Iterator[None]:
    """Make the names that FINN draws at random follow from the job.

    Tensor names come from `random`; two steps must not share a seed, since FINN does not check drawn names for
    collisions with those of an earlier step in every place. Folders come from `tempfile.mkdtemp`, which here counts
    instead of drawing.
    """
    random.seed(f"finnyaml {seed}")
    _Forks.seed, _Forks.count = seed, 0
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(int(seed[:8], 16))
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(int(seed[:8], 16))
    drawn = tempfile.mkdtemp
    tempfile.tempdir = str(sandbox / "tmp")

    def counted(suffix: str | None = None, prefix: str | None = None, dir: Any = None) -> str:
        folder = Path(dir or tempfile.gettempdir())
        for number in range(1_000_000):
            path = folder / f"{prefix or 'tmp'}{number}{suffix or ''}"
            try:
                path.mkdir(mode=0o700)
            except FileExistsError:
                continue
            return str(path)
        raise FileExistsError(f"no free folder name below {folder}")

    tempfile.mkdtemp = counted  # type: ignore[assignment]
    try:
        with _short_sockets(sandbox / "tmp"):
            yield
    finally:
        tempfile.mkdtemp = drawn


@contextlib.contextmanager
def _short_sockets(folder: Path) -> Iterator[None]:
    """Let processes of one step talk: they put sockets into the folder, whose path is too long for one in many a store.

    The name of a socket has at most 107 bytes. So the folder is named by an open file of this process.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    config = multiprocessing.process.current_process()._config  # type: ignore[attr-defined]
    config["tempdir"] = f"/proc/{os.getpid()}/fd/{opened}"  # where `multiprocessing.util.get_temp_dir` looks first
    try:
        yield
    finally:
        config.pop("tempdir", None)
        os.close(opened)


def _user_sources(loaded: Iterable[str]) -> list[Path]:
    """What the task read of the user's code, of what was seen to be loaded too."""
    if "finnyaml.steps.code" not in sys.modules:
        return []
    from finnyaml.steps.code import forget_user_modules

    return forget_user_modules(loaded)


def _classify(
    reads: Reads,
    names: Names,
    before: Mapping[str, Any],
    closure: Mapping[str, str],
    begun: int,
    *,
    users: bool = False,
) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
    """Sort raw observations into the kinds of a trace; also those inputs that changed under the step."""
    files: dict[str, Any] = {}
    texts: dict[str, Any] = {}
    tree: dict[str, Any] = {}
    unsure = []
    for path in sorted(reads.files | reads.sources):
        inside = names.inside(path)
        if inside is None:
            if path in reads.files and path.endswith(".py"):
                texts[names.hide(path)] = content_digest(path)
            else:
                files[names.hide(path)] = file_digest(path)
            if _modified(path) > begun:
                unsure.append(path)
        elif inside.startswith("inputs/"):
            files[f"@{inside}"] = file_digest(path)
        elif inside not in closure and not inside.startswith("tmp/"):
            known = before.get(inside)
            if known is not None or not os.path.exists(path):
                tree[inside] = known.digest if known is not None else None
    stats: dict[str, str | None] = {}
    links: dict[str, str | None] = {}
    for path, found, digest in (
        *((path, stats, look_digest) for path in sorted(reads.looks)),
        *((path, links, link_digest) for path in sorted(reads.links)),
    ):
        inside = names.inside(path)
        if inside is None:
            if not names.is_above(path):
                found[names.hide(path)] = digest(path)
                if os.path.isfile(path) and path not in reads.made and _modified(path) > begun:
                    unsure.append(path)
        elif inside.startswith(("build/", "out/")) and not any(
            f"{known}/".startswith(f"{inside}/") for known in closure
        ):
            if users and inside in before:
                tree[inside] = before[inside].digest
            else:
                stats[f"@tree/{inside}"] = look_in(before, f"@tree/{inside}")
    folders = {}
    for path in sorted(reads.folders):
        inside = names.inside(path)
        if inside is None:
            folders[names.hide(path)] = folder_digest(path)
            if _modified(path) > begun:
                unsure.append(path)
        elif f"{inside}/".startswith(("build/", "out/")):
            tree[f"{inside}/"] = listing_digest(before, inside)
    return {
        "file": files,
        "text": texts,
        "stat": stats,
        "link": links,
        "dir": folders,
        "tree": tree,
        "env": dict(reads.env),
        "environment": dict(reads.environment),
        "module": {names.hide(at): form for at, form in sorted(reads.modules.items()) if names.inside(at) is None},
    }, tuple(unsure)


def _modified(path: str) -> int:
    """When a file was last changed, or another was put in its place (its own time may be older)."""
    try:
        stat = os.stat(path)
    except OSError:
        return 0
    return max(stat.st_mtime_ns, stat.st_ctime_ns)


def _metrics(model: Any) -> dict[str, Any]:
    return (
        {}
        if model is None
        else {"nodes": len(model.graph.node), "operators": len({node.op_type for node in model.graph.node})}
    )


def _reset_peak_memory() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # not Linux, or not allowed: the figure then is the peak of the whole process


def _peak_memory() -> int:
    """Peak resident memory of this process in bytes, since the last reset where the system can reset it."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
