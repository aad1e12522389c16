"""What `preprocess:` and `postprocess:` of a recipe are in a plain script: two functions, written out as they are.

They are text for other people's scripts. An import knows them again, so a recipe comes back as it was.
"""

from __future__ import annotations

import ast

BEFORE = '''\
def before(model, cfg, stages, datatype):
    """Let the data pass through x / 255 (to_tensor) and (x - mean) / std (normalize) before the network."""
    source = model.graph.input[0].name
    shape = model.get_tensor_shape(source)
    consumers, tensor, operations = model.find_consumers(source), source, []
    for stage in stages:
        if stage == "to_tensor":
            operations.append(("Div", 255.0))
        else:
            operations += [("Sub", stage["normalize"]["mean"]), ("Div", stage["normalize"]["std"])]
    for position, (operator, value) in enumerate(operations):
        values = np.asarray(value, np.float32).reshape(-1)
        if values.size > 1:  # one per channel
            values = values.reshape([-1 if axis == 1 else 1 for axis in range(len(shape))])
        constant, result = model.make_new_valueinfo_name(), None
        model.set_initializer(constant, values)
        result = model.make_new_valueinfo_name()
        model.set_tensor_shape(result, shape)
        model.set_tensor_datatype(result, DataType["FLOAT32"])
        model.graph.node.insert(position, helper.make_node(operator, [tensor, constant], [result]))
        tensor = result
    for node in consumers:
        for index, name in enumerate(node.input):
            if name == source and tensor != source:
                node.input[index] = tensor
    model.set_tensor_datatype(source, DataType[datatype])
    return model.transform(InferShapes())
'''

AFTER = '''\
def after(model, cfg, k):
    """Put the indices of the k highest scores behind the network."""
    return model.transform(InsertTopK(k=k)).transform(InferShapes())
'''

IMPORTS = """\
import numpy as np
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.insert_topk import InsertTopK
"""

NAMED = '''\
def named(function, **arguments):
    """A step with arguments of its own; FINN asks a step for its name."""
    step = functools.partial(function, **arguments)
    step.__name__ = function.__name__
    return step
'''


def known(function: ast.AST) -> str | None:
    """`before` or `after` where this is the function of that name here; else None."""
    for name, text in (("before", BEFORE), ("after", AFTER)):
        if ast.dump(function) == ast.dump(ast.parse(text).body[0]):
            return name
    return None
