#!/usr/bin/env python3
"""How many wrong labels the audit finds: 5 % planted by ten seeds, N of them; the share of them among the N labels it finds
worst, and how often the class that it finds likeliest is the right one.

    bench/wrong_labels.py build/release/bench/label_quality FILE.h5... [--how random|nearest|both] [--seeds 10]

random: to any other class; nearest: to the class whose centre (of signed roots, unit length) is nearest. With --floor the
same labels by scikit-learn's logistic regression (C = 10, five folds) on signed-root unit rows, by self-confidence.
"""
import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np


def planted(x, y, how, seed):
    rng, k = np.random.default_rng(seed), y.max() + 1
    centres = np.stack([x[y == c].mean(0) for c in range(k)])
    wrong, labels = rng.choice(len(y), round(0.05 * len(y)), replace=False), y.copy()
    for i in wrong:
        if how == "random":
            labels[i] = rng.choice([c for c in range(k) if c != y[i]])
        else:
            near = centres @ x[i]
            near[y[i]] = -9
            labels[i] = near.argmax()
    return labels, wrong


def by_engraft(program, path, labels, folder):
    copy = Path(folder) / "planted.h5"
    shutil.copy(path, copy)
    with h5py.File(copy, "r+") as file:
        file["labels"][...] = labels
        file.attrs["root"] = np.bytes_(folder)  # features alone are looked at
    done = subprocess.run([program, str(copy)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    told = np.array([line.split() for line in done.stdout.splitlines()], float)
    told = told[np.argsort(told[:, 1], kind="stable")]
    return told[:, 0].astype(int).tolist(), dict(zip(told[:, 0].astype(int), told[:, 2].astype(int)))


def by_scikit(x, labels, seed):
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict, StratifiedKFold
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    p = cross_val_predict(LogisticRegression(C=10, tol=1e-3, max_iter=300), x, labels, cv=folds, method="predict_proba")
    return np.argsort(p[np.arange(len(labels)), labels], kind="stable")


def main():
    asked = argparse.ArgumentParser()
    asked.add_argument("program")
    asked.add_argument("files", nargs="+", type=Path)
    asked.add_argument("--how", choices=("random", "nearest", "both"), default="both")
    asked.add_argument("--seeds", type=int, default=10)
    asked.add_argument("--floor", action="store_true")
    how = asked.parse_args()
    for path in how.files:
        with h5py.File(path) as file:
            x, y = file["features"][()].astype(np.float64), file["labels"][()]
        x = np.sign(x) * np.sqrt(np.abs(x))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        for way in ("random", "nearest") if how.how == "both" else (how.how,):
            found, right, floor = [], [], []
            for seed in range(how.seeds):
                labels, wrong = planted(x, y, way, seed)
                with tempfile.TemporaryDirectory() as folder:
                    listed, suggestion = by_engraft(how.program, path, labels, folder)
                found.append(len(set(listed[:len(wrong)]) & set(wrong)) / len(wrong))
                right.append(np.mean([suggestion[row] == y[row] for row in wrong]))
                if how.floor:
                    floor.append(len(set(by_scikit(x, labels, seed)[:len(wrong)]) & set(wrong)) / len(wrong))
            print(f"{path.name:28} {way:8} found {np.mean(found):.3f}, suggestion right {np.mean(right):.3f}"
                  + (f", scikit-learn {np.mean(floor):.3f}" if floor else ""), flush=True)


if __name__ == "__main__":
    main()
