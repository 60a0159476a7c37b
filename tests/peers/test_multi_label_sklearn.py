"""Several labels a row beside scikit-learn's OneVsRestClassifier on the same rows, and in onnxruntime."""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import Case, main

try:
    import h5py
    import numpy as np
    import onnxruntime
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score, f1_score
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.svm import LinearSVC
except ImportError as missing:
    print(f"not compared with scikit-learn: {missing}")
    sys.exit(77)

NAMES = ["cat", "dog", "indoors", "night"]


def made(n, d, seed):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, d)).astype(np.float32)
    weights = np.random.default_rng(7).normal(size=(d, len(NAMES)))
    sets = rows @ weights + rng.normal(size=(n, len(NAMES))) * d**0.5 / 2 > d**0.5 / 3
    sets[sets.sum(1) == 0, 0] = True
    return rows, sets


def save(path, rows, sets):
    with h5py.File(path, "w") as file:
        file["features"] = rows
        file["labels"] = [";".join(n for n, has in zip(NAMES, row) if has) for row in sets]


class Peers(Case):
    def train(self, d, classifier, *words, n=300):
        rows, sets = made(n, d, 1)
        test, truth = made(200, d, 2)
        save(self.here / "a.h5", rows, sets)
        save(self.here / "b.h5", test, truth)
        done = self.json("train", "a.h5", "-o", "m.onnx", "--force", "--multi-label", "--test", "b.h5", "--scale", "none",
                         "--C", "0.05", "--classifier", classifier, *words)
        run = onnxruntime.InferenceSession(str(self.here / "m.onnx")).run
        return done, rows, sets, test, truth, run

    def test_both_classifiers_in_both_spaces(self):
        peers = {"logistic": LogisticRegression(C=0.05, tol=1e-8, max_iter=5000),
                 "svm": LinearSVC(C=0.05, tol=1e-8, max_iter=100000)}
        for classifier, peer in peers.items():
            for d in (30, 500):  # more rows than features, and fewer
                done, rows, sets, test, truth, run = self.train(d, classifier)
                self.assertEqual(done["classes"], NAMES)
                one = OneVsRestClassifier(peer).fit(rows, sets)
                score = one.decision_function(test)
                own = average_precision_score(truth, score, average="macro")
                self.assertAlmostEqual(done["mean_average_precision"], own, delta=0.005)
                names = [o.name for o in onnxruntime.InferenceSession(str(self.here / "m.onnx")).get_outputs()]
                self.assertEqual(sorted(names), ["labels", "probabilities"])
                p, said = run(["probabilities", "labels"], {"features": test})
                self.assertEqual((p.shape, said.shape, said.dtype), (truth.shape, truth.shape, bool))
                # each probability is a rising function of scikit-learn's score
                for k in range(len(NAMES)):
                    order = np.argsort(score[:, k])
                    self.assertGreater(np.diff(p[order, k]).min(), -1e-3)
                threshold = np.array([f["threshold"] for f in done["per_label"]], np.float32)
                self.assertTrue((said == (p >= threshold)).all())
                for average in ("micro", "macro"):
                    self.assertAlmostEqual(done[f"{average}_f1"], f1_score(truth, said, average=average), places=6)
                for figures, k in zip(done["per_label"], range(len(NAMES))):
                    ap = average_precision_score(truth[:, k], p[:, k])
                    self.assertAlmostEqual(figures["average_precision"], ap, places=5)

    def test_objective_is_the_sum(self):
        done, rows, sets, *_ = self.train(500, "logistic")
        total = 0
        for k in range(len(NAMES)):
            one = LogisticRegression(C=0.05, tol=1e-10, max_iter=5000).fit(rows, sets[:, k])
            margin = np.where(sets[:, k], 1, -1) * one.decision_function(rows)
            total += 0.5 * (one.coef_**2).sum() + 0.05 * np.logaddexp(0, -margin).sum()
        self.assertAlmostEqual(done["objective"] / total, 1, places=4)

    def test_streaming_gives_the_same(self):
        whole, _, _, test, _, run = self.train(1500, "svm", n=1200)
        probabilities = run(["probabilities"], {"features": test})[0]
        blocks, _, _, test, _, run = self.train(1500, "svm", "--memory", "14M", n=1200)  # K alone takes 5.8 MB
        self.assertLess(np.abs(run(["probabilities"], {"features": test})[0] - probabilities).max(), 0.02)
        self.assertNotEqual(blocks["gap"], whole["gap"])


if __name__ == "__main__":
    main()
