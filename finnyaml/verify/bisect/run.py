"""One state run on a few samples with all its tensors kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.graph.layers import Graph
from finnyaml.verify.data.layout import fitted
from finnyaml.verify.executor import BatchedModel

_SAMPLES = 24
_BUDGET = 48_000_000
"""So many values at most are kept of one state (200 MB as float32)."""


@dataclass(frozen=True)
class Run:
    """`values`: every tensor [n, ...] by name, in the order of the graph; `source`: the graph's input [n, ...].

    `violations` are the tensors that left their annotated range, as the executor saw them. `exact`: nothing makes up
    for another scale or offset of the outputs.
    """

    graph: Graph
    source: np.ndarray
    values: dict[str, np.ndarray]
    violations: tuple[Any, ...]
    exact: bool = True

    @property
    def exact_outputs(self) -> list[str]:
        """The tensors that must be as they were, in their scale and offset, too."""
        return self.graph.outputs if self.exact else []


class Tapped:
    """A state, ready to be run with all its tensors kept."""

    def __init__(self, model: ModelWrapper, *, exact: bool = True) -> None:
        self._exact = exact
        self._batched = BatchedModel(model, taps="all")
        self.graph = Graph(self._batched.model)

    @property
    def capacity(self) -> int:
        """How many samples may be run at once, so that memory stays modest."""
        tensors = [name for node in self.graph.nodes for name in node.output if name]
        size = sum(int(np.prod(self.graph.shape(name))) for name in tensors)
        return int(np.clip(_BUDGET // max(size, 1), 4, _SAMPLES))

    def run(self, samples: np.ndarray) -> Run:
        """Run all samples [n, ...] at once."""
        source = fitted(samples, self._batched.input_shape, None)
        found = self._batched.run(source)
        made = [name for name in found if self.graph.producer(name) is not None]
        values = {name: found[name] for name in sorted(made, key=self.graph.position)}
        return Run(self.graph, source, values, tuple(self._batched.violations), self._exact)


def telling_samples(before: np.ndarray, after: np.ndarray, count: int) -> np.ndarray:
    """`count` samples to look at (int64, rising): two thirds where the predictions [n] changed, the rest where not.

    Where the output changed, some tensor must have changed before it; the others show what is sound.
    """
    changed, same = np.flatnonzero(before != after), np.flatnonzero(before == after)
    most = changed[: max(2 * count // 3, count - len(same))]
    chosen: np.ndarray = np.sort(np.concatenate([most, same[: count - len(most)]]))
    return chosen
