"""Views of a photo and several networks in one classifier, in onnxruntime: the file has one image, gives
what predict gives, and its features are the means of what the network alone gives of each view."""
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import MODEL, Case, main, photos, png

try:
    import h5py
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as missing:
    print(f"not compared with onnxruntime: {missing}")
    sys.exit(77)

SIDE, CROP = 256, 224


def session(path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class ViewsAndNetworks(Case):
    def setUp(self):
        super().setUp()
        photos(self.here / "photos", n=6)
        rng = np.random.default_rng(7)
        self.squares = rng.integers(0, 256, (4, SIDE, SIDE, 3), dtype=np.uint8)
        self.squares[:2, ::3, : SIDE // 2] = 30
        (self.here / "squares").mkdir()
        for i, square in enumerate(self.squares):
            png(self.here / "squares" / f"{i}.png", square.tobytes(), SIDE, SIDE)

    def crops(self, views):
        """[views][4][3][224][224] of the squares."""
        images = self.squares.transpose(0, 3, 1, 2).astype(np.float32)
        edge, middle = SIDE - CROP, (SIDE - CROP) // 2
        places = [(middle, middle)] if views == "flip" else [(0, 0), (0, edge), (edge, 0), (edge, edge), (middle, middle)]
        cut = [images[:, :, y : y + CROP, x : x + CROP] for y, x in places]
        return cut + [cut[0][..., ::-1]] if views == "flip" else cut

    def same_as_predict(self, model, images, mean=127, std=128):
        onnx.checker.check_model(onnx.load(self.here / model), full_check=True)
        images = images.astype(np.float32)
        np.save(self.here / "images.npy", (images - mean) / std)
        peer = session(self.here / model)
        self.assertEqual([i.name for i in peer.get_inputs()], ["image"])
        labels, probabilities = peer.run(["label", "probabilities"], {"image": images})
        ours = self.json("predict", model, "images.npy", "--top", "2", "--quiet")
        self.assertEqual(len(ours), len(images))
        for row, label, shares in zip(ours, labels, probabilities):
            self.assertEqual(row["top"][0]["index"], label)
            for answer in row["top"]:
                self.assertAlmostEqual(answer["probability"], shares[answer["index"]], delta=1e-4)
        return probabilities

    def test_views(self):
        self.good("convert", MODEL, "-o", "plain.onnx", "--cut", "avgpool", "--quiet")
        plain = session(self.here / "plain.onnx")
        for views in "flip", "five":
            with self.subTest(views=views):
                self.good("extract", MODEL, "squares", "-o", f"f-{views}.h5", "--views", views, "--quiet",
                          "--cut", "avgpool", "--cut", "_blocks.10:max")
                want = np.mean([plain.run(None, {"image": np.ascontiguousarray(view)})[0] for view in self.crops(views)], 0)
                with h5py.File(self.here / f"f-{views}.h5") as file:
                    np.testing.assert_allclose(file["features"][:], want, atol=2e-4 * np.abs(want).max())
                    self.assertIn(f'"views":"{views}"', str(file["network"].attrs["recipe"]))
                report = self.json("train", "photos", "--model", MODEL, "--views", views, "-o", f"{views}.onnx", "--quiet", "--C", "1", "--scale", "unit")
                size = SIDE if views == "five" else CROP
                images = self.squares.transpose(0, 3, 1, 2)[:, :, :size, :size]
                found = self.same_as_predict(f"{views}.onnx", images)
                if views == "flip":
                    mirrored = self.same_as_predict(f"{views}.onnx", images[..., ::-1])
                    np.testing.assert_allclose(found, mirrored, atol=1e-5)
                judged = self.json("evaluate", f"{views}.onnx", "photos", "--rows", "test", "--quiet")
                self.assertEqual(judged["accuracy"], report["test_accuracy"])
                # the trained network is taken up again: it has its views in it
                self.good("extract", f"{views}.onnx", "squares", "-o", f"again-{views}.h5", "--cut", "avgpool", "--quiet")
                with h5py.File(self.here / f"again-{views}.h5") as file:
                    np.testing.assert_allclose(file["features"][:], want, atol=2e-4 * np.abs(want).max())
                self.bad(1, "explain", f"{views}.onnx", "squares/0.png", "-o", "maps", says="views")

    def test_views_are_not_mixed(self):
        self.good("extract", MODEL, "photos", "-o", "f.h5", "--quiet")
        self.bad(1, "extract", MODEL, "photos", "-o", "f.h5", "--quiet", "--views", "flip", says="recipe")
        self.bad(1, "extract", MODEL, "photos", "-o", "g.h5", "--quiet", "--views", "five", "--preprocess", "keras-tf", says="five views")

    def test_two_networks(self):
        """The second has another normalisation, with its channels in the other order."""
        self.good("convert", MODEL, "-o", "b.onnx", "--cut", "_blocks.12:avg", "--preprocess", "keras-caffe", "--quiet")
        for options in [], ["--views", "flip"], ["--features", "auto"], ["--classifier", "forest", "--trees", "20"]:
            with self.subTest(options=options):
                report = self.json("train", "photos", "--model", MODEL, "--model", "b.onnx", "-o", "m.onnx", "--force", "--fresh", "--quiet", *options)
                images = self.squares.transpose(0, 3, 1, 2)[:, :, :CROP, :CROP]
                both = [0, 1] if "joined" in report else []  # else the first alone was chosen, with its own numbers
                self.assertTrue(both or "auto" in options)
                self.same_as_predict("m.onnx", images, *both)
                judged = self.json("evaluate", "m.onnx", "photos", "--rows", "test", "--quiet")
                self.assertEqual(judged["accuracy"], report["test_accuracy"])
        report = self.json("train", "m.h5", "m.2.h5", "-o", "again.onnx", "--quiet", "--C", "1", "--scale", "unit", "--out-of-fold", "o.csv")
        self.assertEqual([part["length"] for part in report["joined"]], [1280, 192])
        self.same_as_predict("again.onnx", self.squares.transpose(0, 3, 1, 2)[:, :, :CROP, :CROP], 0, 1)
        self.bad(1, "evaluate", "again.onnx", "m.h5", says="several networks")
        self.bad(2, "train", "m.h5", "m.2.h5", "-o", "x.onnx", "--from", "again.onnx", says="--from")
        self.bad(1, "explain", "again.onnx", "squares/0.png", "-o", "maps")

    def test_what_bears_the_name_of_views_and_is_none(self):
        self.good("train", "photos", "--model", MODEL, "--views", "flip", "-o", "m.onnx", "--quiet", "--C", "1", "--scale", "unit")

        def spoil(change):
            model = onnx.load(self.here / "m.onnx")
            nodes = {node.name: node for node in model.graph.node}
            numbers = {tensor.name: tensor for tensor in model.graph.initializer}
            change(nodes, numbers)
            onnx.save(model, self.here / "bad.onnx")
            self.bad(1, "predict", "bad.onnx", "squares", says="engraft.views")

        def ints(name, *values):
            return lambda nodes, numbers: numbers[name].CopyFrom(onnx.numpy_helper.from_array(np.array(values, np.int64), name))

        spoil(ints("engraft.views/axes1", 2))  # upside down
        spoil(ints("engraft.views/steps", -2))
        spoil(ints("engraft.views.mean/shape", 3, -1, 1280, 1, 1))
        spoil(lambda nodes, _: nodes["engraft.views"].attribute[0].ParseFromString(onnx.helper.make_attribute("axis", 2).SerializeToString()))
        spoil(lambda nodes, _: nodes["engraft.views.mean"].attribute[0].ParseFromString(onnx.helper.make_attribute("axes", [1]).SerializeToString()))
        spoil(lambda nodes, _: nodes["engraft.views"].input.__setitem__(1, "_blocks.0._depthwise_conv" if "_blocks.0._depthwise_conv" in nodes else "avgpool"))

    def test_other_pixels_are_refused(self):
        self.good("convert", MODEL, "-o", "b.onnx", "--cut", "_blocks.12:avg", "--preprocess", "keras-caffe", "--quiet")
        self.good("extract", MODEL, "photos", "-o", "a.h5", "--quiet")
        self.good("extract", "b.onnx", "photos", "-o", "b.h5", "--quiet")
        self.bad(1, "train", "a.h5", "b.h5", "-o", "m.onnx", says="the same pixels")


if __name__ == "__main__":
    main()
