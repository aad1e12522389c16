"""Words of Tcl, compared with what Tcl's own manual says of them."""

from __future__ import annotations

import pytest

from finnyaml.rtl.tcl import Substitution, TclError, commands


def words(script: str) -> list[tuple[object, ...]]:
    return [found for _, found in commands(script, {"HERE": "/a b"})]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("a b  c\n", [("a", "b", "c")]),
        ("a b; c d", [("a", "b"), ("c", "d")]),
        ("\n # a comment; not a command\n\ta\n", [("a",)]),
        ("a {b c} {{d} e} {}", [("a", "b c", "{d} e", "")]),
        ('a "b c" ""', [("a", "b c", "")]),
        ("a {[b] $c}", [("a", "[b] $c")]),
        ("a b\\\n c", [("a", "b", "c")]),
        ("a b\\ c \\[d", [("a", "b c", "[d")]),
        ("a $::env(HERE)/x", [("a", "/a b/x")]),
        ("a#b", [("a#b",)]),
        ("a [b [c d] {e f}] g", [("a", Substitution(("b", Substitution(("c", "d")), "e f")), "g")]),
    ],
)
def test_words(script: str, expected: list[tuple[object, ...]]) -> None:
    assert words(script) == expected


def test_a_command_comes_with_its_line() -> None:
    assert [line for line, _ in commands("  a b; c\n{d} [e]\n", {})] == ["a b; c", "c", "{d} [e]"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("a {b", "brace is not closed"),
        ('a "b', "quote is not closed"),
        ("a [b", "bracket is not closed"),
        ("a $b", r"variable \$b is not known"),
        ("a $::env(OTHER)/x", "OTHER.* is not known"),
        ("a b[c]", "bracket inside a word"),
        ("a [b; c]", "one command in brackets"),
        ("a {b}c", "follows a closed word"),
        ('a "b"c', "follows a closed word"),
    ],
)
def test_what_is_not_read_is_refused(script: str, message: str) -> None:
    with pytest.raises(TclError, match=message) as refused:
        words(f"first\n{script}")
    assert script in str(refused.value), "the message quotes the line"
