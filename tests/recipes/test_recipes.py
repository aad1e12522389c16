"""The recipes that come with finnyaml: complete, small, and as accurate as their READMEs say."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from finnyaml.recipe.model import CodeRef, InputSpec, Processing
from finnyaml.steps.code import forget_user_modules, load_function
from finnyaml.steps.processing import postprocess, preprocess
from finnyaml.steps.source import annotate_input, read_onnx

RECIPES = Path(__file__).parents[2] / "recipes"
NAMES = ["digits-cnv", "digits-rtl", "digits-resnet", "digits-concat", "tfc-w1a1", "from-onnx"]


@pytest.fixture(autouse=True)
def forget():
    yield
    forget_user_modules()


def load(file: Path, function: str):
    return load_function(CodeRef(f"{file.name}:{function}", function, file=file), file.parent)


def readme_accuracy(folder: Path) -> float:
    return float(re.search(r"([\d.]+) % of the 500 held-out", (folder / "README.md").read_text())[1])


def percent(answers, labels) -> float:
    return round(100 * float(np.mean(np.asarray(answers) == labels)), 1)


def torch_accuracy(folder: Path, factory: str, change=lambda state: state) -> float:
    data = folder / "data.py" if (folder / "data.py").exists() else RECIPES / "digits-cnv" / "data.py"
    images, labels = load(data, "load")("test")
    network = load(folder / "model.py", factory)()
    state = torch.load(folder / "weights.pth", map_location="cpu", weights_only=True)
    network.load_state_dict(change(state))
    with torch.no_grad():
        return percent(network.eval()(torch.from_numpy(images) / 255).argmax(1).numpy(), labels)


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_complete(name):
    folder = RECIPES / name
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    text = (folder / "recipe.yaml").read_text()
    assert recipe["name"] == name
    files = re.findall(r"[\w./-]+\.(?:py|pth|onnx)\b", re.sub(r"#.*", "", text))
    assert files and all((folder / file).is_file() for file in files)
    for file, function in re.findall(r"([\w./-]+\.py):(\w+)", text):
        assert f"def {function}(" in (folder / file).read_text()


def test_the_explicit_list_of_steps_branches():
    recipe = yaml.safe_load((RECIPES / "tfc-w1a1" / "recipe.yaml").read_text())
    ids = [step if isinstance(step, str) else step.get("id", step["uses"]) for step in recipe["steps"]]
    assert len(set(ids)) == len(ids)
    assert set(recipe["targets"].values()) <= set(ids)
    assert {step["needs"] for step in recipe["steps"] if "needs" in step} <= set(ids)


def test_two_bits_are_as_accurate_as_their_readme_says():
    images, labels = load(RECIPES / "digits-cnv" / "data.py", "load")("test")
    network = load(RECIPES / "digits-cnv" / "model.py", "digits_cnv")(act_bits=2, weight_bits=2)
    folder = RECIPES / "digits-cnv-w2a2"
    network.load_state_dict(torch.load(folder / "weights.pth", map_location="cpu", weights_only=True))
    with torch.no_grad():
        answers = network.eval()(torch.from_numpy(images) / 255).argmax(1).numpy()
    assert percent(answers, labels) == readme_accuracy(folder) >= 98


@pytest.mark.parametrize("name", ["digits-cnv", "digits-rtl", "digits-resnet", "digits-concat", "tfc-w1a1"])
def test_committed_weights_are_as_accurate_as_the_readme_says(name):
    assert torch_accuracy(RECIPES / name, name.replace("-", "_")) == readme_accuracy(RECIPES / name)


def test_other_weights_are_not():
    """The measurement notices: with the last layer turned round, hardly a digit is right."""

    def turned(state):
        return {**state, "classifier.3.weight": -state["classifier.3.weight"]}

    assert torch_accuracy(RECIPES / "digits-cnv", "digits_cnv", turned) < 20


def test_the_digits_recipe_reaches_what_the_issue_asks():
    assert readme_accuracy(RECIPES / "digits-cnv") >= 98


def test_the_onnx_recipe_is_as_accurate_as_the_readme_says():
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.change_batchsize import ChangeBatchSize
    from qonnx.transformation.infer_shapes import InferShapes

    folder = RECIPES / "from-onnx"
    images, labels = load(RECIPES / "digits-cnv" / "data.py", "load")("test", size=8)
    spec = InputSpec(datatype="UINT8", layout="NC")
    stages = [Processing("to_tensor"), Processing("normalize", {"mean": [0.5], "std": [0.5]})]
    model = preprocess(annotate_input(read_onnx(folder / "digits-mlp.onnx"), spec), stages, spec, folder)
    model = model.transform(ChangeBatchSize(len(labels))).transform(InferShapes())
    model = postprocess(model, [Processing("top_k", {"k": 1})], folder)
    source, result = model.graph.input[0].name, model.graph.output[0].name
    answers = execute_onnx(model, {source: images.reshape(len(labels), -1).astype(np.float32)})[result]
    assert percent(answers.flatten(), labels) == readme_accuracy(folder)


def test_the_layer_table_says_where_it_belongs():
    folder = RECIPES / "from-onnx"
    model = annotate_input(read_onnx(folder / "digits-mlp.onnx"), InputSpec())
    with pytest.raises(ValueError, match="behind specialize_layers"):
        load(folder / "steps.py", "layer_table")(model, type("Config", (), {"synth_clk_period_ns": 10.0}))


def test_the_data_is_scikit_learns_and_the_split_is_fixed():
    from sklearn.datasets import load_digits

    original = load_digits()
    with np.load(RECIPES / "digits-cnv" / "digits.npz") as archive:
        np.testing.assert_array_equal(archive["images"], original.images)
        np.testing.assert_array_equal(archive["labels"], original.target)
        assert sorted([*archive["train"], *archive["test"]]) == list(range(1797))
        assert (len(archive["train"]), len(archive["test"])) == (1297, 500)


@pytest.mark.parametrize("size", [8, 14, 28])
def test_images_are_scaled_as_pytorch_scales_them(size):
    images, labels = load(RECIPES / "digits-cnv" / "data.py", "load")("test", size=size)
    assert images.shape == (500, 1, size, size) and images.dtype == np.uint8 and labels.dtype == np.int64
    with np.load(RECIPES / "digits-cnv" / "digits.npz") as archive:
        small = torch.from_numpy(archive["images"][archive["test"]][:, None] / 16.0)
    wanted = torch.nn.functional.interpolate(small, (size, size), mode="bilinear", align_corners=False)
    assert np.abs(images - 255 * wanted.numpy()).max() <= 0.5 + 1e-9
    with pytest.raises(ValueError, match="no split 'validation'"):
        load(RECIPES / "digits-cnv" / "data.py", "load")("validation")


def test_everything_binary_together_is_small():
    binaries = [file for suffix in ("npz", "pth", "onnx") for file in RECIPES.glob(f"*/*.{suffix}")]
    assert len(binaries) == 10
    assert sum(file.stat().st_size for file in binaries) < 1_100_000
