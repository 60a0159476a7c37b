#!/usr/bin/env python3
"""Operators that are read as several simpler ones: ONNX's own node tests with the first input made by the network, and
onnxruntime's operators and quantised forms against onnxruntime."""
import os
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
try:
    import numpy as np
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
    from onnx.backend.test.case.node import collect_testcases
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

PROGRAM = Path(os.environ.get("ENGRAFT", "build/release/engraft")).parent / "tests" / "run_cuts"
OPERATORS = {"InstanceNormalization", "GroupNormalization", "RMSNormalization", "LayerNormalization", "LpNormalization",
             "ReduceLogSumExp", "DepthToSpace", "SpaceToDepth", "QuantizeLinear", "DequantizeLinear", "Swish", "ThresholdedRelu", "Pad",
             "Einsum", "LogSoftmax", "Resize", "ConvTranspose"}
# what is refused, by words of the case's name: a second value that is no constant, masks, caches, other types
REFUSED = ("gqa", "past", "present", "causal", "softcap", "qk_matmul", "blocked", "e4m3", "e5m2", "int4", "uint4", "float4", "uint16", "int2",
           "fp16", "bfloat16", "batch_diagonal", "inner_prod", "einsum_sum", "einsum_transpose", "nonpad", "padded_kv", "4d_bool", "diff_head", "3d_diff", "fullymasked", "local_window", "bidirectional", "scalar", "empty_set",
           "convtranspose_1d", "convtranspose_3d", "not_larger", "not_smaller", "tf_crop_and_resize", "axes_", "align_corners", "image_3")


class Program:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.process = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, model, x, names):
        path, image, out = self.folder / "net.onnx", self.folder / "x", self.folder / "out"
        onnx.save(model, path)
        x.astype("<f4").tofile(image)
        self.process.stdin.write("\t".join([str(path), str(image), str(len(x)), str(out), *names]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        return answer, np.fromfile(out, "<f4") if answer.startswith("ok") else None

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def wrapped(case):
    """The case with its first input reshaped from the network's input, its first output a row."""
    inputs, outputs = [[numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else v for v in part] for part in case.data_sets[0]]
    graph, first = case.model.graph, np.asarray(inputs[0])
    nodes = [helper.make_node("Reshape", ["the_input", "first_shape"], [graph.input[0].name]), *graph.node,
             helper.make_node("Cast", [graph.output[0].name], ["cast"], to=TensorProto.FLOAT),
             helper.make_node("Reshape", ["cast", "row"], ["the_output"])]
    tensors = [numpy_helper.from_array(np.asarray(v), info.name) for info, v in zip(graph.input[1:], inputs[1:])]
    tensors += [numpy_helper.from_array(np.array(first.shape, "i8"), "first_shape"), numpy_helper.from_array(np.array([1, -1]), "row")]
    info = helper.make_tensor_value_info
    made = helper.make_graph(nodes, "case", [info("the_input", TensorProto.FLOAT, [1, int(first.size)])], [info("the_output", TensorProto.FLOAT, None)], tensors)
    opset = max([13, *(o.version for o in case.model.opset_import if not o.domain)])
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), first.reshape(1, -1), np.asarray(outputs[0], np.float64).ravel()


class NodeTests(unittest.TestCase):
    def test_all(self):
        warnings.simplefilter("ignore")
        wrong, refused, done = [], [], {}
        with tempfile.TemporaryDirectory(prefix="engraft-expanded-") as folder:
            program = Program(folder)
            for case in collect_testcases(None):
                nodes = case.model.graph.node
                if len(nodes) != 1 or nodes[0].op_type not in OPERATORS or any(word in case.name for word in REFUSED):
                    continue
                model, x, expected = wrapped(case)
                if x.dtype.kind != "f" and nodes[0].op_type not in ("DequantizeLinear", "Pad"):
                    continue
                answer, ours = program.run(model, x, ["the_output"])
                if ours is None and "across the images of a batch" in answer: # the case's first side stands for the batch
                    continue
                if ours is None:
                    refused.append(f"{case.name}: {answer}")
                    continue
                done[nodes[0].op_type] = done.get(nodes[0].op_type, 0) + 1
                if ours.size != expected.size or not np.allclose(ours, expected, 1e-3 if x.dtype == np.float16 else 1e-4, 1e-5):
                    wrong.append(f"{case.name}: {ours[:6]} where {expected[:6]} is right")
            program.close()
        print(done)
        print(*wrong, *refused, sep="\n")
        self.assertEqual(([], []), (wrong, refused))
        self.assertEqual(OPERATORS - {"Einsum"}, set(done))


class OfOnnxruntime(unittest.TestCase):
    """x [2][3][8][8], a convolution of 6 channels before all."""

    def compare(self, nodes, tensors, names, tolerance=1e-5, microsoft=True):
        rng = np.random.default_rng(1)
        tensors = {"w0": rng.normal(0, 0.3, (6, 3, 3, 3)).astype("f4"), **tensors}
        nodes = [helper.make_node("Conv", ["x", "w0"], ["c"], pads=[1] * 4), *nodes]
        info = helper.make_tensor_value_info
        graph = helper.make_graph(nodes, "net", [info("x", TensorProto.FLOAT, [1, 3, 8, 8])], [onnx.ValueInfoProto(name=n) for n in names],
                                  [numpy_helper.from_array(v, k) for k, v in tensors.items()])
        opsets = [helper.make_opsetid("", 20)] + ([helper.make_opsetid("com.microsoft", 1)] if microsoft else [])
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        x = rng.normal(0, 1, (2, 3, 8, 8)).astype("f4")
        theirs = [session.run(names, {"x": one[None]}) for one in x]
        with tempfile.TemporaryDirectory(prefix="engraft-expanded-") as folder:
            program = Program(folder)
            for i, name in enumerate(names):
                answer, ours = program.run(model, x.transpose(0, 2, 3, 1), [name])
                self.assertIsNotNone(ours, answer)
                right = np.stack([t[i] for t in theirs]).astype("f8")
                self.assertEqual(ours.size, right.size)
                # features have the last axis first, where there are several
                last_first = np.moveaxis(right, -1, 2) if right.ndim == 5 else right
                difference = min(np.abs(ours - order.ravel()).max() for order in (right, last_first))
                self.assertLess(difference / np.abs(right).max(), tolerance, name)
            program.close()

    def test_what_the_optimizer_writes(self):
        rng = np.random.default_rng(2)

        def node(op, inputs, outputs, **more):
            return helper.make_node(op, inputs, outputs, domain="com.microsoft", **more)

        def normal(*shape):
            return rng.normal(0, 0.5, shape).astype("f4")

        tensors = {"b8": normal(8), "g8": normal(8), "s8": normal(8), "k": normal(4, 6, 1, 1), "kb": normal(4), "m": normal(8, 5), "q": normal(24)}
        tensors |= {"shape": np.array([0, 48, 8]), "wq": normal(8, 8), "wk": normal(8, 8), "wv": normal(8, 8)}
        nodes = [node("BiasGelu", ["c", "b8"], ["bias_gelu"]), node("Gelu", ["c"], ["gelu"]), node("FastGelu", ["c", "b8"], ["fast_gelu"]),
                 node("QuickGelu", ["c"], ["quick_gelu"], alpha=1.702), helper.make_node("Reshape", ["c", "shape"], ["t"]),
                 node("SkipLayerNormalization", ["t", "t", "g8", "s8", "b8"], ["skip", "", "", "sum"], epsilon=1e-5), helper.make_node("Softmax", ["sum"], ["after"]),
                 node("FusedConv", ["c", "k", "kb"], ["fused_conv"], activation="Relu"), node("FusedMatMul", ["t", "t"], ["fused_matmul"], transB=1, alpha=0.5),
                 *(helper.make_node("MatMul", ["t", w], [w[1]]) for w in ("wq", "wk", "wv")),
                 node("MultiHeadAttention", ["q_", "k_", "v_", "q"], ["heads"], num_heads=2)]
        for n in nodes:
            if n.op_type == "MatMul":
                n.output[0] += "_"
        self.compare(nodes, tensors, ["bias_gelu", "gelu", "fast_gelu", "quick_gelu", "skip", "after", "fused_conv", "fused_matmul", "heads"])

    def test_einsum(self):
        """The node tests' first side is a batch; here it is not."""
        nodes = [helper.make_node("Einsum", ["c", "c"], ["e"], equation="bchw,bcvw->bchv"),
                 helper.make_node("Flatten", ["e"], ["f"]), helper.make_node("MatMul", ["f", "m"], ["y"])]
        self.compare(nodes, {"m": np.random.default_rng(6).normal(0, 1, (384, 5)).astype("f4")}, ["e", "y"], microsoft=False)

    def test_nodes_in_any_order(self):
        """Converters to float16 put their Casts at the end."""
        nodes = [helper.make_node("Neg", ["r"], ["y"]), helper.make_node("Add", ["r", "s"], ["z"]),
                 helper.make_node("Sigmoid", ["r"], ["s"]), helper.make_node("Relu", ["c"], ["r"])]
        self.compare(nodes, {}, ["y", "z"], microsoft=False)

    def test_far_below_the_largest(self):
        """LogSoftmax where Softmax is 0 in float32."""
        nodes = [helper.make_node("Mul", ["c", "far"], ["f"]), helper.make_node("LogSoftmax", ["f"], ["l"], axis=1)]
        self.compare(nodes, {"far": np.float32(300)}, ["l"], microsoft=False)

    def test_a_name_of_the_file_is_no_other_layers(self):
        """`m_2` is what the file calls so, not a second layer for its `m`, whose order of dimensions is another."""
        node = helper.make_node
        nodes = [node("Transpose", ["c"], ["t"], perm=[0, 2, 3, 1]), node("Reshape", ["t", "s"], ["r"]), node("ReduceSum", ["r", "a"], ["m"], keepdims=0),
                 node("Relu", ["m"], ["z"]), node("Reshape", ["m", "s2"], ["u"]), node("Softmax", ["u"], ["v"]), node("Add", ["z", "one"], ["m_2"]), node("Neg", ["m_2"], ["z_2"])]
        tensors = {"s": np.array([1, 8, 4, 2, 6]), "a": np.array([3]), "s2": np.array([1, 4, 8, 6]), "one": np.float32(1)}
        self.compare(nodes, tensors, ["m", "v", "z", "m_2", "z_2"], microsoft=False)

    def test_quantised_forms(self):
        rng, node = np.random.default_rng(3), helper.make_node
        tensors = {"xs": np.float32(0.03), "xz": np.uint8(120), "w": rng.integers(-127, 127, (4, 6, 3, 3)).astype("i1"),
                   "ws": rng.uniform(0.004, 0.01, 4).astype("f4"), "wz": np.zeros(4, "i1"), "ys": np.float32(0.05), "yz": np.uint8(100),
                   "b": rng.integers(-500, 500, 4).astype("i4"), "m": rng.integers(0, 255, (256, 5)).astype("u1"), "ms": np.float32(0.01), "mz": np.uint8(128),
                   "os": np.float32(0.2), "oz": np.uint8(128)}
        nodes = [node("QuantizeLinear", ["c", "xs", "xz"], ["cq"]), node("DequantizeLinear", ["cq", "xs", "xz"], ["qdq"]),
                 node("QLinearConv", ["cq", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["yq"], pads=[1] * 4), node("DequantizeLinear", ["yq", "ys", "yz"], ["conv"]),
                 node("Flatten", ["yq"], ["flat"]), node("QLinearMatMul", ["flat", "ys", "yz", "m", "ms", "mz", "os", "oz"], ["oq"]),
                 node("DequantizeLinear", ["oq", "os", "oz"], ["product"]),
                 node("DynamicQuantizeLinear", ["conv"], ["dq", "ds", "dz"]), node("ConvInteger", ["dq", "w2", "dz", "wz0"], ["ci"]),
                 node("Cast", ["ci"], ["cf"], to=1), node("Mul", ["cf", "ds"], ["dynamic"])]
        tensors |= {"w2": rng.integers(-127, 127, (4, 4, 1, 1)).astype("i1"), "wz0": np.int8(0)}
        self.compare(nodes, tensors, ["qdq", "conv", "product", "dynamic"], 1e-2, microsoft=False)


if __name__ == "__main__":
    unittest.main()
