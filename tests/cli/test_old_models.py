"""Models of version 0.1 are evaluated as 0.1 did: on the test rows of its own split
(tests/golden/models/make_old_models.py made them and printed these figures)."""
from program import SOURCE, Case, main

FOLDER = SOURCE / "tests/golden/models"


class OldModels(Case):
    def test_the_old_split_is_found_again(self):
        for name, accuracy in (("logistic_0.1", 20 / 24), ("svm_0.1", 16 / 24)):
            report = self.json("evaluate", FOLDER / f"{name}.onnx", FOLDER / "matrix_0.1.h5")
            self.assertEqual((report["rows"], report["count"], report["trained_here"]), ("test", 24, True))
            self.assertAlmostEqual(report["accuracy"], accuracy, places=6)

    def test_they_can_be_gone_on_from(self):
        report = self.json("train", FOLDER / "matrix_0.1.h5", "--from", FOLDER / "svm_0.1.onnx", "-o", self.here / "new.onnx")
        self.assertEqual(report["classifier"], "svm")


main()
