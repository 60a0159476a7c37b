#!/usr/bin/env python3
"""Networks by description under timm's names, with random weights, against timm: logits and inner layers; the same
weights under the names of their authors and of transformers.

All of them with ENGRAFT_TEST_ALL set, else one of each kind."""
import os
import sys
import unittest
import warnings

from arch_engraft import EVERYTHING, compare, scratch

try:
    import numpy as np
    import timm
    import torch
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from many_networks import enliven  # noqa: E402

warnings.simplefilter("ignore")
torch.set_num_threads(1)
RESNETS = ["resnet26d", "seresnext26d_32x4d", "ecaresnet26t"]
ALL_RESNETS = RESNETS + ["resnet50d", "resnet101d", "seresnet50", "seresnext50_32x4d", "ecaresnet50t", "ecaresnet50d", "ecaresnet101d"]
CONVNEXTS = ["convnextv2_atto", "convnext_atto"]
ALL_CONVNEXTS = CONVNEXTS + [f"convnextv2_{s}" for s in ("femto", "pico", "nano", "tiny", "base")] + \
    [f"convnext_{s}" for s in ("femto", "pico", "nano", "tiny", "small", "base")]
REPVGGS = ["repvgg_a0"]
ALL_REPVGGS = REPVGGS + ["repvgg_a1", "repvgg_a2", "repvgg_b0", "repvgg_b1", "repvgg_b2"]


class ByDescription(unittest.TestCase):
    def make(self, name, size, **more):
        torch.manual_seed(2)
        net = timm.create_model(name, num_classes=7, **more).eval()
        with torch.no_grad():
            enliven(net, torch.randn(2, 3, size, size))
        return net

    def values(self, net, image, hooked):
        """hooked: {engraft's layer: timm's module}; and the logits."""
        found, hooks = {}, []
        for layer, module in hooked.items():
            def keep(_, __, out, layer=layer):
                found[layer] = out[0].numpy()
            hooks.append(net.get_submodule(module).register_forward_hook(keep))
        with torch.no_grad():
            logits = net(torch.from_numpy(image.transpose(2, 0, 1)[None]))[0].numpy()
        for hook in hooks:
            hook.remove()
        return {n: v.transpose(1, 2, 0) if v.ndim == 3 else v for n, v in found.items()}, logits

    def check(self, name, size, hooked, logits_at, dialects=(), file=None, **more):
        net = self.make(name, size, **more)
        image = np.random.default_rng(4).normal(0, 1, (size, size, 3)).astype(np.float32)
        reference, logits = self.values(net, image, hooked)
        reference[logits_at] = logits
        weights = {k: v.clone() for k, v in net.state_dict().items()}
        with scratch() as folder:
            for i, rename in enumerate([lambda n, v: (n, v), *dialects]):
                path = os.path.join(folder, file or f"net{i}.pth")
                torch.save(dict(rename(n, v) for n, v in weights.items()), path)
                compare(self, path, image, reference, folder)

    def test_resnets(self):
        for name in ALL_RESNETS if EVERYTHING else RESNETS:
            with self.subTest(name):
                self.check(name, 96, {"layer2.0": "layer2.0", "layer4.1": "layer4.1"}, "fc")

    def test_repvgg(self):
        def authors(name, value):
            for mine, theirs in [("stem.", "stage0."), *((f"stages.{i}.", f"stage{i + 1}.") for i in range(4)), ("conv_kxk", "rbr_dense"),
                                 ("conv_1x1", "rbr_1x1"), ("identity", "rbr_identity"), ("head.fc", "linear")]:
                name = name.replace(mine, theirs)
            return name, value
        for name in ALL_REPVGGS if EVERYTHING else REPVGGS:
            with self.subTest(name):
                self.check(name, 96, {"stages.1.0": "stages.1.0", "stages.2.5": "stages.2.5"}, "head.fc", [authors])

    def test_convnexts(self):
        def four(name, value):
            return value[None, None, None] if "grn" in name else value

        def authors(name, value):
            value = four(name, value)
            for mine, theirs in [("stem.", "downsample_layers.0."), *((f"stages.{i}.downsample.", f"downsample_layers.{i}.") for i in (1, 2, 3)),
                                 ("blocks.", ""), ("conv_dw", "dwconv"), ("mlp.fc1", "pwconv1"), ("mlp.fc2", "pwconv2"),
                                 ("mlp.grn.weight", "grn.gamma"), ("mlp.grn.bias", "grn.beta"), ("head.norm", "norm"), ("head.fc", "head")]:
                name = name.replace(mine, theirs)
            return name, value

        def transformers(name, value):
            value = four(name, value)
            for mine, theirs in [("stem.0", "embeddings.patch_embeddings"), ("stem.1", "embeddings.layernorm"), ("head.norm", "LAST"), (".norm.", ".layernorm."),
                                 ("LAST", "layernorm"), ("stages.", "encoder.stages."), ("downsample.", "downsampling_layer."), ("blocks.", "layers."),
                                 ("conv_dw", "dwconv"), ("mlp.fc1", "pwconv1"), ("mlp.fc2", "pwconv2"), ("mlp.grn", "grn"),
                                 ("gamma", "layer_scale_parameter"), ("head.fc", "classifier")]:
                name = name.replace(mine, theirs)
            return name if name.startswith("classifier") else "convnextv2." + name, value

        for name in ALL_CONVNEXTS if EVERYTHING else CONVNEXTS:
            with self.subTest(name):
                self.check(name, 64, {"stages.1.blocks.1": "stages.1.blocks.1", "stages.3.blocks.0": "stages.3.blocks.0"}, "head.fc",
                           [authors, transformers])


if __name__ == "__main__":
    unittest.main()
