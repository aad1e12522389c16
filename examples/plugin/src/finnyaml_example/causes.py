"""A cause of lost accuracy."""

import numpy as np

from finnyaml.verify.bisect.result import Cause


def weights_removed(case):
    """Speaks where the layer that first disagrees has more weights of zero than before the step."""
    if case.former is None or (case.node.op_type, case.former.op_type) != ("MatMul", "MatMul"):
        return None
    before, after = (
        np.mean(run.graph.model.get_initializer(node.input[1]) == 0)
        for run, node in ((case.before, case.former), (case.after, case.node))
    )
    if after <= before:
        return None
    text = f"{after:.0%} of the weights of {case.finding.node} are zero, and {before:.0%} were before"
    return Cause("example.weights-removed", text, "prune less of it, and train the network again afterwards")
