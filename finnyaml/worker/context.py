"""What a runner is given, and how it reads the parameters of its task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnyaml.errors import StepFailed
from finnyaml.recipe.model import CodeRef, InputSpec, Processing
from finnyaml.steps import code

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

    from finnyaml.store import Store
    from finnyaml.worker.content import Places
    from finnyaml.worker.job import Done


@dataclass(frozen=True)
class Keeping:
    """What a runner needs that keeps parts of its work for other tasks.

    `places` are the folders that the store has placeholders for. `basis` is a digest of the code and of the versions
    of the tools that decide what it makes. `same` takes over what an earlier run read (variables, files and questions
    for files, as a trace has them) and the programs that it started; False where it would read something else now.
    `afterwards` are called with the result when it is in the store.
    """

    store: Store
    places: Places
    basis: str
    same: Callable[[Mapping[str, Mapping[str, Any]], Mapping[str, str | None]], bool]
    afterwards: list[Callable[[Done], None]] = field(default_factory=list)


@dataclass
class Context:
    """What a runner is given.

    `config` makes the recording build configuration; `file` turns an `@recipe/...` name into a path, and notes it as
    read. `root` is the sandbox, with the files of earlier tasks below `out/` and `build/`; `cache`, shared by all
    workers, is for what can be made again at any time, such as compiled simulators. `digests` are those of the models
    that it needs, by task. What a runner puts into `metrics` is kept beside its result, and is not a part of it.
    """

    uses: str
    params: Mapping[str, Any]
    model: ModelWrapper | None
    config: Callable[[], Any]
    file: Callable[[str], Path]
    recipe_dir: Path
    root: Path
    cache: Path
    metrics: dict[str, Any]
    digests: Mapping[str, str]
    keeping: Keeping | None = None


def needed_model(context: Context) -> ModelWrapper:
    """The model of the tasks before this one. Raises StepFailed where there is none."""
    if context.model is None:
        raise StepFailed(f"{context.uses} needs a model, and no task before it made one")
    return context.model


def made_model(result: Any, context: Context) -> ModelWrapper:
    """What a step function returned. Raises StepFailed where that is not a model."""
    from qonnx.core.modelwrapper import ModelWrapper

    if isinstance(result, ModelWrapper):
        return result
    got = "None" if result is None else f"a {type(result).__name__}"
    raise StepFailed(
        f"{context.uses} returned {got} instead of a ModelWrapper",
        hint="a step ends with `return model`",
    )


def input_spec(params: Mapping[str, Any]) -> InputSpec:
    """What the recipe says of the input."""
    data = params["input"]
    return InputSpec(tuple(data["shape"]) if data["shape"] else None, data["datatype"], data["layout"])


def code_ref(context: Context, data: Mapping[str, Any] | None = None) -> CodeRef:
    """The code that the parameters name; its file is noted as read."""
    return code.reference(data or context.params["code"], context.file)


def processing_stage(context: Context, data: Mapping[str, Any]) -> Processing:
    """One stage of pre- or post-processing; its files are noted as read."""
    return Processing(
        kind=data["kind"],
        options=data["options"],
        code=code_ref(context, data["code"]) if data.get("code") else None,
        file=context.file(data["file"]) if data.get("file") else None,
    )
