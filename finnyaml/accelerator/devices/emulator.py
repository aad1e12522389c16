"""The accelerator's place taken by the graph of its hardware layers, from the same build."""

from __future__ import annotations

import numpy as np

from ..contract import Bundle
from ..errors import AcceleratorError, check_open, damaged
from ..graphs import Sessions, open_graph
from .weights import external_weights, runtime_weights


class Emulator:
    """A `Device` without a board: the same bytes in, the same bytes out.

    What it executes is the build's own graph at the accelerator's boundary, with the weight files of the bundle. It has
    nothing to say of timing.
    """

    name = "emulator"
    clock_mhz: float | None = None

    def __init__(self, bundle: Bundle) -> None:
        self._open = True
        self._input = bundle.accelerator_input
        self._output = bundle.accelerator_output
        self._graph = open_graph(bundle.data["contract"]["hardware"], bundle)
        if isinstance(self._graph, Sessions):
            _load_weights(self._graph, bundle)

    def execute(self, packed: np.ndarray) -> np.ndarray:
        """uint8 [n, *packed_in[1:]] to uint8 [n, *packed_out[1:]].

        Raises AcceleratorError: "wrong output": the graph gives what the output's datatype does not have; "closed".
        """
        check_open(self._open)
        outputs = self._graph(self._input.unpack(packed))
        try:
            return self._output.pack(outputs)
        except AcceleratorError as error:
            raise damaged(error.message, "wrong output") from error

    def close(self) -> None:
        """As a board it answers no more."""
        self._open = False


def _load_weights(graph: Sessions, bundle: Bundle) -> None:
    """As a driver does on the board."""
    missing = set(graph.layers)
    for entry, values in [*runtime_weights(bundle), *external_weights(bundle)]:
        if entry["layer"] in graph.layers:
            graph.set_weights(entry["layer"], values.tobytes())
            missing.discard(entry["layer"])
    if missing:
        message = f"bundle.json names no weight file for {', '.join(sorted(missing))}"
        raise damaged(message, "weights not loaded")
