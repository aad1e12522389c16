"""`extends`, `vars`, `env` and `--set`."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnyaml.errors import Problem, RecipeError, Where
from finnyaml.recipe.document import parse
from finnyaml.recipe.load import load_recipe
from finnyaml.recipe.node import merge
from tests.recipe.folder import MINIMAL, Folder


def merged(base: str, derived: str) -> object:
    problems: list[Problem] = []
    one, other = parse(base, Path("base"), problems), parse(derived, Path("derived"), problems)
    assert one and other and not problems
    return merge(one, other).plain()


@pytest.mark.parametrize(
    ("base", "derived", "result"),
    [
        ("{a: 1}", "{b: 2}", {"a": 1, "b": 2}),
        ("{a: {x: 1, y: 1}}", "{a: {y: 2}}", {"a": {"x": 1, "y": 2}}),
        ("{a: [1, 2]}", "{a: [3]}", {"a": [3]}),
        ("{a: {x: 1}}", "{a: 3}", {"a": 3}),
        ("{a: 3}", "{a: {x: 1}}", {"a": {"x": 1}}),
        ("{a: 1, b: 2}", "{a: null}", {"b": 2}),
        ("{a: {x: 1, y: 2}}", "{a: {x: null}}", {"a": {"y": 2}}),
        ("{b: 1}", "{a: null}", {"a": None, "b": 1}),
    ],
)
def test_merge(base: str, derived: str, result: object) -> None:
    assert merged(base, derived) == result


def test_extends(folder: Folder) -> None:
    base = folder.write(
        "../base/recipe.yaml",
        "name: base\nvars: {bits: 1, file: weights.pth}\nmodel:\n  brevitas: net.py:make\n  weights: ${file}\n"
        "  args: {bits: '${bits}'}\n  input: {shape: [1, 4]}\nsteps:\n  - 'net.py:tweak'\n"
        "folding: {file: fold.json}\noutput: out\n",
    )
    folder.write("../base/net.py", "def make(bits): ...\ndef tweak(model, cfg): ...\n")
    folder.write("../base/fold.json", "{}")
    folder.write("../base/weights.pth", "")
    recipe = folder.recipe("extends: ../base/recipe.yaml\nvars: {bits: 4}\n")
    assert recipe.name == "base"
    assert recipe.model.args == {"bits": 4}
    # What the base wrote is relative to the base; results go beside the recipe that is built.
    assert recipe.model.weights == folder.path.parent / "base/weights.pth"
    assert recipe.model.brevitas and recipe.model.brevitas.file == folder.path.parent / "base/net.py"
    assert recipe.steps.entries[0].code and recipe.steps.entries[0].code.file == folder.path.parent / "base/net.py"
    assert recipe.settings.folding["file"] == folder.path.parent / "base/fold.json"
    assert recipe.workspace == folder.path / "out"
    assert [file.resolve() for file in recipe.files] == [recipe.path.resolve(), base.resolve()]
    assert recipe.at(("model", "args", "bits")) == Where(recipe.path, 2, 14)
    assert recipe.at(("name",)) == Where(recipe.files[1], 1, 7)
    # A file that the derived recipe names in a variable is relative to the derived recipe.
    derived = folder.recipe("extends: ../base/recipe.yaml\nvars: {file: weights.pth}\n")
    assert derived.model.weights == folder.path / "weights.pth"


def test_errors_in_the_base_are_shown_there(folder: Folder) -> None:
    base = folder.write("base.yaml", MINIMAL + "folding: {targt_fps: 1}\n")
    (problem,) = folder.problems("extends: base.yaml\n")
    assert problem.where == Where(base, 3, 11)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("extends: ▶bse.yaml\n", ["the extended recipe 'bse.yaml' does not exist", "'base.yaml'"]),
        ("extends: ▶sub\n", ["folder 'sub'", "'recipe.yaml'"]),
        ("extends: ▶[base.yaml]\n", ["path of one recipe", "a list"]),
        ("extends: ▶${env.X}/base.yaml\n", ["cannot use variables"]),
        ("extends: ▶recipe.yaml\n", ["in a cycle: recipe.yaml -> recipe.yaml"]),
    ],
)
def test_bad_extends(folder: Folder, text: str, words: list[str]) -> None:
    folder.write("base.yaml", MINIMAL)
    folder.write("sub/recipe.yaml", MINIMAL)
    folder.refuses(text, *words)


def test_cycle_of_recipes_shows_the_chain(folder: Folder) -> None:
    folder.write("b.yaml", "extends: sub/c.yaml\n")
    file = folder.write("sub/c.yaml", "# here\nextends: ../b.yaml\n")
    (problem,) = folder.problems("extends: b.yaml\n")
    assert "b.yaml -> sub/c.yaml -> b.yaml" in problem.message
    assert problem.where == Where(file, 2, 10)


def test_long_chains_are_fine(folder: Folder) -> None:
    folder.write("0.yaml", MINIMAL)
    for number in range(1, 300):
        folder.write(f"{number}.yaml", f"extends: {number - 1}.yaml\nvars: {{v{number}: 1}}\n")
    assert len(folder.recipe("extends: 299.yaml\n").files) == 301


@pytest.mark.parametrize(
    ("variables", "text", "value"),
    [
        ("{a: 1}", "${a}", 1),
        ("{a: 1}", "x${a}", "x1"),
        ("{a: true}", "${ a }-${a}", "true-true"),
        ("{a: 1.5}", "${a}", 1.5),
        ("{a: [1, {b: 2}]}", "${a}", [1, {"b": 2}]),
        ("{a: 1}", "$${a}", "${a}"),
        ("{a: 1}", "$$${a}", "$${a}"),
        ("{a: 1}", "$a {a}", "$a {a}"),
        ("{a: 1}", "a}", "a}"),
        ("{a: '${b}', b: '${c}', c: 3}", "${a}", 3),
        ("{a: '${env.X}'}", "${a}", "from outside"),
        ("{}", "${env.X}/y", "from outside/y"),
        ("{}", "${env.Y}", "default"),
    ],
)
def test_variables(folder: Folder, variables: str, text: str, value: object) -> None:
    recipe = folder.recipe(
        MINIMAL + f"env: {{X: null, Y: default}}\nvars: {variables}\nfinn: {{field: '{text}'}}\n",
        environ={"X": "from outside"},
    )
    assert recipe.settings.finn["field"] == value
    assert recipe.resolved["finn"] == {"field": value}


def test_used_environment_is_recorded(folder: Folder) -> None:
    recipe = folder.recipe(
        MINIMAL + "env: [A, B]\ndescription: ${env.A}\n", environ={"A": "1", "B": "2", "HOME": "/root"}
    )
    assert recipe.env == {"A": "1"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vars: {bits: 1}\nfinn: {x: ▶'${bit}'}\n", ["no variable 'bit'", "did you mean 'bits'"]),
        ("finn: {x: ▶'a ${b'}\n", ["without its `}`", "$${"]),
        ("finn: {x: ▶'${}'}\n", ["no variable ''"]),
        ("vars: {l: [1]}\nfinn: {x: ▶'a${l}'}\n", ["'${l}' is a list", "part of a text"]),
        ("vars: {l: null}\nfinn: {x: ▶'a${l}'}\n", ["'${l}' is empty"]),
        ("vars: {a: ▶'${b}', b: '${a}'}\nfinn: {x: '${a}', y: '${b}'}\n", ["cycle: a -> b -> a"]),
        ("vars: {a: ▶'x${a}'}\n", ["cycle: a -> a"]),
        ("vars: {a: ▶'${nope}'}\nfolding: {target_fps: '${a}'}\n", ["no variable 'nope'"]),
        ("finn: {x: ▶'${env.HOME}'}\n", ["'HOME' is not declared", "`env: [HOME]`"]),
        ("env: [DATA_ROOT]\nfinn: {x: ▶'${env.DATA_ROT}'}\n", ["not declared", "did you mean 'DATA_ROOT'"]),
        ("env: [DATA_ROOT]\nfinn: {x: ▶'${env.DATA_ROOT}'}\n", ["'DATA_ROOT' is not set", "export DATA_ROOT"]),
        ("vars: {fps: ▶fast}\nfolding: {target_fps: '${fps}'}\n", ["folding.target_fps must be a whole number"]),
    ],
)
def test_bad_variables(folder: Folder, text: str, words: list[str]) -> None:
    folder.refuses(MINIMAL + text, *words)


@pytest.mark.parametrize(
    "link",
    [
        pytest.param("[{}]".format(", ".join(["'${{{0}}}'"] * 10)), id="lists"),
        pytest.param("'{}'".format("${{{0}}}" * 10), id="text"),
        pytest.param("[['${{{0}}}']]", id="depth"),
    ],
)
def test_variables_cannot_multiply_without_end(folder: Folder, link: str) -> None:
    lines = [f"  v{number}: {link.format(f'v{number + 1}')}" for number in range(40)]
    problems = folder.problems(MINIMAL + "vars:\n" + "\n".join(lines) + "\n  v40: xxxxxxxxxx\n")
    assert any(word in problems[0].message for word in ("100000", "1 MiB", "nested deeper"))


def test_very_long_chains_of_variables(folder: Folder) -> None:
    lines = [f"  v{number}: '${{v{number + 1}}}'" for number in range(5000)]
    problems = folder.problems(MINIMAL + "vars:\n" + "\n".join(lines) + "\n  v5000: x\n")
    assert "more than 64 steps" in problems[0].message


@pytest.mark.parametrize(
    ("option", "pointer", "value"),
    [
        ("folding.target_fps=2000", ("folding", "target_fps"), 2000),
        ("description=a=b", ("description",), "a=b"),
        ("target.clock_ns=5e-1", ("target", "clock_ns"), 0.5),
        ("outputs=[bitfile]", ("outputs", 0), "bitfile"),
        ("finn={a: {b: on}}", ("finn", "a", "b"), "on"),
        ("finn.a.b=1", ("finn", "a", "b"), 1),
        ("steps.1.id=second", ("steps", 1, "id"), "second"),
        ("steps.0=other", ("steps", 0), "other"),
        ("vars.name=better", ("description",), "better"),
        ("description=${name}!", ("description",), "good!"),
    ],
)
def test_set(folder: Folder, option: str, pointer: tuple[str | int, ...], value: object) -> None:
    text = "vars: {name: good}\ndescription: ${name}\nmodel: {onnx: model.onnx}\nsteps: [one, {uses: two}]\n"
    recipe = folder.recipe(text, [option])
    found = recipe.resolved
    for part in pointer:
        found = found[part]  # type: ignore[index]
    assert found == value
    where = recipe.at(pointer)
    assert where and (where.file.name == "--set" or pointer == ("description",))


def test_set_null_removes(folder: Folder) -> None:
    recipe = folder.recipe(MINIMAL + "folding: {target_fps: 3, mvau_wwidth_max: 4}\n", ["folding.target_fps=null"])
    assert recipe.settings.folding == {"mvau_wwidth_max": 4}


def test_set_paths_are_relative_to_the_recipe(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("sub/other.onnx", "")
    monkeypatch.chdir(folder.path / "sub")
    recipe, _ = load_recipe(folder.write("recipe.yaml", MINIMAL), ["model.onnx=sub/other.onnx"], {})
    assert recipe.model.onnx == folder.path / "sub/other.onnx"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("nonsense", ["'nonsense'", "path=value"]),
        ("=3", ["path=value"]),
        ("a..b=3", ["path=value"]),
        ("extends=x.yaml", ["`extends` cannot be set"]),
        ("name.x=1", ["name is the text 'digits', not a mapping"]),
        ("outputs.3=x", ["outputs is a list of 1", "0 to 0"]),
        ("outputs.first=x", ["has no 'first'"]),
        ("finn.x=[1", ["'finn.x=[1'", "not valid YAML"]),
        ("finn={a: 1, a: 2}", ["duplicate key 'a'"]),
        ("finn.x=\ud800", ["U+D800"]),
        ("folding.target_fps=fast", ["folding.target_fps must be a whole number"]),
        ("foldin.target_fps=3", ["unknown key 'foldin'", "'folding'"]),
        (".".join("a" * 100) + "=1", ["more than 64 parts"]),
    ],
)
def test_bad_set(folder: Folder, option: str, words: list[str]) -> None:
    problems = folder.problems(MINIMAL + "name: digits\noutputs: [bitfile]\n", ["finn.fine=1", option])
    (problem,) = problems
    assert problem.where == Where(folder.path / "--set", 2, 1)
    for word in words:
        assert word in f"{problem.message} | {problem.hint}"


def test_too_many_values_together(folder: Folder) -> None:
    folder.write("base.yaml", f"finn: {{a: [{'1, ' * 60_000}]}}\n")
    with pytest.raises(RecipeError, match="together with the recipes that it extends"):
        folder.recipe(f"extends: base.yaml\nfinn: {{b: [{'1, ' * 60_000}]}}\n")
