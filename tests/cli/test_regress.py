"""Numbers in place of classes: from a CSV of photos to answers; what is said, and what is refused."""
import random

from program import MODEL, Case, main, png


def patch(path, bright, seed):
    """A photo of one colour as bright as its number, with some noise."""
    rng = random.Random(seed)
    png(path, bytes(max(0, min(255, bright + rng.randrange(-20, 21))) for _ in range(3 * 48 * 48)), 48, 48)


class Regress(Case):
    def listing(self, n=48):
        (self.here / "photos").mkdir()
        lines = ["path,brightness"]
        for i in range(n):
            bright = 20 + 210 * i // n
            patch(self.here / f"photos/{i:02}.png", bright, i)
            lines.append(f"photos/{i:02}.png,{bright / 10}")
        (self.here / "list.csv").write_text("\n".join(lines) + "\n")
        return lines

    def test_from_photos_to_numbers(self):
        self.listing()
        words = ("train", "list.csv", "--model", MODEL, "-o", "m.onnx", "--regress", "brightness")
        done = self.json(*words)
        self.assertEqual((done["classifier"], done["target"], done["test_count"]), ("ridge", "brightness", 13))
        self.assertGreater(done["r2"], 0.8)
        self.assertLess(done["mae"], 2)
        for figure in ("r2", "mae"):
            self.assertTrue(done[f"{figure}_low"] <= done[figure] <= done[f"{figure}_high"])
        for data in ("m.h5", "list.csv"):
            again = self.json("evaluate", "m.onnx", data)
            self.assertEqual(again["count"], 13)
            self.assertAlmostEqual(again["r2"], done["r2"], 5)
        self.bad(2, "predict", "m.onnx", "photos/00.png", "--move", "sorted", says="numbers")
        found = self.json("predict", "m.onnx", "photos/00.png", "photos/47.png")
        self.assertTrue(all("top" not in row for row in found))
        self.assertLess(found[0]["value"], found[1]["value"] - 5)
        lines = self.good("predict", "m.onnx", "photos/00.png", "--csv").stdout.splitlines()
        self.assertEqual(lines[0], "path,value")
        self.assertAlmostEqual(float(lines[1].split(",")[1]), found[0]["value"], 4)
        self.assertIn("R2", self.good("evaluate", "m.onnx", "m.h5").stdout)
        self.good("evaluate", "m.onnx", "m.h5", "--svg", "r.svg")
        svg = (self.here / "r.svg").read_text()
        self.assertIn("brightness", svg)
        self.assertGreaterEqual(svg.count("<circle"), 13)

    def test_photos_that_come_later(self):
        lines = self.listing()
        (self.here / "half.csv").write_text("\n".join(lines[:31]) + "\n")
        self.good("extract", MODEL, "half.csv", "-o", "f.h5", "--regress", "brightness")
        self.good("extract", MODEL, "list.csv", "-o", "f.h5", "--regress", "brightness", "--append")
        done = self.json("train", "f.h5", "-o", "m.onnx", "--regress", "brightness")
        self.assertEqual(done["train_count"] + done["test_count"], 48)
        self.bad(2, "train", "f.h5", "-o", "n.onnx", "--regress", "age", says="'age' is not what was extracted")

    def test_what_is_refused(self):
        lines = self.listing(12)
        self.bad(1, "extract", MODEL, "list.csv", "-o", "f.h5", "--regress", "age", says="no column 'age'")
        self.bad(2, "extract", MODEL, "photos", "-o", "f.h5", "--regress", "age", says="read from a CSV")
        (self.here / "bad.csv").write_text("\n".join(lines).replace("2.0", "old") + "\n")
        self.bad(1, "extract", MODEL, "bad.csv", "-o", "f.h5", "--regress", "brightness", says="'old' is no number")
        self.features()
        self.bad(2, "train", "f.h5", "-o", "m.onnx", "--regress", "age", says="no numbers to learn")
        for words in (("--classifier", "svm"), ("--balance",), ("--reject", "0.1"), ("--drop", "across"),
                      ("--out-of-fold", "o.csv"), ("--from", "m.onnx")):
            self.bad(2, "train", "f.h5", "-o", "m.onnx", "--regress", "age", *words, says="--regress")


if __name__ == "__main__":
    main()
