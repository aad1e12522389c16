"""What a worker is asked to do, and what it answers: plain data that crosses the process boundary as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from finnyaml.errors import InvalidSetting
from finnyaml.store import Entry

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class Job:
    """One task, with everything that its execution may depend on.

    `kind` names its declaration (`finnyaml.kinds`), of which `runner` and `warm_up` (for a search, that of the step
    that is searched) come along, so that workers depend on no other kind. `users_code`: a function of the recipe's
    author, or of a plug-in, has a part in it. `uses` is the step's name or the code it runs. `params` are the static
    parameters; file names in them are written `@recipe/...`. `config` holds FINN build configuration in the
    recipe's words; file names in it are `@inputs/...`, with `inputs` giving each as it is stored. `tree` is what the
    tasks before it left, `digests` name the models of each. `basis` is a digest of the code and the tools that decide
    the result ("": no part of it comes from earlier work). `seed` fixes the random names that FINN makes up.
    """

    task: str
    kind: str
    uses: str
    params: Mapping[str, Any]
    config: Mapping[str, Any]
    inputs: Mapping[str, Entry]
    tree: Mapping[str, Entry]
    seed: str
    recipe_dir: str
    log: str
    runner: str
    warm_up: str | None = None
    users_code: bool = False
    digests: Mapping[str, str] = field(default_factory=dict)
    basis: str = ""

    def to_json(self) -> dict[str, Any]:
        """The JSON form; `from_json` is its inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON form."""
        files = {
            name: {path: Entry.from_json(entry) for path, entry in data[name].items()} for name in ("tree", "inputs")
        }
        return cls(**{**data, **files})


@dataclass(frozen=True)
class Done:
    """A job that succeeded.

    `config_reads` names the configuration fields it read; `reads` holds the other kinds of a trace (`file`, `dir`,
    `tree`, `env`); `programs` the programs it started with their paths. `unsure` names inputs that changed while the
    step ran: its result must not be kept for later. `unseen` says what was read without being seen, and why; `differs`
    what the step asked for that is never the same again (time, randomness, network), both in plain words. `seconds` is
    the step's own time, `warm_up` what its worker took before that to import FINN or torch.
    """

    digest: str
    model: str | None
    files: Mapping[str, Entry]
    removed: tuple[str, ...]
    config_reads: tuple[str, ...]
    reads: Mapping[str, Mapping[str, Any]]
    programs: Mapping[str, str | None]
    unsure: tuple[str, ...]
    seconds: float
    warm_up: float
    peak_memory: int
    metrics: Mapping[str, Any] = field(default_factory=dict)
    unseen: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON form (`dataclasses.asdict`)."""
        files = {path: Entry.from_json(entry) for path, entry in data["files"].items()}
        lists = {name: tuple(data[name]) for name in ("removed", "config_reads", "unsure", "unseen", "differs")}
        return cls(**{**data, "files": files, **lists})


@dataclass(frozen=True)
class Failure:
    """A job that failed: the error as the step raised it, in one line and in full.

    `place` is the transformation and the node that it came from, `known` what is known of such an error.
    `cause` is the first real error in its log or in the logs that tools left, `cause_log` a copy of that log.
    `tool_log` is a copy of what a tool wrote last, where it does not tell the cause.
    `damaged` is a store object that turned out damaged while the job was prepared: the engine rebuilds what made it.
    """

    type: str
    message: str
    hint: str | None = None
    traceback: str = ""
    place: str | None = None
    known: str | None = None
    cause: str | None = None
    cause_log: str | None = None
    tool_log: str | None = None
    invalid_settings: tuple[InvalidSetting, ...] = ()
    damaged: str | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON form (`dataclasses.asdict`)."""
        listed = data["invalid_settings"]
        found = tuple(InvalidSetting(**{**item, "path": tuple(item["path"])}) for item in listed)
        return cls(**{**data, "invalid_settings": found})
