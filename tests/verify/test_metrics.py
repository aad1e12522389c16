"""Metrics: right on cases with known answers, the same for any batches, and no false 100 %."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from finnyaml.errors import StepFailed
from finnyaml.steps.code import forget_user_modules
from finnyaml.text import percent
from finnyaml.verify.classes import class_labels, predictions
from finnyaml.verify.metrics import Metric, make_metric, wilson

SCORES = np.array([[3, 2, 1, 0], [0, 3, 2, 1], [1, 0, 3, 2], [3, 2, 1, 0]], np.float32)
LABELS = np.array([0, 2, 0, 3])  # at the places 0, 1, 2, 3


def metric(kind: str, indices: bool = False, **params) -> Metric:
    return make_metric({"kind": kind, **params}, lambda name: name, None, indices)


def measured(kind: str, outputs, labels=None, reference=None, step: int = 3, indices: bool = False, **params) -> float:
    """The metric, fed `step` samples at a time."""
    made = metric(kind, indices, **params)
    for start in range(0, len(outputs), step):
        here = slice(start, start + step)
        made.update(*(None if part is None else part[here] for part in (outputs, labels, reference)))
    return made.value


def refused(*words: str, **arguments) -> None:
    with pytest.raises(StepFailed) as failed:
        measured(**arguments)
    for word in words:
        assert word in f"{failed.value.message} | {failed.value.hint}"


# --- classifiers


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1, 1), (4, 1, 1, 4), (4, 1, 4)])
def test_top_k_of_scores(shape):
    for k in range(1, 6):
        assert measured("top_k", SCORES.reshape(shape), LABELS, k=k) == min(k, 4) / 4
        assert measured("top_k", SCORES.reshape(shape), LABELS[:, np.newaxis], k=k, step=1) == min(k, 4) / 4


def test_top_k_of_class_indices():
    best = np.argsort(-SCORES, axis=1)
    for k in (1, 2, 3):
        for answer in (best[:, :k], best[:, :k].reshape(4, 1, 1, k)):
            assert measured("top_k", answer, LABELS, k=k) == k / 4
            assert measured("top_k", answer.astype(np.float32), LABELS, k=k, indices=True) == k / 4
            assert measured("top_k", answer, LABELS, k=1) == 1 / 4
    for answer in (best[:, 0], best[:, :1], best[:, :1].astype(np.float32), best[:, 0].reshape(4, 1, 1, 1)):
        assert measured("top_k", answer, LABELS, k=1) == 1 / 4
    # Fewer indices than k: what is not listed is not among the k best.
    assert measured("top_k", best[:, :1], LABELS, k=5) == 1 / 4


def test_ties_are_broken_as_by_topk_itself():
    """Against ONNX' TopK, which FINN takes for its LabelSelect."""
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 3, (50, 6)).astype(np.float32)
    node = helper.make_node("TopK", ["x", "k"], ["v", "i"])
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [50, 6])]
    outputs = [helper.make_tensor_value_info("i", TensorProto.INT64, [50, 3])]
    constant = helper.make_tensor("k", TensorProto.INT64, [1], [3])
    graph = helper.make_graph([node], "g", inputs, outputs, [constant])
    model = ModelWrapper(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10))
    best = execute_onnx(model.transform(InferShapes()), {"x": scores})["i"]
    assert (predictions(scores) == best[:, 0]).all()
    assert (predictions(best) == best[:, 0]).all()
    labels = rng.integers(0, 6, 50)
    for k in (1, 2, 3):
        assert measured("top_k", scores, labels, k=k, step=7) == measured("top_k", best[:, :k], labels, k=k, step=50)


def test_what_is_not_a_number_is_never_right():
    scores = SCORES.copy()
    scores[0] = np.nan
    assert measured("top_k", scores, LABELS, k=4) == 3 / 4
    assert predictions(scores).tolist() == [-1, 1, 2, 0]
    assert measured("agreement", scores, None, scores) == 3 / 4


def test_agreement_compares_predictions():
    others = SCORES[:, ::-1].copy()
    others[0] = SCORES[0] * 100
    assert measured("agreement", SCORES, None, others) == 1 / 4
    assert measured("agreement", SCORES, None, np.argmax(SCORES, 1)[:, np.newaxis]) == 1
    assert measured("agreement", np.argmax(SCORES, 1).astype(np.float32), None, SCORES) == 1


def test_labels_as_they_should_not_be():
    top1 = {"kind": "top_k", "k": 1, "outputs": SCORES}
    refused("one-hot", "labels.argmax(axis=1)", labels=np.eye(4)[LABELS], **top1)
    refused("shape [3, 2]", "[n]", labels=np.ones((4, 2), int), **top1)
    refused("float64, not integers", "astype(numpy.int64)", labels=LABELS.astype(float), **top1)
    refused("bool, not integers", labels=LABELS > 0, **top1)
    refused("label 4, but the model has only 4 classes", "count from 0", labels=LABELS + 1, **{**top1, "step": 4})
    refused("label 9, but the model has only 4 classes", labels=LABELS + 6, **{**top1, "step": 4})
    refused("negative label, -1", labels=LABELS - 1, **top1)
    refused("top1 compares with labels, but there are none", "agreement", **top1)
    assert class_labels(np.array([[1], [2]], np.uint8)).tolist() == [1, 2]


def test_outputs_that_are_no_classes():
    refused("[3, 2, 2] are neither", "psnr", kind="top_k", k=1, outputs=np.ones((4, 2, 2)), labels=LABELS)
    refused("0.5, which is not a class index", kind="agreement", outputs=np.full(4, 0.5), reference=np.ones(4))
    refused("nan, which is no", kind="agreement", outputs=np.full(4, np.nan), reference=np.ones(4))


# --- regression


def test_errors_against_the_reference():
    reference = np.array([0, 10, 4, 6], np.float32).reshape(2, 2)
    outputs = reference + np.array([[1, -3], [0, 0]], np.float32)
    for step in (1, 2):
        assert measured("mse", outputs, None, reference, step) == 2.5
        assert measured("max_abs", outputs, None, reference, step) == 3
        assert measured("psnr", outputs, None, reference, step) == pytest.approx(10 * math.log10(100 / 2.5))
        assert measured("mse", reference, None, reference, step) == measured("max_abs", reference, None, reference) == 0
        assert measured("psnr", reference, None, reference, step) == math.inf
    assert measured("psnr", outputs, None, np.ones((2, 2))) == -math.inf
    assert measured("mse", np.array([[250]], np.uint8), None, np.array([[255]], np.uint8)) == 25, "no wrapping around"


@pytest.mark.parametrize("kind", ["mse", "psnr", "max_abs"])
def test_what_is_not_a_number_is_no_small_error(kind):
    outputs = np.array([[1.0], [np.nan], [1.0]])
    assert math.isnan(measured(kind, outputs, None, np.array([[1.0], [2.0], [3.0]]), step=1))


def test_shapes_must_be_the_same():
    assert measured("mse", np.ones((2, 3, 1, 1)), None, np.ones((2, 3))) == 0
    refused("[2, 3, 2]", "[2, 2, 3]", kind="mse", outputs=np.ones((2, 3, 2)), reference=np.ones((2, 2, 3)))
    refused("max_abs compares with reference, but there are none", kind="max_abs", outputs=np.ones(2))


# --- functions of the user's


@pytest.fixture
def own(tmp_path):
    def made(body: str) -> dict:
        file = tmp_path / "metric.py"
        file.write_text(body)
        code = {"text": "metric.py:score", "function": "score", "file": file, "module": None}
        return {"kind": "python", "code": code}

    yield made
    forget_user_modules()


def test_a_function_gets_whole_arrays(own):
    body = "def score(outputs, labels, reference): return (outputs.shape[0] + labels.sum()) * (reference is None)"
    assert measured(outputs=SCORES, labels=LABELS, step=3, **own(body)) == 9
    made = metric(**own(body))
    assert (made.name, made.higher_is_better, made.needs_labels, made.needs_reference) == ("score", True, False, False)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ("def score(outputs, labels, reference): return None", "the metric score failed"),
        ("def score(outputs, labels, reference): return outputs", "returns one number"),
        ("def score(outputs, labels, reference): raise KeyError('x')", "metric.py:1: KeyError"),
        ("def score(outputs): return 1", "it gets (outputs, labels, reference)"),
        ("def other(): ...", "no 'score' in it"),
    ],
)
def test_wrong_functions(own, body, word):
    refused(word, outputs=SCORES, **own(body))


# --- what all have in common

KINDS = {
    "top_k": ("top3", True, True, False, "75.0 %"),
    "agreement": ("agreement", True, False, True, "75.0 %"),
    "mse": ("mse", False, False, True, "0.75"),
    "psnr": ("psnr", True, False, True, "0.8 dB"),
    "max_abs": ("max_abs", False, False, True, "0.75"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_metric_says_of_itself(kind):
    made = metric(kind, k=3)
    assert (
        made.name,
        made.higher_is_better,
        made.needs_labels,
        made.needs_reference,
        made.shown(0.75),
    ) == KINDS[kind]


@settings(max_examples=30, deadline=None)
@given(
    outputs=hnp.arrays(np.float32, (12, 3), elements=st.floats(-8, 8, width=16)),
    labels=hnp.arrays(np.int64, 12, elements=st.integers(0, 2)),
    step=st.integers(1, 12),
)
def test_batches_do_not_matter(outputs, labels, step):
    reference = outputs[::-1].copy()
    for kind in KINDS:
        whole = measured(kind, outputs, labels, reference, 12, k=2)
        assert measured(kind, outputs, labels, reference, step, k=2) == pytest.approx(whole)


def test_fractions_are_not_rounded_to_all_or_nothing():
    shown = {1.0: "100.0 %", 0.9999: "99.9 %", 0.986: "98.6 %", 0.0001: "0.1 %", 0.0: "0.0 %"}
    assert {value: percent(value) for value in shown} == shown
    assert metric("psnr").shown(math.inf) == "infinite"
    assert metric("psnr").shown(-math.inf) == "-inf dB"


def test_wilson():
    # 493 of 500, by hand: p = 0.986, z^2 = 3.8416
    assert wilson(493, 500) == pytest.approx((0.97140, 0.99320), abs=1e-4)
    assert wilson(0, 10)[0] == 0 and wilson(10, 10)[1] == 1
    assert wilson(10, 10)[0] == pytest.approx(10 / (10 + 1.96**2))
