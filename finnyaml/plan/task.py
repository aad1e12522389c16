"""A task: one step with its parameters, placed in the DAG of one recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finnyaml import plugins
from finnyaml.finn.settings import Staged
from finnyaml.kinds import KINDS, Kind
from finnyaml.recipe.model import MODEST, SILENT, Pointer, Resources, Trust
from finnyaml.steps import builtin, open_rtl
from finnyaml.store.digests import digest_of
from finnyaml.verify.gates import Gate


@dataclass(frozen=True)
class Task:
    """One node of the plan.

    `kind` names its declaration (`finnyaml.kinds`), `uses` what it runs. `params` are static: they are part of
    the key. `config` is the build configuration as the recipe asks for it, `defaults` what FINN takes for the fields
    it leaves out; only what the step reads of either counts. `own_settings` are the fields that `with:` set for this
    task alone. The model comes from the first of `needs`; the folders of all are laid over each other. `expect` is
    `exact` where it must not change what the network computes, `change` where it may, None where nobody says.
    `implementation` names the code that runs.

    `after` are tasks that have to be there before this one starts although it takes nothing from them: the gates
    above expensive work. `checks` is the step that a verification point measures or a bundle delivers, `gate` the rule
    on the measurement. `verifies` are FINN's own verification points that this step has to run. `trust` is what the
    recipe says of its result, `resources` what it takes at least where it runs. None of these, nor `expect`, is part of
    the key.
    """

    id: str
    kind: str
    uses: str
    needs: tuple[str, ...]
    pointer: Pointer
    params: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict, repr=False)
    staged: Mapping[str, Staged] = field(default_factory=dict)
    own_settings: frozenset[str] = frozenset()
    setting_pointers: Mapping[str, Pointer] = field(default_factory=dict, repr=False)
    tools: tuple[str, ...] = ()
    expect: str | None = None
    timeout: float | None = None
    after: tuple[str, ...] = ()
    checks: str | None = None
    gate: Gate | None = None
    verifies: tuple[str, ...] = ()
    trust: Trust = SILENT
    resources: Resources = MODEST
    implementation: Mapping[str, str] = field(default_factory=dict)

    def parts(self, inputs: Mapping[str, str]) -> dict[str, Any]:
        """What the key is made of, by name, given the digest of each needed task's model."""
        return {
            "step": [self.kind, self.uses],
            "implementation": dict(self.implementation),
            "params": dict(self.params),
            "inputs": [inputs[need] for need in self.needs],
        }

    def key(self, inputs: Mapping[str, str]) -> str:
        """The static key: under it the store keeps the traces of this work."""
        return digest_of(self.parts(inputs))

    @property
    def declared(self) -> Kind:
        """The declaration of its kind."""
        return KINDS[self.kind]

    @property
    def is_step(self) -> bool:
        """Whether it makes a model or files for the workspace, rather than looking at what others made."""
        return not self.declared.looks

    @property
    def calls_tools(self) -> bool:
        """Whether it hands work to external tools: nothing that can be known before is left to it."""
        return bool(self.tools) or self.kind in open_rtl.STEPS

    @property
    def runs_users_code(self) -> bool:
        """Whether a function of the recipe's author, or of a plug-in, has a part in it."""
        return _names_code(self.params)

    def setting(self, name: str) -> Any:
        """The value of a configuration field as this task would read it."""
        return self.config[name] if name in self.config else self.defaults.get(name)


def _names_code(params: Any) -> bool:
    if isinstance(params, Mapping):
        return bool(params.get("code")) or any(map(_names_code, params.values()))
    return isinstance(params, list) and any(map(_names_code, params))


def references(kind: str, uses: str, params: Mapping[str, Any]) -> tuple[str, ...]:
    """What decides what a task makes, for its keys: the code of its kind, and the functions of ours that it names."""
    found = [*KINDS[kind].code]
    for part in (params, params.get("data"), params.get("metric") if kind == "verify" else None):
        named = (part or {}).get("code") or {}
        if named.get("plugin"):
            found.append(plugins.installed(named["plugin"])[named["text"]].target)
    if kind == "repair" and uses in builtin.STEPS:
        found.append(builtin.STEPS[uses].function)
    if kind == "bisect":
        step = params["step"]
        found += references(step["kind"], step["uses"], step["params"])
    return tuple(found)
