"""The board's side beside the real PYNQ: runs tests/board in .venv-board."""

from __future__ import annotations

import pytest

from tests.board.run import PYTHON, run_board_suite


@pytest.mark.long
@pytest.mark.skipif(
    not PYTHON.exists(), reason="there is no .venv-board; `make setup-board` (and `make test`) makes it"
)
def test_the_suite_that_runs_beside_pynq() -> None:
    done = run_board_suite()
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout and "skipped" not in done.stdout
