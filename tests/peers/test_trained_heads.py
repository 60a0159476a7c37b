"""Trained heads in onnxruntime: labels and probabilities of every classifier, and of photos that
are none of the classes. Rows: the sample photos' features, and 500 made from them."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import ENGRAFT, MODEL, SOURCE, main, run

try:
    import h5py
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as missing:
    print(f"not compared with onnxruntime: {missing}")
    sys.exit(77)

SAMPLES = SOURCE / "examples" / "photos"


def save(path, rows, labels):
    with h5py.File(path, "w") as file:
        file["features"] = rows.astype(np.float32)
        file["labels"] = labels.astype(np.int32)


class Heads(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="engraft-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.here = Path(folder.name)
        done = run("extract", MODEL, SAMPLES, "-o", cls.here / "samples.h5", "--quiet")
        assert done.returncode == 0, done.stderr
        with h5py.File(cls.here / "samples.h5") as file:
            cls.rows, cls.labels = file["features"][:], file["labels"][:]
            cls.classes = [n.decode() if isinstance(n, bytes) else n for n in file["label_names"][:]]
        rng = np.random.default_rng(5)
        pairs = rng.integers(0, len(cls.rows), (500, 2))
        share = rng.random((500, 1))
        made = share * cls.rows[pairs[:, 0]] + (1 - share) * cls.rows[pairs[:, 1]]
        made *= rng.choice([0, 0.5, 1, 1, 1, 3], (500, 1)) * (1 + 0.3 * rng.normal(size=made.shape))
        cls.others = np.vstack([cls.rows, made.astype(np.float32)])
        save(cls.here / "others.h5", cls.others, np.zeros(len(cls.others)))

    def train(self, rows, labels, *options):
        save(self.here / "rows.h5", rows, labels)
        done = run("train", self.here / "rows.h5", "-o", self.here / "m.onnx", "--force", "--json", "--quiet", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def answers(self, path):
        """Labels and probabilities of a file's rows: ours, which have to be onnxruntime's."""
        model = onnx.load(self.here / "m.onnx")
        onnx.checker.check_model(model, full_check=True)
        with h5py.File(path) as file:
            rows = file["features"][:]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        peer = onnxruntime.InferenceSession(str(self.here / "m.onnx"), options, providers=["CPUExecutionProvider"])
        labels, probabilities = peer.run(["label", "probabilities"], {"features": rows})
        driver = Path(ENGRAFT).parent / "tests" / "judge_rows"
        done = subprocess.run([driver, self.here / "m.onnx", path], capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        ours = np.frombuffer(done.stdout, np.int32, len(rows))
        shares = np.frombuffer(done.stdout, np.float32, -1, 4 * len(rows)).reshape(probabilities.shape)
        np.testing.assert_allclose(shares, probabilities, atol=1e-4)
        np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-4)
        best = np.sort(probabilities, 1)  # trees that tie are summed in another order there: either may be first
        clear = best[:, -1] - best[:, -2] > 1e-6
        self.assertGreater(clear.mean(), 0.95)
        np.testing.assert_array_equal(ours[clear], labels[clear])
        return labels, probabilities

    def test_every_classifier(self):
        two = self.labels < 2
        for options in (["--classifier", "logistic"], ["--classifier", "logistic", "--scale", "root"],
                        ["--classifier", "logistic", "--scale", "standard"], ["--classifier", "svm", "--scale", "unit"],
                        ["--classifier", "svm", "--loss", "hinge", "--scale", "standard"],
                        ["--classifier", "forest", "--trees", "60"], ["--classifier", "mlp", "--hidden", "32"]):
            for few in False, True:
                for reject in [[], ["--reject", "0.1"]][: 1 + ("mlp" not in options)]:
                    with self.subTest(options=options, two_classes=few, reject=reject):
                        rows, labels = (self.rows[two], self.labels[two]) if few else (self.rows, self.labels)
                        self.train(rows, labels, *options, *reject, "--cv", "3")
                        found, _ = self.answers(self.here / "others.h5")
                        self.assertGreater(len(set(found)), 1)
                        self.assertEqual(-1 in found, bool(reject))

    def test_photos_of_no_class_are_refused(self):
        """Fruit, to classifiers that know flowers, birds and mammals."""
        fruit = self.classes.index("fruit")
        inside = self.labels != fruit
        labels = self.labels - (self.labels > fruit)
        save(self.here / "fruit.h5", self.rows[~inside], np.zeros((~inside).sum()))
        for options in ["--classifier", "logistic"], ["--classifier", "svm"], ["--classifier", "forest", "--trees", "100"]:
            with self.subTest(options=options):
                known = count = 0
                for seed in range(3):
                    done = self.train(self.rows[inside], labels[inside], *options, "--reject", "0.05", "--seed", str(seed))
                    self.assertLessEqual(done["reject_rate"], 0.05)
                    self.assertGreater(done["reject_rate"], 0.02)
                    known += done["test"]["rejected"]
                    count += done["test_count"]
                refused = (self.answers(self.here / "fruit.h5")[0] < 0).mean()
                self.assertLess(known / count, 0.15)
                self.assertGreater(refused, 0.3)
                self.assertGreater(refused, 3 * known / count)


if __name__ == "__main__":
    main()
