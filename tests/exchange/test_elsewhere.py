"""Where the installed FINN has what a script looks for in a module that it does not have."""

from __future__ import annotations

from finnyaml.exchange.elsewhere import told


def test_a_class_is_found_where_it_is_now() -> None:
    old = "finn.transformation.fpgadataflow.convert_to_hw_layers"
    assert told([f"{old}.InferPool", f"{old}.InferNothing", "qonnx.nowhere.InsertTopK"]) == (
        "InferPool is in finn.transformation.fpgadataflow.convert_to_hw.pool, "
        "InsertTopK is in qonnx.transformation.insert_topk"
    )
    assert told([f"{old}.InferNothing"]) == ""
