"""Where FINN generates code and IP layer by layer: a way to step in, and to see what it asks for beyond a layer."""

from __future__ import annotations

import contextlib
import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper

FOLDER = "code_gen_dir_ipgen"
"""The attribute that names the folder of a layer's code; FINN leaves alone what has one that exists."""

MADE = "ipgen_path"
"""The same for the IP that Vitis HLS makes of it."""

_OF_A_TENSOR = frozenset(("get_tensor_datatype", "get_tensor_shape", "get_initializer"))
"""What a layer may ask a model about its own tensors."""


_NO_SETTINGS = ("_num_workers", "ref_input_model")
"""What qonnx keeps in a transformation for itself."""


@dataclass
class Work:
    """One transformation that is about to run: `what` is `code` or `ip`, `settings` are those of the transformation.

    `layers` are the nodes that it would do something for. Afterwards `curious` has the names of those whose code
    depends on more of the model than the layer and its tensors, or on random numbers.
    """

    what: str
    settings: Mapping[str, Any]
    model: ModelWrapper
    layers: list[Any]
    curious: set[str] = field(default_factory=set)


Around = Callable[[Work, Callable[[], ModelWrapper]], ModelWrapper]
"""What happens in place of a transformation: given the work, and FINN's own way to do it."""


@contextlib.contextmanager
def each_layer(around: Around) -> Iterator[bool]:
    """Let `around` do what FINN's transformations would do inside the `with` block.

    Gives False where the installed FINN does not generate layer by layer in the way that is known here.
    """
    try:
        from finn.transformation.fpgadataflow import hlssynth_ip, prepare_ip
    except ImportError:
        yield False
        return
    single: Any = getattr(prepare_ip, "_codegen_single_node", None)
    code: Any = getattr(prepare_ip, "PrepareIP", None)
    ip: Any = getattr(hlssynth_ip, "HLSSynthIP", None)
    known = single is not None and list(inspect.signature(single).parameters)[:2] == ["node", "model"]
    if not known or not hasattr(code, "apply") or not hasattr(ip, "apply"):
        yield False
        return
    current: list[Work] = []

    def asked(node: Any, model: ModelWrapper, *arguments: Any) -> None:
        seen, before = _Seen(model, {*node.input, *node.output}), _chance()
        single(node, seen, *arguments)
        if current and (seen.more or _chance() != before):
            current[-1].curious.add(node.name)

    def stepping_in(what: str, own: Callable[..., Any]) -> Callable[..., Any]:
        def apply(self: Any, model: ModelWrapper) -> tuple[ModelWrapper, bool]:
            settings = {name: value for name, value in vars(self).items() if name not in _NO_SETTINGS}
            plain = all(value is None or isinstance(value, str | int | float) for value in settings.values())
            layers = [*filter(_WAITS[what], model.graph.node)] if plain else []
            again = []

            def do() -> ModelWrapper:
                made, once_more = own(self, model)
                again.append(once_more)
                return made

            current.append(Work(what, settings, model, layers))
            try:
                return around(current[-1], do), any(again)
            finally:
                current.pop()

        return apply

    with (
        patch.object(prepare_ip, "_codegen_single_node", asked),
        patch.object(code, "apply", stepping_in("code", code.apply)),
        patch.object(ip, "apply", stepping_in("ip", ip.apply)),
    ):
        yield True


def text_of(node: Any, name: str) -> str:
    """The value of an attribute that is a text; "" where the node has none."""
    return next((item.s.decode(errors="replace") for item in node.attribute if item.name == name), "")


def _has_no_code(node: Any) -> bool:
    folder = text_of(node, FOLDER)
    return node.domain.endswith((".hls", ".rtl")) and not (folder and Path(folder).is_dir())


def _has_no_ip(node: Any) -> bool:
    folder, made = text_of(node, FOLDER), text_of(node, MADE)
    return node.domain.endswith(".hls") and folder != "" and not (folder in made and Path(made).exists())


def _chance() -> tuple[Any, ...]:
    """Where the generators of random numbers are."""
    numpys: Any = np.random.get_state()
    return random.getstate(), bytes(numpys[1]), numpys[2]


_WAITS: Mapping[str, Callable[[Any], bool]] = {"code": _has_no_code, "ip": _has_no_ip}


class _Seen(ModelWrapper):  # type: ignore[misc]
    """A model as the function for one layer sees it, which notes in `more` whether that asks for anything but its
    tensors.
    """

    def __init__(self, model: ModelWrapper, tensors: set[str]) -> None:
        self.__dict__.update(_seen=model, _tensors=tensors, more=False)

    def __getattribute__(self, name: str) -> Any:
        if name in ("more", "__dict__", "__class__"):
            return object.__getattribute__(self, name)
        own = object.__getattribute__(self, "__dict__")
        found = getattr(own["_seen"], name)
        if name not in _OF_A_TENSOR:
            own["more"] = True
            return found

        def of_a_tensor(tensor_name: str, *rest: Any, **named: Any) -> Any:
            own["more"] |= tensor_name not in own["_tensors"]
            return found(tensor_name, *rest, **named)

        return of_a_tensor

    def __setattr__(self, name: str, value: Any) -> None:
        self.__dict__["more"] = True
        setattr(self.__dict__["_seen"], name, value)
