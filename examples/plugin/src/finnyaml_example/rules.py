"""A lint rule, which the repair belongs to."""

from finnyaml.graph.view import name
from finnyaml.lint.catalogue import Rule
from finnyaml.lint.rules import checks, finding
from finnyaml_example.repairs import idle_relus

RULE = Rule("example.idle-relu", "info", "A Relu whose input is never negative", "example.drop_idle_relus")


@checks(RULE)
def idle_relu(view, stage):
    """Asked about the graph after each step: `view` is the graph, `stage` says where in the build it stands."""
    for node in idle_relus(view):
        message = f"{name(node)} changes nothing: its input is {view.datatype(node.input[0]).name}"
        yield finding(RULE.id, message, node=name(node), repair=RULE.repair)
