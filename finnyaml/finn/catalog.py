"""What the installed FINN has: steps, flows, phases, configuration fields, boards. Asked from it, never copied.

The catalog is read from FINN once per installed version, in a worker process (`finnyaml.finn.introspect`), and kept
in the store under the identity of the installation. So the command line knows FINN without importing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Field:
    """One field of FINN's `DataflowBuildConfig`.

    `kind` is `bool`, `int`, `float`, `str`, `path`, `enum`, `list`, `dict` or `object`; `item` the kind of list
    items; `choices` the values of an enum (also of a list of enums), as they are written in YAML, and `names` what
    FINN's Python calls them, in the same order (none where it has no names for them). `default` is the JSON form of
    FINN's own default value.
    """

    name: str
    kind: str
    optional: bool
    default: Any
    choices: tuple[str, ...] = ()
    item: str | None = None
    doc: str = ""
    names: tuple[str, ...] = ()

    def choice(self, value: Any) -> str | None:
        """The value of an enum that is written as its value or by its name; None where there is none."""
        text = str(value)
        return text if text in self.choices else dict(zip(self.names, self.choices, strict=False)).get(text)

    @property
    def shown_choices(self) -> list[str]:
        """The choices for people: `3 (PERFORMANCE_BEST)`, but `vivado_zynq` where the name says no more."""
        names = dict(zip(self.choices, self.names, strict=False))
        shown = ((value, names.get(value, value)) for value in self.choices)
        return [value if value.lower() == name.lower() else f"{value} ({name})" for value, name in shown]


@dataclass(frozen=True)
class FinnStep:
    """One step that FINN registers, under FINN's own name (`step_streamline`)."""

    name: str
    doc: str
    module: str


@dataclass(frozen=True)
class Phase:
    """A phase of newer FINN versions: its top-level statements in order.

    Each is (`step`, name) for a plain call of a step, or (`segment`, index) for a conditional statement, which runs
    as one task; ((`segment`, `all`),) is a phase that cannot be taken apart.
    """

    name: str
    doc: str
    module: str
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Catalog:
    """All that the recipe can name of one FINN installation."""

    identity: str
    distribution: str
    version: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    steps: Mapping[str, FinnStep] = field(default_factory=dict)
    phases: Mapping[str, Phase] = field(default_factory=dict)
    flows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    boards: Mapping[str, str] = field(default_factory=dict)
    """Board name to FPGA part, as `finn.util.basic` has them."""
    datatypes: tuple[str, ...] = ()
    points: Mapping[str, str] = field(default_factory=dict)
    """FINN's own verification points by name (`streamlined_python`), each with the step that runs it."""
    shells: Mapping[str, str] = field(default_factory=dict)
    """The shell (`vivado_zynq`) that FINN makes for a board, as far as its tables say it."""
    outputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Each of FINN's outputs (`bitfile`) with the steps that look whether it is asked for."""
    lacks: tuple[str, ...] = ()
    """What the open RTL path needs and this FINN does not have; with any of it missing, that path does not run."""
    checks: bool = False
    """Whether FINN has checks of a configuration of its own (`finnyaml.finn.own_checks`)."""

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"

    def to_json(self) -> dict[str, Any]:
        """The JSON form; `from_json` is its inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Catalog:
        """Read the JSON form."""
        flows = {name: tuple(steps) for name, steps in data["flows"].items()}
        fields = {
            name: Field(**{**item, "choices": tuple(item["choices"]), "names": tuple(item["names"])})
            for name, item in data["fields"].items()
        }
        steps = {name: FinnStep(**item) for name, item in data["steps"].items()}
        phases = {
            name: Phase(**{**item, "parts": tuple(map(tuple, item["parts"]))}) for name, item in data["phases"].items()
        }
        outputs = {name: tuple(steps) for name, steps in data["outputs"].items()}
        tables = {"fields": fields, "steps": steps, "phases": phases, "flows": flows, "outputs": outputs}
        lists = {name: tuple(data[name]) for name in ("datatypes", "lacks")}
        return cls(**{**data, **tables, **lists})
