"""Laws of trees: what changed, laid over what was, gives what is; merging knows no order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnyaml.store import Artifact, Entry
from finnyaml.store.tree import Tree, TreeConflict, merge, overlay

ENTRIES = st.builds(Entry, st.sampled_from("abc"), st.sampled_from("xy"), st.sampled_from([0o644, 0o755]))
PATHS = st.sampled_from(["model.onnx", "report/a.json", "report/b.json", "code/top.v", "code/ip/x.dat"])
TREES = st.dictionaries(PATHS, ENTRIES)


def changed(base: Tree, tree: Tree) -> Artifact:
    files = {path: entry for path, entry in tree.items() if base.get(path) != entry}
    return Artifact("digest", None, files, tuple(sorted(base.keys() - tree.keys())))


@given(TREES, TREES)
def test_what_changed_laid_over_what_was_gives_what_is(base: Tree, tree: Tree) -> None:
    assert overlay(base, changed(base, tree)) == tree


@given(TREES, TREES)
def test_laying_over_twice_is_laying_over_once(base: Tree, tree: Tree) -> None:
    artifact = changed(base, tree)
    once = overlay(base, artifact)
    assert overlay(once, artifact) == once


@given(TREES, TREES, TREES)
def test_changes_in_a_row_are_one_change(first: Tree, second: Tree, third: Tree) -> None:
    step_by_step = overlay(overlay(first, changed(first, second)), changed(second, third))
    assert step_by_step == overlay(first, changed(first, third))


@given(TREES, TREES)
def test_given_trees_stay_as_they_are(base: Tree, tree: Tree) -> None:
    before = dict(base)
    overlay(base, changed(base, tree))
    assert base == before


@given(TREES, st.sets(PATHS), st.sets(PATHS))
def test_merging_parts_of_one_tree_knows_no_order(tree: Tree, some: set[str], others: set[str]) -> None:
    left, right = ({path: tree[path] for path in paths & tree.keys()} for paths in (some, others))
    assert merge([left, right]) == merge([right, left]) == {path: tree[path] for path in (some | others) & tree.keys()}
    assert merge([left, left]) == left
    assert merge([]) == {}


@given(TREES, TREES)
def test_inputs_that_disagree_are_refused(left: Tree, right: Tree) -> None:
    def what(entry: Entry) -> tuple[str, int]:
        return entry.blob, entry.mode

    disputed = {path for path in left.keys() & right.keys() if what(left[path]) != what(right[path])}
    if not disputed:
        assert merge([left, right]).keys() == left.keys() | right.keys()
        return
    with pytest.raises(TreeConflict) as error:
        merge([left, right])
    assert error.value.path in disputed


@pytest.mark.parametrize("order", [1, -1])
def test_a_file_where_another_input_has_a_folder(order: int) -> None:
    trees: list[Tree] = [{"report": Entry("a", "a")}, {"report/x/y.json": Entry("b", "b")}]
    with pytest.raises(TreeConflict) as error:
        merge(trees[::order])
    assert error.value.path == "report"


def test_of_several_conflicts_the_first_path_is_told() -> None:
    below = {"b": Entry("x", "x"), "b/1": Entry("x", "x"), "a": Entry("x", "x"), "a/1": Entry("x", "x")}
    with pytest.raises(TreeConflict) as error:
        merge([below])
    assert error.value.path == "a"


def test_what_was_written_counts_more_than_that_it_was_removed() -> None:
    there = Entry("new", "new")
    assert overlay({"a": Entry("old", "old"), "b": there}, Artifact("d", None, {"a": there}, ("a", "b"))) == {
        "a": there
    }


def test_of_equal_bytes_the_first_entry_stays() -> None:
    first, second = Entry("x", "one"), Entry("x", "two")  # one digest looks at the content, another at the bytes
    assert merge([{"a": first}, {"a": second}]) == {"a": first}
    with pytest.raises(TreeConflict):
        merge([{"a": first}, {"a": Entry("x", "one", 0o755)}])
