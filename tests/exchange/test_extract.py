"""Functions out of scripts: with what they need, without the main part."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from finnyaml.exchange.extract import Wanted, computed_defaults, extract, function_at, needed, runs_nothing, unchanged

SCRIPT = '''\
import os
from pathlib import Path as P
import finn.builder.build_dataflow as build

factor, out = int(os.environ.get("FACTOR", "3")), "output"
TABLE = {1: 2}


# doubles it
def helper(value, by=TABLE):
    return value * factor


def step(model, cfg: build.DataflowBuildConfig):
    """Scale."""
    return helper(model)


def make(n):
    def inner(model, cfg):
        for _ in range(n):
            model = helper(model)
        return model

    return inner


for last in range(3):
    pass


def late(model, cfg):
    return last


first = lambda model, cfg: model + n_more
raise SystemExit("the main part")
'''


def line(start: str, text: str = SCRIPT) -> int:
    return next(number for number, found in enumerate(text.splitlines(), 1) if found.strip().startswith(start))


def made(wanted: Sequence[Wanted], values: Mapping[str, str]) -> dict[str, object]:
    """The names of the module that is extracted, which is run."""
    found = extract(SCRIPT, wanted, values)
    assert not found.failed
    names: dict[str, object] = {"__name__": "extracted"}
    exec(compile(found.text, "extracted", "exec"), names)
    return names


def test_a_function_comes_with_what_it_needs_and_nothing_else() -> None:
    found = extract(SCRIPT, [Wanted(line("def step"), "step")], {"factor": "5"})
    assert not found.failed
    bound = {name for item in ast.parse(found.text).body for name in _names(item)}
    assert bound == {"annotations", "TYPE_CHECKING", "build", "TABLE", "factor", "helper", "step"}
    assert "# doubles it\ndef helper" in found.text


def _names(item: ast.stmt) -> set[str]:
    return {
        str(part)
        for node in ast.walk(item)
        for part in (
            [alias.asname or alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else
            [node.name] if isinstance(node, ast.FunctionDef) else
            [node.id] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else []
        )
    }  # fmt: skip


def test_it_computes_what_it_computed_in_the_script() -> None:
    step = made([Wanted(line("def step"), "step")], {"factor": "5"})["step"]
    assert callable(step)
    assert step(2, None) == 10


def test_closures_keep_their_values_side_by_side() -> None:
    wanted = [Wanted(line("def inner"), "inner", (("n", "2"),)), Wanted(line("def inner"), "inner_1", (("n", "3"),))]
    names = made(wanted, {"factor": "10"})
    inner, other = names["inner"], names["inner_1"]
    assert callable(inner)
    assert callable(other)
    assert (inner(1, None), other(1, None)) == (100, 1000)


def test_a_lambda_becomes_a_function() -> None:
    names = made([Wanted(line("first ="), "step_0", (("n_more", "7"),))], {})
    step = names["step_0"]
    assert callable(step)
    assert step(1, None) == 8


def test_a_value_that_the_script_makes_as_it_runs_is_named() -> None:
    found = extract(SCRIPT, [Wanted(line("def late"), "late")], {})
    assert "it uses last" in found.failed["late"]
    assert "late" not in found.text


def test_an_import_that_cannot_be_is_named() -> None:
    text = "from finn.util.pytorch import Gone\n\n\ndef step(model, cfg):\n    return Gone(model)\n"
    found = extract(text, [Wanted(4, "step")], {}, ["finn.util.pytorch.Gone"])
    assert "finn.util.pytorch.Gone" in found.failed["step"]


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("import os\n\n\ndef a(m, c):\n    return m\n\n\nif __name__ == '__main__':\n    run()\n", {"os", "a"}),
        ("LIMIT = 3\n", {"LIMIT"}),
        ("run()\n", None),
        ("LIMIT = run()\n", None),
        ("for i in range(3):\n    pass\n", None),
    ],
)
def test_which_scripts_can_be_imported(text: str, bound: set[str] | None) -> None:
    assert runs_nothing(text) == (None if bound is None else frozenset(bound))


def test_what_a_function_needs_is_followed() -> None:
    assert needed(SCRIPT, line("def step")) == {"helper", "TABLE", "factor", "os"}


@pytest.mark.parametrize(
    ("text", "values", "same"),
    [
        ("K = 3\ndef f(m, c): return K\n", {"K": "3"}, True),
        ("K = 3\ndef f(m, c): return K\n", {"K": "5"}, False),
        ("K = 3\ndef f(m, c): return g()\ndef g(): return K\n", {"K": "5"}, False),
        ("K = 3\ndef f(m, c): return m\n", {"K": "5"}, True),
        ("K = 3\ndef f(m, c): return K\nif __name__ == '__main__':\n    K = 3\n", {"K": "3"}, False),
        ("A = 1\nK = A + 1\ndef f(m, c): return K\n", {"A": "1", "K": "2"}, True),
        ("A = 1\nK = A + 1\ndef f(m, c): return K\n", {"A": "2", "K": "3"}, False),
        ("A = 1\nK = A + 1\ndef f(m, c): return K\ndef main():\n    global K\n", {"A": "1", "K": "2"}, False),
    ],
)
def test_a_file_is_imported_only_if_its_values_are_those_of_the_script(
    text: str, values: Mapping[str, str], same: bool
) -> None:
    assert unchanged(text, line("def f", text), values) is same


def test_arguments_of_the_script_are_values_or_are_named() -> None:
    text = (
        "import argparse\nargs = argparse.ArgumentParser().parse_args()\n\ndef step(model, cfg):\n    return args.k\n"
    )
    found = extract(text, [Wanted(4, "step")], {"args": "argparse.Namespace(k=3)"})
    names: dict[str, Any] = {}
    exec(found.text, names)
    assert names["step"](None, None) == 3
    assert "it uses args, whose value the script makes" in extract(text, [Wanted(4, "step")], {}).failed["step"]


def test_an_object_that_the_script_changes_is_named() -> None:
    text = "class S:\n    k = 1\n\ns = S()\n\ndef step(model, cfg):\n    return s.k\n\ndef main():\n    s.k = 2\n"
    assert "it uses s, whose value" in extract(text, [Wanted(6, "step")], {}).failed["step"]
    assert not extract(text.replace("s.k = 2", "print(s.k)"), [Wanted(6, "step")], {}).failed


def test_which_defaults_are_computed() -> None:
    found = function_at("for k in range(2):\n    def f(model, cfg, k=k, n=3, *, up=k + 1, name='x'): ...\n", 2)
    assert found is not None
    assert computed_defaults(found) == {"k", "up"}


def test_names_of_defaults_are_those_around_the_function() -> None:
    text = "for k in range(2):\n    def f(model, cfg, k=k):\n        return k\n"
    names: dict[str, Any] = {}
    exec(extract(text, [Wanted(2, "f")], {"k": "1"}).text, names)
    assert names["f"](None, None) == 1


def test_texts_of_several_lines_stay_what_they_were() -> None:
    inner = '    def f(model, cfg):\n        """It\n        is."""\n        return """a\n        b"""\n'
    text = f"def make(n):\n{inner}    return f\n"
    names: dict[str, Any] = {}
    exec(extract(text, [Wanted(2, "f", (("n", "1"),))], {}).text, names)
    assert names["f"](None, None) == "a\n        b"
