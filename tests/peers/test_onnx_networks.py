#!/usr/bin/env python3
"""torchvision's networks as torch.onnx.export writes them: logits and inner layers, reached by the
file's own names, against onnxruntime; and the file that convert makes of each, run there too.

All of them with ENGRAFT_TEST_ALL set, else a few."""
import io
import os
import sys
import unittest
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from arch_engraft import EVERYTHING, TOLERANCE, compare, difference, h5py, np, run, scratch  # noqa: E402

try:
    import onnx
    import onnxruntime
    import torch
    import torchvision
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

FEW = ["resnet18", "squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v3_small"]
ALL = FEW + ["alexnet", "vgg11_bn", "resnet50", "densenet121", "googlenet", "inception_v3", "mobilenet_v2",
             "mobilenet_v3_large", "mnasnet0_5", "efficientnet_b0", "regnet_y_400mf", "convnext_tiny"]
INNER = ("Conv", "Relu", "MaxPool", "GlobalAveragePool")


def export(name, side, opset):
    """The network with random weights and statistics, as bytes."""
    torch.manual_seed(3)
    more = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    net = getattr(torchvision.models, name)(num_classes=20, **more)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net.eval(), torch.zeros(1, 3, side, side), out, opset_version=opset, input_names=["x"],
                          output_names=["logits"], dynamic_axes={"x": {0: "n"}} if opset == 13 else None)
    return out.getvalue()


def onnxruntime_values(model, image, names, as_written=False):
    """as_written: without its optimisations, which compute with 8 bits where weights have them"""
    options = onnxruntime.SessionOptions()
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for name in names:
        if name not in [o.name for o in model.graph.output]:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: image.transpose(2, 0, 1)[None]}
    values = session.run(names, feed)
    return {n: v[0].transpose(1, 2, 0) if v.ndim == 4 else v[0] for n, v in zip(names, values)}


class Networks(unittest.TestCase):
    def network(self, name, opset):
        side = 299 if name == "inception_v3" else 224
        image = np.random.default_rng(1).normal(0, 1, (side, side, 3)).astype(np.float32)
        with scratch() as folder:
            path, converted = os.path.join(folder, "net.onnx"), os.path.join(folder, "converted.onnx")
            with open(path, "wb") as file:
                file.write(export(name, side, opset))
            model = onnx.load(path)
            inner = [n.output[0] for n in model.graph.node if n.op_type in INNER]
            names = [inner[len(inner) // 4], inner[len(inner) // 2], inner[-2], "logits"]
            reference = onnxruntime_values(model, image, names)
            compare(self, path, image, reference, folder)
            run("convert", path, "-o", converted, "--preprocess", "plain", "--quiet")
            onnx.checker.check_model(converted, full_check=True)
            e = np.exp(reference["logits"] - reference["logits"].max())
            self.assertLess(difference(self.converted_values(converted, image), e / e.sum()), TOLERANCE)

    def converted_values(self, path, image):
        """Its output for pixels that its own normalisation turns into `image`."""
        model = onnx.load(path)
        constant = {t.name: onnx.numpy_helper.to_array(t).ravel() for t in model.graph.initializer
                    if t.name.startswith("engraft.normalize")}
        pixels = image
        if constant:
            pixels = (image - constant["engraft.normalize/offset/constant"]) / constant["engraft.normalize/scale/constant"]
        return onnxruntime_values(model, pixels.astype(np.float32), [model.graph.output[0].name])[
            model.graph.output[0].name]


class Operators(unittest.TestCase):
    def compare(self, nodes, initializers, names, others=()):
        info = onnx.helper.make_tensor_value_info
        graph = onnx.helper.make_graph(nodes, "operators", [info("x", onnx.TensorProto.FLOAT, [1, 3, 6, 7])],
                                       [info("y", onnx.TensorProto.FLOAT, None)],
                                       [onnx.numpy_helper.from_array(v, k) for k, v in initializers.items()])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 15)], ir_version=8)
        image = np.random.default_rng(2).normal(0, 2, (6, 7, 3)).astype(np.float32)
        with scratch() as folder:
            path, converted = os.path.join(folder, "net.onnx"), os.path.join(folder, "converted.onnx")
            onnx.save(model, path)
            reference = onnxruntime_values(model, image, list(names), as_written=True)
            array, out = os.path.join(folder, "x.npy"), os.path.join(folder, "x.h5")
            np.save(array, image.transpose(2, 0, 1)[None])
            cuts = [option for name in names for option in ("--cut", name)]
            run("extract", path, array, "-o", out, "--order", "hwc", "--quiet", *cuts)
            with h5py.File(out) as f:
                for name in names:
                    self.assertLess(difference(f["cuts"][name][0], reference[name]), 1e-6, name)
            for name in others:
                run("inspect", path, "--cut", name)
            run("convert", path, "-o", converted, "--cut", "y", "--preprocess", "plain", "--quiet")
            onnx.checker.check_model(converted, full_check=True)

    def test_sum_max_and_min_of_many(self):
        node = onnx.helper.make_node
        self.compare([node("Relu", ["x"], ["r"]), node("Neg", ["x"], ["n"]),
                      node("Sum", ["r", "n", "x", "c"], ["s"], name="adding"), node("Max", ["s", "c", "n"], ["m"]),
                      node("Min", ["m", "r", "limit"], ["y"])],
                     {"c": np.array([[[0.5]], [[-1]], [[0.1]]], "<f4"), "limit": np.float32(1.5)}, ("s", "m", "y"), ("adding",))

    def test_prelu_and_elu(self):
        node = onnx.helper.make_node
        self.compare([node("PRelu", ["x", "slope"], ["p"]), node("PRelu", ["p", "one"], ["q"]),
                      node("Elu", ["q"], ["e"], alpha=0.7), node("Elu", ["e"], ["y"])],
                     {"slope": np.array([[[0.5]], [[-1]], [[0.1]]], "<f4"), "one": np.array([0.25], "<f4")}, ("p", "q", "e", "y"))

    def test_weights_of_8_bits(self):
        node, rng = onnx.helper.make_node, np.random.default_rng(4)
        self.compare([node("DequantizeLinear", ["k", "k_scale", "k_zero"], ["kf"], axis=0),
                      node("DequantizeLinear", ["b", "b_scale"], ["bf"]), node("Conv", ["x", "kf", "bf"], ["c"]),
                      node("GlobalMaxPool", ["c"], ["g"]), node("Flatten", ["g"], ["f"]),
                      node("DequantizeLinear", ["m", "m_scale", "m_zero"], ["mf"], axis=1),
                      node("MatMul", ["f", "mf"], ["y"])],
                     {"k": rng.integers(-127, 127, (5, 3, 3, 3)).astype("i1"), "k_scale": rng.uniform(0.01, 0.02, 5).astype("<f4"),
                      "k_zero": np.array([0, 3, -5, 0, 1], "i1"), "b": rng.integers(-900, 900, 5).astype("<i4"),
                      "b_scale": np.float32(0.001), "m": rng.integers(0, 255, (5, 4)).astype("u1"),
                      "m_scale": rng.uniform(0.01, 0.02, 4).astype("<f4"), "m_zero": np.array([128, 120, 0, 131], "u1")},
                     ("c", "g", "y"))

    def test_what_is_not_known_is_refused_by_name(self):
        for op, opset in (("NonZero", 13), ("Bernoulli", 15), ("Hardmax", 13), ("RandomNormalLike", 15)):
            graph = onnx.helper.make_graph(
                [onnx.helper.make_node(op, ["x"], ["y"], name="odd")], "operators",
                [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 6, 7])],
                [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)])
            model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
            with scratch() as folder:
                path = os.path.join(folder, "net.onnx")
                onnx.save(model, path)
                with self.assertRaisesRegex(AssertionError, f"exit 1\n.*'odd' \\({op}\\)"):
                    run("inspect", path)


def add_test(name, opset):
    setattr(Networks, f"test_{name}", lambda self: self.network(name, opset))


for i, each in enumerate(ALL if EVERYTHING else FEW):
    add_test(each, 17 if i % 2 else 13)

if __name__ == "__main__":
    unittest.main()
