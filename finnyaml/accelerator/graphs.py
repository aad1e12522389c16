"""The graphs of a bundle: what the host computes before and after the accelerator, and the hardware layers."""

from __future__ import annotations

import re
from typing import Any, Callable

import numpy as np

from .contract import Bundle
from .errors import AcceleratorError, damaged
from .numbers.codes import decode
from .numbers.datatypes import Datatype, container_bytes, parse
from .program import Program

_TOO_NEW = re.compile(r"Unsupported model IR version|Opset \d+ is under development")
"""What onnxruntime says of a model that it does not know yet."""

Graph = Callable[[np.ndarray], np.ndarray]
"""Values [n, ...] in, values [n, ...] out, for any n >= 1."""


def open_graph(spec: dict[str, Any], bundle: Bundle) -> Graph:
    """The graph that an entry of the contract (`head`, `hardware`, `tail`) describes, ready to run.

    Raises AcceleratorError: a file is missing or damaged, an operator unknown, onnxruntime not installed.
    """
    if spec["kind"] == "none":
        return lambda values: values
    if spec["kind"] == "numpy":
        return Program.load(bundle, spec["file"])
    if spec["kind"] == "onnxruntime":
        return Sessions(spec, bundle)
    if spec["kind"] == "missing":
        raise AcceleratorError(
            f"this bundle cannot be emulated: {spec['why']}", name="not supported", hint="run it on the board"
        )
    raise AcceleratorError(f"a graph of kind '{spec['kind']}' is not known here", name="not supported")


class Sessions:
    """A graph in one or more ONNX files, executed by onnxruntime one after the other. float32 in, float32 out.

    Layers with runtime-writeable or external weights take them as inputs of the graph. They are zero bits until
    `set_weights`, as in an accelerator nobody has written to.
    """

    def __init__(self, spec: dict[str, Any], bundle: Bundle) -> None:
        self._input: str = spec["input"]
        self._output: str = spec["output"]
        self._segments = [(_session(segment, bundle), segment) for segment in spec["segments"]]
        positions = bundle.arrays("graphs/weights.npz") if spec["weights"] else {}
        self._weights = [WeightInput(weight, positions[weight["positions"]]) for weight in spec["weights"]]
        self._values = {weight.name: weight.decode(bytes(weight.size)) for weight in self._weights}

    @property
    def layers(self) -> frozenset[str]:
        """The layers whose weights can be set."""
        return frozenset(weight.layer for weight in self._weights)

    def set_weights(self, layer: str, raw: bytes) -> None:
        """Give a layer its weights: the bytes that a driver would write for it.

        Raises AcceleratorError: "weights damaged", for too few bytes. ValueError for a layer that has no weights to
        set.
        """
        inputs = [weight for weight in self._weights if weight.layer == layer]
        if not inputs:
            raise ValueError(f"no layer {layer} with weights to set; there is: {', '.join(sorted(self.layers))}")
        for weight in inputs:
            self._values[weight.name] = weight.decode(raw)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Values [n, ...] to values [n, ...], float32."""
        known: dict[str, np.ndarray] = {**self._values, self._input: np.ascontiguousarray(values, np.float32)}
        for session, segment in self._segments:
            known.update(zip(segment["outputs"], self._run(session, segment, known)))
        return known[self._output]

    def _run(self, session: Any, segment: dict[str, Any], known: dict[str, np.ndarray]) -> list[np.ndarray]:
        outputs, feeds = segment["outputs"], {name: known[name] for name in segment["inputs"]}
        if not segment["one_by_one"]:
            results: list[np.ndarray] = session.run(outputs, feeds)
            return results
        data = [name for name in feeds if name not in self._values]
        rows = [
            session.run(outputs, {**feeds, **{name: feeds[name][i : i + 1] for name in data}})
            for i in range(len(known[self._input]))
        ]
        return [np.concatenate(column) for column in zip(*rows)]


class WeightInput:
    """An input of the graph whose values come out of a weight file.

    `positions` has, in the shape of the input, where in the bits of the file each value begins, int64.
    """

    def __init__(self, spec: dict[str, Any], positions: np.ndarray) -> None:
        self.name: str = spec["input"]
        self.layer: str = spec["layer"]
        self._file: str = spec["file"]
        self._datatype: Datatype = parse(spec["datatype"])
        self._positions = positions
        last = int(positions.max(initial=-self._datatype.bits)) + self._datatype.bits
        self.size = (last + 7) // 8  # bytes up to the last bit that counts

    def decode(self, raw: bytes) -> np.ndarray:
        """The values that these bytes mean, float32 in the shape of the graph's input."""
        if len(raw) < self.size:
            message = f"{self._file} has {len(raw)} bytes of weights, {self.layer} needs {self.size}"
            raise damaged(message, "weights damaged")
        try:
            bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
            return values_at(self._positions, bits, self._datatype)
        except AcceleratorError as error:
            raise damaged(f"{self._file}: {error.message}", "weights damaged") from error


def values_at(positions: np.ndarray, bits: np.ndarray, datatype: Datatype) -> np.ndarray:
    """The values whose lowest bits are at these positions among bits (uint8, 0 or 1), float32 in the shape of
    `positions`.
    Raises AcceleratorError: "wrong range": bits that are not values of the datatype.
    """
    codes: np.ndarray = np.zeros(positions.shape, f"u{container_bytes(datatype.bits)}")
    for bit in range(datatype.bits):
        codes |= bits[positions + bit].astype(codes.dtype) << codes.dtype.type(bit)
    values: np.ndarray = decode(codes, datatype).astype(np.float32)
    return values


def _session(segment: dict[str, Any], bundle: Bundle) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise AcceleratorError(
            f"{segment['file']} is executed by onnxruntime, which is not installed here",
            name="package missing",
            hint="pip install -r requirements-emulate.txt (onnxruntime has no packages for 32-bit ARM boards)",
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if segment["optimise"] else levels.ORT_DISABLE_ALL
    if not segment["optimise"]:
        options.add_session_config_entry("session.disable_prepacking", "1")  # it sums in another order
    path = bundle.path(segment["file"])
    try:
        return onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=segment["without"]
        )
    except Exception as error:  # onnxruntime's own classes are not public
        if _TOO_NEW.search(str(error)):
            raise AcceleratorError(
                f"onnxruntime {onnxruntime.__version__} is too old for {segment['file']}: {error}",
                name="package missing",
                hint="pip install -r requirements-emulate.txt (onnxruntime 1.17 or later)",
            ) from error
        raise AcceleratorError(
            f"onnxruntime {onnxruntime.__version__} cannot open {segment['file']}: {error}",
            name="bundle damaged",
            hint="copy the bundle again, or install the onnxruntime of requirements-emulate.txt",
        ) from error
