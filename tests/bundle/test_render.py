"""Templates: strict, sandboxed, and no value becomes code, shown by the programs that read the files."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from finnyaml.bundle.render import Templates, builtin_names
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
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ue000\ue001"), max_size=30)


TAGS = "h1 p p ul li table thead tr th th code tbody tr td td p b p"


def render(source: str, to: str, own: Mapping[str, str] | None = None, **context: Any) -> str:
    return Templates({"t.j2": source, **(own or {})}).render("t.j2", to, context)


def bash(script: str) -> str:
    """What the script prints. It finds no programs and can write no files, so a value that gets loose does nothing."""
    run = subprocess.run(["/bin/bash", "-c", script], capture_output=True, check=True, env={"PATH": ""}, cwd="/proc")
    return run.stdout.decode()


@pytest.mark.parametrize("name", EVIL)
def test_python_reads_the_value_wherever_it_stands(name: str) -> None:
    _check_python(name)


@given(TEXTS)
def test_python_reads_any_value(name: str) -> None:
    _check_python(name)


def _check_python(name: str) -> None:
    source = (
        "# {{ name }} \"\na = {{ name }}\nb = \"<{{ name }}>\"\nc = '<{{ name }}>'  # {{ name }} '\n"
        "d = '''\n{{ name }}'''\ne = \"{{ name }}{{ name }}\"\nf'{e}'\ng = {{ name }}\n"
    )
    found = {}
    for node in ast.parse(render(source, "x.py", name=name)).body:
        if isinstance(node, ast.Expr):
            continue
        assert isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        found[node.targets[0].id] = ast.literal_eval(node.value)
    assert found == {"a": name, "b": f"<{name}>", "c": f"<{name}>", "d": f"\n{name}", "e": name + name, "g": name}


def test_python_gets_literals() -> None:
    value = {"a": [1, 2.5, None, True, "x"], "b": {}}
    assert ast.literal_eval(render("{{ value }}", "x.py", value=value)) == value


@pytest.mark.parametrize("name", EVIL)
def test_a_shell_reads_the_value_wherever_it_stands(name: str) -> None:
    _check_shell(name)


@settings(max_examples=40, deadline=None)
@given(TEXTS)
def test_a_shell_reads_any_value(name: str) -> None:
    _check_shell(name)


def _check_shell(name: str) -> None:
    source = r"""# {{ name }}
a={{ name }} # {{ name }} "
b="<{{ name }}>"
c='<{{ name }}>'
d=$(printf %s. {{ name }} "{{ name }}") # it\'s {{ name }}
printf '%s\0' "$a" "${b}" "$c" "$d" a{{ name }}b
"""
    found = bash(render(source, "x.sh", name=name)).split("\0")[:-1]
    assert found == [name, f"<{name}>", f"<{name}>", f"{name}.{name}.", f"a{name}b"]


@given(TEXTS)
def test_json_reads_any_value(name: str) -> None:
    source = '{"a": {{ name }}, "b": "<{{ name }}>", {{ name }}: {{ [name, none, 1.5, true] }}}'
    expected = {"a": name, "b": f"<{name}>", name: [name, None, 1.5, True]}
    assert json.loads(render(source, "x.json", name=name)) == expected


@pytest.mark.parametrize("name", EVIL)
def test_markdown_shows_the_value_as_it_is(name: str) -> None:
    source = (
        "# {{ name }}\n\nx {{ name }} y\n\n{{ name }}\n\n- {{ name }}\n\n| {{ name }} | `{{ name }}` |\n|---|---|\n"
        "| {{ name }} | b |\n\n<b>{{ name }}</b>\n\n<!-- {{ name }} -->\n\nlast\n"
    )
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(render(source, "x.md", name=name))
    shown = _Page()
    shown.feed(page)
    assert shown.tags == TAGS.split()
    assert next(text.strip() for text in shown.texts if text) == _flat(name).strip()
    assert f"x {_flat(name)} y" in [text.strip() for text in shown.texts]
    assert shown.texts.count(_flat(name).strip()) >= 3 and "last" in shown.texts


def _flat(name: str) -> str:
    """On one line, with what has no picture written out."""
    blank = " ".join(f"<{name}>".split())[1:-1]
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in blank)


def test_a_command_in_markdown_is_quoted_for_both() -> None:
    page = render("```sh\nprintf %s {{ name | sh }}\n```\n", "x.md", name='a"; rm -rf ~ #\n`$(x)`')
    assert bash(page.split("\n")[1]) == 'a"; rm -rf ~ # `$(x)`'
    with pytest.raises(StepFailed, match=r"templates/t.j2:2: .* would end the block"):
        render("```sh\n{{ name }}\n```\n", "x.md", name="```")


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
        ("x = f'{{ name }}'", "x.py", "t.j2:1: a value cannot stand in a string with the prefix f"),
        ("x = ({{ name }}", "x.py", "t.j2: this is no valid Python: '\\(' was never closed"),
        ('{"a": {{ name }}', "x.json", "t.j2: this is no valid JSON"),
        ('x = f"{d["\n{{ name }}', "x.py", "t.j2:2: a value cannot stand after such a string with the prefix f"),
        ('x = "\\{{ name }}"', "x.py", "t.j2:1: a value cannot stand directly after a backslash"),
        ("x=1\ncat <<EOF\n{{ name }}\nEOF\n", "x.sh", "t.j2:3: a value cannot stand after the << in line 2"),
        ("cat <<{{ name }}\n", "x.sh", "t.j2:1: a value cannot stand after the <<"),
        ("x=`{{ name }}`", "x.sh", "t.j2:1: a value cannot stand after the ` in line 1 of the script: above it, set"),
        ("x=$'{{ name }}'", "x.sh", "t.j2:1: a value cannot stand after the '"),
        ('x="$(date)"\ny={{ name }}', "x.sh", 't.j2:2: a value cannot stand after the " in line 1'),
        ('x="${y:-{{ name }}}"', "x.sh", 't.j2:1: a value cannot stand after the "'),
        ("x=$(( {{ name }} ))", "x.sh", r"t.j2:1: a value cannot stand after the \(\("),
        ("x=$[ {{ name }} ]", "x.sh", r"t.j2:1: a value cannot stand after the \$\["),
        ("x=${{ name }}", "x.sh", r"t.j2:1: a value cannot stand after the \$"),
        ('x="${{ name }}"', "x.sh", 't.j2:1: a value cannot stand after the "'),
        ("x=a\\ #{{ name }}", "x.sh", "t.j2:1: a value cannot stand after the #"),
        ("x=\\{{ name }}", "x.sh", "t.j2:1: a value cannot stand directly after a backslash"),
        ("x={{ '\\0' }}", "x.sh", "t.j2: this is no valid shell: a NUL character"),
        ('x\n<b title="{{ name }}">', "x.md", "t.j2:2: a value cannot stand in a tag or the target of a link"),
        ("<{{ name }}>", "x.md", "t.j2:1: a value cannot stand in a tag"),
        ("[x]({{ name }})", "x.md", "t.j2:1: a value cannot stand in a tag or the target of a link, unless you vouch"),
        ("[x]: {{ name }}", "x.md", "t.j2:1: a value cannot stand in a tag or the target of a link"),
        ("```{{ name }}\nx\n```\n", "x.md", "t.j2:1: a value cannot stand in the line that begins a block of code"),
        ("{{ name }}", "x.html", "t.j2:1: .* not known how to quote for this kind of file"),
        ("{{ name | tojson }}", "x.py", "t.j2:1: No filter named 'tojson'"),
        ("{{ 'a\nb' }}", "x.txt", "t.j2:1: 'a\\\\nb' has control characters"),
        ("set x {{ name }}", "x.tcl", "t.j2:1: .* not known how to quote for this kind of file"),
        ("{{ name.upper }}", "x.md", "t.j2:1: .* is no value"),
    ],
)
def test_mistakes_are_told_with_template_and_line(source: str, to: str, said: str) -> None:
    with pytest.raises(StepFailed, match=said):
        render(source, to, {"bad.j2": "x\n{{ nme }}"}, name="n", d={"items": [1]})


def test_a_near_name_is_a_hint() -> None:
    with pytest.raises(StepFailed) as refused:
        render("{{ nme }}", "x.md", name=1)
    assert refused.value.hint == "did you mean 'name'?"


def test_what_a_template_makes_itself_is_not_quoted_again() -> None:
    source = (
        "{% macro bold(x) %}**{{ x }}**{% endmacro %}{% set both %}{{ bold(1) }} {{ bold('*') }}{% endset %}"
        "{{ both }} {{ bold(both | upper) }}{% call(x) twice() %}<b>{{ x }}</b>{% endcall %}"
    )
    own = "{% macro twice() %}{{ caller('<') }}{{ caller('>') }}{% endmacro %}"
    found = render("{% from 'm.j2' import twice %}" + source, "x.md", {"m.j2": own})
    assert found == "**1** **\\*** **\\*\\*1\\*\\* \\*\\*\\*\\*\\***<b>&lt;</b><b>&gt;</b>"


def test_filters_say_another_language() -> None:
    name = 'a"b'
    assert render("{{ name | json }} {{ name | raw }}", "x.tcl", name=name) == '"a\\"b" a"b'
    assert render("x = {{ name | py }}", "x.py", name=name) == "x = 'a\"b'"
    made = ast.parse(render("x = json.loads({{ [1] | json }})", "x.py")).body[0]
    assert ast.unparse(made) == "x = json.loads('[1]')"
    assert render('x="{{ name | sh }}"', "x.sh", name="a b") == "x=\"'a b'\""
    assert render("[x]({{ name | raw }})", "x.md", name="a_b.md") == "[x](a_b.md)"
    assert render('x=`date`; y="{{ "${#z[@]}" | raw }}"', "x.sh") == 'x=`date`; y="${#z[@]}"'


def test_own_templates_come_first_and_can_extend_the_built_in_ones() -> None:
    own = {
        "README.md.j2": "{% extends 'builtin/README.md.j2' %}{% block head %}# Mine{% endblock %}",
        "idle.md.j2": "",
    }
    templates = Templates(own)
    assert templates.source("README.md.j2") == (own["README.md.j2"], "templates/README.md.j2")
    assert templates.source("builtin/README.md.j2")[0].startswith("{%- macro")
    assert templates.used == {"README.md.j2"}
    assert "deploy.sh.j2" in builtin_names() and "driver/settings.json.j2" in builtin_names()
