"""The judge on a real store: a trace holds exactly as long as all that it read is as it was."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnyaml.errors import ExitCode
from finnyaml.finn.settings import Staged
from finnyaml.plan.graph import Plan
from finnyaml.plan.reasons import Reason
from finnyaml.plan.status import Built, Judge, Status, verdict
from finnyaml.plan.task import Task
from finnyaml.store import Artifact, Entry, Store, Trace
from finnyaml.store.digests import digest_of
from finnyaml.store.tree import TreeConflict
from tests.plan.catalog import CATALOG, recipe_of
from tests.store.samples import weighty


@dataclass
class World:
    """A plan of two tasks, the first of them built, and everything that the second may look at."""

    root: Path
    versions: dict[str, str | None] = field(default_factory=lambda: {"vivado": "2024.2"})
    absent: tuple[str, ...] = ()
    last: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = Store.open(self.root / "store")
        self.folder = self.root / "project"
        (self.folder / "data").mkdir(parents=True)
        for name in ("own.py", "gone.npy", "data/a.npy", "staged.npy"):
            (self.folder / name).write_text(f"print({name!r})")
        made = {"staged.npy": Staged(source=self.folder / "staged.npy"), "made.json": Staged(data=b"{}")}
        self.task = Task(
            "step",
            "finn",
            "step_tidy_up",
            ("model",),
            ("steps", 0),
            params={"p": 1},
            config={"fps": 5},
            defaults={"clock": 10.0},
            staged=made,
        )
        files = {name: self.entry(name) for name in ("model.onnx", "out/report/a.json", "build/x/top.v")}
        self.model = Built("model digest", files, Artifact("model digest", "model.onnx", files), self.trace({}, ""))

    def entry(self, content: str) -> Entry:
        blob = self.store.put_bytes(content.encode())
        return Entry(blob, blob)

    def trace(self, reads: Mapping[str, Mapping[str, Any]], artifact: str) -> Trace:
        return Trace(artifact, reads, 1.0, 1, "", 0.0)

    @property
    def judge(self) -> Judge:
        source = Task("model", "onnx", "model.onnx", (), ("model",))
        plan = Plan(recipe_of((), self.folder), CATALOG, {"model": source, "step": self.task}, {"step": "step"})
        return Judge(plan, self.store, self.versions.get, lambda tools: tuple(set(tools) & set(self.absent)), self.last)

    def status(self, *, forced: bool = False) -> Status:
        return self.judge.judge(self.task, {"model": self.model}, forced=forced)

    def now(self, reads: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """What `reads` would be, recorded now."""
        return self.judge.read_values(self.task, self.model.tree, reads)

    def commit(self, reads: Mapping[str, Any], **files: Entry) -> Artifact:
        """Keep a result of the task that was made having read these."""
        artifact = Artifact("result", "model.onnx", files or {"model.onnx": self.entry("result")})
        self.store.add_trace(self.status().key, self.trace(self.now(reads), self.store.put_artifact(artifact)))
        return artifact


@contextmanager
def world() -> Iterator[World]:
    """Without waiting for the disk: what a power cut leaves is tested with the store."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, {"FINN_QOR": "1"}),
        mock.patch("os.fsync"),
    ):
        yield World(Path(folder))


def _set(world: World, **values: Any) -> None:
    world.task = replace(world.task, config={**world.task.config, **values})


def _staged(world: World, name: str, item: Staged) -> None:
    world.task = replace(world.task, staged={**world.task.staged, name: item})


def _tree(world: World, name: str, content: str | None) -> None:
    tree = {path: entry for path, entry in world.model.tree.items() if path != name}
    world.model = replace(world.model, tree=tree if content is None else {**tree, name: world.entry(content)})


def _write(name: str, text: str = "other") -> Callable[[World], Any]:
    return lambda world: (world.folder / name).write_text(text)


CHANGES: dict[tuple[str, str], Callable[[World], Any]] = {
    ("config", "fps"): lambda world: _set(world, fps=6),
    ("config", "clock"): lambda world: _set(world, clock=5.0),  # was FINN's default
    ("config", "board"): lambda world: _set(world, board="Pynq-Z2"),  # was not set, and has no default
    ("file", "@recipe/own.py"): _write("own.py"),
    ("file", "@recipe/data/a.npy"): _write("data/a.npy"),
    ("file", "@recipe/gone.npy"): lambda world: (world.folder / "gone.npy").unlink(),
    ("file", "@recipe/later.npy"): _write("later.npy"),  # was looked for, and was not there
    ("file", "@inputs/staged.npy"): _write("staged.npy"),
    ("file", "@inputs/made.json"): lambda world: _staged(world, "made.json", Staged(data=b"[]")),
    ("file", "@inputs/more.json"): lambda world: _staged(world, "more.json", Staged(data=b"")),
    ("dir", "@recipe/data"): _write("data/b.npy"),
    ("tree", "out/report/a.json"): lambda world: _tree(world, "out/report/a.json", "other"),
    ("tree", "out/later.json"): lambda world: _tree(world, "out/later.json", "new"),
    ("tree", "build/"): lambda world: _tree(world, "build/y/top.v", "new"),
    ("env", "FINN_QOR"): lambda world: os.environ.update(FINN_QOR="2"),
    ("env", "FINN_UNSET"): lambda world: os.environ.update(FINN_UNSET=""),
    ("tool", "vivado"): lambda world: world.versions.update(vivado="2025.1"),
    ("tool", "verilator"): lambda world: world.versions.update(verilator="5.0"),
}
"""Everything there is to read, and how it becomes another."""


def reads_of(what: set[tuple[str, str]]) -> dict[str, dict[str, None]]:
    kinds = {kind for kind, _ in what}
    return {kind: {name: None for other, name in what if other == kind} for kind in kinds}


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(sorted(CHANGES))), st.sets(st.sampled_from(sorted(CHANGES)), max_size=2))
def test_a_trace_holds_as_long_as_nothing_it_read_has_changed(
    read: set[tuple[str, str]], changed: set[tuple[str, str]]
) -> None:
    with world() as here:
        artifact = here.commit(reads_of(read))
        assert here.status().state == "cached"
        for change in sorted(changed):
            CHANGES[change](here)
        status = here.status()
        assert {(reason.kind, reason.name) for reason in status.reasons} == read & changed
        assert (status.state == "cached") == (not read & changed)
        assert (status.built is not None and status.built.artifact == artifact) == (not read & changed)


@pytest.mark.parametrize("what", sorted(CHANGES))
def test_each_change_is_told_with_the_old_and_the_new(what: tuple[str, str]) -> None:
    with world() as here:
        here.commit(reads_of(set(CHANGES)))
        before = here.now(reads_of({what}))[what[0]][what[1]]
        CHANGES[what](here)
        (reason,) = here.status().reasons
        assert reason == Reason(what[0], what[1], before, here.now(reads_of({what}))[what[0]][what[1]])
        assert str(reason)


@pytest.fixture
def here() -> Iterator[World]:
    with world() as made:
        yield made


def test_of_several_traces_the_one_that_holds_is_taken(here: World) -> None:
    here.commit({"config": {"fps": None}}, first=here.entry("first"))
    _set(here, fps=6)
    here.commit({"config": {"fps": None}}, second=here.entry("second"))
    assert list(here.status().built.artifact.files) == ["second"]  # type: ignore[union-attr]
    _set(here, fps=5)
    assert list(here.status().built.artifact.files) == ["first"]  # type: ignore[union-attr]
    _set(here, fps=7)
    assert here.status().reasons == (Reason("config", "fps", 6, 7),)  # against the newest


def test_comments_in_code_do_not_count(here: World) -> None:
    here.commit(reads_of({("file", "@recipe/own.py")}))
    _write("own.py", "print( 'own.py' )  # a comment")(here)
    assert here.status().state == "cached"


def test_what_is_opened_as_a_file_and_listed_as_a_folder_is_two_reads(here: World) -> None:
    here.commit({"file": {"@recipe/data": None}, "dir": {"@recipe/data": None}})
    assert here.status().state == "cached"


def test_a_build_looks_at_a_file_once_until_it_is_told_to_look_again(here: World) -> None:
    here.commit(reads_of({("file", "@recipe/own.py")}))
    judge = here.judge
    needs = {"model": here.model}
    assert judge.judge(here.task, needs).state == "cached"
    _write("own.py")(here)
    assert judge.judge(here.task, needs).state == "cached"
    judge.look_again()
    assert judge.judge(here.task, needs).state == "stale"


def test_a_variable_that_is_no_text_can_be_told(here: World) -> None:
    with mock.patch.dict(os.environ, {"FINN_QOR": "caf\udce9"}):  # as Python reads the byte E9
        here.commit(reads_of({("env", "FINN_QOR")}))
        assert here.status().state == "cached"
    (reason,) = here.status().reasons
    assert str(reason).encode("utf-8") == b'$FINN_QOR: "caf\\udce9" \xe2\x86\x92 "1"'


def test_a_lost_or_damaged_result_is_no_result(here: World) -> None:
    blob = here.entry("report")
    here.commit({}, **{"out/report.txt": blob})
    assert here.status().state == "cached"
    (object_,) = (here.store.root / "objects").glob(f"*/*{blob.blob[-20:]}*")
    object_.unlink()
    assert here.judge.judge(here.task, {"model": here.model}).reasons == (Reason("damaged", "out/report.txt"),)


def test_a_model_that_lacks_a_tensor_is_no_result(here: World) -> None:
    model = weighty(here.store)
    here.commit({}, **{"model.onnx": model})
    assert here.status().state == "cached"
    here.store.delete(model.parts[0].digest)
    assert here.status().reasons == (Reason("damaged", "model.onnx"),)


@pytest.mark.parametrize(("longer", "state"), [(0, "cached"), (1, "stale")])
def test_a_binary_fits_stores_whose_path_has_the_same_length(here: World, longer: int, state: str) -> None:
    length = len(str(here.store.scratch())) + longer
    here.commit({}, **{"build/sim": replace(here.entry("binary"), pinned=length)})
    assert here.status().state == state
    assert here.status().reasons == ((Reason("pinned", "build/sim"),) if longer else ())


def test_a_forced_task_is_stale_whatever_holds(here: World) -> None:
    here.commit({})
    assert here.status(forced=True).reasons == (Reason("forced", "step"),)


def test_a_cached_task_needs_no_tool_and_a_stale_one_is_blocked_without(here: World) -> None:
    here.task = replace(here.task, tools=("vivado",))
    here.commit({})
    here.absent = ("vivado",)
    assert here.status().state == "cached"
    _set(here, fps=9)
    assert here.status().state == "cached"  # it never read that
    status = here.status(forced=True)
    assert (status.state, status.missing) == ("blocked", ("vivado",))
    assert verdict({"step": status}) is ExitCode.TOOL_MISSING
    assert verdict({"step": Status("cached")}) is ExitCode.OK


def test_what_a_tool_made_holds_where_the_tool_is_not_and_not_where_it_is_another(here: World) -> None:
    here.commit(reads_of({("tool", "vivado"), ("env", "FINN_QOR")}))
    here.versions["vivado"] = None
    assert here.status().state == "cached"
    here.versions["vivado"] = "2025.1"
    assert here.status().reasons == (Reason("tool", "vivado", "2024.2", "2025.1"),)
    here.versions["vivado"] = None
    with mock.patch.dict(os.environ):
        del os.environ["FINN_QOR"]
        assert here.status().reasons == (Reason("env", "FINN_QOR", "1", None),)


def test_a_result_whose_record_is_lost_is_no_result(here: World) -> None:
    here.commit({})
    (trace,) = here.store.traces(here.status().key)
    here.store.delete(trace.artifact)
    here.store = Store.open(here.store.root)  # which has not seen the record yet
    assert here.status().reasons == (Reason("damaged", trace.artifact[:12]),)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda task: task, "the store no longer has its result"),
        (lambda task: replace(task, params={"p": 2}), "parameter p: 1 → 2"),
        (lambda task: replace(task, uses="step_other"), "it runs another step: step_other"),
        (lambda task: replace(task, implementation={"finn": "1.0"}), "finn changed: nothing → 1.0"),
        (lambda task: replace(task, params={"p": 2}, config={"fps": 6}), "parameter p: 1 → 2; fps: 5 → 6"),
    ],
)
def test_without_a_trace_the_last_build_tells_what_changed(here: World, change: Any, told: str) -> None:
    assert [str(reason) for reason in here.status().reasons] == ["never built with this store"]
    here.last["step"] = {"parts": here.task.parts({"model": "model digest"}), "reads": {"config": {"fps": 5}}}
    here.task = change(here.task)
    assert "; ".join(map(str, here.status().reasons)) == told


def test_another_model_from_before_is_a_reason(here: World) -> None:
    here.last["step"] = {"parts": here.task.parts({"model": "an older one"}), "reads": {}}
    assert [str(reason) for reason in here.status().reasons] == ["the model from model changed"]


def test_the_result_is_laid_over_the_tree_of_the_needed_task(here: World) -> None:
    here.commit({}, **{"out/new.json": here.entry("new"), "build/x/top.v": here.entry("other")})
    built = here.status().built
    assert built is not None
    assert built.tree == {**here.model.tree, "out/new.json": here.entry("new"), "build/x/top.v": here.entry("other")}


def test_two_needs_join_by_their_folders_and_the_first_brings_the_model(here: World) -> None:
    side = {"model.onnx": here.entry("side"), "out/side.json": here.entry("side")}
    here.task = replace(here.task, needs=("model", "side"))
    other = Built("side digest", side, Artifact("side digest", "model.onnx", side), here.model.trace)
    status = here.judge.judge(here.task, {"model": here.model, "side": other})
    assert status.tree == {**here.model.tree, "out/side.json": here.entry("side")}
    assert status.parts["inputs"] == ["model digest", "side digest"]
    assert status.key == digest_of(status.parts)
    side["out/report/a.json"] = here.entry("another report")
    with pytest.raises(TreeConflict):
        here.judge.judge(here.task, {"model": here.model, "side": other})


def test_a_further_step_gives_its_folders_and_not_its_model(here: World) -> None:
    here.task = replace(here.task, needs=("model", "side"))
    judge = here.judge
    judge.plan.tasks["side"] = replace(here.task, id="side", needs=())  # type: ignore[index]
    tree = {path: here.entry(path) for path in ("model.onnx", "out/side.json", "build/side.v")}
    side = Built("side digest", tree, Artifact("side digest", "model.onnx", tree), here.model.trace)
    status = judge.judge(here.task, {"model": here.model, "side": side})
    assert status.tree == {**here.model.tree, **{path: tree[path] for path in ("out/side.json", "build/side.v")}}


def test_of_a_measurement_the_answers_count_and_nothing_that_it_was_made_from(here: World) -> None:
    # The tree of a reference far down the build holds the dataflow parent; a point above must not see that.
    below = {
        path: here.entry(path)
        for path in ("model.onnx", "out/intermediate_models/dataflow_parent.onnx", "out/verification/late.npz")
    }
    here.task = replace(here.task, needs=("model", "verify.late"))
    judge = here.judge
    judge.plan.tasks["verify.late"] = replace(here.task, id="verify.late", kind="verify", needs=())  # type: ignore[index]
    other = Built("late digest", below, Artifact("late digest", "model.onnx", below), here.model.trace)
    status = judge.judge(here.task, {"model": here.model, "verify.late": other})
    assert status.tree == {**here.model.tree, "out/verification/late.npz": here.entry("out/verification/late.npz")}


def test_a_bundle_has_the_files_of_its_end_and_of_the_steps_above_their_digests_only(here: World) -> None:
    here.task = replace(here.task, kind="bundle", needs=("model", "contract", "above"))
    judge = here.judge
    trees = {
        "contract": {
            path: here.entry(path) for path in ("model.onnx", "out/report/a.json", "out/bundle/.parts/c.json")
        },
        "above": {path: here.entry("as it was before") for path in ("model.onnx", "out/report/a.json")},
    }
    needed = {"model": here.model}
    for name, kind in (("contract", "contract"), ("above", "finn")):
        judge.plan.tasks[name] = replace(here.task, id=name, kind=kind, needs=())  # type: ignore[index]
        artifact = Artifact(f"{name} digest", "model.onnx", trees[name])
        needed[name] = Built(artifact.digest, trees[name], artifact, here.model.trace)
    status = judge.judge(here.task, needed)
    parts = {"out/bundle/.parts/c.json": here.entry("out/bundle/.parts/c.json")}
    assert status.tree == {**here.model.tree, **parts}
    assert status.parts["inputs"] == ["model digest", "contract digest", "above digest"]


def test_a_survey_tells_who_waits_and_who_is_blocked(here: World) -> None:
    here.last = {}
    found = here.judge.survey({"model", "step"})
    assert {name: status.state for name, status in found.items()} == {"model": "stale", "step": "waiting"}
    assert [str(reason) for reason in found["step"].reasons] == ["model runs first"]
    here.task = replace(here.task, tools=("vivado",))
    here.absent = ("vivado",)
    assert here.judge.survey({"model", "step"})["step"].state == "blocked"
    assert list(here.judge.survey({"model"})) == ["model"]
    judge = here.judge
    judge.plan.tasks["below"] = replace(here.task, id="below", needs=("step",), tools=())  # type: ignore[index]
    judge.plan.tasks["beside"] = replace(here.task, id="beside", needs=("model",), tools=())  # type: ignore[index]
    found = judge.survey({*judge.plan.tasks})
    assert {name: status.state for name, status in found.items()} == {
        "model": "stale",
        "step": "blocked",
        "below": "blocked",
        "beside": "waiting",
    }
    assert (found["step"].reasons, found["step"].missing) == ((), ("vivado",))
    assert (found["below"].reasons, found["below"].missing) == ((Reason("blocked", "step"),), ())


def test_a_survey_forces_what_is_to_be_forced(here: World) -> None:
    here.commit({})
    judge = here.judge
    source = judge.plan.tasks["model"]
    artifact = here.store.put_artifact(here.model.artifact)
    here.store.add_trace(source.key({}), here.trace({}, artifact))
    states = {name: status.state for name, status in judge.survey({"model", "step"}).items()}
    assert states == {"model": "cached", "step": "cached"}
    forced = judge.survey({"model", "step"}, frozenset(("step",)))
    assert forced["step"].reasons == (Reason("forced", "step"),)
