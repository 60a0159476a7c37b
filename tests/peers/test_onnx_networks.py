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
from arch_engraft import EVERYTHING, TOLERANCE, compare, difference, np, run, scratch  # noqa: E402

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


def onnxruntime_values(model, image, names):
    for name in names:
        if name not in [o.name for o in model.graph.output]:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
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


def add_test(name, opset):
    setattr(Networks, f"test_{name}", lambda self: self.network(name, opset))


for i, each in enumerate(ALL if EVERYTHING else FEW):
    add_test(each, 17 if i % 2 else 13)

if __name__ == "__main__":
    unittest.main()
