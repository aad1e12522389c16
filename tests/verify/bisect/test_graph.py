"""Layers in words, on the real graphs of a build."""

import pytest

from finnyaml.graph.layers import Graph
from finnyaml.verify.executor import BatchedModel


def words_of(model, op_types):
    graph = Graph(BatchedModel(model, taps="all").model)
    return [graph.words(node.output[0]) for node in graph.nodes if node.op_type in op_types]


PRODUCTS = [
    "product of the first convolution",
    "product of the second convolution",
    "product of the third convolution",
    "product of the first dense layer",
    "product of the second dense layer",
]


@pytest.mark.parametrize("stage", ["tidy", "lowered", "hardware", "partition"])
def test_products_have_the_same_words_at_every_stage(stage, request):
    assert words_of(request.getfixturevalue(stage), ("Conv", "MatMul", "MVAU")) == PRODUCTS


@pytest.mark.parametrize(("stage", "op_type"), [("tidy", "MultiThreshold"), ("hardware", "Thresholding")])
def test_activations_too(stage, op_type, request):
    assert words_of(request.getfixturevalue(stage), (op_type,)) == [
        "activation before the first layer",
        "activation of the first convolution",
        "activation of the second convolution",
        "activation of the third convolution",
        "activation of the first dense layer",
    ]


def test_pooling_and_the_output(tidy):
    assert words_of(tidy, ("MaxPool",)) == ["pooled activation after the second convolution"]
    graph = Graph(tidy)
    assert graph.words(graph.outputs[0]) == "output of the network (TopK)"
    assert graph.words(graph.inputs[0]) == "input of the network"


def test_channels_are_found_in_both_layouts(tidy, lowered):
    for model, op_type, axis in ((tidy, "Conv", 1), (lowered, "MatMul", 3)):
        graph = Graph(model)
        node = next(node for node in graph.nodes if node.op_type == op_type)
        assert graph.channel_axis(node.output[0], graph.shape(node.output[0])) == axis
