"""What is built again after a change, and what is not: the real command on a real (tiny) model."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.project import RECIPE, STEPS, Project, rewrite

ALL = ["model", "scale", "same", "report"]


def test_the_second_build_runs_nothing(project: Project) -> None:
    assert project.ran() == ALL
    assert project.ran() == []


def test_a_parameter_rebuilds_its_step_and_what_depends_on_it(built: Project) -> None:
    assert built.ran("--set", "steps.0.with.by=3.0") == ["scale", "same", "report"]


def test_a_setting_rebuilds_only_the_step_that_read_it(built: Project) -> None:
    plan = built.plan("--set", "folding.target_fps=200")
    assert [name for name, task in plan.items() if task["state"] != "cached"] == ["report"]
    assert plan["report"]["reasons"][0]["text"] == "target_fps: 100 → 200"
    assert built.ran("--set", "folding.target_fps=200") == ["report"]
    assert (built.folder / "build/report/fps.txt").read_text() == "200\n"


def test_a_setting_that_no_step_read_rebuilds_nothing(built: Project) -> None:
    assert built.ran("--set", "folding.mvau_wwidth_max=99") == []


def test_going_back_to_an_old_value_finds_the_old_result(built: Project) -> None:
    built.build("--set", "folding.target_fps=200")
    assert built.ran() == []
    assert (built.folder / "build/report/fps.txt").read_text() == "100\n"


def test_an_equal_result_stops_the_rebuild(built: Project) -> None:
    built.write("steps.py", STEPS.replace("* np.float32(by)", "* np.float32(by) * np.float32(1)"))
    # All custom steps are in that file, so each runs; none makes the model differ, so `report` sees an equal input.
    first = built.plan()
    assert first["scale"]["reasons"][0]["text"] == "steps.py changed"
    built.write("other.py", "from steps import same\n")
    built.write("recipe.yaml", RECIPE.replace('"steps.py:report"', '"reports.py:report"'))
    built.write("reports.py", STEPS)
    built.build()
    built.write("steps.py", STEPS.replace("* np.float32(by)", "* np.float32(1) * np.float32(by)"))
    assert built.ran() == ["scale", "same"]


def test_comments_and_formatting_rebuild_nothing(built: Project) -> None:
    built.write("steps.py", "# a comment\n" + STEPS.replace("by=2.0", "by = 2.0"))
    built.write("recipe.yaml", "# a comment\n" + RECIPE.replace("name: tiny", "name:   tiny"))
    assert built.ran() == []


def test_an_imported_neighbour_counts(project: Project) -> None:
    project.write(
        "steps.py", "from factors import FACTOR\n" + STEPS.replace("* np.float32(by)", "* np.float32(FACTOR)")
    )
    project.write("factors.py", "FACTOR = 2\n")
    project.build()
    assert project.ran() == []
    project.write("factors.py", "FACTOR = 3\n")
    assert project.plan()["scale"]["reasons"][0]["text"] == "factors.py changed"
    assert project.ran() == ["scale", "same", "report"]


def test_a_source_that_is_loaded_by_hand_counts(project: Project) -> None:
    loading = STEPS.replace("folder.mkdir(", "runpy.run_path(Path(__file__).with_name('labels.py'))\n    folder.mkdir(")
    project.write("steps.py", "import runpy\n" + loading)
    project.write("labels.py", "SHIFT = 0\n")
    project.build()
    project.write("labels.py", "# a comment\nSHIFT = 0\n")
    assert project.ran() == []
    project.write("labels.py", "SHIFT = 1\n")
    assert project.ran() == ["report"]


def test_a_source_that_is_read_as_text_counts_with_its_comments(project: Project) -> None:
    reading = STEPS.replace("folder.mkdir(", "Path(__file__).with_name('labels.py').read_text()\n    folder.mkdir(")
    project.write("steps.py", reading)
    project.write("labels.py", "SHIFT = 0\n")
    project.build("--lock")
    assert project.ran("--frozen") == []
    project.write("labels.py", "# a comment\nSHIFT = 0\n")
    assert "texts @recipe/labels.py: locked" in project.build("--frozen", code=2)["error"]
    assert project.plan()["report"]["reasons"][0]["text"] == "labels.py changed"
    assert project.ran() == ["report"]


def test_a_file_that_a_step_opens_counts(project: Project) -> None:
    reading = STEPS.replace("folder.mkdir(", "Path(__file__).with_name('note.txt').read_text()\n    folder.mkdir(")
    project.write("steps.py", reading)
    project.write("note.txt", "one")
    project.build()
    assert project.ran() == []
    project.write("note.txt", "two")
    assert project.ran() == ["report"]


def test_an_environment_variable_that_a_step_reads_counts(project: Project) -> None:
    project.write("steps.py", "import os\n" + STEPS.replace("{cfg.target_fps}", "{os.environ.get('MY_SPEED')}"))
    project.build(MY_SPEED="slow")
    assert project.ran(MY_SPEED="slow") == []
    assert project.ran(MY_SPEED="fast") == ["report"]


def test_a_moved_project_rebuilds_nothing(project: Project) -> None:
    project.build()
    moved = project.folder.with_name("elsewhere") / "deeper"
    shutil.copytree(project.folder, moved)
    shutil.rmtree(project.folder)
    project.folder = moved
    assert project.ran() == []


def test_another_recipe_of_the_same_work_rebuilds_nothing(
    project: Project, new_project: Callable[[str], Project]
) -> None:
    project.build()
    assert new_project("colleague").ran() == []


def test_the_workspace_is_repaired_from_the_store(project: Project) -> None:
    project.build()
    workspace = project.folder / "build"
    (workspace / "report/fps.txt").write_text("edited")
    shutil.rmtree(workspace / "intermediate_models")
    (workspace / "mine.txt").write_text("kept")
    assert project.ran() == []
    assert (workspace / "report/fps.txt").read_text() == "100\n"
    assert sorted(os.listdir(workspace / "intermediate_models")) == [f"{name}.onnx" for name in sorted(ALL)]
    assert (workspace / "mine.txt").read_text() == "kept"


def test_what_is_no_longer_built_leaves_the_workspace(project: Project) -> None:
    project.build()
    project.write("recipe.yaml", "\n".join(line for line in RECIPE.splitlines() if "report" not in line))
    project.build()
    assert not (project.folder / "build/report").exists()


def test_the_quick_path_answers_like_the_ordinary_one(project: Project) -> None:
    project.run("build", "recipe.yaml")
    quick = project.run("build", "recipe.yaml")
    assert quick.stdout.startswith("tiny is up to date: 4 steps") and quick.stderr == ""
    (project.folder / "build/report/fps.txt").unlink()
    project.run("build", "recipe.yaml")
    assert (project.folder / "build/report/fps.txt").exists()


def test_the_quick_path_sees_every_kind_of_change(project: Project) -> None:
    project.run("build", "recipe.yaml")
    for name in ("recipe.yaml", "steps.py", "tiny.onnx"):
        path = project.folder / name
        before = path.read_bytes()
        path.write_bytes(before.replace(b"100", b"101").replace(b"np.float32(by)", b"np.float32(by+1)") + b"\n")
        changed = project.run("build", "recipe.yaml")
        assert changed.stderr != "", f"a change of {name} went unseen"
        path.write_bytes(before)
        project.run("build", "recipe.yaml")


def test_the_quick_path_sees_what_is_written_in_place(project: Project) -> None:
    project.run("build", "recipe.yaml")
    assert project.run("build", "recipe.yaml").stderr == ""
    report = project.folder / "build/report/fps.txt"
    rewrite(report, "900\n")
    assert project.run("build", "recipe.yaml").stderr != ""
    assert report.read_text() == "100\n"
    rewrite(project.folder / "recipe.yaml", RECIPE.replace("100", "300"))
    project.run("build", "recipe.yaml")
    assert report.read_text() == "300\n"


def test_no_flipped_bit_of_a_stamp_is_printed(project: Project) -> None:
    project.run("build", "recipe.yaml")
    (stamp,) = (project.store / "memos").glob("stamp-*")
    sound = stamp.read_bytes()
    told = project.run("build", "recipe.yaml")
    assert told.stdout.startswith("tiny is up to date: 4 steps") and told.stderr == ""
    for place in (0, sound.index(b"4 steps"), sound.index(b"up to date"), len(sound) - 1):
        stamp.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        again = project.run("build", "recipe.yaml")
        assert again.stdout == told.stdout and again.stderr != ""


def test_the_quick_path_waits_for_no_pipe(project: Project) -> None:
    project.run("build", "recipe.yaml")
    (stamp,) = (project.store / "memos").glob("stamp-*")
    stamp.unlink()
    os.mkfifo(stamp)
    assert project.run("build", "recipe.yaml").returncode == 0
    assert stamp.is_file()


def test_the_quick_path_never_answers_for_inputs_edited_during_a_build(project: Project) -> None:
    go_on = project.pause()
    process = project.start("build", "recipe.yaml")
    project.printed("same", "waiting")
    project.write("recipe.yaml", RECIPE.replace("100", "300"))
    go_on.touch()
    process.communicate()
    project.run("build", "recipe.yaml")
    assert (project.folder / "build/report/fps.txt").read_text() == "300\n"


def test_force_in_one_word_is_not_quick_either(project: Project) -> None:
    for _ in range(2):
        assert "running" in project.run("build", "recipe.yaml", "--force=same").stderr


def test_files_of_a_moved_workspace_name_their_new_place(project: Project) -> None:
    project.write("steps.py", STEPS.replace('f"{cfg.target_fps}\\n"', "cfg.output_dir"))
    project.build()
    moved = project.folder.with_name("moved")
    project.folder.rename(moved)
    project.folder = moved
    assert project.ran() == []
    assert (moved / "build/report/fps.txt").read_text() == str(moved / "build")


@pytest.mark.parametrize(("program", "ran"), [("cat", ["same", "report"]), ("true", ["same"])])
def test_of_what_earlier_steps_left_counts_what_a_program_reads(project: Project, program: str, ran: list[str]) -> None:
    reads = f'subprocess.run(["{program}", Path(cfg.output_dir, "note.txt")], check=True)'
    steps = STEPS.replace('(folder / "fps.txt").write_text(f"{cfg.target_fps}\\n")', reads)
    steps = steps.replace("def same(model, cfg):", "def same(model, cfg, note='a'):")
    steps = steps.replace('"""Change nothing."""', 'Path(cfg.output_dir, "note.txt").write_text(note)')
    project.write("steps.py", f"import subprocess\n{steps}")
    project.write("recipe.yaml", RECIPE.replace('"steps.py:same"', '"steps.py:same", with: {note: one}'))
    project.build()
    assert project.ran("--set", "steps.1.with.note=two") == ran


def test_an_installed_factory_counts_with_its_package(project: Project) -> None:
    package = project.folder.parent / "lib" / "python3.11" / "site-packages" / "mynets"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("FACTOR = 1\n")
    (package / "steps.py").write_text("from mynets.helper import FACTOR\n\n\ndef keep(model, cfg):\n    return model\n")
    path = {"PYTHONPATH": f"{project.environment()['PYTHONPATH']}:{package.parent}"}
    project.write("recipe.yaml", RECIPE.replace('"steps.py:same"', '"mynets.steps:keep"'))
    project.build(**path)
    assert project.ran(**path) == []
    (package / "helper.py").write_text("FACTOR = 2\n")
    assert project.ran(**path) == ["keep"]


def test_a_workspace_record_from_elsewhere_deletes_nothing_outside(project: Project) -> None:
    victim = project.write("../victim.txt", "precious")
    record = project.folder / "build/.finnyaml/workspace.json"
    record.parent.mkdir(parents=True)
    files = {str(victim): [], "../../victim.txt": []}
    record.write_text(json.dumps({"root": str(project.folder / "build"), "files": files}))
    project.build()
    project.run("clean", "recipe.yaml")
    assert victim.read_text() == "precious"


def test_force_runs_a_step_that_is_up_to_date(built: Project) -> None:
    assert built.ran("--force", "same") == ["same"]


def test_selections(project: Project) -> None:
    assert project.ran("--to", "scale") == ["model", "scale"]
    assert project.build("--only", "report", code=2)["error"].count("not up to date") == 1
    assert project.ran("--from", "same") == ["same", "report"]
    assert project.ran("same") == []


def test_what_was_not_selected_does_not_run(built: Project) -> None:
    changed = ("--set", "steps.0.with.by=3.0")  # `scale` gives another model, so `same` would have to run
    done = built.run("build", "recipe.yaml", "--only", "scale", "--only", "report", *changed)
    assert done.returncode == 1
    assert "same (steps.py:same) failed: it would have to run again" in done.stderr
    assert "the model from scale changed" in done.stderr


def test_json_names_the_exact_reason(built: Project) -> None:
    reasons = built.plan("--set", "steps.0.with.by=5")["scale"]["reasons"]
    assert (reasons[0]["name"], reasons[0]["old"], reasons[0]["new"]) == ("with.by", 2.0, 5)
    assert reasons[0]["text"] == "parameter with.by: 2.0 → 5"


def test_the_state_of_things_is_on_disk(project: Project) -> None:
    result = project.build()
    run = Path(result["run"])
    assert (run / "run.json").exists() and (run / "events.jsonl").read_text().count("task_finished") == 4
    assert (project.folder / "build/time_per_step.json").exists()
    assert "==== scale" in (project.folder / "build/build_dataflow.log").read_text()


def test_a_secret_counts_and_is_written_down_nowhere(project: Project) -> None:
    project.step("import os; os.environ['LAB_TOKEN']; return model")
    assert "same" in project.ran(LAB_TOKEN="hunter2-one")
    assert project.ran(LAB_TOKEN="hunter2-one") == []
    assert "same" in project.ran(LAB_TOKEN="hunter2-two")
    kept = [path for folder in (project.store, project.folder) for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]
