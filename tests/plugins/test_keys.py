"""The code of plug-ins is in the keys of the tasks that can run them: an edit changes exactly those."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from finnyaml.kinds import KINDS
from finnyaml.kinds.code import Code
from finnyaml.plan import graph
from finnyaml.plan.points import bisection
from finnyaml.plugins import look_again
from tests.plan.catalog import CATALOG, Maker
from tests.plugins.example import PACKAGE

RECIPE = """
steps:
  - qonnx_to_finn
  - example.drop_idle_relus
  - {uses: example.prune, with: {fraction: 0.3}}
  - phase_single
  - rtl.stitch
  - {uses: rtl.simulate, id: simulate}
toolchain: open
verify: {data: {python: example.idx, args: {images: a, labels: b}}, metric: example.margin, points: [prune]}
bundle: {}
"""
DATA = {"verify.source", "verify.prune", "simulate", "bundle.contract", "bisect.prune"}
GRAPHS = {"verify.source", "verify.prune", "simulate", "bundle.contract", "bundle", "bisect.prune"}
ALL = {"model", "qonnx_to_finn", "drop_idle_relus", "prune", "single.all", "stitch", "lint"} | GRAPHS

EDITS = {
    "steps.py": {"prune", "bisect.prune"},
    "repairs.py": {"drop_idle_relus", "lint"},
    "rules.py": {"lint"},
    "metrics.py": {"verify.prune"},
    "data.py": DATA,
    "causes.py": {"bisect.prune"},
    "lowerings.py": GRAPHS,
    "ops.py": GRAPHS,
    "kernels.py": ALL,
    "finnyaml_example_pass.sv": ALL,
}


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[Maker]:
    made = Maker(tmp_path / "project")
    made.write("model.onnx", "not looked into")
    yield made
    look_again()


def codes(maker: Maker) -> dict[str, dict[str, str]]:
    """The code of every task of the recipe, of a search in it, and of the lint of it."""
    code = Code(lambda name: None, lambda name, value: None)
    plan = graph.build(maker.recipe(RECIPE), CATALOG, code)[0]
    found = {name: dict(task.implementation) for name, task in plan.tasks.items()}
    search = bisection(plan.tasks["prune"], plan.tasks["verify.prune"], code)
    return {**found, search.id: dict(search.implementation), "lint": code(*KINDS["lint"].code)}


def test_an_edit_changes_exactly_its_tasks(maker: Maker, plugins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(plugins)
    look_again()
    before = codes(maker)
    changed = {}
    for name in EDITS:
        path = plugins / PACKAGE / name
        text = path.read_text()
        path.write_text(f"{text}\n{'//' if path.suffix == '.sv' else '#'} edited\n")
        after = codes(maker)
        path.write_text(text)
        changed[name] = {task for task in before if before[task] != after[task]}
    assert changed == EDITS
    assert {path.name for path in (plugins / PACKAGE).iterdir()} - EDITS.keys() == {"__init__.py"}


def test_what_a_plugin_imports_of_finnyaml_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pkg_z.py").write_text("def step(model, cfg):\n    from finnyaml.tools import doctor\n")
    monkeypatch.syspath_prepend(tmp_path)
    code = Code(lambda name: None, lambda name, value: None)
    assert "finnyaml/tools/doctor.py" in code.files("pkg_z:step")
    assert "finnyaml/tools/doctor.py" not in code.files(*KINDS["code"].code)


def test_beside_a_single_file_only_the_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pkg_y.py").write_text("")
    (tmp_path / "of_another_package.json").write_text("{}")
    monkeypatch.syspath_prepend(tmp_path)
    files = Code(lambda name: None, lambda name, value: None).files("pkg_y:f")
    assert "pkg_y.py" in files and "of_another_package.json" not in files


def test_what_is_not_python_counts_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever imports it is told; a plan can be made all the same."""
    (tmp_path / "pkg_x.py").write_text("def f(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = Code(lambda name: None, lambda name, value: None)("pkg_x:f")
    (tmp_path / "pkg_x.py").write_text("def f(:\n\n")
    assert Code(lambda name: None, lambda name, value: None)("pkg_x:f")["pkg_x"] != before["pkg_x"]


def test_the_parts_of_a_namespace_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("one", "two"):
        folder = tmp_path / part / "pkg_space"
        folder.mkdir(parents=True)
        (folder / f"{part}.py").write_text("from pkg_space import two\n" if part == "one" else "X = 1\n")
        monkeypatch.syspath_prepend(tmp_path / part)
    files = Code(lambda name: None, lambda name, value: None).files("pkg_space.one:f")
    assert {"pkg_space/one.py", "pkg_space/two.py"} <= files
