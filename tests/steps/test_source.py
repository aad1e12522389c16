"""Models from Brevitas and from files: the same graph every time, and every fault of the user's told clearly."""

import contextlib
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from torch import nn

from finnyaml.errors import StepFailed
from finnyaml.recipe.model import CodeRef, InputSpec
from finnyaml.steps.code import forget_user_modules, load_function
from finnyaml.steps.source import SCOPES, annotate_input, export_brevitas, external_files, read_onnx

RECIPE = Path(__file__).parents[2] / "recipes" / "digits-cnv"


def dense(inputs: int = 4) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 3))


def graph(shape=(1, 4), kind=TensorProto.FLOAT, weight_shape=(4, 3)) -> onnx.ModelProto:
    """x @ w in plain ONNX."""
    values = np.arange(np.prod(weight_shape), dtype=np.float32).reshape(weight_shape)
    return helper.make_model(
        helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", kind, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], weight_shape[1]])],
            [onnx.numpy_helper.from_array(values, "w")],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=10,
    )


def export_digits(folder: Path) -> onnx.ModelProto:
    factory = load_function(CodeRef("model.py:digits_cnv", "digits_cnv", file=folder / "model.py"), folder)
    model = export_brevitas(factory, {"act_bits": 1}, folder / "weights.pth", None, (1, 1, 14, 14))
    forget_user_modules()
    return model


# --- export


def test_an_export_is_the_same_from_another_folder_and_holds_no_path(tmp_path):
    copy = tmp_path / "elsewhere"
    copy.mkdir()
    for name in ("model.py", "weights.pth"):
        shutil.copy(RECIPE / name, copy)
    first = export_digits(RECIPE)
    content = first.SerializeToString(deterministic=True)
    assert content == export_digits(copy).SerializeToString(deterministic=True)
    assert b"model.py" not in content and b"site-packages" not in content
    scopes = [entry for node in first.graph.node for entry in node.metadata_props]
    assert {entry.key for entry in scopes} == {SCOPES}
    assert any("features.1" in entry.value for entry in scopes)


def test_without_weights_the_initial_weights_are_the_same_every_time():
    state = torch.random.get_rng_state()
    first, second = (export_brevitas(dense, {}, None, None, (1, 4)) for _ in range(2))
    assert first == second
    assert torch.equal(state, torch.random.get_rng_state())


def test_the_export_is_in_eval_mode():
    model = export_brevitas(lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)), {}, None, None, (1, 4))
    assert "Dropout" not in {node.op_type for node in model.graph.node}


def raising():
    return [][1]


@pytest.mark.parametrize(
    ("factory", "args", "words", "hint"),
    [
        (dense, {"input": 4}, "cannot be called with model.args", "did you mean 'inputs'?"),
        (raising, {}, "test_source.py:", None),
        (lambda: None, {}, "returned nothing (None)", "return the module alone"),
        (lambda: (dense(), 1), {}, "returned a tuple", "return the module alone"),
        (lambda: nn.Identity, {}, "not a torch.nn.Module", "return an instance, not the class"),
        (dense, {"inputs": 5}, "does not take an input of shape [1, 4]", None),
    ],
)
def test_a_factory_that_is_wrong(factory, args, words, hint):
    with pytest.raises(StepFailed) as caught:
        export_brevitas(factory, args, None, None, (1, 4))
    assert words in caught.value.message
    assert hint is None or caught.value.hint == hint


# --- weights


def with_weights(path: Path, key: str | None = None) -> onnx.ModelProto:
    return export_brevitas(dense, {}, path, key, (1, 4))


class Malicious:
    """Unpickling this would make a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def pickled(protocol: int):
    return lambda value, path: path.write_bytes(pickle.dumps(value, protocol))


@pytest.mark.parametrize("save", [torch.save, pickled(2)])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, save):
    marker, path = tmp_path / "owned", tmp_path / "weights.pth"
    save({"0.weight": Malicious(marker)}, path)
    with pytest.raises(StepFailed, match=r"more than tensors: loading it would run 'posix.mkdir'. Refused") as caught:
        with_weights(path)
    assert "state_dict()" in caught.value.hint
    assert not marker.exists()
    with contextlib.suppress(RuntimeError):  # the pickle is what it is said to be
        torch.load(path, weights_only=False)
    assert marker.exists()


def test_a_malicious_pickle_that_torch_cannot_read_is_not_run_either(tmp_path):
    marker, path = tmp_path / "owned", tmp_path / "weights.pth"
    pickled(4)({"0.weight": Malicious(marker)}, path)
    with pytest.raises(StepFailed, match="nothing of it was run") as caught:
        with_weights(path)
    assert "weights_only" not in caught.value.message
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"hello, world", b"PK\x03\x04 half an archive"])
def test_a_file_that_is_no_checkpoint(tmp_path, content):
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(StepFailed, match="not a PyTorch checkpoint, or a damaged one") as caught:
        with_weights(tmp_path / "weights.pth")
    assert "weights_only" not in caught.value.message


def test_a_missing_checkpoint(tmp_path):
    with pytest.raises(StepFailed, match=r"cannot read the weights .*: No such file"):
        with_weights(tmp_path / "weights.pth")


def test_a_state_dict_inside_a_checkpoint(tmp_path):
    path, trained = tmp_path / "checkpoint.pth", dense()
    torch.save({"epoch": 3, "state_dict": trained.state_dict()}, path)
    model = ModelWrapper(with_weights(path, "state_dict"))
    data = np.ones((1, 4), np.float32)
    result = execute_onnx(model, {model.graph.input[0].name: data})[model.graph.output[0].name]
    np.testing.assert_allclose(result, trained(torch.ones(1, 4)).detach().numpy(), atol=1e-6)
    with pytest.raises(StepFailed) as caught:
        with_weights(path, "state_dct")
    assert caught.value.hint == "did you mean 'state_dict'?"
    with pytest.raises(StepFailed) as caught:
        with_weights(path)
    assert caught.value.hint == "is the state dict inside? model.weights_key: state_dict"
    with pytest.raises(StepFailed, match=r"'epoch' of .* is a int, not a state dict"):
        with_weights(path, "epoch")


def test_weights_of_another_network_are_named(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"0.weight": torch.zeros(3, 5), "1.bias": torch.zeros(3)}, path)
    with pytest.raises(StepFailed) as caught:
        with_weights(path)
    for words in ('Missing key(s) in state_dict: "0.bias"', 'Unexpected key(s) in state_dict: "1.bias"', "0.weight"):
        assert words in caught.value.message
    torch.save({f"module.{name}": value for name, value in dense().state_dict().items()}, path)
    with pytest.raises(StepFailed) as caught:
        with_weights(path)
    assert "DataParallel" in caught.value.hint
    torch.save([1, 2], path)
    with pytest.raises(StepFailed, match="holds a list, not a state dict"):
        with_weights(path)


# --- ONNX files


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"", "the file is empty"),
        (b"this is not a model", "export the model with"),
        (b"PK\x03\x04", "PyTorch checkpoint"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    ],
)
def test_a_file_that_is_no_onnx(tmp_path, content, hint):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(StepFailed, match="not an ONNX model") as caught:
        read_onnx(path)
    assert hint in caught.value.hint


def test_external_data_is_taken_in(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(graph(), str(path), save_as_external_data=True, location="model.data", size_threshold=0)
    assert external_files(path) == [tmp_path / "model.data"]
    model = read_onnx(path)
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(model.graph.initializer[0]), np.arange(12).reshape(4, 3))
    (tmp_path / "model.data").unlink()
    with pytest.raises(StepFailed, match=r"keeps tensors in model.data, and that file is not there"):
        read_onnx(path)


def test_external_data_outside_the_folder_is_refused(tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    path = folder / "model.onnx"
    onnx.save(graph(), str(path), save_as_external_data=True, location="model.data", size_threshold=0)
    shutil.copy(folder / "model.data", tmp_path / "secret")
    model = onnx.load(str(path), load_external_data=False)
    next(entry for entry in model.graph.initializer[0].external_data if entry.key == "location").value = "../secret"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(StepFailed, match="refused, since that is outside the folder"):
        read_onnx(path)


def test_what_the_checker_objects_to_is_a_warning(tmp_path):
    model = graph()
    model.graph.node[0].op_type = "NoSuchOperator"
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.warns(UserWarning, match="checker objects"):
        assert read_onnx(path) == model


# --- the input


def test_the_recipe_is_written_on_the_input():
    model = annotate_input(graph(), InputSpec((1, 4), "UINT8", "NC"))
    assert model.graph.input[0].name == "global_in"
    assert model.get_tensor_datatype("global_in").name == "UINT8"
    assert model.get_tensor_layout("global_in") == ["N", "C"]


def test_an_open_shape_takes_the_recipes():
    model = annotate_input(graph(shape=("batch", 4)), InputSpec((2, 4)))
    assert model.get_tensor_shape("global_in") == [2, 4]
    assert model.get_tensor_shape("global_out") == [2, 3]


@pytest.mark.parametrize(
    ("model", "spec", "words", "hint"),
    [
        (graph(), InputSpec((1, 5)), "has the shape [1, 4], the recipe says [1, 5]", None),
        (graph(), InputSpec((1, 4, 1)), "has the shape [1, 4], the recipe says [1, 4, 1]", None),
        (graph(shape=("batch", 4)), InputSpec(), "open shape ['batch', 4]", "model.input.shape"),
        (graph(), InputSpec(datatype="UNIT8"), "'UNIT8' is not a datatype", "did you mean 'UINT8'?"),
        (graph(), InputSpec(datatype="uint8"), "'uint8' is not a datatype", "did you mean 'UINT8'?"),
        (graph(), InputSpec(datatype="INT0"), "'INT0' is not a datatype", None),
        (graph(), InputSpec(layout="NHWC"), "NHWC has 4 dimensions", None),
        (graph(), InputSpec(layout="NHCW"), "'NHCW' is not a layout", "did you mean"),
        (graph(kind=TensorProto.UINT8), InputSpec(), "is an ONNX uint8", "float32"),
    ],
)
def test_an_input_that_does_not_fit(model, spec, words, hint):
    with pytest.raises(StepFailed) as caught:
        annotate_input(model, spec)
    assert words in caught.value.message
    assert hint is None or hint in caught.value.hint


def test_several_inputs_are_named():
    model = graph()
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    with pytest.raises(StepFailed, match=r"2 inputs \(x, more\)"):
        annotate_input(model, InputSpec())


def test_a_datatype_that_contradicts_the_models_own():
    own = annotate_input(graph(), InputSpec(datatype="INT8")).model
    assert annotate_input(own, InputSpec(datatype="INT8")).get_tensor_datatype("global_in").name == "INT8"
    with pytest.raises(StepFailed, match="its input is INT8, the recipe says UINT8"):
        annotate_input(own, InputSpec(datatype="UINT8"))


def test_data_that_comes_channels_last_gives_the_same_result():
    proto = export_brevitas(lambda: nn.Conv2d(3, 2, 3), {}, None, None, (1, 3, 5, 6))
    images = np.random.default_rng(0).random((1, 3, 5, 6), np.float32)
    results = []
    for layout, data in (("NCHW", images), ("NHWC", images.transpose(0, 2, 3, 1))):
        model = annotate_input(onnx.ModelProto.FromString(proto.SerializeToString()), InputSpec(layout=layout))
        assert model.get_tensor_layout("global_in") == list(layout)
        assert model.get_tensor_shape("global_in") == list(data.shape)
        results.append(execute_onnx(model, {"global_in": data})["global_out"])
    np.testing.assert_array_equal(*results)
    with pytest.raises(StepFailed, match="its input is NHWC, the recipe says that the data is NCHW"):
        annotate_input(model.model, InputSpec(layout="NCHW"))
