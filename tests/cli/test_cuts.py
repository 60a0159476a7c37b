"""engraft cuts, and train --classifier auto: which cut, and which classifier on it."""
import os
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import program
from program import ENGRAFT, MODEL, Case, photos

FEW = ("--cut", "_blocks.0._bn2:avg", "--cut", "_blocks.9.add", "--cut", "avgpool")


class Cuts(Case):
    def test_every_cut_is_ranked_and_the_advice_works(self):
        photos(self.here / "p")
        done = self.good("cuts", MODEL, "p", *FEW, "--svg", "depth.svg", "--cv", 3, env={"COLUMNS": "100"})
        rows = re.findall(r"^ +(\d+)  (\S+) +(-|avg|max|flatten) +(\d+)  (\w+) +(\w+) +(\S+)  (\d\.\d{4})  ([\d.]+)-([\d.]+)", done.stdout, re.M)
        self.assertEqual([row[0] for row in rows], ["1", "2", "3", "4", "5"])
        self.assertEqual({row[1:4] for row in rows}, {
            ("_blocks.0._bn2", "avg", "16"), ("_blocks.9.add", "avg", "112"), ("_blocks.9.add", "max", "112"),
            ("_blocks.9.add", "flatten", "21952"), ("avgpool", "-", "1280")})
        accuracy = [float(row[7]) for row in rows]
        self.assertEqual(accuracy, sorted(accuracy, reverse=True))
        for row in rows:
            self.assertTrue(float(row[8]) <= float(row[7]) <= float(row[9]))
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 100)
        self.assertEqual(sorted(os.listdir(self.here)), ["depth.svg", "p"])
        drawing = xml.parse(self.here / "depth.svg")
        words = {text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")}
        self.assertLessEqual({"_blocks.0._bn2", "_blocks.9.add", "avgpool", "average", "maximum", "whole"}, words)

        advice = [line.split() for line in done.stdout.replace("\\\n", "").splitlines() if line.startswith("  engraft train")]
        self.assertGreaterEqual(len(advice), 1)
        report = self.json(*advice[0][1:])
        self.assertEqual((report["classifier"], report["scale"]), (rows[0][4], rows[0][5]))
        self.assertAlmostEqual(report["cv_accuracy"], accuracy[0], places=4)  # the same rows, the same folds
        self.assertAlmostEqual(report["C"], float(rows[0][6]), delta=report["C"] / 100)

    def test_json_a_kept_file_and_train_auto_agree(self):
        photos(self.here / "p")
        report = self.json("cuts", MODEL, "p", *FEW, "-o", "all.h5", "--cv", 3)
        self.assertEqual((report["train_count"], report["kept_for_test"]), (18, 6))
        self.assertEqual([row["rank"] for row in report["cuts"]], list(range(1, 11)))
        self.assertEqual({row["classifier"] for row in report["cuts"]}, {"logistic", "svm"})
        depth = {row["layer"]: row["depth"] for row in report["cuts"]}
        self.assertLess(depth["_blocks.0._bn2"], depth["_blocks.9.add"])
        best = report["cuts"][0]
        train = self.json("train", "all.h5", "-o", "auto.onnx", "--classifier", "auto", "--cv", 3)
        for key in ("cut", "classifier", "scale", "C", "cv_accuracy"):
            self.assertEqual(train[key], best[key], key)
        self.assertEqual([(r["cut"], r["classifier"]) for r in train["compared"]],
                         [(r["cut"], r["classifier"]) for r in report["cuts"]])
        self.assertEqual(self.json("info", "auto.onnx")["metadata"]["engraft.cut"], best["cut"])
        one = self.json("train", "all.h5", "-o", "one.onnx", "--classifier", "auto", "--cv", 3, "--features", "avgpool")
        self.assertEqual({r["cut"] for r in one["compared"]}, {"avgpool"})
        text = self.good("train", "all.h5", "-o", "text.onnx", "--classifier", "auto", "--cv", 3).stdout
        self.assertIn("compared by cross-validation", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 100)
        again = self.json("cuts", MODEL, "p", *FEW, "-o", "all.h5", "--cv", 3, "--threads", 1)
        keep = lambda rows: [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
        self.assertEqual(keep(again["cuts"]), keep(report["cuts"]))  # from the file, by one thread

    def test_a_hidden_layer_learns_and_is_the_same_for_any_threads(self):
        photos(self.here / "p")
        self.good("extract", MODEL, "p", "-o", "f.h5")
        words = ("train", "f.h5", "--classifier", "mlp", "--hidden", 16, "--cv", 2, "--balance")
        one, two = (self.json(*words, "-o", f"{n}.onnx", "--threads", n) for n in (1, 2))
        self.assertGreater(one["cv_accuracy"], 0.75)
        self.assertEqual((one["classifier"], one["C"], one["grid"]), ("mlp", None, []))
        for key in ("cv_accuracy", "test_accuracy", "test"):
            self.assertEqual(one[key], two[key])
        said = self.json("evaluate", "1.onnx", "f.h5")
        self.assertEqual((said["accuracy"], said["rows"]), (one["test_accuracy"], "test"))
        self.assertEqual(self.json("train", "f.h5", "-o", "3.onnx", "--classifier", "mlp", "--cv", 1)["cv_accuracy"], None)
        for option, value in ("--C", "1"), ("--scale", "unit"), ("--reject", "0.1"), ("--trees", "9"), ("--loss", "hinge"):
            self.bad(2, "train", "f.h5", "-o", "4.onnx", "--classifier", "mlp", option, value, says=option)
        self.bad(2, "train", "f.h5", "-o", "4.onnx", "--hidden", "9", says="mlp")

    def test_unreadable_photos_are_listed(self):
        photos(self.here / "p", n=6)
        (self.here / "p/down/broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
        done = self.good("cuts", MODEL, "p", "--cut", "avgpool", "--cv", 2, code=3)
        self.assertIn("broken.jpg", done.stderr)
        self.assertIn("engraft train", done.stdout)

    def test_interrupted_it_goes_on_where_it_was(self):
        photos(self.here / "p", n=24)
        words = [ENGRAFT, "cuts", MODEL, "p", *FEW, "--cv", "3", "-o", "kept.h5", "--batch", "1", "--threads", "1"]
        work = subprocess.Popen(words, cwd=self.here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        end = time.time() + 60
        while not (self.here / "kept.h5").exists() and time.time() < end:
            time.sleep(0.02)
        work.send_signal(signal.SIGINT)
        out, said = work.communicate(timeout=60)
        self.assertEqual((work.returncode, out), (130, ""), said)
        self.assertIn("kept.h5", said)
        report = self.json(*words[1:])
        self.assertEqual(len(report["cuts"]), 10)

    def test_without_o_an_interrupt_says_where_the_work_is(self):
        photos(self.here / "p", n=24)
        spool = self.here / "spool"
        spool.mkdir()
        words = [ENGRAFT, "cuts", MODEL, "p", *FEW, "--batch", "1", "--threads", "1"]
        work = subprocess.Popen(words, cwd=self.here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "TMPDIR": str(spool)})
        end = time.time() + 60
        while not list(spool.glob("*/cuts.h5")) and time.time() < end:
            time.sleep(0.02)
        work.send_signal(signal.SIGINT)
        out, said = work.communicate(timeout=60)
        self.assertEqual((work.returncode, out), (130, ""), said)
        self.assertIn(str(next(spool.glob("*/cuts.h5"))), said)

    def test_what_cannot_be_compared_is_said(self):
        photos(self.here / "p", n=3)
        self.bad(1, "cuts", MODEL, "p", "--cut", "avgpool", "--cv", "5", says="fewer than the 5 folds")
        self.bad(2, "cuts", MODEL, "p", "--cv", 1, says="1")
        self.bad(2, "cuts", MODEL, "p", "--cut", "avgpol", says="avgpool")
        self.bad(1, "cuts", MODEL, "p", "--longest", 3, says="3 features or fewer")
        self.bad(2, "cuts", MODEL, "p", "--C", "0", says="--C '0'")
        self.bad(2, "cuts", MODEL, "p", "--classifier", "forest", says="logistic")
        self.bad(1, "cuts", MODEL, "nowhere", says="nowhere")
        (self.here / "old.svg").write_text("kept")
        self.bad(1, "cuts", MODEL, "p", "--svg", "old.svg", says="old.svg")
        self.assertEqual((self.here / "old.svg").read_text(), "kept")
        self.good("extract", MODEL, "p", "-o", "f.h5")
        self.bad(2, "train", "f.h5", "-o", "m.onnx", "--classifier", "auto", "--cv", 1, says="folds")
        self.bad(2, "train", "f.h5", "-o", "m.onnx", "--cv", 1, says="--scale")


if __name__ == "__main__":
    program.main()
