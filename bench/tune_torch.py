"""The recipe of bench/tune_folds.py in PyTorch, on the same folds: EfficientNet-Lite0 with a head that begins as
a logistic regression, AdamW, one-cycle, random crops, frozen batch norms, weights averaged over the last sixth of the steps.

    python bench/tune_torch.py WEIGHTS.pth PHOTOS RESULTS.jsonl [--size HxW] [--seeds 0] [--only 0,1] [--name NAME]
                               [--threads N]"""
import argparse
import json
import math
import os
import pathlib
import random
import sys
import time

import numpy as np
import torch
from PIL import Image, ImageEnhance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

sys.path.append(str(pathlib.Path(__file__).parent.parent / "tests/peers"))
from test_train_steps import EfficientNetLite0  # noqa: E402
from tune_folds import folds  # noqa: E402

RATE, EPOCHS, BATCH, SMOOTHING, FIRST_BLOCK = 5e-4, 10, 16, 0.1, 8


def still(image, h, w):
    """Short side resized to 256/224 of the input's, the middle cut out."""
    short = math.floor(256 / 224 * min(h, w) + 0.5)
    scale = short / min(image.size)
    size = [short if side == min(image.size) else math.floor(side * scale) for side in image.size]
    image = image.resize(size, Image.BICUBIC)
    left, top = round((size[0] - w) / 2), round((size[1] - h) / 2)
    return image.crop((left, top, left + w, top + h))


def varied(image, h, w, rng):
    """--augment standard: a crop of 35 to 100 %, mirrored, turned by up to 10 degrees, colours by up to 20 %."""
    W, H = image.size
    for _ in range(10):
        area, ratio = W * H * rng.uniform(0.35, 1), w / h * math.exp(rng.uniform(-1, 1) * math.log(4 / 3))
        cw, ch = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 1 <= cw <= W and 1 <= ch <= H:
            break
    else:
        cw, ch = min(W, round(H * w / h)), min(H, round(W * h / w))
    x, y = rng.randint(0, W - cw), rng.randint(0, H - ch)
    image = image.resize((w, h), Image.BICUBIC, box=(x, y, x + cw, y + ch))
    if rng.random() < 0.5:
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
    pad = 40
    wide = Image.fromarray(np.pad(np.asarray(image), ((pad, pad), (pad, pad), (0, 0)), "reflect"))
    image = wide.rotate(rng.uniform(-10, 10), Image.BILINEAR).crop((pad, pad, pad + w, pad + h))
    for kind in ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color:
        image = kind(image).enhance(rng.uniform(0.8, 1.2))
    return image


def tensor(images):
    x = np.stack([np.asarray(i, np.float32) for i in images])
    return torch.from_numpy((x - 127) / 128).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def below(net, x):
    with torch.no_grad():
        x = torch.nn.functional.relu6(net._bn0(net._conv_stem(x)))
        for block in net._blocks[:FIRST_BLOCK]:
            x = block(x)
    return x


def above(net, x):
    for block in net._blocks[FIRST_BLOCK:]:
        x = block(x)
    return torch.nn.functional.relu6(net._bn1(net._conv_head(x))).mean((2, 3))


def groups(net):
    """A fifth of the head's rate at the top, a third less at every halving of the map below; no decay of biases."""
    halvings = {5: 1, **{block: 1 for block in range(6, 11)}}
    norms = {id(p) for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d) for p in m.parameters()}
    found = {}
    for name, parameter in net.named_parameters():
        part = name.split(".")
        block = int(part[1]) if part[0] == "_blocks" else None
        learns = (block is not None and block >= FIRST_BLOCK) or part[0] in ("_conv_head", "_fc")
        parameter.requires_grad = learns and id(parameter) not in norms
        if not parameter.requires_grad:
            continue
        here = halvings.get(block, 0) + (block in (5, 11) and "_expand" in name)  # these two halve the map inside
        rate = RATE if part[0] == "_fc" else RATE * 0.2 * (2 / 3) ** here
        found.setdefault((rate, parameter.dim() > 1), []).append(parameter)
    return [{"params": p, "lr": rate, "weight_decay": 0.01 if decays else 0} for (rate, decays), p in found.items()]


def run_fold(args, seed, fold, rows):
    h, w = args.size
    start = time.time()
    torch.manual_seed(seed)
    rng, order = random.Random(f"{seed} {fold}"), np.random.default_rng(seed)
    net = EfficientNetLite0().eval()
    net.load_state_dict(torch.load(args.weights))
    names = sorted({label for _, label, _ in rows})
    photos = [Image.open(p).convert("RGB") for p, _, _ in rows]
    labels = torch.tensor([names.index(label) for _, label, _ in rows])
    train = [i for i, r in enumerate(rows) if r[2] != fold]
    test = [i for i, r in enumerate(rows) if r[2] == fold]

    def features(which):
        with torch.no_grad():
            return torch.cat([above(net, below(net, tensor([still(photos[i], h, w) for i in which[k:k + 16]])))
                              for k in range(0, len(which), 16)])
    x, y = features(train).numpy(), labels[train].numpy()
    split = StratifiedKFold(5, shuffle=True, random_state=seed)
    score = {c: cross_val_score(LogisticRegression(C=c, max_iter=2000), x, y, cv=split).mean() for c in (1e-3, 1e-2, 0.1, 1, 10)}
    linear = LogisticRegression(C=max(score, key=score.get), max_iter=5000).fit(x, y)
    net._fc = torch.nn.Linear(x.shape[1], len(names))
    net._fc.weight.data = torch.tensor(linear.coef_, dtype=torch.float32)
    net._fc.bias.data = torch.tensor(linear.intercept_, dtype=torch.float32)

    net = net.to(memory_format=torch.channels_last)
    parts = groups(net)
    optimiser = torch.optim.AdamW(parts)
    steps = EPOCHS * math.ceil(len(train) / BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, [g["lr"] for g in parts], steps, cycle_momentum=False)
    learned = [p for g in parts for p in g["params"]]
    average, share = [p.detach().clone() for p in learned], 1 / max(1, steps / 6)
    losses = []
    for _ in range(EPOCHS):
        total = 0
        mixed = order.permutation(train)
        for k in range(0, len(mixed), BATCH):
            which = mixed[k:k + BATCH]
            optimiser.zero_grad()
            out = net._fc(above(net, below(net, tensor([varied(photos[i], h, w, rng) for i in which]))))
            loss = torch.nn.functional.cross_entropy(out, labels[which], label_smoothing=SMOOTHING)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned, 5)
            optimiser.step()
            schedule.step()
            for p, mean in zip(learned, average):
                mean.lerp_(p.detach(), share)
            total += loss.item() * len(which)
        losses.append(total / len(train))
    with torch.no_grad():
        for p, mean in zip(learned, average):
            p.copy_(mean)
        right = int((net._fc(features(test)).argmax(1) == labels[test]).sum())
    return {"name": args.name, "seed": seed, "fold": fold, "right": right, "count": len(test), "seconds": time.time() - start,
            "loss": losses}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("photos")
    parser.add_argument("results")
    parser.add_argument("--size", default="224")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--only", default="0,1,2,3,4")
    parser.add_argument("--name", default="pytorch")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.size = [int(s) for s in (args.size if "x" in args.size else f"{args.size}x{args.size}").split("x")]
    torch.set_num_threads(args.threads)
    done = set()
    if os.path.exists(args.results):
        done = {(r["name"], r["seed"], r["fold"]) for r in map(json.loads, open(args.results))}
    for seed in map(int, args.seeds.split(",")):
        rows = folds(args.photos, 5, seed)
        for fold in map(int, args.only.split(",")):
            if (args.name, seed, fold) in done:
                continue
            run = run_fold(args, seed, fold, rows)
            with open(args.results, "a") as file:
                file.write(json.dumps(run) + "\n")
            print(f"{args.name}: seed {seed} fold {fold}: {run['right']}/{run['count']} in {run['seconds']:.0f} s",
                  file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
