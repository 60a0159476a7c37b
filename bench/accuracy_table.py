"""Accuracy of `engraft train` and of scikit-learn on the same features of the same photos.

accuracy_table.py FOLDER...   (or $PHOTOS, names apart by spaces; each FOLDER/CLASS/*.jpg)

Few photos: 1, 2, 5, 10, 20 of each class to learn from, the rest is the test; means over --seeds 3 draws.
  engraft    train --classifier auto, which sees the training photos alone
  chosen     scikit-learn, its classifier, scaling and C chosen by cross-validation of the training photos
             (leave-one-out below 5 a class; one a class: nearest centroid of unit rows)
  best       the best that scikit-learn comes to, picked by the test itself: what no choice can pass but by luck
Several labels: two photos pasted side by side have both classes; mean average precision of engraft
--multi-label and of OneVsRestClassifier(LogisticRegression), C of the latter by the test itself.
Numbers: the share of a photo's pixels that are brighter than the middle; R2 of engraft --regress and RidgeCV."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import average_precision_score, r2_score
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import NearestCentroid
from sklearn.svm import LinearSVC

warnings.filterwarnings("ignore")
ENGRAFT = os.environ["ENGRAFT"]
COUNTS = (1, 2, 5, 10, 20)


def run(*words):
    done = subprocess.run([ENGRAFT, *map(str, words), "--quiet", "--json"], capture_output=True, text=True)
    if done.returncode not in (0, 3):
        sys.exit(f"{' '.join(map(str, words))}\n{done.stderr}")
    return json.loads(done.stdout)


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)


SCALES = {"unit": unit, "root": lambda x: unit(np.sign(x) * np.sqrt(np.abs(x)))}


def candidates(few):
    yield "centroid", NearestCentroid()
    yield "lda", LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    for c in (1, 10, 100, 1000):
        yield f"logistic {c}", LogisticRegression(C=c, max_iter=300, tol=1e-3)
        if not few:
            yield f"svm {c}", LinearSVC(C=c, max_iter=300, tol=1e-3)


def save(path, x, **more):
    with h5py.File(path, "w") as file:
        file["features"] = x.astype(np.float32)
        for name, values in more.items():
            file[name] = values


def few_photos(name, x, y, here, seeds):
    print(f"\n{name}: photos a class, accuracy on the rest, mean of {seeds} draws\n")
    print("photos   engraft    (its choice)              chosen     best   (which)")
    for n in COUNTS:
        if n >= np.bincount(y).min():
            continue
        own, chosen, best, picks, which = [], [], [], [], []
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            train = np.concatenate([rng.permutation(np.flatnonzero(y == k))[:n] for k in range(y.max() + 1)])
            test = np.setdiff1d(np.arange(len(y)), train)
            save(here / "a.h5", x[train], labels=y[train])
            save(here / "b.h5", x[test], labels=y[test])
            done = run("train", here / "a.h5", "-o", here / "m.onnx", "--force", "--classifier", "auto", "--test", here / "b.h5")
            own.append(done["test_accuracy"])
            picks.append(f"{done['classifier']} {done['scale']}")
            folds = KFold(len(train)) if n < 5 else StratifiedKFold(5, shuffle=True, random_state=seed)
            found = []
            for scale, apply in SCALES.items():
                a, b = apply(x[train]), apply(x[test])
                for label, model in candidates(n < 5):
                    try:
                        right = model.fit(a, y[train]).score(b, y[test])
                        guess = -1
                        if n > 1:
                            guess = np.mean(cross_val_predict(model, a, y[train], cv=folds, n_jobs=1) == y[train])
                        elif label == "centroid" and scale == "unit":
                            guess = 0
                    except ValueError:  # a covariance of one row a class
                        continue
                    found.append((guess, right, f"{label} {scale}"))
            chosen.append(max(found, key=lambda f: f[0])[1])
            best.append(max(f[1] for f in found))
            which.append(max(found, key=lambda f: f[1])[2])
        print(f"{n:6}   {np.mean(own):.4f}     {picks[0]:24}  {np.mean(chosen):.4f}   {np.mean(best):.4f} ({which[0]})", flush=True)


def several_labels(name, folder, here, model, pairs):
    rng = np.random.default_rng(3)
    paths = sorted(p for p in folder.glob("*/*") if p.is_file())
    classes = sorted({p.parent.name for p in paths})
    (here / "pairs").mkdir()
    lines = ["path,label"]
    for i in range(pairs):
        a, b = (paths[j] for j in rng.integers(0, len(paths), 2))
        both = Image.new("RGB", (448, 224))
        for at, path in ((0, a), (224, b)):
            both.paste(Image.open(path).convert("RGB").resize((224, 224)), (at, 0))
        both.save(here / f"pairs/{i:04}.jpg")
        lines.append(f"pairs/{i:04}.jpg,{';'.join(sorted({a.parent.name, b.parent.name}))}")
    (here / "pairs.csv").write_text("\n".join(lines))
    run("extract", model, here / "pairs.csv", "-o", here / "p.h5", "--multi-label", "--force", "--preprocess",
        json.dumps({"resize": "squash", "size": 224, "crop": [224, 224], "filter": "bicubic", "mean": [127] * 3, "std": [128] * 3}))
    with h5py.File(here / "p.h5") as file:
        x, sets = file["features"][:], file["label_sets"][:]
    half = len(x) // 2
    names = [";".join(c for c, has in zip(classes, row) if has) for row in sets]
    save(here / "a.h5", x[:half], labels=names[:half])
    save(here / "b.h5", x[half:], labels=names[half:])
    done = run("train", here / "a.h5", "-o", here / "m.onnx", "--force", "--multi-label", "--test", here / "b.h5")
    ok = sets[:half].sum(0) > 1
    best = max(
        average_precision_score(sets[half:][:, ok], OneVsRestClassifier(LogisticRegression(C=c, max_iter=1000)).fit(
            apply(x[:half]), sets[:half][:, ok]).decision_function(apply(x[half:])), average="macro")
        for c in (1, 10, 100, 1000) for apply in SCALES.values())
    print(f"\n{name}: pairs of photos side by side, {half} to learn from, {len(x) - half} to test: "
          f"mean average precision {done['mean_average_precision']:.4f} "
          f"(micro F1 {done['micro_f1']:.3f}), scikit-learn's best {best:.4f}")


def numbers(name, folder, x, paths, here, seeds):
    bright = np.array([(np.asarray(Image.open(folder / p).convert("L").resize((64, 64))) > 127).mean() for p in paths])
    own, peer = [], []
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(x))
        a, b = order[: len(x) * 3 // 4], order[len(x) * 3 // 4 :]
        save(here / "a.h5", x[a], targets=bright[a])
        save(here / "b.h5", x[b], targets=bright[b])
        own.append(run("train", here / "a.h5", "-o", here / "m.onnx", "--force", "--regress", "bright", "--test", here / "b.h5")["r2"])
        alphas = np.logspace(-4, 4, 25)
        peer.append(max(r2_score(bright[b], RidgeCV(alphas=alphas).fit(s(x[a]), bright[a]).predict(s(x[b])))
                        for s in (unit, SCALES["root"], lambda v: v)))
    print(f"\n{name}: share of bright pixels from the features, R2 {np.mean(own):.4f}, scikit-learn's RidgeCV at its best "
          f"scaling {np.mean(peer):.4f}")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folders", nargs="*", default=os.environ.get("PHOTOS", "").split())
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--model", default="efficientnet-lite0")
    options.add_argument("--pairs", type=int, default=600)
    options.add_argument("--only", choices=["few", "several", "numbers"])
    given = options.parse_args()
    if not given.folders:
        sys.exit("no photos: make bench-accuracy PHOTOS='FOLDER FOLDER', each FOLDER/CLASS/*.jpg")
    for folder in map(Path, given.folders):
        with tempfile.TemporaryDirectory(prefix="engraft-bench-") as here:
            here = Path(here)
            run("extract", given.model, folder, "-o", here / "f.h5")
            with h5py.File(here / "f.h5") as file:
                x, y = file["features"][:], file["labels"][:]
                paths = [p.decode() for p in file["paths"][:]]
            if given.only in (None, "few"):
                few_photos(folder.name, x, y, here, given.seeds)
            if given.only in (None, "several"):
                several_labels(folder.name, folder, here, given.model, given.pairs)
            if given.only in (None, "numbers"):
                numbers(folder.name, folder, x, paths, here, given.seeds)


if __name__ == "__main__":
    main()
