"""Photos to features, whole: engraft extract against its own bare forward rate, and against Python.

Photos are made from a folder of real ones: 500 x 375 and 12 megapixels (4000 x 3000, enlarged), JPEG of
quality 90. The Python pipelines decode and resize in a pool of threads (Pillow, or torchvision's decode
and antialiased resize) one batch ahead of ONNX Runtime, which has all threads too; a process of their
own, imports and session not counted (ours counts its preparation). Runs alternate, the bare forward
passes as many as the photos; figures are the best of the rounds, as whatever disturbs only slows.
Usage: pipeline.py ENGRAFT PHOTOS FOLDER [--threads 2] [--rounds 3] [--save]
FOLDER holds vgg16.onnx, resnet50.onnx (export.py's), and takes the photos made."""
import argparse
import concurrent.futures
import datetime
import json
import os
import subprocess
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("engraft")
parser.add_argument("photos")
parser.add_argument("folder")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--peer", help=argparse.SUPPRESS)
parser.add_argument("--save", action="store_true")
args = parser.parse_args()
lite0 = os.path.join(args.folder, "efficientnet_lite0.onnx")


def listing(folder):
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]


def make(name, size, count):
    from PIL import Image
    folder = os.path.join(args.folder, name)
    if os.path.isdir(folder) and len(os.listdir(folder)) == count:
        return folder
    os.makedirs(folder, exist_ok=True)
    found = sorted(os.path.join(d, f) for d, _, files in os.walk(args.photos) for f in files
                   if f.lower().endswith((".jpg", ".jpeg")))
    for i in range(count):
        image = Image.open(found[i * 7919 % len(found)]).convert("RGB").resize(size, Image.BICUBIC)
        image.save(os.path.join(folder, "%03d.jpg" % i), quality=90)
    return folder


def peer(kind, folder):
    """Images per second of a Python pipeline: bicubic 256, crop 224, 0 to 255, channels first."""
    import numpy as np
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(lite0, options, providers=["CPUExecutionProvider"])
    batch = 8
    if kind == "pillow":
        from PIL import Image

        def load(path):
            image = Image.open(path)
            image.draft("RGB", None)
            image = image.convert("RGB")
            w, h = image.size
            k = 256 / min(w, h)
            image = image.resize((int(w * k), int(h * k)), Image.BICUBIC)
            left, top = (image.width - 224) // 2, (image.height - 224) // 2
            return np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32).transpose(2, 0, 1)
    else:
        import torch
        import torchvision
        from torchvision.transforms import functional
        torch.set_num_threads(1)

        def load(path):
            image = torchvision.io.read_image(path, torchvision.io.ImageReadMode.RGB)
            image = functional.resize(image, 256, functional.InterpolationMode.BICUBIC, antialias=True)
            return functional.center_crop(image, 224).to(torch.float32).numpy()
    paths = listing(folder)
    batches = [paths[i:i + batch] for i in range(0, len(paths), batch)]
    session.run(None, {"image": np.stack([load(p) for p in batches[0][:2]])})
    with concurrent.futures.ThreadPoolExecutor(args.threads) as pool:
        start = time.perf_counter()
        ahead = [pool.submit(load, p) for p in batches[0]]
        for i in range(len(batches)):
            images = np.stack([f.result() for f in ahead])
            if i + 1 < len(batches):
                ahead = [pool.submit(load, p) for p in batches[i + 1]]
            session.run(None, {"image": images})
        return len(paths) / (time.perf_counter() - start)


def run_json(command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def extract(model, folder, *more):
    out = os.path.join(args.folder, "pipeline.h5")
    return run_json([args.engraft, "extract", model, folder, "-o", out, "--force", "--json", "--quiet", "--threads",
                     str(args.threads), *more])["images_per_second"]


def bare(model):
    return run_json([args.engraft, "bench", model, "--batch", "8", "--repeat", "60", "--json", "--quiet", "--threads",
                     str(args.threads)])["images_per_second"]


def ask_peer(kind, folder):
    command = [sys.executable, os.path.abspath(__file__), args.engraft, args.photos, args.folder, "--threads",
               str(args.threads), "--peer", kind + ":" + folder]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


if args.peer:
    print(peer(*args.peer.split(":", 1)))
    sys.exit()

lines = []


def say(line):
    print(line, flush=True)
    lines.append(line)


def turns(what):
    values = {name: [] for name in what}
    for _ in range(args.rounds):
        for name, call in what.items():
            values[name].append(call())
    return {name: max(v) for name, v in values.items()}


with open("/proc/cpuinfo") as file:
    cpu = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "?")
say("# pipeline, %s, %d CPUs, %s, %d threads, images per second" % (
    cpu, os.cpu_count(), datetime.date.today().isoformat(), args.threads))
small, large = make("photos-500x375", (500, 375), 480), make("photos-12mp", (4000, 3000), 48)
if not os.path.exists(lite0):
    subprocess.run([args.engraft, "convert", "efficientnet-lite0", "--cut", "avgpool", "-o", lite0], check=True)
for net in ("vgg16", "resnet50"):
    model = os.path.join(args.folder, net + ".onnx")
    got = turns({"forward": lambda: bare(model),
                 "extract": lambda: extract(model, small, "--preprocess", "torchvision")})
    say("%-19s 500x375  extract %6.1f  bare forward %6.1f  | %.3f of it" % (
        net, got["extract"], got["forward"], got["extract"] / got["forward"]))
for label, folder in (("500x375", small), ("12 MP", large)):
    got = turns({"extract": lambda: extract("efficientnet-lite0", folder),
                 "fast": lambda: extract("efficientnet-lite0", folder, "--fast-decode"),
                 "pillow": lambda: ask_peer("pillow", folder),
                 "torchvision": lambda: ask_peer("torchvision", folder)})
    say("efficientnet_lite0  %-8s extract %6.1f  --fast-decode %6.1f  Pillow + ONNX Runtime %6.1f  "
        "torchvision + ONNX Runtime %6.1f  | %.2f x Pillow, %.2f x torchvision" % (
            label, got["extract"], got["fast"], got["pillow"], got["torchvision"],
            got["extract"] / got["pillow"], got["extract"] / got["torchvision"]))
if args.save:
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "results", "pipeline-%s-%s.txt" % (
        datetime.date.today().isoformat(), cpu.replace(" ", "-").lower()))
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    print("kept in", path)
