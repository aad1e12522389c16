"""Pre- and post-processing in the graph: exactly the arithmetic of PyTorch, in the order of the recipe."""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx

from finnyaml.errors import StepFailed
from finnyaml.recipe.model import CodeRef, InputSpec, Processing
from finnyaml.steps.code import forget_user_modules, load_function
from finnyaml.steps.processing import append, postprocess, prepend, preprocess
from finnyaml.steps.source import annotate_input, export_brevitas

RECIPE = Path(__file__).parents[2] / "recipes" / "digits-cnv"
TO_TENSOR = Processing("to_tensor")


def digits() -> tuple[np.ndarray, np.ndarray]:
    spec = importlib.util.spec_from_file_location("digits", RECIPE / "data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load("test")


def passing(shape, spec: InputSpec | None = None, opset: int = 17) -> ModelWrapper:
    """A model that gives its input back (x + 0)."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    zero = onnx.numpy_helper.from_array(np.zeros(1, np.float32), "zero")
    body = helper.make_graph([helper.make_node("Add", ["x", "zero"], ["y"])], "g", ends[:1], ends[1:], [zero])
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return annotate_input(model, spec or InputSpec())


def run(model: ModelWrapper, data: np.ndarray) -> np.ndarray:
    (source,), (result,) = model.graph.input, model.graph.output
    return execute_onnx(model, {source.name: data.astype(np.float32)})[result.name]


def test_to_tensor_and_normalize_are_exact_on_the_digits(tmp_path):
    images, _ = digits()
    stages = [TO_TENSOR, Processing("normalize", {"mean": [0.1307], "std": 0.3081})]
    model = preprocess(passing(images.shape), stages, InputSpec(), tmp_path)
    wanted = torch.from_numpy(images).to(torch.float32).div(255)
    wanted = wanted.sub(torch.tensor(0.1307)).div(torch.tensor(0.3081))
    assert np.abs(run(model, images) - wanted.numpy()).max() == 0
    assert [node.op_type for node in model.graph.node] == ["Div", "Sub", "Div", "Add"]


def test_the_graph_input_keeps_what_the_recipe_says(tmp_path):
    spec = InputSpec((1, 1, 4, 4), "UINT8", "NCHW")
    model = preprocess(passing(spec.shape, spec), [TO_TENSOR, Processing("normalize")], spec, tmp_path)
    name = model.graph.input[0].name
    assert name == "global_in"
    assert model.get_tensor_shape(name) == [1, 1, 4, 4]
    assert model.get_tensor_datatype(name).name == "UINT8"
    assert model.get_tensor_layout(name) == list("NCHW")
    inner = {output for node in model.graph.node for output in node.output}
    assert {model.get_tensor_datatype(tensor).name for tensor in inner} == {"FLOAT32"}


def test_to_tensor_takes_bytes(tmp_path):
    model = prepend(passing((1, 4)), TO_TENSOR, InputSpec(), tmp_path)
    assert model.get_tensor_datatype(model.graph.input[0].name).name == "UINT8"
    with pytest.raises(StepFailed, match=r"model.input.datatype is INT8"):
        prepend(passing((1, 4)), TO_TENSOR, InputSpec(datatype="INT8"), tmp_path)


@pytest.mark.parametrize(("layout", "axis"), [("NCHW", 1), ("NHWC", 3)])
def test_normalize_per_channel_follows_the_layout_of_the_data(tmp_path, layout, axis):
    images = np.random.default_rng(0).random((1, 3, 4, 5), np.float32)
    mean, std = np.float32([0.1, 0.2, 0.3]), np.float32([0.5, 0.25, 0.75])
    spec = InputSpec((1, 3, 4, 5), "FLOAT32", layout)
    stage = Processing("normalize", {"mean": mean.tolist(), "std": std.tolist()})
    model = prepend(passing((1, 3, 4, 5), spec), stage, spec, tmp_path)
    data = images if axis == 1 else images.transpose(0, 2, 3, 1)
    wanted = (torch.from_numpy(images) - torch.from_numpy(mean).view(3, 1, 1)) / torch.from_numpy(std).view(3, 1, 1)
    np.testing.assert_array_equal(run(model, data), wanted.numpy())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mean": [0.1, 0.2]}, "mean has 2 values, the data [1, 3, 4, 5] has 3 channels"),
        ({"std": [1.0, 0.0, 1.0]}, "std is 0"),
        ({"mean": float("nan")}, "mean is not finite"),
    ],
)
def test_normalize_that_does_not_fit(tmp_path, options, words):
    with pytest.raises(StepFailed) as caught:
        prepend(passing((1, 3, 4, 5)), Processing("normalize", options), InputSpec(), tmp_path)
    assert words in caught.value.message


@pytest.fixture
def own(tmp_path):
    """Stages of the user's own: 2x from PyTorch, x + 1 from a file of an older opset."""
    (tmp_path / "own.py").write_text(
        "from torch import nn\n"
        "class Twice(nn.Module):\n    def forward(self, x): return 2 * x\n"
        "def twice(): return Twice()\n"
    )
    file = tmp_path / "plus.onnx"
    model = passing((1, 4), opset=13)
    model.set_initializer(model.graph.node[0].input[1], np.ones(1, np.float32))
    model.save(str(file))
    code = CodeRef("own.py:twice", "twice", file=tmp_path / "own.py")
    yield Processing("brevitas", {"args": {}}, code=code), Processing("onnx", file=file)
    forget_user_modules()


def test_own_stages_run_in_the_order_of_the_recipe(tmp_path, own):
    twice, plus = own
    data = np.float32([[1, 2, 3, 4]])
    spec = InputSpec((1, 4), "UINT8", "NC")
    before = preprocess(passing((1, 4), spec), [twice, plus], spec, tmp_path)
    np.testing.assert_array_equal(run(before, data), 2 * data + 1)
    after = postprocess(passing((1, 4), spec), [plus, twice], tmp_path)
    np.testing.assert_array_equal(run(after, data), 2 * (data + 1))
    for model in (before, after):
        assert model.get_tensor_datatype(model.graph.input[0].name).name == "UINT8"
        assert model.get_tensor_shape(model.graph.input[0].name) == [1, 4]


def test_own_stages_that_do_not_fit(tmp_path, own):
    _, plus = own
    with pytest.raises(StepFailed, match=r"one gives float \[1, 4\], the next takes float \[1, 5\]"):
        prepend(passing((1, 5)), plus, InputSpec(), tmp_path)
    classes = append(passing((1, 4)), Processing("top_k", {"k": 4}), tmp_path)
    with pytest.raises(StepFailed, match=r"one gives int64 \[1, 4\], the next takes float"):
        append(classes, plus, tmp_path)


def test_top_k_gives_the_indices_of_the_highest(tmp_path):
    model = append(passing((1, 5)), Processing("top_k", {"k": 2}), tmp_path)
    np.testing.assert_array_equal(run(model, np.float32([[0, 3, 1, 9, -2]])), [[3, 1]])
    with pytest.raises(StepFailed, match="ends in a TopK already"):
        append(model, Processing("top_k", {"k": 1}), tmp_path)
    with pytest.raises(StepFailed, match="top_k: 6 of 5 scores"):
        append(passing((1, 5)), Processing("top_k", {"k": 6}), tmp_path)


def test_an_unknown_stage(tmp_path):
    for put in (
        lambda stage: prepend(passing((1, 4)), stage, InputSpec(), tmp_path),
        lambda stage: append(passing((1, 4)), stage, tmp_path),
    ):
        with pytest.raises(StepFailed, match="'sharpen' is no"):
            put(Processing("sharpen"))


def test_the_whole_digits_graph_answers_as_pytorch_does(tmp_path, own):
    images, _ = digits()
    images = images[:40]
    factory = load_function(CodeRef("model.py:digits_cnv", "digits_cnv", file=RECIPE / "model.py"), RECIPE)
    spec = InputSpec((1, 1, 14, 14), "UINT8", "NHWC")
    model = annotate_input(export_brevitas(factory, {}, RECIPE / "weights.pth", None, spec.shape), spec)
    model = postprocess(preprocess(model, [TO_TENSOR], spec, RECIPE), [Processing("top_k", {"k": 1})], RECIPE)
    network = factory()
    network.load_state_dict(torch.load(RECIPE / "weights.pth", weights_only=True))
    with torch.no_grad():
        wanted = network.eval()(torch.from_numpy(images) / 255).argmax(1)
    answers = [run(model, image[np.newaxis].transpose(0, 2, 3, 1)).item() for image in images]
    assert answers == wanted.tolist()


def test_a_merge_keeps_the_operator_sets_of_qonnx(own):
    twice, _ = own
    factory = load_function(CodeRef("model.py:digits_cnv", "digits_cnv", file=RECIPE / "model.py"), RECIPE)
    spec = InputSpec((1, 1, 14, 14), "UINT8", "NCHW")
    model = annotate_input(export_brevitas(factory, {}, None, None, spec.shape), spec)
    wanted = {entry.domain: entry.version for entry in model.model.opset_import}
    merged = prepend(model, twice, spec, RECIPE)
    assert {entry.domain: entry.version for entry in merged.model.opset_import} == wanted
