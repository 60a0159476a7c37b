"""What is printed fits the terminal; words typed wrong are answered with those that were meant; completion."""
import fcntl
import json
import os
import re
import struct
import subprocess
import termios
import unittest

from program import COMMANDS, ENGRAFT, MODEL, Case, main, photo, photos

ESCAPE = re.compile(r"\033\[[0-9;]*[mK]")


class Terminal(Case):
    def on_terminal(self, *words, columns=80, env=None):
        """Run on a terminal; (exit code, standard output, standard error): each on a terminal of its own."""
        ends = []
        try:
            ends = [os.openpty(), os.openpty()]
        except OSError as none:  # a bare root without /dev/pts
            self.skipTest(f"no pseudo-terminals here: {none}")
        for here, there in ends:
            fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
        child = subprocess.Popen([ENGRAFT, *map(str, words)], cwd=self.here, stdin=subprocess.DEVNULL, stdout=ends[0][1],
                                 stderr=ends[1][1], env={**clean, "TERM": "xterm", **(env or {})})
        seen = []
        for here, there in ends:
            os.close(there)
        for here, _ in ends:  # results come in one piece at the end; messages are short
            text = b""
            try:
                while block := os.read(here, 65536):
                    text += block
            except OSError:  # the other end is closed
                pass
            os.close(here)
            seen.append(text.decode(errors="replace").replace("\r\n", "\n"))
        return (child.wait(), *seen)

    def fits(self, text, columns, words):
        for line in ESCAPE.sub("", text).split("\n"):
            for shown in line.split("\r"):
                self.assertLessEqual(len(shown), columns, (words, shown))

    def commands(self):
        names = ("a", "a class with a long name", "ein Bär", *(f"class number {i}" for i in range(10)))
        for kind, name in enumerate(names):
            (self.here / "many" / name).mkdir(parents=True)
            for i in range(6):
                photo(self.here / "many" / name / f"{i}.png", kind % 3, 40 * kind + i)
        photos(self.here / "photos", n=12)
        (self.here / "photos/down/no photo.png").write_bytes(b"nothing")
        (self.here / "photos/down/picture.tif.heic").write_bytes(b"\0\0\0\x18ftypheic")
        deep = self.here / "a folder with a rather long name/and another below it, longer still/and one more/x"
        deep.mkdir(parents=True)
        photo(deep / "photo.png", 0, 4)
        new = ["--model", MODEL, "--force", "--cv", "2"]
        return [
            *[[command, "--help"] for command in COMMANDS], *[["help", command] for command in COMMANDS], ["--help"],
            ["models"], ["inspect", MODEL], ["inspect", "densenet121"], ["inspect", "inception_v3", "--cut", "Mixed_6a"],
            ["classify", MODEL, deep], ["extract", MODEL, "photos", "-o", "f.h5"],
            ["extract", MODEL, "photos", "-o", "f.h5", "--cut", "avgpool"],
            ["rows", "f.h5", "--rows", "0:4"], ["info", "f.h5"], ["info", "f.h5", "--duplicates"], ["info", MODEL],
            ["train", "many", *new, "-o", "many.onnx"], ["train", "photos", *new, "-o", "m.onnx", "--reject", "0.1"],
            ["train", "photos", *new, "-o", "m.onnx", "--classifier", "auto"],
            ["evaluate", "m.onnx", "photos"], ["evaluate", "many.onnx", "many"],
            ["predict", "m.onnx", "photos", deep], ["predict", "m.onnx", deep, "--top", "2"], ["info", "m.onnx"],
            ["cuts", MODEL, "photos", "--cut", "avgpool", "--cv", "2"],
            ["tune", MODEL, "photos", "-o", "t.onnx", "--epochs", "2"], ["bench", MODEL, "--repeat", "1", "--layers"],
            ["convert", MODEL, "-o", "c.onnx"], ["audit", "f.h5"],
            ["train", "photos", "-o", "m.onnx", "--model", MODEL], ["train", "many", "--modle", MODEL, "-o", "x.onnx"],
        ]

    def test_nothing_is_wider_than_the_terminal(self):
        for words in self.commands():
            for columns in (80, 100) if words[0] in ("inspect", "help", "rows") else (80,):
                with self.subTest(words=words, columns=columns):
                    code, out, err = self.on_terminal(*words, columns=columns)
                    self.assertIn(code, (0, 3, 1, 2), out + err)
                    self.assertTrue(out + err)
                    self.fits(out + err, columns, words)

    def test_without_a_terminal_it_is_80_columns_and_rows_stay_whole(self):
        deep = self.here / "a folder with a rather long name" / "and another one below that is longer still"
        deep.mkdir(parents=True)
        photo(deep / "photo.png", 0, 4)
        for command in COMMANDS:
            self.fits(self.good("help", command).stdout, 80, command)
        self.fits(self.good("inspect", "densenet121").stdout, 80, "inspect")
        self.fits(self.good("inspect", "densenet121", env={"COLUMNS": "60"}).stdout, 60, "inspect")
        self.assertIn(f" {deep}/photo.png\n", self.good("classify", MODEL, deep, "--top", "1").stdout)
        done = self.bad(1, "inspect", "no/such " * 20 + "network.onnx")
        self.assertEqual(done.stderr.count("\n"), 1)

    def test_a_command_to_be_typed_stays_one(self):
        photos(self.here / "photos of things of two kinds")
        words = ["cuts", MODEL, "photos of things of two kinds", "--cut", "avgpool", "--cv", "3", "--group", "(.*)", "--models", "a-folder-of-models-that-is-not-there"]
        advice = [line for line in self.good(*words).stdout.replace("\\\n", "").splitlines() if line.startswith("  engraft train")]
        done = subprocess.run(["sh", "-c", advice[0].replace("engraft", ENGRAFT, 1)], cwd=self.here, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_colour_is_for_terminals_that_want_it(self):
        self.assertIn("\033[", self.on_terminal("inspect", "alexnet")[1])
        self.assertNotIn("\033", self.on_terminal("inspect", "alexnet", env={"NO_COLOR": "1"})[1])
        self.assertNotIn("\033", self.on_terminal("inspect", "alexnet", env={"TERM": "dumb"})[1])
        self.assertNotIn("\033", self.good("inspect", "alexnet", env={"TERM": "xterm"}).stdout)

    def test_the_confusion_matrix_has_heads_and_many_classes_a_list(self):
        self.commands()
        self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", code=3)
        text = self.good("evaluate", "m.onnx", "photos", "--rows", "all", code=3).stdout
        self.assertRegex(text, r"\n +across +down\n +across +\d+ +\d+\n +down +\d+ +\d+\n")
        done = self.good("train", "many", "--model", MODEL, "-o", "many.onnx", "--cv", "2")
        self.assertIn("most frequent confusions", done.stdout)
        listed = re.findall(r"^  (.+) -> (.+): (\d+)$", done.stdout, re.M)
        self.assertTrue(0 < len(listed) <= 10, listed)
        self.assertEqual([int(n) for *_, n in listed], sorted((int(n) for *_, n in listed), reverse=True))

    def test_what_is_rejected_is_unknown(self):
        photos(self.here / "photos", n=16)
        self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--reject", "0.4")
        answers = {a["path"]: a["top"][0] for a in self.json("predict", "m.onnx", "photos")}
        rejected = [path for path, top in answers.items() if top["index"] == -1]
        self.assertTrue(rejected)
        lines = self.good("predict", "m.onnx", "photos").stdout.splitlines()
        for path in rejected:
            self.assertRegex(next(l for l in lines if l.endswith(path)), r"^ +unknown +\S+$")

    def test_what_was_meant_is_named(self):
        for words, says in [
            (["tran"], "did you mean train?"), (["help", "predcit"], "did you mean predict?"),
            (["train", "x", "--modle", "y"], "did you mean --model"), (["train", "x", "--clasifier", "y"], "did you mean --classifier?"),
            (["inspect", "sqeezenet"], "did you mean squeezenet1_"), (["inspect", "resnet5"], "resnet50"),
            (["inspect", "alexnet", "--cut", "fature.3"], "features.3"), (["fetch", "vgg61", "--models", "m"], "vgg16"),
        ]:
            with self.subTest(words=words):
                self.bad(2, *words, says=says)
        self.assertNotIn("did you mean", self.bad(2, "xylophone").stderr)
        (self.here / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
        self.bad(2, "train", "x.h5", "-o", "x.onnx", "--loss", "hinge", says="(it is for svm and auto)")

    def test_a_feature_file_is_no_model_and_repacking_does_not_help(self):
        self.features()
        done = self.bad(1, "predict", "f.h5", "photos", says="features, not a network")
        self.assertNotIn("h5repack", done.stderr)

    def test_help_is_a_command(self):
        self.assertEqual(self.good("help").stdout, self.good("--help").stdout)
        for command in COMMANDS:
            self.assertEqual(self.good("help", command).stdout, self.good(command, "--help").stdout)

    def completed(self, *words):
        asked = self.good("--completion", "bash").stdout + (
            'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _engraft; printf "%s\\n" "${COMPREPLY[@]}"\n')
        done = subprocess.run(["bash", "-c", asked, "bash", ENGRAFT, *words], cwd=self.here, capture_output=True, text=True)
        self.assertEqual(done.stderr, "")
        return [line for line in done.stdout.split("\n") if line]

    def test_completion_knows_networks_layers_cuts_and_classes(self):
        if not os.path.exists("/bin/bash"):
            self.skipTest("no bash here")
        self.features()
        self.assertEqual(self.completed("inspect", "sq"), ["squeezenet1_0", "squeezenet1_1"])
        self.assertEqual(self.completed("extract", "vgg16", "photos", "--cut", "pool"), [f"pool{i}" for i in range(1, 6)])
        self.assertIn("features.denseblock3.denselayer1.relu1", self.completed("tune", "densenet121", "photos", "--cut", "features.denseblock3"))
        self.assertEqual(self.completed("train", "photos", "--model", "vgg16", "--cut", "pool5"), ["pool5"])
        self.assertEqual(self.completed("train", "f.h5", "--features", ""), ["avgpool"])
        self.assertEqual(self.completed("rows", "f.h5", "--class", ""), ["across", "down"])
        self.assertEqual(self.completed("inspect", "vgg16", "=", "weights.pth", "--cut", "pool5"), ["pool5"])
        self.assertEqual(self.completed("help", "cl"), ["classify"])
        self.assertEqual(self.completed("predict", ""), [])  # files

    def test_progress_for_programs(self):
        photos(self.here / "photos", n=4)
        told = self.good("extract", MODEL, "photos", "-o", "f.h5", "--progress", "json").stderr
        events = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
        self.assertEqual(set(events[-1]), {"event", "done", "total", "rate", "seconds_left"})
        self.assertEqual((events[-1]["event"], events[-1]["done"], events[-1]["total"]), ("extract", 8, 8))
        self.assertNotIn("{", self.good("extract", MODEL, "photos", "-o", "g.h5", "--progress", "json", "--quiet").stderr)
        self.bad(2, "extract", MODEL, "photos", "-o", "h.h5", "--progress", "xml")

    def test_completion_runs_nothing_that_a_file_says(self):
        name = "$(touch hacked) `touch hacked` b"
        (self.here / "photos" / name).mkdir(parents=True)
        photo(self.here / "photos" / name / "1.png", 0, 1)
        self.good("extract", MODEL, "photos", "-o", "f.h5")
        answers = self.completed("rows", "f.h5", "--class", "")
        self.assertEqual(len(answers), 1)
        self.assertFalse((self.here / "hacked").exists())


if __name__ == "__main__":
    main()
