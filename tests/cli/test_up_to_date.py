"""train IMAGES keeps its features, and brings them up to date when the photos change."""
import os
import shutil

from program import MODEL, Case, main, photo, photos


class UpToDate(Case):
    def setUp(self):
        super().setUp()
        photos(self.here / "photos", n=8)
        self.age()

    def age(self):
        """Files that have just been written are not told by their times."""
        for file in self.here.glob("photos/*/*"):
            os.utime(file, ns=(0, file.stat().st_mtime_ns - 3600 * 10**9))

    def train(self, *more, says):
        done = self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--cv", "2", "--force", *more)
        self.assertIn(says, done.stderr)
        return done.stderr

    def test_what_changed_is_told_and_only_that_is_computed(self):
        self.assertNotIn("gone", self.train(says="features of 16 photos are in m.h5\n"))
        here = self.here / "photos"
        shutil.copyfile(here / "down/00.png", here / "across/00.png")  # replaced under the same name
        photo(here / "across/new.png", 0, 77)
        (here / "across/01.png").rename(here / "down/moved.png")
        (here / "down/02.png").unlink()
        self.train(says="features of 16 photos are in m.h5: 1 new, 1 changed, 1 moved, 1 gone\n")
        self.assertEqual(self.json("info", "m.h5")["history"][-1]["rows"], 2)
        self.train(says="features of 16 photos are in m.h5\n")
        self.good("info", "m.h5", "--check", "--recompute", "16")

    def test_photos_that_have_not_changed_are_not_read(self):
        self.train(says="16 photos")
        file = self.here / "photos/across/00.png"
        was = file.stat()
        file.write_bytes(bytes(was.st_size))  # a photo no more, but of the same size and time
        os.utime(file, ns=(0, was.st_mtime_ns))
        self.train(says="features of 16 photos are in m.h5\n")
        os.utime(file, ns=(0, was.st_mtime_ns + 10**9))
        done = self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--cv", "2", "--force", code=3)
        self.assertIn("features of 15 photos are in m.h5: 1 changed\n", done.stderr)

    def test_force_is_for_the_model_and_fresh_for_the_features(self):
        self.train(says="16 photos")
        made = self.json("info", "m.h5")["history"]
        self.train(says="features of 16 photos are in m.h5\n")
        again = self.json("info", "m.h5")["history"]
        self.assertEqual(sum(run["rows"] for run in again), sum(run["rows"] for run in made))
        self.train("--fresh", says="features of 16 photos are in m.h5\n")
        self.assertEqual(len(self.json("info", "m.h5")["history"]), 1)

    def test_what_is_not_the_same_is_refused_before_anything_is_written(self):
        self.train(says="16 photos")
        held = (self.here / "m.h5").read_bytes()
        words = ["--model", MODEL, "-o", "m.onnx", "--force", "--cv", "2"]
        photos(self.here / "more", classes=("x", "y", "across"), n=9)
        self.bad(1, "train", "more", *words, says="--fresh")
        self.bad(1, "train", "photos", *words, "--size", "192", says="--fresh")
        self.bad(1, "train", "photos", *words, "--cut", "#20:avg", says="--fresh")
        self.assertEqual((self.here / "m.h5").read_bytes(), held)

    def test_extract_names_append(self):
        self.good("extract", MODEL, "photos", "-o", "f.h5")
        photo(self.here / "photos/down/new.png", 1, 5)
        self.bad(1, "extract", MODEL, "photos", "-o", "f.h5", says="--append")
        self.bad(1, "extract", MODEL, "photos", "-o", "f.h5", "--dtype", "f16", says="--force")


if __name__ == "__main__":
    main()
