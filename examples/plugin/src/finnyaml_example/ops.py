"""A custom op as QONNX has them: nodes of the domain `finnyaml_example.ops`."""

import numpy as np
from onnx import helper
from qonnx.core.datatype import DataType
from qonnx.custom_op.base import CustomOp


class Saturate(CustomOp):
    """Values beyond -limit and limit become these."""

    def get_nodeattr_types(self):
        return {"limit": ("f", True, 0.0)}

    def make_shape_compatible_op(self, model):
        return helper.make_node("Identity", [self.onnx_node.input[0]], [self.onnx_node.output[0]])

    def infer_node_datatype(self, model):
        model.set_tensor_datatype(self.onnx_node.output[0], DataType["FLOAT32"])

    def execute_node(self, context, graph):
        limit = np.float32(self.get_nodeattr("limit"))
        context[self.onnx_node.output[0]] = np.clip(context[self.onnx_node.input[0]], -limit, limit)

    def verify_node(self):
        return []
