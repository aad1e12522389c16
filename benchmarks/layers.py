"""What single RTL layers cost: drawn at random, synthesised by Yosys, one line each in `finnyaml/folding/layers.csv`.

The prices by which `folding.optimize` chooses are fitted on that file. Layers that it has are not made again, so a run
that was stopped goes on; delete the file (or lines of it) to measure anew, and raise `COUNTS` for more.
"""

from __future__ import annotations

import contextlib
import copy
import io
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

PART, CLOCK_NS = "xczu9eg-ffvb1156-2-e", 10.0
DOMAIN = "finn.custom_op.fpgadataflow.rtl"


@dataclass(frozen=True)
class Drawn:
    """Layers in a row, most often one: nodes as (op type, inputs, outputs, attributes); tensors by name as (shape,
    datatype, values of a constant). The first tensor goes in, the last comes out."""

    nodes: Sequence[tuple[str, Sequence[str], Sequence[str], Mapping[str, Any]]]
    tensors: Mapping[str, tuple[Sequence[int], str, Any]]


def run(folder: Path) -> None:
    """Measure the layers that the file does not have, and print how well prices fit."""
    warnings.filterwarnings("ignore")
    os.environ["FINN_BUILD_DIR"] = str(folder / "finn")  # FINN looks once per process
    (folder / "finn").mkdir()
    from finnyaml.errors import StepFailed
    from finnyaml.finn.kernels.register import register
    from finnyaml.folding import prices
    from finnyaml.folding.prices import Layer
    from finnyaml.rtl.design import Design
    from finnyaml.rtl.synthesis import yosys
    from finnyaml.rtl.synthesis.each import TOGETHER, each

    register()
    known = {(each.op_type, prices.written(each.measures)) for each in prices.data()} if prices.DATA.exists() else set()
    waiting: list[tuple[str, Any]] = []
    for number, drawn in enumerate(every()):
        model = _model(drawn, number)
        if not _measured(model) <= known:
            known |= _measured(model)
            waiting.append((f"n{number}", model))
    for at in range(0, len(waiting), TOGETHER):
        batch = waiting[at : at + TOGETHER]
        started = time.perf_counter()
        for name, model in batch:
            _stitched(model, folder / name)
        counted = each([folder / name for name, _ in batch], folder / "work", folder / "kept")
        rows = []
        for (name, model), counts in zip(batch, counted, strict=True):
            if isinstance(counts, StepFailed):
                print(f"{name}: left out: {counts.message}", file=sys.stderr, flush=True)
            else:
                rows += [Layer(node.op_type, _measures(node), counts[node.name]) for node in model.graph.node]
        design = Design.load(folder / batch[0][0])
        prices.add(rows, {"part": PART, "finn": design.finn, "yosys": yosys.version(folder)})
        took = time.perf_counter() - started
        print(f"{at + len(batch)} of {len(waiting)}: {len(rows)} layers in {took:.0f} s", file=sys.stderr, flush=True)
    _print()


def _measured(model: Any) -> set[tuple[str, str]]:
    from finnyaml.folding import prices

    return {(node.op_type, prices.written(_measures(node))) for node in model.graph.node}


def _measures(node: Any) -> Mapping[str, int | str]:
    from qonnx.custom_op.registry import getCustomOp

    from finnyaml.folding.measures import measures

    seen = measures(getCustomOp(node))
    assert seen is not None, f"{node.op_type} was drawn in a form that is not measured"
    return seen


def _model(drawn: Drawn, number: int) -> Any:
    """The layers as FINN has them before it generates code."""
    from onnx import TensorProto, helper
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.util.basic import qonnx_make_model

    infos = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, (shape, _, _) in drawn.tensors.items()
    }
    first, *_, last = infos
    nodes = [
        helper.make_node(
            op_type, inputs, outputs, f"{op_type}_{number}_{at}", domain=DOMAIN, backend="fpgadataflow", **attributes
        )
        for at, (op_type, inputs, outputs, attributes) in enumerate(drawn.nodes)
    ]
    inner = [info for name, info in infos.items() if name not in (first, last) and drawn.tensors[name][2] is None]
    graph = helper.make_graph(nodes, "layer", [infos[first]], [infos[last]], value_info=inner)
    model = ModelWrapper(qonnx_make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))
    for name, (_, datatype, values) in drawn.tensors.items():
        if values is not None:
            model.set_initializer(name, np.asarray(values, np.float32))
        model.set_tensor_datatype(name, DataType[datatype])
    return model


def _stitched(model: Any, folder: Path) -> None:
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP

    from finnyaml.finn.stitched import stitch

    with _quietly():
        stitch(copy.deepcopy(model).transform(PrepareIP(PART, CLOCK_NS)), PART, CLOCK_NS, folder)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """FINN talks; what went wrong comes as an exception."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


# What is drawn.


def every() -> Iterator[Drawn]:
    """All layers, the types in turn, so that a run that is stopped has something of each."""
    chances = {draw: Random(draw.__name__) for draw in COUNTS}
    for turn in range(max(COUNTS.values())):
        for draw, count in COUNTS.items():
            if turn < count:
                yield draw(chances[draw])


def _converter(chance: Random) -> Drawn:
    """Between one value and many, up or down."""
    while True:
        bits, ratio = chance.choice((1, 2, 3, 4, 6, 8, 11, 13, 16, 24, 32, 48)), chance.choice(RATIOS)
        down = chance.random() < 0.6
        if bits * ratio <= (256 if down else 512) and (not down or bits * ratio * ratio <= 6000):
            break
    return _between(bits, *((ratio, 1) if down else (1, ratio)))


def _narrow_converter(chance: Random) -> Drawn:
    """Between few values of few bits: what networks have most."""
    bits, ratio = chance.choice((2, 2, 3, 3, 4, 8)), chance.choice((2, 2, 3, 4, 4, 6, 8, 12))
    return _between(bits, *((ratio, 1) if chance.random() < 0.3 else (1, ratio)))


def _uneven_converter(chance: Random) -> Drawn:
    """Where neither width divides the other."""
    bits, ends = chance.choice((1, 2, 3, 4, 8, 11)), chance.choice(((2, 3), (3, 2), (3, 4), (4, 3), (8, 3), (3, 8)))
    return _between(bits, *ends)


def _between(bits: int, taken: int, given: int) -> Drawn:
    shape = [1, 2 * taken * given]
    attributes = {"inShape": shape, "outShape": shape, "dataType": f"INT{bits}" if bits > 1 else "BINARY"}
    attributes |= {"inWidth": bits * taken, "outWidth": bits * given}
    tensor = (shape, attributes["dataType"], None)
    return Drawn([("StreamingDataWidthConverter_rtl", ["x"], ["y"], attributes)], {"x": tensor, "y": tensor})


RATIOS = (2, 2, 3, 4, 4, 5, 6, 8, 8, 9, 10, 12, 16, 16, 18, 24, 32)


def _matrix(chance: Random) -> Drawn:
    return _matrix_of(chance, (2, 3, 3, 4, 4, 8), 1)


def _broad_matrix(chance: Random) -> Drawn:
    """Of many inputs at once."""
    return _matrix_of(chance, (3, 4, 8), 12)


def _matrix_of(chance: Random, widths: Sequence[int], least: int) -> Drawn:
    numbers = np.random.default_rng(chance.randrange(2**32))
    while True:
        wide = chance.choice((9, 16, 18, 27, 32, 36, 64, 72, 72, 128, 144, 144, 256, 288, 512))
        high = chance.choice((6, 8, 10, 16, 16, 32, 64))
        pe, simd = _divisor(chance, high, 32), _divisor(chance, wide, 36)
        weight, taken = chance.choice((2, 3, 3, 4, 4, 6, 8)), chance.choice(widths)
        ram = chance.choice(("distributed", "distributed", "block"))
        stored = wide * high * weight
        if least <= simd < wide and pe * simd <= 128 and stored <= (36_000 if ram == "distributed" else 150_000):
            break
    unsigned = chance.random() < 0.8
    most = weight + taken + (wide - 1).bit_length()
    out = max(weight + taken, most - chance.randrange(4))
    datatypes = {"inputDataType": f"{'U' * unsigned}INT{taken}", "weightDataType": f"INT{weight}"}
    datatypes |= {"outputDataType": f"INT{out}", "accDataType": f"INT{out}"}
    sizes = {"MW": wide, "MH": high, "PE": pe, "SIMD": simd, "numInputVectors": [1, 4]}
    attributes = {**datatypes, **sizes, "noActivation": 1, "ram_style": ram, "mem_mode": "internal_decoupled"}
    limit = 2 ** (weight - 1) - 1
    values = numbers.integers(-limit, limit + 1, (wide, high))
    return Drawn(
        [("MVAU_rtl", ["x", "weights"], ["y"], attributes)],
        {
            "x": ([1, 4, wide], datatypes["inputDataType"], None),
            "weights": ([wide, high], datatypes["weightDataType"], values),
            "y": ([1, 4, high], datatypes["outputDataType"], None),
        },
    )


def _thresholds(chance: Random) -> Drawn:
    widths = (6, 8, 10, 11, 12, 13, 14, 16, 18)
    return _thresholds_of(chance, (6, 8, 16, 16, 24, 32, 64, 128), (1, 3, 7, 7, 15, 15, 255), widths)


def _thresholds_of(chance: Random, sizes: Sequence[int], counts: Sequence[int], widths: Sequence[int]) -> Drawn:
    numbers = np.random.default_rng(chance.randrange(2**32))
    while True:
        channels, steps = chance.choice(sizes), chance.choice(counts)
        pe, bits = _divisor(chance, channels, 16), chance.choice(widths)
        if channels * steps * bits <= 20_000 and pe * steps <= 120 and 2**bits > 2 * steps:
            break
    levels = np.sort(
        np.stack([numbers.permutation(2**bits - 1)[:steps] for _ in range(channels)]) - 2 ** (bits - 1) + 1, axis=1
    )
    attributes = {"NumChannels": channels, "PE": pe, "numSteps": steps, "numInputVectors": [1, 4], "ActVal": 0}
    out = f"UINT{steps.bit_length()}"
    attributes |= {"inputDataType": f"INT{bits}", "weightDataType": f"INT{bits}", "outputDataType": out}
    return Drawn(
        [("Thresholding_rtl", ["x", "levels"], ["y"], attributes)],
        {
            "x": ([1, 4, channels], f"INT{bits}", None),
            "levels": ([channels, steps], f"INT{bits}", levels),
            "y": ([1, 4, channels], out, None),
        },
    )


def _few_thresholds(chance: Random) -> Drawn:
    return _thresholds_of(chance, (2, 4, 6, 8), (1, 3, 3, 7), (4, 6, 8, 10))


def _window(chance: Random) -> Drawn:
    while True:
        channels, size = chance.choice((1, 3, 4, 8, 8, 16, 16, 32)), chance.choice((7, 8, 9, 12, 14, 16, 24, 30, 34))
        kernel, stride, bits = chance.choice((2, 3, 3, 3, 5)), chance.choice((1, 1, 2)), chance.choice((2, 3, 4, 8))
        whole, deep = chance.random() < 0.3, chance.random() < 0.25
        simd = channels if whole and not deep else _divisor(chance, channels, 32)
        ram = chance.choice(("distributed", "distributed", "distributed", "block"))
        stored = kernel * size * channels * bits
        if stored <= 16_000 and simd * bits * (kernel**2 if whole else 1) <= 400 and not (whole and ram == "block"):
            break
    given = (size - kernel) // stride + 1
    attributes = {
        "ConvKernelDim": [kernel, kernel],
        "IFMChannels": channels,
        "IFMDim": [size, size],
        "OFMDim": [given, given],
        "SIMD": simd,
        "Stride": [stride, stride],
        "Dilation": [1, 1],
        "inputDataType": f"UINT{bits}",
        "outputDataType": f"UINT{bits}",
        "depthwise": int(deep),
        "parallel_window": int(whole),
        "ram_style": ram,
    }
    return Drawn(
        [("ConvolutionInputGenerator_rtl", ["x"], ["y"], attributes)],
        {
            "x": ([1, size, size, channels], f"UINT{bits}", None),
            "y": ([1, given, given, kernel * kernel * channels], f"UINT{bits}", None),
        },
    )


def _padding(chance: Random) -> Drawn:
    size, channels = chance.choice((4, 7, 8, 14, 16, 28, 32)), chance.choice((1, 3, 8, 16, 32))
    bits, around = chance.choice((2, 3, 4, 8)), chance.choice((1, 1, 2))
    simd, padded = _divisor(chance, channels, 32), size + 2 * around
    attributes = {"ImgDim": [size, size], "Padding": [around] * 4, "NumChannels": channels, "SIMD": simd}
    return Drawn(
        [("FMPadding_rtl", ["x"], ["y"], {**attributes, "inputDataType": f"UINT{bits}"})],
        {
            "x": ([1, size, size, channels], f"UINT{bits}", None),
            "y": ([1, padded, padded, channels], f"UINT{bits}", None),
        },
    )


def _fifo(chance: Random) -> Drawn:
    return _fifo_of(
        chance.choice((1, 2, 3, 4, 8, 11, 13)), chance.choice((1, 2, 4, 8, 9, 16)), chance.choice((2, 2, 32))
    )


def _wide_fifo(chance: Random) -> Drawn:
    return _fifo_of(chance.choice((8, 13, 16)), chance.choice((16, 24, 32, 36)), chance.choice((2, 2, 32)))


def _fifo_of(bits: int, values: int, depth: int) -> Drawn:
    datatype = f"UINT{bits}" if bits > 1 else "BINARY"
    attributes = {"folded_shape": [1, 4, values], "normal_shape": [1, 4 * values], "dataType": datatype}
    attributes["depth"] = depth
    tensor = ([1, 4 * values], datatype, None)
    return Drawn([("StreamingFIFO_rtl", ["x"], ["y"], attributes)], {"x": tensor, "y": tensor})


def _pool(chance: Random) -> Drawn:
    function = chance.choice(("MaxPool", "MaxPool", "QuantAvgPool"))
    channels, kernel = chance.choice((4, 8, 16, 32, 64)), chance.choice((2, 2, 3))
    pe, bits = _divisor(chance, channels, 16), chance.choice((2, 3, 4, 8))
    attributes = {
        "Channels": channels,
        "PE": pe,
        "KernelSize": [kernel, kernel],
        "Function": function,
        "OutImgDims": [4, 4],
        "InputDataType": f"UINT{bits}",
        "OutputDataType": f"UINT{bits}",
    }
    return Drawn(
        [("Pool_rtl", ["x"], ["y"], attributes)],
        {
            "x": ([1, 4, 4, kernel * kernel * channels], f"UINT{bits}", None),
            "y": ([1, 4, 4, channels], f"UINT{bits}", None),
        },
    )


def _branches(chance: Random) -> Drawn:
    """A fork whose two branches meet again in a sum."""
    channels, bits = chance.choice((8, 16, 32)), chance.choice((2, 3, 4, 8, 12))
    pe, shape = _divisor(chance, channels, 16), [1, 4, 4, channels]
    given = f"INT{bits}"
    fork = {
        "NumChannels": channels,
        "PE": pe,
        "NumOutputStreams": 2,
        "inputDataType": given,
        "numInputVectors": [1, 4, 4],
    }
    join = {"lhs_dtype": given, "rhs_dtype": given, "out_dtype": f"INT{bits + 1}", "PE": pe}
    join |= {"lhs_shape": shape, "rhs_shape": shape, "out_shape": shape, "lhs_style": "input", "rhs_style": "input"}
    return Drawn(
        [
            ("DuplicateStreams_rtl", ["x"], ["left", "right"], fork),
            ("IntegerAdd_rtl", ["left", "right"], ["y"], join),
        ],
        {
            "x": (shape, given, None),
            "left": (shape, given, None),
            "right": (shape, given, None),
            "y": (shape, f"INT{bits + 1}", None),
        },
    )


def _average(chance: Random) -> Drawn:
    channels, bits, size = chance.choice((4, 8, 16, 32, 64)), chance.choice((2, 3, 4, 8)), chance.choice((2, 4, 7))
    pe = _divisor(chance, channels, 16)
    attributes = {"NumChannels": channels, "PE": pe, "inputDataType": f"UINT{bits}", "numInputVectors": [1, size, size]}
    out = f"UINT{(size * size * (2**bits - 1)).bit_length()}"
    return Drawn(
        [("GlobalAccPool_rtl", ["x"], ["y"], attributes)],
        {"x": ([1, size, size, channels], f"UINT{bits}", None), "y": ([1, 1, 1, channels], out, None)},
    )


def _labels(chance: Random) -> Drawn:
    labels, bits = chance.choice((4, 10, 12, 20, 100)), chance.choice((4, 8, 11, 13, 16))
    pe, best = _divisor(chance, labels, 10), chance.choice((1, 1, 1, 3))
    attributes = {"Labels": labels, "PE": pe, "K": best, "inputDataType": f"INT{bits}", "numInputVectors": [1]}
    attributes["outputDataType"] = f"UINT{labels.bit_length()}"
    return Drawn(
        [("LabelSelect_rtl", ["x"], ["y"], attributes)],
        {"x": ([1, labels], f"INT{bits}", None), "y": ([1, best], attributes["outputDataType"], None)},
    )


def _divisor(chance: Random, number: int, most: int) -> int:
    return chance.choice([factor for factor in range(1, min(number, most) + 1) if number % factor == 0])


COUNTS: Mapping[Callable[[Random], Drawn], int] = {
    _converter: 21,
    _narrow_converter: 18,
    _uneven_converter: 8,
    _matrix: 21,
    _broad_matrix: 5,
    _thresholds: 20,
    _few_thresholds: 6,
    _window: 20,
    _fifo: 10,
    _wide_fifo: 6,
    _padding: 9,
    _pool: 14,
    _branches: 6,
    _average: 10,
    _labels: 14,
}


def _print() -> None:
    from benchmarks.bench import table
    from finnyaml.folding import prices

    rows = []
    for each in prices.errors():
        op_type, _, kind = each.kind.partition(" ")
        errors = (f"{100 * each.median:.1f} %", f"{100 * each.most:.1f} %")
        rows.append([f"`{op_type}` {kind}".rstrip(), str(each.layers), *errors])
    table(["layer", "measured", "median error", "90 % have less"], rows)
