"""predict as a stream: answers as they come, a file that is gone on with, lists, shards."""
import csv
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from program import ENGRAFT, MODEL, Case, main, photo, photos


class Stream(Case):
    made = None  # photos and a model, once for all tests

    def setUp(self):
        super().setUp()
        if not Stream.made:
            Stream.made = tempfile.TemporaryDirectory(prefix="engraft-test-")
            photos(Path(Stream.made.name) / "photos", n=8)
            self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--quiet", "--cv", "2", within=Stream.made.name)
        shutil.copytree(Stream.made.name, self.here, dirs_exist_ok=True)
        self.all = [a["path"] for a in self.json("predict", "m.onnx", "photos")]

    def lines(self, name):
        return [json.loads(line) for line in (self.here / name).read_text().splitlines()]

    def test_the_forms_agree(self):
        whole = self.json("predict", "m.onnx", "photos", "--top", "2")
        stream = [json.loads(line) for line in self.good("predict", "m.onnx", "photos", "--top", "2", "--jsonl").stdout.splitlines()]
        self.assertEqual(stream, whole)
        rows = list(csv.DictReader(self.good("predict", "m.onnx", "photos", "--top", "2", "--csv").stdout.splitlines()))
        self.assertEqual([(row["path"], row["label"]) for row in rows], [(a["path"], t["label"]) for a in whole for t in a["top"]])

    def test_a_list_and_shards(self):
        (self.here / "l.txt").write_text("\r\n".join(self.all[:5]) + "\n\n")
        self.good("predict", "m.onnx", "--from-list", "l.txt", "-o", "l.jsonl")
        self.assertEqual([a["path"] for a in self.lines("l.jsonl")], self.all[:5])
        odd = "a\nb.png"
        shutil.copy(self.here / self.all[0], self.here / odd)
        run = subprocess.run([ENGRAFT, "predict", "m.onnx", "--from-list", "-", "-0", "--jsonl"], cwd=self.here, capture_output=True,
                             input=("\0".join([odd, self.all[1]]) + "\0").encode())
        self.assertEqual((run.returncode, len(run.stdout.splitlines())), (0, 2), run.stderr)
        parts = []
        for i in range(3):
            self.good("predict", "m.onnx", "photos", "--shard", f"{i}/3", "-o", f"p{i}.jsonl")
            parts += [a["path"] for a in self.lines(f"p{i}.jsonl")]
        self.assertEqual(parts, self.all)

    def test_a_file_cut_anywhere_is_gone_on_with(self):
        for name in ("a.csv", "a.jsonl"):
            self.good("predict", "m.onnx", "photos", "--top", "2", "-o", name)
            whole = (self.here / name).read_bytes()
            for n in (0, 7, len(whole) // 3, len(whole) // 2 + 1, len(whole) - 1, len(whole)):
                (self.here / name).write_bytes(whole[:n])
                self.good("predict", "m.onnx", "photos", "--top", "2", "-o", name)
                self.assertEqual((self.here / name).read_bytes(), whole, f"{name} cut at {n}")

    def test_killed_in_the_middle_it_goes_on(self):
        for i in range(200):
            shutil.copy(self.here / self.all[i % len(self.all)], self.here / f"photos/{i:03}.png")
        for stop in (signal.SIGINT, signal.SIGKILL):
            run = subprocess.Popen([ENGRAFT, "predict", "m.onnx", "photos", "-o", "k.jsonl", "--quiet", "--threads", "1"], cwd=self.here, stderr=subprocess.PIPE)
            while not (self.here / "k.jsonl").exists() or (self.here / "k.jsonl").stat().st_size < 300:
                time.sleep(0.005)
            run.send_signal(stop)
            run.communicate(timeout=30)
            self.assertIn(run.returncode, (0, 130, -9))
            self.lines("k.jsonl")
            self.good("predict", "m.onnx", "photos", "-o", "k.jsonl")
            self.assertEqual(self.lines("k.jsonl"), self.json("predict", "m.onnx", "photos"))
            os.remove(self.here / "k.jsonl")

    def test_what_is_not_its_own_is_left_alone(self):
        for text in ("hello", "path,label\na,b\n", "something\n"):
            (self.here / "x.csv").write_text(text)
            self.bad(1, "predict", "m.onnx", "photos", "-o", "x.csv", says="not one to go on with")
            self.assertEqual((self.here / "x.csv").read_text(), text)
        self.good("predict", "m.onnx", "photos", "-o", "x.csv", "--force")

    def test_another_model_does_not_go_on(self):
        self.good("predict", "m.onnx", "photos", "-o", "o.jsonl")
        before = (self.here / "o.jsonl").read_bytes()
        self.good("train", "photos", "--model", MODEL, "-o", "n.onnx", "--quiet", "--cv", "2", "--C", "0.001", "--classifier", "svm")
        self.bad(1, "predict", "n.onnx", "photos", "-o", "o.jsonl", says="begun otherwise")
        self.assertEqual((self.here / "o.jsonl").read_bytes(), before)

    def test_unreadable_photos_are_told_and_tried_again(self):
        photo(self.here / "photos/whole.png", 0, 5)
        (self.here / "photos/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        self.good("predict", "m.onnx", "photos", "-o", "u.csv", code=3)
        photo(self.here / "photos/broken.png", 0, 6)
        self.good("predict", "m.onnx", "photos", "-o", "u.csv")
        found = {row["path"] for row in csv.DictReader((self.here / "u.csv").read_text().splitlines())}
        self.assertEqual(len(found), len(self.all) + 2)

    def test_options_that_exclude_each_other(self):
        for words in (["--csv", "--jsonl"], ["--jsonl", "--json"], ["-o", "a.csv", "--json"], ["-o", "a.txt"], ["--force"], ["-0"], ["--shard", "3/3"]):
            self.bad(2, "predict", "m.onnx", "photos", *words)
        self.bad(2, "predict", "m.onnx")


if __name__ == "__main__":
    main()
