"""Rows that a model learned from are never counted, whatever has changed since; classes that are
empty, photos that are there twice."""
import shutil

from program import MODEL, Case, main, photo


class HonestRows(Case):
    def test_training_rows_are_left_out(self):
        self.features()
        trained = self.json("train", "f.h5", "-o", "m.onnx")
        self.assertEqual(trained["train_count"] + trained["test_count"], 24)
        known = self.json("evaluate", "m.onnx", "f.h5")
        self.assertEqual((known["rows"], known["count"], known["trained_here"]), ("test", trained["test_count"], True))
        self.assertEqual(known["accuracy"], trained["test_accuracy"])
        # photos come, go, move
        for i in range(3):
            photo(self.here / "photos/across" / f"new{i}.png", 0, 900 + i)
        shutil.move(self.here / "photos/down/05.png", self.here / "photos/down/moved.png")
        (self.here / "photos/across/02.png").unlink()
        self.good("extract", MODEL, "photos", "-o", "f.h5", "--append")
        for data in ("f.h5", "photos"):
            now = self.json("evaluate", "m.onnx", data)
            self.assertEqual(now["rows"], "test", data)
            gone_was_test = trained["train_count"] - now["left_out"]
            self.assertIn(gone_was_test, (0, 1), data)
            self.assertEqual(now["count"] + now["left_out"], 26, data)
            every = self.json("evaluate", "m.onnx", data, "--rows", "all")
            self.assertEqual((every["rows"], every["count"], every["left_out"]), ("all", 26, 0), data)
        self.assertIn("others are left out", self.good("evaluate", "m.onnx", "photos").stdout)

    def test_folder_and_file_agree(self):
        """The test rows of a folder are those of the file in another order."""
        self.features()
        self.good("train", "f.h5", "-o", "m.onnx")
        shutil.move(self.here / "photos/across/00.png", self.here / "photos/across/zz.png")
        one, other = self.json("evaluate", "m.onnx", "f.h5"), self.json("evaluate", "m.onnx", "photos")
        self.assertTrue(other["trained_here"])
        self.assertEqual(one["count"], other["count"])
        self.assertEqual(one["confusion"], other["confusion"])

    def test_learned_from_all(self):
        self.features()
        self.good("train", "f.h5", "-o", "m.onnx", "--test", "0")
        self.bad(1, "evaluate", "m.onnx", "photos", says="learned from every row")
        (self.here / "photos/across/02.png").unlink()
        self.bad(1, "evaluate", "m.onnx", "photos", says="learned from every row")
        photo(self.here / "photos/across/new.png", 0, 900)
        self.assertEqual(self.json("evaluate", "m.onnx", "photos")["count"], 1)

    def test_empty_class_drops_out(self):
        self.features()
        (self.here / "photos/leer").mkdir()
        done = self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--json")
        left_out = "class 'leer' has no photo and is left out"
        self.assertEqual(done.stderr.count(left_out), 1)
        self.assertLess(done.stderr.index(left_out), done.stderr.index("features of"))  # before the long work
        self.assertIn('"empty_classes"', done.stdout)
        self.assertEqual(self.json("evaluate", "m.onnx", "photos")["rows"], "test")

    def test_too_few_photos_are_told_at_once(self):
        self.features()
        (self.here / "photos/rare").mkdir()
        photo(self.here / "photos/rare/one.png", 0, 7)
        self.bad(1, "train", "photos", "--model", MODEL, "-o", "m.onnx", says="class 'rare' has 1 photos")
        self.assertFalse((self.here / "m.h5").exists())

    def test_the_same_photo_in_two_classes(self):
        self.features()
        shutil.copy(self.here / "photos/across/00.png", self.here / "photos/down/same.png")
        done = self.good("train", "photos", "--model", MODEL, "-o", "m.onnx")
        self.assertEqual(done.stderr.count("down/same.png"), 1)


main()
