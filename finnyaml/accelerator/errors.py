"""The one error of the host package."""

from __future__ import annotations


class AcceleratorError(Exception):
    """Something that a user can act on.
    `name` is short and fixed, for programs and for searching: "wrong dtype", "weights damaged" and so on. `message`
    says what is wrong and where, `hint` what to do."""

    def __init__(self, message: str, *, name: str = "error", hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.name = name
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.name}: {self.message}"
        return f"{text}\n  {self.hint}" if self.hint else text
