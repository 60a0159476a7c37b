"""What a script goes by: the exit code, and a standard output that is empty unless it is an answer."""
import json

from program import MODEL, Case, main, photos, run

DONE, FAILED, WRONG, SKIPPED = 0, 1, 2, 3


class ExitCodes(Case):
    def setUp(self):
        super().setUp()
        photos(self.here / "good", n=8)
        photos(self.here / "some", n=8)
        (self.here / "some" / "across" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
        for name in ("across", "down"):
            (self.here / "bad" / name).mkdir(parents=True)
            for i in range(6):
                (self.here / "bad" / name / f"{i}.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
        self.one, self.other = self.here / "good/across/00.png", self.here / "some/across/broken.png"
        self.call(DONE, "extract", MODEL, "good", "-o", "good.h5")
        self.call(DONE, "train", "good.h5", "-o", "m.onnx", "--cv", "2")

    def call(self, code, *words):
        result = run(*words, cwd=self.here)
        with self.subTest(words=[str(w) for w in words]):
            self.assertEqual(result.returncode, code, result.stderr)
            if code in (FAILED, WRONG):
                self.assertEqual(result.stdout, "")
                self.assertRegex(result.stderr, r"(?m)^engraft")
        return result

    def test_skipped_inputs(self):
        """Some of the photos cannot be read: done, each listed, 3. None can: 1, and nothing is written."""
        listed = (("extract", MODEL, "some", "-o", "some.h5"),
                  ("train", "some", "--model", MODEL, "-o", "some.onnx", "--cv", "2"),
                  ("tune", MODEL, "some", "-o", "tuned.onnx", "--unfreeze", "none", "--epochs", "1", "--effort", "fast"),
                  ("cuts", MODEL, "some"), ("evaluate", "m.onnx", "some", "--rows", "all"), ("predict", "m.onnx", "some"),
                  ("audit", "some", "--model", MODEL, "-o", "audited.h5"),
                  ("classify", MODEL, self.one, self.other), ("explain", "m.onnx", self.one, self.other, "-o", "maps"),
                  ("similar", "good.h5", self.one, self.other))
        for words in listed:
            result = self.call(SKIPPED, *words)
            self.assertIn("broken.png", result.stderr, words)
        for words in listed:
            worse = ["bad" if word == "some" else self.other if word == self.one else word for word in words]
            worse = [str(word).replace("some.", "none.").replace("audited", "none").replace("tuned", "none") for word in worse]
            self.call(FAILED, *worse)
            self.assertEqual(list(self.here.glob("none*.onnx")), [], worse)

    def test_wrong_command_lines(self):
        for words in (("train",), ("train", "good.h5"), ("extract", MODEL, "good"), ("classify", MODEL), ("nothing",),
                      ("predict", "m.onnx", "good", "--nothing"), ("train", "good.h5", "-o", "x.onnx", "--cv", "many"),
                      ("info",), ("rows",), ("merge", "-o", "x.h5"), ("convert", MODEL), ("explain", "m.onnx"),
                      ("similar", "good.h5"), ("bench", MODEL, "--batch", "0"), ("tune", MODEL, "good")):
            self.call(WRONG, *words)

    def test_no_input(self):
        """What is named is not there, or is something else."""
        for words in (("info", "none.h5"), ("train", "none.h5", "-o", "x.onnx"), ("evaluate", "none.onnx", "good"),
                      ("evaluate", "m.onnx", "none"), ("predict", "m.onnx", "none"), ("predict", "good.h5", "good"),
                      ("classify", "none.onnx", self.one), ("classify", MODEL, "none.png"), ("extract", MODEL, "none", "-o", "x.h5"),
                      ("rows", "none.h5"), ("merge", "-o", "x.h5", "none.h5"), ("explain", "m.onnx", "none.png"),
                      ("similar", "good.h5", "none.png"), ("audit", "none.h5"), ("inspect", "none.onnx"),
                      ("convert", "none.onnx", "-o", "x.onnx"), ("bench", "none.onnx"), ("tune", MODEL, "none", "-o", "x.onnx"),
                      ("cuts", MODEL, "none")):
            self.call(FAILED, *words)

    def test_an_output_that_is_there(self):
        before = (self.here / "m.onnx").read_bytes()
        self.call(FAILED, "train", "good.h5", "-o", "m.onnx")
        self.call(FAILED, "convert", MODEL, "-o", "m.onnx")
        self.assertEqual((self.here / "m.onnx").read_bytes(), before)
        self.call(DONE, "convert", MODEL, "-o", "m.onnx", "--force")

    def test_standard_output_is_one_document(self):
        for words in (("models",), ("inspect", MODEL), ("info", "good.h5"), ("evaluate", "m.onnx", "good", "--rows", "all"),
                      ("predict", "m.onnx", "good"), ("classify", MODEL, self.one), ("similar", "good.h5", self.one),
                      ("audit", "good.h5"), ("bench", MODEL, "--repeat", "1")):
            json.loads(self.call(DONE, *words, "--json").stdout)


if __name__ == "__main__":
    main()
