#!/usr/bin/env python3
"""Networks of torchvision and timm as an exporter writes them, read by engraft: a sample of every file's
values against onnxruntime, two images each. Takes up where it was stopped.

    many_networks.py CACHE [--exporter old|new] [--opset N] [--again] [NAME...]
    many_networks.py CACHE --table
    many_networks.py --few           twenty small ones by the older exporter, in two minutes: the leg `networks`

Exports whose file is not in CACHE need torch, torchvision and timm: the older exporter any torch, the newer
one 2.5 or later with onnxscript; so the two may be run by different Pythons with one CACHE. Results are lines of
CACHE/results.tsv: network, exporter, opset, verdict, largest difference relative to the largest value, reason.
Weights are random, scaled layer by layer so that every layer's output varies by about 1: with those that
constructors give, many outputs are constant, and agreement would prove nothing."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

HERE = Path(__file__).resolve().parent
ENGRAFT = Path(os.environ.get("ENGRAFT", HERE.parent.parent / "build/release/engraft"))
TOLERANCE, CUTS, SIDES = 1e-4, 24, {"vit_small_patch14_dinov2": 224, "torchvision/inception_v3": 299}
FEW = {name: 64 for name in """torchvision/resnet18 torchvision/mobilenet_v2 torchvision/mobilenet_v3_small torchvision/efficientnet_b0
       torchvision/regnet_y_400mf torchvision/shufflenet_v2_x0_5 torchvision/mnasnet0_5 torchvision/densenet121 torchvision/googlenet
       torchvision/squeezenet1_1 torchvision/convnext_tiny torchvision/swin_t vit_tiny_patch16_224 mobilevit_xxs convnextv2_atto ghostnet_100
       edgenext_xx_small poolformer_s12 efficientvit_b0 resnest14d""".split()}
FEW["torchvision/regnet_y_400mf"] = 96 # its last map of 64 is too small: PyTorch itself is 1e-4 from the same in double
FIELDS = ("network", "exporter", "opset", "verdict", "difference", "reason")

# ---- making ------------------------------------------------------------------------------


def build(name, side):
    import torch
    torch.manual_seed(7)
    if name.startswith("torchvision/"):
        import torchvision
        more = {"init_weights": False} if name.split("/")[1] in ("googlenet", "inception_v3") else {}
        net = getattr(torchvision.models, name.split("/")[1])(weights=None, num_classes=12, **more)
    else:
        import timm
        try:
            net = timm.create_model(name, num_classes=12, exportable=True, **({"img_size": side} if name in SIDES or "vit_tiny" in name else {}))
        except TypeError:
            net = timm.create_model(name, num_classes=12)
    return net.eval()


def enliven(net, images):
    """No parameter is 0 or 1 throughout; every channel of a product varies by about 1 around 0, from image to image too."""
    import torch
    for name, p in net.named_parameters():
        if p.ndim > 1 and "embed" not in name and "token" not in name and "bias" not in name:
            continue
        if float(p.abs().max()) < 1e-2: # a bias, a scale that training begins near 0, a position
            p.uniform_(0.2, 0.5) if "gamma" in name or "scale" in name else p.normal_(0, 0.2)
        else:
            p.mul_(torch.empty_like(p).uniform_(0.8, 1.2))

    def centre(module, _, out):
        last = isinstance(module, torch.nn.Linear)
        axes = [i for i in range(out.ndim) if i != (out.ndim - 1 if last else 1)]
        mean = out.float().mean(axes, keepdim=True) * (module.bias is not None)
        deviation = max(float((out - mean).std()), 1e-12)
        module.weight.mul_(1 / deviation)
        if module.bias is not None:
            module.bias.sub_(mean.flatten()).mul_(1 / deviation)
        return (out - mean) / deviation

    def take_statistics(module, inputs):
        x = inputs[0].float()
        axes = [i for i in range(x.ndim) if i != 1]
        deviation = max(float(x.std()), 1e-3) # of all channels: one that hardly varies is not to be all noise
        module.running_mean.copy_(0.25 * x.mean(axes)).add_(0.1 * deviation * torch.randn_like(module.running_mean))
        module.running_var.uniform_(0.7, 1.4).mul_(deviation**2)

    products, norms = (torch.nn.Conv2d, torch.nn.Conv1d, torch.nn.Linear), torch.nn.modules.batchnorm._BatchNorm
    hooks = [m.register_forward_hook(centre) for m in net.modules() if isinstance(m, products) and not type(m).__name__.startswith("ScaledStd")]
    hooks += [m.register_forward_pre_hook(take_statistics) for m in net.modules() if isinstance(m, norms) and m.running_mean is not None]
    net(images)
    for hook in hooks:
        hook.remove()


def export(name, exporter, opset, path, side):
    import torch
    side = side or side_of(name)
    batch = torch.from_numpy(images(side))
    image, part = batch[:1], path.with_suffix(".part")
    with torch.no_grad():
        net = build(name, side)
        enliven(net, batch)
    # the older exporter has no word for the attention that PyTorch takes where no gradients are asked for
    with torch.set_grad_enabled(exporter == "old"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "new":
            torch.onnx.export(net, (image,), str(part), input_names=["x"], output_names=["logits"], dynamo=True,
                              external_data=False, **({"opset_version": opset} if opset else {}), verbose=False)
        else:
            more = {"dynamo": False} if tuple(int(v) for v in torch.__version__.split(".")[:2]) >= (2, 5) else {}
            torch.onnx.export(net, image, str(part), opset_version=opset, input_names=["x"], output_names=["logits"], **more)
    part.rename(path)


# ---- comparing ---------------------------------------------------------------------------


def side_of(name):
    if name in SIDES or name.startswith("torchvision/"):
        return SIDES.get(name, 224)
    try:
        import timm
        return timm.models.get_pretrained_cfg(name).input_size[-1]
    except ImportError:
        return None


def images(side):
    rng = np.random.default_rng(5)
    coarse = rng.normal(0, 1, (2, 3, 9, 9))
    smooth = np.kron(coarse, np.ones((1, 1, -(-side // 9), -(-side // 9))))[:, :, :side, :side]
    lights = np.array([-0.8, 0.8]).reshape(2, 1, 1, 1)
    return (smooth + lights + rng.normal(0, 0.5, (2, 3, side, side))).astype(np.float32)


def reference(path, names, batch):
    model = onnx.load(path)
    for name in names:
        if name not in [o.name for o in model.graph.output]:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    runs = [session.run(names, {session.get_inputs()[0].name: image[None]}) for image in batch]
    return {n: np.stack([np.asarray(r[i]) for r in runs]) for i, n in enumerate(names)}


def difference(ours, theirs):
    """Of a row whose places may have the channels first or last; relative to the largest value. A value that goes
    across a batch has no order of its own: then by size."""
    best, theirs = np.inf, theirs.astype(np.float64)
    if ours.shape[1] * ours.shape[0] != theirs.size:
        return best
    for order in (theirs, np.moveaxis(theirs, -1, 2 if theirs.ndim > 2 else 1)):
        best = min(best, float(np.abs(ours - order.reshape(ours.shape)).max() / max(np.abs(theirs).max(), 1e-30)))
    if best > TOLERANCE:
        best = min(best, 10 * float(np.abs(np.sort(ours, 1) - np.sort(theirs.reshape(ours.shape), 1)).max() / max(np.abs(theirs).max(), 1e-30)))
    return best


def cuts_of(path):
    """Values that may be cut, by the file's own names."""
    run = subprocess.run([ENGRAFT, "inspect", path, "--json"], capture_output=True, text=True)
    if run.returncode:
        return None, run.stderr.strip()
    told = " ".join(subprocess.run([ENGRAFT, "inspect", path], capture_output=True, text=True).stdout.split())
    end = told.find("read no further")
    listed = json.loads(run.stdout)
    made = {o for n in onnx.load(path, load_external_data=False).graph.node for o in n.output}
    names = [next((n for n in [layer["name"], *layer["aliases"]] if n in made), None) for layer in listed["layers"] if layer["cut"]]
    return [n for n in names if n], told[end:].split(" every row")[0] if end >= 0 else ""


def check(path, side):
    """verdict, difference, reason"""
    names, said = cuts_of(path)
    if names is None:
        return "refused", "", said
    batch = images(side)
    step = max(1, len(names) / CUTS)
    outputs = [o.name for o in onnx.load(path, load_external_data=False).graph.output]
    names = list(dict.fromkeys(outputs[:1] * (not is_partial(said)) + [names[int(len(names) - 1 - i * step)] for i in range(int(min(CUTS, len(names))))]))
    theirs = reference(path, names, batch)
    x, out = path.with_suffix(".x"), path.with_suffix(".out")
    np.ascontiguousarray(batch.transpose(0, 2, 3, 1)).tofile(x)
    program = subprocess.run([ENGRAFT.parent / "tests/run_cuts"], input="\t".join([str(path), str(x), "2", str(out), *names]) + "\n",
                             capture_output=True, text=True)
    answer = program.stdout.split()
    if not answer or answer[0] != "ok":
        return "refused", "", program.stdout.strip() or f"exit {program.returncode}"
    ours, at, worst, where = np.fromfile(out, "<f4"), 0, 0.0, ""
    for name, length in zip(names, map(int, answer[1:])):
        d = difference(ours[at:at + 2 * length].reshape(2, length), theirs[name])
        at += 2 * length
        if not d <= worst:
            worst, where = d, name
    x.unlink()
    out.unlink()
    last = theirs[names[0]].astype(np.float64)
    varies = float(np.abs(last[0] - last[1]).max() / max(np.abs(last).max(), 1e-30))
    if is_partial(said):
        return "partly", f"{worst:.1e}", said
    if varies < 1e-3:
        return "constant", f"{worst:.1e}", "its output is the same for both images"
    return ("agrees" if worst <= TOLERANCE else "DIFFERS"), f"{worst:.1e}", "" if worst <= TOLERANCE else f"at '{where}'"


def is_partial(said):
    return "read no further" in said


# ---- the whole ---------------------------------------------------------------------------


def read_results(cache):
    lines = (cache / "results.tsv").read_text().splitlines() if (cache / "results.tsv").exists() else []
    return {tuple(line.split("\t")[:3]): line.split("\t") for line in lines}


def one(name, exporter, opset, cache, side=None):
    path = cache / f"{name.replace('/', '.')}-{exporter}-{opset or 'newest'}.onnx"
    if not path.exists():
        try:
            export(name, exporter, opset, path, side)
        except Exception as failure: # whatever an exporter may raise is its answer
            return "not exported", "", f"{type(failure).__name__}: {str(failure).splitlines()[0] if str(failure) else ''}"[:200]
    side = onnx.load(path, load_external_data=False).graph.input[0].type.tensor_type.shape.dim[-1].dim_value
    return check(path, side)


def run_few():
    """All must agree."""
    try:
        import torch
        import torchvision
    except ImportError as missing:
        print("skipped:", missing)
        return 77
    torch.set_num_threads(1)
    wrong, left_out = [], 0
    with tempfile.TemporaryDirectory(prefix="engraft-networks-") as folder:
        for name, side in FEW.items():
            try:
                __import__(name.split("/")[0] if "/" in name else "timm")
            except ImportError:
                left_out += 1
                continue
            row = one(name, "old", 17, Path(folder), side)
            print(name, *row, flush=True)
            if row[0] != "agrees":
                wrong.append(name)
            for file in Path(folder).iterdir():
                file.unlink()
    print(f"{len(FEW) - left_out - len(wrong)} networks agree, {len(wrong)} do not" + f"; {left_out} of timm, which is not here" * bool(left_out))
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cache", type=Path, nargs="?")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--exporter", choices=("old", "new"), default="old")
    parser.add_argument("--opset", type=int)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--few", action="store_true")
    asked = parser.parse_intermixed_args()
    if asked.few:
        return run_few()
    if not asked.cache:
        parser.error("a CACHE, or --few")
    asked.cache.mkdir(parents=True, exist_ok=True)
    if asked.exporter == "old" and not asked.opset:
        asked.opset = 17
    results = read_results(asked.cache)
    if asked.table:
        print("| " + " | ".join(FIELDS) + " |\n|" + "---|" * len(FIELDS))
        for row in sorted(results.values()):
            print("| " + " | ".join(row) + " |")
        return 0
    wrong = 0
    for name in asked.names or (HERE / "many_networks.txt").read_text().split():
        key = (name, asked.exporter, str(asked.opset or "newest"))
        if key in results and not asked.again:
            continue
        row = [*key, *one(name, asked.exporter, asked.opset, asked.cache)]
        row = [str(word).replace("\t", " ").replace("\n", " ") for word in row]
        results[key] = row
        wrong += row[3] == "DIFFERS"
        (asked.cache / "results.tsv").write_text("".join("\t".join(r) + "\n" for r in results.values()))
        print(*row, flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
