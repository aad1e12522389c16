"""Plug-ins are listed by their entry points, loaded on demand, and refused or reported by name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from finnyaml import plugins
from finnyaml.errors import FinnyamlError
from finnyaml.finn.kernels import kernels
from finnyaml.lint import graph
from finnyaml.lint.catalogue import RULES, rule_ids
from finnyaml.lint.rules import CHECKS
from finnyaml.plan.vocabulary import vocabulary

Maker = Callable[..., None]


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Maker]:
    """Makes installed distributions: their entry points by group, and their one module."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name: str, module: str = "", **groups: dict[str, str]) -> None:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = []
        for group, points in groups.items():
            lines += [f"[finnyaml.{group}]", *(f"{point} = {target}" for point, target in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines))
        (tmp_path / f"{name}.py").write_text(module)
        monkeypatch.delitem(sys.modules, name, raising=False)
        plugins.look_again()

    yield make
    plugins.look_again()


def test_they_are_listed_without_being_imported(distribution: Maker) -> None:
    distribution("pkg_a", "raise RuntimeError", steps={"a.second": "pkg_a:g", "a.first": "pkg_a:f"})
    found = plugins.installed("steps")
    assert list(found) == ["a.first", "a.second"]
    assert found["a.first"] == ("steps", "a.first", "pkg_a:f", "pkg_a 1.0")
    assert plugins.packages() == {"pkg_a"} and "pkg_a" not in sys.modules


def test_what_is_installed_later_is_seen(distribution: Maker) -> None:
    assert not plugins.installed("metrics")
    before = plugins.stamp()
    distribution("pkg_b", metrics={"b.metric": "pkg_b:f"})
    assert list(plugins.installed("metrics")) == ["b.metric"]
    assert before != plugins.stamp() == plugins.seen()


@pytest.mark.parametrize(
    ("groups", "group", "reason"),
    [
        ({"steps": {"prune": "x:f"}}, "steps", "its name has to be `package.name`"),
        ({"steps": {"rtl.simulate": "x:f"}}, "steps", "its name has to be `package.name`"),
        ({"metrics": {"top1": "x:f"}}, "metrics", "its name has to be `package.name`"),
        ({"lint_rules": {"no-folding": "x:f"}}, "lint_rules", "its name has to be `package.name`"),
        ({"repairs": {"c.same": "x:f"}}, "steps", "pkg_first 1.0 has one of this name"),
        ({"steps": {"c.same": "x:f"}}, "steps", "pkg_first 1.0 has one of this name"),
        ({"lowerings": {"Same": "x:f"}}, "lowerings", "pkg_first 1.0 has one of this name"),
    ],
)
def test_names_are_refused(distribution: Maker, groups: dict[str, dict[str, str]], group: str, reason: str) -> None:
    distribution("pkg_first", steps={"c.same": "pkg_first:f"}, lowerings={"Same": "pkg_first:f"})
    plugins.installed(group)  # the first alone is right
    distribution("pkg_second", **groups)
    name = next(iter(next(iter(groups.values()))))
    with pytest.raises(FinnyamlError) as error:
        plugins.installed(group)
    assert error.value.message.startswith(f"the plug-in {name!r} of pkg_second 1.0") and reason in error.value.message


def test_an_op_type_of_finnyaml_is_refused(distribution: Maker) -> None:
    from finnyaml.verify.executor import registry

    distribution("pkg_d", kernels={"Pool": "pkg_d:Pool_rtl"}, lowerings={"MVAU": "pkg_d:f"})
    with pytest.raises(FinnyamlError, match=r"'Pool' of pkg_d 1\.0.*finnyaml itself has one of this name"):
        kernels()
    with pytest.raises(FinnyamlError, match=r"'MVAU' of pkg_d 1\.0.*finnyaml itself has one of this name"):
        registry._of_plugins.__wrapped__()


def test_kernels_are_known_by_layer_and_class(distribution: Maker) -> None:
    distribution("pkg_e", kernels={"Squeeze": "pkg_e:Squeeze_rtl"})
    assert kernels()["Squeeze"] == "Squeeze_rtl" and kernels()["Pool"] == "Pool_rtl"


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("def other(): pass", "AttributeError: module 'pkg_f' has no attribute 'f'"),
        ("f = 3", "TypeError: f is of type int, not a function or class"),
        ("raise SystemExit(2)", "SystemExit: 2"),
        ("def f(:", "SyntaxError: "),
    ],
)
def test_one_that_cannot_be_loaded_is_named_with_the_reason(distribution: Maker, module: str, reason: str) -> None:
    distribution("pkg_f", module, causes={"f.cause": "pkg_f:f"})
    with pytest.raises(FinnyamlError) as error:
        plugins.load("causes", "f.cause")
    start = "the plug-in 'f.cause' of pkg_f 1.0 (finnyaml.causes, pkg_f:f) cannot be loaded: "
    assert error.value.message.startswith(start + reason)
    assert error.value.hint is not None and "pkg_f" in error.value.hint


def test_one_that_is_gone() -> None:
    with pytest.raises(FinnyamlError, match=r"no installed package has the plug-in 'g\.gone'"):
        plugins.load("steps", "g.gone")


def test_a_loaded_one_is_what_the_entry_point_names(distribution: Maker) -> None:
    distribution("pkg_h", "class C:\n    @staticmethod\n    def f():\n        return 7\n", steps={"h.f": "pkg_h:C.f"})
    assert plugins.load("steps", "h.f")() == 7


def test_recipes_are_checked_against_them(distribution: Maker) -> None:
    distribution("pkg_i", steps={"i.step": "pkg_i:f"}, repairs={"i.fix": "pkg_i:f"}, lint_rules={"i.rule": "pkg_i:f"})
    known = vocabulary()
    assert known.plugins == {"steps": ["i.step", "i.fix"], "metrics": {}, "data_sources": {}}
    assert known.lint_rules == rule_ids() == (*RULES, "i.rule")


@pytest.fixture
def checks_undone() -> Iterator[None]:
    """Takes back the registration of rules."""
    before = dict(CHECKS)
    yield
    for rule in CHECKS.keys() - before.keys():
        del CHECKS[rule]


RULE = """
from finnyaml.lint.catalogue import Rule
from finnyaml.lint.rules import checks, finding

@checks(Rule({name!r}, "error", "Never right"))
def f(view, stage):
    yield finding({name!r}, "never right")
"""


@pytest.mark.usefixtures("checks_undone")
def test_a_rule_declares_itself_under_the_name_of_its_entry_point(distribution: Maker) -> None:
    distribution("pkg_j", RULE.format(name="j.rule"), lint_rules={"j.rule": "pkg_j:f"})
    (*_, check) = graph._rules.__wrapped__()
    (found,) = check(None, None)
    assert (found.rule, found.severity) == ("j.rule", "error")


@pytest.mark.usefixtures("checks_undone")
@pytest.mark.parametrize("module", [RULE.format(name="k.other"), "def f(view, stage): ..."])
def test_a_rule_of_another_name_is_refused(distribution: Maker, module: str) -> None:
    distribution("pkg_k", module, lint_rules={"k.rule": "pkg_k:f"})
    with pytest.raises(FinnyamlError, match=r"'k\.rule' of pkg_k 1\.0.*has to be decorated"):
        graph._rules.__wrapped__()
