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

TRACE_METADATA = ("pkg.torch.onnx.stack_trace", "pkg.torch.onnx.fx_node")
"""Node metadata with source paths and line numbers: moves with every edit of the user's file."""

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
                data = re.sub(re.escape(folder) + rb"(?![\w.-])", placeholder, data)
        return data

    @property
    def revealed(self) -> dict[bytes, bytes]:
        """Placeholder to the folder of this machine."""
        return {placeholder: folder for folder, placeholder in self.folders.items()}


@dataclass(frozen=True)
class Stored:
    """Content ready for the store: the bytes to keep, the digest of what they mean, and where they may go."""

    data: bytes
    digest: str
    pinned: int | None = None


def pack(relative: str, data: bytes, places: Places) -> Stored:
    """Make the content of a file relocatable, and tell its canonical digest."""
    if relative.endswith(".onnx"):
        model = _parse(data)
        if model is not None:
            _rewrite(model, places.hide)
            return Stored(model.SerializeToString(deterministic=True), model_digest(model))
    if b"\0" not in data:
        hidden = places.hide(data)
        return Stored(hidden, _sha(hidden))
    return _pack_binary(data, places)


def unpack(relative: str, data: bytes, places: Places, pinned: int | None) -> bytes:
    """The content of a stored file for this sandbox: the inverse of `pack`."""
    if pinned is not None:
        return data.replace(_padded(pinned), str(places.sandbox).encode().ljust(pinned, b"/"))
    return reveal(relative, data, places.revealed)


def reveal(relative: str, data: bytes, folders: Mapping[bytes, bytes]) -> bytes:
    """Stored content with each placeholder in `folders` replaced; the first that matches wins."""
    if b"@@finnyaml:" not in data:
        return data

    def replaced(text: bytes) -> bytes:
        for placeholder, folder in folders.items():
            text = text.replace(placeholder, folder)
        return text

    model = _parse(data) if relative.endswith(".onnx") else None
    if model is None:
        return replaced(data)
    _rewrite(model, replaced)
    return bytes(model.SerializeToString(deterministic=True))


def _pack_binary(data: bytes, places: Places) -> Stored:
    """A binary file can only move to a path of equal length: its offsets must not shift."""
    sandbox = str(places.sandbox).encode()
    if sandbox not in data:
        return Stored(data, _sha(data))
    hidden = data.replace(sandbox, _padded(len(sandbox)))
    return Stored(hidden, _sha(hidden), pinned=len(sandbox))


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
    canonical = onnx.ModelProto()
    canonical.CopyFrom(model)
    for field in ("producer_name", "producer_version", "doc_string"):
        canonical.ClearField(field)
    _sort(canonical.metadata_props, lambda item: item.key)
    _sort(canonical.opset_import, lambda item: item.domain)
    _canonical_graph(canonical.graph, {})
    return _sha(canonical.SerializeToString(deterministic=True))


def _canonical_graph(graph: onnx.GraphProto, outer: Mapping[str, str]) -> None:
    """Rename the inner tensors in topological order and sort what ONNX leaves unordered.

    The names of graph inputs and outputs are an interface and stay, as do node names: folding files use them.
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
                _canonical_graph(attribute.g, names)
    for items in (graph.initializer, graph.value_info, graph.input, graph.output):
        for item in items:
            item.name = names.get(item.name, item.name)
            item.ClearField("doc_string")
            if isinstance(item, onnx.ValueInfoProto):
                item.ClearField("metadata_props")
    _sort(graph.initializer, _by_name)
    _sort(graph.value_info, _by_name)
    _sort(graph.metadata_props, lambda item: item.key)
    for annotation in graph.quantization_annotation:
        annotation.tensor_name = names.get(annotation.tensor_name, UNUSED)
        _sort(annotation.quant_parameter_tensor_names, lambda item: item.key)
    _sort(graph.quantization_annotation, lambda item: (item.tensor_name, item.SerializeToString(deterministic=True)))


def _by_name(item: Any) -> tuple[str, bytes]:
    """Tensors that nothing uses all have one name: their content puts them in order."""
    return item.name, item.SerializeToString(deterministic=True) if item.name == UNUSED else b""


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


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
