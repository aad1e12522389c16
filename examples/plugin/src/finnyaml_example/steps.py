"""A step."""

import numpy as np


def prune(model, cfg, fraction=0.5):
    """Set this fraction (0 to 1) of the weights of each matrix product to zero: the smallest ones."""
    for node in model.graph.node:
        weights = model.get_initializer(node.input[1]) if node.op_type == "MatMul" else None
        if weights is not None:
            smallest = np.abs(weights) < np.quantile(np.abs(weights), fraction)
            model.set_initializer(node.input[1], np.where(smallest, np.float32(0), weights))
    return model
