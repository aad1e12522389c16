"""The one error of the host package."""

from __future__ import annotations

COPY_AGAIN = "copy the bundle again, or build it again"
"""What to do about files that are not as they were made."""


class AcceleratorError(Exception):
    """Something that a user can act on.

    `name` is short and fixed, for programs and for searching: "wrong dtype", "weights damaged" and so on. `message`
    says what is wrong and where, `hint` what to do.
    """

    def __init__(self, message: str, *, name: str = "error", hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.name = name
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.name}: {self.message}"
        return f"{text}\n  {self.hint}" if self.hint else text


def check_open(there: bool) -> None:
    """Raises AcceleratorError: "closed", unless the device is `there`."""
    if not there:
        raise AcceleratorError("the accelerator was closed", name="closed", hint="open it again: Accelerator(...)")


def damaged(message: str, name: str = "bundle damaged") -> AcceleratorError:
    """The error for a file that is not as it was made."""
    return AcceleratorError(message, name=name, hint=COPY_AGAIN)
