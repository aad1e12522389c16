"""A complete recipe, as values."""

from __future__ import annotations

import json
import subprocess
import sys

from finnyaml.errors import Where
from finnyaml.recipe.model import (
    CodeRef,
    DataSpec,
    InputSpec,
    Limits,
    LintSettings,
    MetricSpec,
    PointEntry,
    ReferenceSpec,
    Resources,
    StepEntry,
    Trust,
    Verify,
)
from tests.recipe.folder import MINIMAL, Folder

COMPLETE = """\
name: digits
description: the whole syntax
vars: {bits: 1, pth: weights.pth, opset: 18}
env: [DATA_ROOT]
model:
  brevitas: model.py:digits_cnv
  args: {act_bits: "${bits}"}
  weights: ${pth}
  weights_key: state_dict
  export: {dynamo: false, opset_version: "${opset}"}
  input: {shape: [1, 1, 14, 14], datatype: UINT8, layout: NCHW}
preprocess:
  - to_tensor
  - normalize: {mean: 0.5, std: [0.5]}
  - brevitas: model.py:digits_cnv
    args: {act_bits: 2}
  - onnx: model.onnx
postprocess:
  - top_k: 1
steps:
  - {uses: qonnx_to_finn, resources: {cpus: 4, memory: 16G, time: 1.5h}}
  - step_tidy_up
  - {uses: streamline, id: lean, needs: tidy_up, with: {folding: {file: fold.json}}, timeout: 600, tools: [vivado]}
  - {uses: "custom.py:tweak", needs: [lean, tidy_up], with: {alpha: 2}, always: true, pure: false}
  - my_package.steps:finish
folding:
  target_fps: 2000
  mvau_wwidth_max: 160
  two_pass_relaxation: true
  defaults: {ram_style: [auto, [all], block, all]}
specialize: {defaults: {MVAU: rtl}, nodes: {MVAU_0: hls}}
fifo: {strategy: distributed_sim, depths: {F_0: 32, F_1: {depth: 2, impl_style: rtl}}, large_mem_style: auto}
target: {board: ZCU102, part: xczu9eg-ffvb1156-2-e, clock_ns: 20.0, hls_clock_ns: 20, shell: vivado_zynq}
outputs: [estimate_reports]
finn: {standalone_thresholds: true}
targets: {lean: lean, all: finish}
verify:
  data: {npz: test.npz, inputs: x, labels: y, limit: 500, shuffle: 0}
  metric: {top_k: 5}
  reference: {npz: test.npz, outputs: y}
  max_drop: 0.01
  points:
    - tidy_up
    - {after: lean, max_drop: 0.005, tolerance: {atol: 0.1}, on_fail: warn, limit: 200}
  on_fail: defer
lint: {ignore: [no-folding, {rule: padding-cannot-be-represented, node: Conv_0}]}
output: results/here
"""


def test_everything(folder: Folder) -> None:
    fold = folder.write("fold.json", '{"Defaults": {"ram_style": ["auto", ["all"]]}, "MVAU_hls_0": {"PE": 2}}')
    recipe, warnings = folder.load(COMPLETE)
    assert warnings == ()
    model = folder.path / "model.py"
    assert recipe.name == "digits"
    assert recipe.model.brevitas == CodeRef("model.py:digits_cnv", "digits_cnv", model)
    assert recipe.model.args == {"act_bits": 1}
    assert recipe.model.weights == folder.path / "weights.pth"
    assert recipe.model.export == {"dynamo": False, "opset_version": 18}
    assert recipe.model.input == InputSpec((1, 1, 14, 14), "UINT8", "NCHW")
    assert [stage.kind for stage in recipe.preprocess] == ["to_tensor", "normalize", "brevitas", "onnx"]
    assert recipe.preprocess[1].options == {"mean": 0.5, "std": [0.5]}
    assert recipe.preprocess[2].options == {"args": {"act_bits": 2}}
    assert recipe.preprocess[3].file == folder.path / "model.onnx"
    assert recipe.postprocess[0].options == {"k": 1}
    assert recipe.steps.flow is None
    assert recipe.steps.entries == (
        StepEntry("qonnx_to_finn", ("steps", 0), resources=Resources(4, 16 * 1024, 90)),
        StepEntry("step_tidy_up", ("steps", 1)),
        StepEntry(
            "streamline",
            ("steps", 2),
            "lean",
            ("tidy_up",),
            {"folding": {"file": fold}},
            timeout=600,
            tools=("vivado",),
        ),
        StepEntry(
            "custom.py:tweak",
            ("steps", 3),
            None,
            ("lean", "tidy_up"),
            {"alpha": 2},
            CodeRef("custom.py:tweak", "tweak", folder.path / "custom.py"),
            trust=Trust(always=True, pure=False),
        ),
        StepEntry(
            "my_package.steps:finish",
            ("steps", 4),
            code=CodeRef("my_package.steps:finish", "finish", None, "my_package.steps"),
        ),
    )
    assert recipe.settings.target["clock_ns"] == 20.0
    assert recipe.settings.outputs == ("estimate_reports",)
    assert recipe.targets == {"lean": "lean", "all": "finish"}
    assert recipe.verify == Verify(
        data=DataSpec("npz", folder.path / "test.npz", "x", "y", limit=500, shuffle=0),
        metric=MetricSpec("top_k", 5),
        reference=ReferenceSpec("file", file=folder.path / "test.npz", key="y"),
        limits=Limits(max_drop=0.01),
        points=(
            PointEntry("tidy_up", ("verify", "points", 0)),
            PointEntry("lean", ("verify", "points", 1), Limits(max_drop=0.005, atol=0.1), "warn", 200),
        ),
        on_fail="defer",
    )
    assert recipe.lint == LintSettings((("no-folding", None), ("padding-cannot-be-represented", "Conv_0")))
    assert recipe.workspace == folder.path / "results/here"
    assert recipe.env == {}
    assert json.loads(json.dumps(recipe.resolved)) == recipe.resolved


def test_every_value_has_its_position(folder: Folder) -> None:
    folder.write("fold.json", "{}")
    recipe = folder.recipe(COMPLETE)
    place = recipe.path
    assert recipe.at(("folding", "target_fps")) == Where(place, 27, 15)
    assert recipe.at(("folding",)) == Where(place, 26, 1), "a block mapping: its key"
    assert recipe.at(("steps", 2, "with")) == Where(place, 23, 56)
    assert recipe.at(("steps", 2, "nothing", "there")) == Where(place, 23, 5), "the nearest ancestor"
    assert recipe.at(("model", "args", "act_bits")) == Where(place, 3, 14), "a variable: where it was written"

    def pointers(value: object, pointer: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return [pointer, *(found for key, item in items for found in pointers(item, (*pointer, key)))]

    assert set(recipe.positions) == set(pointers(recipe.resolved))


def test_defaults(folder: Folder) -> None:
    recipe, warnings = folder.load(MINIMAL)
    assert warnings == ()
    assert recipe.name == "accelerator"
    assert recipe.description == ""
    assert recipe.workspace == folder.path / "build"
    assert recipe.settings.outputs is None
    assert recipe.steps.flow == "estimate_only"
    assert recipe.targets == {}
    assert recipe.verify is None
    assert recipe.lint == LintSettings()
    assert recipe.files == (recipe.path,)


def test_name_of_an_odd_folder(folder: Folder) -> None:
    folder.write("my été net/model.onnx", "")
    odd = Folder(folder.path / "my été net")
    assert odd.recipe(MINIMAL).name == "my-t-net"


def test_edits_of_a_flow(folder: Folder) -> None:
    recipe = folder.recipe(
        "model: {onnx: model.onnx}\nsteps:\n  flow: estimate_only\n"
        "  insert:\n    - {after: tidy_up, steps: [a, {uses: b, id: c}]}\n    - {before: streamline, steps: d}\n"
        "  replace: [{step: streamline, by: custom.py:tweak}]\n  remove: [minimize_bit_width_initial]\n"
    )
    edits = recipe.steps.edits
    assert [(edit.op, edit.anchor) for edit in edits] == [
        ("insert_after", "tidy_up"),
        ("insert_before", "streamline"),
        ("replace", "streamline"),
        ("remove", "minimize_bit_width_initial"),
    ]
    assert [entry.uses for edit in edits for entry in edit.entries] == ["a", "b", "d", "custom.py:tweak"]
    for edit in edits:
        where = recipe.at(edit.pointer)
        assert where and edit.pointer in recipe.positions
        assert recipe.path.read_text().splitlines()[where.line - 1][where.column - 1 :].startswith(edit.anchor)
        assert all(entry.pointer in recipe.positions for entry in edit.entries)


def test_a_valid_recipe_needs_no_heavy_imports(folder: Folder) -> None:
    path = folder.write("recipe.yaml", MINIMAL)
    program = (
        "import sys; from pathlib import Path; from finnyaml.recipe.load import load_recipe;"
        f"load_recipe(Path({str(path)!r}));"
        "print([name for name in ('finn', 'torch', 'onnx', 'networkx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
