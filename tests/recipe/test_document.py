"""YAML text: what is read, what is refused and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnyaml.errors import Problem, RecipeError
from finnyaml.recipe.document import MAX_BYTES, parse
from finnyaml.recipe.load import load_recipe
from finnyaml.recipe.node import MAX_DEPTH, MAX_NODES
from tests.recipe.folder import MINIMAL, Folder

FILE = Path("/recipe.yaml")


def plain(text: str) -> object:
    problems: list[Problem] = []
    node = parse(text, FILE, problems)
    assert not problems
    return node.plain() if node else None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("No", "No"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("[~, null, '', ]", [None, None, ""]),
        ("20:30", "20:30"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("12", 12),
        ("-3", -3),
        ("010", 10),
        ("0o17", 15),
        ("0xff", 255),
        ("1e-3", 0.001),
        ("1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("'12'", "12"),
        ("!!str 12", "12"),
        ("!!float 1", 1),
        ("! 12", "12"),
        ("on: 1", {"on": 1}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: &x {k: 1, m: 1}\nb: {<<: *x, k: 2}", {"a": {"k": 1, "m": 1}, "b": {"k": 2, "m": 1}}),
        ("{a: {<<: [{k: 1}, {k: 2, l: 3}]}}", {"a": {"k": 1, "l": 3}}),
        ("'<<': 1", {"<<": 1}),
        ("\ufeffa: 1", {"a": 1}),
        ("---\na: 1\n...\n", {"a": 1}),
        ("# nothing", None),
        ("---", None),
    ],
)
def test_values_follow_yaml_1_2(text: str, value: object) -> None:
    found = plain(text)
    assert found == value
    assert type(found) is type(value)


BILLION_LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        pytest.param("a:\n\t- 1\n", (2, 1), ["tab", "spaces"], id="tab"),
        pytest.param("a:\n  b: 1\n \tc: 2\n", (3, 2), ["tab", "spaces"], id="tab after a space"),
        pytest.param("a: 1\nb: {c: 1, a: 2, c: 3}\n", (2, 17), ["duplicate key 'c'", "line 2"], id="duplicate"),
        pytest.param(
            "a: 1\nb: 2\na: 3\n", (3, 1), ["duplicate key 'a'", "line 1", "remove"], id="duplicate at the top"
        ),
        pytest.param("1: x\n", (1, 1), ["key must be text", "the number 1", "quote it: '1'"], id="number as key"),
        pytest.param("true: x\n", (1, 1), ["key must be text", "true"], id="bool as key"),
        pytest.param("a: 1\n? [b]\n: x\n", (2, 3), ["key must be text", "a list"], id="list as key"),
        pytest.param("a: !!python/object:os.system x\n", (1, 4), ["unknown tag '!!python/object:os.system'"], id="tag"),
        pytest.param("a: !!python/tuple [x]\n", (1, 4), ["unknown tag"], id="tag of a list"),
        pytest.param("a: !!binary aGk=\n", (1, 4), ["unknown tag '!!binary'"], id="binary"),
        pytest.param("a: !!int x\n", (1, 4), ["!!int does not fit", "'x'"], id="wrong tag"),
        pytest.param("a: !foo!bar x\n", (1, 4), ["tag handle", "plain data"], id="tag handle"),
        pytest.param("a: .inf\n", (1, 4), ["finite"], id="infinite"),
        pytest.param("a: 1e999\n", (1, 4), ["too large"], id="overflow"),
        pytest.param(f"a: {'9' * 5000}\n", (1, 4), ["5000 characters"], id="endless number"),
        pytest.param("a: *nope\n", (1, 4), ["unknown alias *nope"], id="alias"),
        pytest.param("a: &base 1\nb: *bse\n", (2, 4), ["unknown alias *bse", "'base'"], id="misspelt alias"),
        pytest.param("a: &a [*a]\n", (1, 8), ["inside the very value"], id="circular alias"),
        pytest.param("b: {<<: 3}\n", (1, 9), ["`<<` merges mappings", "number 3"], id="merge of a number"),
        pytest.param("a: 1\n---\nb: 2\n", (2, 1), ["second YAML document"], id="two documents"),
        pytest.param("a: b: c\n", (1, 5), ["mapping values are not allowed", "indentation"], id="colon"),
        pytest.param("a: [1, 2\nb: 3\n", (2, 2), ["',' or ']'", "began in line 1"], id="open bracket"),
        pytest.param("a: {b: ${c}}\n", (1, 9), ["not valid YAML", 'quote a variable: "${name}"'], id="variable in {}"),
        pytest.param("a: 'x\nb: 3\n", (3, 1), ["end of stream", "line 1", "close the quote"], id="open quote"),
        pytest.param("a: @x\n", (1, 4), ["cannot start any token", "quote"], id="special character"),
        pytest.param("a: 1\nb: \x07\n", (2, 4), ["U+0007"], id="control character"),
        pytest.param("a: \ud800\n", (1, 4), ["U+D800"], id="half a character"),
        pytest.param("[" * 100_000, (1, MAX_DEPTH + 1), ["nested deeper", str(MAX_DEPTH)], id="deep"),
        pytest.param("a: " + "{a: " * 500, (1, 253), ["nested deeper"], id="deep mappings"),
        pytest.param(BILLION_LAUGHS, (5, 36), [str(MAX_NODES), "aliases"], id="billion laughs"),
        pytest.param(
            "a: &a {x: 1}\n" + "b: {<<: [" + ", ".join(["*a"] * 60_000) + "]}", None, [str(MAX_NODES)], id="merge bomb"
        ),
        pytest.param(
            "v0: &v0 [x]\n" + "".join(f"v{i}: &v{i} [*v{i - 1}]\n" for i in range(1, 1000)),
            (63, 12),
            ["nested deeper"],
            id="deep by aliases",
        ),
    ],
)
def test_bad_text(text: str, place: tuple[int, int] | None, words: list[str]) -> None:
    problems: list[Problem] = []
    try:
        parse(text, FILE, problems)
    except RecipeError as error:
        problems = list(error.problems)
    assert len(problems) == 1, problems
    (problem,) = problems
    assert problem.where is not None
    assert place is None or (problem.where.line, problem.where.column) == place, problem
    for word in words:
        assert word in f"{problem.message} | {problem.hint}"


def test_all_duplicates_at_once(folder: Folder) -> None:
    problems = folder.problems(MINIMAL + "name: a\nname: b\nfinn: {x: 1, x: 2}\nfoldin: {}\n")
    assert [item.where and item.where.line for item in problems] == [4, 5, 6]


@pytest.mark.parametrize(
    ("data", "place", "words"),
    [
        pytest.param(b"", (1, 1), ["the recipe is empty", "`model:`"], id="empty"),
        pytest.param(b"# only a comment\n", (1, 1), ["the recipe is empty"], id="comments"),
        pytest.param(b"- a\n", (1, 1), ["a recipe is a mapping", "a list"], id="list"),
        pytest.param(b"hello\n", (1, 1), ["a recipe is a mapping", "'hello'"], id="text"),
        pytest.param(b"a: 1\nb: \xe9t\xe9\n", (2, 4), ["not UTF-8", "0xe9", "save the file as UTF-8"], id="latin-1"),
        pytest.param("a: 1\n".encode("utf-16"), (1, 1), ["not UTF-8", "UTF-16"], id="utf-16"),
        pytest.param(b"#" * (MAX_BYTES + 1), (1, 1), ["larger than 1024 KiB"], id="just too large"),
        pytest.param(b"a: [" + b"1, " * 3_500_000, (1, 1), ["larger than 1024 KiB"], id="10 MB"),
    ],
)
def test_bad_file(tmp_path: Path, data: bytes, place: tuple[int, int], words: list[str]) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(data)
    with pytest.raises(RecipeError) as refused:
        load_recipe(path)
    (problem,) = refused.value.problems
    assert problem.where is not None
    assert (problem.where.line, problem.where.column) == place
    for word in words:
        assert word in f"{problem.message} | {problem.hint}"


def test_missing_recipe_has_a_near_miss(folder: Folder) -> None:
    folder.write("recipe.yaml", MINIMAL)
    with pytest.raises(RecipeError, match=r"there is no recipe .*recipe\.yml") as refused:
        load_recipe(folder.path / "recipe.yml")
    assert refused.value.hint == "did you mean 'recipe.yaml'?"


def test_of_a_missing_recipe_only_recipes_are_named(folder: Folder) -> None:
    for name in ("compose.yaml", "b.lock.yaml"):
        folder.write(name, "services:\n  model: 1\n")
    folder.write("notes.txt", MINIMAL)
    with pytest.raises(RecipeError) as refused:
        load_recipe(folder.path / "x.yaml")
    assert refused.value.hint is None
    for name in "abcdefg":
        folder.write(f"{name}_of_another_name.yaml", MINIMAL if name != "a" else "extends: b_of_another_name.yaml\n")
    with pytest.raises(RecipeError) as refused:
        load_recipe(folder.path / "x.yaml")
    few = ", ".join(f"{name}_of_another_name.yaml" for name in "abcde")
    assert refused.value.hint == f"known here: {few} and 2 more"


def test_folder_as_recipe(folder: Folder) -> None:
    folder.write("recipe.yaml", MINIMAL)
    with pytest.raises(RecipeError, match="is a folder, not a recipe") as refused:
        load_recipe(folder.path)
    assert "recipe.yaml" in str(refused.value.hint)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no recipe") as refused:
        load_recipe(tmp_path / "nowhere" / "recipe.yaml")
    assert "there is no folder" in str(refused.value.hint)


def test_file_as_folder(folder: Folder) -> None:
    with pytest.raises(RecipeError, match="cannot read"):
        load_recipe(folder.path / "model.py" / "recipe.yaml")
