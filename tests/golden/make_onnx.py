#!/usr/bin/env python3
"""Makes ../fuzz/corpus/onnx/: small networks as other exporters write them, which the reader's
tests load and its fuzzer starts from.

    tests/golden/make_onnx.py        (onnx 1.14 or later, numpy)"""
from pathlib import Path

import numpy as np
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

OUT = Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "onnx"
rng = np.random.default_rng(5)


def w(*shape):
    return rng.normal(0, 0.3, shape).astype("<f4")


def save(name, nodes, initializers, shape, opset, out="y", out_type=T.FLOAT):
    graph = h.make_graph(nodes, name, [h.make_tensor_value_info("x", T.FLOAT, shape)],
                         [h.make_tensor_value_info(out, out_type, None)], initializers)
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", opset)], producer_name="make_onnx", ir_version=8)
    (OUT / f"{name}.onnx").write_bytes(model.SerializeToString())


def t(name, array):
    return nh.from_array(np.asarray(array), name)


def typed(name, array):
    return h.make_tensor(name, T.FLOAT, array.shape, array.ravel().tolist())


n = h.make_node
# Keras by tf2onnx: NHWC input, shape arithmetic before the reshape, MatMul and Add
save("keras", [
    n("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
    n("Conv", ["t", "k", "b"], ["c"], auto_pad="SAME_UPPER", strides=[2, 2], name="block1_conv1/BiasAdd"),
    n("Transpose", ["c"], ["c2"], perm=[0, 2, 3, 1]),
    n("Add", ["c2", "shift"], ["c3"]),
    n("Relu", ["c3"], ["r"]),
    n("Shape", ["r"], ["s"]),
    n("Cast", ["s"], ["s1"], to=T.INT32),
    n("Slice", ["s1", "zero", "one", "zero"], ["s2"]),
    n("Concat", ["s2", "minus"], ["s3"], axis=0),
    n("Cast", ["s3"], ["s4"], to=T.INT64),
    n("Reshape", ["r", "s4"], ["f"], name="flatten"),
    n("MatMul", ["f", "m"], ["p"]), n("Add", ["p", "mb"], ["q"]), n("Softmax", ["q"], ["y"])],
    [t("k", w(4, 3, 3, 3)), typed("b", w(4)), t("shift", w(4)), t("zero", np.array([0])), t("one", np.array([1])),
     t("minus", np.array([-1], "<i4")), t("m", w(4 * 4 * 4, 3)), t("mb", w(3))],
    ["n", 8, 8, 3], 13)
# channel shuffle and split of ShuffleNet with a free batch, quantised and half weights
save("shuffle", [
    n("DequantizeLinear", ["kq", "scale", "point"], ["k"], axis=0),
    n("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1]),
    n("Shape", ["c"], ["s"]), n("Gather", ["s", "i0"], ["b"]), n("Unsqueeze", ["b", "zero"], ["b1"]),
    n("Concat", ["b1", "tail5"], ["s5"], axis=0), n("Concat", ["b1", "tail4"], ["s4"], axis=0),
    n("Reshape", ["c", "s5"], ["r"]), n("Transpose", ["r"], ["u"], perm=[0, 2, 1, 3, 4]),
    n("Reshape", ["u", "s4"], ["v"], name="shuffle"),
    n("Split", ["v", "halves"], ["left", "right"], axis=1),
    n("Cast", ["half"], ["full"], to=T.FLOAT), n("Conv", ["right", "full"], ["d"], group=2),
    n("Concat", ["left", "d"], ["j"], axis=1), n("ReduceMean", ["j"], ["g"], axes=[2, 3], keepdims=0),
    n("Gemm", ["g", "m"], ["y"])],
    [t("kq", rng.integers(-100, 100, (4, 3, 3, 3)).astype("i1")), t("scale", np.abs(w(4)) / 50),
     t("point", np.array([0, 1, -2, 3], "i1")), t("i0", np.array(0)), t("zero", np.array([0])),
     t("tail5", np.array([2, 2, 6, 6])), t("tail4", np.array([4, 6, 6])), t("halves", np.array([2, 2])),
     t("half", w(2, 1, 1, 1).astype("<f2")), t("m", w(4, 3))],
    ["n", 3, 6, 6], 13)
# old opsets: constants as nodes, attributes that became inputs, decomposed layer norm and GELU
save("old", [
    n("Constant", [], ["k"], value=t("", w(6, 1, 3, 3))),
    n("Pad", ["x"], ["p"], pads=[0, 0, 1, 0, 0, 0, 0, 1], value=0.5),
    n("Gather", ["p", "i1"], ["one"], axis=1), n("Unsqueeze", ["one"], ["one4"], axes=[1]),
    n("Conv", ["one4", "k"], ["c"]), n("Clip", ["c"], ["c6"], min=0.0, max=6.0),
    n("LRN", ["c6"], ["l"], size=3), n("Transpose", ["l"], ["u"], perm=[0, 2, 3, 1]),
    n("ReduceMean", ["u"], ["mean"], axes=[-1]), n("Sub", ["u", "mean"], ["d"]), n("Pow", ["d", "two"], ["sq"]),
    n("ReduceMean", ["sq"], ["var"], axes=[-1]), n("Add", ["var", "eps"], ["ve"]), n("Sqrt", ["ve"], ["sd"]),
    n("Div", ["d", "sd"], ["norm"]), n("Mul", ["norm", "gamma"], ["ng"]), n("Add", ["ng", "beta"], ["nb"], name="norm"),
    n("Div", ["nb", "root2"], ["e1"]), n("Erf", ["e1"], ["e2"]), n("Add", ["e2", "unit"], ["e3"]),
    n("Mul", ["nb", "e3"], ["e4"]), n("Mul", ["e4", "half"], ["e5"], name="gelu"),
    n("Transpose", ["e5"], ["z"], perm=[0, 3, 1, 2]), n("MaxPool", ["z"], ["mp"], kernel_shape=[2, 2]),
    n("Dropout", ["mp"], ["dr"], ratio=0.3), n("Slice", ["dr"], ["sl"], axes=[1], starts=[1], ends=[9]),
    n("GlobalAveragePool", ["sl"], ["g"]), n("Squeeze", ["g"], ["y"], axes=[2, 3])],
    [t("i1", np.array(1)), t("two", np.float32(2)), t("eps", np.float32(1e-6)), t("gamma", w(6)), t("beta", w(6)),
     t("root2", np.float32(2 ** 0.5)), t("unit", np.float32(1)), t("half", np.float32(0.5))],
    [1, 3, 5, 5], 9)
