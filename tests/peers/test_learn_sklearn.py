"""`engraft train` against LIBLINEAR and scikit-learn run to tight tolerance: objectives to 1e-4,
cross-validated accuracy, the forest's accuracy. The rows are a matrix that another program made."""
import json
import os
import subprocess
import sys
import tempfile
import unittest
import warnings

try:
    import h5py
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import PredefinedSplit, cross_val_score
    from sklearn.svm import LinearSVC
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

ENGRAFT = os.environ.get("ENGRAFT", "")
if not ENGRAFT:
    print("skipped: no program")
    sys.exit(77)
SOURCE = os.environ.get("ENGRAFT_SOURCE", os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
HELP = subprocess.run([ENGRAFT, "train", "--help"], capture_output=True, text=True).stdout
warnings.filterwarnings("ignore")


def make_rows(n, d, classes, seed):
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) % classes).astype(np.int32)
    centre = rng.normal(size=(classes, d)) * 0.25
    rows = np.maximum(rng.normal(size=(n, d)) + centre[labels] - 0.3, 0)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), labels


def photo_rows(folder, photos):
    """Unit rows of photos' features, and their labels."""
    path = os.path.join(folder, "photos.h5")
    command = [ENGRAFT, "extract", "efficientnet-lite0", photos, "-o", path, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise unittest.SkipTest(f"no features of {photos}: {done.stderr}")
    with h5py.File(path) as file:
        rows, labels = file["features"][:], file["labels"][:]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), labels


class LearnTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def train(self, rows, labels, *options, folds=None):
        path = os.path.join(self.folder.name, "rows.h5")
        with h5py.File(path, "w") as file:
            file["features"] = rows
            file["labels"] = labels
            if folds is not None:  # a group is a fold
                file["paths"] = np.array([f"fold{f}/{i}" for i, f in enumerate(folds)], "S64")
                options = (*options, "--group", "^fold[0-9]")
        command = [ENGRAFT, "train", path, "-o", os.path.join(self.folder.name, "m.onnx"), "--force", "--json",
                   "--quiet", "--scale", "none", *options]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def svm_objective(self, rows, labels, c, loss):
        x = rows.astype(np.float64)
        model = LinearSVC(C=c, loss=loss, dual=True, tol=1e-7, max_iter=200000).fit(x, labels)
        scores = x @ model.coef_.T + model.intercept_
        classes = np.unique(labels)
        positive = [classes[1]] if len(classes) == 2 else classes
        y = np.where(labels[:, None] == np.array(positive), 1, -1)
        short = np.maximum(0, 1 - y * scores)
        if loss == "squared_hinge":
            short = short**2
        return 0.5 * (model.coef_**2).sum() + 0.5 * (model.intercept_**2).sum() + c * short.sum()

    def logistic_objective(self, rows, labels, c):
        x = rows.astype(np.float64)
        model = LogisticRegression(C=c, tol=1e-10, max_iter=20000).fit(x, labels)
        scores = x @ model.coef_.T + model.intercept_
        if scores.shape[1] == 1:
            scores = np.hstack([np.zeros_like(scores), scores])
        loss = np.logaddexp.reduce(scores, axis=1) - scores[np.arange(len(labels)), labels]
        return 0.5 * (model.coef_**2).sum() + c * loss.sum()

    def agree(self, found, best):
        self.assertLessEqual(abs(found["objective"] - best), 1e-4 * best)
        self.assertLessEqual(found["gap"], 1e-4 * best)

    def test_objectives(self):
        for classes in 2, 4:
            rows, labels = make_rows(240, 600, classes, classes)
            for c in 0.01, 1.0, 100.0:
                one = ["--C", repr(c), "--cv", "1", "--test", "0"]
                self.agree(self.train(rows, labels, "--classifier", "logistic", *one),
                           self.logistic_objective(rows, labels, c))
                self.agree(self.train(rows, labels, "--classifier", "svm", *one),
                           self.svm_objective(rows, labels, c, "squared_hinge"))

    def on_photos(self, photos):
        """Objectives and cross-validated accuracy on the same folds, for three C each."""
        rows, labels = photo_rows(self.folder.name, photos)
        folds = np.empty(len(labels), int)
        for k in np.unique(labels):
            folds[labels == k] = np.arange((labels == k).sum()) % 5
        for c in 0.1, 1.0, 10.0:
            for name, model, best in (
                    ("svm", LinearSVC(C=c, max_iter=20000), self.svm_objective(rows, labels, c, "squared_hinge")),
                    ("logistic", LogisticRegression(C=c, max_iter=5000), self.logistic_objective(rows, labels, c))):
                with self.subTest(photos=os.path.basename(photos), C=c, classifier=name):
                    found = self.train(rows, labels, "--classifier", name, "--C", repr(c), "--test", "0", folds=folds)
                    self.agree(found, best)
                    theirs = cross_val_score(model, rows, labels, cv=PredefinedSplit(folds))
                    shares = np.bincount(folds) / len(folds)
                    self.assertAlmostEqual(found["cv_accuracy"], (theirs * shares).sum(), delta=0.005)

    def test_sample_photos(self):
        self.on_photos(os.path.join(SOURCE, "examples", "photos"))

    @unittest.skipUnless(os.path.isdir(os.path.join(SOURCE, "..", "shared", "data", "car_bodies")), "no ../shared/data")
    def test_shared_photos(self):
        self.on_photos(os.path.join(SOURCE, "..", "shared", "data", "car_bodies"))

    def test_cross_validation(self):
        rows, labels = make_rows(600, 300, 3, 5)
        folds = np.random.default_rng(1).permutation(600) % 5
        for name, model in ("svm", LinearSVC(C=1)), ("logistic", LogisticRegression(C=1, max_iter=2000)):
            found = self.train(rows, labels, "--classifier", name, "--C", "1", "--test", "0", folds=folds)
            theirs = cross_val_score(model, rows, labels, cv=PredefinedSplit(folds)).mean()
            self.assertAlmostEqual(found["cv_accuracy"], theirs, delta=0.005)

    @unittest.skipUnless("--trees" in HELP, "this build offers no forest")
    def test_forest(self):
        rows, labels = make_rows(3000, 120, 3, 6)
        inside = np.arange(3000) < 600
        ours, theirs = [], []
        test = os.path.join(self.folder.name, "test.h5")
        with h5py.File(test, "w") as file:
            file["features"] = rows[~inside]
            file["labels"] = labels[~inside]
        for seed in range(5):
            options = ["--classifier", "forest", "--trees", "300", "--cv", "1", "--test", test, "--seed", str(seed)]
            ours.append(self.train(rows[inside], labels[inside], *options)["test_accuracy"])
            forest = RandomForestClassifier(300, random_state=seed).fit(rows[inside], labels[inside])
            theirs.append(forest.score(rows[~inside], labels[~inside]))
        self.assertLess(abs(np.mean(ours) - np.mean(theirs)), 0.01, (ours, theirs))


if __name__ == "__main__":
    unittest.main()
