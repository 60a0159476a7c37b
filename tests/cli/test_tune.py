"""engraft tune: head and layers, a killed run that goes on to the same weights, wrong orders."""
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

from program import png

ENGRAFT = os.environ["ENGRAFT"]
SOURCE = pathlib.Path(os.environ["ENGRAFT_SOURCE"])
LAYERS = ["--unfreeze", "_blocks.15", "--epochs", "2", "--lr", "5e-4", "--batch", "8", "--seed", "3"]
AS_TUNED = ["--effort", "fast", "--keep-tuned"]  # the end of training, whatever it is worth


class Tune(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        for label in ("bird", "fruit"):
            (self.path / "photos" / label).mkdir(parents=True)
            for photo in sorted((SOURCE / "examples/photos" / label).iterdir())[:14]:
                (self.path / "photos" / label / photo.name).symlink_to(photo)

    def command(self, output, *more):
        return [ENGRAFT, "tune", "efficientnet-lite0", str(self.path / "photos"), "-o", str(self.path / output), "--models",
                str(SOURCE / "models"), "--size", "64", "--quiet", "--threads", "2", *more]

    def run_tune(self, output, *more):
        return subprocess.run(self.command(output, *more), capture_output=True, text=True, timeout=200)

    def probabilities(self, model):
        result = subprocess.run([ENGRAFT, "predict", str(self.path / model), str(SOURCE / "examples/unseen"), "--json",
                                 "--top", "2"], capture_output=True, text=True, timeout=100)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_layers_and_a_killed_run(self):
        whole = self.run_tune("whole.onnx", "--json", *AS_TUNED, *LAYERS)
        self.assertEqual(whole.returncode, 0, whole.stderr)
        report = json.loads(whole.stdout)
        self.assertEqual([e["epoch"] for e in report["epochs"] if e["phase"] == "layers"], [1, 2])
        self.assertGreaterEqual(report["test_accuracy"], 0.5)
        self.assertEqual(report["classes"], ["bird", "fruit"])
        self.assertFalse((self.path / "whole.onnx.tuning").exists())

        process = subprocess.Popen(self.command("broken.onnx", *AS_TUNED, *LAYERS), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        state = self.path / "broken.onnx.tuning"
        while process.poll() is None and not state.exists():
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertTrue(state.exists())
        self.assertFalse((self.path / "broken.onnx").exists())
        other = self.run_tune("broken.onnx", "--resume", *AS_TUNED, *LAYERS[:-1], "4")
        self.assertEqual(other.returncode, 1)
        self.assertIn("other photos or options", other.stderr)
        rest = self.run_tune("broken.onnx", "--resume", *AS_TUNED, *LAYERS)
        self.assertEqual(rest.returncode, 0, rest.stderr)
        self.assertEqual(self.probabilities("whole.onnx"), self.probabilities("broken.onnx"))
        again = self.run_tune("whole.onnx", *LAYERS)
        self.assertEqual(again.returncode, 1)
        self.assertIn("--force", again.stderr)

    def test_the_default(self):
        """All photos but the test's learn, half of the blocks; folds of them say what it brought."""
        result = self.run_tune("default.onnx", "--epochs", "2", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertEqual((report["train_count"], report["valid_count"], report["test_count"]), (20, 0, 8))
        self.assertTrue(report["unfrozen"].startswith("_blocks.8."))
        self.assertEqual([e["phase"] for e in report["epochs"]], ["layers", "layers"])  # the folds' are not among them
        evidence = report["evidence"]
        self.assertEqual((evidence["from"], evidence["folds"], evidence["count"]), ("folds", 3, 20))
        self.assertAlmostEqual(evidence["gain"], evidence["tuned_accuracy"] - evidence["linear_accuracy"])
        self.assertTrue(evidence["gain_low"] < evidence["gain"] < evidence["gain_high"])
        self.assertEqual([s["share"] for s in evidence["shares"]], [0, 0.25, 0.5, 0.75, 1])
        self.assertEqual(report["share"], min(evidence["shares"], key=lambda s: s["loss"])["share"])
        self.assertEqual(report["written"], "linear" if evidence["gain"] < 0 else "tuned")
        self.assertGreater(report["evidence_seconds"], 0)
        self.assertEqual((report["rate"], report["rate_curve"]), (5e-4, []))

    def test_the_worse_is_not_written(self):
        """A rate that breaks the layers: the linear classifier is written, and it is that of train --classifier auto."""
        wild = ["--lr", "0.01", "--epochs", "3", "--effort", "fast", "--json"]
        result = self.run_tune("linear.onnx", *wild)
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertLess(report["tuned_accuracy"], report["linear_accuracy"])
        self.assertEqual((report["written"], report["evidence"]["from"]), ("linear", "test"))
        self.assertEqual(report["test_accuracy"], report["linear_accuracy"])
        self.assertIn(report["classifier"], ("logistic", "svm"))
        trained = subprocess.run([ENGRAFT, "train", str(self.path / "photos"), "--model", "efficientnet-lite0", "--models",
                                  str(SOURCE / "models"), "--size", "64", "--classifier", "auto", "-o",
                                  str(self.path / "trained.onnx"), "--json", "--quiet"], capture_output=True, text=True, timeout=100)
        self.assertEqual(trained.returncode, 0, trained.stderr)
        self.assertEqual(json.loads(trained.stdout)["C"], report["C"])
        for one, other in zip(self.probabilities("trained.onnx"), self.probabilities("linear.onnx")):
            self.assertEqual(one["top"][0]["label"], other["top"][0]["label"])
            self.assertAlmostEqual(one["top"][0]["probability"], other["top"][0]["probability"], places=4)
        kept = self.run_tune("kept.onnx", *wild, "--keep-tuned")
        self.assertEqual(kept.returncode, 0, kept.stderr)
        report = json.loads(kept.stdout)
        self.assertEqual((report["written"], report["classifier"]), ("tuned", "mlp"))
        self.assertEqual(report["test_accuracy"], report["tuned_accuracy"])
        # by folds, weights next to the linear start are a way out
        folds = json.loads(self.run_tune("folds.onnx", "--lr", "0.01", "--epochs", "3", "--json").stdout)
        ends = {s["share"]: s["accuracy"] for s in folds["evidence"]["shares"]}
        self.assertLess(ends[1], ends[0])
        self.assertTrue(folds["written"] == "linear" or folds["share"] < 1)

    def test_the_usual_shape(self):
        """Photos twice as wide as high, told apart at their ends: what a square leaves of them is all alike."""
        for label, at in (("bird", 0), ("fruit", 1)):
            for i, link in enumerate(sorted((self.path / "photos" / label).iterdir())):
                link.unlink()
                pixels = bytearray()
                for y in range(60):
                    for x in range(240):
                        end = x < 40 if at else x >= 200
                        pixels += bytes((255, 0, 0) if end and (x + y) % 16 < 8 else ((x * 3 + i * 40) % 256, y * 4, (x * y + i) % 256))
                png(self.path / f"photos/{label}/{i}.png", bytes(pixels), 240, 60)
        command = [w for w in self.command("wide.onnx", "--size", "auto", "--unfreeze", "none", "--effort", "fast", "--json") if w != "--quiet"]
        command.remove("64")
        command.remove("--size")
        result = subprocess.run(command, capture_output=True, text=True, timeout=200)
        self.assertEqual(result.returncode, 0, result.stderr)
        tried = dict(re.findall(r"input ([0-9x]+): a linear classifier is right on ([0-9.]+)", result.stderr))
        self.assertEqual(list(tried), ["224x224", "128x448"])
        self.assertLess(float(tried["224x224"]), float(tried["128x448"]))
        self.assertEqual(json.loads(result.stdout)["input"], [128, 448])
        self.assertEqual([p.name for p in self.path.iterdir() if p.name.startswith("wide")], ["wide.onnx"])

    def test_validation_rows_are_evidence_too(self):
        report = json.loads(self.run_tune("valid.onnx", "--unfreeze", "none", "--effort", "fast", "--valid", "0.3", "--json", "--lr", "find").stdout)
        self.assertGreater(len(report["rate_curve"]), 10)
        self.assertEqual((report["evidence"]["from"], report["evidence"]["count"]), ("validation", report["valid_count"]))
        self.assertEqual(report["train_count"] + report["valid_count"], 20)

    def test_photos_kept_for_the_folds_change_nothing(self):
        """With room for what every epoch sees it is computed once, else again in every fold: the same photos."""
        options = ["--epochs", "2", "--keep-tuned", "--json"]
        kept = json.loads(self.run_tune("kept.onnx", *options).stdout)
        again = json.loads(self.run_tune("again.onnx", *options, "--memory", "300K").stdout)
        self.assertEqual(kept["evidence"], again["evidence"])
        self.assertEqual(self.probabilities("kept.onnx"), self.probabilities("again.onnx"))

    def test_estimate(self):
        result = self.run_tune("estimate.onnx", *LAYERS, "--estimate", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertEqual((report["evidence"]["folds"], report["evidence"]["count"]), (1, 8))
        self.assertGreater(report["estimated_seconds"], report["evidence_seconds"])
        self.assertIsNone(report["tuned_accuracy"])
        self.assertEqual(list(self.path.glob("estimate*")), [])

    def test_stopped_among_the_folds(self):
        """What is there is written; it goes on to the same weights."""
        options = ["--unfreeze", "_blocks.15", "--epochs", "20", "--keep-tuned"]
        command = [word for word in self.command("stopped.onnx", *options) if word != "--quiet"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        for line in process.stderr:
            if "without the photos of fold 1" in line:
                process.send_signal(signal.SIGINT)
                break
        process.communicate()
        self.assertEqual(process.returncode, 130)
        self.assertTrue((self.path / "stopped.onnx").exists() and (self.path / "stopped.onnx.tuning").exists())
        rest = self.run_tune("stopped.onnx", *options, "--resume", "--json")
        self.assertEqual(rest.returncode, 0, rest.stderr)
        self.assertEqual(len(json.loads(rest.stdout)["epochs"]), 20)
        whole = self.run_tune("whole.onnx", *options)
        self.assertEqual(whole.returncode, 0, whole.stderr)
        self.assertEqual(self.probabilities("whole.onnx"), self.probabilities("stopped.onnx"))

    def test_any_head_begins_as_the_logistic_regression(self):
        """Before anything has moved a hidden layer changes nothing."""
        still = ["--unfreeze", "none", "--epochs", "1", "--lr", "1e-9", *AS_TUNED]
        for hidden in ("0", "16"):
            result = self.run_tune(f"head{hidden}.onnx", "--head", hidden, "--json", *still)
            self.assertEqual(result.returncode, 0, result.stderr)
            report = json.loads(result.stdout)
            self.assertGreater(report["epochs"][0]["train_accuracy"], 0.9)  # from chance it would be a half
            self.assertIsNone(report["unfrozen"])
        for one, other in zip(self.probabilities("head0.onnx"), self.probabilities("head16.onnx")):
            self.assertAlmostEqual(one["top"][0]["probability"], other["top"][0]["probability"], places=4)

    def test_groups_stay_together(self):
        result = self.run_tune("grouped.onnx", "--unfreeze", "none", "--valid", "0.2", "--json", "--group", "/(.)")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        photos = [p for label in ("bird", "fruit") for p in sorted((self.path / "photos" / label).iterdir())]
        self.assertEqual(report["test_count"] + report["valid_count"] + report["train_count"], len(photos))
        judged = subprocess.run([ENGRAFT, "evaluate", str(self.path / "grouped.onnx"), str(self.path / "photos"), "--json",
                                 "--rows", "test"], capture_output=True, text=True, timeout=100)
        self.assertEqual(judged.returncode, 0, judged.stderr)  # finds the same test rows by the model's pattern
        self.assertEqual(json.loads(judged.stdout)["count"], report["test_count"])
        self.assertAlmostEqual(json.loads(judged.stdout)["accuracy"], report["test_accuracy"])
        whole = self.run_tune("none.onnx", "--epochs", "1", "--group", ".*/", "--test", "0.5")
        self.assertEqual(whole.returncode, 1)  # a class is one group: nothing would be left to learn from
        self.assertIn("leave nothing for the test", whole.stderr)

    def test_photos_that_vanish_meanwhile(self):
        process = subprocess.Popen(self.command("gone.onnx", *LAYERS[:2], "--epochs", "5000", "--lr", "1e-4"),
                                   stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        while process.poll() is None and not (self.path / "gone.onnx.tuning").exists():
            time.sleep(0.002)
        (self.path / "photos").rename(self.path / "elsewhere")
        _, message = process.communicate(timeout=100)
        self.assertEqual(process.returncode, 1)
        self.assertIn("cannot be read any more", message)
        self.assertFalse((self.path / "gone.onnx").exists())

    def test_a_rate_too_high(self):
        for optimizer, rate in [("sgd", "90"), ("adamw", "5")]:
            result = self.run_tune("wild.onnx", *LAYERS[:4], "--seed", "3", "--lr", rate, "--optimizer", optimizer)
            self.assertEqual(result.returncode, 1)
            self.assertRegex(result.stderr, "at step [0-9]+ with rate [0-9.]+")
            self.assertFalse((self.path / "wild.onnx").exists() or (self.path / "wild.onnx.tuning").exists())

    def test_a_tuned_network_is_cut_again(self):
        """bird/fruit is learned; what was learned then gives features of flower/mammal."""
        result = self.run_tune("first.onnx", *LAYERS, *AS_TUNED)
        self.assertEqual(result.returncode, 0, result.stderr)
        for label in ("flower", "mammal"):
            (self.path / "others" / label).mkdir(parents=True)
            for photo in sorted((SOURCE / "examples/photos" / label).iterdir())[:14]:
                (self.path / "others" / label / photo.name).symlink_to(photo)
        rows = {}
        for name, model in (("tuned", str(self.path / "first.onnx")), ("plain", "efficientnet-lite0")):
            command = [ENGRAFT, "train", str(self.path / "others"), "--model", model, "-o", str(self.path / f"{name}.onnx"),
                       "--models", str(SOURCE / "models"), "--size", "64", "--quiet", "--json"]
            result = subprocess.run(command, capture_output=True, text=True, timeout=100)
            self.assertEqual(result.returncode, 0, result.stderr)
            report = json.loads(result.stdout)
            self.assertEqual(report["classes"], ["flower", "mammal"])
            self.assertGreaterEqual(report["cv_accuracy"], 0.8)
            result = subprocess.run([ENGRAFT, "rows", str(self.path / f"{name}.h5"), "--rows", "0:1", "--csv"],
                                    capture_output=True, text=True, timeout=100)
            rows[name] = result.stdout.splitlines()[-1].split(",")
        self.assertEqual(len(rows["tuned"]), len(rows["plain"]))  # the same cut
        self.assertNotEqual(rows["tuned"][-1280:], rows["plain"][-1280:])
        mixed = subprocess.run([ENGRAFT, "evaluate", str(self.path / "plain.onnx"), str(self.path / "tuned.h5"), "--rows", "all"],
                               capture_output=True, text=True, timeout=100)
        self.assertEqual(mixed.returncode, 1)  # features of another network are refused
        self.assertEqual(set(p["top"][0]["label"] for p in self.probabilities("tuned.onnx")), {"flower", "mammal"})

    def test_wrong_orders(self):
        for more, word, code in [
                (["--unfreeze", "_fc"], "past the cut", 1),
                (["--unfreeze", "_blokcs.3"], "_blokcs.3", 2),
                (["--unfreeze", "avgpool"], "has parameters", 1),
                (["--cut", "nowhere"], "nowhere", 2),
                (["--lr", "fast"], "--lr", 2),
                (["--augment", "wild"], "wild", 2),
                (["--resume"], "no run to go on with", 1),
                (["--lr", "0"], "--lr", 2),
                (["--effort", "much"], "--effort", 2),
                (["--group", "("], "no regular expression", 1),
                (["--group", "nothing"], "matches no path", 1),
                (["--svg", str(self.path / "nowhere/x.svg")], "nowhere/x.svg", 1),
        ]:
            result = self.run_tune("wrong.onnx", *more)
            self.assertEqual(result.returncode, code, f"{more}: {result.stderr}")
            self.assertIn(word, result.stderr)
            self.assertEqual(result.stdout, "")
            self.assertFalse((self.path / "wrong.onnx").exists())


if __name__ == "__main__":
    unittest.main()
