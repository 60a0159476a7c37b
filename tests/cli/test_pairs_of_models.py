"""Two models before the same photos: which only one gets right, and whether that can be luck."""
from math import comb

from program import MODEL, Case, main, photo


class Pairs(Case):
    def models(self):
        self.features()
        self.good("train", "f.h5", "-o", "a.onnx", "--scale", "unit", "--C", "1")
        # another split, and hardly anything learned
        self.good("train", "f.h5", "-o", "b.onnx", "--scale", "none", "--C", "1e-9", "--seed", "7", "--balance")

    def test_pair(self):
        self.models()
        for i in range(12):
            photo(self.here / "photos" / ("across", "down")[i % 2] / f"new{i}.png", i % 2, 500 + i)
        for data in ("photos", "f.h5"):
            pair = self.json("evaluate", "a.onnx", "b.onnx", data, "--rows", "all")
            for side, model in (("a", "a.onnx"), ("b", "b.onnx")):
                alone = self.json("evaluate", model, data, "--rows", "all")
                self.assertEqual(pair[side]["confusion"], alone["confusion"], data)
            right = [round(pair[side]["accuracy"] * pair["count"]) for side in "ab"]
            self.assertEqual(right[0] - right[1], pair["only_a"] - pair["only_b"])
            n, least = pair["only_a"] + pair["only_b"], min(pair["only_a"], pair["only_b"])
            exact = min(1, 2 * sum(comb(n, i) for i in range(least + 1)) / 2**n)
            self.assertAlmostEqual(pair["p_value"], exact, places=9)
        # photos that either has learned from do not count
        pair = self.json("evaluate", "a.onnx", "b.onnx", "photos")
        counts = [self.json("evaluate", model, "photos")["count"] for model in ("a.onnx", "b.onnx")]
        self.assertLess(pair["count"], min(counts))
        self.assertGreaterEqual(pair["count"], 12)
        self.assertEqual(pair["a"]["count"], pair["count"])
        self.assertEqual(pair["b"]["count"], pair["count"])
        same = self.json("evaluate", "a.onnx", "a.onnx", "photos")
        self.assertEqual((same["only_a"], same["only_b"], same["p_value"]), (0, 0, 1))
        self.assertIn("can be luck", self.good("evaluate", "a.onnx", "a.onnx", "photos").stdout)

    def test_refused(self):
        self.models()
        self.bad(2, "evaluate", "a.onnx", "b.onnx", "f.h5", "--batch", "4", says="a feature file")
        self.bad(2, "evaluate", "a.onnx", "b.onnx", "photos", "--svg", "x.svg", says="one by one")
        self.bad(1, "evaluate", "a.onnx", MODEL, "photos", says="")


if __name__ == "__main__":
    main()
