"""A network that gives features is not asked for classes, and what it gives is not called so."""
from program import SOURCE, Case, main, photo

TRAINED = SOURCE / "tests/golden/models/card_0_1.onnx"


class NoClassifier(Case):
    def test_features_are_not_called_probabilities(self):
        photo(self.here / "a.png", 1, 1)
        self.good("predict", TRAINED, "a.png")
        self.good("convert", TRAINED, "--cut", "relu", "-o", "cut.onnx")
        self.assertIsNone(self.json("info", "cut.onnx")["metadata"].get("engraft.classifier"))
        for command in ("classify", "predict"):
            self.bad(1, command, "./cut.onnx", "a.png", says="has no classifier")
        self.assertEqual(self.json("info", "cut.onnx")["classes"], [])
        said = self.good("convert", "./cut.onnx", "-o", "again.onnx")
        self.assertIn("output features", said.stdout + said.stderr)
        written = (self.here / "again.onnx").read_bytes()
        self.assertIn(b"features", written)
        self.assertNotIn(b"probabilities", written)
        self.assertEqual(self.json("info", "again.onnx")["metadata"]["engraft.cut"], "relu")


if __name__ == "__main__":
    main()
