"""engraft explain's exact maps against numpy: the trained file's own weights, by onnx, and the activations of
its last map; and what a map is for: taking away its largest part lowers the score."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import MODEL, SOURCE, Case, main, photo, photos

try:
    import h5py
    import numpy as np
    import onnx
    from onnx import numpy_helper
except ImportError as missing:
    print(f"not compared with numpy: {missing}")
    sys.exit(77)

MIDDLE = "_blocks.9.add"  # [14][14][112]


class Head:
    """score_k = (W u + b)_k by the constants of the file behind `start`."""

    def __init__(self, path):
        model = onnx.load(path)
        self.scale = next(p.value for p in model.metadata_props if p.key == "engraft.scale")
        self.order = next(p.value for p in model.metadata_props if p.key == "engraft.order")
        constants = {i.name: numpy_helper.to_array(i).astype(float) for i in model.graph.initializer}
        by_output = {o: n for n in model.graph.node for o in n.output}
        at = by_output["probabilities"]
        self.a, self.c = 1.0, 0.0
        at = by_output[at.input[0]]
        if at.op_type in ("Max", "Sigmoid", "Div"):  # SVM: each class's sigmoid
            while at.op_type != "Sigmoid":
                at = by_output[at.input[0]]
            at = by_output[at.input[0]]
        while at.op_type in ("Mul", "Add"):
            value = constants[at.input[1]]
            if at.op_type == "Mul":
                self.a = self.a * value
            else:
                self.c = self.c + self.a * value
            at = by_output[at.input[0]]
        assert at.op_type == "Gemm", at
        self.w, self.b = constants[at.input[1]], constants[at.input[2]]
        assert next(x.i for x in at.attribute if x.name == "transB") == 1
        if self.scale == "standard":
            scaled = by_output[at.input[0]]
            while scaled.op_type == "Flatten":
                scaled = by_output[scaled.input[0]]
            spread = constants[scaled.input[1]].ravel()
            mean = constants[by_output[scaled.input[0]].input[1]].ravel()
            self.b = self.b - self.w @ (spread * mean)
            self.w = self.w * spread

    def scores(self, x):
        norm = {"unit": np.sqrt((x * x).sum()), "root": np.sqrt(np.abs(x).sum())}.get(self.scale, 1)
        u = np.sign(x) * np.sqrt(np.abs(x)) if self.scale == "root" else x
        return self.a * (self.w @ (u / norm) + self.b) + self.c

    def map(self, values, k, averaged):
        """values [h][w][c]; the map, and the score's rest."""
        h, w, c = values.shape
        x = values.mean((0, 1)) if averaged else (values if self.order == "hwc" else values.transpose(2, 0, 1)).ravel()
        gain = self.w.copy()
        if self.scale == "unit":
            gain = gain / np.sqrt((x * x).sum())
        if self.scale == "root":
            root = np.sqrt(np.abs(x))
            gain = gain * np.divide(1, root, out=np.zeros_like(root), where=root > 0) / np.sqrt(np.abs(x).sum())
        gain = np.broadcast_to(self.a, (len(self.w),))[:, None] * gain
        bias = np.broadcast_to(self.a * self.b + self.c, (len(self.w),))
        if len(self.w) == 2:
            gain, bias = gain - gain[::-1], bias - bias[::-1]
        if averaged:
            parts = (values * gain[k]).sum(2) / (h * w)
        else:
            g = gain[k].reshape(h, w, c) if self.order == "hwc" else gain[k].reshape(c, h, w).transpose(1, 2, 0)
            parts = (values * g).sum(2)
        return parts, bias[k]


class Explain(Case):
    def prepared(self):
        photos(self.here / "photos", ("across", "down", "dots"), n=8)
        (self.here / "new").mkdir()
        for i in range(3):
            photo(self.here / "new" / f"{i}.png", i, 500 + i)
        layers = [l["name"] for l in self.json("inspect", MODEL)["layers"]]
        self.last = layers[layers.index("avgpool") - 1]  # the map that the network's own pooling averages
        self.good("extract", MODEL, "photos", "-o", "f.h5", "--cut", "avgpool", "--cut", f"{MIDDLE}:avg", "--cut", MIDDLE)
        self.good("extract", MODEL, "new", "-o", "new.h5", "--cut", self.last, "--cut", MIDDLE, "--order", "hwc")
        with h5py.File(self.here / "new.h5") as f:
            shapes = {name: tuple(map(int, f[f"cuts/{name}"].attrs["shape"])) for name in (self.last, MIDDLE)}
            self.values = {name: f[f"cuts/{name}"][:].astype(float).reshape(-1, *shapes[name]) for name in shapes}

    def check(self, file, cut, name, *how):
        self.good("train", file, "-o", "m.onnx", "--cv", "2", "--force", "--features", cut, *how)
        averaged = cut != MIDDLE
        head, values = Head(self.here / "m.onnx"), self.values[self.last if cut == "avgpool" else MIDDLE]
        found = self.json("explain", "m.onnx", "new", "--class", name)
        self.assertEqual(len(found), 3)
        for i, e in enumerate(found):
            k = e["index"]
            parts, bias = head.map(values[i], k, averaged)
            self.assertEqual((e["method"], e["label"]), ("exact", name))
            np.testing.assert_allclose(e["map"], parts, atol=1e-5 * max(1, np.abs(parts).max()))
            self.assertAlmostEqual(e["bias"], bias, delta=1e-5 * max(1, abs(bias)))
            x = values[i].mean((0, 1)) if averaged else (values[i] if head.order == "hwc" else values[i].transpose(2, 0, 1)).ravel()
            scores = head.scores(x)
            score = scores[k] - (scores[1 - k] if len(scores) == 2 else 0)
            self.assertAlmostEqual(e["score"], score, delta=1e-5 * max(1, abs(score), abs(bias)))
            self.assertAlmostEqual(np.sum(e["map"]) + e["bias"], e["score"], delta=1e-4 * max(1, abs(score)))

    def test_the_map_is_the_sum_that_the_score_is(self):
        self.prepared()
        names = ["across", "down", "dots"] * 4
        for scale in ("none", "unit", "standard", "root"):
            for cut in ("avgpool", f"{MIDDLE}:avg", MIDDLE):
                with self.subTest(scale=scale, cut=cut):
                    self.check("f.h5", cut, names.pop(), "--scale", scale)
        with self.subTest(classifier="svm"):
            self.check("f.h5", f"{MIDDLE}:avg", "dots", "--scale", "unit", "--classifier", "svm")
        (self.here / "photos/dots").rename(self.here / "dots")
        self.good("extract", MODEL, "photos", "-o", "two.h5", "--cut", "avgpool", "--cut", MIDDLE)
        for how in (["--scale", "unit"], ["--scale", "root"], ["--scale", "unit", "--classifier", "svm"]):
            for name in ("across", "down"):
                with self.subTest(how=how, classes=2):
                    self.check("two.h5", "avgpool", name, *how)
        self.check("two.h5", MIDDLE, "down", "--scale", "root")
        top = [a["top"][0] for a in self.json("classify", MODEL, "new")]
        for i, e in enumerate(self.json("explain", MODEL, "new")):  # its own thousand classes
            self.assertEqual((e["method"], e["label"]), ("exact", top[i]["label"]))
            self.assertEqual(np.shape(e["map"]), self.values[self.last].shape[1:3])
            self.assertAlmostEqual(np.sum(e["map"]) + e["bias"], e["score"], delta=1e-4)

    def test_taking_away_the_largest_part_lowers_the_score(self):
        """Of ten real photos: the 20 % of the positions that spoke most are painted over, against any 20 %."""
        from PIL import Image

        for name in ("bird", "flower", "fruit"):
            (self.here / "real" / name).mkdir(parents=True)
            for i, path in enumerate(sorted((SOURCE / "examples/photos" / name).iterdir())[:20]):
                image = Image.open(path).convert("RGBA").resize((256, 256))
                white = Image.new("RGBA", image.size, "white")
                white.alpha_composite(image)
                white.convert("RGB").save(self.here / "real" / name / f"{i:02}.png")
        self.good("train", "real", "--model", MODEL, "-o", "m.onnx", "--cv", "2", "--scale", "root", "--test", "0")
        chosen = sorted((self.here / "real").rglob("*.png"))[::6][:10]
        rng, edge = np.random.default_rng(1), 16  # the recipe keeps 224 x 224 of the 256 x 256
        for e, path in zip(self.json("explain", "m.onnx", *chosen), chosen):
            parts = np.array(e["map"])
            h, w = parts.shape
            n, size = round(0.2 * h * w), 224 // h
            picture = np.array(Image.open(path))
            (self.here / "gone" / e["label"]).mkdir(parents=True, exist_ok=True)
            for i in range(4):
                gone = picture.copy()
                for p in np.argsort(parts.ravel())[::-1][:n] if not i else rng.choice(h * w, n, replace=False):
                    y, x = edge + p // w * size, edge + p % w * size
                    gone[y : y + size, x : x + size] = 255
                Image.fromarray(gone).save(self.here / "gone" / e["label"] / f"{path.parent.name}-{path.stem}-{i}.png")
        scores = []
        for name in ("bird", "flower", "fruit"):
            if (self.here / "gone" / name).exists():
                scores += [e["score"] for e in self.json("explain", "m.onnx", f"gone/{name}", "--class", name)]
        scores = np.reshape(scores, (10, 4))
        self.assertGreaterEqual((scores[:, 0] < scores[:, 1:].mean(1)).sum(), 9, scores)


if __name__ == "__main__":
    main()
