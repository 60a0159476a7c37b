"""`train --memory` holds: peak resident memory, on files larger than what is allowed. (Other than
engraft nothing is measured; h5py makes the files, in a process of its own, so that this one stays small.)"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

ENGRAFT = os.environ.get("ENGRAFT", "")
MAKE = """
import sys, h5py, numpy as np
path, n, d, classes, dtype = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
rng = np.random.default_rng(3)
centre = rng.normal(size=(classes, d)).astype(np.float32) * 0.15
labels = rng.integers(0, classes, n).astype(np.int32)
labels[: 20 * classes] = np.arange(20 * classes) % classes
with h5py.File(path, "w") as file:
    rows = file.create_dataset("features", (n, d), dtype)
    for i in range(0, n, 1000):
        part = rng.standard_normal((min(1000, n - i), d), np.float32) + centre[labels[i : i + 1000]]
        rows[i : i + 1000] = np.maximum(part, 0)
    file["labels"] = labels
"""


class Memory(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="engraft-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.here = folder.name

    def make(self, n, d, classes, dtype="f4"):
        path = os.path.join(self.here, f"{n}x{d}-{dtype}.h5")
        if not os.path.exists(path):
            subprocess.run([sys.executable, "-c", MAKE, path, str(n), str(d), str(classes), dtype], check=True)
        return path

    def train(self, path, allowed, *options):
        """The report; peak memory has to stay below `allowed` MB."""
        command = [ENGRAFT, "train", path, "-o", os.path.join(self.here, "m.onnx"), "--force", "--json", "--quiet",
                   "--memory", f"{allowed}M", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with process.stdout, process.stderr:
            out, err = process.stdout.read(), process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0, err)
        print(f"{os.path.basename(path)} {options}: {usage.ru_maxrss / 1024:.0f} of {allowed} MB")
        self.assertLessEqual(usage.ru_maxrss / 1024, allowed)
        return json.loads(out)

    def test_a_gram_matrix_from_blocks(self):
        path = self.make(3400, 16000, 5)  # 218 MB; the Gram matrix of three quarters: 26 MB
        done = self.train(path, 200, "--classifier", "svm", "--reject", "0.05", "--scale", "unit", "--C", "1,10", "--cv", "2")
        self.assertGreater(done["test_accuracy"], 0.85)

    def test_passes_over_blocks(self):
        path = self.make(6000, 2400, 3)  # 58 MB; a Gram matrix would have 81 MB
        for options in ["--classifier", "logistic"], ["--classifier", "svm"]:
            done = self.train(path, 50, *options, "--scale", "unit", "--C", "0.1", "--cv", "2")
            self.assertGreater(done["test_accuracy"], 0.9)
            self.assertLess(done["gap"], 2e-3 * done["objective"])

    def test_halves_are_not_widened_whole(self):
        path = self.make(2400, 16000, 5, "f2")  # 77 MB, 154 MB widened
        done = self.train(path, 75, "--scale", "unit", "--C", "1", "--cv", "2")
        self.assertGreater(done["test_accuracy"], 0.9)

    def test_many_classes(self):
        path = self.make(2400, 3000, 100)
        self.train(path, 100, "--scale", "unit", "--C", "1", "--cv", "2")

    def test_a_forest(self):
        path = self.make(2000, 8000, 5)  # 48 MB of columns
        self.train(path, 100, "--classifier", "forest", "--trees", "50", "--cv", "1")

    def test_too_little_is_said(self):
        path = self.make(3400, 16000, 5)
        for options in (["--classifier", "forest", "--memory", "100M"], ["--classifier", "forest", "--memory", "300M", "--trees", "100000", "--cv", "1"],
                        ["--memory", "1M"]):
            command = [os.path.abspath(ENGRAFT), "train", path, "-o", "x.onnx", *options]
            done = subprocess.run(command, capture_output=True, text=True, cwd=self.here)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("allowed", done.stderr)


if __name__ == "__main__":
    if not ENGRAFT or subprocess.run([sys.executable, "-c", "import h5py"], capture_output=True).returncode:
        print("skipped: no program, or no h5py to make files with")
        sys.exit(77)
    cache = os.path.join(os.path.dirname(ENGRAFT), "CMakeCache.txt")
    if os.path.exists(cache) and any(line.startswith("EG_SANITIZE:") and line.strip()[-1] != "=" for line in open(cache)):
        print("skipped: sanitizers take memory of their own")
        sys.exit(77)
    unittest.main(verbosity=1)
