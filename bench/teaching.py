#!/usr/bin/env python3
"""Labels needed for 95 % of full accuracy: photos labelled at random, by the margin alone, and in
the order of eg_teaching_order. 20 at a time, beginning with 20 at random; 30 % of the photos are the test.

    bench/teaching.py BUILD FEATURES.h5... [--seeds 10]        BUILD has libengraft.so; the word "digits": scikit-learn's
"""
import argparse
import ctypes
import statistics
from pathlib import Path

import h5py
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

STEP, ENOUGH = 20, 0.95


def load(name):
    if name == "digits":
        x, y = load_digits(return_X_y=True)
        return x.astype(np.float32), y
    with h5py.File(name) as file:
        y = file["labels"][:]
        x = np.asarray(next(one for one in file["cuts"].values() if isinstance(one, h5py.Dataset)), np.float32)
    return x[y >= 0], y[y >= 0]


def ordering(library):
    floats = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")
    sizes = np.ctypeslib.ndpointer(np.uintp, flags="C_CONTIGUOUS")
    call = library.eg_teaching_order
    call.argtypes = [floats, ctypes.c_size_t, ctypes.c_size_t, floats, ctypes.c_size_t, ctypes.c_size_t, sizes, ctypes.c_void_p]

    def order(probabilities, x):
        out = np.zeros(len(x), np.uintp)
        p, x = np.ascontiguousarray(probabilities, np.float32), np.ascontiguousarray(x, np.float32)
        assert call(p, *p.shape, x, x.shape[1], STEP, out, None) == 0
        return out.astype(int)
    return order


def by_margin(probabilities, x):
    top = np.sort(probabilities, axis=1)
    return np.argsort(top[:, -1] - top[:, -2], kind="stable")


def fit(x, y):
    return LogisticRegression(C=10, max_iter=300).fit(x, y)


def labels_needed(x, y, test_x, test_y, enough, choose, rng):
    known = list(rng.permutation(len(x))[:STEP])
    while True:
        model = fit(x[known], y[known]) if len(set(y[known])) > 1 else None
        if model is not None and model.score(test_x, test_y) >= enough:
            return len(known)
        rest = np.setdiff1d(np.arange(len(x)), known)
        if not len(rest):
            return len(known)
        order = choose(model.predict_proba(x[rest]), x[rest]) if choose and model is not None else rng.permutation(len(rest))
        known += list(rest[order[:STEP]])


def main():
    words = argparse.ArgumentParser()
    words.add_argument("build", type=Path)
    words.add_argument("data", nargs="+")
    words.add_argument("--seeds", type=int, default=10)
    words.add_argument("--components", type=int, default=0, help="learn on so many principal components: quicker (0: on all features)")
    options = words.parse_args()
    ways = {"random": None, "margin": by_margin, "engraft": ordering(ctypes.CDLL(str(options.build / "libengraft.so")))}
    for name in options.data:
        x, y = load(name)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        if options.components:
            x = PCA(min(options.components, x.shape[1]), svd_solver="randomized", random_state=0).fit_transform(x)
        needed = {way: [] for way in ways}
        for seed in range(options.seeds):
            pool_x, test_x, pool_y, test_y = train_test_split(x, y, test_size=0.3, random_state=seed, stratify=y)
            enough = ENOUGH * fit(pool_x, pool_y).score(test_x, test_y)
            for way, choose in ways.items():
                needed[way].append(labels_needed(pool_x, pool_y, test_x, test_y, enough, choose, np.random.default_rng(seed)))
        mean = {way: statistics.mean(list_) for way, list_ in needed.items()}
        for way, list_ in needed.items():
            print(f"{name}: {way:8} {mean[way]:6.1f} labels ({min(list_)} to {max(list_)}), {100 * (1 - mean[way] / mean['random']):5.1f} % fewer than at random", flush=True)


if __name__ == "__main__":
    main()
