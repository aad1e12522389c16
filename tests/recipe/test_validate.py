"""Structural errors: the place, and words that help."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finnyaml.recipe.document import parse
from finnyaml.recipe.schema import strict_schema
from finnyaml.recipe.validate import structure
from tests.recipe.folder import MINIMAL, Folder

BREVITAS = "model: {brevitas: model.py:digits_cnv, input: {shape: [1, 1, 14, 14]}}\nsteps: estimate_only\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # unknown keys
        ("▶foldin: {}\n", ["unknown key 'foldin'", "did you mean 'folding'?"]),
        ("▶FIFO: {}\n", ["unknown key 'FIFO'", "did you mean 'fifo'?"]),
        ("▶standalone_thresholds: true\n", ["unknown key", "`finn: {standalone_thresholds: ...}`"]),
        ("▶synth_clk_period_ns: 5.0\n", ["is FINN's word", "write `target: {clock_ns: ...}`"]),
        ("▶folding_config_file: a.json\n", ["is FINN's word", "write `folding: {file: ...}`"]),
        ("▶output_dir: out\n", ["is FINN's word", "write `output:`"]),
        ("folding:\n  ▶targt_fps: 2000\n", ["unknown key 'targt_fps' in folding", "did you mean 'target_fps'?"]),
        ("folding:\n  ▶target-fps: 2000\n", ["unknown key 'target-fps'", "did you mean 'target_fps'?"]),
        ("▶board: ZCU102\n", ["unknown key 'board'", "it belongs under `target:`"]),
        ("▶target_fps: 3\n", ["it belongs under `folding:`"]),
        ("target: {▶bord: ZCU102}\n", ["unknown key 'bord' in target", "did you mean 'board'?"]),
        ("fifo: {▶xyz: 1}\n", ["unknown key 'xyz' in fifo", "known here: auto, depths, file"]),
        # wrong types
        ("folding: {target_fps: ▶fast}\n", ["folding.target_fps must be a whole number, not the text 'fast'"]),
        ("folding: {target_fps: ▶1_000}\n", ["the text '1_000'", "write 1000"]),
        ("folding: {target_fps: ▶'20'}\n", ["the text '20'", "write 20"]),
        ("folding: {target_fps: ▶2.0}\n", ["must be a whole number, not the number 2.0"]),
        ("folding: {target_fps: ▶true}\n", ["must be a whole number, not true"]),
        ("folding: {two_pass_relaxation: ▶yes}\n", ["must be true or false, not the text 'yes'", "write true"]),
        ("folding: {two_pass_relaxation: ▶1}\n", ["must be true or false, not the number 1"]),
        ("▶folding:\n  - 1\n", ["folding must be a mapping, not a list", "for example `folding: {target_fps: 2000}`"]),
        ("folding: ▶3\n", ["folding must be a mapping, not the number 3"]),
        ("name: ▶[a]\n", ["name must be text, not a list"]),
        ("outputs: ▶bitfile\n", ["outputs must be a list, not the text 'bitfile'", "[estimate_reports]"]),
        ("preprocess:▶\n", ["preprocess must be a list, not empty", "remove the key"]),
        ("target: {clock_ns: ▶5ns}\n", ["target.clock_ns must be a number"]),
        ("env: ▶3\n", ["env must be a list of names or a mapping of names to defaults, not the number 3"]),
        ("env: {A: ▶3}\n", ["env.A must be text or empty"]),
        ("fifo: {depths: {F: ▶x}}\n", ["must be a depth or a mapping of attributes, not the text 'x'"]),
        ("folding: {nodes: {M: ▶2}}\n", ["folding.nodes.M must be a mapping or null, not the number 2"]),
        # values
        ("folding: {target_fps: ▶0}\n", ["folding.target_fps must be at least 1, not 0"]),
        ("target: {clock_ns: ▶0}\n", ["target.clock_ns must be greater than 0, not 0"]),
        ("folding: {nodes: {MVAU_hls_0: {PE: ▶0}}}\n", ["folding.nodes.MVAU_hls_0.PE must be at least 1"]),
        ("folding: {nodes: {MVAU_hls_0: {SIMD: ▶1.5}}}\n", ["MVAU_hls_0.SIMD must be a whole number"]),
        ("folding: {nodes: {M: {runtime_writeable_weights: ▶2}}}\n", ["must be 0 or 1, not the number 2"]),
        ("fifo: {depths: {F: ▶0}}\n", ["fifo.depths.F must be at least 1"]),
        ("fifo: {depths: {F: {depth: ▶-1}}}\n", ["fifo.depths.F.depth must be at least 1"]),
        ("specialize: {nodes: {M: ▶rtll}}\n", ["specialize.nodes.M must be hls or rtl", "did you mean 'rtl'?"]),
        ("specialize: {defaults: {M: ▶RTL}}\n", ["must be hls or rtl", "did you mean 'rtl'?"]),
        ("name: ▶my net\n", ["name: 'my net' cannot be the name"]),
        ("name: ▶''\n", ["name"]),
        ("output: ▶''\n", ["output must not be empty"]),
        ("outputs: [bitfile, ▶bitfile]\n", ["outputs has the text 'bitfile' twice"]),
        ("vars: {▶1st: 1}\n", ["'1st' cannot be a name in vars", "letters"]),
        ("targets: {▶a/b: x}\n", ["'a/b' cannot be a name in targets"]),
        ("targets: {▶..: x}\n", ["'..' cannot be a name in targets"]),  # it becomes a folder of the workspace
        # processing
        ("preprocess: [▶to_tensr]\n", ["preprocess.0 must be to_tensor", "did you mean 'to_tensor'?"]),
        ("preprocess: [{▶normalise: {mean: 0, std: 1}}]\n", ["unknown key 'normalise'", "'normalize'"]),
        ("preprocess: [{normalize: ▶{mean: 0}}]\n", ["preprocess.0.normalize.std is missing", "std: 0.5"]),
        ("preprocess: [{normalize: {mean: ▶x, std: 1}}]\n", ["one number or a list of numbers, one per channel"]),
        ("preprocess: [{normalize: {mean: [▶x], std: 1}}]\n", ["preprocess.0.normalize.mean.0 must be a number"]),
        ("preprocess: [{onnx: model.onnx, ▶args: {}}]\n", ["args only goes together with brevitas"]),
        ("preprocess: [▶{}]\n", ["one of normalize, brevitas or onnx is missing in preprocess.0"]),
        ("postprocess: [▶top_k]\n", ["must be a mapping, not the text 'top_k'", "`- {top_k: 1}`"]),
        ("postprocess: [{top_k: ▶0}]\n", ["postprocess.0.top_k must be at least 1"]),
        ("postprocess: [{top_k: 1, ▶onnx: model.onnx}]\n", ["only one of top_k, brevitas or onnx", "top_k and onnx"]),
    ],
)
def test_wrong(folder: Folder, text: str, words: list[str]) -> None:
    folder.refuses(MINIMAL + text, *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("▶steps: estimate_only\n", ["model is missing", "onnx: model.onnx"]),
        ("▶model: {onnx: model.onnx}\n", ["steps is missing", "`steps: estimate_only`"]),
        ("▶modle: {onnx: model.onnx}\nsteps: f\n", ["unknown key 'modle'", "did you mean 'model'?"]),
        ("model: ▶{}\nsteps: f\n", ["one of brevitas or onnx is missing in model"]),
        ("model: {▶brevitsa: 'm.py:f'}\nsteps: f\n", ["unknown key 'brevitsa' in model", "did you mean 'brevitas'?"]),
        (
            "model: {onnx: model.onnx, ▶weights: weights.pth}\nsteps: f\n",
            ["model.weights only goes together with brevitas"],
        ),
        (
            "model: {brevitas: 'model.py:digits_cnv', ▶onnx: model.onnx, input: {shape: [1]}}\nsteps: f\n",
            ["only one of brevitas or onnx may stand in model"],
        ),
        ("model: ▶{brevitas: 'model.py:digits_cnv'}\nsteps: f\n", ["model.input is missing", "shape"]),
        (
            "model:\n  brevitas: model.py:digits_cnv\n  input: ▶{datatype: UINT8}\nsteps: f\n",
            ["model.input.shape is missing", "Needed to export a Brevitas module"],
        ),
        ("model: {onnx: ▶3}\nsteps: f\n", ["model.onnx must be text or a file from the network, not the number 3"]),
        ("model: {onnx: model.onnx, input: {datatype: ▶uint8}}\nsteps: f\n", ["data type", "did you mean 'UINT8'?"]),
        ("model: {onnx: model.onnx, input: {datatype: ▶BYTE}}\nsteps: f\n", ["'BYTE' cannot be", "UINT8"]),
        ("model: {onnx: model.onnx, input: {layout: ▶nhwc}}\nsteps: f\n", ["NCHW, NHWC", "did you mean 'NHWC'?"]),
        ("model: {onnx: model.onnx, input: {shape: [1, ▶0]}}\nsteps: f\n", ["model.input.shape.1 must be at least 1"]),
        ("model: {onnx: model.onnx, input: {shape: ▶[]}}\nsteps: f\n", ["model.input.shape must not be empty"]),
        ("model: {onnx: model.onnx, ▶always: true}\nsteps: f\n", ["model.always only goes together with brevitas"]),
    ],
)
def test_wrong_model(folder: Folder, text: str, words: list[str]) -> None:
    folder.refuses(text, *words)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ("▶3", ["must be the name of a flow, a list of steps or a mapping with `flow`, not the number 3"]),
        ("▶[]", ["steps must not be empty"]),
        ("▶{remove: [a]}", ["steps.flow is missing", "flow: default"]),
        ("{flow: f, ▶inser: []}", ["unknown key 'inser' in steps", "did you mean 'insert'?"]),
        ("{flow: f, insert: [▶{steps: a}]}", ["one of after or before is missing in steps.insert.0"]),
        ("{flow: f, insert: [{after: a, ▶before: b, steps: c}]}", ["only one of after or before"]),
        ("{flow: f, insert: [▶{after: a}]}", ["steps.insert.0.steps is missing"]),
        ("{flow: f, insert: [{after: a, steps: [{▶use: b}]}]}", ["unknown key 'use'", "did you mean 'uses'?"]),
        ("{flow: f, replace: [▶{step: a}]}", ["steps.replace.0.by is missing"]),
        ("{flow: f, remove: ▶a}", ["steps.remove must be a list"]),
        ("[▶3]", ["steps.0 must be a step name or a mapping with `uses`, not the number 3"]),
        ("[▶a b]", ["steps.0: 'a b' cannot be the step name"]),
        ("[▶{id: a}]", ["steps.0.uses is missing"]),
        ("[{uses: a, ▶need: b}]", ["unknown key 'need' in steps.0", "did you mean 'needs'?"]),
        ("[{uses: a, needs: ▶3}]", ["steps.0.needs must be one step id or a list of step ids"]),
        ("[{uses: a, timeout: ▶0}]", ["steps.0.timeout must be greater than 0"]),
        ("[{uses: a, timeout: ▶10m}]", ["steps.0.timeout must be a number", "`timeout: 600`"]),
        ("[{uses: a, resources: {memory: ▶3GB}}]", ["steps.0.resources.memory: '3GB' cannot be the memory"]),
        ("[{uses: a, resources: {time: ▶90}}]", ["steps.0.resources.time must be text"]),
        ("[{uses: a, resources: {▶host: n1}}]", ["unknown key 'host' in steps.0.resources"]),
        ("[{uses: a, always: ▶sometimes}]", ["steps.0.always must be true or false"]),
        ("[{uses: a, pure: ▶no}]", ["steps.0.pure must be true or false"]),
        ("[{uses: a, id: ▶a/b}]", ["'a/b' cannot be the step id"]),
        ("[{uses: a, with: ▶[1]}]", ["steps.0.with must be a mapping"]),
        ("[{uses: a, with: {▶target_fps: 3}}]", ["unknown key 'target_fps' in steps.0.with", "folding"]),
        ("[{uses: a, with: {folding: {target_fps: ▶x}}}]", ["steps.0.with.folding.target_fps must be a whole number"]),
    ],
)
def test_wrong_steps(folder: Folder, steps: str, words: list[str]) -> None:
    folder.refuses(f"model: {{onnx: model.onnx}}\nsteps: {steps}\n", *words)


def test_all_errors_at_once_in_order(folder: Folder) -> None:
    problems = folder.problems(
        "name: bad name\n"
        "name: again\n"
        "model:\n"
        "  brevitas: model.py:digits_cmv\n"
        "  wieghts: w.pth\n"
        "  weights: weight.pth\n"
        "steps:\n"
        "  - {uses: a, timeout: 0, needs: b}\n"
        "  - {uses: c, id: a}\n"
        "folding: {target_fps: '${nope}', file: nothing.json}\n"
        "targets: {t: nowhere}\n"
        "output: ../out\n"
    )
    assert [item.where and item.where.line for item in problems] == [1, 2, 3, 4, 5, 6, 8, 8, 9, 10, 10, 11, 12]


def test_a_brevitas_model_is_complete(folder: Folder) -> None:
    assert folder.recipe(BREVITAS).model.brevitas


ODD = (None, True, -1.5, "x", [None], {"x": None})
"""A value of every kind that YAML knows."""


def _places(
    schema: dict[str, Any], before: tuple[str | int, ...] = (), depth: int = 7
) -> Iterator[tuple[str | int, ...]]:
    """Everything that the schema says something about, as ways from the root."""
    definitions = strict_schema()["$defs"]
    inner = [(name, part) for name, part in schema.get("properties", {}).items()]
    inner += [("x", part) for part in [schema.get("additionalProperties")] if isinstance(part, dict)]
    inner += [(0, part) for part in [schema.get("items")] if part]
    for name, part in inner if depth else ():
        yield (*before, name)
        yield from _places(part, (*before, name), depth - 1)
    for part in [
        *schema.get("anyOf", ()),
        *schema.get("oneOf", ()),
        *(schema[key] for key in ("then", "else") if key in schema),
    ]:
        yield from _places(part, before, depth)
    if "$ref" in schema:
        yield from _places(definitions[schema["$ref"].rpartition("/")[2]], before, depth)


def test_any_value_at_any_place_is_taken_or_refused_in_words() -> None:
    places = set(_places(strict_schema()))
    assert ("model", "onnx", "url") in places and ("steps", "insert", 0, "steps", 0, "needs", 0) in places
    for place in places:
        for value in ODD:
            document: Any = value
            for name in reversed(place):
                document = [document] if name == 0 else {name: document}
            root = parse(json.dumps(document), Path("recipe.yaml"), [])
            assert root is not None
            for fault in structure(root):
                assert fault.problem.message
