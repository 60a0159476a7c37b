"""The main job: photos to features to a classifier to answers, as a user does it."""
import csv
import io
import json
import math
import os
import random
import shutil
import signal
import struct
import subprocess
import time
from xml.etree import ElementTree

from program import ENGRAFT, MODEL, Case, main, photo, photos


class MainJob(Case):
    def test_features_then_classifier_then_answers(self):
        photos(self.here / "photos")
        (self.here / "photos" / "notes.txt").write_text("not a photo")
        done = self.json("extract", MODEL, "photos", "-o", "f.h5")
        self.assertEqual((done["rows"], done["done"], done["resumed"], done["ignored"]), (24, 24, 0, 1))
        self.assertEqual(done["unreadable"], [])
        self.assertEqual([c["length"] for c in done["cuts"]], [1280])
        self.assertGreater(done["images_per_second"], 0)

        again = self.json("extract", MODEL, "photos", "-o", "f.h5")
        self.assertEqual((again["resumed"], again["done"]), (24, 0))

        info = self.json("info", "f.h5")
        self.assertEqual((info["rows"], info["done"], info["waiting"]), (24, 24, 0))
        self.assertEqual([(c["name"], c["rows"]) for c in info["classes"]], [("across", 12), ("down", 12)])
        self.assertEqual(info["network"], MODEL)
        self.assertEqual(len(info["weights_sha256"]), 64)
        self.assertTrue(self.good("info", "f.h5").stdout)

        trained = self.json("train", "f.h5", "-o", "m.onnx")
        self.assertEqual(trained["classes"], ["across", "down"])
        self.assertEqual(trained["test_count"], 6)
        self.assertGreaterEqual(trained["cv_accuracy"], 0.9)
        self.assertGreaterEqual(trained["test_accuracy"], 0.8)
        self.assertIn(trained["C"], [p["C"] for p in trained["grid"]])
        self.assertLess(trained["gap"], 1e-4 * trained["objective"] + 1e-9)
        self.assertEqual(max(p["cv_accuracy"] for p in trained["grid"]), trained["cv_accuracy"])

        judged = self.json("evaluate", "m.onnx", "f.h5")
        self.assertEqual((judged["rows"], judged["count"]), ("test", 6))
        self.assertEqual(judged["accuracy"], trained["test_accuracy"])
        self.assertEqual(sum(map(sum, judged["confusion"])), 6)
        self.assertEqual(self.json("evaluate", "m.onnx", "photos")["confusion"], judged["confusion"])
        self.good("evaluate", "m.onnx", "f.h5", "--svg", "confusion.svg")
        drawn = ElementTree.parse(self.here / "confusion.svg").getroot()
        told = {title.text for title in drawn.iter("{http://www.w3.org/2000/svg}title")}
        for i, truth in enumerate(judged["classes"]):
            for j, answer in enumerate(judged["classes"]):
                count = judged["confusion"][i][j]
                self.assertEqual(f"{truth} → {answer}: {count}" in told, count > 0, told)
        self.bad(1, "evaluate", "m.onnx", "f.h5", "--svg", "confusion.svg", says="--force")
        everything = self.json("evaluate", "m.onnx", "f.h5", "--rows", "all")
        self.assertEqual((everything["rows"], everything["count"]), ("all", 24))

        photo(self.here / "new.png", 1, 4242)
        answers = self.json("predict", "m.onnx", "new.png", "photos/across")
        self.assertEqual(len(answers), 13)
        self.assertEqual(answers[0]["top"][0]["label"], "down")
        self.assertEqual(answers[0]["top"][0]["index"], 1)
        two = self.json("predict", "m.onnx", "new.png", "--top", "2")[0]["top"]
        self.assertAlmostEqual(sum(t["probability"] for t in two), 1, places=5)
        rows = list(csv.DictReader(io.StringIO(self.good("predict", "m.onnx", "photos/down", "--csv").stdout)))
        self.assertEqual(len(rows), 12)
        self.assertEqual(list(rows[0]), ["path", "rank", "label", "probability"])
        self.good("predict", "m.onnx", "new.png")

    def test_photos_and_network_in_one_command(self):
        photos(self.here / "photos")
        for classifier in ("logistic", "svm", "forest", "mlp"):
            done = self.json("train", "photos", "--model", MODEL, "-o", f"{classifier}.onnx", "--classifier", classifier)
            self.assertEqual(done["classifier"], classifier)
            self.assertTrue((self.here / f"{classifier}.h5").exists())
        self.bad(1, "train", "photos", "--model", MODEL, "-o", "svm.onnx", says="svm.onnx")
        self.good("train", "photos", "--model", MODEL, "-o", "svm.onnx", "--force")

    def test_a_trained_network_is_a_model_like_any_other(self):
        photos(self.here / "photos")
        self.good("train", "photos", "--model", MODEL, "-o", "m.onnx")
        net = self.json("inspect", "m.onnx")
        self.assertEqual(net["default_cut"], self.json("inspect", MODEL)["default_cut"])
        self.good("extract", "m.onnx", "photos", "-o", "again.h5", "--cut", net["default_cut"])
        self.good("rows", "m.h5", "--npy", "a.npy")
        self.good("rows", "again.h5", "--npy", "b.npy")
        self.assertEqual((self.here / "a.npy").read_bytes(), (self.here / "b.npy").read_bytes())
        info = self.json("info", "m.onnx")
        self.assertTrue(info["trained"])
        self.assertEqual(info["classes"], ["across", "down"])
        for key in ("recipe", "classes", "network", "weights_sha256", "cut", "classifier", "C", "accuracy", "split_seed",
                    "test_fraction", "training_digest", "version", "date", "command"):
            self.assertIn("engraft." + key, info["metadata"])
        self.assertNotIn(str(self.here), json.dumps(info["metadata"]))

    def test_other_test_data(self):
        photos(self.here / "photos")
        photos(self.here / "others", n=4)
        self.good("extract", MODEL, "photos", "-o", "f.h5")
        self.good("extract", MODEL, "others", "-o", "o.h5")
        whole = self.json("train", "f.h5", "-o", "0.onnx", "--test", "0")
        self.assertIsNone(whole["test_accuracy"])
        self.assertEqual(whole["test_count"], 0)
        by_file = self.json("train", "f.h5", "-o", "1.onnx", "--test", "o.h5")
        by_photos = self.json("train", "f.h5", "-o", "2.onnx", "--test", "others")
        self.assertEqual((by_file["test_count"], by_photos["test_count"]), (8, 8))
        self.assertEqual(by_file["test_accuracy"], by_photos["test_accuracy"])
        self.assertEqual(self.json("evaluate", "0.onnx", "others", "--rows", "all")["accuracy"], by_photos["test_accuracy"])
        self.bad(1, "evaluate", "0.onnx", "others", says="--rows all")  # the same bytes as some of photos/
        (self.here / "empty").mkdir()
        self.bad(1, "evaluate", "0.onnx", "empty", says="empty")
        self.bad(1, "train", "f.h5", "-o", "3.onnx", "--test", "empty", says="empty")
        photos(self.here / "parts" / "train", n=1)
        photos(self.here / "parts" / "test", n=1)
        self.bad(2, "evaluate", "0.onnx", "parts", says="--test")
        self.bad(2, "train", "f.h5", "-o", "3.onnx", "--test", "parts", says="--test")
        self.bad(1, "evaluate", "0.onnx", "f.h5", says="--rows all")
        self.bad(1, "evaluate", "0.onnx", "others", "--rows", "test", says="--rows all")
        photos(self.here / "more", classes=("across", "sideways"), n=4)
        self.bad(1, "train", "f.h5", "-o", "3.onnx", "--test", "more", says="sideways")
        self.assertFalse((self.here / "3.onnx").exists())

    def test_learning_more_later(self):
        photos(self.here / "photos")
        self.good("extract", MODEL, "photos", "-o", "f.h5")
        for kind in ("logistic", "svm"):
            self.good("train", "f.h5", "-o", f"{kind}.onnx", "--classifier", kind, "--scale", "unit", "--C", "10")
        photos(self.here / "more", classes=("a", "b", "dots"), n=8)
        shutil.move(self.here / "more" / "dots", self.here / "photos" / "dots")
        shutil.move(self.here / "more" / "a" / "01.png", self.here / "photos" / "across" / "new.png")
        self.good("extract", MODEL, "photos", "-o", "f.h5", "--append")
        for kind in ("logistic", "svm"):
            anew = self.json("train", "f.h5", "-o", "a.onnx", "--force", "--classifier", kind, "--scale", "unit", "--C", "10")
            more = self.json("train", "f.h5", "-o", "b.onnx", "--force", "--from", f"{kind}.onnx")
            for key in ("classifier", "scale", "C", "classes", "cv_accuracy", "test_accuracy", "test_count"):
                self.assertEqual(more[key], anew[key], key)
            self.assertEqual(more["classes"], ["across", "down", "dots"])
            self.assertAlmostEqual(more["objective"], anew["objective"], delta=1e-4 * anew["objective"])
            one, two = (self.json("predict", m, "photos", "--top", "3") for m in ("a.onnx", "b.onnx"))
            for x, y in zip(one, two):
                for a, b in zip(x["top"], y["top"]):
                    self.assertEqual(a["label"], b["label"])
                    self.assertAlmostEqual(a["probability"], b["probability"], delta=0.01)
        again = self.json("train", "f.h5", "-o", "c.onnx", "--from", "svm.onnx", "--C", "0.1,1")
        self.assertEqual([p["C"] for p in again["grid"]], [0.1, 1])
        self.good("extract", MODEL, "photos", "-o", "t.h5", "--preprocess", "torchvision")
        self.bad(1, "train", "t.h5", "-o", "d.onnx", "--from", "svm.onnx", says="recipe")
        self.bad(1, "train", "f.h5", "-o", "d.onnx", "--from", MODEL, says="no classifier")

    def test_the_same_photo_is_on_one_side_of_the_split(self):
        photos(self.here / "photos")
        self.good("extract", MODEL, "photos", "-o", "f.h5")
        alone = self.good("train", "f.h5", "-o", "m.onnx")
        self.assertNotIn("training photos too", alone.stderr)
        for i in range(12):  # each photo twice
            shutil.copy(self.here / "photos" / "down" / f"{i:02}.png", self.here / "photos" / "down" / f"copy{i:02}.png")
        self.good("extract", MODEL, "photos", "-o", "f.h5", "--append")
        for more in [], ["--group", "[0-9]+[.]png"]:
            report = self.json("train", "f.h5", "-o", "m.onnx", "--force", *more)
            self.assertEqual((report["test_known"], report["train_count"] + report["test_count"]), (0, 36))
        for data in "photos", "f.h5":
            self.assertEqual(self.json("train", "f.h5", "-o", "m.onnx", "--force", "--test", data)["test_known"], 36)
        done = self.good("train", "f.h5", "-o", "m.onnx", "--force", "--test", "photos")
        self.assertIn("36 of the 36 test photos are training photos too", done.stderr)

    def test_groups_stay_on_one_side(self):
        photos(self.here / "photos", n=0)
        for kind, name in enumerate(("across", "down")):
            for burst in range(8):
                for shot in range(3):
                    photo(self.here / "photos" / name / f"b{burst}_{shot}.png", kind, 100 * kind + burst)
        self.good("extract", MODEL, "photos", "-o", "f.h5")
        trained = self.json("train", "f.h5", "-o", "m.onnx", "--group", "(b[0-9])_", "--cv", "3", "--seed", "2")
        self.assertEqual(trained["test_count"] % 6, 0)  # a burst has three photos in each class
        self.assertEqual(self.json("info", "m.onnx")["metadata"]["engraft.group"], "(b[0-9])_")
        for data in "f.h5", "photos":
            judged = self.json("evaluate", "m.onnx", data)
            self.assertEqual((judged["rows"], judged["count"]), ("test", trained["test_count"]))
            self.assertEqual(judged["accuracy"], trained["test_accuracy"])
        self.bad(1, "train", "f.h5", "-o", "n.onnx", "--group", "zebra", says="zebra")
        self.bad(1, "train", "f.h5", "-o", "n.onnx", "--group", "(b", says="(b")
        self.bad(1, "train", "f.h5", "-o", "n.onnx", "--group", "^[^/]*/", says="each class is one group")

    def test_same_seed_same_file_contents(self):
        self.features()
        a = self.json("train", "f.h5", "-o", "a.onnx", "--seed", "5", "--threads", "1")
        b = self.json("train", "f.h5", "-o", "b.onnx", "--seed", "5", "--threads", "2")
        for key in ("C", "objective", "cv_accuracy", "test_accuracy", "grid"):
            self.assertEqual(a[key], b[key], key)
        self.assertEqual(self.json("predict", "a.onnx", "photos"), self.json("predict", "b.onnx", "photos"))


class Extraction(Case):
    def numbers(self, *words):
        self.good("extract", MODEL, "photos", "-o", "n.h5", "--force", *words)
        self.good("rows", "n.h5", "--npy", "n.npy", "--force")
        return (self.here / "n.npy").read_bytes()

    def test_batch_and_threads_change_no_bit(self):
        photos(self.here / "photos", n=7)
        first = self.numbers()
        for words in (["--batch", "1"], ["--batch", "3"], ["--batch", "64"], ["--threads", "1"], ["--threads", "3"],
                      ["--threads", "1", "--batch", "5"]):
            self.assertEqual(first, self.numbers(*words), words)

    def test_several_cuts_in_one_pass(self):
        photos(self.here / "photos", n=3)
        layers = self.json("inspect", MODEL)["layers"]
        early = next(l for l in layers if l["cut"] and l["output_shape"][:2] == [14, 14])["name"]
        done = self.json("extract", MODEL, "photos", "-o", "c.h5", "--cut", "avgpool", "--cut", f"{early}:avg", "--cut", f"{early}:max",
                         "--cut", early)
        names = [c["name"] for c in done["cuts"]]
        self.assertEqual(names, ["avgpool", f"{early}:avg", f"{early}:max", early])
        for cut in names:
            self.good("extract", MODEL, "photos", "-o", "one.h5", "--force", "--cut", cut)
            self.good("rows", "one.h5", "--npy", "one.npy", "--force")
            self.good("rows", "c.h5", "--features", cut, "--npy", "all.npy", "--force")
            one, every = ((self.here / name).read_bytes() for name in ("one.npy", "all.npy"))
            self.assertEqual(one[:128], every[:128])
            for a, b in zip(*(struct.unpack(f"<{len(x) // 4 - 32}f", x[128:]) for x in (one, every))):
                self.assertAlmostEqual(a, b, delta=1e-5 * max(1, abs(b)))  # other cuts may fuse otherwise
        self.bad(2, "rows", "c.h5", "--features", "nothing")
        trained = self.json("train", "c.h5", "-o", "m.onnx", "--features", f"{early}:avg", "--test", "0", "--cv", "2")
        self.assertEqual(trained["classes"], ["across", "down"])

    def test_order_and_pooling(self):
        photos(self.here / "photos", n=1)
        layers = self.json("inspect", MODEL)["layers"]
        layer = [l for l in layers if l["cut"] and l["output_shape"][:2] == [7, 7]][-1]
        h, w, c = layer["output_shape"]

        def row(*words):
            self.good("extract", MODEL, "photos", "-o", "o.h5", "--force", "--cut", layer["name"], *words)
            return self.json("rows", "o.h5", "--rows", "0")[0]["features"]

        chw, hwc = row(), row("--order", "hwc")
        self.assertEqual(hwc, [chw[k * h * w + i] for i in range(h * w) for k in range(c)])
        for k, value in enumerate(row("--pool", "max")):
            self.assertEqual(value, max(chw[k * h * w : (k + 1) * h * w]))
        for k, value in enumerate(row("--pool", "avg")):
            self.assertAlmostEqual(value, sum(chw[k * h * w : (k + 1) * h * w]) / (h * w), places=5)
        for k, value in enumerate(row("--pool", "gem")):
            cubes = [max(x, 1e-6) ** 3 for x in chw[k * h * w : (k + 1) * h * w]]
            self.assertAlmostEqual(value, (sum(cubes) / (h * w)) ** (1 / 3), places=4)

    def test_half_precision(self):
        self.features(2)
        self.good("extract", MODEL, "photos", "-o", "h.h5", "--dtype", "f16")
        full = self.json("rows", "f.h5", "--rows", "0")[0]["features"]
        half = self.json("rows", "h.h5", "--rows", "0")[0]["features"]
        self.assertEqual(half, [struct.unpack("e", struct.pack("e", x))[0] for x in full])
        self.assertEqual(self.json("info", "h.h5")["cuts"][0]["type"], "f16")

    def test_killed_then_run_again_gives_the_same_rows(self):
        photos(self.here / "photos", n=60)
        whole = self.numbers()
        command = [ENGRAFT, "extract", MODEL, "photos", "-o", "k.h5", "--threads", "1", "--batch", "2", "--quiet"]
        rng = random.Random(1)
        for delay in (0.05, 0.2, 0.4, 0.1 + rng.random()):
            process = subprocess.Popen(command, cwd=self.here, stdout=subprocess.DEVNULL)
            time.sleep(delay)
            process.kill()
            process.wait()
            if (self.here / "k.h5").exists():
                self.json("info", "k.h5")
        self.good("extract", MODEL, "photos", "-o", "k.h5")
        self.good("rows", "k.h5", "--npy", "k.npy")
        self.assertEqual((self.here / "k.npy").read_bytes(), whole)

    def test_interrupt_saves_and_says_how_to_go_on(self):
        photos(self.here / "photos", n=100)
        command = [ENGRAFT, "extract", MODEL, "photos", "-o", "i.h5", "--threads", "1", "--batch", "1"]
        process = subprocess.Popen(command, cwd=self.here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(0.8)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        self.assertEqual((process.returncode, out), (130, ""), err)
        self.assertIn("i.h5", err)
        done = self.json("extract", MODEL, "photos", "-o", "i.h5")
        self.assertGreater(done["resumed"], 0)
        self.assertEqual(done["resumed"] + done["done"], 200)

    def test_another_run_in_the_same_file_is_refused_by_its_first_difference(self):
        self.features(2)
        before = (self.here / "f.h5").read_bytes()
        for words in (["--cut", "avgpool:gem"], ["--dtype", "f16"], ["--no-exif"], ["--preprocess", "torchvision"], ["--size", "192"]):
            self.bad(1, "extract", MODEL, "photos", "-o", "f.h5", *words, says="f.h5")
        photo(self.here / "photos" / "down" / "more.png", 1, 1)
        self.bad(1, "extract", MODEL, "photos", "-o", "f.h5", says="f.h5")
        self.assertEqual((self.here / "f.h5").read_bytes(), before)
        self.good("extract", MODEL, "photos", "-o", "f.h5", "--force")

    def test_recipes_are_not_mixed(self):
        self.features()
        self.good("extract", MODEL, "photos", "-o", "t.h5", "--preprocess", "torchvision")
        self.good("train", "f.h5", "-o", "m.onnx", "--test", "0")
        self.bad(1, "evaluate", "m.onnx", "t.h5", "--rows", "all", says="recipe")
        self.bad(1, "train", "f.h5", "--test", "t.h5", "-o", "n.onnx", says="recipe")
        self.bad(1, "train", "f.h5", "--model", MODEL, "--preprocess", "torchvision", "-o", "n.onnx", says="recipe")
        self.good("train", "t.h5", "-o", "t.onnx", "--test", "0")
        self.assertEqual(self.json("info", "t.onnx")["recipe"]["mean"], [0.485, 0.456, 0.406])


class Rows(Case):
    def test_slices(self):
        self.features(5)
        everything = self.json("rows", "f.h5")
        self.assertEqual([r["row"] for r in everything], list(range(10)))
        self.assertEqual(everything[0]["path"], "across/00.png")
        for words, rows in [(["--rows", "2:4"], [2, 3]), (["--rows", "7:"], [7, 8, 9]), (["--rows", ":2"], [0, 1]),
                            (["--rows", "-2:"], [8, 9]), (["--rows", "3"], [3]), (["--class", "down"], [5, 6, 7, 8, 9]),
                            (["--class", "down", "--rows", "0:6"], [5]), (["--rows", "5:5"], [])]:
            self.assertEqual([r["row"] for r in self.json("rows", "f.h5", *words)], rows, words)
        self.bad(2, "rows", "f.h5", "--rows", "x:y")
        self.bad(2, "rows", "f.h5", "--rows", "10")
        self.bad(2, "rows", "f.h5", "--class", "sideways", says="sideways")
        table = list(csv.reader(io.StringIO(self.good("rows", "f.h5", "--csv", "--rows", "0:2").stdout)))
        self.assertEqual(table[0][:3], ["path", "label", "f0"])
        for text, number in zip(table[1][2:], everything[0]["features"]):
            self.assertTrue(math.isclose(float(text), number, rel_tol=1e-6))
        self.good("rows", "f.h5", "--npy", "x.npy", "--rows", "0:3")
        raw = (self.here / "x.npy").read_bytes()
        self.assertEqual(raw[:6], b"\x93NUMPY")
        self.assertIn(b"(3, 1280)", raw[:128])
        self.assertEqual(len(raw), 128 + 3 * 1280 * 4)
        self.assertEqual(list(struct.unpack("<1280f", raw[128 : 128 + 5120])), [struct.unpack("f", struct.pack("f", x))[0] for x in everything[0]["features"]])
        self.bad(1, "rows", "f.h5", "--npy", "x.npy", says="x.npy")
        self.good("rows", "f.h5")


class Whole(Case):
    def test_classify_gives_imagenet_names(self):
        photo(self.here / "p.png", 0, 3)
        answer = self.json("classify", MODEL, "p.png")[0]
        self.assertEqual(answer["path"], "p.png")
        self.assertEqual(len(answer["top"]), 5)
        values = [t["probability"] for t in answer["top"]]
        self.assertEqual(values, sorted(values, reverse=True))
        everything = self.json("classify", MODEL, "p.png", "--top", "2000")[0]["top"]
        self.assertEqual(len(everything), 1000)
        self.assertAlmostEqual(sum(t["probability"] for t in everything), 1, places=4)
        self.assertIn("goldfish", [t["label"] for t in everything])

    def test_convert_and_back(self):
        photos(self.here / "photos", n=2)
        self.good("convert", MODEL, "-o", "whole.onnx")
        a, b = (self.json("classify", m, "photos/down/00.png", "--top", "1000")[0]["top"] for m in (MODEL, "whole.onnx"))
        b = {t["label"]: t["probability"] for t in b}
        for t in a:
            self.assertAlmostEqual(t["probability"], b[t["label"]], places=6)
        self.good("convert", MODEL, "--cut", "avgpool", "-o", "cut.onnx", "--dtype", "f16")
        self.assertEqual(self.json("inspect", "cut.onnx")["layers"][-1]["feature_length"], 1280)
        self.bad(1, "convert", MODEL, "-o", "cut.onnx", says="cut.onnx")
        self.good("convert", MODEL, "-o", "cut.onnx", "--force")

    def test_what_is_there_is_not_fetched_again(self):
        known = next(one for one in self.json("models") if one["name"] == "squeezenet1_1")
        (self.here / "weights").mkdir()
        path = self.here / "weights" / known["file"]
        path.write_bytes(b"as it was")
        made = self.json("fetch", "squeezenet1_1", "--models", "weights")
        self.assertEqual(made, [{"name": "squeezenet1_1", "path": f"weights/{known['file']}", "was_there": True}])
        self.assertEqual(self.json("models", "--models", "weights")[[one["name"] for one in self.json("models")].index("squeezenet1_1")]["path"],
                         f"weights/{known['file']}")
        self.assertEqual(path.read_bytes(), b"as it was")

    def test_bench_reports_what_it_measured(self):
        network = "squeezenet1_1", "--random-weights", "--repeat", "1", "--layers"
        for how, winograd in ((), True), (("--exact",), False):
            algorithms = [layer["algorithm"] for layer in self.json("bench", *network, *how)["layers"]]
            self.assertEqual(any("winograd" in algorithm for algorithm in algorithms), winograd)
        done = self.json("bench", MODEL, "--repeat", "3", "--batch", "2", "--layers")
        self.assertLessEqual({"name", "cut", "batch", "threads", "isa", "ms_per_image", "ms_min", "images_per_second",
                              "gflops", "memory_bytes"}, set(done))
        self.assertLessEqual(done["ms_min"], done["ms_per_image"])
        self.assertAlmostEqual(done["images_per_second"] * done["ms_per_image"], 1000, places=3)
        self.assertTrue(done["layers"])
        self.assertEqual(self.json("bench", "squeezenet1_1", "--random-weights", "--repeat", "1", "--size", "96")["name"], "squeezenet1_1")
        self.good("bench", MODEL, "--repeat", "1", "--layers")


if __name__ == "__main__":
    main()
