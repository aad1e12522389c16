"""What holds for every recipe, and for every text that is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from finnyaml.errors import Problem, RecipeError, Where
from finnyaml.lint.catalogue import RULES
from finnyaml.recipe.document import parse
from finnyaml.recipe.load import load_recipe
from finnyaml.recipe.node import Node, merge
from finnyaml.recipe.scalars import resolve
from finnyaml.recipe.schema import strict_schema
from finnyaml.recipe.snippet import render_problems

# Where PyYAML (YAML 1.1) writes a text without quotes that YAML 1.2 reads as a number, it is not a text of ours.
texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12).filter(lambda text: resolves_to_text(text))
names = st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z")
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**20), 10**20)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
positive = st.integers(1, 10**6)


def resolves_to_text(text: str) -> bool:
    try:
        return isinstance(resolve(text), str) or text == ""
    except ValueError:
        return False


def some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


processing = st.just("to_tensor") | st.builds(
    lambda mean, std: {"normalize": {"mean": mean, "std": std}}, numbers, st.lists(positive, min_size=1, max_size=1)
)
step_lists = st.lists(names, min_size=1, max_size=5, unique_by=lambda name: name.removeprefix("step_"))
rules = st.sampled_from(sorted(RULES))
sections = some(
    name=st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9._-]{0,20}\Z").filter(lambda text: resolves_to_text(text)),
    description=texts.filter(lambda text: "${" not in text),
    preprocess=st.lists(processing, max_size=3),
    postprocess=st.lists(st.builds(lambda k: {"top_k": k}, positive), max_size=2),
    folding=some(
        target_fps=positive,
        mvau_wwidth_max=positive,
        two_pass_relaxation=st.booleans(),
        nodes=st.dictionaries(names, some(PE=positive, SIMD=positive, ram_style=names), max_size=3),
    ),
    specialize=some(defaults=st.dictionaries(names, st.sampled_from(["hls", "rtl"]), max_size=3)),
    fifo=some(auto=st.booleans(), depths=st.dictionaries(names, positive | some(depth=positive), max_size=3)),
    target=some(board=names, clock_ns=st.floats(0.1, 1000), shell=st.sampled_from(["vivado_zynq", "vitis_alveo"])),
    outputs=st.lists(names, unique=True, max_size=3),
    verify=st.deferred(lambda: verifications),
    lint=some(ignore=st.lists(rules | st.fixed_dictionaries({"rule": rules}, optional={"node": names}), max_size=3)),
    finn=st.dictionaries(names, values.filter(lambda value: "${" not in str(value)), max_size=3),
)
fractions = st.floats(0, 1)
limits = {
    "max_drop": fractions,
    "min": st.floats(0, 0.5),
    "max": st.floats(0.5, 1),
    "min_agreement": fractions,
    "tolerance": some(atol=fractions, rtol=fractions).filter(bool),
    "on_fail": st.sampled_from(["stop", "warn", "defer"]),
}
points = st.builds(lambda name, rest: {"after": name, **rest} if rest else name, names, some(limit=positive, **limits))
verifications = st.builds(
    lambda rest: {"data": {"python": "package.module:load", "args": {"split": "test"}}, **rest},
    some(
        metric=st.sampled_from(["top1", "mse", "agreement", "package.module:score", {"top_k": 5}]),
        reference=names,
        points=st.lists(points, max_size=4, unique_by=lambda item: item if isinstance(item, str) else item["after"]),
        **limits,
    ),
)
recipes = st.builds(
    lambda steps, rest: {"model": {"onnx": "model.onnx"}, "steps": steps, **rest}, names | step_lists, sections
)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_text("")
    return tmp_path / "recipe.yaml"


@quick
@given(recipe=recipes, flow=st.booleans())
def test_round_trip(place: Path, recipe: dict[str, Any], flow: bool) -> None:
    text = yaml.safe_dump(recipe, allow_unicode=True, default_flow_style=flow, sort_keys=False)
    place.write_text(text, encoding="utf-8")
    loaded, _ = load_recipe(place, environ={})
    assert loaded.resolved == recipe
    composed = yaml.compose(text)
    # Every scalar on one line stands exactly where PyYAML itself sees it.
    for pointer, where in loaded.positions.items():
        node = composed
        for part in pointer:
            pairs = (
                {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else node.value
            )
            node = pairs[part]
        if isinstance(node, yaml.ScalarNode):
            assert (where.line, where.column) == (node.start_mark.line + 1, node.start_mark.column + 1)


@quick
@given(recipe=recipes)
def test_json_is_yaml(place: Path, recipe: dict[str, Any]) -> None:
    place.write_text(json.dumps(recipe, ensure_ascii=False, indent=1), encoding="utf-8")
    assert load_recipe(place, environ={})[0].resolved == recipe


@quick
@given(recipe=recipes, data=st.data())
def test_an_extra_key_is_found_wherever_it_is(place: Path, recipe: dict[str, Any], data: st.DataObject) -> None:
    section = data.draw(
        st.sampled_from(
            [recipe, *(recipe[key] for key in ("model", "folding", "target", "verify", "lint") if key in recipe)]
        )
    )
    section["no_such_key"] = 1
    lines = yaml.safe_dump(recipe, allow_unicode=True, default_flow_style=False, sort_keys=False)
    place.write_text(lines, encoding="utf-8")
    with pytest.raises(RecipeError) as refused:
        load_recipe(place, environ={})
    (problem,) = [item for item in refused.value.problems if item.severity == "error"]
    assert problem.where
    line = lines.split("\n")[problem.where.line - 1]
    assert line[problem.where.column - 1 :].startswith("no_such_key")


pieces = ["\n  ", "a", "b: ", "- ", "&a ", "*a", "<<: ", "!!int ", "${a}", "\r\n", "\x85", "---\n"]
pieces += ["model", "steps", "folding", "vars", "extends", ": ", "null", "1e9", "true"]
yaml_pieces = st.lists(st.sampled_from([*"{}[]:,-?&*!|>%@`'\"#~\n\t ", *pieces]), max_size=40).map("".join)


def problems_of(place: Path, *sets: str) -> tuple[Problem, ...]:
    """What `load_recipe` says about the recipe, which may be right. Any other exception is a failure."""
    try:
        return load_recipe(place, sets, {})[1]
    except RecipeError as error:
        return error.problems


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60) | yaml_pieces, option=st.text(max_size=20))
@example(text="model: {onnx: model.onnx}\nsteps: [a, [a]]\n", option="a=\ud800")
@example(text="extends: \x00", option="")
@example(text='extends: "\\0"', option="")
@example(text="? &a\n: *a", option="steps.0=1")
def test_any_text_is_a_recipe_or_a_recipe_error(place: Path, text: str, option: str) -> None:
    place.write_bytes(text.encode("utf-8", "surrogatepass"))
    for sets in ([], [option]):
        problems = problems_of(place, *sets)
        assert bool(render_problems(problems)) is bool(problems)


@quick
@given(data=st.binary(max_size=60))
def test_any_bytes_are_a_recipe_or_a_recipe_error(place: Path, data: bytes) -> None:
    place.write_bytes(data)
    problems_of(place)


KEYS = [
    "uses",
    "id",
    "needs",
    "with",
    "flow",
    "insert",
    "file",
    "nodes",
    "data",
    "metric",
    "points",
    "tolerance",
    "ignore",
]
SECTIONS = ["model", "steps", "folding", "preprocess", "fifo", "env", "vars", "verify", "lint"]


# Any value in the place of any section: the structure check and what follows must cope with it.
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    document=some(**dict.fromkeys(strict_schema()["properties"], values)),
    recipe=recipes,
    inner=st.dictionaries(st.sampled_from(KEYS), values),
    section=st.sampled_from(SECTIONS),
)
def test_nonsense_in_every_place(
    place: Path, document: dict[str, Any], recipe: dict[str, Any], inner: dict[str, Any], section: str
) -> None:
    for nonsense in ({**recipe, **document}, {**recipe, section: inner}, {**recipe, section: [inner]}):
        place.write_text(json.dumps(nonsense, ensure_ascii=False), encoding="utf-8")
        assert all(problem.where for problem in problems_of(place))


def tree(value: Any) -> Node:
    where = Where(Path("r"), 1, 1)
    if isinstance(value, dict):
        return Node.of({key: tree(child) for key, child in value.items()}, where)
    return Node(value, where)


# Every key keeps its kind (upper case: mapping) and nothing is removed: then merging promises to be associative.
keyed = st.recursive(
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)),
    lambda inner: st.builds(
        lambda leaves, nested: {**leaves, **nested},
        st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)),
        st.dictionaries(st.sampled_from("ABC"), inner),
    ),
    max_leaves=6,
)


@given(keyed, keyed, keyed)
def test_merging_is_associative(one: dict[str, Any], two: dict[str, Any], three: dict[str, Any]) -> None:
    first, second, third = tree(one), tree(two), tree(three)
    assert merge(merge(first, second), third).plain() == merge(first, merge(second, third)).plain()


@given(keyed)
def test_merging_with_nothing_or_itself_changes_nothing(one: dict[str, Any]) -> None:
    for merged in (merge(tree(one), tree({})), merge(tree({}), tree(one)), merge(tree(one), tree(one))):
        assert merged.plain() == one


@given(values)
def test_sizes_count_every_value(value: Any) -> None:
    problems: list[Problem] = []
    node = parse(json.dumps(value, ensure_ascii=False), Path("r"), problems)
    assert not problems
    assert (node.size if node else 1) == len(list(node.positions()) if node else [1])
