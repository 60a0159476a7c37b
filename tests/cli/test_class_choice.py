"""Classes by choice: kept, left out, renamed, merged, on the features that are there."""
from program import MODEL, Case, main, photo


class ClassChoice(Case):
    def four(self):
        for kind, name in enumerate(("across", "down", "dots", "noise")):
            (self.here / "photos" / name).mkdir(parents=True)
            for i in range(8):
                photo(self.here / "photos" / name / f"{i:02d}.png", min(kind, 2), 100 * kind + i)
        self.good("extract", MODEL, "photos", "-o", "f.h5")

    def train(self, *words):
        return self.json("train", "f.h5", "-o", "m.onnx", "--force", "--scale", "unit", "--C", "1", *words)

    def test_choices(self):
        self.four()
        self.assertEqual(self.train("--classes", "down,across")["classes"], ["across", "down"])
        dropped = self.train("--drop", "noise", "--drop", "dots")
        self.assertEqual((dropped["classes"], dropped["left_out"]), (["across", "down"], 16))
        self.assertEqual(self.train("--rename", "across=a=b")["classes"], ["a=b", "dots", "down", "noise"])
        merged = self.train("--merge", "across+down=lines", "--drop", "noise")
        self.assertEqual(merged["classes"], ["lines", "dots"])
        self.assertEqual(merged["train_count"] + merged["test_count"], 24)
        # evaluation does the same to the classes of the data, file or folder
        for data in ("f.h5", "photos"):
            found = self.json("evaluate", "m.onnx", data)
            self.assertEqual((found["classes"], found["rows"], found["trained_here"]), (["lines", "dots"], "test", True))
            self.assertEqual(found["accuracy"], merged["test_accuracy"])
        tested = self.train("--merge", "across+down=lines", "--drop", "noise", "--test", "f.h5")
        self.assertEqual(tested["test_count"], 24)

    def test_photos_are_chosen_before_they_are_extracted(self):
        self.four()
        self.bad(1, "train", "photos", "--model", MODEL, "-o", "n.onnx", "--classes", "across", says="only class")
        self.assertFalse((self.here / "n.h5").exists())

    def test_refused(self):
        self.four()
        for words in (("--classes", "acros,down"), ("--drop", "acros"), ("--rename", "acros=x"), ("--merge", "acros+down=x")):
            self.bad(2, "train", "f.h5", "-o", "m.onnx", *words, says="there is no class 'acros'")
        self.bad(2, "train", "f.h5", "-o", "m.onnx", "--merge", "across+down", says="OLD+OLD=NEW")
        self.bad(2, "train", "f.h5", "-o", "m.onnx", "--rename", "=x", says="OLD=NEW")
        self.bad(1, "train", "f.h5", "-o", "m.onnx", "--drop", "across,down,dots,noise", says="no class is left")


if __name__ == "__main__":
    main()
