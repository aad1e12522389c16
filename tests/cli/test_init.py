from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from finnyaml.errors import RecipeError
from finnyaml.recipe.load import load_recipe
from finnyaml.recipe.schema import schema
from finnyaml.recipe.starter import examine, recipe_text
from tests.cli.conftest import Command
from tests.project import ROOT, tiny_model

NETWORKS = """
import torch
from torch.nn import Module

class Block(Module):
    pass

class Net(Module):
    def __init__(self, width, bits=4):
        self.block = Block()

def small(): ...
def needy(width, *, depth, bits=2): ...
def _hidden(): ...
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_onnx_file(finnyaml: Command, here: Path) -> None:
    answer = finnyaml("init", ROOT / "recipes" / "from-onnx" / "digits-mlp.onnx", "--board", "ZCU104", "--clock", "5")
    assert answer.code == 0 and "next: finnyaml lint\n" in answer.out
    recipe, warnings = load_recipe(here / "recipe.yaml")
    assert not warnings
    assert recipe.name == "digits-mlp" and recipe.model.onnx.samefile(ROOT / "recipes/from-onnx/digits-mlp.onnx")
    assert recipe.model.input.shape == (1, 64) and recipe.model.input.layout == "NC"
    assert (recipe.settings.target["board"], recipe.settings.target["clock_ns"]) == ("ZCU104", 5.0)
    assert "the QONNX dialect" in (here / "recipe.yaml").read_text()
    assert finnyaml("lint", "recipe.yaml").code == 0


def test_a_brevitas_file_with_a_shape(finnyaml: Command, here: Path) -> None:
    folder = ROOT / "recipes" / "digits-cnv"
    assert finnyaml("init", folder / "model.py", "--shape", "1,1,14,14").code == 0
    recipe, warnings = load_recipe(here / "recipe.yaml")
    assert not warnings
    assert recipe.model.brevitas.function == "digits_cnv" and recipe.model.weights.samefile(folder / "weights.pth")
    assert recipe.model.input.shape == (1, 1, 14, 14) and recipe.model.input.datatype == "UINT8"
    assert [stage.kind for stage in recipe.preprocess] == ["to_tensor"]
    assert finnyaml("lint", "recipe.yaml").code == 0


def test_without_a_shape_the_recipe_says_where_it_is_wanted(finnyaml: Command, here: Path) -> None:
    (here / "nets.py").write_text(NETWORKS)
    answer = finnyaml("init", "nets.py")
    line = int(re.search(r"fill in line (\d+)", answer.out)[1])
    assert "shape: TODO" in (here / "recipe.yaml").read_text().splitlines()[line - 1]
    with pytest.raises(RecipeError) as refused:
        load_recipe(here / "recipe.yaml")
    assert [(item.where.line, "shape" in item.message) for item in refused.value.problems] == [(line, True)]


def test_what_is_guessed_is_marked(finnyaml: Command, here: Path) -> None:
    (here / "nets.py").write_text(NETWORKS)
    answer = finnyaml("init", "nets.py", "--shape", "1,1,14,14")
    guessed = [line for line in (here / "recipe.yaml").read_text().splitlines() if "TODO check" in line]
    assert [line.split()[0] for line in guessed] == ["datatype:", "-", "board:"]
    assert "check what was guessed, in lines" in answer.out and "fill in" not in answer.out
    tiny_model(here / "tiny.onnx")
    finnyaml("init", "tiny.onnx", "--board", "ZCU104", "--force")
    assert "TODO" not in (here / "recipe.yaml").read_text()


def test_editors_get_the_schema(finnyaml: Command, here: Path) -> None:
    tiny_model(here / "tiny.onnx")
    assert "recipe.schema.json for editors" in finnyaml("init", "tiny.onnx").out
    first = (here / "recipe.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=recipe.schema.json"
    assert json.loads((here / "recipe.schema.json").read_text()) == schema()
    (here / "recipe.schema.json").write_text("mine")
    assert finnyaml("init", "tiny.onnx", "--force").code == 0
    assert (here / "recipe.schema.json").read_text() == "mine"


@pytest.mark.parametrize(
    ("files", "weights"),
    [
        (["a.pth"], "  weights: a.pth  "),
        (["a.ckpt"], "  weights: a.ckpt  "),
        (["a.pt", "b.pth"], "TODO: which has its trained weights: a.pt, b.pth?"),
        ([], "  # weights: weights.pth  "),
    ],
)
def test_the_checkpoint_beside_the_model_is_found(
    finnyaml: Command, here: Path, files: list[str], weights: str
) -> None:
    (here / "nets.py").write_text(NETWORKS)
    for name in files:
        (here / name).touch()
    assert finnyaml("init", "nets.py", "--shape", "1,4").code == 0
    assert weights in (here / "recipe.yaml").read_text()


IMAGES, LABELS = np.zeros((5, 3, 8, 8), np.uint8), np.arange(5)


def test_the_data_beside_the_model_is_found(finnyaml: Command, here: Path) -> None:
    """It says the shape and the type of the input, too."""
    (here / "nets.py").write_text(NETWORKS)
    np.savez(here / "net-train.npz", images=IMAGES, labels=LABELS)
    np.savez(here / "net-test.npz", images=IMAGES, labels=LABELS)
    assert finnyaml("init", "nets.py").code == 0
    recipe, warnings = load_recipe(here / "recipe.yaml")
    assert not warnings
    data = recipe.verify.data
    assert (data.kind, data.file, data.inputs_key, data.labels_key) == (
        "npz",
        here / "net-test.npz",
        "images",
        "labels",
    )
    assert (recipe.model.input.shape, recipe.model.input.datatype) == ((1, 3, 8, 8), "UINT8")
    assert recipe.verify.metric.kind == "top_k"
    assert "TODO check: found beside the model" in (here / "recipe.yaml").read_text()


def test_data_in_two_files_without_labels_too(finnyaml: Command, here: Path) -> None:
    tiny_model(here / "tiny.onnx")
    np.save(here / "x.npy", np.zeros((5, 4), np.float32))
    assert finnyaml("init", "tiny.onnx").code == 0
    recipe, _ = load_recipe(here / "recipe.yaml")
    assert (recipe.verify.data.kind, recipe.verify.data.labels_file) == ("npy", None)
    assert recipe.verify.metric.kind == "agreement" and recipe.model.input.datatype == "FLOAT32"
    np.save(here / "y.npy", LABELS)
    assert finnyaml("init", "tiny.onnx", "--force").code == 0
    recipe, _ = load_recipe(here / "recipe.yaml")
    assert recipe.verify.data.labels_file == here / "y.npy" and recipe.verify.metric.kind == "top_k"


@pytest.mark.parametrize("name", ["a.npz", "x.npy"])
def test_data_that_cannot_be_read_is_left_out(finnyaml: Command, here: Path, name: str) -> None:
    tiny_model(here / "tiny.onnx")
    (here / name).write_bytes(b"no data")
    assert finnyaml("init", "tiny.onnx").code == 0
    assert load_recipe(here / "recipe.yaml")[0].verify is None


def test_nothing_is_overwritten(finnyaml: Command, here: Path) -> None:
    tiny_model(here / "tiny.onnx")
    (here / "recipe.yaml").write_text("mine")
    refused = finnyaml("init", "tiny.onnx")
    assert refused.code == 2 and "recipe.yaml exists" in refused.err
    assert (here / "recipe.yaml").read_text() == "mine"
    assert finnyaml("init", "tiny.onnx", "--force").code == 0
    assert load_recipe(here / "recipe.yaml")[0].name == "tiny"


def test_candidates_are_found_without_running_the_file(finnyaml: Command, here: Path) -> None:
    (here / "nets.py").write_text(NETWORKS + "raise SystemExit('this was run')\n")
    assert examine("nets.py", here, None).model == "nets.py:small"  # the only one that needs no arguments
    (here / "nets.py").write_text(NETWORKS.replace("small()", "small(bits)"))
    answer = finnyaml("init", "nets.py")
    assert answer.code == 2
    assert "name one: finnyaml init nets.py:Net, nets.py:small or nets.py:needy" in answer.err
    assert "did you mean 'needy'?" in finnyaml("init", "nets.py:neddy").err


def test_arguments_that_are_needed_are_todo(here: Path) -> None:
    (here / "nets.py").write_text(NETWORKS)
    source = examine("nets.py:needy", here, "1,3,32,32")
    assert source.args == ("width", "depth")
    (here / "recipe.yaml").write_text(recipe_text(source, None, None))
    with pytest.raises(RecipeError) as refused:
        load_recipe(here / "recipe.yaml")
    assert {item.hint for item in refused.value.problems} == {
        "give it a value: width: ...",
        "give it a value: depth: ...",
    }
    filled = recipe_text(source, None, None).replace("# args: {width: ..., depth: ...}", "args: {width: 8, depth: 2}")
    (here / "recipe.yaml").write_text(filled)
    assert load_recipe(here / "recipe.yaml")[0].model.args == {"width": 8, "depth": 2}


@pytest.mark.parametrize(
    "name", ["net: a #1.onnx", "yes.onnx", "${x}.onnx", "-.onnx", "ünet.onnx", "a'b\"c.onnx", "1.onnx"]
)
def test_any_file_name_is_written_as_yaml(here: Path, name: str) -> None:
    tiny_model(here / name)
    (here / "recipe.yaml").write_text(recipe_text(examine(name, here, None), "Pynq-Z1: 'x'", None))
    recipe, _ = load_recipe(here / "recipe.yaml")
    assert recipe.model.onnx == here / name and recipe.settings.target["board"] == "Pynq-Z1: 'x'"


def test_the_recipe_may_lie_elsewhere(finnyaml: Command, here: Path) -> None:
    tiny_model(here / "tiny.onnx")
    (here / "sub").mkdir()
    assert finnyaml("init", "tiny.onnx", "-o", "sub/r.yaml").code == 0
    assert load_recipe(here / "sub" / "r.yaml")[0].model.onnx == here / "tiny.onnx"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tiny.onxx"], "did you mean 'tiny.onnx'?"),
        (["empty.onnx"], "is not an ONNX model"),
        (["text.onnx"], "is not an ONNX model"),
        (["weights.pth"], "name the Python file"),
        (["broken.py"], "broken.py:1 is not valid Python"),
        (["empty.py"], "defines no function"),
        (["tiny.onnx", "--shape", "1,0"], "--shape 1,3,32,32"),
        (["tiny.onnx", "--shape", "1,5"], "has the shape [1, 4]"),
    ],
)
def test_what_cannot_be_a_source_is_told(finnyaml: Command, here: Path, arguments: list[str], words: str) -> None:
    tiny_model(here / "tiny.onnx")
    for name, text in (
        ("empty.onnx", ""),
        ("text.onnx", "no model"),
        ("weights.pth", ""),
        ("broken.py", "def"),
        ("empty.py", ""),
    ):
        (here / name).write_text(text)
    answer = finnyaml("init", *arguments)
    assert answer.code == 2 and words in answer.err
    assert not (here / "recipe.yaml").exists()
