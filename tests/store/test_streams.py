"""Content in pieces says the same as content in one piece."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finnyaml.store.streams import holds, replaced, write

PIECES = st.lists(st.binary(max_size=5) | st.sampled_from([b"/a", b"b", b"/", b"-x", b"ab", b""]), max_size=12)


@settings(deadline=None)
@given(PIECES, st.sampled_from([b"", rb"\w.-"]))
@example([b"/ab/ab", b"b"], rb"\w.-")
def test_what_is_replaced_does_not_depend_on_the_pieces(pieces: list[bytes], unless: bytes) -> None:
    words = {b"/ab/ab": b"<long>", b"/ab": b"<short>", b"b": b"<b, longer than itself>"}
    whole = b"".join(replaced([b"".join(pieces)], words, unless=unless))
    assert b"".join(replaced(pieces, words, unless=unless)) == whole
    single = b"".join(pieces)
    assert b"".join(replaced((single[at : at + 1] for at in range(len(single))), words, unless=unless)) == whole


def test_the_first_word_wins_and_names_that_go_on_stay() -> None:
    words = {b"/ab/c": b"1", b"/ab": b"2"}
    text = b"/ab/c /ab /ab/cd /abc /ab"
    assert b"".join(replaced([text], words)) == b"1 2 1d 2c 2"
    assert b"".join(replaced([text], words, unless=rb"\w.-")) == b"1 2 2/cd /abc 2"


@given(PIECES, st.binary(min_size=1, max_size=4))
@example([b"x/", b"", b"a", b"by"], b"/ab")
def test_what_is_held_does_not_depend_on_the_pieces(pieces: list[bytes], wanted: bytes) -> None:
    assert holds(pieces, wanted) is (wanted in b"".join(pieces))


def test_a_file_that_cannot_be_written_whole_is_gone(tmp_path: Path) -> None:
    def content() -> object:
        yield b"a part"
        raise ValueError("no more")

    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(ValueError, match="no more"):
        write(tmp_path / "file", content())  # type: ignore[arg-type]
    assert not (tmp_path / "file").exists()
