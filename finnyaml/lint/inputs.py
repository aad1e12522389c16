"""The graph input against the data that will arrive there."""

from __future__ import annotations

from collections.abc import Iterator

from qonnx.core.datatype import DataType

from finnyaml.graph.view import View
from finnyaml.lint.catalogue import Finding
from finnyaml.lint.rules import Stage, checks, finding


@checks("input-cannot-hold-data")
def _narrow(view: View, stage: Stage) -> Iterator[Finding]:
    if stage.data_dtype is None:
        return
    data = DataType[stage.data_dtype]
    for name in view.inputs:
        given = view.datatype(name)
        if not data.is_integer() or not given.is_integer():
            continue
        if not (given.allowed(data.min()) and given.allowed(data.max())):
            wrapped = " (128 becomes -128)" if given == DataType["INT8"] and data.max() > 127 else ""
            yield finding(
                "input-cannot-hold-data",
                f"the graph input {name} is {given.name} ({given.min():g} to {given.max():g}), but the data is "
                f"{data.name} ({data.min():g} to {data.max():g}): FINN's driver lets values wrap around{wrapped}",
                hint=f"say model: {{input: {{datatype: {data.name}}}}} and convert inside the graph (preprocess:)",
                pointer=("model", "input", "datatype"),
            )


@checks("input-is-float")
def _float(view: View, stage: Stage) -> Iterator[Finding]:
    if stage.data_dtype is None or not DataType[stage.data_dtype].is_integer():
        return
    for name in view.inputs:
        given = view.datatype(name)
        if not given.is_integer():
            yield finding(
                "input-is-float",
                f"the graph input {name} is {given.name}, but the data is {stage.data_dtype}: {given.bitwidth()} "
                f"instead of {DataType[stage.data_dtype].bitwidth()} bits per value go in, and the first layer "
                "compares floating-point numbers",
                hint=f"say model: {{input: {{datatype: {stage.data_dtype}}}}} and put the scaling into preprocess:",
                pointer=("model", "input", "datatype"),
            )
