#!/usr/bin/env python3
"""Files as people have them: networks by opset, by what simplified them and by their numbers' type, every pair of these
(and every network) at least once, read by engraft and compared with onnxruntime. Takes up where it was stopped.

    pairwise_networks.py CACHE [--networks N] [--files N]    all of many_networks.txt: 434 files; the first N
    pairwise_networks.py CACHE --table

Wants torch, torchvision and timm for the exports (the older exporter, opsets to 17), onnxsim and onnxslim. Small images
(64 pixels, 224 where a network takes no others). Results are lines of CACHE/pairwise.tsv."""
import argparse
import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import many_networks as many  # noqa: E402
import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402

OPSETS = [11, 13, 14, 16, 17]
BY = ["plain", "onnxsim", "onnxslim", "basic", "extended"] # the last two: onnxruntime's own
TYPES = ["float32", "float16", "qdq"]
TOLERANCES = {"float32": 1e-4, "float16": 1e-2, "qdq": 1e-2}
EACH = 7 # files of a network
FIELDS = ("network", "opset", "by", "type", "verdict", "difference", "reason")


def combinations(i):
    """Of network i: over any 5 networks in a row every opset meets everything that simplifies, and so on."""
    return [(OPSETS[(i + j) % 5], BY[(2 * i + 3 * j) % 5], TYPES[(i + j + j // 3) % 3]) for j in range(EACH)]


class Images:
    """What calibration sees."""

    def __init__(self, name, side):
        self.rows = iter([{name: image[None]} for image in many.images(side)])

    def get_next(self):
        return next(self.rows, None)


def simplify(model, by, path):
    if by == "onnxsim":
        import onnxsim
        simple, fine = onnxsim.simplify(model)
        assert fine
        return simple
    if by == "onnxslim":
        import onnxslim
        return onnxslim.slim(model)
    if by == "plain":
        return model
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{by.upper()}")
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return onnx.load(path)


def convert(model, kind, side, path):
    if kind == "float16":
        from onnxruntime.transformers.float16 import convert_float_to_float16
        return convert_float_to_float16(model, keep_io_types=True, disable_shape_infer=True)
    if kind == "qdq":
        from onnxruntime.quantization import QuantFormat, quantize_static
        quantize_static(model, str(path), Images(model.graph.input[0].name, side), quant_format=QuantFormat.QDQ, per_channel=True)
        return onnx.load(path)
    return model


def one(name, opset, by, kind, cache):
    side = many.FEW.get(name, 224 if name in many.SIDES or "swin" in name or "levit" in name else 64)
    plain = cache / f"{name.replace('/', '.')}-{opset}.onnx"
    path = cache / "at-hand.onnx"
    try:
        if not plain.exists():
            many.export(name, "old", opset, plain, side)
        onnx.save(convert(simplify(onnx.load(plain), by, path), kind, side, path), path)
    except Exception as failure: # whatever others' programs may raise is their answer
        text = str(failure).strip().splitlines()
        return "not made", "", f"{type(failure).__name__}: {text[0] if text else ''}"[:160]
    try:
        many.TOLERANCE = TOLERANCES[kind]
        return many.check(path, side)
    except Exception as failure: # onnxruntime's, which does not run all it writes
        return "not run by onnxruntime", "", f"{type(failure).__name__}: {str(failure).strip().splitlines()[0]}"[:160]


def print_table(results):
    """What by what: agree / all; then every file that does not agree."""
    for rows, columns in ((1, 2), (2, 3), (1, 3)):
        across = sorted({r[columns] for r in results})
        print(f"\n| | {' | '.join(across)} |\n|---|" + "---|" * len(across))
        for value in sorted({r[rows] for r in results}):
            cells = [[r for r in results if r[rows] == value and r[columns] == c] for c in across]
            print(f"| {value} | " + " | ".join(f"{sum(r[4] == 'agrees' for r in cell)} of {len(cell)}" for cell in cells) + " |")
    print("\n| " + " | ".join(FIELDS) + " |\n|" + "---|" * len(FIELDS))
    for row in results:
        if row[4] != "agrees":
            print("| " + " | ".join(row) + " |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cache", type=Path)
    parser.add_argument("--networks", type=Path, help="a list of names, in place of many_networks.txt")
    parser.add_argument("--files", type=int, default=10**6)
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    kept = asked.cache / "pairwise.tsv"
    results = {tuple(line.split("\t")[:4]): line.split("\t") for line in (kept.read_text().splitlines() if kept.exists() else [])}
    if asked.table:
        print_table(list(results.values()))
        return 0
    warnings.simplefilter("ignore")
    names = (asked.networks or Path(__file__).with_name("many_networks.txt")).read_text().split()
    files = [(name, *combinations(i)[(i + turn) % EACH]) for turn in range(EACH) for i, name in enumerate(names)]
    for name, opset, by, kind in files[: asked.files]:
        key = (name, str(opset), by, kind)
        if key in results:
            continue
        row = [str(word).replace("\t", " ").replace("\n", " ") for word in [*key, *one(name, opset, by, kind, asked.cache)]]
        results[key] = row
        kept.write_text("".join("\t".join(r) + "\n" for r in results.values()))
        print(*row, flush=True)
    return 1 if any(r[4] == "DIFFERS" for r in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
