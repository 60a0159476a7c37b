"""train --effort, --size auto, --views auto: what is tried is told first, chosen once, and kept."""
import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from program import MODEL, Case, main, photos, png


class Effort(Case):
    def wide(self):
        """Photos twice as wide as high whose classes show at the left and right edges alone."""
        for kind, name in enumerate(("dark", "light")):
            (self.here / "photos" / name).mkdir(parents=True)
            for i in range(10):
                rows = bytearray()
                for y in range(80):
                    for x in range(160):
                        edge = x < 30 or x >= 130
                        rows += bytes([40 + 160 * kind if edge and (x + y + i) % 8 < 4 else 90 + (x * 7 + y * i) % 40] * 3)
                png(self.here / "photos" / name / f"{i}.png", bytes(rows), 160, 80)

    def test_the_shape_of_the_photos_is_tried(self):
        self.wide()
        done = self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--json")
        self.assertIn("input 224x224", done.stderr)
        self.assertIn("and input 160x320", done.stderr)
        self.assertIn("2 passes over 20 photos", done.stderr)
        self.assertEqual(json.loads(done.stdout)["train_count"], 14)
        again = self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--force", "--json")
        self.assertNotIn("passes", again.stderr)
        fast = self.good("train", "photos", "--model", MODEL, "-o", "n.onnx", "--effort", "fast", "--json")
        self.assertNotIn("passes", fast.stderr)
        self.assertEqual(json.loads(fast.stdout)["scale"], "root")
        given = self.good("train", "photos", "--model", MODEL, "-o", "o.onnx", "--size", "224", "--json")
        self.assertNotIn("passes", given.stderr)

    def test_best(self):
        photos(self.here / "photos", n=8)
        done = self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--effort", "best", "--json")
        for text in "and input 288x288", "mirrored too", "side by side the features of":
            self.assertIn(text, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["selection"][0]["taken"], True)
        self.assertIn("compared", report)
        self.good("predict", "m.onnx", "photos", "--quiet")
        again = self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--force", "--effort", "best", "--json")
        self.assertNotIn("passes", again.stderr)
        self.assertEqual(json.loads(again.stdout)["selection"][0]["features"], report["selection"][0]["features"])

    def test_words_that_exclude_each_other(self):
        self.features()
        for says, words in (
            ("choose", ["photos", "--model", MODEL, "--size", "auto", "--cv", "1", "--C", "1", "--scale", "unit"]),
            ("--views", ["f.h5", "--views", "flip"]),
            ("--effort", ["f.h5", "--effort", "best"]),
            ("one for each", ["f.h5", "--model", MODEL, "--model", MODEL]),
            ("one place", ["photos", "photos", "--model", MODEL]),
            ("--report", ["f.h5", "f.h5", "--report", "p.html"]),
        ):
            with self.subTest(words=words):
                self.bad(2, "train", *words, "-o", "x.onnx", says=says)


if __name__ == "__main__":
    main()
