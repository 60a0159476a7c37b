"""Time, peak memory and accuracy of `engraft train` and of scikit-learn on the same rows.

Rows: 2,000 x 25,088 in 5 classes, 20,000 x 1,280 in 5 (forest), 6,500 x 1,280 in 102 and 20,000 x 1,280 in 100
(logistic), sparse and not negative like features behind a ReLU, made here from a seed. Each measurement is a process of its own (so is the making:
a small parent keeps peak memory the child's own); the sides take turns, so that whatever else the
machine does hits both, and the quickest of the turns counts.

Options: --turns N (2); --only NAME, one classifier; --rows N, one of the shapes;
--grid, scikit-learn's GridSearchCV with n_jobs=2 as well, from 15 of its 36 fits: three C of the
seven, times 7/3, and the refit."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

FITS = {
    "svm": "LinearSVC()",
    "logistic": "LogisticRegression(max_iter=1000)",
    "forest": "RandomForestClassifier(100, n_jobs=2, random_state=1)",
}
PEER = """
import sys, time, json, h5py, numpy as np, warnings
from sklearn.svm import LinearSVC
from sklearn.linear_model import LogisticRegression
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold
warnings.filterwarnings("ignore")
path, test, grid = sys.argv[1], sys.argv[2], sys.argv[4] == "1"
def rows(p):
    with h5py.File(p) as f:
        x, y = f["features"][:], f["labels"][:]
    if "Forest" not in sys.argv[3]:
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x, y
x, y = rows(path)
model = eval(sys.argv[3])
start = time.time()
if grid:
    GridSearchCV(model, {"C": [0.01, 1, 100]}, n_jobs=2, cv=StratifiedKFold(5), refit=False).fit(x, y)
    whole = (time.time() - start) * 7 / 3
    start = time.time()
    model.fit(x, y)
    seconds = whole + time.time() - start
else:
    model.fit(x, y)
    seconds = time.time() - start
x, y = rows(test)
print(json.dumps({"seconds": seconds, "accuracy": model.score(x, y)}))
"""
MAKE = """
import sys, h5py, numpy as np
path, n, d, classes, seed = sys.argv[1], *map(int, sys.argv[2:6])
rng = np.random.default_rng(seed)
pattern = np.random.default_rng(7).normal(size=(classes, d)).astype(np.float32) * (0.12 if classes < 50 else 0.35)
labels = np.arange(n, dtype=np.int32) % classes
mix = np.random.default_rng(8).normal(size=(60, d)).astype(np.float32) * 0.12
with h5py.File(path, "w") as file:
    out = file.create_dataset("features", (n, d), "f4")
    for i in range(0, n, 500):
        rows = rng.normal(size=(min(500, n - i), 60)).astype(np.float32) @ mix
        rows += rng.standard_normal(rows.shape, np.float32) + pattern[labels[i : i + 500]] - 0.8
        out[i : i + 500] = np.maximum(rows, 0)
    file["labels"] = labels
"""


# rows, features, classes, and which classifiers are measured on them
SHAPES = [(2000, 25088, 5, ("svm", "logistic", "forest")), (20000, 1280, 5, ("forest",)),
          (6500, 1280, 102, ("logistic",)), (20000, 1280, 100, ("logistic",))]


def make(folder, n, d, classes, seed):
    path = os.path.join(folder, f"{n}x{d}x{classes}-{seed}.h5")
    subprocess.run([sys.executable, "-c", MAKE, path, str(n), str(d), str(classes), str(seed)], check=True)
    return path


def run(command):
    start = time.time()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"failed: {' '.join(command)[:200]}")
    found = json.loads(out)
    return {"fit": found["seconds"], "all": time.time() - start, "cpu": usage.ru_utime + usage.ru_stime,
            "memory": usage.ru_maxrss / 1024, "accuracy": found.get("accuracy", found.get("test_accuracy"))}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--only", choices=FITS)
    parser.add_argument("--rows", type=int, choices=sorted({shape[0] for shape in SHAPES}))
    parser.add_argument("--grid", action="store_true")
    asked = parser.parse_args()
    kernels = "from threadpoolctl import threadpool_info\nimport numpy\nprint(sorted({(i['internal_api'], i.get('architecture')) for i in threadpool_info()}))"
    print("scikit-learn computes with", subprocess.run([sys.executable, "-c", kernels], capture_output=True, text=True).stdout.strip())
    print(f"{'rows':>13} {'classifier':>10} {'who':>22} {'fit s':>8} {'all s':>8} {'cpu s':>8} {'MB':>7} {'accuracy':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for n, d, classes, names in SHAPES:
            names = [name for name in names if asked.only in (None, name)]
            if asked.rows not in (None, n) or not names:
                continue
            train, test = make(folder, n, d, classes, 1), make(folder, 1000, d, classes, 2)
            for name in names:
                model = FITS[name]
                ours = [os.environ["ENGRAFT"], "train", train, "-o", os.path.join(folder, "m.onnx"), "--force",
                        "--classifier", name, "--test", test, "--json", "--quiet"]
                if name == "forest":
                    sides = [("engraft, one fit", ours + ["--trees", "100", "--cv", "1"])]
                else:
                    sides = [("engraft, one scaling", ours + ["--scale", "unit"])]
                if classes > 5:
                    sides += [("engraft, four scalings", ours),
                              ("engraft, one fit", ours + ["--scale", "unit", "--C", "1", "--cv", "1"])]
                peer = [sys.executable, "-c", PEER, train, test, model]
                sides.append(("scikit-learn, one fit", peer + ["0"]))
                if asked.grid and name != "forest":
                    sides.append(("scikit-learn, 36 fits", peer + ["1"]))
                best = {}
                for _ in range(asked.turns):
                    for who, command in sides:
                        found = run(command)
                        if who not in best or found["fit"] < best[who]["fit"]:
                            best[who] = found
                for who, f in best.items():
                    print(f"{n:>6}x{d:<6} {name:>10} {who:>22} {f['fit']:8.2f} {f['all']:8.2f} {f['cpu']:8.2f} "
                          f"{f['memory']:7.0f} {f['accuracy']:9.3f}", flush=True)


if __name__ == "__main__":
    main()
