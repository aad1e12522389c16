"""Canonical and relocatable content of the files that steps produce. Runs inside workers.

Two questions, two answers. *Where may it be restored?* Absolute paths in models and generated text become
placeholders in the store. *Is it equal?* The digest ignores what differs between equal runs: generated tensor names,
the order in which protobuf writes maps, source line numbers that exporters attach.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from finnyaml.store import Entry, Store, tensors
from finnyaml.store.model import Part
from finnyaml.store.streams import Piece, chunks_of, holds, replaced, write

TRACE_METADATA = ("pkg.torch.onnx.stack_trace", "pkg.torch.onnx.fx_node")
"""Node metadata with source paths and line numbers: moves with every edit of the user's file."""

PLACEHOLDER = b"@@finnyaml:"
"""How every placeholder begins."""

_IN_NAMES = rb"\w.-"
"""What goes on with the name of a folder."""

UNUSED = "#unused"
"""Stands for the name of a tensor that no node has: FINN leaves such behind, under generated names."""


@dataclass(frozen=True)
class Places:
    """The absolute folders that mean something else on the next machine, and the placeholders that stand for them."""

    folders: Mapping[bytes, bytes]
    """Absolute path to placeholder; the longest path is replaced first."""
    sandbox: Path

    @classmethod
    def of(cls, sandbox: Path, packages: Mapping[str, Path]) -> Places:
        """The places of one worker: its sandbox and the packages whose folders generated files name."""
        folders = {str(sandbox).encode(): b"@@finnyaml:work@@"}
        for name, root in packages.items():
            folders[str(root).encode()] = f"@@finnyaml:{name}@@".encode()
        return cls(dict(sorted(folders.items(), key=lambda item: -len(item[0]))), sandbox)

    def hide(self, data: bytes) -> bytes:
        """`data` with each folder replaced by its placeholder."""
        for folder, placeholder in self.folders.items():
            if folder in data:
                data = re.sub(re.escape(folder) + rb"(?![%b])" % _IN_NAMES, placeholder, data)
        return data

    @property
    def revealed(self) -> dict[bytes, bytes]:
        """Placeholder to the folder of this machine."""
        return {placeholder: folder for folder, placeholder in self.folders.items()}


def pack(path: Path, relative: str, places: Places, store: Store, mode: int = 0o644) -> Entry:
    """Store the file at `path`, relocatable, as the file `relative` of a tree."""
    if relative.endswith(".onnx"):
        packed = _pack_model(path.read_bytes(), places, store)
        if packed is not None:
            blob, digest, parts = packed
            return Entry(blob, digest, mode, parts=parts)
    if holds(chunks_of(path), b"\0"):
        return _pack_binary(path, places, store, mode)
    blob = store.put_stream(lambda: replaced(chunks_of(path), places.folders, unless=_IN_NAMES))
    return Entry(blob, blob, mode)


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write a model as `onnx.save` does, byte for byte; protobuf alone takes a second for 97 MB."""
    taken: list[tuple[onnx.TensorProto, Part, bytes]] = []
    try:
        for tensor in _tensors(model):
            if tensor.HasField("raw_data") and tensor.ByteSize() >= tensors.LARGE:
                part = Part(f"{len(taken):064x}", len(raw := tensor.raw_data))
                taken.append((tensor, part, raw))
                tensor.raw_data = tensors.stand_in(part)
        frame = model.SerializeToString()
    finally:
        for tensor, _, raw in taken:
            tensor.raw_data = raw
    if frame.count(tensors.MARK) != len(taken):  # it has some of its own
        onnx.save(model, str(path))
        return
    values = {part: raw for _, part, raw in taken}
    write(path, (values[piece] if isinstance(piece, Part) else piece for piece in tensors.whole(frame, values)))


def unpack(relative: str, entry: Entry, places: Places, store: Store) -> Iterator[Piece]:
    """The content of a stored file for this sandbox, piece by piece: the inverse of `pack`. Raises ObjectDamaged."""
    if entry.pinned is not None:
        here = str(places.sandbox).encode().ljust(entry.pinned, b"/")
        return replaced(store.chunks(entry.blob), {_padded(entry.pinned): here})
    return reveal(relative, entry, store, places.revealed)


def reveal(relative: str, entry: Entry, store: Store, folders: Mapping[bytes, bytes]) -> Iterator[Piece]:
    """Stored content with each placeholder in `folders` replaced; the first that matches wins. Raises ObjectDamaged."""
    if relative.endswith(".onnx"):
        return store.content(entry, revealed(store.read(entry.blob), folders))
    return replaced(store.chunks(entry.blob), folders)


def revealed(frame: bytes, folders: Mapping[bytes, bytes]) -> bytes:
    """The same for what is stored of a model itself (`finnyaml.store.tensors`)."""
    if PLACEHOLDER not in frame:
        return frame

    def shown(text: bytes) -> bytes:
        return b"".join(replaced([text], folders)) if PLACEHOLDER in text else text

    model = _parse(frame)
    if model is None:
        return shown(frame)
    _rewrite(model, shown)
    return bytes(model.SerializeToString(deterministic=True))


def _pack_model(data: bytes, places: Places, store: Store) -> tuple[str, str, tuple[Part, ...]] | None:
    """The digests of a stored model and of what it means, and its parts; None where it is not a model."""
    values: dict[str, memoryview] = {}

    def keep(raw: memoryview) -> str:
        digest = store.put_bytes(raw)
        values[digest] = raw
        return digest

    frame, parts = tensors.cut(data, keep)
    model = _parse(frame)
    if model is None:
        return None
    if parts and model.SerializeToString(deterministic=True) != frame:  # an order of its own: what is cut may move
        whole = _parse(data)
        assert whole is not None, "its frame is a model"
        frame, parts = tensors.cut(whole.SerializeToString(deterministic=True), keep)
        model.ParseFromString(frame)
    _rewrite(model, places.hide)
    digest = _digest(model, {part: values[part.digest] for part in parts})
    return store.put_bytes(model.SerializeToString(deterministic=True)), digest, parts


def _pack_binary(path: Path, places: Places, store: Store, mode: int) -> Entry:
    """A binary file can only move to a path of equal length: its offsets must not shift."""
    sandbox = str(places.sandbox).encode()
    if not holds(chunks_of(path), sandbox):
        blob = store.put_file(path)
        return Entry(blob, blob, mode)
    blob = store.put_stream(lambda: replaced(chunks_of(path), {sandbox: _padded(len(sandbox))}))
    return Entry(blob, blob, mode, pinned=len(sandbox))


def _padded(length: int) -> bytes:
    return b"@@finnyaml:work".ljust(length, b"@")[:length]


def references(data: bytes, places: Places) -> Iterator[str]:
    """Paths, relative to the sandbox, that the strings of a stored ONNX model name."""
    model = _parse(data)
    if model is None:
        return
    marker = places.folders[str(places.sandbox).encode()]
    for text in _strings(model):
        for match in re.finditer(re.escape(marker) + rb"/([^\s\"';:,]+)", text):
            yield match.group(1).decode(errors="replace").rstrip("/")


def model_digest(model: onnx.ModelProto) -> str:
    """Digest of what a model computes and carries, not of how its tensors happen to be called."""
    return _digest(model, {})


def _digest(frame: onnx.ModelProto, values: Mapping[Part, Piece]) -> str:
    """The `model_digest` of the model that has this frame: large values go into the digest from where they are."""
    canonical = onnx.ModelProto()
    canonical.CopyFrom(frame)
    for field in ("producer_name", "producer_version", "doc_string"):
        canonical.ClearField(field)
    _sort(canonical.metadata_props, lambda item: item.key)
    _sort(canonical.opset_import, lambda item: item.domain)
    held = {tensors.stand_in(part): value for part, value in values.items()}

    def content(item: Any) -> bytes:
        value = held.get(item.raw_data) if isinstance(item, onnx.TensorProto) else None
        if value is not None:
            full = onnx.TensorProto()
            full.CopyFrom(item)
            full.raw_data = bytes(value)
            item = full
        return bytes(item.SerializeToString(deterministic=True))

    _canonical_graph(canonical.graph, {}, content)
    sha = hashlib.sha256()
    for piece in tensors.whole(canonical.SerializeToString(deterministic=True), values):
        sha.update(values[piece] if isinstance(piece, Part) else piece)
    return sha.hexdigest()


def _canonical_graph(graph: onnx.GraphProto, outer: Mapping[str, str], content: Callable[[Any], bytes]) -> None:
    """Rename the inner tensors in topological order and sort what ONNX leaves unordered.

    The names of graph inputs and outputs are an interface and stay, as do node names: folding files use them. Tensors
    that nothing uses all have one name: their `content` puts them in order.
    """
    graph.ClearField("name")
    graph.ClearField("doc_string")
    names = dict(outer)
    names.update((item.name, item.name) for item in (*graph.input, *graph.output))
    for node in graph.node:
        for name in (*node.input, *node.output):
            if name and name not in names:
                names[name] = f"#{len(names)}"
    names.update((item.name, UNUSED) for item in (*graph.initializer, *graph.value_info) if item.name not in names)
    for node in graph.node:
        node.ClearField("doc_string")
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        kept = sorted(
            (item for item in node.metadata_props if item.key not in TRACE_METADATA), key=lambda item: item.key
        )
        _refill(node.metadata_props, kept)
        _sort(node.attribute, lambda item: item.name)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                attribute.t.ClearField("name")
            elif attribute.type == onnx.AttributeProto.GRAPH:
                _canonical_graph(attribute.g, names, content)
    for items in (graph.initializer, graph.value_info, graph.input, graph.output):
        for item in items:
            item.name = names.get(item.name, item.name)
            item.ClearField("doc_string")
            if isinstance(item, onnx.ValueInfoProto):
                item.ClearField("metadata_props")
    for named in (graph.initializer, graph.value_info):
        _sort(named, lambda item: (item.name, content(item) if item.name == UNUSED else b""))
    _sort(graph.metadata_props, lambda item: item.key)
    for annotation in graph.quantization_annotation:
        annotation.tensor_name = names.get(annotation.tensor_name, UNUSED)
        _sort(annotation.quant_parameter_tensor_names, lambda item: item.key)
    _sort(graph.quantization_annotation, lambda item: (item.tensor_name, item.SerializeToString(deterministic=True)))


def _sort(items, key) -> None:  # type: ignore[no-untyped-def]
    _refill(items, sorted(items, key=key))


def _refill(items, ordered) -> None:  # type: ignore[no-untyped-def]
    copies = []
    for item in ordered:
        copy = type(item)()
        copy.CopyFrom(item)
        copies.append(copy)
    del items[:]
    items.extend(copies)


def _strings(model: onnx.ModelProto) -> Iterator[bytes]:
    found: list[bytes] = []

    def note(text: bytes) -> bytes:
        found.append(text)
        return text

    _rewrite(model, note)
    yield from found


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        yield from graph.initializer
        for attribute in (attribute for node in graph.node for attribute in node.attribute):
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            graphs += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _rewrite(model: onnx.ModelProto, change: Callable[[bytes], bytes]) -> None:
    """Apply `change` to every string of a model that can hold a path."""
    for item in model.metadata_props:
        item.value = change(item.value.encode()).decode()
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        for item in graph.metadata_props:
            item.value = change(item.value.encode()).decode()
        for node in graph.node:
            for item in node.metadata_props:
                item.value = change(item.value.encode()).decode()
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.STRING:
                    attribute.s = change(attribute.s)
                elif attribute.type == onnx.AttributeProto.STRINGS:
                    attribute.strings[:] = [change(text) for text in attribute.strings]
                elif attribute.type == onnx.AttributeProto.GRAPH:
                    graphs.append(attribute.g)


def _parse(data: bytes) -> onnx.ModelProto | None:
    """The model in `data`; None when a file merely has the name of one."""
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception:  # protobuf raises its own DecodeError, whose home moves between versions
        return None
    return model if model.HasField("graph") else None
