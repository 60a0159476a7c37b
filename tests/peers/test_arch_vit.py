#!/usr/bin/env python3
"""Vision transformers with random weights under every name they go by, against a plain one written here in PyTorch,
torchvision's own, and timm's and transformers' where these are installed; embeddings of places for another size."""
import math
import os
import sys
import unittest

from arch_engraft import compare, scratch

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
    import torchvision
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)
try:
    import timm
except ImportError:
    timm = None
try:
    import transformers
except ImportError:
    transformers = None

torch.set_num_threads(1)
WIDTH, DEPTH, HEADS = 192, 12, 3 # of the tiny one; the others differ in these only

BLOCK = ["norm1.weight", "norm1.bias", "attn.qkv.weight", "attn.qkv.bias", "attn.proj.weight", "attn.proj.bias", "norm2.weight",
         "norm2.bias", "mlp.fc1.weight", "mlp.fc1.bias", "mlp.fc2.weight", "mlp.fc2.bias"]


def weights(side, patch, width=WIDTH, depth=DEPTH, registers=0, scales=False, before=False, classes=7):
    """timm's names."""
    random = torch.Generator().manual_seed(0)

    def normal(*shape, scale=None):
        return torch.randn(*shape, generator=random) * (scale or 1 / math.sqrt(shape[-1]))

    w = {"cls_token": normal(1, 1, width, scale=1), "pos_embed": normal(1, (side // patch) ** 2 + 1, width, scale=0.5),
         "patch_embed.proj.weight": normal(width, 3, patch, patch, scale=1 / (patch * 1.7)), "patch_embed.proj.bias": normal(width, scale=0.1)}
    if registers:
        w["register_tokens"] = normal(1, registers, width, scale=1)
    if before:
        w.update({"norm_pre.weight": 1 + normal(width, scale=0.2), "norm_pre.bias": normal(width, scale=0.2)})
        del w["patch_embed.proj.bias"]
    for i in range(depth):
        shapes = [(width,), (width,), (3 * width, width), (3 * width,), (width, width), (width,), (width,), (width,), (4 * width, width),
                  (4 * width,), (width, 4 * width), (width,)]
        for name, shape in zip(BLOCK, shapes):
            w[f"blocks.{i}.{name}"] = normal(*shape, scale=0.2 if len(shape) == 1 else None) + ("norm" in name and "weight" in name)
        if scales:
            w[f"blocks.{i}.ls1.gamma"], w[f"blocks.{i}.ls2.gamma"] = normal(width, scale=0.5), normal(width, scale=0.5)
    w.update({"norm.weight": 1 + normal(width, scale=0.2), "norm.bias": normal(width, scale=0.2)})
    if classes:
        w.update({"head.weight": normal(classes, width), "head.bias": normal(classes, scale=0.1)})
    return w


def resized(places, h, w):
    """As timm does it."""
    side = int(math.sqrt(places.shape[1] - 1))
    grid = places[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=(h, w), mode="bicubic", antialias=True)
    return torch.cat([places[:, :1], grid.permute(0, 2, 3, 1).reshape(1, h * w, -1)], 1)


def forward(w, x, heads, epsilon=1e-6, quick=False):
    """{layer: value of the first image}"""
    width = w["cls_token"].shape[-1]

    def norm(x, name):
        return F.layer_norm(x, (width,), w[name + ".weight"], w[name + ".bias"], epsilon)

    def dense(x, name):
        return F.linear(x, w[name + ".weight"], w.get(name + ".bias"))

    x = F.conv2d(x, w["patch_embed.proj.weight"], w.get("patch_embed.proj.bias"), stride=w["patch_embed.proj.weight"].shape[-1])
    h, wide = x.shape[2:]
    x = torch.cat([w["cls_token"].expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], 1)
    places = w["pos_embed"]
    x = x + (places if places.shape[1] == x.shape[1] else resized(places, h, wide))
    if "register_tokens" in w:
        x = torch.cat([x[:, :1], w["register_tokens"].expand(len(x), -1, -1), x[:, 1:]], 1)
    if "norm_pre.weight" in w:
        x = norm(x, "norm_pre")
    found = {}
    for i in range(sum(name.endswith("norm1.weight") for name in w)):
        q, k, v = dense(norm(x, f"blocks.{i}.norm1"), f"blocks.{i}.attn.qkv").reshape(len(x), -1, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        y = ((q @ k.transpose(-1, -2)) / math.sqrt(width // heads)).softmax(-1) @ v
        x = x + dense(y.transpose(1, 2).flatten(2), f"blocks.{i}.attn.proj") * w.get(f"blocks.{i}.ls1.gamma", 1)
        y = dense(norm(x, f"blocks.{i}.norm2"), f"blocks.{i}.mlp.fc1")
        y = y * torch.sigmoid(1.702 * y) if quick else F.gelu(y)
        x = x + dense(y, f"blocks.{i}.mlp.fc2") * w.get(f"blocks.{i}.ls2.gamma", 1)
        if i == 3:
            found["blocks.3"] = x[0].numpy()
    x = norm(x, "norm")
    found["pool"] = x[0, 0].numpy()
    if "head.weight" in w:
        found["head"] = dense(x[:, 0], "head")[0].numpy()
    return found


def renamed(w, *pairs):
    out = {}
    for name, value in w.items():
        for mine, theirs in pairs:
            if mine in name:
                name = name.replace(mine, theirs, 1)
        out[name] = value
    return out


def separate(w, names):
    """attn.qkv as three."""
    out = {}
    for name, value in w.items():
        if "attn.qkv" in name:
            for theirs, part in zip(names, value.chunk(3)):
                out[name.replace("attn.qkv", theirs)] = part.clone()
        else:
            out[name] = value
    return out


TORCHVISION = [("cls_token", "class_token"), ("pos_embed", "encoder.pos_embedding"), ("patch_embed.proj", "conv_proj"),
               ("attn.qkv.", "self_attention.in_proj_"), ("attn.proj", "self_attention.out_proj"), ("norm1", "ln_1"), ("norm2", "ln_2"),
               ("head", "heads.head")]
HUGGING = [("cls_token", "embeddings.cls_token"), ("pos_embed", "embeddings.position_embeddings"), ("attn.proj", "attention.output.dense"),
           ("patch_embed.proj", "embeddings.patch_embeddings.projection"), ("blocks.", "encoder.layer.")]
HUGGING_QKV = ["attention.attention.query", "attention.attention.key", "attention.attention.value"]


def prefixed(w, prefix, outside=()):
    return {name if name.split(".")[0] in outside else prefix + name: value for name, value in w.items()}


class VisionTransformers(unittest.TestCase):
    def check(self, saved, w, side=224, size=None, heads=HEADS, file="net.pth", epsilon=1e-6, quick=False, name=None):
        image = np.random.default_rng(3).normal(0, 1, (size or side, size or side, 3)).astype(np.float32)
        with torch.no_grad():
            reference = forward(w, torch.from_numpy(image.transpose(2, 0, 1)[None]), heads, epsilon, quick)
        with scratch() as folder:
            path = os.path.join(folder, file)
            torch.save(saved, path)
            compare(self, (name + "=" if name else "") + path, image, reference, folder)

    def test_names_of_timm_and_the_authors(self):
        w = weights(64, 16)
        self.check(w, w, 64)
        self.check({"model": prefixed(w, "module.")}, w, 64)
        decoder = {"decoder_embed.weight": torch.zeros(4, 4), "mask_token": torch.zeros(1, 1, 4)} # MAE's
        self.check({**w, **decoder}, w, 64, file="mae.pth")

    def test_places_of_another_size(self):
        w = weights(64, 16)
        for size in (96, 48, 64, 80):
            self.check(w, w, 64, size)

    def test_registers_and_scales(self):
        for registers in (0, 4):
            w = weights(56, 14, 384, registers=registers, scales=True, classes=0)
            self.check({**w, "mask_token": torch.zeros(1, 384)}, w, 56, heads=6)
            self.check({**w, "mask_token": torch.zeros(1, 384)}, w, 56, 70, heads=6)
            hugging = separate(w, HUGGING_QKV)
            hugging = renamed(hugging, *HUGGING, ("ls1.gamma", "layer_scale1.lambda1"), ("ls2.gamma", "layer_scale2.lambda1"),
                              ("register_tokens", "embeddings.register_tokens"))
            hugging = {("layernorm." + n[5:] if n.startswith("norm.") else n): v for n, v in hugging.items()}
            self.check({**hugging, "embeddings.mask_token": torch.zeros(1, 384)}, w, 56, heads=6)

    def test_names_of_torchvision(self):
        w = weights(64, 16)
        for first, second in (("mlp.0", "mlp.3"), ("mlp.linear_1", "mlp.linear_2")):
            theirs = renamed(w, *TORCHVISION, ("blocks.", "encoder.layers.encoder_layer_"), ("mlp.fc1", first), ("mlp.fc2", second))
            theirs = {("encoder.ln." + n[5:] if n.startswith("norm.") else n): v for n, v in theirs.items()}
            self.check(theirs, w, 64)

    def test_torchvision_itself(self):
        torch.manual_seed(0)
        net = torchvision.models.vit_b_32(weights=None, num_classes=9, image_size=64).eval()
        torch.nn.init.normal_(net.heads.head.weight)
        image = np.random.default_rng(4).normal(0, 1, (64, 64, 3)).astype(np.float32)
        with torch.no_grad():
            logits = net(torch.from_numpy(image.transpose(2, 0, 1)[None]))[0].numpy()
        with scratch() as folder:
            path = os.path.join(folder, "net.pth")
            torch.save(net.state_dict(), path)
            compare(self, path, image, {"head": logits}, folder)

    def test_names_of_transformers(self):
        w = weights(64, 16)
        theirs = renamed(separate(w, HUGGING_QKV), *HUGGING, ("norm1", "layernorm_before"), ("norm2", "layernorm_after"),
                         ("mlp.fc1", "intermediate.dense"), ("mlp.fc2", "output.dense"), ("head", "classifier"))
        theirs = {("layernorm." + n[5:] if n.startswith("norm.") else n): v for n, v in theirs.items()}
        self.check(theirs, w, 64, epsilon=1e-12)
        self.check(prefixed(theirs, "vit.", ["classifier"]), w, 64, epsilon=1e-12)

    def clip(self):
        w = weights(64, 32, 768, before=True, classes=512)
        del w["head.bias"]
        return w, {n: v[0] if n == "pos_embed" else v[0, 0] if n == "cls_token" else v for n, v in w.items()}

    def test_names_of_clip(self):
        w, flat = self.clip()
        theirs = renamed(flat, ("cls_token", "class_embedding"), ("pos_embed", "positional_embedding"), ("patch_embed.proj", "conv1"),
                         ("norm_pre", "ln_pre"), ("attn.qkv.", "attn.in_proj_"), ("attn.proj", "attn.out_proj"), ("norm1", "ln_1"),
                         ("norm2", "ln_2"), ("mlp.fc1", "mlp.c_fc"), ("mlp.fc2", "mlp.c_proj"), ("blocks.", "transformer.resblocks."))
        theirs = {("ln_post." + n[5:] if n.startswith("norm.") else n): v for n, v in theirs.items()}
        theirs["proj"] = theirs.pop("head.weight").T.contiguous()
        text = {"transformer.resblocks.0.ln_1.weight": torch.ones(512), "logit_scale": torch.ones(()), "positional_embedding": torch.zeros(77, 512)}
        whole = {**prefixed(theirs, "visual."), **text}
        self.check(whole, w, 64, heads=12, epsilon=1e-5)
        self.check(whole, w, 64, heads=12, epsilon=1e-5, quick=True, file="openai.pt")
        self.check(whole, w, 64, heads=12, epsilon=1e-5, quick=True, name="vit_base_patch32_clip_quickgelu_224")

    def test_names_of_transformers_clip(self):
        w, flat = self.clip()
        theirs = renamed(separate(flat, ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]), ("attn.proj", "self_attn.out_proj"),
                         ("cls_token", "embeddings.class_embedding"), ("pos_embed", "embeddings.position_embedding.weight"),
                         ("patch_embed.proj", "embeddings.patch_embedding"), ("norm_pre", "pre_layrnorm"), ("norm1", "layer_norm1"),
                         ("norm2", "layer_norm2"), ("blocks.", "encoder.layers."), ("head.", "visual_projection."))
        theirs = {("post_layernorm." + n[5:] if n.startswith("norm.") else n): v for n, v in theirs.items()}
        whole = {**prefixed(theirs, "vision_model.", ["visual_projection"]), "text_model.final_layer_norm.weight": torch.ones(512),
                 "vision_model.embeddings.position_ids": torch.arange(5), "logit_scale": torch.ones(())}
        self.check(whole, w, 64, heads=12, epsilon=1e-5, quick=True)

    @unittest.skipUnless(timm, "timm is not installed")
    def test_timm_itself(self):
        for name, size in (("vit_tiny_patch16_224", 96), ("vit_small_patch14_reg4_dinov2", 70), ("vit_base_patch32_clip_224", 96)):
            net = timm.create_model(name, num_classes=5, img_size=size).eval()
            for p in net.parameters():
                p.data += torch.randn_like(p) * 0.02
            image = np.random.default_rng(4).normal(0, 1, (size, size, 3)).astype(np.float32)
            with torch.no_grad():
                tokens = net.forward_features(torch.from_numpy(image.transpose(2, 0, 1)[None]))
                reference = {"norm": tokens[0].numpy(), "pool": net.forward_head(tokens, pre_logits=True)[0].numpy(), "head": net.forward_head(tokens)[0].numpy()}
            with scratch() as folder:
                path = os.path.join(folder, "net.pth")
                torch.save(net.state_dict(), path)
                compare(self, path, image, reference, folder)

    @unittest.skipUnless(transformers, "transformers is not installed")
    def test_transformers_itself(self):
        small = {"hidden_size": 192, "num_hidden_layers": 12, "num_attention_heads": 3, "intermediate_size": 768, "image_size": 64}
        dino = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "image_size": 56, "patch_size": 14}
        for net in (transformers.ViTModel(transformers.ViTConfig(**small)), transformers.Dinov2Model(transformers.Dinov2Config(**dino))):
            for p in net.eval().parameters():
                p.data += torch.randn_like(p) * 0.05
            size = net.config.image_size
            image = np.random.default_rng(4).normal(0, 1, (size, size, 3)).astype(np.float32)
            with torch.no_grad():
                tokens = net(torch.from_numpy(image.transpose(2, 0, 1)[None])).last_hidden_state[0].numpy()
            with scratch() as folder:
                path = os.path.join(folder, "net.pth")
                torch.save(net.state_dict(), path)
                compare(self, path, image, {"norm": tokens}, folder)


if __name__ == "__main__":
    unittest.main()
