"""predict --move and --link: photos sorted into class folders, by a journal that takes all back."""
import csv
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from program import ENGRAFT, MODEL, Case, main, photos


class Sort(Case):
    made = None

    def setUp(self):
        super().setUp()
        if not Sort.made:
            Sort.made = tempfile.TemporaryDirectory(prefix="engraft-test-")
            photos(Path(Sort.made.name) / "photos", n=8)
            self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--quiet", "--cv", "2", within=Sort.made.name)
        shutil.copytree(Sort.made.name, self.here, dirs_exist_ok=True)
        self.answers = {a["path"]: a["top"][0]["label"] for a in self.json("predict", "m.onnx", "photos")}

    def files(self, folder):
        return {str(p.relative_to(self.here)): p.read_bytes() for p in (self.here / folder).rglob("*") if p.is_file() and ".engraft" not in p.parts}

    def journal(self, done):
        return re.search(r"--undo (\S+)", done.stderr).group(1)

    def test_moved_and_taken_back(self):
        before = self.files("photos")
        done = self.good("predict", "m.onnx", "photos", "--move", "sorted")
        after = self.files("sorted")
        self.assertEqual(self.files("photos"), {})
        self.assertEqual(sorted(after.values()), sorted(before.values()))
        for path, data in before.items():  # each in the folder of its class, the second of a name with a number
            label, stem = self.answers[path], Path(path).stem
            places = [f"sorted/{label}/{stem}.png", f"sorted/{label}/{stem}-2.png"]
            self.assertIn(data, [after.get(place) for place in places], path)
        undone = self.good("predict", "--undo", self.journal(done))
        self.assertIn("16 files are back", undone.stdout)
        self.assertEqual(self.files("photos"), before)
        self.assertEqual(self.files("sorted"), {})
        self.bad(2, "predict", "--undo", self.journal(done), says="there is no journal")

    def test_linked(self):
        before = self.files("photos")
        done = self.good("predict", "m.onnx", "photos", "--link", "sorted", "--json")
        self.assertEqual(self.files("photos"), before)
        links = [p for p in (self.here / "sorted").rglob("*.png")]
        self.assertEqual(len(links), 16)
        for link in links:
            self.assertTrue(link.is_symlink())
            self.assertEqual(self.answers[str(Path(os.readlink(link)).relative_to(self.here.resolve()))], link.parent.name)
        again = self.good("predict", "m.onnx", "photos", "--link", "sorted")
        self.assertIn("there already", again.stderr)
        self.good("predict", "--undo", self.journal(done))
        self.assertEqual(self.files("photos"), before)
        self.assertEqual([p for p in (self.here / "sorted").rglob("*.png")], [])

    def test_a_file_of_answers_is_gone_on_with_and_then_all_are_moved(self):
        for i in range(60):
            shutil.copy(self.here / "photos/across/00.png", self.here / f"photos/{i:03}.png")
        n = len(self.files("photos"))
        for name in ("a.csv", "a.jsonl"):
            words = ["predict", "m.onnx", "photos", "-o", name, "--move", "sorted"]
            run = subprocess.Popen([ENGRAFT, *words, "--threads", "1"], cwd=self.here, stderr=subprocess.PIPE, text=True)
            while not (self.here / name).exists() or (self.here / name).stat().st_size < 300:
                time.sleep(0.005)
            run.send_signal(signal.SIGINT)
            said = run.communicate(timeout=60)[1]
            self.assertEqual(run.returncode, 130, said)
            self.assertEqual(len(self.files("photos")), n)
            done = self.good(*words)
            self.assertEqual((len(self.files("photos")), len(self.files("sorted"))), (0, n))
            self.good("predict", "--undo", self.journal(done))
            self.assertEqual(len(self.files("photos")), n)

    def test_what_was_stopped_while_moving_is_finished_first(self):
        done = self.good("predict", "m.onnx", "photos", "--move", "sorted")
        journal = Path(self.journal(done))
        text = journal.read_text()
        self.good("predict", "--undo", journal)
        journal.parent.mkdir(exist_ok=True, parents=True)
        Path(f"{journal}.begun").write_text(text)  # as it is after a crash before the first move
        (self.here / "sorted/across").mkdir(exist_ok=True)
        shutil.copytree(Sort.made.name + "/photos", self.here / "more")
        done = self.good("predict", "m.onnx", "more", "--move", "sorted")
        self.assertIn("16 moves of a run that was stopped", done.stderr)
        self.assertEqual(len(self.files("sorted")), 32)
        self.assertEqual(len({*self.files("photos"), *self.files("more")}), 0)

    def test_in_place_what_is_right_stays(self):
        wrong = self.here / "photos/across/wrong.png"
        (self.here / "photos/down/00.png").rename(wrong)
        label = {a["path"]: a["top"][0]["label"] for a in self.json("predict", "m.onnx", "photos")}["photos/across/wrong.png"]
        self.good("predict", "m.onnx", "photos", "--move", "photos", "--csv")
        self.assertTrue((self.here / f"photos/{label}/wrong.png").exists())
        self.assertEqual(len(self.files("photos")), 16)

    def test_refusals(self):
        before = self.files("photos")
        self.bad(2, "predict", says="MODEL.onnx is missing")
        self.bad(2, "predict", "m.onnx", "photos", "--move", "a", "--link", "b", says="exclude each other")
        self.bad(2, "predict", "m.onnx", "--undo", "j", says="--undo")
        (self.here / "file").write_text("")
        self.bad(1, "predict", "m.onnx", "photos", "--move", "file/sorted", says="file/sorted")
        self.bad(1, "predict", "--undo", "file", says="journal")
        self.assertEqual(self.files("photos"), before)


if __name__ == "__main__":
    main()
