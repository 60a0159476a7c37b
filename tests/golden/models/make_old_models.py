#!/usr/bin/env python3
"""The models here were made by version 0.1, whose split goes by the order of the rows:
    make_old_models.py ENGRAFT_0.1 FOLDER
Later versions must find their test rows as 0.1 did (test_old_models.py)."""
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

engraft, folder = sys.argv[1], Path(sys.argv[2])
rng = np.random.default_rng(4)
labels = np.arange(80) % 3
rows = rng.normal(size=(80, 6)).astype("f4") + 1.5 * np.eye(3, 6, dtype="f4")[labels]
with h5py.File(folder / "matrix_0.1.h5", "w") as f:
    f["features"], f["labels"] = rows, labels
for name, more in (("logistic_0.1.onnx", ["--classifier", "logistic"]), ("svm_0.1.onnx", ["--classifier", "svm", "--seed", "9"])):
    subprocess.run([engraft, "train", "matrix_0.1.h5", "-o", name, "--test", "0.3", *more], cwd=folder, check=True)
    print(subprocess.run([engraft, "evaluate", name, "matrix_0.1.h5", "--json"], cwd=folder, check=True, capture_output=True, text=True).stdout)
