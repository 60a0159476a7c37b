"""Classifiers that are worked out: from one photo of each class on."""
from program import MODEL, Case, main, photos


class FewPhotos(Case):
    def test_one_of_each(self):
        photos(self.here / "photos", n=1)
        for classifier in ("centroid", "lda"):
            done = self.json("train", "photos", "--model", MODEL, "-o", f"{classifier}.onnx", "--classifier", classifier)
            self.assertEqual((done["C"], done["objective"], done["cv_accuracy"], done["scale"]), (None, None, None, "unit"))
            self.assertEqual((done["grid"], done["train_count"], done["test_count"]), ([], 2, 0))
            found = self.json("predict", f"{classifier}.onnx", "photos")
            self.assertEqual([row["top"][0]["label"] for row in found], ["across", "down"])
        self.bad(1, "train", "photos", "--model", MODEL, "-o", "m.onnx", says="fewer than the 2 folds")

    def test_scale_by_folds(self):
        self.features()
        for classifier in ("centroid", "lda"):
            done = self.json("train", "f.h5", "-o", "m.onnx", "--force", "--classifier", classifier)
            self.assertEqual([s["scale"] for s in done["scales"]], ["none", "unit", "root", "standard"])
            self.assertEqual(max(s["cv_accuracy"] for s in done["scales"]), done["cv_accuracy"])
            again = self.json("evaluate", "m.onnx", "f.h5")
            self.assertEqual(again["accuracy"], done["test_accuracy"])
        self.bad(2, "train", "f.h5", "-o", "n.onnx", "--classifier", "lda", "--C", "1", says="--C is not for")


if __name__ == "__main__":
    main()
