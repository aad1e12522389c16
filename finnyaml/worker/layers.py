"""Layers whose code or IP an earlier task made, of any variant, network or user of the store. Runs inside workers.

A layer is what FINN's function for one node gets: operator, attributes, its tensors with types, shapes and values,
part and clock, the code of FINN and the versions of tools; for IP also the files of its code. Its name and folder do
not count: they are replaced where a layer is used under another name, if all of its files are text in which the name
can be told from everything else, or arrays of numbers; otherwise it is used under its own name only.

What is kept is a small record in the cache of the store, which names files of the artifact that the layer came with. It
lasts as long as some artifact has these: a layer whose files are gone, or damaged, is made anew.

A layer whose function asks for more of the model than this is not kept. What the step read beside that (variables,
files of a FINN whose templates lie outside its package) has to be as it was, and is taken over into the trace of the
step that uses the layer. No layer is kept of a step that read something else.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import AttributeProto, NodeProto

from finnyaml.errors import StoreError
from finnyaml.files import NotAFile, discard
from finnyaml.files import content as content_of
from finnyaml.finn.layer_code import FOLDER, Work, each_layer, text_of
from finnyaml.store import Entry
from finnyaml.store.digests import digest_of
from finnyaml.store.disk import replace_file, seal, unseal
from finnyaml.store.streams import write
from finnyaml.worker import content
from finnyaml.worker.content import TRACE_METADATA
from finnyaml.worker.context import Context, Keeping

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

    from finnyaml.worker.job import Done

STEPS = frozenset(("step_hw_codegen", "step_hw_ipgen"))
"""Steps of FINN that do little else than to make layers."""

_PLAIN = frozenset(
    (AttributeProto.STRING, AttributeProto.INT, AttributeProto.FLOAT, AttributeProto.INTS, AttributeProto.FLOATS)
)
"""Types of attributes that FINN may set on a layer that is kept."""

_TOUCH = 3600.0  # seconds; the cache of a store is swept by days


@contextmanager
def reused(context: Context) -> Iterator[None]:
    """Inside the `with` block FINN makes only the layers that are nowhere yet; the others are laid in."""
    if context.keeping is None or context.uses not in STEPS:
        yield
        return
    layers = Layers(context, context.keeping)
    with each_layer(layers.around):
        yield
    if layers.there or layers.made:
        context.metrics["layers"] = {"there": layers.there, "made": layers.made}
        print(f"{layers.there} of {layers.there + layers.made} layers were there")
    context.keeping.afterwards.append(layers.keep)


@dataclass(frozen=True)
class _Pending:
    """A layer that FINN has just made: its keys, for all names and for its own only, and its node before and after."""

    key: str
    own_key: str
    before: NodeProto
    after: NodeProto
    what: str
    tensors: tuple[str, ...]


class Layers:
    """The layers of one step: how many were `there`, and how many FINN `made`."""

    def __init__(self, context: Context, keeping: Keeping) -> None:
        self.there = self.made = 0
        self._keeping = keeping
        self._store = keeping.store
        self._root = context.root
        self._kept = context.cache / "layers"
        self._places = keeping.places
        self._pending: list[_Pending] = []
        self._folders: set[str] = set()
        self._digests: dict[str, str] = {}

    def around(self, work: Work, own: Callable[[], ModelWrapper]) -> ModelWrapper:
        """Lay in what is there, let FINN do the rest, and remember that."""
        self._digests.clear()
        names = [node.name for node in work.model.graph.node]
        keys: dict[str, tuple[str, str, NodeProto]] = {}
        for node in work.layers:
            found = self._keys(work, node) if names.count(node.name) == 1 and node.name else None
            if found is not None and any(self._restored(work.what, key, node) for key in found):
                self.there += 1
                continue
            self.made += 1
            if found is not None:
                before = NodeProto()
                before.CopyFrom(node)
                keys[node.name] = (*found, before)
        model = own()
        for node in model.graph.node:
            if folder := text_of(node, FOLDER):
                self._folders.add(os.path.basename(folder))
            if node.name in keys and node.name not in work.curious:
                after = NodeProto()
                after.CopyFrom(node)
                tensors = tuple(filter(None, (*node.input, *node.output)))
                self._pending.append(_Pending(*keys[node.name], after, work.what, tensors))
        return model

    def keep(self, done: Done) -> None:
        """Keep the layers that FINN made, now that the files of the step are in the store."""
        reads = self._reads(done)
        built = [path.split("/") for path in (*done.files, *done.removed) if path.startswith("build/")]
        elsewhere = any(parts[1] not in self._folders for parts in built)
        if reads is None or elsewhere or done.unsure or done.unseen or done.differs or self._store.read_only:
            return
        with suppress(StoreError):
            for layer in self._pending:
                self._keep(layer, done, reads)

    def _reads(self, done: Done) -> dict[str, dict[str, Any]] | None:
        """What whoever uses a layer has to take over into its trace; None where it cannot.

        What was read in a layer's own folder is known by its key, and what lies in `out/` is no matter of layers.
        """
        found: dict[str, dict[str, Any]] = {}
        for kind, names in done.reads.items():
            for name, state in names.items():
                path = name.removeprefix("@tree/")
                folder, _, inside = path.partition("/")
                within = kind == "tree" or (kind == "stat" and name != path)
                if within and (folder == "out" or inside.split("/")[0] in self._folders):
                    continue
                if kind not in ("env", "file", "stat") or within or name.startswith("@inputs/"):
                    return None
                found.setdefault(kind, {})[name] = state
        return found

    # -- what a layer is ----------------------------------------------------------------------------------------------

    def _keys(self, work: Work, node: NodeProto) -> tuple[str, str] | None:
        """For all names, and for this name only; None for what holds a graph of its own."""
        if any(item.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for item in node.attribute):
            return None
        folder = os.path.basename(text_of(node, FOLDER)) if work.what == "ip" else ""
        plain = _Renamed(node.name, "@name", folder, "@folder") if _is_unique(node) else _Same()
        tensors = [self._tensor(work.model, name) for name in (*node.input, *node.output)]
        parts = [
            self._keeping.basis,
            work.what,
            dict(work.settings),
            [node.op_type, node.domain],
            sorted([item.key, item.value] for item in node.metadata_props if item.key not in TRACE_METADATA),
            [len(node.input), tensors],
            sorted([item.name, self._value(item, plain)] for item in node.attribute if item.name != FOLDER or folder),
            sorted([plain.text(name), _hash(plain(self._hidden(path)))] for name, path in self._files(folder)),
        ]
        return digest_of(parts), digest_of([*parts, node.name, folder])

    def _tensor(self, model: ModelWrapper, name: str) -> list[Any]:
        if not name:
            return []
        values = model.get_initializer(name)
        if values is not None and name not in self._digests:
            whole = np.ascontiguousarray(values)
            self._digests[name] = hashlib.sha256(repr((whole.shape, whole.dtype.str)).encode() + whole.data).hexdigest()
        shape = model.get_tensor_shape(name)
        return [str(model.get_tensor_datatype(name)), list(shape) if shape else None, self._digests.get(name)]

    def _value(self, item: AttributeProto, renamed: Callable[[bytes], bytes]) -> list[str]:
        if item.type == AttributeProto.STRING:
            return ["text", renamed(self._places.hide(item.s)).decode("latin-1")]
        return ["other", base64.b64encode(item.SerializeToString(deterministic=True)).decode()]

    def _files(self, folder: str) -> Iterator[tuple[str, Path]]:
        whole = self._root / "build" / folder
        if folder:
            yield from ((str(path.relative_to(whole)), path) for path in whole.rglob("*") if path.is_file())

    def _hidden(self, path: Path) -> bytes:
        return self._places.hide(path.read_bytes())

    # -- laid in ------------------------------------------------------------------------------------------------------

    def _restored(self, what: str, key: str, node: NodeProto) -> bool:
        """Whether a layer was there, and is now as if FINN had just made it for this node."""
        path = self._kept / key
        with suppress(FileNotFoundError, NotAFile, PermissionError, KeyError, TypeError, ValueError, StoreError):
            record = unseal(key, content_of(path))
            files = {name: Entry.from_json(entry) for name, entry in record["files"].items()}
            here = len(str(self._root))
            if not all(
                all(map(self._store.has, entry.blobs)) and entry.pinned in (None, here) for entry in files.values()
            ):
                return False
            if not self._keeping.same(record["reads"], record["programs"]):
                return False
            self._lay_in(what, record, files, node)
            with suppress(PermissionError):  # that of another user of a shared store
                if time.time() - path.stat().st_mtime > _TOUCH:
                    os.utime(path)
            return True
        return False

    def _lay_in(self, what: str, record: Mapping[str, Any], files: Mapping[str, Entry], node: NodeProto) -> None:
        if what == "code":
            begins = _Renamed(record["name"], node.name).text(record["folder"]).rstrip("0123456789")
            folder = Path(tempfile.mkdtemp(prefix=begins, dir=self._root / "build"))
        else:
            folder = self._root / "build" / os.path.basename(text_of(node, FOLDER))
        renamed: _Renamed | _Same = _Same()
        if (record["name"], record["folder"]) != (node.name, folder.name):
            renamed = _Renamed(record["name"], node.name, record["folder"], folder.name)
        places = [folder / renamed.text(name) for name in files]
        whole = {folder / path.relative_to(folder).parts[0] for path in places}
        new = [path for path in whole if not os.path.lexists(path)]
        try:
            if not isinstance(renamed, _Same) and not record["free"]:
                raise ValueError("its files are those of its own name and folder")
            if len(new) < len(whole):
                raise ValueError("something else is there")
            for path, (name, entry) in zip(places, files.items(), strict=True):
                path.parent.mkdir(parents=True, exist_ok=True)
                pieces = content.unpack(name, entry, self._places, self._store)
                write(path, pieces if isinstance(renamed, _Same) else [renamed(b"".join(pieces))])
                path.chmod(entry.mode)
        except BaseException:
            for path in [folder] if what == "code" else new:
                discard(path)
            raise
        for name, (kind, value) in record["attributes"]:
            made = AttributeProto(name=name, type=AttributeProto.STRING)
            if kind == "text":
                shown = value.encode("latin-1")
                for placeholder, place in self._places.revealed.items():
                    shown = shown.replace(placeholder, place)
                made.s = renamed(shown)
            else:
                made.ParseFromString(base64.b64decode(value))
            there = next((item for item in node.attribute if item.name == name), None)
            (there if there is not None else node.attribute.add()).CopyFrom(made)

    # -- kept ---------------------------------------------------------------------------------------------------------

    def _keep(self, layer: _Pending, done: Done, reads: Mapping[str, Any]) -> None:
        before, after = layer.before, layer.after
        name, folder = after.name, os.path.basename(text_of(after, FOLDER))
        inside = f"build/{folder}/"
        old = {item.name: item.SerializeToString(deterministic=True) for item in before.attribute}
        gone = old.keys() - {item.name for item in after.attribute}
        if gone or _bare(before) != _bare(after) or any(path.startswith(inside) for path in done.removed):
            return
        files = {path.removeprefix(inside): entry for path, entry in done.files.items() if path.startswith(inside)}
        changed = [item for item in after.attribute if old.get(item.name) != item.SerializeToString(deterministic=True)]
        if any(item.type not in _PLAIN for item in changed):
            return
        renamed = _Renamed(name, "@name", folder, "@folder")
        texts = [self._places.hide(item.s) for item in changed if item.type == AttributeProto.STRING]
        texts += [path.encode() for path in files]
        free = _is_unique(after) and all(map(renamed.certain, texts))
        for path in files:
            data = self._hidden(self._root / inside / path)
            if layer.what == "code" and any(_word(tensor).search(data) for tensor in layer.tensors):
                return  # what its tensors are called is not a part of the layer
            free = free and renamed.certain(data) and (b"\0" not in data or _is_array(data, name))
        record = {
            "name": name,
            "folder": folder,
            "files": {path: entry.to_json() for path, entry in files.items()},
            "attributes": [[item.name, self._value(item, _Same())] for item in changed],
            "free": free,
            "reads": reads,
            "programs": dict(done.programs),
        }
        key = layer.key if free else layer.own_key
        replace_file(self._store.root, self._kept / key, seal(key, record), durable=False)


class _Same:
    """Leaves names as they are."""

    def __call__(self, data: bytes) -> bytes:
        return data

    def text(self, data: str) -> str:
        return data


class _Renamed:
    """Puts another name and folder in the place of those that a layer has, where they stand by themselves."""

    def __init__(self, name: str, new_name: str, folder: str = "", new_folder: str = "") -> None:
        self._words = {folder.encode(): new_folder.encode(), name.encode(): new_name.encode()}
        self._words.pop(b"", None)
        self._name = name.encode()
        self._any = re.compile(re.escape(self._name), re.IGNORECASE)
        words = b"|".join(map(re.escape, self._words))  # the folder first, in whose name the other is
        self._pattern = re.compile(rb"(?<![A-Za-z0-9])(?:%b)(?![A-Za-z0-9])" % words)

    def __call__(self, data: bytes) -> bytes:
        if not any(word in data for word in self._words):
            return data
        return self._pattern.sub(lambda found: self._words[found[0]], data)

    def text(self, data: str) -> str:
        """The same for a path."""
        return self(data.encode()).decode()

    def certain(self, data: bytes) -> bool:
        """Whether the name stands by itself, and as it is written, wherever it stands in it."""
        found = self._pattern.findall(data)
        alone = all(data.count(word) == found.count(word) for word in self._words if word != self._name)
        return alone and self._any.search(self(data)) is None


def _is_unique(node: NodeProto) -> bool:
    """Whether the name is one that FINN gives to a node of many, and not a word that may stand anywhere."""
    return re.fullmatch(rf"\w*{re.escape(node.op_type)}_[0-9]+", node.name) is not None


def _word(text: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?<!\w)%b(?!\w)" % re.escape(text.encode()))


def _is_array(data: bytes, name: str) -> bool:
    """Whether a binary file is an array of numpy, of which all can be seen, and the name is not in it."""
    return data.startswith(b"\x93NUMPY") and name.encode() not in data


def _bare(node: NodeProto) -> bytes:
    """A node without its attributes."""
    bare = NodeProto()
    bare.CopyFrom(node)
    del bare.attribute[:]
    return bytes(bare.SerializeToString(deterministic=True))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
