"""Large tensors are cut out of a model, and it comes back equal byte for byte, whatever else is in it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from finnyaml.store import Entry, ObjectDamaged, Store
from finnyaml.store.model import Part
from finnyaml.store.tensors import LARGE, MARK, beside, cut, stand_in, whole
from tests.store.samples import object_file, overwrite

UNKNOWN = bytes([0xA2, 0x3E, 3]) + b"new"
"""A field that no version of ONNX has yet: number 996, three bytes."""


def large(name: str, value: int = 1) -> TensorProto:
    return numpy_helper.from_array(np.full(LARGE // 4, value, np.int32), name)


def weighty() -> onnx.ModelProto:
    """Large tensors wherever ONNX lets them be, among all that is not to be cut."""
    inner = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "body", [], [], [large("w", 2)])
    nodes = [
        helper.make_node("Constant", [], ["c"], value=large("", 3)),
        helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner),
        helper.make_node("Many", [], ["m"], tensors=[large("a", 4), large("b", 1)], graphs=[inner], text="x" * LARGE),
        helper.make_node("Ints", [], ["i"], values=list(range(3000))),
    ]
    floats = helper.make_tensor("floats", TensorProto.FLOAT, [LARGE], np.ones(LARGE))  # not raw: float_data
    kept = [
        large("first"),
        numpy_helper.from_array(np.ones(7, np.float32), "small"),
        TensorProto(name="empty", data_type=TensorProto.FLOAT, dims=[0], raw_data=b""),
        floats,
        helper.make_tensor("strings", TensorProto.STRING, [1], [b"s" * LARGE]),
        large("again"),
    ]
    model = helper.make_model(helper.make_graph(nodes, "net", [], [], kept), producer_name="test")
    model.graph.initializer[0].MergeFromString(UNKNOWN)
    model.MergeFromString(UNKNOWN)
    return model


def put(store: Store, data: bytes) -> Entry:
    frame, parts = cut(data, store.put_bytes)
    return Entry(store.put_bytes(frame), "d", parts=parts)


def test_a_model_comes_back_byte_for_byte(store: Store) -> None:
    data = weighty().SerializeToString()
    assert data.count(UNKNOWN) == 2
    entry = put(store, data)
    values = [np.full(LARGE // 4, value, np.int32).tobytes() for value in (3, 2, 4, 1)]
    assert [(store.read(part.digest), part.size) for part in entry.parts] == [(value, LARGE) for value in values]
    assert b"".join(store.content(entry)) == data
    frame = onnx.load_from_string(store.read(entry.blob))
    assert [node.name for node in frame.graph.node] == [node.name for node in weighty().graph.node]
    assert len(frame.SerializeToString()) < len(data) - 8 * (LARGE - 100)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(LARGE - 2, LARGE + 2) | st.integers(0, 3 * LARGE), max_size=5))
def test_tensors_of_any_size(sizes: list[int]) -> None:
    weights = [TensorProto(name=f"w{n}", raw_data=bytes([n]) * size) for n, size in enumerate(sizes)]
    data = helper.make_model(helper.make_graph([], "net", [], [], weights)).SerializeToString()
    held: dict[str, bytes] = {}

    def keep(raw: memoryview) -> str:
        digest = hashlib.sha256(raw).hexdigest()
        held[digest] = bytes(raw)
        return digest

    frame, parts = cut(data, keep)
    assert sorted(part.size for part in parts) == sorted(size for size in sizes if size >= LARGE)
    pieces = [held[piece.digest] if isinstance(piece, Part) else piece for piece in whole(frame, parts)]
    assert b"".join(pieces) == data


def test_equal_tensors_are_one_object_and_another_model_shares_it(store: Store) -> None:
    one = put(store, weighty().SerializeToString())
    changed = weighty()
    changed.graph.node[0].name = "renamed"
    count = len(list(store.objects()))
    other = put(store, changed.SerializeToString())
    assert other.parts == one.parts and other.blob != one.blob
    assert len(list(store.objects())) == count + 1


@pytest.mark.parametrize("data", [b"", b"no model", b"\x08", b"\x3a\xff\xff\xff\xff\x0f", b"\x3b\x3c" * LARGE])
def test_what_is_not_a_model_stays_as_it_is(data: bytes) -> None:
    assert cut(data, lambda raw: pytest.fail("nothing to keep")) == (data, ())


def test_a_model_that_holds_a_stand_in_of_its_own_is_not_cut() -> None:
    """Nobody could tell it from ours."""
    model = weighty()
    model.graph.initializer[1].raw_data = stand_in(Part("0" * 64, LARGE))
    data = model.SerializeToString()
    assert cut(data, lambda raw: hashlib.sha256(raw).hexdigest()) == (data, ())
    inside = weighty()  # in a tensor that is cut out, it does not matter
    inside.graph.initializer[0].raw_data = MARK * LARGE
    frame, parts = cut(inside.SerializeToString(), lambda raw: hashlib.sha256(raw).hexdigest())
    assert parts and frame.count(MARK) == 8


def test_the_frame_of_other_parts_is_damage(store: Store) -> None:
    entry = put(store, weighty().SerializeToString())
    stranger = Part(store.put_bytes(b"x" * LARGE), LARGE)
    for frame in (entry.blob, store.put_bytes(b"no model")):
        with pytest.raises(ObjectDamaged) as error:
            b"".join(store.content(Entry(frame, "d", parts=(*entry.parts, stranger))))
        assert error.value.digest == frame


@pytest.mark.parametrize("damage", ["flipped", "deleted"])
def test_a_damaged_part_is_found_and_named(store: Store, damage: str) -> None:
    data = weighty().SerializeToString()
    entry = put(store, data)
    file = object_file(store, entry.parts[1].digest)
    overwrite(file, b"y" * LARGE) if damage == "flipped" else file.unlink()
    with pytest.raises(ObjectDamaged) as error:
        b"".join(store.content(entry))
    assert error.value.digest == entry.parts[1].digest and not store.has(entry.parts[1].digest)
    assert put(store, data) == entry
    assert b"".join(store.content(entry)) == data


def test_tensors_beside_their_model_are_read_by_onnx(store: Store, tmp_path: Path) -> None:
    weights = [numpy_helper.from_array(np.arange(LARGE, dtype=np.float32) + n, f"w{n}") for n in range(2)]
    nodes = [
        helper.make_node("Constant", [], ["c"], value=large("", 3)),
        helper.make_node("Add", ["w0", "w1"], ["y"]),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [LARGE])]
    model = helper.make_model(helper.make_graph(nodes, "net", [], outputs, weights))
    entry = put(store, model.SerializeToString())
    (tmp_path / "weights").mkdir()
    for part in entry.parts:
        store.copy(part.digest, tmp_path / "weights" / part.digest)
    path = tmp_path / "net.onnx"
    path.write_bytes(beside(store.read(entry.blob), entry.parts, lambda part: f"weights/{part.digest}"))
    assert path.stat().st_size < LARGE
    onnx.checker.check_model(str(path))
    read = onnx.load(path)
    for tensor in (*read.graph.initializer, read.graph.node[0].attribute[0].t):
        tensor.ClearField("data_location")
    assert read.SerializeToString() == model.SerializeToString()
