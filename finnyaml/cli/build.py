"""`finnyaml build`: bring the selected targets up to date, and tell what happened."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from finnyaml.cli import failures, lint, lockfile, story
from finnyaml.cli.render import Console, Progress, relative, summary_lines
from finnyaml.cli.session import Session
from finnyaml.engine import figures, lints, record, refusals, workspace
from finnyaml.engine.events import EventLog
from finnyaml.engine.holding import holding
from finnyaml.engine.localise import Localised, localise_all
from finnyaml.engine.run import MAX_REPAIRS, Engine, Outcome
from finnyaml.errors import ExitCode, FinnyamlError, Problem, RecipeError, ToolMissing
from finnyaml.plan import without_vivado
from finnyaml.plan.graph import Plan
from finnyaml.plan.select import Selection
from finnyaml.plan.status import Judge, Status
from finnyaml.recipe.words import dotted
from finnyaml.store import ObjectDamaged
from finnyaml.store.digests import digest_of
from finnyaml.tools import registry
from finnyaml.worker.job import Failure


@dataclass(frozen=True)
class Options:
    """What the command line says about a build, beside the recipe and the selection."""

    jobs: int = 1
    keep_going: bool = False
    frozen: bool = False
    lock: bool = False
    verbose: bool = False


def build(
    session: Session, selection: Selection, options: Options, console: Console
) -> tuple[ExitCode, dict[str, Any], Outcome]:
    """Build; returns the exit code, the record of the run as plain data, and what became of the tasks.

    Raises:
        ToolMissing: a selected task needs a tool that is not here (unless `keep_going`).
        RecipeError: `--frozen` and the lock file disagree, or a setting does not fit the model.
    """
    started = time.time()
    plan, recipe = session.plan, session.recipe
    judge = session.judge()
    workspace.check_owner(recipe)
    statuses = judge.survey(selection.tasks, selection.forced)
    selection.check(statuses)
    if not options.keep_going:
        _refuse_blocked(statuses, plan)
    _refuse_blanks(statuses, plan, session.store.root)
    if options.lock and selection.partial:
        raise RecipeError([Problem("--lock records a whole build, so it does not go with --to or --only")])
    locked = lockfile.read(recipe) if options.frozen else None
    if locked is not None:
        lockfile.check_before(locked, session)
    engine, view = open_engine(session, judge, selection.tasks, options, console)
    events, folder = engine.events, engine.folder
    outcome, localised, found = Outcome(), list[Localised](), list[Problem]()
    written = workspace.Written()
    events.emit("run_started", recipe=str(recipe.path), finn=str(session.catalog), tasks=sorted(selection.tasks))
    try:
        with view, session.store.session():
            outcome = engine.run(plan, selection)
            localised = localise_all(engine, plan, outcome)
            found = _lint(session, engine, outcome)
            if not selection.partial and len(outcome.built) == len(plan.tasks):
                wanted = recipe.settings.finn.get("verify_steps") or ()
                steps = {task.uses for task in plan.tasks.values()}
                by_finn = without_vivado.by_finn(wanted, steps, plan.catalog, plan.toolchain)
                outcome.unverified = refusals.points_that_never_ran(by_finn, outcome.built)
            if locked is not None:
                lockfile.check_after(locked, outcome.records, session)
            with session.store.lock(f"workspace-{digest_of(str(recipe.workspace))}"):
                written = _materialise(session, engine, selection, outcome)
                if locked is not None:
                    lockfile.check_after(locked, outcome.records, session)  # it may have had to build again
                record.save_last_build(recipe.workspace, outcome.records)
    except KeyboardInterrupt:
        events.emit("run_interrupted")
        raise
    finally:
        session.pool.close()
        code = exit_code(outcome)
        result = {**_result(session, selection, outcome, code, started, folder), "build": written.build}
        record.write_json(folder / "run.json", result)
        events.emit("run_finished", exit_code=int(code))
        events.close()
    if options.lock and code is ExitCode.OK:
        lockfile.write(session, outcome.records)
    misfits = _misfit_problems(session, outcome.failed)
    if misfits:
        raise RecipeError(misfits)
    if outcome.failed:
        told = (
            failures.explain(plan.tasks[name], failure, session, folder)
            for name, failure in outcome.failed.items()
            if name not in outcome.verdicts
        )
        console.always("\n\n".join(told))
    for lines in (*story.unexplained(outcome), *(story.lines(place, session, outcome) for place in localised)):
        console.always("\n".join([*lines, ""]))
    console.problems(
        Problem(f"the verification {point} never ran: no step of this flow has it", recipe.at(("finn", "verify_steps")))
        for point in outcome.unverified
    )
    console.problems(found)
    for bundle, place in written.aside.items():
        console.note(
            f"note: {bundle} was of another build, and a bitfile was attached to it: it lies in {relative(place)} now; "
            "`finnyaml bundle attach` gives a bundle of this build one"
        )
    for setting in unused_settings(session, outcome):
        console.note(f"note: no step of this build read `{setting}`")
    for line in summary_lines(result, written.files):
        console.out(line)
    return code, result, outcome


def _lint(session: Session, engine: Engine, outcome: Outcome) -> list[Problem]:
    """What the lint rules say of the graphs that are built."""
    log = engine.folder / "logs" / "lint.log"
    built = {**outcome.built, **outcome.measured}
    found = lints.findings(session.plan, built, session.store, session.pool, session.code, log)
    return [lint.problem(session, task, finding) for task, finding in found if finding.severity != "info"]


def open_engine(
    session: Session, judge: Judge, tasks: set[str], options: Options, console: Console
) -> tuple[Engine, Progress]:
    """An engine with a fresh folder for its run, and the view of its progress. FinnyamlError: no place to write."""
    _check_writable(session.recipe.workspace)
    folder = record.new_run(session.recipe.workspace)
    view = console.progress(session.plan, tasks, options.verbose, folder / "logs")
    events = EventLog(folder / "events.jsonl", (view.on_event,))
    engine = Engine(
        session.store, session.pool, judge, events, folder, session.tool_version, options.jobs, options.keep_going
    )
    return engine, view


def exit_code(outcome: Outcome) -> ExitCode:
    """What a build's outcome means for the shell."""
    stopped = any(failure.type == refusals.GATE for failure in outcome.failed.values())
    if stopped or outcome.unverified or outcome.deferred:
        return ExitCode.GATE_STOPPED
    if outcome.failed:
        if all(failure.type == "ToolMissing" for failure in outcome.failed.values()):
            return ExitCode.TOOL_MISSING
        bad_input = all(failure.misfits for failure in outcome.failed.values())
        return ExitCode.BAD_INPUT if bad_input else ExitCode.STEP_FAILED
    return ExitCode.TOOL_MISSING if outcome.blocked else ExitCode.OK


def _refuse_blocked(statuses: Mapping[str, Status], plan: Plan) -> None:
    blocked = {name: status for name, status in statuses.items() if status.missing}
    if not blocked:
        return
    lines = []
    for tool in sorted({tool for status in blocked.values() for tool in status.missing}):
        steps = ", ".join(name for name, status in blocked.items() if tool in status.missing)
        lines.append(f"{steps}: {tool} is missing ({registry.tool(tool).hint})")
    before = plan.tasks[next(iter(blocked))].needs
    hint = f"`--keep-going` builds what can be built here; `--to {before[0]}` stops before it" if before else None
    raise ToolMissing("these steps cannot run here, so nothing was started:\n  " + "\n  ".join(lines), hint=hint)


def _refuse_blanks(statuses: Mapping[str, Status], plan: Plan, store: Path) -> None:
    """Steps work below the store, and FINN's scripts leave the paths that they hand to tools unquoted."""
    calling = [name for name, status in statuses.items() if status.state != "cached" and plan.tasks[name].tools]
    calling = [name for name in calling if plan.tasks[name].kind != "code" and not statuses[name].missing]
    if calling and len(str(store).split()) > 1:
        raise FinnyamlError(
            f"{calling[0]} cannot run below {store}: FINN's scripts for its tools fail on blanks in a path",
            hint="put the store elsewhere: `--store FOLDER`, or FINNYAML_STORE",
        )


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".finnyaml-probe"
        probe.touch()
        probe.unlink(missing_ok=True)  # another build may have been quicker
    except OSError as error:
        raise FinnyamlError(
            f"the workspace {folder} cannot be written: {error.strerror}",
            hint="set `output:` in the recipe to a folder that can",
        ) from error


def _materialise(session: Session, engine: Engine, selection: Selection, outcome: Outcome) -> workspace.Written:
    """Write the workspace (`workspace.write`); a stored file that turns out damaged is built again first."""
    plan = session.plan
    for _ in range(MAX_REPAIRS):
        wide = session.with_bundles() if workspace.holds_bundle(plan) else session
        held = holding(wide.plan, wide.judge(), outcome.built, outcome.failed)
        failed = sorted([*outcome.failed, *outcome.deferred])
        build = {**workspace.named(plan.recipe, session.sets), "failed": failed}
        ends = {name: end for name, end in selection.ends(plan).items() if end in outcome.built}
        try:
            return workspace.write(wide.plan, outcome.built, held, engine.store, ends, build)
        except ObjectDamaged as damage:
            engine.events.emit("store_damaged", object=damage.digest)
            again = engine.run(plan, replace(selection, forced=frozenset()))
            again.ran = [*outcome.ran, *again.ran]
            vars(outcome).update(vars(again))
    raise FinnyamlError("stored files keep turning out damaged", hint="check the disk, then `finnyaml cache verify`")


def _misfit_problems(session: Session, failed: Mapping[str, Failure]) -> list[Problem]:
    """Settings that did not fit the model, at their place in the recipe."""
    problems = []
    sections = {
        "folding_config_file": "folding",
        "specialize_layers_config_file": "specialize",
        "fifo_config_file": "fifo",
    }
    for name, failure in failed.items():
        task = session.plan.tasks[name]
        for misfit in failure.misfits:
            section = sections.get(misfit.field, "finn")
            base = task.setting_pointers.get(misfit.field, (section,))
            inner = (
                ("defaults", *misfit.path[1:])
                if misfit.path[:1] == ("Defaults",)
                else (_nodes_key(section), *misfit.path)
            )
            where = session.recipe.at((*base, *inner))
            if (*base, *inner[:2]) not in session.recipe.positions and (*base, "file") in session.recipe.positions:
                where = session.recipe.at((*base, "file"))
            problems.append(Problem(misfit.message, where, misfit.hint))
    return problems


def _nodes_key(section: str) -> str:
    return "depths" if section == "fifo" else "nodes"


def _result(
    session: Session, selection: Selection, outcome: Outcome, code: ExitCode, started: float, folder: Path
) -> dict[str, Any]:
    """The record of a run: data from which every view is made."""
    tasks: dict[str, Any] = {}
    for name in session.plan.tasks:
        if name not in selection.tasks:
            continue
        if name in outcome.built:
            entry = {"state": "ran" if name in outcome.ran else "cached", **outcome.records[name]}
            entry["key_figures"] = figures.of_artifact(outcome.built[name].artifact, session.store)
            tasks[name] = {key: value for key, value in entry.items() if key not in ("parts", "reads")}
        elif name in outcome.failed:
            failure = {key: value for key, value in asdict(outcome.failed[name]).items() if key != "damaged"}
            tasks[name] = {"state": "failed", **failure}
        elif name in outcome.blocked:
            tasks[name] = {"state": "blocked", "missing": list(outcome.blocked[name].missing)}
        else:
            tasks[name] = {"state": "not run", "needs": outcome.skipped.get(name)}
        tasks[name]["looks"] = not session.plan.tasks[name].is_step
        if name in outcome.verdicts:
            found = outcome.verdicts[name]
            tasks[name]["checks"] = session.plan.tasks[name].checks
            tasks[name]["measurement"] = refusals.measurement(outcome.measured[name])
            tasks[name]["verdict"] = {"state": found.state, "reasons": list(found.reasons)}
    return {
        "recipe": str(session.recipe.path),
        "name": session.recipe.name,
        "finn": {"distribution": session.installation.distribution, "version": session.installation.version},
        "libraries": dict(session.installation.libraries),
        "workspace": str(session.recipe.workspace),
        "run": str(folder),
        "started": round(started, 3),
        "seconds": round(time.time() - started, 3),
        "exit_code": int(code),
        "targets": {name: end for name, end in session.plan.targets.items() if name in selection.targets},
        "tasks": tasks,
    }


def unused_settings(session: Session, outcome: Outcome) -> Sequence[str]:
    """Settings, in the recipe's words, that no task of a complete build read."""
    if len(outcome.built) < len(session.plan.tasks):
        return ()
    read = {name for item in outcome.records.values() for name in item["reads"].get("config", ())}
    written = {name: at for task in session.plan.tasks.values() for name, at in task.setting_pointers.items()}
    return [dotted(pointer) for name, pointer in written.items() if name not in read]
