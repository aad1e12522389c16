"""The folder that a user looks into: what lies where, what goes, and what is never touched."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest

from finnyaml.engine import workspace
from finnyaml.engine.holding import holding
from finnyaml.engine.outcome import Outcome
from finnyaml.engine.workspace import Written
from finnyaml.errors import FinnyamlError
from finnyaml.recipe.model import BundleSpec
from finnyaml.store import Entry, ObjectDamaged
from finnyaml.worker.job import Done, Job
from tests.engine.conftest import Make
from tests.engine.world import World, task
from tests.store.samples import model_bytes, object_file, overwrite, weighty

OWN = {"build.json", "build_dataflow.log", "time_per_step.json"}


def written(here: World, outcome: Outcome, **ends: str) -> Written:
    """Write the workspace, as a build does."""
    held = holding(here.plan, here.engine.judge, outcome.built, outcome.failed)
    build = workspace.named(here.plan.recipe, [])
    return workspace.write(here.plan, outcome.built, held, here.store, ends, build)


def write(here: World, outcome: Outcome, **ends: str) -> int:
    """The same; how many files that took."""
    return written(here, outcome, **ends).files


def files(here: World) -> set[str]:
    """All files of the workspace but finnyaml's own."""
    root = here.plan.recipe.workspace
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return {path for path in found if not path.startswith(".finnyaml/")}


def text(here: World, name: str) -> str:
    return (here.plan.recipe.workspace / name).read_text()


def leaves(here: World, *paths: str, **more: Any) -> Any:
    return lambda job: here.pool.done(job, *paths, **more)


def one_target(world: Make) -> World:
    here = world(task("a", "model"), replace(task("b", "a"), uses="step_other"))
    here.targets = {"b": "b"}
    return here


def test_the_layout_is_that_of_finn(world: Make) -> None:
    here = one_target(world)
    here.pool.answers["a"] = leaves(here, "build/code/top.v", "inputs/folding.json")
    here.tasks["verify.b"] = task("verify.b", "b", kind="verify", checks="b")
    here.tasks["bundle.contract"] = task("bundle.contract", "b", kind="contract", checks="b")
    here.pool.answers["verify.b"] = leaves(here, "out/verification/b.npz")
    assert write(here, here.run(), b="b") == 11
    models = {"intermediate_models/model.onnx", "intermediate_models/step_a.onnx", "intermediate_models/b.onnx"}
    assert files(here) == OWN | models | {
        "model.txt",
        "a.txt",
        "b.txt",
        "finn_build/code/top.v",
        "verify.b.txt",
        "verification/b.npz",
    }
    assert text(here, "intermediate_models/step_a.onnx") == "a"
    assert json.loads(text(here, "time_per_step.json")) == {
        "model": 1.25,
        "a": 1.25,
        "b": 1.25,
        "total_build_time": 3.75,
    }
    log = text(here, "build_dataflow.log")
    assert log.startswith("==== model (model.onnx)\nmodel ran\n") and log.endswith("==== b (step_other)\nb ran\n")


def test_what_is_as_it_was_is_not_written_again(world: Make) -> None:
    here = one_target(world)
    outcome = here.run()
    assert write(here, outcome, b="b") == 8
    assert write(here, outcome, b="b") == 0
    root = here.plan.recipe.workspace
    (root / "a.txt").write_text("edited")
    (root / "b.txt").unlink()
    assert write(here, outcome, b="b") == 2
    assert (text(here, "a.txt"), text(here, "b.txt")) == ("out/a.txt", "out/b.txt")


def test_what_is_no_longer_made_goes_with_its_folders_and_the_users_files_stay(world: Make) -> None:
    here = one_target(world)
    here.pool.answers["b"] = leaves(here, "out/report/deep/old.json", "out/kept/old.json")
    write(here, here.run(), b="b")
    (here.plan.recipe.workspace / "kept/mine.txt").write_text("mine")
    del here.pool.answers["b"]
    write(here, here.run(forced=["b"]), b="b")
    assert not {"report/deep/old.json", "kept/old.json"} & files(here)
    assert text(here, "kept/mine.txt") == "mine"
    assert not (here.plan.recipe.workspace / "report").exists()


def test_a_partial_build_leaves_the_files_of_later_steps(world: Make) -> None:
    here = one_target(world)
    write(here, here.run(), b="b")
    all_of_it = files(here)
    here.tasks["a"] = replace(here.tasks["a"], params={"by": 2})
    here.pool.answers["a"] = leaves(here, "out/more")
    write(here, here.run(tasks=["model", "a"]), b="a")
    assert files(here) == {*all_of_it, "more"}
    write(here, here.run(), b="b")
    assert files(here) == {*all_of_it, "more"}


def test_each_of_several_targets_has_a_folder_that_the_others_leave_alone(world: Make) -> None:
    here = world(task("a", "model"), task("b", "model"))
    here.targets = {"first": "a", "second": "b"}
    write(here, here.run(), first="a", second="b")
    assert {path.partition("/")[0] for path in files(here)} == {"build.json", "first", "second"}
    assert {"first/a.txt", "first/model.txt", "second/b.txt", "second/model.txt"} <= files(here)
    assert not {"first/b.txt", "second/a.txt"} & files(here)
    before = files(here)
    write(here, here.run(), first="a")
    assert files(here) == before
    here.targets = {"first": "a", "third": "b"}  # a target that the recipe has no longer goes
    write(here, here.run(), first="a")
    assert {path.partition("/")[0] for path in files(here)} == {"build.json", "first"}


def test_modes_are_kept_and_paths_are_those_of_the_workspace(world: Make) -> None:
    here = one_target(world)
    blob = here.store.put_bytes(b"cd @@finnyaml:work@@/out/x; ls @@finnyaml:work@@/build @@finnyaml:work@@/inputs\n")
    script = replace(here.pool.entry(""), blob=blob, mode=0o755)
    pinned = replace(script, pinned=17, mode=0o644)
    here.pool.answers["b"] = lambda job: replace(
        here.pool.done(job), files={"model.onnx": here.pool.entry("b"), "out/run.sh": script, "out/sim": pinned}
    )
    write(here, here.run(), b="b")
    root = here.plan.recipe.workspace
    assert text(here, "run.sh") == f"cd {root}/x; ls {root}/finn_build {root}/inputs\n"
    assert (root / "run.sh").stat().st_mode & 0o777 == 0o755
    assert text(here, "sim").startswith("cd @@finnyaml:work@@")
    shutil.rmtree(root)
    before = os.umask(0o077)
    try:
        write(here, here.run(), b="b")
    finally:
        os.umask(before)
    assert (root / "run.sh").stat().st_mode & 0o777 == 0o700
    moved = root.with_name("moved")
    root.rename(moved)
    here.recipe = {"workspace": moved}
    write(here, here.run(), b="b")
    assert text(here, "run.sh").startswith(f"cd {moved}/x")


def test_a_damaged_log_is_told_and_a_damaged_file_is_an_error(world: Make) -> None:
    here = one_target(world)
    outcome = here.run()
    here.store.delete(outcome.built["a"].trace.log)
    write(here, outcome, b="b")
    assert "==== a (step_a)\n(this log was damaged in the store)\n" in text(here, "build_dataflow.log")
    here.store.delete(outcome.built["b"].tree["out/b.txt"].blob)
    (here.plan.recipe.workspace / "b.txt").unlink()
    with pytest.raises(ObjectDamaged):
        write(here, outcome, b="b")


def with_models(here: World, job: Job, **models: Entry) -> Done:
    done = here.pool.done(job)
    return replace(done, files={**done.files, **models})


def test_large_models_share_their_weights_and_small_ones_are_whole(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = one_target(world)
    small, large = weighty(here.store, 1), weighty(here.store, 2)
    again = replace(large, blob=here.store.put_bytes(here.store.read(large.blob) + b"\x1a\x01p"))  # another producer
    parts = {"model": small, "a": large, "b": again}
    for name, entry in parts.items():
        copies = {"out/intermediate_models/sub/part.onnx": large, "out/bundle/graph.onnx": large} if name == "b" else {}
        here.pool.answers[name] = lambda job, made={"model.onnx": entry, **copies}: with_models(here, job, **made)
    size = large.parts[0].size
    monkeypatch.setattr(workspace, "APART", size + 1)
    write(here, here.run(), b="b")
    root = here.plan.recipe.workspace / "intermediate_models"
    assert (root / "model.onnx").read_bytes() == model_bytes(1)
    assert (root / "step_a.onnx").read_bytes() == model_bytes(2)
    assert (root / "b.onnx").read_bytes() == model_bytes(2) + b"\x1a\x01p"
    assert not (root / "weights").exists()

    monkeypatch.setattr(workspace, "APART", size)
    shutil.rmtree(here.plan.recipe.workspace)
    outcome = here.run()
    write(here, outcome, b="b")
    weights = {path.name: path.read_bytes() for path in root.glob("weights/*")}
    assert sorted(weights.values()) == [b"\1" * size, b"\2" * size]
    for name, value in (("model", 1), ("step_a", 2), ("b", 2), ("sub/part", 2)):
        (tensor,) = onnx.load(root / f"{name}.onnx").graph.initializer
        assert tensor.raw_data == bytes([value]) * size, name
        assert (root / f"{name}.onnx").stat().st_size < 1000
    assert (root.parent / "bundle/graph.onnx").read_bytes() == model_bytes(2)  # its digest is in bundle.json
    assert write(here, outcome, b="b") == 0
    here.pool.answers["model"] = lambda job: with_models(here, job, **{"model.onnx": large})
    write(here, here.run(forced=["model"]), b="b")
    assert [path.read_bytes() for path in root.glob("weights/*")] == [b"\2" * size]


def test_nothing_in_a_workspace_is_a_link_into_the_store(world: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever edits a file in place, read-only or not, changes no object."""
    monkeypatch.setattr(workspace, "APART", 0)
    here = one_target(world)
    model = weighty(here.store)
    here.pool.answers["b"] = lambda job: with_models(here, job, **{"model.onnx": model})
    outcome = here.run()
    write(here, outcome, b="b")
    for path in (path for path in here.plan.recipe.workspace.rglob("*") if path.is_file()):
        assert path.stat().st_nlink == 1
        overwrite(path, b"edited")
    assert all(here.store.check(digest) is None for digest, _ in here.store.objects())
    shutil.rmtree(here.plan.recipe.workspace / ".finnyaml")
    write(here, outcome, b="b")
    assert b"".join(here.store.content(model)) == model_bytes(1)


@pytest.mark.parametrize("part", ["frame", "tensor"])
def test_a_damaged_tensor_is_an_error_and_no_model(world: Make, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    here = one_target(world)
    model = weighty(here.store)
    here.pool.answers["b"] = lambda job: with_models(here, job, **{"model.onnx": model})
    outcome = here.run()
    blob = model.blob if part == "frame" else model.parts[0].digest
    file = object_file(here.store, blob)
    overwrite(file, b"x" * file.stat().st_size)
    with pytest.raises(ObjectDamaged) as error:
        write(here, outcome, b="b")
    assert error.value.digest == blob
    assert not (here.plan.recipe.workspace / "intermediate_models/b.onnx").exists()


def test_a_large_file_and_a_large_log_are_never_in_memory(world: Make) -> None:
    here = one_target(world)
    blank = b"x" * (1 << 20)

    def huge(job: Job) -> Done:
        done = here.pool.done(job)
        with open(job.log, "wb") as log:
            log.writelines([blank] * 64)
        blob = here.store.put_file(Path(job.log))
        return replace(done, files={**done.files, "out/huge.bin": Entry(blob, blob)})

    here.pool.answers["b"] = huge
    tracemalloc.start()
    write(here, here.run(), b="b")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
    root = here.plan.recipe.workspace
    assert (root / "huge.bin").stat().st_size == 64 << 20 < (root / "build_dataflow.log").stat().st_size


def test_a_link_in_the_way_is_refused(world: Make) -> None:
    here = one_target(world)
    here.pool.answers["b"] = leaves(here, "out/report/old.json")
    write(here, here.run(), b="b")
    root = here.plan.recipe.workspace
    elsewhere = root.with_name("elsewhere")
    (root / "report").rename(elsewhere)
    (root / "report").symlink_to(elsewhere)
    del here.pool.answers["b"]
    outcome = here.run(forced=["b"])
    for use in (lambda: write(here, outcome, b="b"), lambda: workspace.clean(root)):
        with pytest.raises(FinnyamlError, match=f"report is a link to {elsewhere}") as refused:
            use()
        assert "remove the link" in str(refused.value.hint)
    assert (elsewhere / "old.json").exists()
    assert "report/old.json" in workspace._load_manifest(root)


def test_a_link_is_refused_before_a_new_folder_is_written(world: Make) -> None:
    here = one_target(world)
    here.pool.answers["b"] = leaves(here, "out/report/new.json")
    root = here.plan.recipe.workspace
    elsewhere = root.with_name("elsewhere")
    elsewhere.mkdir()
    root.mkdir()
    (root / "report").symlink_to(elsewhere)
    with pytest.raises(FinnyamlError, match="report is a link to"):
        write(here, here.run(), b="b")
    assert list(elsewhere.iterdir()) == [] and files(here) == set()


def test_a_record_that_was_tampered_with_removes_nothing_outside(world: Make) -> None:
    here = one_target(world)
    write(here, here.run(), b="b")
    record = workspace.private(here.plan.recipe.workspace) / workspace.MANIFEST
    outside = here.root / "mine.txt"
    outside.write_text("mine")
    data = json.loads(record.read_text())
    data["files"] |= {str(outside): [], os.path.relpath(outside, here.plan.recipe.workspace): []}
    record.write_text(json.dumps(data))
    write(here, here.run(), b="b")
    assert outside.exists()
    for damaged in ("[", "[]", "{}"):
        record.write_text(damaged)
        assert write(here, here.run(), b="b") == 8  # all is written anew


def with_bundle(world: Make) -> World:
    here = one_target(world)
    here.recipe = {"bundle": BundleSpec()}
    here.tasks["bundle"] = task("bundle", "b", kind="bundle", checks="b")
    here.pool.answers["bundle"] = leaves(here, "out/bundle/net/bundle.json", "out/bundle/net.tar.gz")
    return here


def test_a_bundle_stays_as_long_as_it_is_the_one_that_the_build_would_make(world: Make) -> None:
    here = with_bundle(world)
    bundle = {"bundle/net/bundle.json", "bundle/net.tar.gz"}
    write(here, here.run(), b="b")
    assert bundle <= files(here)
    steps = ["model", "a", "b"]
    write(here, here.run(tasks=steps), b="b")
    assert bundle <= files(here)
    here.pool.answers["b"] = leaves(here, digest="another model")
    write(here, here.run(tasks=steps, forced=["b"]), b="b")
    assert not bundle & files(here)


def test_a_completed_bundle_is_kept_and_one_of_another_build_is_set_aside(world: Make) -> None:
    here = with_bundle(world)
    outcome = here.run()
    write(here, outcome, b="b")
    facts = here.plan.recipe.workspace / "bundle/net/bundle.json"
    made_from = outcome.built["bundle"].artifact.files["out/bundle/net/bundle.json"].blob
    (facts.parent / "bitfile").write_text("precious")
    facts.write_text(json.dumps({"attached": {"to": made_from}}))
    assert (write(here, outcome, b="b"), written(here, outcome, b="b").aside) == (0, {})
    assert "attached" in facts.read_text()
    for _ in range(2):
        (facts.parent / "bitfile").write_text("precious")
        facts.write_text(json.dumps({"attached": {"to": "0" * 64}}))
        (folder, place), *more = written(here, outcome, b="b").aside.items()
        assert (folder, more) == ("bundle/net", [])
        assert (place / "bitfile").read_text() == "precious"
        assert facts.read_text() == "out/bundle/net/bundle.json"
        assert not (facts.parent / "bitfile").exists()
    workspace.clean(here.plan.recipe.workspace)
    assert (place / "bitfile").exists()
    assert not facts.exists()


@pytest.mark.parametrize("targets", [("b",), ("b", "other")], ids=["one target", "several"])
def test_a_bundle_that_was_set_aside_is_back_when_its_build_comes_again(world: Make, targets: tuple[str, ...]) -> None:
    here = with_bundle(world)
    here.targets |= dict.fromkeys(targets, "b")
    outcome = here.run()
    written(here, outcome, **here.targets)
    root = here.plan.recipe.workspace / ("" if len(here.targets) == 1 else "b")
    facts, made = root / "bundle/net/bundle.json", outcome.built["bundle"].artifact.files["out/bundle/net/bundle.json"]
    (facts.parent / "bitfile").write_text("precious")
    completed = json.dumps({"attached": {"to": made.blob}, "files": {"bitfile": {}}})
    facts.write_text(completed)

    other = replace(made, blob=here.store.put_bytes(b"of another build"))
    bundle = outcome.built["bundle"]
    files = {**bundle.artifact.files, "out/bundle/net/bundle.json": other}
    changed = replace(bundle, artifact=replace(bundle.artifact, files=files))
    apart = replace(outcome, built={**outcome.built, "bundle": changed})
    for _ in range(2):
        assert len(written(here, apart, **here.targets).aside) == 1
        assert facts.read_text() == "of another build" and not (facts.parent / "bitfile").exists()
        again = written(here, outcome, **here.targets)
        assert len(again.back) == 1 and again.aside == {}
        assert facts.read_text() == completed and (facts.parent / "bitfile").read_text() == "precious"
        with tarfile.open(root / "bundle/net.tar.gz") as archive:
            assert archive.getnames() == ["net/bitfile", "net/bundle.json"]
        assert (written(here, outcome, **here.targets).back, write(here, outcome, **here.targets)) == ((), 0)
    written(here, apart, **here.targets)
    (place,) = (workspace.private(here.plan.recipe.workspace) / "attached").iterdir()
    (place / "bitfile").unlink()  # no longer whole: it stays where it is, and does not keep the build
    assert written(here, outcome, **here.targets).back == ()
    assert facts.read_text() == "out/bundle/net/bundle.json" and place.exists()


@pytest.mark.parametrize("targets", [("b",), ("b", "other")], ids=["one target", "several"])
def test_a_target_is_complete_without_the_bundle_that_nobody_asked_for(world: Make, targets: tuple[str, ...]) -> None:
    here = with_bundle(world)
    here.targets |= dict.fromkeys(targets, "b")
    only = {"out/bundle/net/bundle.json": here.pool.entry("facts")}
    here.pool.answers["bundle"] = lambda job: here.pool.done(job, files=only)
    here.run()  # the store has it
    steps = ["model", "a", "b"]
    whole = written(here, here.run(tasks=steps), **here.targets)
    assert whole.build["targets"] == list(targets) and not workspace.holds_bundle(here.plan)
    part = written(here, here.run(tasks=steps[:2]), **{targets[0]: "a"})
    assert part.build["targets"] == list(targets)
    written(here, here.run(), **here.targets)
    assert workspace.holds_bundle(here.plan)


def test_cleaning_takes_what_was_written_and_nothing_else(world: Make, tmp_path: Path) -> None:
    here = one_target(world)
    write(here, here.run(), b="b")
    root = here.plan.recipe.workspace
    mine = root / "mine.txt"
    mine.write_text("mine")
    assert workspace.clean(root) == 9
    assert [path.name for path in root.iterdir()] == ["mine.txt"]
    mine.unlink()
    assert workspace.clean(root) == 0
    assert not root.exists()
    assert workspace.clean(tmp_path / "never") == 0
