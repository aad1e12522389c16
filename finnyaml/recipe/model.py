"""What a recipe says, and the names it is checked against. Data only: no FINN, no file access, no behaviour.

`recipe.load` makes these from YAML; `plan` turns them into a DAG. Paths are absolute here (the recipe wrote
them relative to itself). Every value that the user wrote can be traced back to its place with `Recipe.at`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from finnyaml.errors import Where

Pointer = tuple[str | int, ...]
"""A place inside the recipe document: `("steps", 3, "uses")`."""


@dataclass(frozen=True)
class CodeRef:
    """`path.py:function` (then `file` is absolute), `package.module:function` (then `module` is set) or a plug-in.

    A plug-in goes by its name, `text`; `plugin` is the group of entry points in which it is looked up.
    """

    text: str
    """As the user wrote it."""
    function: str
    file: Path | None = None
    module: str | None = None
    plugin: str | None = None


@dataclass(frozen=True)
class Download:
    """A file from the network, which the store gets once. It stands in a recipe as the path `@inputs/<name>`."""

    url: str
    sha256: str
    pointer: Pointer

    @property
    def path(self) -> Path:
        """The path that stands for it: by content, so that it does not matter from where it comes."""
        written = re.split("[?#]", self.url)[0].partition("//")[2].partition("/")[2]  # whatever is wrong with the rest
        base = re.sub(r"[^A-Za-z0-9._-]+", "-", unquote(written).rpartition("/")[2])[-100:]
        return Path("@inputs", f"{self.sha256[:16]}-{base}")

    @property
    def shown(self) -> str:
        """The URL as people and logs may see it: without what may be a secret."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", ""))


@dataclass(frozen=True)
class Trust:
    """What a recipe says of results that do not follow from what was read alone.

    `always`: run in every build. `pure`: False where the result is known to differ from run to run, True where the
    author answers for it, whatever was seen; None where the recipe is silent.
    """

    always: bool = False
    pure: bool | None = None

    def __and__(self, other: Trust) -> Trust:
        """What is said of a result that both speak of: the more careful word of the two."""
        said = {self.pure, other.pure}
        return Trust(self.always or other.always, False if False in said else None if None in said else True)


SILENT = Trust()
"""What a recipe says that says nothing."""


@dataclass(frozen=True)
class Resources:
    """What a step takes where it runs: processors, memory (MiB), time (minutes); None where nobody says."""

    cpus: int | None = None
    memory: int | None = None
    time: int | None = None

    def over(self, other: Resources) -> Resources:
        """These, and those of `other` where these say nothing."""
        return Resources(self.cpus or other.cpus, self.memory or other.memory, self.time or other.time)

    def __or__(self, other: Resources) -> Resources:
        """Enough for both."""
        pairs = ((self.cpus, other.cpus), (self.memory, other.memory), (self.time, other.time))
        return Resources(*(max(pair, key=lambda amount: amount or 0) for pair in pairs))


MODEST = Resources()
"""What a step takes of which nobody says anything."""


@dataclass(frozen=True)
class InputSpec:
    """The graph input as the *data set* has it.

    `shape` is the model's own input shape including the batch dimension (NCHW for a PyTorch image model); needed
    to export a Brevitas module. `datatype` is a QONNX datatype name (UINT8, FLOAT32, ...). `layout` is how the data
    is delivered: NHWC on a model that wants NCHW moves the transpose into the graph.
    """

    shape: tuple[int, ...] | None = None
    datatype: str | None = None
    layout: str | None = None


@dataclass(frozen=True)
class ModelSource:
    """Exactly one of `brevitas` (a factory that returns a torch module) and `onnx` (a file) is set."""

    brevitas: CodeRef | None = None
    onnx: Path | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    weights: Path | None = None
    weights_key: str | None = None
    """Where the state dict is inside the checkpoint, e.g. `state_dict`; None: the file is the state dict."""
    export: Mapping[str, Any] = field(default_factory=dict)
    """What Brevitas' export is called with beside the module: `dynamo`, `opset_version`."""
    input: InputSpec = InputSpec()
    trust: Trust = SILENT


@dataclass(frozen=True)
class Processing:
    """One pre- or post-processing stage merged into the graph.

    `kind` is `to_tensor`, `normalize`, `top_k`, `brevitas` or `onnx`; `options` holds its parameters
    (normalize: mean, std; top_k: k; brevitas: args).
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    code: CodeRef | None = None
    file: Path | None = None


@dataclass(frozen=True)
class StepEntry:
    """One entry of `steps:`.

    `uses` is a step name as written (a step of FINN or finnyaml, a phase, or code or a plug-in in `code`). `needs` is
    None where the recipe is silent (then: the previous entry). `with_` holds keyword arguments for code, or a
    settings overlay (`folding`, `fifo`, `specialize`, `target`, `outputs`, `finn`) for a FINN step, or the settings of
    an `rtl.` step. `timeout` is in seconds. `tools` are extra tools that custom code needs. `resources` are
    what it takes at least, where the site file has it run elsewhere. `trust` is what the recipe says of its result.
    `expect` is `exact` or `change`: what the step does to the outputs of the network. None: exact, but of code of the
    author's own a change is only said.
    """

    uses: str
    pointer: Pointer
    id: str | None = None
    needs: tuple[str, ...] | None = None
    with_: Mapping[str, Any] = field(default_factory=dict)
    code: CodeRef | None = None
    timeout: float | None = None
    tools: tuple[str, ...] = ()
    expect: str | None = None
    trust: Trust = SILENT
    resources: Resources = MODEST


@dataclass(frozen=True)
class FlowEdit:
    """An edit of a named flow: `op` is `insert_before`, `insert_after`, `replace` or `remove`."""

    op: str
    anchor: str
    pointer: Pointer
    entries: tuple[StepEntry, ...] = ()


@dataclass(frozen=True)
class Steps:
    """Either a named `flow` with `edits`, or explicit `entries`."""

    flow: str | None = None
    edits: tuple[FlowEdit, ...] = ()
    entries: tuple[StepEntry, ...] = ()

    @property
    def written(self) -> tuple[StepEntry, ...]:
        """Every entry that the recipe itself writes, also those in edits of a flow."""
        return (*self.entries, *(entry for edit in self.edits for entry in edit.entries))


@dataclass(frozen=True)
class Settings:
    """The sections that become FINN build configuration, still in the recipe's words and structure.

    Each is the validated mapping of that section with variables resolved and file names made absolute `Path`s.
    `outputs` is None where the recipe is silent.
    """

    folding: Mapping[str, Any] = field(default_factory=dict)
    specialize: Mapping[str, Any] = field(default_factory=dict)
    fifo: Mapping[str, Any] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] | None = None
    finn: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DataSpec:
    """A data set. `kind` says which of the others are set.

    `npz`: `file` is the archive, `inputs_key` and `labels_key` name arrays in it. `npy`: `file` holds the inputs,
    `labels_file` the labels. `images`: `file` is the folder. `python`: `code` is called with `args`. `labels_key` and
    `labels_file` are None where there are no labels.
    """

    kind: str
    file: Path | None = None
    inputs_key: str | None = None
    labels_key: str | None = None
    labels_file: Path | None = None
    code: CodeRef | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    """At most so many samples; None: all."""
    shuffle: int | None = None
    """The seed that chooses which samples; None: the first ones."""
    trust: Trust = SILENT


@dataclass(frozen=True)
class MetricSpec:
    """`kind` is `top_k` (with `k`; top1 is k = 1), `mse`, `psnr`, `max_abs`, `agreement` or `python` (with `code`)."""

    kind: str
    k: int | None = None
    code: CodeRef | None = None


@dataclass(frozen=True)
class ReferenceSpec:
    """What outputs are compared with.

    `kind` is `source` (the model as the recipe gives it), `step` (with its id as written in `step`) or `file`: an .npy
    file, or with `key` an .npz archive; one row of outputs per sample of the data set.
    """

    kind: str
    step: str | None = None
    file: Path | None = None
    key: str | None = None


@dataclass(frozen=True)
class Limits:
    """What is good enough; None where the recipe is silent.

    `max_drop` against the reference, `min` and `max` are in the metric's unit: a fraction for top_k and agreement.
    `min_agreement` is a fraction of the samples. `atol` and `rtol` are the tolerance on every output.
    """

    max_drop: float | None = None
    min: float | None = None
    max: float | None = None
    min_agreement: float | None = None
    atol: float | None = None
    rtol: float | None = None


@dataclass(frozen=True)
class PointEntry:
    """One entry of `verify.points`: `after` is a step's id or FINN's name of a point, as written.

    `on_fail` and `limit` are None, and `limits` has only None, where the section's own values hold.
    """

    after: str
    pointer: Pointer
    limits: Limits = Limits()
    on_fail: str | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Verify:
    """The section `verify`. `points` is None where the recipe is silent: then, one after every step.

    `on_fail` is `stop`, `warn` or `defer`; like `limits`, it holds for every point that says nothing else.
    """

    data: DataSpec
    metric: MetricSpec = MetricSpec("top_k", 1)
    reference: ReferenceSpec = ReferenceSpec("source")
    limits: Limits = Limits()
    points: tuple[PointEntry, ...] | None = None
    on_fail: str = "stop"


@dataclass(frozen=True)
class LintSettings:
    """The section `lint`. `ignore` has (rule id, node name) pairs; the node is None where the whole rule is meant."""

    ignore: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True)
class BundleSpec:
    """The section `bundle`. `files` maps each further file of the bundle to the template that it is filled from."""

    golden: int = 64
    templates: Path | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    vars: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Objective:
    """What a figure of the variants should be.

    `goal` is `maximize` or `minimize`. `min` and `max` are the limits of the figure, None where there is none. `source`
    is who has to say the figure (`engine.figures`); None: the best that there is.
    """

    name: str
    goal: str
    min: float | None = None
    max: float | None = None
    source: str | None = None


@dataclass(frozen=True)
class Search:
    """The section `search`: so many `trials`, chosen for these `objectives`, the same for the same `seed`."""

    trials: int
    seed: int
    objectives: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """A complete, structurally valid recipe."""

    path: Path
    name: str
    description: str
    model: ModelSource
    preprocess: tuple[Processing, ...]
    postprocess: tuple[Processing, ...]
    steps: Steps
    settings: Settings
    targets: Mapping[str, str]
    """Target name to step id; empty: every end of the DAG is a target under its own id."""
    workspace: Path
    files: tuple[Path, ...]
    """The recipe itself and every recipe it extends: what must not change for it to mean the same."""
    env: Mapping[str, str]
    """The declared environment variables that were used, with the values they had."""
    resolved: Mapping[str, Any]
    """The whole document after extends, vars and --set, as plain data (for the lock file and `--json`)."""
    toolchain: str = "auto"
    """Who makes and simulates hardware: `open` (our RTL steps), `vivado` (FINN's own), `auto`."""
    verify: Verify | None = None
    lint: LintSettings = LintSettings()
    downloads: Mapping[str, Download] = field(default_factory=dict)
    """Files from the network, by the paths that stand for them in the other fields."""
    bundle: BundleSpec | None = None
    """None: only made when the command line asks for it."""
    variant: str | None = None
    """The name of this variant of a recipe with a matrix."""
    variants: tuple[str, ...] = ()
    """The names of all its variants."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """The values that this variant has from the lists of the matrix."""
    lists: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """The lists of the matrix."""
    objectives: tuple[Objective, ...] = ()
    search: Search | None = None
    """None: all variants of the matrix are meant."""
    positions: Mapping[Pointer, Where] = field(repr=False, default_factory=dict)

    @property
    def directory(self) -> Path:
        """The folder that relative paths of the recipe start from."""
        return self.path.parent

    @property
    def output(self) -> Path:
        """The folder for results: the workspace, or what holds those of all variants."""
        return self.workspace if self.variant is None else self.workspace.parent

    def at(self, pointer: Pointer) -> Where | None:
        """The place of `pointer` in the file that wrote it, or of its nearest written ancestor."""
        while pointer and pointer not in self.positions:
            pointer = pointer[:-1]
        return self.positions.get(pointer)


@dataclass(frozen=True)
class Vocabulary:
    """The names of other rooms that a recipe may refer to, or must not take. They arrive as an argument.

    lint_rules: ids of all rules; None where nobody knows them, so that none is refused.
    own_settings: steps whose `with:` holds settings of their own instead of FINN's sections.
    plugins: names of plug-ins, by the group that a recipe names them from; None where nobody knows them.
    bundle_files: files that a template of the user's may replace, but no entry of `bundle.files` may write.
    bundle_reserved: a file or folder of every bundle that only finnyaml writes.
    finn_words: options of FINN, each with the place in a recipe that sets it.
    """

    lint_rules: Collection[str] | None = None
    own_settings: Collection[str] = ()
    plugins: Mapping[str, Collection[str]] | None = None
    bundle_files: Collection[str] = ()
    bundle_reserved: Collection[str] = ()
    finn_words: Mapping[str, str] = field(default_factory=dict)


ANY = Vocabulary()
"""Refuses no name."""
