"""A part of a phase of FINN."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from finnyaml.errors import ToolMissing
from finnyaml.finn.aliases import short
from finnyaml.finn.door import StepFunction
from finnyaml.finn.identity import distribution_of_finn
from finnyaml.finn.introspect import segment
from finnyaml.tools import discover
from finnyaml.tools.needs import needs
from finnyaml.worker.context import Context, made_model, needed_model

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def run(context: Context) -> ModelWrapper:
    """Run statements of a FINN phase, exactly as FINN wrote them.

    Which steps they call is not known before, so the tools of a step are looked for when it is called: raises
    ToolMissing where one is not here. Nothing stands for a step with the open toolchain, either.
    """
    phase, index = context.params["phase"], context.params["index"]

    def looked_for(name: str, step: StepFunction) -> StepFunction:
        @functools.wraps(step)
        def call(model: Any, cfg: Any, *more: Any, **named: Any) -> Any:
            _look_for_tools(name, cfg, phase)
            return step(model, cfg, *more, **named)

        return call

    return made_model(segment(phase, index, looked_for)(needed_model(context), context.config()), context)


def _look_for_tools(step: str, cfg: Any, phase: str) -> None:
    missing = discover.missing(needs(step, _Fields(cfg), distribution=distribution_of_finn()[0]))
    if missing:
        told = "; ".join(tool.reason for tool in missing)
        raise ToolMissing(
            f"{phase} calls {short(step)} here, which needs {', '.join(tool.name for tool in missing)}: {told}",
            hint=f"{missing[0].hint}; or list the steps that you want instead of the phase",
        )


class _Fields(Mapping[str, Any]):
    """Fields of a configuration by name; only those that are asked for count as read."""

    def __init__(self, config: Any) -> None:
        self._config = config

    def __getitem__(self, name: str) -> Any:
        try:
            return getattr(self._config, name)
        except AttributeError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError
