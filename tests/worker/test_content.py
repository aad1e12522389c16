"""What goes into the store: relocatable content, and a digest of what it means."""

from __future__ import annotations

import filecmp
import hashlib
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from finnyaml.store import Entry, Store
from finnyaml.store.model import Part
from finnyaml.store.streams import write
from finnyaml.store.tensors import LARGE, stand_in
from finnyaml.worker import content
from finnyaml.worker.content import Places, model_digest, references
from tests.worker.models import TENSORS, model, renamed, strings

HERE = Places.of(Path("/sandbox"), {"finn": Path("/env/site-packages/finn"), "qonnx": Path("/env/site-packages/qonnx")})
THERE = Places.of(Path("/data/other/sandbox"), {"finn": Path("/usr/finn"), "qonnx": Path("/opt/qonnx")})
PATIENT = settings(deadline=None)


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The store that all here use."""
    global STORE
    STORE = Store.open(tmp_path_factory.mktemp("content") / "store")
    with mock.patch("os.fsync"):
        yield STORE


def pack(name: str, data: bytes, places: Places) -> Entry:
    path = STORE.root / "file"
    path.write_bytes(data)
    return content.pack(path, name, places, STORE)


def unpack(name: str, entry: Entry, places: Places) -> bytes:
    return b"".join(content.unpack(name, entry, places, STORE))


def data(entry: Entry) -> bytes:
    """What is stored."""
    return b"".join(STORE.content(entry))


def moved(name: str, data: bytes, source: Places = HERE, target: Places = THERE) -> bytes:
    """The content as it comes out of the store in another sandbox."""
    return unpack(name, pack(name, data, source), target)


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (b"cd /sandbox", b"cd /data/other/sandbox"),
        (b"cd /sandbox/build/x; ls", b"cd /data/other/sandbox/build/x; ls"),
        (b"-I/sandbox/a -L'/sandbox/b'", b"-I/data/other/sandbox/a -L'/data/other/sandbox/b'"),
        (b"/env/site-packages/finn/x.v:/env/site-packages/qonnx", b"/usr/finn/x.v:/opt/qonnx"),
        # Another folder whose name only begins so stays what it is.
        (b"/sandbox2/x /sandbox-old /sandbox.bak /sandbox_", b"/sandbox2/x /sandbox-old /sandbox.bak /sandbox_"),
        (b"/env/site-packages/finn_xsi/x /env/finn", b"/env/site-packages/finn_xsi/x /env/finn"),
        (b"/env/site-packages/finn-hlslib", b"/env/site-packages/finn-hlslib"),
        (b"nothing to see", b"nothing to see"),
        (b"", b""),
    ],
)
def test_paths_in_text_move(here: bytes, there: bytes) -> None:
    assert moved("build/run.sh", here) == there
    assert b"/sandbox/" not in data(pack("build/run.sh", here, HERE))


def test_folders_inside_one_another() -> None:
    nested = Places.of(Path("/srv/store/abc"), {"finn": Path("/srv/store/abc/env/finn"), "qonnx": Path("/srv/store")})
    text = b"/srv/store/abc/x /srv/store/abc/env/finn/y /srv/store/abcd /srv/storehouse"
    assert nested.hide(text) == b"@@finnyaml:work@@/x @@finnyaml:finn@@/y @@finnyaml:qonnx@@/abcd /srv/storehouse"
    assert moved("a.txt", text, nested, nested) == text
    assert moved("a.txt", text, nested, THERE) == b"/data/other/sandbox/x /usr/finn/y /opt/qonnx/abcd /srv/storehouse"


FOLDERS = st.text(st.sampled_from("ab *+()[]$^\\-ä|?"), min_size=1, max_size=8).map(lambda name: Path("/r", name))


@PATIENT
@given(FOLDERS, st.lists(st.text(max_size=6), min_size=1), st.sampled_from(["/", "/build", "", " ", "\n"]))
@example(Path("/r/a b"), ["x", "y"], "/c d")
def test_text_comes_back_as_it_was_whatever_the_folder_is_called(folder: Path, parts: list[str], after: str) -> None:
    places = Places.of(folder, {"finn": Path("/env/finn")})
    text = f"{folder}{after}".join(parts).encode()
    stored = pack("a.tcl", text, places)
    assert unpack("a.tcl", stored, places) == text
    assert f"{folder}/".encode() not in data(stored) or b"\0" in text


def test_equal_text_of_two_sandboxes_is_equal_content() -> None:
    one, other = (pack("a.tcl", f"source {places.sandbox}/a.tcl".encode(), places) for places in (HERE, THERE))
    assert one == other
    assert one.digest != pack("a.tcl", b"source /sandbox/b.tcl", HERE).digest


def test_a_binary_moves_to_paths_of_equal_length_only() -> None:
    binary = b"\x7fELF\0/sandbox/lib.so\0rest"
    stored = pack("build/sim", binary, HERE)
    assert stored.pinned == len("/sandbox")
    assert b"/sandbox" not in data(stored) and len(data(stored)) == len(binary)
    assert moved("build/sim", binary, HERE, Places.of(Path("/SANDBOX"), {})) == b"\x7fELF\0/SANDBOX/lib.so\0rest"
    assert pack("build/sim", binary.replace(b"/sandbox", b"/SANDBOX"), Places.of(Path("/SANDBOX"), {})) == stored


def test_a_binary_in_a_shorter_folder_keeps_its_offsets() -> None:
    """More slashes name the same folder: this is how `finnyaml.worker.rerun` gets by in a folder of the user's."""
    assert moved("build/sim", b"\0/sandbox/x\0", HERE, Places.of(Path("/tmp/r"), {})) == b"\0/tmp/r///x\0"


def test_a_binary_without_paths_goes_anywhere() -> None:
    stored = pack("out/model.npy", b"\x93NUMPY\0data", HERE)
    assert (data(stored), stored.pinned) == (b"\x93NUMPY\0data", None)


def test_every_path_in_a_model_moves() -> None:
    proto = model("/sandbox/build/code_gen_x")
    proto.graph.node[0].metadata_props.add(key="source", value="/env/site-packages/finn/a.py")
    there = onnx.load_from_string(moved("model.onnx", proto.SerializeToString()))
    found = strings(there)
    assert found.count("/data/other/sandbox/build/code_gen_x") == 4  # metadata, string, strings, and in the body
    assert "/usr/finn/a.py" in found
    assert strings(onnx.load_from_string(moved("model.onnx", there.SerializeToString(), THERE, HERE))) == strings(proto)
    assert b"/sandbox" not in data(pack("model.onnx", proto.SerializeToString(), HERE))


def test_equal_models_of_two_sandboxes_are_equal_content() -> None:
    one, other = (pack("m.onnx", model(f"{places.sandbox}/x").SerializeToString(), places) for places in (HERE, THERE))
    assert one.digest == other.digest


def test_a_file_that_only_has_the_name_of_a_model() -> None:
    assert moved("out/fake.onnx", b"see /sandbox/x") == b"see /data/other/sandbox/x"
    assert moved("out/empty.onnx", b"") == b""


def test_placeholders_given_by_the_caller_are_revealed() -> None:
    """The workspace shows a user paths into itself."""
    folders = {b"@@finnyaml:work@@/out": b"/home/u/build", b"@@finnyaml:work@@": b"/home/u/build/.files"}
    stored = pack("a.txt", b"/sandbox/out/report /sandbox/build/x", HERE)
    assert (
        b"".join(content.reveal("a.txt", stored, STORE, folders))
        == b"/home/u/build/report /home/u/build/.files/build/x"
    )


def test_references_are_the_paths_into_the_sandbox() -> None:
    proto = model("/sandbox/build/code_gen_x/")
    helper.set_model_props(proto, {"two": "/sandbox/a.onnx;/sandbox/b/c.dat", "no": "/elsewhere/x /sandbox2/y"})
    stored = pack("model.onnx", proto.SerializeToString(), HERE)
    assert set(references(data(stored), HERE)) == {"build/code_gen_x", "a.onnx", "b/c.dat"}
    assert list(references(b"no model", HERE)) == []


def changed(change: Callable[[onnx.ModelProto], object]) -> bool:
    """Whether a change of the model is one of its digest."""
    proto = model()
    change(proto)
    return model_digest(proto) != model_digest(model())


NAMES = st.lists(
    st.text("abcxyz_0123#:", min_size=1, max_size=6), min_size=len(TENSORS), max_size=len(TENSORS), unique=True
)


@PATIENT
@given(NAMES)
def test_names_of_inner_tensors_do_not_count(names: list[str]) -> None:
    fresh = [f"{name} inside" if name in ("x", "y", "bx", "by") else name for name in names]  # others than the ends
    assert model_digest(renamed(model(), dict(zip(TENSORS, fresh, strict=True)))) == model_digest(model())


@PATIENT
@given(st.permutations(range(3)), st.permutations(range(3)), st.permutations(range(2)))
def test_the_order_of_what_has_no_order_does_not_count(weights: list[int], infos: list[int], others: list[int]) -> None:
    proto = model()
    graph = proto.graph
    for items, order in (
        (graph.initializer, weights),
        (graph.value_info, infos),
        (graph.quantization_annotation, others),
        (proto.metadata_props, others),
        (proto.opset_import, others),
        (graph.node[1].attribute, range(len(graph.node[1].attribute))[::-1]),
    ):
        listed = [type(item).FromString(item.SerializeToString()) for item in items]
        del items[:]
        items.extend(listed[index] for index in order)
    assert model_digest(proto) == model_digest(model())


def _swap(proto: onnx.ModelProto) -> None:
    first, second = proto.graph.initializer[:2]
    first.name, second.name = second.name, first.name


def _weights(index: int) -> Callable[[onnx.ModelProto], object]:
    def change(proto: onnx.ModelProto) -> None:
        tensor = proto.graph.initializer[index]
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + 1, tensor.name))

    return change


def _rename_input(proto: onnx.ModelProto) -> None:
    proto.graph.input[0].name = proto.graph.node[0].input[0] = "image"


def _rename_output(proto: onnx.ModelProto) -> None:
    proto.graph.output[0].name = proto.graph.node[2].output[0] = "scores"


def _other_body(proto: onnx.ModelProto) -> None:
    (body,) = (item.g for item in proto.graph.node[1].attribute if item.name == "body")
    body.node[0].op_type = "Tanh"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda proto: setattr(proto, "producer_name", "another"), id="producer"),
        pytest.param(lambda proto: setattr(proto, "producer_version", "2"), id="its version"),
        pytest.param(lambda proto: setattr(proto.graph, "name", "g_17"), id="graph name"),
        pytest.param(lambda proto: setattr(proto, "doc_string", "x"), id="doc"),
        pytest.param(lambda proto: setattr(proto.graph.node[0], "doc_string", "x"), id="node doc"),
        pytest.param(lambda proto: setattr(proto.graph.initializer[0], "doc_string", "x"), id="tensor doc"),
        pytest.param(
            lambda proto: proto.graph.node[0].metadata_props.add(key="pkg.torch.onnx.stack_trace", value="model.py:3"),
            id="stack trace",
        ),
    ],
)
def test_what_only_tells_where_a_model_is_from_does_not_count(change: Callable[[onnx.ModelProto], object]) -> None:
    assert not changed(change)


def test_the_name_of_a_tensor_inside_an_attribute_does_not_count() -> None:
    def constant(name: str) -> onnx.ModelProto:
        proto = model()
        tensor = numpy_helper.from_array(numpy_helper.to_array(proto.graph.initializer[0]), name)
        proto.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))
        return proto

    assert model_digest(constant("a")) == model_digest(constant("b"))
    assert model_digest(constant("a")) != model_digest(model())


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_weights(0), id="weights"),
        pytest.param(_weights(2), id="weights that no node uses"),
        pytest.param(_swap, id="two weights swapped"),
        pytest.param(
            lambda proto: proto.graph.node[1].attribute.append(helper.make_attribute("SIMD", 2)), id="attribute"
        ),
        pytest.param(lambda proto: setattr(proto.graph.node[0], "name", "Mul_1"), id="node name"),
        pytest.param(lambda proto: setattr(proto.graph.node[0], "op_type", "Div"), id="operator"),
        pytest.param(lambda proto: setattr(proto.graph.node[1], "domain", "other"), id="domain"),
        pytest.param(_rename_input, id="input name"),
        pytest.param(_rename_output, id="output name"),
        pytest.param(lambda proto: proto.graph.node[2].input.reverse(), id="order of inputs"),
        pytest.param(lambda proto: proto.graph.node[2].input.__setitem__(0, "t0"), id="topology"),
        pytest.param(lambda proto: proto.graph.node.pop(), id="a node less"),
        pytest.param(lambda proto: proto.graph.quantization_annotation.pop(), id="an annotation less"),
        pytest.param(
            lambda proto: setattr(
                proto.graph.quantization_annotation[0].quant_parameter_tensor_names[0], "value", "INT4"
            ),
            id="annotated type",
        ),
        pytest.param(
            lambda proto: setattr(proto.graph.quantization_annotation[0], "tensor_name", "t1"), id="annotated tensor"
        ),
        pytest.param(lambda proto: setattr(proto.graph.input[0].type.tensor_type, "elem_type", 2), id="input type"),
        pytest.param(
            lambda proto: setattr(proto.graph.value_info[0].type.tensor_type, "elem_type", 2), id="inner type"
        ),
        pytest.param(lambda proto: setattr(proto.metadata_props[0], "value", "elsewhere"), id="metadata"),
        pytest.param(
            lambda proto: proto.graph.node[0].metadata_props.add(key="hierarchy", value="a"), id="node metadata"
        ),
        pytest.param(lambda proto: setattr(proto.opset_import[0], "version", 17), id="opset"),
        pytest.param(_other_body, id="inside a body"),
    ],
)
def test_what_a_model_computes_and_carries_counts(change: Callable[[onnx.ModelProto], object]) -> None:
    assert changed(change)


@PATIENT
@given(st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=2, unique=True))
def test_swapping_two_initializers_counts(values: list[float]) -> None:
    def with_weights(first: float, second: float) -> onnx.ModelProto:
        proto = model(scale=first)
        tensor = proto.graph.initializer[1]
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 0 + second, "w1"))
        return proto

    assert model_digest(with_weights(*values)) != model_digest(with_weights(*reversed(values)))


def test_two_names_for_one_tensor_are_not_two_tensors() -> None:
    """t0 and t1 becoming one name is another graph, not another spelling."""
    proto = model()
    assert model_digest(renamed(proto, {"t0": "t1"})) != model_digest(proto)


def test_the_digest_leaves_the_model_alone() -> None:
    proto = model()
    before = proto.SerializeToString(deterministic=True)
    model_digest(proto)
    assert proto.SerializeToString(deterministic=True) == before


# -- models with large tensors, of which the store keeps each by itself


def heavy(paths: str, *values: int) -> onnx.ModelProto:
    """`model` with a large tensor of each value that no node uses: such are put in order by what they hold."""
    proto = model(paths)
    for number, value in enumerate(values):
        array = np.full(LARGE, value, np.uint8)
        proto.graph.initializer.append(numpy_helper.from_array(array, f"unused{number}"))
    tensor = numpy_helper.from_array(np.ones((4, LARGE), np.float32), "inside")
    proto.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))
    return proto


@pytest.mark.parametrize("values", [(1, 2, 3, 4, 5, 6), (6, 5, 4, 3, 2, 1)])
def test_the_digest_of_a_model_with_large_tensors_is_that_of_the_whole(values: tuple[int, ...]) -> None:
    proto = heavy("@@finnyaml:work@@/x", *values)
    stored = pack("model.onnx", heavy("/sandbox/x", *values).SerializeToString(), HERE)
    assert len(stored.parts) == 7
    assert stored.digest == model_digest(proto) == in_one_piece(proto)
    assert data(stored) == proto.SerializeToString(deterministic=True)


def in_one_piece(proto: onnx.ModelProto) -> str:
    """The digest as it is defined: that of the canonical form, serialised."""
    canonical = onnx.ModelProto()
    canonical.CopyFrom(proto)
    for field in ("producer_name", "producer_version", "doc_string"):
        canonical.ClearField(field)
    content._sort(canonical.metadata_props, lambda item: item.key)
    content._sort(canonical.opset_import, lambda item: item.domain)
    content._canonical_graph(canonical.graph, {}, lambda item: bytes(item.SerializeToString(deterministic=True)))
    return hashlib.sha256(canonical.SerializeToString(deterministic=True)).hexdigest()


def test_paths_in_a_model_with_large_tensors_move_and_nothing_else() -> None:
    here, there = heavy("/sandbox/x", 1), heavy("/data/other/sandbox/x", 1)
    assert moved("model.onnx", here.SerializeToString()) == there.SerializeToString(deterministic=True)
    stored = pack("model.onnx", here.SerializeToString(), HERE)
    assert set(references(STORE.read(stored.blob), HERE)) == {"x"}


def test_a_model_written_in_an_order_of_its_own_is_the_same_model() -> None:
    """Protobuf takes fields in any order, and a field twice: the last one holds."""
    proto = heavy("/sandbox/x", 1)
    tensor = proto.graph.initializer[-1]
    data_first = onnx.TensorProto(raw_data=b"z" * LARGE).SerializeToString() + tensor.SerializeToString()
    rest = onnx.ModelProto()
    rest.CopyFrom(proto)
    del rest.graph.initializer[-1]
    size = len(data_first)
    varint = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])
    graph = b"\x2a" + varint + data_first
    size = len(graph)
    varint = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])
    odd = b"\x3a" + varint + graph + rest.SerializeToString()
    same = onnx.load_from_string(odd)
    stored = pack("model.onnx", odd, HERE)
    assert stored == pack("model.onnx", same.SerializeToString(), HERE)
    assert moved("model.onnx", odd, HERE, HERE) == same.SerializeToString(deterministic=True)


@pytest.mark.parametrize("mark", [b"", stand_in(Part("0" * 64, LARGE))])
def test_a_model_is_saved_as_onnx_saves_it_and_stays_as_it_was(tmp_path: Path, mark: bytes) -> None:
    proto = heavy("/sandbox/x", 1, 2)
    for graph in (*(item.g for item in proto.graph.node[1].attribute if item.HasField("g")), proto.graph):
        graph.initializer.append(numpy_helper.from_array(np.ones(LARGE, np.uint8), "inner"))
        graph.initializer.add(name="small", raw_data=mark)
    tensor = onnx.TensorProto(name="list", raw_data=b"l" * LARGE)
    proto.graph.node.append(helper.make_node("Many", [], ["m"], tensors=[tensor, tensor]))
    before = proto.SerializeToString()
    content.save(proto, tmp_path / "ours.onnx")
    assert (tmp_path / "ours.onnx").read_bytes() == proto.SerializeToString() == before


@pytest.mark.parametrize("name", ["model.onnx", "out/a.bin", "out/a.txt"])
def test_what_was_stored_comes_back_whatever_is_in_it(name: str) -> None:
    for written in (b"", b"\0", b"\x08", b"finnyaml tensor:" * LARGE, b"@@finnyaml:w" * LARGE, b"\0/sandbox" * 9):
        assert moved(name, written, HERE, HERE) == written


# -- files that are larger than memory should be


@pytest.mark.parametrize("start", [b"text with /sandbox/x\n", b"\0binary with /sandbox/x\n", b"\0binary\n"])
def test_a_large_file_is_never_in_memory(tmp_path: Path, start: bytes) -> None:
    path, again = tmp_path / "large", tmp_path / "again"
    with path.open("wb") as file:
        file.write(start)
        for _ in range(48):
            file.write(b"\n" * (1 << 20))
        file.write(start)
    tracemalloc.start()
    entry = content.pack(path, "out/large", HERE, STORE)
    write(again, content.unpack("out/large", entry, HERE, STORE))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
    assert filecmp.cmp(path, again, shallow=False)
    assert b"/sandbox" not in STORE.read(entry.blob)
