"""What an export loses is named at `model`; the older exporter stands in where it gives the same answers."""

from __future__ import annotations

from typing import Any

import brevitas.export
import brevitas.nn as qnn
import pytest
from torch import nn

from finnyaml.errors import StepFailed
from finnyaml.graph.origin import module_of
from finnyaml.recipe.model import InputSpec
from finnyaml.steps.source import annotate_input, export_brevitas
from tests.lint.graphs import Net


class Recurrent(nn.Module):
    """FINN 38: a QuantLSTM with batch_first is exported as constants."""

    def __init__(self) -> None:
        super().__init__()
        self.inp = qnn.QuantIdentity(bit_width=8)
        self.lstm = qnn.QuantLSTM(2, 3, batch_first=True)
        self.fc = qnn.QuantLinear(3, 2, bias=False, weight_bit_width=4)

    def forward(self, x: Any) -> Any:
        y, _ = self.lstm(self.inp(x))
        return self.fc(getattr(y, "value", y)[:, -1, :])


class Plain(nn.Sequential):
    """One layer."""

    def __init__(self) -> None:
        super().__init__(qnn.QuantLinear(4, 3, bias=False, weight_bit_width=4))


class Deciding(nn.Module):
    """Decides by its data, which no graph can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = qnn.QuantLinear(4, 3, bias=False, weight_bit_width=4)

    def forward(self, x: Any) -> Any:
        return self.fc(x) if x.sum() > 0 else self.fc(-x)


def test_a_module_without_a_node_is_named() -> None:
    with pytest.raises(StepFailed, match=r"left out 'lstm' \(QuantLSTM\)") as caught:
        export_brevitas(Recurrent, {}, None, None, (1, 3, 2))
    assert "QuantConv1d" in str(caught.value.hint)


def test_a_decision_on_data_is_refused_with_the_line() -> None:
    with pytest.raises(StepFailed, match=r"test_exporting.py:\d+: GuardOnDataDependent") as caught:
        export_brevitas(Deciding, {}, None, None, (1, 4))
    assert "\x1b" not in caught.value.message and "Consider the following" not in caught.value.message


def test_the_older_exporter_stands_in(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Brevitas 1101: its own residual blocks."""
    export = brevitas.export.export_qonnx

    def failing(*given: Any, **options: Any) -> Any:
        if options.get("dynamo") is not False:
            raise RuntimeError("\x1b[96m50 lines of advice") from TypeError("the cause")
        return export(*given, **options)

    monkeypatch.setattr(brevitas.export, "export_qonnx", failing)
    layers = (qnn.QuantConv2d(1, 2, 3, bias=False, weight_bit_width=4), qnn.QuantReLU(bit_width=3))
    model = export_brevitas(lambda: nn.Sequential(*layers), {}, None, None, (1, 1, 4, 4))
    assert {"0", "1"} <= {module_of(node) for node in model.graph.node}
    assert "TypeError: the cause" in capsys.readouterr().out


def test_the_recipe_says_how_to_export(capsys: pytest.CaptureFixture[str]) -> None:
    model = export_brevitas(Plain, {}, None, None, (1, 4), {"dynamo": False, "opset_version": 17})
    assert {entry.version for entry in model.opset_import if not entry.domain} == {17}
    assert capsys.readouterr().out == "exported by PyTorch's older exporter (dynamo=False)\n"
    with pytest.raises(StepFailed, match="GuardOnDataDependent"):  # it is asked alone
        export_brevitas(Deciding, {}, None, None, (1, 4), {"dynamo": True})


def test_an_output_that_does_not_depend_on_the_input_is_refused() -> None:
    net = Net((1, 4))
    net.node("Identity", "x")
    end = net.node("Relu", net.constant([[1.0, 2.0]]))
    with pytest.raises(StepFailed, match="does not depend on its input 'x'"):
        annotate_input(net.model(end, tidy=False).model, InputSpec((1, 4), "UINT8", None))
