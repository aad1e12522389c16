"""Threads that share one accelerator on the stand-in board: every answer is that of its own images."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from finnyaml.accelerator import Accelerator, AcceleratorError, Bundle
from finnyaml.accelerator.checks import golden
from finnyaml.accelerator.devices.board import open_board
from tests.board.conftest import Board

THREADS, CALLS = 3, 150


@pytest.fixture
def impatient() -> Iterator[None]:
    """The interpreter changes threads every ten microseconds, so that what can be interrupted is."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


def test_threads_share_an_accelerator(board: Board, impatient: None) -> None:
    bundle = Bundle.load(board.folder)
    accelerator = Accelerator(board.folder, device=open_board(bundle, 64, board.standin()))
    samples = golden.load(bundle)
    outcomes: Counter[str] = Counter()

    def ask(first: int) -> None:
        for call in range(CALLS):
            row = (first + 7 * call) % len(samples)
            try:
                output = accelerator.predict(samples.inputs[row : row + 1])
                outcomes["right" if np.array_equal(output, samples.outputs[row : row + 1]) else "wrong"] += 1
            except AcceleratorError as error:
                outcomes[error.name] += 1

    threads = [threading.Thread(target=ask, args=(31 * number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {"right": THREADS * CALLS}


def test_a_closed_accelerator_says_so(board: Board) -> None:
    accelerator = Accelerator(board.folder, device=open_board(Bundle.load(board.folder), 4, board.standin()))
    images = board.images(1)
    accelerator.predict(images)
    accelerator.close()
    with pytest.raises(AcceleratorError, match="closed") as raised:
        accelerator.predict(images)
    assert raised.value.name == "closed"
