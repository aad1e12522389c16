"""The edit of a recipe: a step more, and every other character where it was."""

import pytest

from finnyaml.errors import RecipeError
from finnyaml.lint.fix import ByHand, has_step, propose, propose_for
from finnyaml.recipe.load import load_recipe
from finnyaml.steps.builtin import STEPS

INSERT = "{after: tidy_up, steps: represent_padding}"

FORMS = {
    "a flow by name": ("steps: hw_codegen\nname: x\n", f"steps: {{flow: hw_codegen, insert: [{INSERT}]}}\nname: x\n"),
    "the last line without an end": ("steps: hw_codegen", f"steps: {{flow: hw_codegen, insert: [{INSERT}]}}"),
    "with a comment of two lines": (
        "steps: hw_codegen     # the flow\n                      # goes on\n\nname: x\n",
        f"steps:\n  flow: hw_codegen    # the flow\n                      # goes on\n  insert: [{INSERT}]\n\nname: x\n",
    ),
    "a flow with edits": (
        "steps:\n  flow: hw_codegen  # kept\n  remove: [x]\nname: x\n",
        f"steps:\n  flow: hw_codegen  # kept\n  insert: [{INSERT}]\n  remove: [x]\nname: x\n",
    ),
    "insertions in a block": (
        "steps:\n  flow: f\n  insert:\n    - {after: a, steps: b}\n    - after: c\n"
        "      steps:\n        - d   # x\n\n# y\nname: x\n",
        "steps:\n  flow: f\n  insert:\n    - {after: a, steps: b}\n    - after: c\n"
        f"      steps:\n        - d   # x\n    - {INSERT}\n\n# y\nname: x\n",
    ),
    "insertions in brackets": (
        "steps: {flow: f, insert: [{after: a, steps: b}]}  # y\n",
        f"steps: {{flow: f, insert: [{{after: a, steps: b}}, {INSERT}]}}  # y\n",
    ),
    "no insertions in brackets": ("steps: {insert: [], flow: f}\n", f"steps: {{insert: [{INSERT}], flow: f}}\n"),
    "braces without insertions": ("steps: {flow: f}\n", f"steps: {{flow: f, insert: [{INSERT}]}}\n"),
    "a list": (
        "steps:\n  - qonnx_to_finn\n  - uses: step_tidy_up  # c\n    timeout: 3\n\n  # next\n  - streamline\n",
        "steps:\n  - qonnx_to_finn\n  - uses: step_tidy_up  # c\n    timeout: 3\n"
        "  - represent_padding\n\n  # next\n  - streamline\n",
    ),
    "a list in brackets": (
        "steps: [qonnx_to_finn, tidy_up, streamline]  # all\n",
        "steps: [qonnx_to_finn, tidy_up, represent_padding, streamline]  # all\n",
    ),
    "a list with an id": (
        "steps:\n- {uses: x, id: tidy_up}\n- y",
        "steps:\n- {uses: x, id: tidy_up}\n- represent_padding\n- y",
    ),
    "the ends of lines of Windows": (
        "steps:\r\n  - tidy_up\r\n  - streamline\r\n",
        "steps:\r\n  - tidy_up\r\n  - represent_padding\r\n  - streamline\r\n",
    ),
    "an anchor": ("steps: &f hw\nname: *f\n", f"steps: {{flow: &f hw, insert: [{INSERT}]}}\nname: *f\n"),
    "a byte order mark": ("\ufeffsteps: f\n", f"\ufeffsteps: {{flow: f, insert: [{INSERT}]}}\n"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_steps(form):
    before, after = FORMS[form]
    assert propose(before, "represent_padding", "tidy_up") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("steps: hw\n", "steps: {flow: hw, insert: [{before: a, steps: fold}]}\n"),
        ("steps: [a, b]\n", "steps: [fold, a, b]\n"),
        ("steps:\n  - x\n  # why\n  - a  # here\n  - b\n", "steps:\n  - x\n  # why\n  - fold\n  - a  # here\n  - b\n"),
        ("steps:\n- {uses: q, id: a}\n", "steps:\n- fold\n- {uses: q, id: a}\n"),
    ],
)
def test_a_place_before_a_step(before, after):
    assert propose(before, "fold", "before a") == after


def test_a_step_that_says_what_it_needs_is_edited_by_hand():
    with pytest.raises(ByHand, match="says what it needs"):
        propose("steps: [x, {uses: a, needs: x}]\n", "fold", "before a")


@pytest.mark.parametrize(
    ("before", "inherited", "after"),
    [
        (
            "extends: ../a.yaml  # b\nname: x\n",
            "hw",
            f"extends: ../a.yaml  # b\nsteps: {{flow: hw, insert: [{INSERT}]}}\nname: x\n",
        ),
        ("extends: a.yaml", {"flow": "hw", "remove": ["x"]}, f"extends: a.yaml\nsteps: {{insert: [{INSERT}]}}"),
        (
            "extends: a.yaml\nsteps: {remove: [x]}",
            {"flow": "hw"},
            f"extends: a.yaml\nsteps: {{remove: [x], insert: [{INSERT}]}}",
        ),
        ("{extends: a.yaml, name: x}", "hw", f"{{extends: a.yaml, steps: {{flow: hw, insert: [{INSERT}]}}, name: x}}"),
    ],
)
def test_steps_that_are_inherited(before, inherited, after):
    assert propose(before, "represent_padding", "tidy_up", inherited) == after


@pytest.mark.parametrize(
    ("text", "inherited", "words"),
    [
        ("extends: a.yaml\n", ["tidy_up"], "lists the steps"),
        ("extends: a.yaml\n", {"flow": "f", "insert": []}, "inserts steps"),
        ("extends: a.yaml\nsteps: {remove: [x]}\n", {"flow": "f", "insert": []}, "would replace"),
        ("steps: [qonnx_to_finn, streamline]\n", None, "has tidy_up 0 times"),
        ("steps: [tidy_up, {uses: streamline, needs: tidy_up}]\n", None, "streamline needs tidy_up by name"),
        ("steps: [tidy_up, {uses: streamline, needs: [tidy_up, a]}]\n", None, "streamline needs tidy_up by name"),
        ("vars: {flow: &f hw}\nsteps: *f\n", None, "cannot be edited by machine"),
        ("x: &s {flow: hw}\nsteps: *s\n", None, "cannot be edited by machine"),
    ],
)
def test_what_has_to_be_done_by_hand(text, inherited, words):
    with pytest.raises(ByHand, match=f"represent_padding.*{words}"):
        propose(text, "represent_padding", "tidy_up", inherited)


def test_what_is_not_a_recipe_is_not_edited():
    with pytest.raises(RecipeError, match="unknown alias"):
        propose("steps: {flow: hw, insert: *i}\nx: &i []", "represent_padding", "tidy_up")


def test_a_commented_recipe_gets_one_edit_and_loads(tmp_path):
    (tmp_path / "net.onnx").touch()
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "# My network\nmodel: {onnx: net.onnx}     # from training\n\n"
        "steps: hw_codegen              # up to the source code;\n"
        "                               # none needs Vivado\n\nfolding: {target_fps: 100}\n"
    )
    assert not has_step(load_recipe(recipe)[0], "represent_padding")
    proposal = propose_for(recipe, "represent_padding", "tidy_up")
    diff = proposal.diff(tmp_path)
    assert diff.startswith("--- a/recipe.yaml\n+++ b/recipe.yaml\n@@ ")
    changed = [line for line in diff.splitlines()[2:] if line[0] in "+-"]
    assert [line[0] for line in changed] == ["-", "+", "+", "+"]
    assert changed[-1] == f"+  insert: [{INSERT}]"
    recipe.write_text(proposal.after)
    assert has_step(load_recipe(recipe)[0], "represent_padding")


def test_a_recipe_that_extends_another_gets_steps_of_its_own(tmp_path):
    (tmp_path / "net.onnx").touch()
    (tmp_path / "base.yaml").write_text("model: {onnx: net.onnx}\nsteps: hw_codegen\n")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("extends: base.yaml\nname: mine")
    proposal = propose_for(recipe, "represent_padding", "tidy_up")
    assert proposal.diff(tmp_path).count("\n+") == 2
    recipe.write_text(proposal.after)
    assert has_step(load_recipe(recipe)[0], "represent_padding")


def test_an_edit_that_the_recipe_does_not_allow_is_not_proposed(tmp_path):
    (tmp_path / "net.onnx").touch()
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("model: {onnx: net.onnx}\nsteps: {insert: [], more: 1}\n")
    with pytest.raises(ByHand, match="more"):
        propose_for(recipe, "represent_padding", "tidy_up")


LISTED = ["qonnx_to_finn", "tidy_up", "represent_padding", "streamline", "minimize_bit_width", "keep_bipolar_weights"]


@pytest.mark.parametrize(
    ("steps", "anchors", "names"),
    [
        ("", ["tidy_up", "minimize_bit_width"], []),
        ("steps: hw_codegen\n", ["tidy_up", "minimize_bit_width"], []),
        ("steps: [qonnx_to_finn, tidy_up, streamline, minimize_bit_width]\n", [], LISTED),
    ],
)
def test_several_repairs_one_after_the_other(tmp_path, steps, anchors, names):
    (tmp_path / "net.onnx").touch()
    (tmp_path / "base.yaml").write_text("model: {onnx: net.onnx}\nsteps: hw_codegen\n")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"extends: base.yaml\n{steps}")
    for repair in ("represent_padding", "keep_bipolar_weights"):
        recipe.write_text(propose_for(recipe, repair, str(STEPS[repair].place)).after)
    loaded, _ = load_recipe(recipe)
    assert has_step(loaded, "represent_padding") and has_step(loaded, "keep_bipolar_weights")
    assert [edit.anchor for edit in loaded.steps.edits] == anchors
    assert [entry.uses for entry in loaded.steps.entries] == names
