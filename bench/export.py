"""Export torchvision's networks, cut at their last pooling, for every engine: export.py ENGRAFT FOLDER NAME...
efficientnet_lite0, which torchvision has not, is the embedded one as `engraft convert` writes it.
Weights are random (Kaiming, with batch-norm statistics that keep activations in range): time does
not depend on them, and the same file goes to each engine."""
import os
import subprocess
import sys

import onnx
import torch
import torchvision


class Cut(torch.nn.Module):
    """To the layer that engraft cuts at by default, as a vector where that layer is one."""

    def __init__(self, model, name):
        super().__init__()
        self.vector = not name.startswith(("vgg", "alexnet", "squeezenet"))
        self.relu = name.startswith("densenet")
        children = [m for n, m in model.named_children() if n not in ("avgpool", "classifier", "fc")]
        self.layers = torch.nn.Sequential(*children)

    def forward(self, x):
        x = self.layers(x)
        if self.relu:
            x = torch.relu(x)
        return x.mean([2, 3]) if self.vector else x


def build(name):
    torch.manual_seed(1)
    model = getattr(torchvision.models, name)().eval()
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.8, 1.5)
    return Cut(model, name).eval()


def bare(path):
    """Without what engraft takes for its recipe: the nodes that normalise, the metadata."""
    model = onnx.load(path)
    nodes = model.graph.node
    first = next(i for i, node in enumerate(nodes) if node.op_type == "Conv")
    nodes[first].input[0] = model.graph.input[0].name
    del nodes[:first], model.metadata_props[:]
    onnx.save(model, path)


engraft, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
os.makedirs(folder, exist_ok=True)
os.chdir(folder)
for name in sys.argv[3:]:
    if os.path.exists(name + ".mnn") and os.path.exists(name + ".ncnn.param"):
        continue
    x = torch.zeros(1, 3, 224, 224)
    if name == "efficientnet_lite0":
        if not os.path.exists(name + ".onnx"):
            subprocess.run([engraft, "convert", name, "--cut", "avgpool", "-o", name + ".onnx"], check=True)
            bare(name + ".onnx")
    elif not os.path.exists(name + ".onnx"):
        net = build(name)
        torch.onnx.export(net, x, name + ".onnx", input_names=["image"], output_names=["features"],
                          dynamic_axes={"image": {0: "n"}, "features": {0: "n"}}, opset_version=13)
        torch.jit.trace(net, x).save(name + ".pt")
    subprocess.run([sys.executable, "-c", "import sys; sys.argv[0] = 'mnnconvert';"
                    "from MNN.tools import mnnconvert; mnnconvert.main()", "-f", "ONNX", "--modelFile",
                    name + ".onnx", "--MNNModel", name + ".mnn", "--bizCode", "x"],
                   stdout=subprocess.DEVNULL)
    source = name + (".pt" if os.path.exists(name + ".pt") else ".onnx")
    pnnx = os.path.join(os.path.dirname(sys.executable), "pnnx")
    subprocess.run([pnnx, source, "inputshape=[1,3,224,224]", "fp16=0"], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
