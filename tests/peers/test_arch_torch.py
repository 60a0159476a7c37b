"""Built-in architectures of torchvision: random weights and batch-norm statistics, saved as .pth
(some as safetensors, some in half precision), give what PyTorch gives: logits and inner layers.
A few of them in every run, all with ENGRAFT_TEST_ALL=1."""
import os
import sys
import unittest

from arch_engraft import EVERYTHING, compare, scratch

try:
    import numpy as np
    import torch
    import torchvision
    from safetensors.torch import save_file
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

try:
    import timm
except ImportError:
    timm = None

torch.set_num_threads(1)

ALWAYS = ["vgg16", "alexnet", "resnet50", "squeezenet1_1", "mobilenet_v2", "densenet121", "efficientnet_b0",
          "convnext_tiny"]
OTHERS = ["vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16_bn", "vgg19", "vgg19_bn", "resnet18", "resnet34",
          "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2",
          "squeezenet1_0", "densenet161", "densenet169", "densenet201", "googlenet", "inception_v3",
          "mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "mnasnet0_5",
          "mnasnet1_0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "efficientnet_b4",
          "regnet_y_400mf", "regnet_y_800mf", "convnext_small", "efficientnet_v2_s", "efficientnet_v2_m"]
SIZES = {"inception_v3": 139}
# timm's name, ours where it is another
TIMM_ALWAYS = [("efficientnet_lite0", "efficientnet-lite0"), ("tf_efficientnet_lite0", "efficientnet-lite0"), ("mobilenetv4_conv_small",),
               ("tf_efficientnetv2_b0",)]
TIMM_OTHERS = [(f"tf_efficientnet_lite{i}", f"efficientnet-lite{i}") for i in range(1, 5)] + [
    ("efficientnet_b0", "efficientnet_b0"), ("efficientnet_b3", "timm-efficientnet_b3"), ("tf_efficientnet_b0",), ("tf_efficientnet_b4", None, 96),
    ("tf_efficientnetv2_b1",), ("tf_efficientnetv2_b2",), ("tf_efficientnetv2_b3",), ("tf_efficientnetv2_s", None, 96), ("tf_efficientnetv2_m", None, 96),
    ("efficientnetv2_rw_t", None, 96), ("efficientnetv2_rw_s", None, 96), ("mobilenetv2_100",), ("mobilenetv3_large_100",), ("mobilenetv3_small_100",),
    ("tf_mobilenetv3_large_100",), ("tf_mobilenetv3_small_100",), ("mobilenetv4_conv_medium",), ("mobilenetv4_conv_large",)]


def make(name, classes):
    torch.manual_seed(0)
    options = {"weights": None, "num_classes": classes}
    if name in ("googlenet", "inception_v3"):
        options.update(init_weights=False, aux_logits=True, transform_input=False)
    return randomised(getattr(torchvision.models, name)(**options))


def randomised(model):
    random = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=random)
            module.running_var.uniform_(0.5, 1.5, generator=random)
            module.weight.data.uniform_(0.7, 1.3, generator=random)
            module.bias.data.normal_(0, 0.1, generator=random)
        if isinstance(getattr(module, "layer_scale", None), torch.nn.Parameter):
            module.layer_scale.data.uniform_(0.2, 0.8, generator=random)
        if hasattr(module, "inplace"):
            module.inplace = False  # a hooked value must stay what it was
    return model.eval()


def settled(model, size):
    """Statistics as they are behind its random weights: activations neither grow nor vanish over the depth."""
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for m in norms:
        m.momentum = None
        m.reset_running_stats()
    with torch.no_grad():
        model.train()(torch.randn(8, 3, size, size, generator=torch.Generator().manual_seed(2)))
    return model.eval()


def outputs(model, x, names):
    found, hooks = {}, []
    for name, module in model.named_modules():
        if name in names:
            def keep(module, inputs, value, name=name):
                found[name] = value.detach()[0].clone()  # what follows may add to it in place
            hooks.append(module.register_forward_hook(keep))
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return {name: (v.permute(1, 2, 0) if v.dim() == 3 else v).numpy() for name, v in found.items()}


def chosen(model):
    """Four modules spread over the depth, and the last: leaves that are no Permute or Flatten."""
    kinds = (torch.nn.Conv2d, torch.nn.BatchNorm2d, torch.nn.MaxPool2d, torch.nn.ReLU, torch.nn.ReLU6)
    leaves = [n for n, m in model.named_modules() if isinstance(m, kinds) and "aux" not in n.lower()]
    used = [n for n in leaves if ".relu" not in n and not n.endswith("relu")]  # used once only
    spread = [used[i * (len(used) - 1) // 4] for i in (0, 1, 2, 3, 4)]
    last = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and "aux" not in n.lower()]
    return list(dict.fromkeys(spread + last[-1:]))


class Torchvision(unittest.TestCase):
    def check(self, name):
        model = make(name, 10)
        with scratch() as folder:
            weights = os.path.join(folder, "weights.pth")
            if name in ("vgg16", "alexnet"):  # a quarter of a gigabyte less on the disk
                model = model.half().float()
                torch.save({"state_dict": {"module." + k: v.half() for k, v in model.state_dict().items()}}, weights)
            elif name == "mobilenet_v2":
                torch.save(model.state_dict(), weights, _use_new_zipfile_serialization=False)
            elif name == "resnet50":
                weights = os.path.join(folder, "weights.safetensors")
                save_file({k: v.contiguous() for k, v in model.state_dict().items()}, weights)
            else:
                torch.save(model.state_dict(), weights)
            size = SIZES.get(name, 64)
            x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(2))
            reference = outputs(model, x, chosen(model))
            self.assertGreaterEqual(len(reference), 4)
            compare(self, f"{name}={weights}", x[0].permute(1, 2, 0).numpy(), reference, folder)
            if name == "squeezenet1_1":  # the file alone is matched to the architecture
                compare(self, weights, x[0].permute(1, 2, 0).numpy(), reference, folder)


@unittest.skipIf(timm is None, "timm is not installed (pip install --no-deps timm==0.6.13 pyyaml huggingface_hub)")
class Timm(unittest.TestCase):
    """Its ports of EfficientNet-Lite have names of their own; its own Lite0 has another padding and only
    the file's name tells them apart."""

    def check(self, name, ours=None, size=64):
        """Some convolutions and the answer; by the file alone, which is to be taken for the same network."""
        torch.manual_seed(0)
        model = settled(randomised(timm.create_model(name, num_classes=10)), size)
        convolutions = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Conv2d) and ".se." not in n]
        spread = [convolutions[i * (len(convolutions) - 1) // 5] for i in range(6)]
        last = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)][-1]
        with scratch() as folder:
            weights = os.path.join(folder, name + ".pth")
            torch.save(model.state_dict(), weights)
            x = torch.randn(8, 3, size, size, generator=torch.Generator().manual_seed(2))[:1]
            reference = outputs(model, x, spread + [last])
            for m in (f"{ours or name}={weights}", weights):
                compare(self, m, x[0].permute(1, 2, 0).numpy(), reference, folder)


for _name in TIMM_ALWAYS + (TIMM_OTHERS if EVERYTHING else []):
    setattr(Timm, "test_" + _name[0], lambda self, row=_name: self.check(*row))

for _name in ALWAYS + (OTHERS if EVERYTHING else []):
    setattr(Torchvision, "test_" + _name, lambda self, name=_name: self.check(name))

if __name__ == "__main__":
    unittest.main()
