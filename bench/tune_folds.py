"""Accuracy of fine-tuning beside the linear classifier's, on the same cross-validation folds.

    python bench/tune_folds.py PHOTOS RESULTS.jsonl [--folds 5] [--seeds 0,1,2] [--only 0,1] [--name NAME]
                               [--model MODEL] [--size HxW] [--linear] [-- OPTIONS OF TUNE]
    python bench/tune_folds.py --table RESULTS.jsonl

A line of RESULTS is one fold; folds that are there already are not run again. The folds of a seed
are stratified: every class's photos, shuffled, dealt to the folds in turn (see folds())."""
import argparse
import csv
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

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


def run_fold(args, seed, fold, rows):
    size = ["--size", args.size] if args.size else []
    threads = ["--threads", args.threads]
    with tempfile.TemporaryDirectory() as folder:
        train, test, model = f"{folder}/train.csv", f"{folder}/test.csv", f"{folder}/model.onnx"
        write_csv(train, [(p, label) for p, label, f in rows if f != fold])
        write_csv(test, [(p, label) for p, label, f in rows if f == fold])
        if args.linear:
            made = engraft("train", train, "--model", args.model, *size, *threads, "-o", model, "--test", 0, "--seed", seed,
                           *args.options)
        else:
            made = engraft("tune", args.model, train, *size, *threads, "-o", model, "--test", 0, "--seed", seed, *args.options)
        judged = engraft("evaluate", model, test, "--rows", "all", *threads)
    right = sum(judged["confusion"][i][i] for i in range(len(judged["classes"])))
    return {"name": args.name, "seed": seed, "fold": fold, "right": right, "count": judged["count"],
            "seconds": made["seconds"], "loss": [e["train_loss"] for e in made.get("epochs", [])]}


def table(path):
    runs = {}
    for line in open(path):
        run = json.loads(line)
        runs.setdefault(run["name"], {}).setdefault(run["seed"], {})[run["fold"]] = run
    print(f"{'recipe':34} {'seed':>5} {'folds':>5} {'right':>11} accuracy  s a fold")
    for name, seeds in runs.items():
        all_right = all_count = 0
        for seed, found in sorted(seeds.items()):
            right, count = sum(r["right"] for r in found.values()), sum(r["count"] for r in found.values())
            seconds = sum(r["seconds"] for r in found.values()) / len(found)
            print(f"{name:34} {seed:5} {len(found):5} {right:5}/{count:5} {right / count:8.4f} {seconds:8.0f}")
            all_right, all_count = all_right + right, all_count + count
        print(f"{name:34} {'all':>5} {'':5} {all_right:5}/{all_count:5} {all_right / all_count:8.4f}")


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
    parser.add_argument("--linear", action="store_true")
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
            print(f"{args.name}: seed {seed} fold {fold}: {run['right']}/{run['count']} in {run['seconds']:.0f} s",
                  file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
