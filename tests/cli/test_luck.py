"""How much of a figure is luck: other folds, nested folds, a standard error; and few photos compared one by one."""
from program import MODEL, Case, main, photos


class Luck(Case):
    def test_repeats_and_nested(self):
        self.features()
        done = self.json("train", "f.h5", "-o", "m.onnx", "--repeats", "4", "--nested")
        self.assertEqual(len(done["repeats"]), 4)
        self.assertEqual(done["repeats"][0], done["cv_accuracy"])
        self.assertAlmostEqual(done["cv_mean"], sum(done["repeats"]) / 4, 9)
        self.assertTrue(0 <= done["nested"] <= 1)
        again = self.json("train", "f.h5", "-o", "m.onnx", "--force")
        self.assertEqual((again["C"], again["test_accuracy"]), (done["C"], done["test_accuracy"]))
        self.assertFalse({"repeats", "nested"} & set(again))
        for words in (("--classifier", "forest", "--trees", "20"), ("--multi-label",)):
            done = self.json("train", "f.h5", "-o", "m.onnx", "--force", "--repeats", "2", "--nested", *words)
            self.assertEqual((len(done["repeats"]), done["repeats"][0]), (2, done["cv_accuracy"]))
            self.assertTrue(0 <= done["nested"] <= 1)
        self.bad(1, "train", "f.h5", "-o", "m.onnx", "--force", "--classifier", "mlp", "--repeats", "2", says="mlp")

    def test_one_standard_error(self):
        self.features()
        words = ("train", "f.h5", "-o", "m.onnx", "--force", "--scale", "none", "--C", "1e-9,1e-6,1e-3,1,1000")
        done, simple = self.json(*words), self.json(*words, "--one-se")
        best = max(point["cv_accuracy"] for point in done["grid"])
        error = (best * (1 - best) / done["train_count"]) ** 0.5
        least = min(point["C"] for point in done["grid"] if point["cv_accuracy"] >= best - error)
        self.assertEqual(simple["C"], least)
        self.assertEqual(simple["cv_accuracy"], next(p["cv_accuracy"] for p in done["grid"] if p["C"] == least))

    def test_few_photos_are_held_out_one_by_one(self):
        photos(self.here / "photos", n=3)
        done = self.json("train", "photos", "--model", MODEL, "-o", "m.onnx", "--classifier", "auto", "--test", "0")
        self.assertEqual((done["folds"], done["train_count"]), (6, 6))
        self.assertEqual({c["classifier"] for c in done["compared"]}, {"centroid", "lda", "logistic", "svm"})
        self.assertEqual(done["classifier"], done["compared"][0]["classifier"])
        self.assertIn("one by one", self.good("train", "m.h5", "-o", "m.onnx", "--force", "--classifier", "auto", "--test", "0").stdout)
        wide = ("train", "photos", "--model", MODEL, "--cut", "#100:flatten", "-o", "w.onnx", "--classifier", "auto", "--test", "0")
        found = {c["classifier"]: c["length"] for c in self.json(*wide)["compared"]}
        self.assertGreater(found["centroid"], 8192)  # whose covariance is not inverted
        self.assertEqual(set(found), {"centroid", "logistic", "svm"})
        photos(self.here / "ones", n=1)
        done = self.json("train", "ones", "--model", MODEL, "-o", "o.onnx", "--classifier", "auto")
        self.assertEqual((done["classifier"], done["folds"], done["cv_accuracy"]), ("centroid", 1, None))
        self.features()
        done = self.json("train", "f.h5", "-o", "n.onnx", "--classifier", "auto")
        self.assertEqual({c["classifier"] for c in done["compared"]}, {"logistic", "svm"})


if __name__ == "__main__":
    main()
