"""Accuracy of fine-tuning as the program does it by default beside the linear classifier's (`train --classifier auto`),
on the same cross-validation folds: for each fold both learn from the other folds' photos and are judged on its own.

    python bench/tune_folds.py PHOTOS RESULTS.jsonl [--folds 5] [--seeds 0,1,2] [--only 0,1] [--name NAME]
                               [--model MODEL] [--size HxW] [--threads 1] [-- OPTIONS OF TUNE]
    python bench/tune_folds.py --table RESULTS.jsonl

A line of RESULTS is one fold; folds that are there already are not run again, and the table is printed at the end. The
folds of a seed are stratified: every class's photos, shuffled, dealt to the folds in turn (see folds()). Lines of
bench/tune_torch.py may be in the same file: they are paired with the linear classifier of the same fold."""
import argparse
import csv
import json
import math
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

ENGRAFT = os.environ.get("ENGRAFT", "build/release/engraft")


def folds(photos, k, seed):
    """[(path, label, fold)] in byte order of the paths."""
    rows = []
    for label in sorted(p.name for p in pathlib.Path(photos).iterdir() if p.is_dir()):
        paths = sorted(str(p.resolve()) for p in (pathlib.Path(photos) / label).iterdir())
        order = list(range(len(paths)))
        random.Random(f"{seed} {label}").shuffle(order)
        fold = {at: i % k for i, at in enumerate(order)}
        rows += [(path, label, fold[i]) for i, path in enumerate(paths)]
    return rows


def write_csv(path, rows):
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "label"))
        table.writerows(rows)


def engraft(*words):
    result = subprocess.run([ENGRAFT, *map(str, words), "--quiet", "--json"], capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {result.stderr}")
    return json.loads(result.stdout)


def judge(model, test, threads):
    judged = engraft("evaluate", model, test, "--rows", "all", *threads)
    return sum(judged["confusion"][i][i] for i in range(len(judged["classes"]))), judged["count"]


def run_fold(args, seed, fold, rows):
    common = ["--test", 0, "--seed", seed, "--threads", args.threads, *(["--size", args.size] if args.size else [])]
    threads = ["--threads", args.threads]
    with tempfile.TemporaryDirectory() as folder:
        train, test = f"{folder}/train.csv", f"{folder}/test.csv"
        linear, tuned = f"{folder}/linear.onnx", f"{folder}/tuned.onnx"
        write_csv(train, [(p, label) for p, label, f in rows if f != fold])
        write_csv(test, [(p, label) for p, label, f in rows if f == fold])
        began = time.time()
        engraft("train", train, "--model", args.model, "-o", linear, "--classifier", "auto", *common)
        linear_seconds = time.time() - began
        made = engraft("tune", args.model, train, "-o", tuned, *common, *args.options)
        linear_right, count = judge(linear, test, threads)
        right, count = judge(tuned, test, threads)
    evidence = made["evidence"] or {}
    return {"name": args.name, "seed": seed, "fold": fold, "right": right, "linear_right": linear_right, "count": count,
            "seconds": made["seconds"], "linear_seconds": linear_seconds, "written": made["written"], "share": made["share"],
            "expected": evidence.get("gain"), "loss": [e["train_loss"] for e in made["epochs"]]}


def table(path):
    runs, linear = {}, {}
    for run in map(json.loads, open(path)):
        runs.setdefault(run["name"], []).append(run)
        if "linear_right" in run:
            linear[run["seed"], run["fold"], run["count"]] = run["linear_right"]
    print(f"{'':24} splits  linear   tuned    gain  (95 %)            worst  below -3  written linear  s a split")
    for name, found in runs.items():
        both = [(r, r.get("linear_right", linear.get((r["seed"], r["fold"], r["count"])))) for r in found]
        both = [(r, other) for r, other in both if other is not None]
        if not both:
            continue
        gains = [100 * (r["right"] - other) / r["count"] for r, other in both]
        mean, n = sum(gains) / len(gains), len(gains)
        error = 1.96 * math.sqrt(sum((g - mean) ** 2 for g in gains) / max(n - 1, 1) / n)
        count = sum(r["count"] for r, _ in both)
        print(f"{name:24} {n:6} {sum(o for _, o in both) / count:7.4f} {sum(r['right'] for r, _ in both) / count:7.4f} "
              f"{mean:+7.2f}  ({mean - error:+.2f} to {mean + error:+.2f})  {min(gains):+6.2f} {sum(g < -3 for g in gains):9} "
              f"{sum(r.get('written') == 'linear' for r, _ in both):15} {sum(r['seconds'] for r, _ in both) / n:10.0f}")


def main():
    words, options = sys.argv[1:], []
    if "--" in words:
        at = words.index("--")
        words, options = words[:at], words[at + 1:]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="?")
    parser.add_argument("results", nargs="?")
    parser.add_argument("--table")
    parser.add_argument("--name", default="tune")
    parser.add_argument("--model", default="efficientnet-lite0")
    parser.add_argument("--size")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--only", help="these folds")
    args = parser.parse_args(words)
    args.options = options
    if args.table:
        return table(args.table)
    done = set()
    if os.path.exists(args.results):
        done = {(r["name"], r["seed"], r["fold"]) for r in map(json.loads, open(args.results))}
    only = [int(f) for f in args.only.split(",")] if args.only else range(args.folds)
    for seed in map(int, args.seeds.split(",")):
        rows = folds(args.photos, args.folds, seed)
        for fold in only:
            if (args.name, seed, fold) in done:
                continue
            run = run_fold(args, seed, fold, rows)
            with open(args.results, "a") as file:
                file.write(json.dumps(run) + "\n")
            print(f"{args.name}: seed {seed} fold {fold}: {run['right']}, linear {run['linear_right']} of {run['count']} in "
                  f"{run['seconds']:.0f} s", file=sys.stderr, flush=True)
    table(args.results)


if __name__ == "__main__":
    main()
