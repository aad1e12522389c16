"""Templates: strict, sandboxed, and no value becomes code, shown by the programs that read the files."""

from __future__ import annotations

import ast
import json
import os
import resource
import signal
import subprocess
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from finnyaml.bundle import render as module
from finnyaml.bundle.render import Templates, builtin_names, read_templates
from finnyaml.errors import StepFailed

EVIL = (
    'a"; rm -rf ~ #',
    "*_<script>",
    "'; touch x; '",
    "$(touch x) `touch x` ${HOME} !!",
    "\\",
    'ends with \\"',
    "'''\n\"\"\"\nimport os",
    "```\n~~~\n# h\n- x | y\n</script><img src=x onerror=alert(1)>-->",
    "1. x",
    "javascript:alert(1)",
    "(touch x)",
    "a[$(touch x)]",
    "\u202e\u2028\x1b[31m\u00e9\U0001f600",
    "EOF\nEOF",
    "{{ 7 * 7 }} {% raw %}",
    "&amp; &#60;",
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)


TAGS = "h1 p p ul li table thead tr th th code tbody tr td td p b p"


def render(source: str, to: str, own: Mapping[str, str] | None = None, **context: Any) -> str:
    return Templates({"t.j2": source, **(own or {})}).render("t.j2", to, context)


def bash(script: str) -> str:
    """What the script prints. It finds no programs and can write no files, so a value that gets loose does nothing."""
    run = subprocess.run(["/bin/bash", "-c", script], capture_output=True, check=True, env={"PATH": ""}, cwd="/proc")
    return run.stdout.decode()


@pytest.mark.parametrize("name", EVIL)
def test_python_reads_the_value(name: str) -> None:
    _check_python(name)


@given(TEXTS)
def test_python_reads_any_value(name: str) -> None:
    _check_python(name)


def _check_python(name: str) -> None:
    source = (
        "a = {{ name | py }}  # {{ name | py }}\nb = {{ [name, {name: name}] | py }}\nc = {{ ('<' ~ name) | py }}\n"
    )
    found = {}
    for node in ast.parse(render(source, "x.py", name=name)).body:
        assert isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        found[node.targets[0].id] = ast.literal_eval(node.value)
    assert found == {"a": name, "b": [name, {name: name}], "c": f"<{name}"}


def test_python_gets_literals() -> None:
    value = {"a": [1, 2.5, None, True, "x"], "b": {}}
    assert ast.literal_eval(render("{{ value | py }}", "x.py", value=value)) == value


@pytest.mark.parametrize("name", EVIL)
def test_a_shell_reads_the_value(name: str) -> None:
    _check_shell(name)


@settings(max_examples=40, deadline=None)
@given(TEXTS)
def test_a_shell_reads_any_value(name: str) -> None:
    _check_shell(name)


def _check_shell(name: str) -> None:
    source = """# {{ name | sh }}
a={{ name | sh }} # {{ name | sh }} "
b="$(printf %s. {{ name | sh }})"
printf '%s\\0' "$a" "${b}" a{{ name | sh }}b
"""
    assert bash(render(source, "x.sh", name=name)).split("\0")[:-1] == [name, f"{name}.", f"a{name}b"]


@given(TEXTS)
def test_json_reads_any_value(name: str) -> None:
    source = '{"a": {{ name | json }}, {{ name | json }}: {{ [name, none, 1.5, true] | json }}}'
    assert json.loads(render(source, "x.json", name=name)) == {"a": name, name: [name, None, 1.5, True]}


@given(TEXTS, st.sampled_from(["py", "sh", "json", "md", "code"]))
def test_a_value_is_on_one_line_so_that_it_can_stand_in_a_comment(name: str, language: str) -> None:
    assert len(render(f"{{{{ name | {language} }}}}", "x", name=name).splitlines()) == 1 or not name


@pytest.mark.parametrize("name", EVIL)
def test_markdown_shows_the_value_as_it_is(name: str) -> None:
    source = (
        "# {{ name | md }}\n\nx {{ name | md }} y\n\n{{ name | md }}\n\n- {{ name | md }}\n\n"
        "| {{ name | md }} | {{ name | code }} |\n|---|---|\n| {{ name | md }} | b |\n\n<b>{{ name | md }}</b>\n\n"
        "<!-- {{ name | md }} -->\n\nlast\n"
    )
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(render(source, "x.md", name=name))
    shown = _Page()
    shown.feed(page)
    assert shown.tags == TAGS.split()
    texts = [text.strip() for text in shown.texts if text.strip()]
    assert texts[0] == _flat(name).strip()
    assert f"x {_flat(name)} y" in texts
    assert texts.count(_flat(name).strip()) >= 5 and "last" in texts


def _flat(name: str) -> str:
    """On one line, with what has no picture written out."""
    blank = " ".join(f"<{name}>".split())[1:-1]
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in blank)


@pytest.mark.parametrize("text", ["-", "+ x", "# x", "## x", "1. x", "2) x", "---", "===", "> x", "    x", ". x"])
def test_a_value_begins_nothing_in_markdown(text: str) -> None:
    page = MarkdownIt("commonmark").render(render("x\n\n{{ n | md }}{{ text | md }}\n", "x.md", text=text, n=1))
    assert page == f"<p>x</p>\n<p>1{_flat(text).replace('>', '&gt;')}</p>\n"
    page = MarkdownIt("commonmark").render(render("x\n{{ text | md }}\n", "x.md", text=text))
    assert page == f"<p>x\n{_flat(text).strip().replace('>', '&gt;')}</p>\n"


@pytest.mark.parametrize("text", ["-5", "0.5 ms", "-1.5", "a-b", "1,000"])
def test_numbers_stay_readable_in_the_source_of_markdown(text: str) -> None:
    assert render("{{ text | md }}", "x.md", text=text) == text


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = [""]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.texts.append("")

    def handle_data(self, data: str) -> None:
        self.texts[-1] += data


@pytest.mark.parametrize(
    ("source", "to", "said"),
    [
        ("x\n{{ nme }}", "x.md", "t.j2:2: 'nme' is not defined"),
        ("x\n{{ d.itms }}", "x.md", "t.j2:2: there is no 'itms'; known there are items"),
        ("{% if name == nme %}{% endif %}", "x.md", "t.j2:1: 'nme' is not defined"),
        ("x\n{% if x %}", "x.md", "t.j2:2: Unexpected end of template"),
        ("x\n{# x", "x.md", "t.j2:2: Missing end of comment tag"),
        ("\n\n{{ name | shout }}", "x.md", "t.j2:3: No filter named 'shout'"),
        ("\n{{ 1 / 0 }}", "x.md", "t.j2:2: ZeroDivisionError"),
        ("\n{% include 'part.j2' %}", "x.md", "t.j2:2: there is no template 'part.j2'"),
        ("{% include 'bad.j2' %}", "x.md", "templates/bad.j2:2: 'nme' is not defined"),
        ("{{ name.__class__ }}", "x.md", "t.j2:1: access to attribute '__class__' of 'str' object is unsafe"),
        ("{% set _ = d.items.append(1) %}", "x.md", "t.j2:1: access to attribute 'append'"),
        ("x = ({{ name | py }}", "x.py", "t.j2 does not make a valid x.py: '\\(' was never closed"),
        ('{"a": {{ name | json }}', "x.json", "t.j2 does not make a valid x.json: Expecting"),
        ("x={{ 'a\\0b' | sh }}", "x.sh", "t.j2:1: a NUL character cannot stand in a shell script"),
        ("{{ name | tojson }}", "x.py", "t.j2:1: No filter named 'tojson'"),
        ("{{ name.upper | md }}", "x.md", "t.j2:1: .* is not a value"),
        ("{{ nme | md }}", "x.md", "t.j2:1: 'nme' is not defined"),
        ("{{ (big * 9) | json }}", "x.json", "t.j2:1: Out of range float"),
        ("{{ (big * 9) | py }}", "x.py", "t.j2:1: inf has no literal in Python"),
    ],
)
def test_mistakes_are_told_with_template_and_line(source: str, to: str, said: str) -> None:
    with pytest.raises(StepFailed, match=said):
        render(source, to, {"bad.j2": "x\n{{ nme }}"}, name="n", d={"items": [1]}, big=9e307)


def test_a_near_name_is_a_hint() -> None:
    with pytest.raises(StepFailed) as refused:
        render("{{ nme }}", "x.md", name=1)
    assert refused.value.hint == "did you mean 'name'?"


@pytest.mark.parametrize(
    "put_out",
    [
        "{{ name }}",
        "{{ 'a constant' }}",
        "{{ name | md | upper }}",
        "{{ name | md ~ '!' }}",
        "{{ [name | md] | join }}",
        "{{ 1 }}",
        "{{ true }}",
        "{{ none }}",
        "{{ [1] }}",
        "{% macro m() %}{{ name }}{% endmacro %}{{ m() }}",
        "{% set x = name %}{{ x }}",
        "{% include 'bad.j2' %}",
    ],
)
def test_a_value_without_a_filter_is_refused(put_out: str) -> None:
    with pytest.raises(StepFailed, match=r"^templates/(t|bad).j2:2: .* has no filter, which says how") as refused:
        render(f"x\n{put_out}", "x.md", {"bad.j2": "x\n{{ name }}"}, name="n")
    assert refused.value.hint == ("write {{ ... | FILTER }} with py, sh, json, md or code, or raw to take it as it is")


def test_what_a_template_makes_itself_is_not_quoted_again() -> None:
    source = (
        "{% macro bold(x) %}**{{ x | md }}**{% endmacro %}{% set both %}{{ bold(1) }} {{ bold('*') }}{% endset %}"
        "{{ both }} {{ bold(both | upper) }}{% call(x) twice() %}<b>{{ x | md }}</b>{% endcall %}"
    )
    own = "{% macro twice() %}{{ caller('<') }}{{ caller('>') }}{% endmacro %}"
    found = render("{% from 'm.j2' import twice %}" + source, "x.md", {"m.j2": own})
    escaped = "\\*\\*1\\*\\* \\*\\*" + "\\\\" + "\\*\\*\\*"
    assert found == f"**1** **\\*** **{escaped}**<b>&lt;</b><b>&gt;</b>"


def test_raw_takes_text_as_it_is() -> None:
    assert render("[x]({{ name | raw }})", "x.md", name="a_b.md") == "[x](a_b.md)"
    assert render('y="{{ "${#z[@]}" | raw }}"', "x.sh") == 'y="${#z[@]}"'


def test_own_templates_come_first_and_can_extend_the_built_in_ones() -> None:
    own = {
        "README.md.j2": "{% extends 'builtin/README.md.j2' %}{% block head %}# Mine{% endblock %}",
        "idle.md.j2": "",
    }
    templates = Templates(own)
    assert templates.source("README.md.j2") == (own["README.md.j2"], "templates/README.md.j2", None)
    builtin = templates.source("builtin/README.md.j2")
    assert builtin is not None
    assert builtin[0].startswith("{%- macro")
    assert templates.used == {"README.md.j2"}
    assert "deploy.sh.j2" in builtin_names() and "driver/settings.json.j2" in builtin_names()


LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}BODY{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (LOOP.replace("BODY", ""), "it takes more than 0.2 s"),
        ("{% macro m() %}" + LOOP.replace("BODY", "{{ 1 | raw }}") + "{% endmacro %}{{ m() }}", "it takes more than"),
        (LOOP.replace("BODY", "x" * 1000), "it makes more than 16.0 MiB"),
        ("{{ ('x' * 99999999999) | raw }}", "it takes more than 64.0 MiB of memory"),
        ("{% set n = namespace(x='x' * 999) %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}", "memory"),
        ("{{ (10 ** 99999999) | length }}", "it takes more than 0.2 s"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "RecursionError"),
    ],
)
def test_a_template_that_takes_too_much(monkeypatch: pytest.MonkeyPatch, source: str, words: str) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.2 if "0.2 s" in words or "macro" in source else 60)
    monkeypatch.setattr(module, "MEMORY", 1 << 26)
    limits, handler = resource.getrlimit(resource.RLIMIT_AS), signal.getsignal(signal.SIGPROF)
    with pytest.raises(StepFailed, match=r"templates/t\.j2(:1)?: ") as failed:
        render(source, "t")
    assert words in failed.value.message
    assert resource.getrlimit(resource.RLIMIT_AS) == limits
    assert signal.getsignal(signal.SIGPROF) == handler and signal.getitimer(signal.ITIMER_PROF)[0] == 0


@pytest.mark.parametrize("ending", ["py", "json"])
def test_a_result_that_is_nested_too_deeply(ending: str) -> None:
    with pytest.raises(StepFailed, match="does not make a valid"):
        render("[" * 100_000, f"t.{ending}")


def test_templates_are_files_of_their_folder(tmp_path: Path) -> None:
    folder, secret = tmp_path / "templates", tmp_path / "secret"
    (folder / "sub").mkdir(parents=True)
    secret.mkdir()
    (secret / "key.txt").write_text("secret")
    (folder / "a.j2").write_text("a")
    (folder / "sub/b.j2").symlink_to("../a.j2")
    (folder / "key.txt").symlink_to(secret / "key.txt")
    (folder / "secrets").symlink_to(secret)
    os.mkfifo(folder / "fifo")
    assert read_templates(folder) == {"a.j2": "a", "sub/b.j2": "a"}
    (folder / "key.j2").symlink_to(secret / "key.txt")
    with pytest.raises(StepFailed, match=r"templates/key\.j2 is not a template: it is a link to .*, out of"):
        read_templates(folder)
    (folder / "key.j2").unlink()
    os.mkfifo(folder / "key.j2")
    with pytest.raises(StepFailed, match="a FIFO is where a file should be"):
        read_templates(folder)
