"""Labels as other programs write them: the classes keep the names that the file gives them."""
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

TEXT = h5py.string_dtype()


class Labels(Case):
    def setUp(self):
        super().setUp()
        self.labels = np.repeat([0, 1, 2], 20)
        self.rows = np.random.default_rng(0).normal(size=(60, 8)) + 3 * self.labels[:, None]

    def save(self, labels, names=None, name="f.h5"):
        with h5py.File(self.here / name, "w") as file:
            file["features"] = self.rows.astype(np.float32)
            file["labels"] = labels
            if names is not None:
                file["label_names"] = names

    def learned(self, *saved):
        self.save(*saved)
        report = self.json("train", "f.h5", "-o", "m.onnx", "--force")
        self.assertGreater(report["test_accuracy"], 0.9)  # the labels are those of the rows
        return report["classes"]

    def test_numbers_name_themselves(self):
        at = self.labels
        self.assertEqual(self.learned(at + 1), ["1", "2", "3"])
        self.assertEqual(self.learned(np.array([10, -7, 3000])[at]), ["-7", "10", "3000"])
        self.assertEqual(self.learned(at.astype(np.float32)), ["0", "1", "2"])
        self.assertEqual(self.learned(at.astype(np.uint64)[:, None]), ["0", "1", "2"])
        self.save(at + 0.5)
        self.bad(1, "train", "f.h5", "-o", "new.onnx", says="row 0 of 'labels' of 'f.h5' is 0.5")

    def test_texts_name_themselves(self):
        for kind in "S5", TEXT:
            self.assertEqual(self.learned(np.array(["owl", "cat", "dog"])[self.labels].astype(kind)),
                             ["cat", "dog", "owl"])

    def test_rows_without_a_label(self):
        some = self.labels.astype(float)
        some[::20] = np.nan
        self.save(some)
        self.assertEqual(self.json("info", "f.h5")["unlabelled"], 3)
        self.save(np.array(["", "cat", "dog"])[self.labels].astype(TEXT))
        self.assertEqual(self.json("info", "f.h5")["unlabelled"], 20)

    def test_names_of_either_length(self):
        for kind in "S1", TEXT:
            self.assertEqual(self.learned(self.labels, np.array(["a", "b", "c"]).astype(kind)), ["a", "b", "c"])
        self.save(self.labels, np.array(["a", "b"]).astype(TEXT))
        self.bad(1, "train", "f.h5", "-o", "new.onnx", says="row 40 of 'f.h5' has label 2, and 'label_names'")
        self.save(self.labels, np.arange(3))
        self.bad(1, "train", "f.h5", "-o", "new.onnx", says="'label_names' of 'f.h5' is not a list of strings")

    def test_models_of_0_1_know_numbered_classes(self):
        """They call them "class 0", "class 1"."""
        self.learned(self.labels, np.array(["class 0", "class 1", "class 2"]).astype(TEXT))
        self.save(self.labels, name="numbered.h5")
        found = self.json("evaluate", "m.onnx", "numbered.h5", "--rows", "all")
        self.assertGreater(found["accuracy"], 0.9)
        self.save(self.labels + 1, name="numbered.h5")
        self.bad(1, "evaluate", "m.onnx", "numbered.h5", says="class '3' is not one that the model has learned")

    def test_other_names_of_the_datasets_are_told(self):
        with h5py.File(self.here / "f.h5", "w") as file:
            file["X"], file["y"] = self.rows, self.labels
        self.bad(1, "train", "f.h5", "-o", "new.onnx", says="has no dataset 'features', but 'X', 'y'")

    def test_folds_as_the_smallest_class_allows(self):
        few = self.labels.copy()
        few[few == 2] = 1
        few[-4:] = 2  # four of them, three to learn from
        self.save(few)
        self.assertEqual(self.json("train", "f.h5", "-o", "m.onnx")["folds"], 3)
        self.bad(1, "train", "f.h5", "-o", "new.onnx", "--cv", "4", says="fewer than the 4 folds")


if __name__ == "__main__":
    main()
