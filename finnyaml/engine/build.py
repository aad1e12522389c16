"""A whole build: brings the selected tasks up to date and the workspace in line with them, and keeps a record."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from finnyaml.engine import lints, lockfile, on_node, preflight, record, refusals, slurm, workspace
from finnyaml.engine.bisect import bisect_all
from finnyaml.engine.cluster import Cluster
from finnyaml.engine.events import Event, EventLog, Listener
from finnyaml.engine.holding import holding
from finnyaml.engine.inside import explained
from finnyaml.engine.outcome import Bisected, Outcome, Report
from finnyaml.engine.run import MAX_REPAIRS, Engine, together
from finnyaml.engine.session import Session
from finnyaml.engine.speed import below_target
from finnyaml.engine.times import Times
from finnyaml.errors import Ended, ExitCode, FinnyamlError, InvalidSetting, Problem, RecipeError, ToolMissing, Where
from finnyaml.plan import without_vivado
from finnyaml.plan.select import Selection
from finnyaml.plan.status import Looks
from finnyaml.recipe.model import Pointer
from finnyaml.recipe.settings_files import place_in
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
    `offline`: fetch nothing from the network. `detach`: leave the jobs of a cluster alone when interrupted.
    `fail_fast`: one variant that fails keeps the others from going on.
    """

    jobs: int = 1
    keep_going: bool = False
    frozen: bool = False
    lock: bool = False
    offline: bool = False
    detach: bool = False
    fail_fast: bool = False


def build(session: Session, selection: Selection, options: Options, listener: Listener = lambda _: None) -> Report:
    """Build what is selected; ends the workers of the session. `listener` is told each event as it happens.

    Raises:
        ToolMissing: a selected task needs a tool that is not here (unless `keep_going`).
        RecipeError: the lock file disagrees with a frozen build, or a setting does not fit the model.
        FinnyamlError: the workspace or the store cannot be used.
        KeyboardInterrupt: passed on; what was finished is kept.
    """
    return build_all([(session, selection)], options, listener)[0]


def build_all(
    parts: Sequence[tuple[Session, Selection]],
    options: Options,
    listener: Listener = lambda _: None,
    *,
    keep_workers: bool = False,
) -> list[Report]:
    """Build variants of one recipe together: what they have in common runs once. Otherwise as `build`.

    Nothing starts before all of them are checked. One that fails ends alone, unless `fail_fast` is asked for. Each gets
    its workspace as soon as it is through. `keep_workers`: they are wanted for a further build.
    """
    if not parts:
        return []
    looks = Looks()
    builds = [_Build(session, selection, options, looks) for session, selection in parts]
    pool, store = parts[0][0].pool, parts[0][0].store
    cluster = _cluster(parts[0][0]) if any(session.places for session, _ in parts) else None
    try:
        for one in builds:
            one.check()
        times = Times(store)
        for one in builds:
            one.begin(listener, cluster, times)
        with store.session():
            for engine in together(
                [(one.engine, one.plan, one.selection) for one in builds], options.jobs, options.fail_fast
            ):
                next(one for one in builds if one.engine is engine).finish()
    except BaseException as error:
        keep_workers = False
        store.use_remote(fetch=False)  # so that nobody waits for it
        if cluster is not None and builds[0].begun:
            _leave(cluster, error, options, builds[0].engine.events)
        for one in builds:
            one.broken_off(error)
        raise
    finally:
        if not keep_workers:
            pool.close()
        for one in builds:
            one.close()
    if invalid := [problem for one in builds for problem in one.invalid()]:
        raise RecipeError(list(dict.fromkeys(invalid)))
    return [one.report() for one in builds]


def _cluster(session: Session) -> Cluster:
    return Cluster(session.store, on_node.Work, session.installation.digest)


def _leave(cluster: Cluster, error: BaseException, options: Options, events: EventLog) -> None:
    """End the jobs of a build that was interrupted, unless it is only its terminal that goes; say which go on."""
    interrupted = isinstance(error, KeyboardInterrupt) and not isinstance(error, Ended)
    if interrupted and not options.detach:
        if cancelled := cluster.cancel():
            events.emit("jobs_cancelled", jobs=cancelled)
    elif left := cluster.left():
        events.emit("jobs_left", jobs=left)


class _Build:
    """A build on its way: of one recipe, or of one of its variants."""

    engine: Engine

    def __init__(self, session: Session, selection: Selection, options: Options, looks: Looks) -> None:
        self.session = session
        self.plan = session.plan
        self.selection = selection
        self._options = options
        self._judge = session.judge(selection.distrusted, looks)
        self._started = time.time()
        self._locked: Mapping[str, Any] | None = None
        self._code = ExitCode.STEP_FAILED
        self._through = False
        self.begun = False
        self._bisected = list[Bisected]()
        self._warnings = list[Problem]()
        self._written = workspace.Written()
        self._told: Mapping[str, Any] = {}

    def check(self) -> None:
        """Refuse what cannot be built, before anything is written."""
        recipe, options = self.session.recipe, self._options
        workspace.check_owner(recipe)
        workspace.check_links(recipe.workspace)
        statuses = self._judge.survey(self.selection.tasks, self.selection.forced)
        self.selection.check(statuses)
        if not options.keep_going:
            try:
                preflight.check_tools(statuses, self.plan)
            except ToolMissing as error:
                if recipe.variant is None:
                    raise
                raise ToolMissing(f"variant {recipe.variant}: {error.message}", hint=error.hint) from None
        if any(name in self.session.places and status.state != "cached" for name, status in statuses.items()):
            slurm.check()
        preflight.check_blanks(statuses, self.plan, self.session.store.work)
        if options.lock and self.selection.partial:
            raise RecipeError([Problem("--lock records a whole build, so it does not go with --to or --only")])
        if options.frozen:
            self._locked = lockfile.read(recipe)
            lockfile.check_before(self._locked, self.session)

    def begin(self, listener: Listener, cluster: Cluster | None, times: Times) -> None:
        """Make the folder of the run; `listener` is told events from now on."""
        variant = self.session.recipe.variant

        def named(event: Event) -> None:
            listener(event if variant is None else {**event, "variant": variant})

        options = self._options
        self.engine = Engine.of(
            self.session,
            self._judge,
            self.selection.tasks,
            named,
            jobs=options.jobs,
            keep_going=options.keep_going,
            offline=options.offline,
            cluster=cluster,
            times=times,
        )
        self.begun = True

    def finish(self) -> None:
        """Search what failed, look at the graphs, and bring the workspace in line: the tasks are through."""
        session, engine, outcome = self.session, self.engine, self.engine.outcome
        self._bisected = bisect_all(engine, self.plan, outcome)
        found = _lint(session, engine, outcome)
        if self._locked is not None:
            lockfile.check_after(self._locked, outcome.records, session)
        place = session.recipe.workspace
        with session.store.lock(f"workspace-{digest_of(str(place))}"), explained(place):
            self._written = _materialise(session, engine, self.selection, outcome)
            if self._locked is not None:
                lockfile.check_after(self._locked, outcome.records, session)  # it may have had to build again
            record.save_last_build(place, outcome.records)
        if not self.selection.partial and len(outcome.built) == len(self.plan.tasks):
            outcome.unverified = _never_ran(session, outcome)
        self._warnings = [*_of_unverified(session, outcome), *_nothing_verified(session, outcome), *found]
        self._warnings += below_target(self.plan, outcome.built, self.engine.store)
        self._code, self._through = outcome.code, True

    def broken_off(self, error: BaseException) -> None:
        """Something ended the run before this build was through."""
        if not self.begun or self._through:
            return
        if isinstance(error, KeyboardInterrupt):
            self._code = ExitCode.INTERRUPTED
            self.engine.events.emit("run_interrupted")
        elif isinstance(error, FinnyamlError):
            self._code = error.exit_code

    def close(self) -> None:
        """Write the record of the run, and the lock file of a build that has succeeded."""
        if not self.begun:
            return
        session, engine = self.session, self.engine
        told = record.of_run(session, self.selection, engine.outcome, self._code, self._started, engine.folder)
        self._told = {**told, "build": self._written.build}
        # Where something failed before, that is what has to be said.
        with explained(session.recipe.workspace) if self._code is ExitCode.OK else contextlib.suppress(OSError):
            workspace.write_json(engine.folder / "run.json", self._told)
            engine.events.emit("run_finished", exit_code=int(self._code))
            engine.events.close()
        if self._options.lock and self._code is ExitCode.OK:
            lockfile.write(session, engine.outcome.records)

    def invalid(self) -> list[Problem]:
        """Settings that did not fit the model."""
        return _invalid_settings(self.session, self.engine.outcome.failed)

    def report(self) -> Report:
        """What became of it."""
        session, engine = self.session, self.engine
        notes = (*_of_former(session), *_of_set_aside(session, self._written), *_of_unused(session, engine.outcome))
        places, doubts, written = tuple(self._bisected), tuple(self._warnings), self._written.files
        how = (self._told, engine.folder, self._code, places, doubts, notes, written)
        return Report(session, self.selection, engine.outcome, *how)


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
                where = _in_file(session, base, section, invalid) or session.recipe.at((*base, "file"))
            problems.append(Problem(invalid.message, where, invalid.hint))
    return problems


def _in_file(session: Session, base: Pointer, section: str, invalid: InvalidSetting) -> Where | None:
    """The line of the settings file that has an entry, under the name that it has there."""
    settings: Any = getattr(session.recipe.settings, section, {})
    for step in session.recipe.steps.written:
        if base[: len(step.pointer)] == step.pointer:
            settings = {**settings, **step.with_.get(section, {})}
    renames = {new: old for old, new in (settings.get("rename") or {}).items()}
    if not settings.get("file") or not invalid.path:
        return None
    return place_in(Path(settings["file"]), renames.get(invalid.path[0], invalid.path[0]))


def _of_former(session: Session) -> Iterator[str]:
    recipe = session.recipe
    for place in workspace.former(recipe):
        shown = os.path.relpath(place, recipe.directory)
        had = f"which {recipe.path.name} has no longer"
        yield f"{shown} is of the variant {place.name}, {had}: `finnyaml clean` removes it"


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
