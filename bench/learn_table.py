"""Time, peak memory and accuracy of `engraft train` and of scikit-learn on the same rows.

Rows: 2,000 x 25,088 and 20,000 x 1,280, five classes, sparse and not negative like features
behind a ReLU, made here from a seed. Each measurement is a process of its own; the two sides
take turns, so that whatever else the machine does hits both."""
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

FITS = {
    "svm": "LinearSVC()",
    "logistic": "LogisticRegression(max_iter=1000)",
    "forest": "RandomForestClassifier(100, n_jobs=2, random_state=1)",
}
PEER = """
import sys, time, json, h5py, numpy as np
from sklearn.svm import LinearSVC
from sklearn.linear_model import LogisticRegression
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold
path, test, grid = sys.argv[1], sys.argv[2], sys.argv[4] == "1"
def rows(p):
    with h5py.File(p) as f:
        x, y = f["features"][:], f["labels"][:]
    return x / np.linalg.norm(x, axis=1, keepdims=True), y
x, y = rows(path)
model = eval(sys.argv[3])
if grid:
    model = GridSearchCV(model, {"C": [10.0 ** p for p in range(-2, 5)]}, n_jobs=2, cv=StratifiedKFold(5))
start = time.time()
model.fit(x, y)
seconds = time.time() - start
x, y = rows(test)
print(json.dumps({"seconds": seconds, "accuracy": model.score(x, y)}))
"""


def make(folder, n, d, seed):
    rng = np.random.default_rng(seed)
    pattern = np.random.default_rng(7).normal(size=(5, d)) * 0.12
    labels = np.arange(n, dtype=np.int32) % 5
    rows = rng.normal(size=(n, 60)) @ np.random.default_rng(8).normal(size=(60, d)) * 0.12
    rows = np.maximum(rows + rng.normal(size=(n, d)) + pattern[labels] - 0.8, 0).astype(np.float32)
    import h5py

    path = os.path.join(folder, f"{n}x{d}-{seed}.h5")
    with h5py.File(path, "w") as file:
        file["features"] = rows
        file["labels"] = labels
    return path


def run(command):
    start = time.time()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"failed: {' '.join(command)[:200]}")
    return json.loads(out), time.time() - start, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def main():
    grid = "--grid" in sys.argv
    from threadpoolctl import threadpool_info

    kernels = sorted({f"{i['internal_api']} {i.get('architecture', '')}" for i in threadpool_info()})
    print("scikit-learn computes with:", ", ".join(kernels))
    print(f"{'rows':>14} {'classifier':>10} {'who':>22} {'fit s':>8} {'all s':>8} {'cpu s':>8} {'MB':>7} {'accuracy':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for n, d in (2000, 25088), (20000, 1280):
            train, test = make(folder, n, d, 1), make(folder, 1000, d, 2)
            for name, model in FITS.items():
                ours = [os.environ["ENGRAFT"], "train", train, "-o", os.path.join(folder, "m.onnx"), "--force",
                        "--classifier", name, "--test", test, "--json", "--quiet"]
                if name == "forest":
                    sides = [("engraft, one fit", ours + ["--trees", "100", "--cv", "1"])]
                else:
                    sides = [("engraft, 36 fits", ours + ["--scale", "unit"])]
                peer = [sys.executable, "-c", PEER, train, test, model]
                sides.append(("scikit-learn, one fit", peer + ["0"]))
                if grid and name != "forest":
                    sides.append(("scikit-learn, 36 fits", peer + ["1"]))
                for who, command in sides:
                    found, wall, memory, cpu = run(command)
                    accuracy = found.get("accuracy", found.get("test_accuracy"))
                    print(f"{n:>7}x{d:<6} {name:>10} {who:>22} {found['seconds']:8.2f} {wall:8.2f} {cpu:8.2f} "
                          f"{memory:7.0f} {accuracy:9.3f}", flush=True)


if __name__ == "__main__":
    main()
