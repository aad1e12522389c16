"""Every rule is checked, documented and suppressible; the light half needs no graph world."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from finnyaml.lint.catalogue import RULES, Finding, suppressed
from finnyaml.lint.rules import CHECKS, checks
from finnyaml.steps.builtin import STEPS
from finnyaml.worker.functions import function_of

ROOT = Path(__file__).parents[2]


def test_every_rule_is_checked_by_one_function():
    from finnyaml.lint import graph

    assert graph.check
    assert set(CHECKS) == set(RULES)
    with pytest.raises(ValueError, match="twice"):
        checks("no-folding")(lambda view, stage: iter(()))


def test_every_repair_exists_and_has_its_place():
    wanted = {rule.repair for rule in RULES.values() if rule.repair}
    assert wanted == {name for name, step in STEPS.items() if step.place}
    assert all(callable(function_of(step.function)) for step in STEPS.values())


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_every_rule_has_its_page(rule):
    text = (ROOT / f"docs/lints/{rule.id}.md").read_text()
    assert text.startswith(f"# {rule.id}\n\n{rule.title}. Severity: {rule.severity}.\n")
    for section in ("What it means", "Why", "Example", "What to do", "To suppress it"):
        assert len(text.partition(f"\n## {section}\n\n")[2].partition("\n## ")[0]) > 30, section
    assert f"lint: {{ignore: [{rule.id}]}}" in text
    assert rule.repair is None or f"`{rule.repair}`" in text
    assert "\n" not in rule.title and not rule.title.endswith(".")


def test_every_page_has_its_rule_and_the_index_has_them_all():
    pages = {page.stem for page in (ROOT / "docs/lints").glob("*.md")} - {"README"}
    assert pages == set(RULES)
    index = (ROOT / "docs/lints/README.md").read_text()
    for rule in RULES.values():
        repair = f"`{rule.repair}`" if rule.repair else ""
        assert f"| [{rule.id}]({rule.id}.md) | {rule.severity} | {rule.title} | {repair} |" in index
    assert index.count("\n| [") == len(RULES)


def test_a_finding_survives_json():
    full = Finding("no-folding", "warning", "m", "n", "h", "represent_padding", ("folding", "nodes", 0))
    for finding in (full, Finding("no-folding", "warning", "m")):
        assert Finding.of(json.loads(json.dumps(finding.plain()))) == finding


def test_ignored_rules_and_nodes_are_left_out():
    first, second = (Finding("rtl-not-possible", "warning", "m", node) for node in ("MVAU_0", "MVAU_1"))
    other = Finding("input-is-float", "warning", "m")
    assert suppressed([first, second, other], []) == [first, second, other]
    assert suppressed([first, second, other], [("rtl-not-possible", None)]) == [other]
    assert suppressed([first, second, other], [("rtl-not-possible", "MVAU_1"), ("x", None)]) == [first, other]


def test_the_catalogue_and_the_edits_are_light():
    heavy = "{'numpy', 'onnx', 'qonnx', 'finn', 'torch'} & set(sys.modules)"
    code = f"import sys, finnyaml.lint.catalogue, finnyaml.lint.fix; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "set()"
