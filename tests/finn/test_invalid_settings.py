"""What entries of settings files say of attributes that a layer does not have so, in words that help."""

from __future__ import annotations

from typing import Any

import onnx
import pytest

from finnyaml.finn import invalid_settings

ATTRIBUTES = {
    "PE": ("i", True, 0),
    "mem_mode": ("s", False, "internal_decoupled", {"internal_embedded", "internal_decoupled"}),
    "runtime_writeable_weights": ("i", False, 0, {0, 1}),
    "inFIFODepths": ("ints", False, [2]),
}


class Layer:
    """Stands for FINN's class of a layer."""

    def get_nodeattr_types(self) -> dict[str, Any]:
        return ATTRIBUTES


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        ({"inFIFODepth": 4}, "has no attribute inFIFODepth", "write inFIFODepths: [4], as it is called now"),
        ({"mem_mode": "decoupled"}, "'decoupled' is not a value of mem_mode", "write mem_mode: internal_decoupled"),
        ({"mem_mode": "outside"}, "'outside' is not a value of", "it has internal_decoupled, internal_embedded"),
        ({"runtime_writeable_weights": 2}, "2 is not a value of runtime_writeable_weights", "it has 0, 1"),
        ({"inFIFODepths": 4}, "inFIFODepths takes a list of whole numbers, not 4", None),
        ({"PE": "4"}, "PE takes a whole number, not '4'", None),
        ({"PEE": 4}, "has no attribute PEE", "did you mean 'PE'"),
    ],
)
def test_an_attribute_that_does_not_fit_is_named(
    monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any], message: str, hint: str | None
) -> None:
    monkeypatch.setattr(invalid_settings, "getCustomOp", lambda _: Layer())
    monkeypatch.setattr(invalid_settings, "_is_custom", lambda _: True)
    node = onnx.helper.make_node("MVAU_hls", ["x"], ["y"], name="MVAU_hls_0", domain="finn.custom_op.fpgadataflow.hls")
    (found,) = invalid_settings._unmatched("folding_config_file", {"MVAU_hls_0": entry}, {"MVAU_hls_0": node})
    assert message in found.message
    assert (found.hint or "") == "" if hint is None else hint in (found.hint or "")


def test_what_fits_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invalid_settings, "getCustomOp", lambda _: Layer())
    monkeypatch.setattr(invalid_settings, "_is_custom", lambda _: True)
    node = onnx.helper.make_node("MVAU_hls", ["x"], ["y"], name="MVAU_hls_0", domain="finn.custom_op.fpgadataflow.hls")
    entry = {"PE": 4, "mem_mode": "internal_embedded", "inFIFODepths": [2, 3], "runtime_writeable_weights": 1}
    assert not [*invalid_settings._unmatched("folding_config_file", {"MVAU_hls_0": entry}, {"MVAU_hls_0": node})]
