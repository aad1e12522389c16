"""A whole build: brings the selected tasks up to date and the workspace in line with them, and keeps a record."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from finnyaml.engine import lints, lockfile, preflight, record, refusals, workspace
from finnyaml.engine.bisect import bisect_all
from finnyaml.engine.events import Listener
from finnyaml.engine.holding import holding
from finnyaml.engine.inside import explained
from finnyaml.engine.outcome import Bisected, Outcome, Report
from finnyaml.engine.run import MAX_REPAIRS, Engine
from finnyaml.engine.session import Session
from finnyaml.engine.speed import below_target
from finnyaml.errors import ExitCode, FinnyamlError, Problem, RecipeError
from finnyaml.plan import without_vivado
from finnyaml.plan.select import Selection
from finnyaml.recipe.words import dotted
from finnyaml.store import ObjectDamaged
from finnyaml.store.digests import digest_of
from finnyaml.text import counted
from finnyaml.worker.job import Failure


@dataclass(frozen=True)
class Options:
    """What is asked of a build beside the recipe and the selection.

    `jobs`: how many tasks run at a time. `keep_going`: build what can be built although something fails or cannot run
    here. `lock`: write the lock file of a build that succeeds. `frozen`: give exactly what the lock file records.
    """

    jobs: int = 1
    keep_going: bool = False
    frozen: bool = False
    lock: bool = False


def build(session: Session, selection: Selection, options: Options, listener: Listener = lambda _: None) -> Report:
    """Build what is selected; ends the workers of the session. `listener` is told each event as it happens.

    Raises:
        ToolMissing: a selected task needs a tool that is not here (unless `keep_going`).
        RecipeError: the lock file disagrees with a frozen build, or a setting does not fit the model.
        FinnyamlError: the workspace or the store cannot be used.
        KeyboardInterrupt: passed on; what was finished is kept.
    """
    started = time.time()
    plan, recipe = session.plan, session.recipe
    judge = session.judge(selection.distrusted)
    workspace.check_owner(recipe)
    workspace.check_links(recipe.workspace)
    statuses = judge.survey(selection.tasks, selection.forced)
    selection.check(statuses)
    if not options.keep_going:
        preflight.check_tools(statuses, plan)
    preflight.check_blanks(statuses, plan, session.store.root)
    if options.lock and selection.partial:
        raise RecipeError([Problem("--lock records a whole build, so it does not go with --to or --only")])
    locked = lockfile.read(recipe) if options.frozen else None
    if locked is not None:
        lockfile.check_before(locked, session)
    engine = Engine.of(session, judge, selection.tasks, listener, jobs=options.jobs, keep_going=options.keep_going)
    bisected, warnings = list[Bisected](), list[Problem]()
    code, written = ExitCode.STEP_FAILED, workspace.Written()
    try:
        with session.store.session():
            outcome = engine.run(plan, selection)
            bisected = bisect_all(engine, plan, outcome)
            found = _lint(session, engine, outcome)
            if locked is not None:
                lockfile.check_after(locked, outcome.records, session)
            named = f"workspace-{digest_of(str(recipe.workspace))}"
            with session.store.lock(named), explained(recipe.workspace):
                written = _materialise(session, engine, selection, outcome)
                if locked is not None:
                    lockfile.check_after(locked, outcome.records, session)  # it may have had to build again
                record.save_last_build(recipe.workspace, outcome.records)
            if not selection.partial and len(outcome.built) == len(plan.tasks):
                outcome.unverified = _never_ran(session, outcome)
            warnings = [*_of_unverified(session, outcome), *_nothing_verified(session, outcome)]
            warnings += [*found, *below_target(session.plan, outcome.built, session.store)]
        code = outcome.code
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
        engine.events.emit("run_interrupted")
        raise
    except FinnyamlError as error:
        code = error.exit_code
        raise
    finally:
        session.pool.close()
        told = record.of_run(session, selection, engine.outcome, code, started, engine.folder)
        told = {**told, "build": written.build}
        # Where something failed before, that is what has to be said.
        with explained(recipe.workspace) if code is ExitCode.OK else contextlib.suppress(OSError):
            workspace.write_json(engine.folder / "run.json", told)
            engine.events.emit("run_finished", exit_code=int(code))
            engine.events.close()
    if options.lock and code is ExitCode.OK:
        lockfile.write(session, outcome.records)
    if invalid := _invalid_settings(session, outcome.failed):
        raise RecipeError(invalid)
    notes = (*_of_set_aside(session, written), *_of_unused(session, outcome))
    places, doubts = tuple(bisected), tuple(warnings)
    return Report(session, selection, outcome, told, engine.folder, code, places, doubts, notes, written.files)


def _lint(session: Session, engine: Engine, outcome: Outcome) -> list[Problem]:
    """What the lint rules say of the graphs that are built."""
    log = engine.folder / "logs" / "lint.log"
    built = {**outcome.built, **outcome.measured}
    found = lints.findings(session.plan, built, session.store, session.pool, log)
    return [lints.problem(session.plan, task, finding) for task, finding in found if finding.severity != "info"]


def _never_ran(session: Session, outcome: Outcome) -> list[str]:
    """FINN's verification points that the recipe asks for and that no step of this complete build had."""
    plan = session.plan
    wanted = session.recipe.settings.finn.get("verify_steps") or ()
    steps = {task.uses for task in plan.tasks.values()}
    by_finn = without_vivado.by_finn(wanted, steps, plan.catalog, plan.toolchain)
    return refusals.points_that_never_ran(by_finn, outcome.built)


def _of_unverified(session: Session, outcome: Outcome) -> Iterator[Problem]:
    where = session.recipe.at(("finn", "verify_steps"))
    for point in outcome.unverified:
        yield Problem(f"the verification {point} never ran: no step of this flow has it", where)


def _nothing_verified(session: Session, outcome: Outcome) -> Iterator[Problem]:
    if not outcome.nothing_verified:
        return
    reasons = dict.fromkeys(verdict.reasons[0] for verdict in outcome.verdicts.values())
    hint = (
        "make the data fit `model.input` (datatype, shape, layout); what has to be done to it before, such as scaling "
    )
    hint += "bytes to 0..1, belongs in `preprocess:`, and the data then are the bytes"
    message = f"nothing was verified: {counted(len(outcome.verdicts), 'point')}, and none can be executed: "
    yield Problem(message + "; ".join([*reasons][:2]), session.recipe.at(("verify",)), hint)


def _materialise(session: Session, engine: Engine, selection: Selection, outcome: Outcome) -> workspace.Written:
    """Write the workspace (`workspace.write`); a stored file that turns out damaged is built again first."""
    plan = session.plan
    for _ in range(MAX_REPAIRS):
        wide = session.with_bundles() if workspace.holds_bundle(plan) else session
        held = holding(wide.plan, wide.judge(), outcome.built, outcome.failed)
        failed = sorted([*outcome.failed, *outcome.deferred])
        build = {**workspace.named(plan.recipe, session.sets), "failed": failed}
        reached = {name: workspace.furthest(plan, outcome.built, end) for name, end in selection.ends(plan).items()}
        ends = {name: end for name, end in reached.items() if end is not None}
        try:
            return workspace.write(wide.plan, outcome.there, held, engine.store, ends, build)
        except ObjectDamaged as damage:
            engine.events.emit("store_damaged", object=damage.digest)
            again = engine.run(plan, replace(selection, forced=frozenset()))
            again.ran = [*outcome.ran, *again.ran]
            vars(outcome).update(vars(again))
    raise FinnyamlError("stored files keep turning out damaged", hint="check the disk, then `finnyaml cache verify`")


def _invalid_settings(session: Session, failed: Mapping[str, Failure]) -> list[Problem]:
    """Settings that did not fit the model, at their place in the recipe."""
    problems = []
    sections = {
        "folding_config_file": "folding",
        "specialize_layers_config_file": "specialize",
        "fifo_config_file": "fifo",
    }
    for name, failure in failed.items():
        task = session.plan.tasks[name]
        for invalid in failure.invalid_settings:
            section = sections.get(invalid.field, "finn")
            base = task.setting_pointers.get(invalid.field, (section,))
            inner = (
                ("defaults", *invalid.path[1:])
                if invalid.path[:1] == ("Defaults",)
                else ("depths" if section == "fifo" else "nodes", *invalid.path)
            )
            where = session.recipe.at((*base, *inner))
            if (*base, *inner[:2]) not in session.recipe.positions and (*base, "file") in session.recipe.positions:
                where = session.recipe.at((*base, "file"))
            problems.append(Problem(invalid.message, where, invalid.hint))
    return problems


def _of_set_aside(session: Session, written: workspace.Written) -> Iterator[str]:
    for bundle, place in written.aside.items():
        yield (
            f"{bundle} was of another build, and a bitfile was attached to it: it lies in "
            f"{os.path.relpath(place, session.recipe.directory)} now; `finnyaml bundle attach` gives a bundle of this "
            "build one"
        )
    yield from (f"{bundle} is the one with a bitfile again that had been set aside" for bundle in written.back)


def _of_unused(session: Session, outcome: Outcome) -> Iterator[str]:
    """Settings, in the recipe's words, that no task of a complete build read."""
    if len(outcome.built) < len(session.plan.tasks):
        return
    read = {name for item in outcome.records.values() for name in item["reads"].get("config", ())}
    written = {name: at for task in session.plan.tasks.values() for name, at in task.setting_pointers.items()}
    yield from (f"no step of this build read `{dotted(at)}`" for name, at in written.items() if name not in read)
