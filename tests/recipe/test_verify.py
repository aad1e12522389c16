"""The sections `verify` and `lint`: what they mean, and what is wrong with them."""

from __future__ import annotations

import pytest

from finnyaml.recipe.model import CodeRef, DataSpec, Limits, LintSettings, MetricSpec, ReferenceSpec, Verify
from tests.recipe.folder import MINIMAL, Folder

NPZ = "data: {npz: test.npz, inputs: x, labels: y}"


def verification(folder: Folder, text: str, *sets: str) -> Verify:
    recipe, warnings = folder.load(f"{MINIMAL}verify:\n  {text}\n", sets)
    assert warnings == ()
    assert recipe.verify
    return recipe.verify


def test_what_holds_where_the_recipe_is_silent(folder: Folder) -> None:
    verify = verification(folder, NPZ)
    assert verify == Verify(DataSpec("npz", folder.path / "test.npz", "x", "y"))
    assert (verify.metric, verify.reference) == (MetricSpec("top_k", 1), ReferenceSpec("source"))
    assert (verify.points, verify.on_fail, verify.limits) == (None, "stop", Limits())
    assert verification(folder, f"{NPZ}\n  points: []").points == ()


def test_forms_of_data(folder: Folder) -> None:
    (folder.path / "images/cat").mkdir(parents=True)
    path = folder.path
    code = CodeRef("data.py:load", "load", path / "data.py")
    for text, data in {
        "{inputs: x.npy, labels: y.npy}": DataSpec("npy", path / "x.npy", labels_file=path / "y.npy"),
        "{images: images, limit: 5}": DataSpec("images", path / "images", limit=5),
        "{python: 'data.py:load', args: {split: train}}": DataSpec("python", code=code, args={"split": "train"}),
    }.items():
        assert verification(folder, f"data: {text}").data == data


def test_forms_of_metrics_and_references(folder: Folder) -> None:
    for text, metric in {
        "top1": MetricSpec("top_k", 1),
        "{top_k: 5}": MetricSpec("top_k", 5),
        "psnr": MetricSpec("psnr"),
        "data.py:score": MetricSpec("python", code=CodeRef("data.py:score", "score", folder.path / "data.py")),
        "a.b:c": MetricSpec("python", code=CodeRef("a.b:c", "c", None, "a.b")),
    }.items():
        assert verification(folder, f"{NPZ}\n  metric: {text}").metric == metric
    for text, reference in {
        "source": ReferenceSpec("source"),
        "any_step": ReferenceSpec("step", "any_step"),
        "{npy: x.npy}": ReferenceSpec("file", file=folder.path / "x.npy"),
        "{npz: test.npz, outputs: x}": ReferenceSpec("file", file=folder.path / "test.npz", key="x"),
    }.items():
        assert verification(folder, f"{NPZ}\n  reference: {text}").reference == reference


def test_limits(folder: Folder) -> None:
    text = "max_drop: 0.1\n  min: 0.9\n  max: 1\n  min_agreement: 0.99\n  tolerance: {atol: 0, rtol: 0.1}"
    assert verification(folder, f"{NPZ}\n  {text}").limits == Limits(0.1, 0.9, 1, 0.99, 0, 0.1)


def test_a_recipe_that_extends(folder: Folder) -> None:
    """Sections merge, other files stay where they are, and one form of data gives way to another with null."""
    folder.write("base/recipe.yaml", "model: {onnx: ../model.onnx}\nsteps: f\n" + f"verify: {{{NPZ}, metric: mse}}\n")
    (folder.path / "test.npz").rename(folder.path / "base/test.npz")
    verify = folder.recipe("extends: base/recipe.yaml\nverify: {data: {limit: 3}, on_fail: warn}\n").verify
    data = DataSpec("npz", folder.path / "base/test.npz", "x", "y", limit=3)
    assert verify == Verify(data, MetricSpec("mse"), on_fail="warn")
    text = "extends: base/recipe.yaml\nverify: {data: {npz: null, inputs: x.npy, labels: null}}\n"
    verify = folder.recipe(text).verify
    assert verify and verify.data == DataSpec("npy", folder.path / "x.npy")
    verify = folder.recipe("extends: base/recipe.yaml\n", ["verify.metric=top1", "verify.data.limit=2"]).verify
    assert verify and (verify.metric, verify.data.limit) == (MetricSpec("top_k", 1), 2)
    assert folder.recipe("extends: base/recipe.yaml\nverify: null\n").verify is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # structure
        ("verify: ▶false\n", ["verify must be a mapping, not false"]),
        ("verify: ▶{}\n", ["verify.data is missing", "npz: digits_test.npz"]),
        ("▶metric: top1\n", ["unknown key 'metric'", "it belongs under `verify:`"]),
        ("verify: {data: ▶test.npz}\n", ["verify.data must be a mapping", "npz: digits_test.npz"]),
        ("verify: {data: ▶{}}\n", ["one of npz, inputs, images or python is missing in verify.data"]),
        ("verify: {data: {inputs: x.npy, ▶images: .}, metric: mse}\n", ["only one of", "inputs and images"]),
        ("verify: {data: {▶npz: test.npz}, metric: mse}\n", ["verify.data.npz only goes together with inputs"]),
        ("verify: {data: {python: 'data.py:load', ▶labels: y}}\n", ["labels only goes together with inputs"]),
        ("verify: {data: {inputs: x.npy, ▶args: {}}, metric: mse}\n", ["args only goes together with python"]),
        ("verify: {data: {inputs: x.npy, limit: ▶0}, metric: mse}\n", ["limit must be at least 1"]),
        (f"verify: {{{NPZ}, metric: ▶top2}}\n", ["must be top1, mse", "did you mean 'top1'?"]),
        (f"verify: {{{NPZ}, metric: ▶3}}\n", ["a mapping with `top_k` or a Python function, not the number 3"]),
        (f"verify: {{{NPZ}, metric: {{top_k: ▶0}}}}\n", ["verify.metric.top_k must be at least 1"]),
        (f"verify: {{{NPZ}, reference: ▶{{}}}}\n", ["one of npz or npy is missing in verify.reference"]),
        (f"verify: {{{NPZ}, reference: {{npy: x.npy, ▶outputs: x}}}}\n", ["only goes together with npz"]),
        (f"verify: {{{NPZ}, tolerance: ▶{{}}}}\n", ["one of atol or rtol is missing in verify.tolerance"]),
        (f"verify: {{{NPZ}, max_drop: ▶-1}}\n", ["verify.max_drop must be at least 0"]),
        (f"verify: {{{NPZ}, on_fail: ▶fail}}\n", ["must be stop, warn or defer", "not the text 'fail'"]),
        (f"verify: {{{NPZ}, points: [▶3]}}\n", ["a step id or a mapping with `after`, not the number 3"]),
        (f"verify: {{{NPZ}, points: [▶{{min: 1}}]}}\n", ["verify.points.0.after is missing"]),
        (f"verify: {{{NPZ}, points: [{{after: a, ▶max_dorp: 1}}]}}\n", ["did you mean 'max_drop'?"]),
        ("lint: {ignore: ▶no-folding}\n", ["lint.ignore must be a list"]),
        ("lint: {ignore: [▶{node: Conv_0}]}\n", ["lint.ignore.0.rule is missing"]),
        ("lint: {ignore: [▶no-foldin]}\n", ["no lint rule 'no-foldin'", "did you mean 'no-folding'?"]),
        ("lint: {ignore: [{rule: ▶x, node: a}]}\n", ["no lint rule 'x'"]),
        # files and code
        ("verify: {data: {npz: ▶tset.npz, inputs: x, labels: y}}\n", ["there is no file", "did you mean 'test.npz'?"]),
        ("verify: {data: {npz: ▶x.npy, inputs: x, labels: y}}\n", ["'x.npy' is not an .npz archive", "without `npz:`"]),
        ("verify: {data: {npz: test.npz, inputs: ▶xs, labels: y}}\n", ["no array 'xs' in 'test.npz'", "mean 'x'?"]),
        ("verify: {data: {npz: test.npz, inputs: x, labels: ▶z}}\n", ["no array 'z'", "known here: x, y"]),
        ("verify: {data: {inputs: ▶test.npz, labels: y.npy}}\n", ["'test.npz' is not an .npy file", "npz: data.npz"]),
        ("verify: {data: {inputs: x.npy, labels: ▶y}}\n", ["verify.data.labels: there is no file 'y'", "y.npy"]),
        ("verify: {data: {images: ▶nope}}\n", ["verify.data.images: there is no folder 'nope'"]),
        ("verify: {data: {images: ▶x.npy}}\n", ["'x.npy' is a file, not a folder"]),
        ("verify: {data: {python: ▶'data.py:laod'}}\n", ["defines no 'laod'", "did you mean 'load'?"]),
        ("verify: {data: {python: ▶'data.py:load', args: {spilt: a}}}\n", ["no argument 'spilt'", "'split'"]),
        (f"verify: {{{NPZ}, metric: ▶'data.py:load'}}\n", ["cannot be called with (outputs, labels, reference)"]),
        (f"verify: {{{NPZ}, metric: ▶'score.py'}}\n", ["does not name a Python function"]),
        (f"verify: {{{NPZ}, reference: {{npz: test.npz, outputs: ▶out}}}}\n", ["no array 'out'"]),
        (f"verify: {{{NPZ}, reference: {{npy: ▶out.npy}}}}\n", ["there is no file 'out.npy'"]),
        # labels
        ("verify: {data: ▶{npz: test.npz, inputs: x}}\n", ["top1 compares with labels, but the data set has none"]),
        ("verify: {data: {inputs: x.npy}, metric: ▶{top_k: 5}}\n", ["top_k 5 compares with labels", "agreement"]),
        ("verify: {data: {images: .}, metric: ▶top1}\n", ["compares with labels", "a sub-folder of its own"]),
        # limits
        (f"verify: {{{NPZ}, min_agreement: ▶98}}\n", ["a fraction from 0 to 1", "write 0.98 for 98 %"]),
        (f"verify: {{{NPZ}, max_drop: ▶1.5}}\n", ["max_drop is a fraction", "write 0.015 for 1.5 %"]),
        (f"verify: {{{NPZ}, points: [{{after: a, min: ▶98.6}}]}}\n", ["write 0.986"]),
        (f"verify: {{{NPZ}, metric: psnr, max_drop: ▶3}}\n", ["max_drop cannot hold for psnr", "min: 40"]),
        (f"verify: {{{NPZ}, metric: mse, min: ▶3, max: 2}}\n", ["no value passes: min is 3, but max is 2"]),
        (f"verify: {{{NPZ}, min: 0.5, points: [{{after: a, max: ▶0.1}}]}}\n", ["min is 0.5, but max is 0.1"]),
        # points
        (f"verify: {{{NPZ}, points: [a, b, {{after: ▶a}}]}}\n", ["two points after 'a': line 3 has one already"]),
        (f"verify: {{{NPZ}, points: [a, ▶a]}}\n", ["two points after 'a'"]),
    ],
)
def test_wrong(folder: Folder, text: str, words: list[str]) -> None:
    folder.refuses(MINIMAL + text, *words)


@pytest.mark.parametrize(
    "text",
    [
        "data: {inputs: x.npy}\n  metric: agreement",
        "data: {images: .}\n  metric: mse",
        f"{NPZ}\n  metric: mse\n  min: 5\n  max: 9\n  max_drop: 20",
        f"{NPZ}\n  min: 0.5\n  points: [{{after: a, min: 0.05, max: 0.1}}]",
        f"{NPZ}\n  points: [no_step_of_this_recipe, streamlined_python]",
        "data: {inputs: x.npy, shuffle: 1}\n  metric: mse\n  points: [{after: a, limit: 5}]",
    ],
)
def test_fine(folder: Folder, text: str) -> None:
    verification(folder, text)


@pytest.mark.parametrize(
    ("text", "words", "column"),
    [
        ("data: {inputs: x.npy, shuffle: 1}\n  metric: mse", "shuffle has no effect", 34),
        (
            "data: {inputs: x.npy, limit: 5}\n  metric: mse\n  points: [{after: a, limit: 6}]",
            "a limit of 6 has no effect: verify.data.limit takes only 5",
            30,
        ),
    ],
)
def test_warnings(folder: Folder, text: str, words: str, column: int) -> None:
    _, (warning,) = folder.load(f"{MINIMAL}verify:\n  {text}\n")
    assert warning.severity == "warning" and words in warning.message
    assert warning.where and warning.where.column == column


def test_lint_settings(folder: Folder) -> None:
    recipe = folder.recipe(
        MINIMAL + "lint: {ignore: [no-folding, {rule: float-in-dataflow, node: n}, {rule: rtl-not-possible}]}\n"
    )
    assert recipe.lint == LintSettings((("no-folding", None), ("float-in-dataflow", "n"), ("rtl-not-possible", None)))
