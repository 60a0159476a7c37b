"""Classifiers on several cuts in onnxruntime: one image gives what predict gives, whatever was put
together and however it was scaled."""
import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import MODEL, SOURCE, Case, main, photos

try:
    import h5py
    import numpy as np
    import onnx
    import onnxruntime
    from sklearn.linear_model import LogisticRegression
except ImportError as missing:
    print(f"not compared with onnxruntime: {missing}")
    sys.exit(77)

LAYERS = ["avgpool", "_blocks.14:avg", "_blocks.10:avg"]


class SeveralCuts(Case):
    def setUp(self):
        super().setUp()
        photos(self.here / "photos", ["a", "b", "c"], 9)
        cuts = [word for layer in LAYERS for word in ("--cut", layer)]
        rng = np.random.default_rng(3)
        self.images = rng.integers(0, 256, (2, 3, 224, 224)).astype(np.float32)
        self.images[1:, :, ::2] = 40  # not noise alone
        np.save(self.here / "images.npy", (self.images - 127) / 128)
        self.good("extract", MODEL, "photos", "-o", "f.h5", "--quiet", *cuts)

    def same_as_onnxruntime(self, model="m.onnx"):
        """predict of every photo; the file's own answers."""
        onnx.checker.check_model(onnx.load(self.here / model), full_check=True)
        ours = self.json("predict", model, "images.npy", "--top", "3", "--quiet")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        peer = onnxruntime.InferenceSession(str(self.here / model), options, providers=["CPUExecutionProvider"])
        self.assertEqual([i.name for i in peer.get_inputs()], ["image"])
        labels, probabilities = peer.run(["label", "probabilities"], {"image": self.images})
        for row, label, shares in zip(ours, labels, probabilities):
            self.assertEqual(row["top"][0]["index"], label)
            for answer in row["top"] if label >= 0 else []:
                self.assertAlmostEqual(answer["probability"], shares[answer["index"]], delta=1e-4)
        return probabilities

    def test_every_classifier(self):
        both = ["--features", "avgpool", "--features", "_blocks.14:avg"]
        for options in (["--scale", "standard"], ["--classifier", "auto"],
                        ["--classifier", "forest", "--trees", "30"], ["--classifier", "mlp", "--hidden", "16"],
                        ["--classifier", "lda"], ["--reject", "0.1"],
                        ["--memory", "3M", "--scale", "unit", "--C", "1"]):
            with self.subTest(options=options):
                report = self.json("train", "f.h5", "-o", "m.onnx", "--force", "--quiet", "--cv", "3", *both, *options)
                self.assertEqual([part["features"] for part in report["joined"]], ["avgpool", "_blocks.14:avg"])
                self.same_as_onnxruntime()
                said = json.loads({p.key: p.value for p in onnx.load(self.here / "m.onnx").metadata_props}["engraft.cuts"])
                self.assertEqual([part["cut"] for part in said], ["avgpool", "_blocks.14:avg"])
                judged = self.json("evaluate", "m.onnx", "f.h5", "--rows", "test", "--quiet")
                self.assertEqual(judged["accuracy"], report["test_accuracy"])

    def test_joined_is_hstack(self):
        """scikit-learn on the columns side by side has the same optimum."""
        report = self.json("train", "f.h5", "-o", "m.onnx", "--quiet", "--C", "1", "--scale", "none", "--test", "0",
                           *[w for layer in LAYERS for w in ("--features", layer)])
        with h5py.File(self.here / "f.h5") as file:
            rows = np.hstack([file["cuts"][layer][:] for layer in LAYERS])
            labels = file["labels"][:]
        peer = LogisticRegression(C=1, max_iter=10000, tol=1e-8).fit(rows, labels)
        scores = peer.decision_function(rows)
        scores -= scores.max(1, keepdims=True)
        loss = (np.log(np.exp(scores).sum(1)) - scores[np.arange(len(labels)), labels]).sum()
        self.assertAlmostEqual(report["objective"], 0.5 * (peer.coef_**2).sum() + loss, delta=5e-3 * report["objective"])

    def test_out_of_fold_and_from(self):
        both = ["--features", "avgpool", "--features", "_blocks.14:avg"]
        self.good("train", "f.h5", "-o", "m.onnx", "--quiet", "--out-of-fold", "o.csv", *both)
        self.assertEqual(len((self.here / "o.csv").read_text().splitlines()), 28)
        self.good("train", "f.h5", "-o", "again.onnx", "--quiet", "--from", "m.onnx", *both)
        a, b = self.same_as_onnxruntime("m.onnx"), self.same_as_onnxruntime("again.onnx")
        np.testing.assert_allclose(a, b, atol=5e-3)
        self.bad(1, "train", "f.h5", "-o", "x.onnx", "--quiet", "--from", "m.onnx", says="take the same cuts")
        self.good("explain", "m.onnx", next((self.here / "photos" / "a").iterdir()), "-o", "maps", "--quiet")

    def test_cuts_are_chosen(self):
        """Of three cuts one tells a from the rest, one b from the rest, one nothing; a fourth repeats the first."""
        rng = np.random.default_rng(1)
        self.good("extract", MODEL, "photos", "-o", "made.h5", "--quiet", *[w for n in ("avgpool", "_blocks.14:avg", "_blocks.10:avg", "_blocks.8:avg") for w in ("--cut", n)])
        with h5py.File(self.here / "made.h5", "r+") as file:
            labels = file["labels"][:]
            for name, told in ("avgpool", 0), ("_blocks.14:avg", 1), ("_blocks.10:avg", 9), ("_blocks.8:avg", 0):
                rows = file["cuts"][name]
                rows[:] = rng.normal(size=rows.shape) * 0.2 + 1
                rows[:, :40] += 2.5 * (labels == told)[:, None]
        report = self.json("train", "made.h5", "-o", "m.onnx", "--quiet", "--features", "auto", "--cv", "3")
        taken = [step["features"] for step in report["selection"] if step["taken"]]
        self.assertGreaterEqual(len(taken), 2, report["selection"])
        self.assertNotIn("_blocks.10:avg", taken)
        self.assertIn("_blocks.14:avg", taken)
        self.assertTrue({"avgpool", "_blocks.8:avg"} & set(taken))
        self.assertEqual([part["features"] for part in report["joined"]], taken)
        for before, after in zip(report["selection"], report["selection"][1:]):
            self.assertAlmostEqual(after["cv_accuracy"] - before["cv_accuracy"], after["gain"], delta=1e-9)
            self.assertEqual(after["taken"], after["gain"] > after["noise"])
        self.same_as_onnxruntime()
        self.good("train", "made.h5", "-o", "n.onnx", "--quiet", "--features", "auto", "--classifier", "auto", "--out-of-fold", "o.csv", "--cv", "3")
        self.bad(2, "train", "made.h5", "-o", "x.onnx", "--features", "auto", "--features", "avgpool", says="alone")
        self.bad(2, "train", "made.h5", "-o", "x.onnx", "--features", "auto", "--classifier", "mlp", says="mlp")

    def test_wrong_names(self):
        for code, names, text in (1, ["avgpool", "avgpool"], "given twice"), (2, ["avgpool", "nothing"], "no features 'nothing'"):
            self.bad(code, "train", "f.h5", "-o", "x.onnx", *[w for n in names for w in ("--features", n)], says=text)
            self.assertFalse((self.here / "x.onnx").exists())


if __name__ == "__main__":
    main()
