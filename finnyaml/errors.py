"""Errors as part of the product: what is wrong, where, why in FINN's terms, what to do.

Every error that a user can cause is a `FinnyamlError`; the command line prints it without a traceback and
leaves with its `exit_code`. Anything else that reaches the command line is a defect of finnyaml.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

INSTALL_FINN = "pip install 'finnyaml[finn]'"
"""What messages say where FINN is missing."""


class ExitCode(IntEnum):
    """The documented exit codes of every `finnyaml` command."""

    OK = 0
    STEP_FAILED = 1
    BAD_INPUT = 2
    GATE_STOPPED = 3
    TOOL_MISSING = 4
    INTERRUPTED = 130


@dataclass(frozen=True)
class Where:
    """A place in a text file; line and column count from 1, as editors do."""

    file: Path
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with what the user wrote.

    `message` says what and why; `hint` what to do (for example the nearest valid name); `where` is None only
    when the problem has no place in a file (a command-line option, say). `severity` is "error" or "warning".
    """

    message: str
    where: Where | None = None
    hint: str | None = None
    severity: str = "error"

    def __str__(self) -> str:
        place, hint = f"{self.where}: " if self.where else "", f"\n  hint: {self.hint}" if self.hint else ""
        return f"{place}{self.severity}: {self.message}{hint}"


@dataclass(frozen=True)
class InvalidSetting:
    """An entry of a folding, specialize or FIFO config that the model cannot take.

    `field` is FINN's configuration field whose file it stands in; `path` leads to the entry inside that file.
    """

    field: str
    path: tuple[str, ...]
    message: str
    hint: str | None = None


class Ended(KeyboardInterrupt):
    """The command was ended from outside, by a signal or a terminal that is gone: nobody has pressed Ctrl-C."""


class FinnyamlError(Exception):
    """An error that a user can act on; a traceback shows its place and hint, too."""

    exit_code: ExitCode = ExitCode.STEP_FAILED

    def __init__(self, message: str, *, hint: str | None = None, where: Where | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where
        self.__notes__ = [*([f"at {where}"] if where else []), *([f"hint: {hint}"] if hint else [])]


class RecipeError(FinnyamlError):
    """The recipe (or a file it names, or a command-line option) is wrong. Holds all problems found."""

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, problems: Sequence[Problem]) -> None:
        if not problems:
            raise ValueError("a RecipeError needs at least one problem")
        first = problems[0]
        super().__init__(first.message, hint=first.hint, where=first.where)
        self.problems = tuple(problems)
        self.__notes__ = [str(problem) for problem in problems]


class ToolMissing(FinnyamlError):
    """A tool that a selected task needs is not installed here."""

    exit_code = ExitCode.TOOL_MISSING


class StepFailed(FinnyamlError):
    """A task ran and failed."""

    exit_code = ExitCode.STEP_FAILED


class VerificationFailed(StepFailed):
    """What a task found is wrong: a gate stops the build."""

    exit_code = ExitCode.GATE_STOPPED


class StoreError(FinnyamlError):
    """The store cannot be used: not writable, disk full."""

    exit_code = ExitCode.STEP_FAILED
