"""Numbers: ridge regression beside scikit-learn's RidgeCV on the same rows and folds, and in onnxruntime."""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import Case, main

try:
    import h5py
    import numpy as np
    import onnxruntime
    from sklearn.linear_model import Ridge, RidgeCV
    from sklearn.metrics import mean_absolute_error, r2_score
except ImportError as missing:
    print(f"not compared with scikit-learn: {missing}")
    sys.exit(77)


def made(n, d, seed):
    rng = np.random.default_rng(seed)
    rows = (rng.normal(size=(n, d)) + 0.5).astype(np.float32)
    weights = np.random.default_rng(7).normal(size=d)
    return rows, 40 + rows @ weights + rng.normal(size=n) * d**0.5


def save(path, rows, numbers):
    with h5py.File(path, "w") as file:
        file["features"] = rows
        file["targets"] = numbers
        file["targets"].attrs["column"] = "age"


class Peers(Case):
    def train(self, n, d, *words):
        rows, numbers = made(n, d, 1)
        test, truth = made(150, d, 2)
        save(self.here / "a.h5", rows, numbers)
        save(self.here / "b.h5", test, truth)
        done = self.json("train", "a.h5", "-o", "m.onnx", "--force", "--regress", "age", "--test", "b.h5", *words)
        session = onnxruntime.InferenceSession(str(self.here / "m.onnx"))
        self.assertEqual([o.name for o in session.get_outputs()], ["value"])
        value = session.run(["value"], {"features": test})[0]
        self.assertEqual(value.shape, (150,))
        return done, rows, numbers, test, truth, value.astype(np.float64)

    def test_one_penalty_in_both_spaces(self):
        for n, d in ((400, 30), (120, 500)):
            for c in (1e-4, 0.01, 1):
                done, rows, numbers, test, truth, value = self.train(n, d, "--scale", "none", "--C", c)
                self.assertAlmostEqual(done["penalty"], 1 / (2 * c), 9)
                peer = Ridge(alpha=1 / (2 * c), solver="svd", tol=1e-12).fit(rows.astype(np.float64), numbers)
                said = peer.predict(test.astype(np.float64))
                self.assertLess(np.abs(value - said).max(), 1e-6 * np.abs(said).max())
                self.assertAlmostEqual(done["r2"], r2_score(truth, said), 6)
                self.assertAlmostEqual(done["mae"], mean_absolute_error(truth, said), 5)
                self.assertLess(done["r2_low"], done["r2"])
                self.assertLess(done["r2"], done["r2_high"])
                self.assertLess(done["mae_low"], done["mae"])
                self.assertLess(done["mae"], done["mae_high"])

    def test_rows_held_out_are_those_of_refitted_folds(self):
        """The closed form against what it stands for: as many folds as rows is RidgeCV's leave-one-out."""
        n, grid = 60, [1e-4, 1e-3, 1e-2, 0.1, 1]
        for d in (10, 200):
            listed = ",".join(map(str, grid))
            done, rows, numbers, test, truth, value = self.train(n, d, "--scale", "none", "--C", listed, "--cv", n)
            peer = RidgeCV(alphas=[1 / (2 * c) for c in grid], store_cv_results=True).fit(
                rows.astype(np.float64), numbers)
            squares = peer.cv_results_.sum(0) if hasattr(peer, "cv_results_") else peer.cv_values_.sum(0)
            total = ((numbers - numbers.mean()) ** 2).sum()
            for point, square in zip(done["grid"], squares):
                self.assertAlmostEqual(point["cv_accuracy"], 1 - square / total, 5)
            self.assertAlmostEqual(done["penalty"], peer.alpha_, 9)
            said = peer.predict(test.astype(np.float64))
            self.assertLess(np.abs(value - said).max(), 1e-6 * np.abs(said).max())

    def test_five_folds_and_all_scalings(self):
        done, *_ = self.train(300, 40)
        self.assertEqual([s["scale"] for s in done["scales"]], ["none", "unit", "root", "standard"])
        best = max(point["cv_accuracy"] for point in done["grid"])
        self.assertEqual(done["cv_accuracy"], best)
        c = [point["C"] for point in done["grid"]]
        self.assertEqual(c, sorted(c))
        at = c.index(done["C"])
        self.assertTrue(0 < at < len(c) - 1)  # the grid was moved on while the best lay on its end
        self.assertAlmostEqual(c[at + 1] / c[at], 10 ** (1 / 3), 6)
        again = self.json("evaluate", "m.onnx", "b.h5", "--rows", "all")
        for figure in ("r2", "r2_low", "r2_high", "mae", "mae_low", "mae_high"):
            self.assertAlmostEqual(again[figure], done[figure], 9)


if __name__ == "__main__":
    main()
