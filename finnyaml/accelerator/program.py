"""A few ONNX operators in numpy: what the host computes where there is no onnxruntime, as on 32-bit ARM.

A program is JSON: `{"input", "output", "constants", "nodes"}`; its nodes mean what they mean in operator set 13 of
ONNX. The values are those of onnxruntime, bit for bit. As in the graph of the build, operators compute with float32;
but while values only move, they keep the dtype that they were given (uint8 images, small integers from the
accelerator).
"""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from .contract import Bundle
from .errors import AcceleratorError, damaged
from .operators import MOVES, OPERATORS


class Program:
    """A program that is ready to run: `program(values)`.

    Its nodes have `op`, `attributes`, `inputs` and `outputs`: names of tensors, empty where one is left out.
    """

    def __init__(self, name: str, data: dict[str, Any], constants: dict[str, np.ndarray]) -> None:
        """`data` is what the JSON says, `name` that of its file, for errors.

        Raises AcceleratorError: "not supported": an operator that is not known here; "bundle damaged".
        """
        self._name = name
        self._input: str = data["input"]
        self._output: str = data["output"]
        self._constants = constants
        self._nodes: list[dict[str, Any]] = data["nodes"]
        self._as_given = self._check()

    @classmethod
    def load(cls, bundle: Bundle, relative: str) -> Program:
        """The program in a file of the bundle; its constants lie beside it.

        Raises AcceleratorError: as for the constructor.
        """
        try:
            data = json.loads(bundle.path(relative).read_text(encoding="utf-8"))
            file = data["constants"]
            constants = bundle.arrays(str(PurePosixPath(relative).parent / file)) if file else {}
            return cls(relative, data, constants)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise damaged(f"{relative}: {type(error).__name__}: {error}") from error

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Values [n, ...] to values [n, ...]."""
        known = {**self._constants, self._input: values}
        for node in self._nodes:
            inputs = [self._taken(node["op"], name, known) for name in node["inputs"]]
            outputs = OPERATORS[node["op"]](node["attributes"], *inputs)
            known.update(zip(node["outputs"], outputs if isinstance(outputs, tuple) else (outputs,)))
        return known[self._output]

    def _taken(self, op: str, name: str, known: dict[str, np.ndarray]) -> np.ndarray | None:
        if not name:
            return None
        as_it_is = op in MOVES or name not in self._as_given
        return known[name] if as_it_is else known[name].astype(np.float32, copy=False)

    def _check(self) -> frozenset[str]:
        """That all operators are known, all inputs computed; returns the tensors that hold what was given, only
        moved.
        """
        known = {*self._constants, self._input, ""}
        as_given = {self._input}
        for node in self._nodes:
            op, inputs, outputs = node["op"], node["inputs"], node["outputs"]
            unsorted = op == "TopK" and not node["attributes"].get("sorted", 1)
            if op not in OPERATORS or unsorted:
                raise AcceleratorError(
                    f"{self._name}: the operator {op}{' with sorted = 0' if unsorted else ''} is not known here",
                    name="not supported",
                    hint="use the accelerator/ folder that came with the bundle",
                )
            for name in set(inputs) - known:
                raise damaged(f"{self._name}: {op} takes '{name}', which nothing computes")
            known.update(outputs)
            if op in MOVES and inputs[0] in as_given:
                as_given.update(outputs)
        if self._output not in known:
            raise damaged(f"{self._name}: nothing computes '{self._output}'")
        return frozenset(as_given)
