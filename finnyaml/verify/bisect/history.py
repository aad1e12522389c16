"""All graphs that a step goes through: `ModelWrapper.transform`, traced while the step runs.

A step is a list of transformations, many of which call others. A state is noted when a transformation begins (what the
code around it did until then) and when it ends. States are kept without their constants, which hardly ever change and
are kept once: the 140 states of streamline cost little more than one model.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import onnx
from qonnx.core.modelwrapper import ModelWrapper

Signature = tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]

_LARGE = 256
"""Constants of more bytes are kept once for all states."""


@dataclass
class State:
    """One graph on the way through the step.

    `path` names the transformations, outermost first, whose code made it; it is empty for the step's own code.
    `level` says between what it stands: 0 before or after the step, 1 between the step's transformations, 2 between
    transformations that those call, and so on. Only the lower levels are sure to be whole: a transformation may call
    others while its own work is half done.
    """

    path: tuple[str, ...]
    level: int
    skeleton: bytes
    signature: Signature
    operators: Counter[str]


@dataclass
class History:
    """The states of one step in order: the first is its input, the last what it returned."""

    states: list[State] = field(default_factory=list)
    _constants: dict[bytes, bytes] = field(default_factory=dict)
    _keys: dict[int, list[bytes]] = field(default_factory=dict)

    def model(self, index: int) -> ModelWrapper:
        """The graph of one state, as a fresh model."""
        proto = onnx.load_from_string(self.states[index].skeleton)
        for tensor in proto.graph.initializer:
            if tensor.raw_data in self._constants:
                tensor.raw_data = self._constants[tensor.raw_data]
        return ModelWrapper(proto)

    def note(self, model: ModelWrapper, path: tuple[str, ...], level: int) -> None:
        """Note a state, unless the graph is what it was; then it may turn out to be of a lower level."""
        skeleton = self._skeleton(model.model)
        if self.states and self.states[-1].skeleton == skeleton:
            last = self.states[-1]
            last.level = min(last.level, level)
            return
        operators = Counter(node.op_type for node in model.graph.node)
        self.states.append(State(path, level, skeleton, signature(model), operators))

    def _skeleton(self, proto: Any) -> bytes:
        copy = onnx.ModelProto()
        copy.CopyFrom(proto)
        for tensor in copy.graph.initializer:
            if len(tensor.raw_data) > _LARGE:
                tensor.raw_data = self._key(tensor.raw_data)
        return bytes(copy.SerializeToString(deterministic=True))

    def _key(self, data: bytes) -> bytes:
        """What stands for a constant: equal data has equal keys. Comparing is several times faster than a digest."""
        same_length = self._keys.setdefault(len(data), [])
        for key in same_length:
            if self._constants[key] == data:
                return key
        key = f"finnyaml: constant {len(self._constants)} of a trace".encode()
        same_length.append(key)
        self._constants[key] = data
        return key


def history(before: ModelWrapper, run_step: Callable[[ModelWrapper], ModelWrapper]) -> History:
    """Run the step on a copy of `before` and note all states; `ModelWrapper` is as before even if the step raises."""
    found = History()
    found.note(before, (), 0)
    with _traced(found):
        after = run_step(ModelWrapper(before.model, make_deepcopy=True))
    found.note(after, (), 0)
    return found


def signature(model: ModelWrapper) -> Signature:
    """The shapes of the graph's inputs and outputs: states of one network have those of the step's input or output."""
    constant = {tensor.name for tensor in model.graph.initializer}
    inputs = [model.get_tensor_shape(tensor.name) for tensor in model.graph.input if tensor.name not in constant]
    outputs = [model.get_tensor_shape(tensor.name) for tensor in model.graph.output]
    return tuple(tuple(shape or ()) for shape in inputs), tuple(tuple(shape or ()) for shape in outputs)


@contextlib.contextmanager
def _traced(found: History) -> Iterator[None]:
    original, cleanup = ModelWrapper.transform, ModelWrapper.cleanup
    path: list[str] = []
    quiet = False  # while a model is cleaned up: part of the transformation, and five more of them each time

    def transform(self: ModelWrapper, transformation: Any, *args: Any, **options: Any) -> ModelWrapper:
        if quiet:
            return original(self, transformation, *args, **options)
        found.note(self, tuple(path), len(path) + 1)
        path.append(type(transformation).__name__)
        try:
            result = original(self, transformation, *args, **options)
        finally:
            made_by = tuple(path)
            path.pop()
        found.note(result, made_by, len(path) + 1)
        return result

    def clean_up(self: ModelWrapper) -> ModelWrapper:
        nonlocal quiet
        quiet = True
        try:
            return cleanup(self)
        finally:
            quiet = False

    ModelWrapper.transform, ModelWrapper.cleanup = transform, clean_up
    try:
        yield
    finally:
        ModelWrapper.transform, ModelWrapper.cleanup = original, cleanup
