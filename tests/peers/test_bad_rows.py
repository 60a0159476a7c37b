"""Rows that are hard to learn from, in files that another program made: a clear error, or an answer."""
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import Case, main

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"no files of other programs: {missing}")
    sys.exit(77)

CLASSIFIERS = [["--classifier", "logistic"], ["--classifier", "svm"], ["--classifier", "forest", "--trees", "20"],
               ["--classifier", "mlp", "--hidden", "8", "--cv", "2"], ["--classifier", "auto"]]


class Rows(Case):
    def setUp(self):
        super().setUp()
        self.labels = np.repeat([0, 1, 2], 20)
        self.rows = np.random.default_rng(0).normal(size=(60, 8)) + self.labels[:, None]

    def save(self, name, rows, labels):
        with h5py.File(self.here / name, "w") as file:
            file["features"] = rows.astype(np.float32)
            file["labels"] = labels.astype(np.int32)

    def refused(self, says, *more):
        for options in CLASSIFIERS:
            self.bad(1, "train", "f.h5", "-o", "m.onnx", *options, *more, says=says)
            self.assertFalse((self.here / "m.onnx").exists())

    def learned(self):
        for options in CLASSIFIERS:
            report = self.json("train", "f.h5", "-o", "m.onnx", "--force", *options)
            self.assertEqual(report["test_count"], 15)
            yield report

    def test_numbers_that_are_not_finite_are_named_by_row_wherever_they_are(self):
        for at in range(0, 60, 19):  # among the training rows, or those of the test
            for value in np.nan, np.inf, -np.inf:
                rows = self.rows.copy()
                rows[at, 3] = value
                self.save("f.h5", rows, self.labels)
                self.bad(1, "train", "f.h5", "-o", "m.onnx", says=f"row {at} of the features")
        self.refused("row 57 of the features")
        self.save("test.h5", rows, self.labels)
        self.save("f.h5", self.rows, self.labels)
        self.refused("row 57 of the features", "--test", "test.h5")
        self.good("train", "f.h5", "-o", "good.onnx")
        self.bad(1, "evaluate", "good.onnx", "test.h5", says="row 57 of the features")

    def test_classes_that_cannot_be_learned(self):
        self.save("f.h5", self.rows, np.zeros(60))
        self.refused("'0' is the only class")
        self.save("f.h5", self.rows, np.r_[np.zeros(58), 1, 1])
        self.bad(1, "train", "f.h5", "-o", "m.onnx", "--cv", "5", says="fewer than the 5 folds (use a smaller --cv")
        self.save("f.h5", self.rows, 2 * self.labels)
        for options in CLASSIFIERS:
            done = self.good("train", "f.h5", "-o", "m.onnx", "--force", "--json", *options)
            self.assertEqual(json.loads(done.stdout)["classes"], ["0", "2", "4"])
        (self.here / "m.onnx").unlink()
        self.save("f.h5", self.rows, np.full(60, -1))
        self.refused("no row has a label")
        self.save("f.h5", self.rows[:0], self.labels[:0])
        self.refused("no rows")
        self.save("f.h5", self.rows, self.labels)
        self.save("more.h5", np.vstack([self.rows, self.rows[:20]]), np.r_[self.labels, np.full(20, 3)])
        self.refused("class '3' is not one that the model has learned", "--test", "more.h5")
        self.save("wide.h5", np.hstack([self.rows, self.rows]), self.labels)
        self.refused("takes 8 features, the file has 16", "--test", "wide.h5")

    def test_rows_that_say_nothing_are_learned_by_chance(self):
        self.save("f.h5", np.ones((60, 8)), self.labels)
        for report in self.learned():
            self.assertAlmostEqual(report["test_accuracy"], 1 / 3, places=6)
        rows = self.rows.copy()
        rows[20:40] = rows[:20]  # two classes are the same rows
        rows[:, 5] = 7  # and a column says nothing
        self.save("f.h5", rows, self.labels)
        for report in self.learned():
            self.assertLess(report["test_accuracy"], 0.9)
            self.assertGreater(report["cv_accuracy"], 0.3)


if __name__ == "__main__":
    main()
