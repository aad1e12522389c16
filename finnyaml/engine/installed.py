"""What the installed FINN has, asked from it, in the recipe's words: steps, flows, build options, boards. Data only."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from finnyaml import plugins
from finnyaml.engine import record, slurm
from finnyaml.engine.pool import Pool
from finnyaml.engine.session import facts, installed_catalog, open_store
from finnyaml.errors import INSTALL_FINN, Problem, RecipeError, StoreError, ToolMissing
from finnyaml.finn import aliases, identity, settings, versions
from finnyaml.finn.catalog import Catalog, Field
from finnyaml.plan import phases
from finnyaml.plugins import Plugin
from finnyaml.recipe.load import load_recipes
from finnyaml.site.load import Site, load_site, remote_of
from finnyaml.site.needs import LOCAL
from finnyaml.steps import builtin, open_rtl
from finnyaml.store import Store
from finnyaml.store.remote import NotThere, Remote, Unreachable, check_url
from finnyaml.text import counted, did_you_mean, listed
from finnyaml.tools.doctor import Check
from finnyaml.tools.needs import needs
from finnyaml.worker.job import Failure


def open_catalog(store_option: Path | None, notice: Callable[[str], None]) -> Catalog:
    """The catalog of the installed FINN. ToolMissing where there is none."""
    if identity.package_root("finn") is None:
        hint = f"{INSTALL_FINN}, or run finnyaml where FINN is"
        raise ToolMissing("FINN is not installed in this Python environment, so it cannot be asked", hint=hint)
    store = open_store(store_option)
    installation = identity.find(store.memo, store.put_memo)
    if installation is None:
        raise ToolMissing("qonnx, which FINN stands on, is not installed in this Python environment")
    with contextlib.closing(Pool(store, 1)) as pool:
        return installed_catalog(store, installation, pool, notice)


def of_site(folder: Path) -> Iterator[Check]:
    """The site files that apply to a project in `folder`, and whether the remote store answers.

    Raises RecipeError where a site file is wrong.
    """
    site = load_site(folder)
    for file in site.files:
        yield Check("site file", "found", where=str(file), enables="what belongs to this place")
    if site.scratch:
        yield Check("scratch", "found", where=str(site.scratch), enables="where steps work")
    yield from _of_cluster(site)
    spec = remote_of(site)
    if spec is None:
        return
    enables, hint = "results of other machines", "check the URL, the network, and your credentials"
    try:
        check_url(spec.url)
        Remote(spec.url).has("0" * 64)
    except (StoreError, Unreachable, NotThere) as error:
        hint = (error.hint if isinstance(error, StoreError) else None) or hint
        yield Check("remote store", "note", where=spec.shown, enables=enables, note=str(error)[:300], hint=hint)
    else:
        signed = " and signed" if spec.key else ""
        use = f"results are fetched{', and sent' if spec.write else ''}{signed}"
        yield Check("remote store", "found", where=spec.shown, enables=enables, note=use)


def _of_cluster(site: Site) -> Iterator[Check]:
    """The executors, and what is needed of which."""
    enables = "steps that run as jobs"
    for name, executor in site.executors.items():
        if executor.kind == LOCAL:
            continue
        where = f"{executor.kind}, {executor.partition or 'the default partition'}"
        try:
            slurm.check()
            answers = slurm.answers()
        except ToolMissing as error:
            yield Check(name, "note", where=where, enables=enables, note=error.message, hint=error.hint)
            continue
        if executor.partition and answers and executor.partition not in answers:
            note = f"there is no partition {executor.partition}; there is {listed(sorted(answers))}"
            yield Check(name, "note", where=where, enables=enables, note=note, hint=f"see {executor.where}")
        elif not answers:
            hint = "see `sinfo`: is this a machine of the cluster?"
            yield Check(name, "note", where=where, enables=enables, note="Slurm does not answer", hint=hint)
        else:
            yield Check(name, "found", where=where, enables=enables)
    for name, need in site.needs.items():
        amounts = {**asdict(need.resources), **{f"licence {key}": count for key, count in need.licenses.items()}}
        told = [f"{key} {amount}" for key, amount in amounts.items() if amount]
        told += [counted(len(need.setup), "setup command")] if need.setup else []
        note = f"on {need.executor or 'its executor'}{': ' if told else ''}{', '.join(told)}"
        yield Check(f"needs of {name}", "found", enables=enables, note=note)


def imported(root: Path) -> Check:
    """Whether FINN imports here: a worker with its store in the folder `root` tries it, whatever was found before."""
    enables = "every FINN step"
    try:
        store = Store.open(root)
        installation = identity.find(store.memo, store.put_memo)
        if installation is None:
            return Check("FINN imports", "note", enables=enables, note="not tried: FINN or qonnx is not installed")
        with contextlib.closing(Pool(store, 1)) as pool, tempfile.TemporaryDirectory() as folder:
            found = pool.catalog(facts(installation), Path(folder, "log"))
    except StoreError as error:
        return Check("FINN imports", "note", enables=enables, note=f"not tried: {error.message}")
    version = versions.untested(installation.distribution, installation.version)
    if isinstance(found, Failure):
        mend = found.hint or "mend what the message names, in the environment of this Python"
        note = f"{found.message} ({version})" if version else found.message
        return Check("FINN imports", "missing", enables=enables, note=note, hint=mend)
    catalog = Catalog.from_json(found)
    there = {"step": catalog.steps, "flow": catalog.flows, "build option": catalog.fields, "board": catalog.boards}
    note = ", ".join(counted(len(named), word) for word, named in there.items())
    note += f". finnyaml is tested with {versions.TESTED}"
    if catalog.lacks:
        note += f". The open RTL path does not run with this one: it has no {listed(catalog.lacks, 'or')}"
    hint = "where a step fails, try it with one of those" if version else None
    state = "note" if version else "found"
    return Check("FINN imports", state, installation.version, installation.distribution, enables, note, hint)


def steps(catalog: Catalog) -> dict[str, Any]:
    """Steps, flows and phases as data."""
    return {
        "finn": str(catalog),
        "steps": {aliases.short(name): _step(catalog, name) for name in sorted(catalog.steps)},
        "flows": {name: [aliases.short(step) for step in listed] for name, listed in sorted(catalog.flows.items())},
        "phases": {name: {"doc": phase.doc, "parts": phases.part_ids(phase)} for name, phase in catalog.phases.items()},
        "repairs": {name: step.does for name, step in builtin.STEPS.items()},
        "rtl": {name: kind.does for name, kind in open_rtl.STEPS.items()},
        "plugins": {group: {name: _plugin(item) for name, item in listed.items()} for group, listed in _plugins()},
    }


def describe(catalog: Catalog, name: str, recipe: Path | None) -> dict[str, Any]:
    """All of one step, flow or phase. RecipeError where there is none of this name."""
    if name in catalog.flows:
        return {"flow": name, "steps": [aliases.short(step) for step in catalog.flows[name]]}
    if phase := phases.find(name, catalog):
        return {"phase": phase.name, "doc": phase.doc, "module": phase.module, "parts": phases.part_ids(phase)}
    if name in builtin.STEPS:
        return {"repair": name, "doc": builtin.STEPS[name].does}
    if name in open_rtl.STEPS:
        kind = open_rtl.STEPS[name]
        settings_ = [f"{key} ({json.dumps(value)})" for key, value in kind.settings.items()]
        return {"rtl": name, "doc": kind.does, "tools": list(kind.tools), "settings": settings_}
    for group, brought in _plugins():
        if name in brought:
            return {"plug-in": name, "group": f"finnyaml.{group}", **_plugin(brought[name])}
    last = record.last_build(load_recipes(recipe)[0][0].workspace) if recipe else {}  # of variants, the first
    uses = last[name]["parts"]["step"][1] if name in last else name
    real = aliases.resolve(uses, catalog.steps)
    if real is None and name not in last:
        ours = [*builtin.STEPS, *open_rtl.STEPS]
        known = [*map(aliases.short, catalog.steps), *ours, *catalog.phases, *catalog.flows, *last]
        hint = did_you_mean(name, known, 3)
        raise RecipeError([Problem(f"{catalog} has no step, flow or phase {name!r}", hint=hint)])
    described = {"step": aliases.short(real), **_step(catalog, real)} if real else {"step": name, "runs": uses}
    return described | {"reads": _reads(name, real, last)} if recipe else described


def options(catalog: Catalog) -> dict[str, Any]:
    """FINN's build options as data; `ours` are those that finnyaml sets or replaces."""
    return {"finn": str(catalog), "options": {name: _option(field) for name, field in catalog.fields.items()}}


def option(catalog: Catalog, name: str) -> dict[str, Any]:
    """One build option, by FINN's name or the recipe's word. RecipeError where there is none."""
    words = {word: field for field in catalog.fields for word in (field, *word_of(field).split(", "))}
    if name not in words:
        hint = did_you_mean(name, words) or "`finnyaml steps options` lists them"
        raise RecipeError([Problem(f"{catalog} has no build option {name!r}", hint=hint)])
    return _option(catalog.fields[words[name]])


def _option(field: Field) -> dict[str, Any]:
    more = {"recipe": word_of(field.name), "ours": field.name in settings.OURS, "shown": field.shown_choices}
    return asdict(field) | more


def boards(catalog: Catalog) -> dict[str, Any]:
    """Boards and their FPGA parts as data."""
    return {"finn": str(catalog), "boards": dict(catalog.boards)}


def word_of(name: str) -> str:
    """What sets this field of FINN's configuration in a recipe."""
    words = {field: f"{section}.{key}" for (section, key), field in settings.STRUCTURED.items()}
    for section, field in settings.CONFIG_FILES.items():
        words[field] = f"{section}.file, {section}.{'depths' if section == 'fifo' else 'nodes'}"
    words |= {"generate_outputs": "outputs"}
    words |= {field: word.strip("`") for field, word in settings.OURS.items() if field not in words}
    return words.get(name, f"finn.{name}")


def _plugins() -> Iterator[tuple[str, Mapping[str, Plugin]]]:
    return ((group, plugins.installed(group)) for group in plugins.DOORS)


def _plugin(plugin: Plugin) -> dict[str, str]:
    return {"distribution": plugin.distribution, "function": plugin.target}


def _step(catalog: Catalog, name: str) -> dict[str, Any]:
    step = catalog.steps[name]
    defaults = {field.name: field.default for field in catalog.fields.values()}
    return {
        "doc": step.doc,
        "module": step.module,
        "tools": list(needs(name, defaults, distribution=catalog.distribution)),
        "flows": [flow for flow, listed in catalog.flows.items() if name in listed],
        "aliases": [aliases.short(other) for row in aliases.SYNONYMS if name in row for other in row if other != name],
    }


def _reads(name: str, step: str | None, last: Mapping[str, Any]) -> dict[str, Any]:
    """What the task `name`, else each task of the step, read in the last build. RecipeError where there was none."""
    tasks = [name] if name in last else [task for task, built in last.items() if built["parts"]["step"][1] == step]
    if not tasks:
        hint = f"it built {', '.join(last)}" if last else "it was never built here"
        raise RecipeError([Problem(f"the last build of the recipe has no step {name!r}", hint=hint)])
    return {task: last[task]["reads"] for task in tasks}
