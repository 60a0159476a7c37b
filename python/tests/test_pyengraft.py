"""The wheel as its users have it: against the program's own files, scikit-learn, h5py, onnxruntime, Pillow.

    PYENGRAFT_SOURCE=TREE python test_pyengraft.py      pyengraft and its peers installed
"""
import ast
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest
from pathlib import Path

import h5py
import numpy as np
import onnxruntime
from PIL import Image

import pyengraft
import pyengraft.sklearn
from pyengraft import errors

SOURCE = Path(os.environ.get("PYENGRAFT_SOURCE", Path(__file__).resolve().parents[2]))
PHOTOS = SOURCE / "examples/photos"
UNSEEN = sorted(map(str, (SOURCE / "examples/unseen").glob("*.png")))


def cropped(path):
    """The network's pixels, by Pillow: short side 256, bicubic, crop 224."""
    photo = Image.open(path)
    if photo.mode != "RGB":
        photo = photo.convert("RGBA")
        white = Image.new("RGBA", photo.size, "white")
        white.alpha_composite(photo)
        photo = white.convert("RGB")
    short = min(photo.size)
    photo = photo.resize([256 * side // short for side in photo.size], Image.BICUBIC)
    left, top = [(side - 224 + 1) // 2 if (side - 224) % 4 == 3 else (side - 224) // 2 for side in photo.size]
    return np.asarray(photo.crop((left, top, left + 224, top + 224)))


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.at = Path(cls.folder.name)
        cls.net = pyengraft.Network("efficientnet-lite0")
        cls.features = pyengraft.extract(cls.net, PHOTOS, cls.at / "f.h5", progress=False)
        cls.trained = pyengraft.train(cls.features, classifier="svm", progress=False)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()


class Numbers(Base):
    def test_features_are_those_of_the_file_bit_for_bit(self):
        paths = [PHOTOS / path for path in self.features.paths[:30]]
        with h5py.File(self.features.path) as file:
            stored = file["features"][:30]
        np.testing.assert_array_equal(self.net.transform(paths, progress=False), stored)
        np.testing.assert_array_equal(self.features.X[:30], stored)

    def test_one_photo_in_every_form_gives_one_row(self):
        path = self.features.paths[0]
        photo = Image.open(PHOTOS / path)
        rows = [self.net.transform(form, progress=False) for form in (str(PHOTOS / path), PHOTOS / path, photo)]
        if photo.mode == "RGB":
            rows.append(self.net.transform(np.asarray(photo), progress=False))
        for row in rows:
            self.assertEqual(row.shape, (1, 1280))
            np.testing.assert_array_equal(row, rows[0])

    def test_an_array_is_taken_as_normalised(self):
        pixels = np.stack([cropped(path) for path in UNSEEN])
        x = np.moveaxis((pixels.astype(np.float32) - 127) / 128, -1, 1)
        np.testing.assert_allclose(self.net.transform(x), self.net.transform(UNSEEN, progress=False), rtol=0, atol=1e-4)
        with self.assertRaises(pyengraft.EngraftError):
            self.net.transform(x[:, :, :100])

    def test_labels_and_paths_are_the_files(self):
        with h5py.File(self.features.path) as file:
            np.testing.assert_array_equal(self.features.y, file["labels"][:])
            self.assertEqual(self.features.paths, [path.decode() for path in file["paths"][:]])
        table = self.features.to_pandas(features=True)
        self.assertEqual(list(table.path), self.features.paths)
        self.assertEqual(table.shape, (146, 4 + 1280))
        self.assertEqual(list(table.label.cat.categories), self.features.classes)

    def test_a_file_that_is_open_here_can_be_gone_on_with(self):
        first = self.features.X[0].copy()
        again = pyengraft.extract(self.net, PHOTOS, self.features.path, progress=False)
        self.assertEqual((again.report["done"], again.report["resumed"]), (0, 146))
        np.testing.assert_array_equal(self.features.X[0], first)

    def test_a_contiguous_matrix_is_mapped(self):
        with h5py.File(self.at / "plain.h5", "w") as file:
            file["features"] = np.arange(12, dtype=np.float32).reshape(4, 3)
            file["labels"] = np.array([0, 0, 1, 1], np.int32)
        plain = pyengraft.Features(self.at / "plain.h5")
        self.assertIsInstance(plain.X, np.memmap)
        np.testing.assert_array_equal(plain.X, np.arange(12).reshape(4, 3))

    def test_probabilities_agree_with_onnxruntime(self):
        self.trained.save(self.at / "m.onnx")
        session = onnxruntime.InferenceSession(self.at / "m.onnx")
        x = np.moveaxis(np.stack([cropped(path) for path in UNSEEN]).astype(np.float32), -1, 1)
        theirs = session.run(["probabilities"], {"image": x})[0]
        for clf in (self.trained, pyengraft.load(self.at / "m.onnx")):
            ours = clf.predict_proba(UNSEEN, progress=False)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)
            self.assertEqual(list(clf.predict(UNSEEN, progress=False)), [clf.classes_[i] for i in theirs.argmax(1)])

    def test_probabilities_of_arrays_are_those_of_the_files(self):
        photos = [Image.open(path) for path in UNSEEN]
        np.testing.assert_array_equal(self.trained.predict_proba(photos, progress=False), self.trained.predict_proba(UNSEEN, progress=False))

    def test_the_report_is_the_test(self):
        report = self.trained.report
        self.assertGreater(report["test_accuracy"], 0.8)
        self.assertIn("weighted avg", report["text"])
        found = self.trained.evaluate(self.features, progress=False)
        self.assertEqual((found["accuracy"], found["count"]), (report["test_accuracy"], report["test_count"]))

    def test_a_rejected_photo_is_unknown_and_has_probabilities(self):
        clf = pyengraft.train(self.features, reject=0.3, progress=False)
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        answers = clf.predict([*UNSEEN, noise], progress=False)
        self.assertIn("unknown", answers)
        np.testing.assert_allclose(clf.predict_proba([noise], progress=False).sum(), 1, atol=1e-5)

    def test_audit_finds_what_the_command_finds(self):
        found = pyengraft.audit(self.features, progress=False)
        self.assertEqual(found["rows"], 146)
        self.assertEqual({one["label"] for one in found["classes"]}, set(self.features.classes))
        self.assertIn("<table>", found._repr_html_())


class Looks(Base):
    def test_a_map_is_that_of_the_command(self):
        one = pyengraft.explain(self.trained, UNSEEN[0], progress=False)
        self.assertEqual((one["method"], one["label"]), ("exact", self.trained.predict(UNSEEN[0], progress=False)[0]))
        self.assertAlmostEqual(float(one.map.sum()) + one["bias"], one["score"], places=3)
        self.assertIn("data:image/png", one._repr_html_())
        several = pyengraft.explain(self.trained, [*UNSEEN[:2], Image.open(UNSEEN[0])], label=self.trained.classes_[0], progress=False)
        self.assertEqual([each["label"] for each in several], [self.trained.classes_[0]] * 3)
        np.testing.assert_allclose(several[0].map, several[2].map, atol=1e-5)
        with self.assertRaises(errors.ClassUnknown):
            pyengraft.explain(self.trained, UNSEEN[0], label="unicorn", progress=False)
        with self.assertRaises(ValueError):
            pyengraft.explain(self.trained, UNSEEN[0], method="magic", progress=False)
        with self.assertRaisesRegex(pyengraft.EngraftError, "none.jpg"):
            pyengraft.explain(self.trained, self.at / "none.jpg", progress=False)

    def test_the_nearest_are_those_of_numpy(self):
        found = pyengraft.similar(self.features, UNSEEN, top=4, progress=False)
        x, q = [m / np.linalg.norm(m, axis=1, keepdims=True) for m in (self.features.X.astype(np.float64), self.net.transform(UNSEEN, progress=False).astype(np.float64))]
        nearest = np.argsort(-(q @ x.T), axis=1, kind="stable")[:, :4]
        self.assertEqual([[near["path"] for near in one["nearest"]] for one in found], [[self.features.paths[i] for i in row] for row in nearest])
        self.assertIn("<table>", found[0]._repr_html_())

    def test_the_report_is_a_page(self):
        page = self.trained.report.page(self.at / "page.html", progress=False)
        self.assertTrue(page.startswith("<!doctype html>"))
        self.assertEqual((self.at / "page.html").read_text("utf-8", "surrogateescape"), page)
        self.assertIn("srcdoc=", self.trained.report._repr_html_())
        with self.assertRaises(FileExistsError):
            self.trained.report.page(self.at / "page.html", progress=False)
        kept = pickle.loads(pickle.dumps(self.trained)).report
        self.assertIn("<table>", kept._repr_html_())
        with self.assertRaisesRegex(ValueError, "no page"):
            kept.page()


class Networks(Base):
    def test_layers_cuts_and_recipe(self):
        self.assertEqual(self.net.cut, "avgpool")
        self.assertIn("avgpool", self.net.cuts)
        self.assertEqual(self.net.recipe["crop"], [224, 224])
        self.assertEqual(len(self.net.classes), 1000)
        self.assertEqual(sum(layer.parameters for layer in self.net.layers) // 1000, 4652)
        self.assertIn("avgpool", self.net._repr_html_())

    def test_a_cut_of_ones_own(self):
        layer = next(layer for layer in self.net.layers if layer.cut and len(layer.shape) == 3)
        net = pyengraft.Network("efficientnet-lite0", cut=f"{layer.name}:avg")
        self.assertEqual(net.transform(UNSEEN[:1], progress=False).shape, (1, layer.shape[2]))
        whole = pyengraft.Network("efficientnet-lite0", cut="")
        np.testing.assert_allclose(whole.transform(UNSEEN, progress=False).sum(1), 1, atol=1e-4)

    def test_errors_are_of_their_reason(self):
        for kind, call in (
            (errors.WeightsMissing, lambda: pyengraft.Network("vgg16", models=[self.at])),
            (errors.NetworkUnknown, lambda: pyengraft.Network("vgg-sixteen")),
            (errors.LayerUnknown, lambda: pyengraft.Network("efficientnet-lite0", cut="pool99")),
            (errors.MadeOtherwise, lambda: pyengraft.extract(pyengraft.Network("efficientnet-lite0", cut="_bn0:avg"), PHOTOS, self.features.path, progress=False)),
            (errors.OutputExists, lambda: (self.trained.save(self.at / "twice.onnx"), self.trained.save(self.at / "twice.onnx"))),
        ):
            with self.assertRaises(kind) as caught:
                call()
            self.assertIsInstance(caught.exception, pyengraft.EngraftError)
            again = pickle.loads(pickle.dumps(caught.exception))
            self.assertEqual((type(again), str(again), again.reason), (kind, str(caught.exception), caught.exception.reason))

    def test_a_photo_that_cannot_be_read(self):
        (self.at / "bad.jpg").write_bytes(b"\xff\xd8\xff rubbish")
        photos = [UNSEEN[0], self.at / "bad.jpg", self.at / "none.jpg"]
        with self.assertRaisesRegex(pyengraft.EngraftError, "bad.jpg"):
            self.net.transform(photos, progress=False)
        rows = self.net.transform(photos, on_error="nan", progress=False)
        self.assertEqual(list(np.isnan(rows).all(1)), [False, True, True])
        rows = self.trained.predict_proba(photos, on_error="nan", progress=False)
        self.assertEqual(list(np.isnan(rows).all(1)), [False, True, True])
        with self.assertRaisesRegex(pyengraft.EngraftError, "bad.jpg"):
            self.trained.predict(photos, progress=False)

    def test_pickles(self):
        net, clf = pickle.loads(pickle.dumps(self.net)), pickle.loads(pickle.dumps(self.trained))
        np.testing.assert_array_equal(net.transform(UNSEEN, progress=False), self.net.transform(UNSEEN, progress=False))
        self.assertEqual(list(clf.predict(UNSEEN, progress=False)), list(self.trained.predict(UNSEEN, progress=False)))
        self.assertEqual(clf.report, self.trained.report)


class Processes(Base):
    def test_a_child_of_fork_has_threads_of_its_own(self):
        expected = self.net.transform(UNSEEN[:2], progress=False)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.write(writer, self.net.transform(UNSEEN[:2], progress=False).tobytes()[:4096])
                self.trained.predict(UNSEEN[:1], progress=False)
                status = 0
            finally:
                os._exit(status)
        signal.alarm(60)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        signal.alarm(0)
        self.assertEqual(os.read(reader, 4096), expected.tobytes()[:4096])

    def test_other_threads_run_meanwhile(self):
        counted, done = [0], threading.Event()

        def count():
            while not done.is_set():
                counted[0] += 1
                time.sleep(0.001)

        thread = threading.Thread(target=count)
        thread.start()
        pyengraft.train(self.features, classifier="forest", trees=300, progress=False)
        done.set()
        thread.join()
        self.assertGreater(counted[0], 20)

    def test_ctrl_c_stops_and_the_file_goes_on(self):
        script = textwrap.dedent(f"""
            import pyengraft
            net = pyengraft.Network("efficientnet-lite0", threads=1)
            print("ready", flush=True)
            try:
                pyengraft.extract(net, {str(PHOTOS)!r}, {str(self.at / "stopped.h5")!r}, progress=False)
            except KeyboardInterrupt:
                print("stopped")
        """)
        run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        self.assertEqual(run.stdout.readline(), "ready\n")
        while not (self.at / "stopped.h5").exists():
            time.sleep(0.01)
        time.sleep(0.2)
        run.send_signal(signal.SIGINT)
        self.assertEqual(run.communicate(timeout=30)[0], "stopped\n")
        resumed = pyengraft.extract(self.net, PHOTOS, self.at / "stopped.h5", progress=False)
        np.testing.assert_array_equal(resumed.X, self.features.X)

    def test_an_exception_in_the_bar_is_raised_where_the_work_was_called(self):
        from pyengraft import _library

        class Broken(_library.Progress):
            def step(self, done, total):
                raise ZeroDivisionError("of the bar")

        before, _library.Progress = _library.Progress, Broken
        try:
            with self.assertRaisesRegex(ZeroDivisionError, "of the bar"):
                pyengraft.train(self.features, classifier="forest", progress=True)
        finally:
            _library.Progress = before


class ScikitLearn(Base):
    def test_check_estimator(self):
        from sklearn.utils.estimator_checks import check_estimator

        found = check_estimator(pyengraft.sklearn.Features(cut="_bn0:avg"), on_skip=None, on_fail="raise")
        self.assertGreater(sum(one["status"] == "passed" for one in found), 40)
        self.assertEqual({one["check_name"] for one in found if one["status"] != "passed"}, {"check_array_api_input"})  # only with SCIPY_ARRAY_API

    def test_a_matrix_of_pictures(self):
        from sklearn.datasets import load_digits

        X = load_digits().data[:4]
        rows = pyengraft.sklearn.Features(self.net, shape=(8, 8), scale=255 / 16).fit_transform(X)
        photos = [np.repeat(np.rint(x.reshape(8, 8, 1) * 255 / 16), 3, 2).astype(np.uint8) for x in X]
        np.testing.assert_array_equal(rows, self.net.transform(photos, progress=False))
        with self.assertRaisesRegex(ValueError, "64 numbers"):
            pyengraft.sklearn.Features(self.net, shape=(8, 9)).fit_transform(X)

    def test_in_a_pipeline_with_workers(self):
        from sklearn.base import clone
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        rows = list(range(0, 146, 5))
        paths = np.array([str(PHOTOS / self.features.paths[i]) for i in rows])
        y = np.array([self.features.classes[self.features.y[i]] == "mammal" for i in rows])
        pipe = make_pipeline(pyengraft.sklearn.Features(self.net), StandardScaler(), LogisticRegression())
        search = GridSearchCV(pipe, {"logisticregression__C": [0.1, 1.0]}, cv=2, n_jobs=2).fit(paths, y)
        self.assertGreaterEqual(search.best_score_, 0.8)
        again = pickle.loads(pickle.dumps(search.best_estimator_))
        np.testing.assert_array_equal(again.predict(paths), search.predict(paths))
        one = clone(pyengraft.sklearn.Features(self.net, cut="_bn0:avg"))
        self.assertEqual(one.fit_transform(list(paths[:2])).shape, (2, len(one.get_feature_names_out())))


class Texts(Base):
    def test_the_notebook_runs(self):
        notebook = json.loads((SOURCE / "python/example.ipynb").read_text())
        names, here = {}, os.getcwd()
        os.chdir(self.at)
        os.environ["ENGRAFT_EXAMPLES"] = str(SOURCE / "examples")
        try:
            for cell in notebook["cells"]:
                if cell["cell_type"] != "code":
                    continue
                tree = ast.parse("".join(cell["source"]))
                last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
                exec(compile(tree, "notebook", "exec"), names)
                if last is not None:
                    shown = eval(compile(ast.Expression(last.value), "notebook", "eval"), names)
                    getattr(shown, "_repr_html_", lambda: repr(shown))()
        finally:
            os.chdir(here)
        self.assertIn("clf", names)

    def test_every_public_thing_has_a_docstring(self):
        for name in pyengraft.__all__:
            thing = getattr(pyengraft, name)
            self.assertTrue(thing.__doc__, name)
        for kind in (pyengraft.Network, pyengraft.Features, pyengraft.Classifier):
            for name, member in vars(kind).items():
                if not name.startswith("_") and callable(member):
                    self.assertTrue(member.__doc__ or name in ("network",), f"{kind.__name__}.{name}")

    def test_types(self):
        folder = Path(pyengraft.__file__).parent
        self.assertTrue((folder / "py.typed").exists())
        (self.at / "use.py").write_text("import pyengraft\nnet = pyengraft.Network()\nx = net.transform(['a.jpg'])\nreveal_type(x)\n")
        found = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(self.at / "mypy"), str(folder), str(self.at / "use.py")],
                               capture_output=True, text=True, cwd=self.at)
        self.assertEqual(found.returncode, 0, found.stdout + found.stderr)
        self.assertIn("float", found.stdout)


if __name__ == "__main__":
    unittest.main()
