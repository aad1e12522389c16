"""Loss on a real network: FINN's own fault, faults put in on purpose, and no alarm without a fault."""

from __future__ import annotations

import pytest
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.transformation.infer_datatypes import InferDataTypes
from qonnx.transformation.infer_shapes import InferShapes

from finnyaml.errors import StepFailed
from finnyaml.verify.bisect.match import first_difference
from finnyaml.verify.bisect.result import Samples, sentences, to_json
from finnyaml.verify.bisect.run import Tapped
from finnyaml.verify.bisect.within import find_loss
from finnyaml.verify.classes import predictions
from finnyaml.verify.executor import BatchedModel, whole_model
from tests.verify.bisect import faults


def step_with(*transformations):
    """A made-up step: sound transformations around the given ones."""

    def run(model):
        around = (GiveUniqueNodeNames(), InferShapes()), (InferDataTypes(), GiveReadableTensorNames(), InferShapes())
        for transformation in (*around[0], *transformations, *around[1]):
            model = model.transform(transformation)
        return model

    return run


def against_itself(model, inputs) -> Samples:
    """The predictions of the model itself as the reference: any change counts."""
    batched = BatchedModel(model)
    return Samples(inputs, reference=predictions(batched.run(inputs)[batched.outputs[0]]))


@pytest.fixture(scope="module")
def found_in(lowered, digits):
    """Find what a step made of faults does to the lowered network."""
    data = against_itself(lowered, digits.inputs)
    return lambda *transformations: find_loss(lowered, step_with(*transformations), data, tolerance=0.0, step="made_up")


@pytest.fixture(scope="module")
def story(tidy, steps, digits):
    """What is found of digits-cnv as it is."""
    return find_loss(tidy, steps("streamline"), digits, tolerance=0.005, step="streamline")


def test_the_story_of_digits_cnv(story):
    found = story
    assert found.before > 0.97 and found.after < 0.9
    assert found.states > 100 and found.evaluated < 15
    assert found.transformation.path == "ConvertBipolarMatMulToXnorPopcount"
    assert found.transformation.origin == "LowerConvsToMatMul"
    assert found.further == ()
    tensor = found.tensor
    assert tensor.layer == "product of the second convolution"
    assert (tensor.op_type, tensor.shape) == ("XnorPopcountMatMul", (1, 20, 20, 16))
    assert (tensor.where.kind, tensor.where.width) == ("border", 4)
    assert 0.5 < tensor.fraction < 0.64  # 256 of 400 pixels
    assert found.cause.id == "padding-cannot-be-represented" and "represent_padding" in found.cause.remedy
    said = "\n".join(sentences(found))
    for words in ("falls in streamline", "the second convolution", "outer 4 pixels", "remedy:", "of the 13"):
        assert words in said
    data = to_json(found)
    assert data["tensor"]["where"]["width"] == 4 and "picture" not in data
    assert found.picture.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("fault", "node", "kind", "channels", "words"),
    [
        (faults.ShiftThreshold, "MultiThreshold_2", "channels", (3,), "activation of the second convolution"),
        (faults.SwapChannels, "MatMul_1", "channels", (1, 4), "product of the second convolution"),
        (faults.ClipAccumulator, "Clip_0", "saturated", (), "after the first dense layer"),
        (faults.ChangePadValue, "MatMul_1", "border", (), "product of the second convolution"),
    ],
)
def test_a_fault_is_found_where_it_was_put(found_in, fault, node, kind, channels, words):
    found = found_in(fault())
    assert found.after < found.before == 1.0
    assert (found.transformation.name, found.transformation.path) == (fault.__name__, fault.__name__)
    assert found.tensor.node == node
    assert found.tensor.where.kind == kind
    if kind == "channels":
        assert found.tensor.where.channels == channels
    assert words in found.tensor.layer
    assert found.metric == "agreement with the reference"


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (faults.RoundThresholdsDown, "thresholds-rounded"),
        (faults.NarrowThresholds, "threshold-datatype-too-narrow"),
        (faults.ClipAccumulator, "value-outside-range"),
        (faults.SwapAndAnnotate, "node-changed"),
        (faults.ShiftThreshold, "node-changed"),
        (faults.SwapChannels, "node-changed"),
    ],
)
def test_a_cause_is_named_where_it_is_known_and_only_there(found_in, fault, cause):
    found = found_in(fault())
    assert found.transformation.name == fault.__name__
    assert (found.cause.id if found.cause else None) == cause


@pytest.mark.parametrize(
    ("fault", "node", "words"),
    [
        (faults.ShiftThreshold, "MultiThreshold_2", "MultiThreshold_2: threshold [3, 0] moved by +40"),
        (faults.SwapChannels, "MatMul_1", "MatMul_1: weight columns 1 and 4 exchanged"),
        (
            faults.SwapAndAnnotate,
            "MatMul_1",
            "MatMul_1: weight columns 1 and 4 exchanged, datatype of the output INT32 -> INT4",
        ),
        (faults.ChangePadValue, "MatMul_1", "Im2Col_1: pad_value (not set) -> 1"),
        (faults.ShiftPadding, "MatMul_1", "Im2Col_1: pad_amount [4, 4, 4, 4] -> [3, 4, 5, 4]"),
        (faults.ShiftOutputs, "MultiThreshold_2", "MultiThreshold_2: out_bias -1 -> 0"),
    ],
)
def test_what_is_different_of_a_node_is_told(found_in, fault, node, words):
    """ShiftOutputs: with another offset, values count as right until the thresholds behind them."""
    found = found_in(fault())
    assert found.tensor.node == node
    assert found.cause.text.startswith(words)


@pytest.mark.parametrize("by", [1.004, 1 + 1e-4, -1.0])
def test_a_wrong_scale_of_the_output_alone_is_found(hardware, digits, by):
    model = without_label_select(hardware)
    found = find_loss(
        model.transform(faults.AppendScale(1.0)),
        lambda model: model.transform(faults.ScaleLast(by)),
        Samples(digits.inputs[:50]),
        tolerance=0.0,
        step="made_up",
    )
    assert found.transformation.name == "ScaleLast"
    assert found.tensor.node == "Mul_9"
    assert found.cause.text.startswith("Mul_9: final scale ")


def test_a_node_that_is_gone_is_told(hardware, digits):
    """Without it the output is a tensor that was right: but it was not the output."""
    model = without_label_select(hardware).transform(faults.AppendScale(0.25))

    class DropLast(faults._Once):
        def change(self, model):
            last = model.get_node_from_name("Mul_9")
            model.find_producer(last.input[0]).output[0] = model.graph.output[0].name
            model.graph.node.remove(last)

    data = Samples(digits.inputs[:20])
    found = find_loss(model, lambda model: model.transform(DropLast()), data, tolerance=0.0, step="made_up")
    assert found.tensor.node == hardware.get_nodes_by_op_type("MVAU")[-1].name
    assert found.cause.text.endswith(": Mul_9 (Mul) behind it is gone")


def test_outputs_that_change_are_found_although_accuracy_rises(lowered, digits):
    """Labels are what the faulty network answers, so that the fault seems to be an improvement."""
    step = step_with(faults.SwapChannels())
    answers = against_itself(step(ModelWrapper(lowered.model, make_deepcopy=True)), digits.inputs).reference
    data = Samples(digits.inputs, labels=answers)
    silent = find_loss(lowered, step, data, tolerance=0.0, step="made_up")
    assert (silent.after, silent.transformation) == (1.0, None)
    found = find_loss(lowered, step, data, tolerance=0.0, step="made_up", changed=0.05)
    assert (found.transformation.name, found.tensor.node) == ("SwapChannels", "MatMul_1")
    assert found.metric.startswith("the fraction of samples with unchanged ")


def test_scores_that_change_are_found_although_no_prediction_does(hardware, digits):
    """Scores of a class that is far from the highest for all samples."""
    scores = without_label_select(hardware).graph.output[0].name
    (label,) = hardware.get_nodes_by_op_type("LabelSelect")
    last = hardware.find_producer(scores)
    assert label.input[0] == scores

    class Turn(faults._Once):
        def __init__(self, classes):
            super().__init__()
            self.classes = classes

        def change(self, model):
            node = model.get_node_from_name(last.name)
            weights = model.get_initializer(node.input[1]).copy()
            weights[0, self.classes] *= -1
            model.set_initializer(node.input[1], weights)

    def search(classes):
        data = Samples(digits.inputs[digits.labels < 2][:20], indices=True)
        run = step_with(Turn(classes))
        return find_loss(hardware, run, data, tolerance=0.0, step="made_up", changed=0.0)

    found = search([5])
    assert found.metric == "the fraction of samples with unchanged scores"
    assert (found.transformation.name, found.tensor.node) == ("Turn", last.name)
    assert "weight [0, 5] changed sign" in found.cause.text
    assert search([]).transformation is None


def without_label_select(model):
    """The hardware graph with the scores as its output."""
    model = ModelWrapper(model.model, make_deepcopy=True)
    (last,) = model.get_nodes_by_op_type("LabelSelect")
    scores = model.get_tensor_valueinfo(last.input[0])
    model.graph.value_info.remove(scores)
    model.graph.output[0].CopyFrom(scores)
    model.graph.node.remove(last)
    return model


@pytest.mark.parametrize(
    ("fault", "prepare", "node", "cause"),
    [
        (faults.ScaleClasses, lambda model: model, "LabelSelect_0", "float-in-dataflow"),
        (faults.ScaleOutput, without_label_select, "Mul_9", "scale-outside-partition"),
    ],
)
def test_floats_beside_hardware_layers_are_a_cause(hardware, digits, fault, prepare, node, cause):
    model = prepare(hardware)
    data = against_itself(model, digits.inputs)
    found = find_loss(model, lambda model: model.transform(fault()), data, tolerance=0.0, step="made_up")
    assert found.transformation.name == fault.__name__
    assert (found.tensor.node, found.cause.id) == (node, cause)
    assert "Mul_9" in found.cause.text


def test_the_path_leads_into_nested_transformations(found_in):
    inner = faults.Nested(GiveUniqueNodeNames(), faults.SwapChannels(), GiveReadableTensorNames())
    found = found_in(faults.Nested(InferShapes(), inner))
    assert found.transformation.path == "Nested/Nested/SwapChannels"
    assert found.tensor.node == "MatMul_1"


def test_states_that_do_not_execute_are_left_out_and_told(found_in):
    found = found_in(faults.Nested(faults.Cut(), faults.SwapChannels(), faults.Mend()))
    reason = "KeyError: 'cut'"
    assert [(item.path, item.reason) for item in found.skipped] == [
        ("Nested/Cut", reason),
        ("Nested/SwapChannels", reason),
    ]
    assert found.transformation.path == "Nested"  # any of the three
    assert found.tensor.node == "MatMul_1"
    assert "not execute" in sentences(found)[-1]


def test_transformations_that_cannot_be_told_apart_are_all_named(found_in):
    found = found_in(faults.Cut(), faults.SwapChannels(), faults.Mend())
    assert (found.transformation.name, found.transformation.others) == ("Cut", ("SwapChannels", "Mend"))
    assert "Cut, or SwapChannels or Mend" in sentences(found)[1]


def test_the_larger_of_two_faults_is_told_first(found_in):
    alone = {fault: found_in(fault()) for fault in (faults.SwapChannels, faults.ScaleClasses)}
    assert alone[faults.ScaleClasses].after < alone[faults.SwapChannels].after
    found = found_in(faults.SwapChannels(), GiveReadableTensorNames(), faults.ScaleClasses())
    assert found.transformation.name == "ScaleClasses"
    assert [item.name for item in found.further] == ["SwapChannels"]
    assert any("SwapChannels" in line for line in sentences(found))


def test_a_step_without_a_fault_is_not_blamed(found_in):
    found = found_in()
    assert (found.before, found.after, found.transformation, found.tensor) == (1.0, 1.0, None, None)
    assert "does not fall" in sentences(found)[0]
    assert to_json(found)["transformation"] is None


def test_the_child_of_a_partition_is_measured_in_its_parent(partition, parent, digits):
    class LoseWeights(faults._Once):
        def change(self, model):
            node = model.get_nodes_by_op_type("MVAU")[3]
            weights = model.get_initializer(node.input[1]).copy()
            weights[:, 5] = 0
            model.set_initializer(node.input[1], weights)

    def complete(model):
        return whole_model(model, parent)

    data = against_itself(complete(partition), digits.inputs)
    found = find_loss(partition, step_with(LoseWeights()), data, tolerance=0.0, step="made_up", complete=complete)
    assert found.transformation.name == "LoseWeights"
    assert found.tensor.node == "MVAU_3"
    assert found.tensor.layer == "product of the first dense layer"
    assert found.tensor.where.channels == (5,)


def test_a_step_whose_output_does_not_execute_says_why(lowered, digits):
    with pytest.raises(StepFailed, match="the model after made_up does not execute"):
        find_loss(lowered, lambda model: model.transform(faults.Cut()), digits, tolerance=0.0, step="made_up")


def test_no_false_alarm_on_pairs_that_are_equal(tidy, lowered, steps, hardware, partition, parent, digits):
    """However differently they compute: names, layouts, scales and operators change a lot between them."""
    samples = digits.inputs[:16]
    after = {"streamlined": steps("streamline")(tidy), "hardware": hardware, "whole": whole_model(partition, parent)}
    runs = {name: Tapped(model).run(samples) for name, model in {"tidy": tidy, "lowered": lowered, **after}.items()}
    for before, behind in (("tidy", "lowered"), ("streamlined", "hardware"), ("hardware", "whole")):
        assert first_difference(runs[before], runs[behind]) is None, (before, behind)
    assert first_difference(runs["tidy"], runs["whole"]) is not None  # the same means do see FINN's fault


def test_the_model_before_is_not_changed(lowered, digits):
    content = lowered.model.SerializeToString(deterministic=True)
    data = against_itself(lowered, digits.inputs[:50])
    find_loss(lowered, step_with(faults.SwapChannels()), data, tolerance=0.0, step="made_up")
    assert lowered.model.SerializeToString(deterministic=True) == content


def test_with_inputs_alone_what_counts_is_whether_outputs_change(lowered, digits):
    found = find_loss(lowered, step_with(faults.SwapChannels()), Samples(digits.inputs), tolerance=0.0, step="made_up")
    assert (found.metric, found.before) == ("the fraction of samples with unchanged outputs", 1.0)
    assert found.after < 1.0
    assert found.transformation.name == "SwapChannels"
