"""What stands in a lock file, without a build; with one: tests/end_to_end/test_lock.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from finnyaml.engine import lockfile


@pytest.mark.parametrize("packages", [{"scipy": "1.11.4", "@recipe/own": "0" * 64}, {}])
def test_packages_that_code_of_the_user_imports(packages: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockfile, "_versions", lambda session: {})
    monkeypatch.setattr(lockfile, "_task", lambda session, built: {})
    session: Any = SimpleNamespace(plan=SimpleNamespace(tasks={"a": None, "b": None}))
    written = lockfile._content(session, {"a": {"reads": {"package": packages}}, "b": {"reads": {}}})
    assert written.get("packages") == (packages or None)
    assert list(written) == ["tools", "env", *(["packages"] if packages else []), "inputs", "tasks"]
