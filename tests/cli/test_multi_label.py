"""Several labels a photo: from a CSV, from class folders that share photos; what is said, and what is refused."""
import random
import shutil
from pathlib import Path

from program import MODEL, Case, main, photo, png


def stripes(path, across, red, seed):
    """A photo that has two things to say: which way its stripes go, and its colour."""
    rng = random.Random(seed)
    period, light, width, height = rng.randrange(6, 14), rng.randrange(150, 250), 64, 64
    colour = [light, 30, 30] if red else [30, 30, light]
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            pixels += bytes(colour if (y if across else x) % period < period // 2 else [10, 10, 10])
    png(path, bytes(pixels), width, height)


class MultiLabel(Case):
    def listing(self, n=8, separator=";"):
        (self.here / "photos").mkdir()
        lines = ["path,label"]
        for kind in range(4):
            across, red = kind < 2, kind % 2 == 0
            for i in range(n):
                path = f"photos/{kind}{i}.png"
                stripes(self.here / path, across, red, 100 * kind + i)
                names = (["across"] if across else ["down"]) + (["red"] if red else [])
                lines.append(f"{path},{separator.join(names)}")
        (self.here / "list.csv").write_text("\n".join(lines) + "\n")

    def test_from_a_csv(self):
        self.listing()
        done = self.json("train", "list.csv", "--model", MODEL, "-o", "m.onnx", "--multi-label")
        self.assertEqual(done["classes"], ["across", "down", "red"])
        self.assertEqual(done["test_count"], 8)
        self.assertGreater(done["mean_average_precision"], 0.9)
        for figure in ("micro_f1", "macro_f1"):
            self.assertGreater(done[figure], 0.8)
        self.assertEqual([f["label"] for f in done["per_label"]], done["classes"])
        again = self.json("evaluate", "m.onnx", "m.h5")
        self.assertEqual((again["count"], again["trained_here"]), (8, True))
        self.assertEqual(again["per_label"], done["per_label"])
        photos = self.json("evaluate", "m.onnx", "list.csv")
        self.assertEqual(photos["count"], 8)
        self.assertAlmostEqual(photos["mean_average_precision"], done["mean_average_precision"], 6)
        found = self.json("predict", "m.onnx", "photos")
        threshold = {f["label"]: f["threshold"] for f in done["per_label"]}
        right = 0
        for row in found:
            kind = int(Path(row["path"]).name[0])
            said = {g["label"] for g in row["labels"]}
            self.assertTrue(all(g["probability"] >= threshold[g["label"]] - 1e-6 for g in row["labels"]))
            self.assertEqual(len(row["top"]), 1)
            right += said == {"across" if kind < 2 else "down"} | ({"red"} if kind % 2 == 0 else set())
        self.assertGreater(right, 25)
        lines = self.good("predict", "m.onnx", "photos", "--csv").stdout.splitlines()
        self.assertEqual(lines[0], "path,rank,label,probability")
        self.assertEqual(len(lines) - 1, sum(max(1, len(row["labels"])) for row in found))
        self.assertIn("mean average precision", self.good("evaluate", "m.onnx", "m.h5").stdout)

    def test_without_it_a_name_is_one_class(self):
        self.listing()
        done = self.json("train", "list.csv", "--model", MODEL, "-o", "m.onnx")
        self.assertEqual(done["classes"], ["across", "across;red", "down", "down;red"])

    def test_from_folders_that_share_photos(self):
        for kind in range(4):
            for i in range(8):
                folders = ["across" if kind < 2 else "down"] + (["red"] if kind % 2 == 0 else [])
                first = None
                for name in folders:
                    path = self.here / "photos" / name / f"{kind}{i}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    if first:
                        shutil.copy(first, path)
                    else:
                        stripes(path, kind < 2, kind % 2 == 0, 100 * kind + i)
                    first = path
        done = self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--multi-label")
        self.assertIn("16 photos are in several folders, or twice", done.stderr)
        report = self.json("train", "m.h5", "-o", "m.onnx", "--force", "--multi-label")
        self.assertEqual((report["train_count"] + report["test_count"], report["copies"]), (32, 16))
        self.assertGreater(report["mean_average_precision"], 0.9)

    def test_rare_labels_are_left_out(self):
        self.listing()
        text = (self.here / "list.csv").read_text().replace("photos/00.png,across;red", "photos/00.png,across;red;odd")
        (self.here / "list.csv").write_text(text)
        done = self.good("train", "list.csv", "--model", MODEL, "-o", "m.onnx", "--multi-label", "--json")
        self.assertIn("label 'odd' is on too few", done.stderr)
        self.assertNotIn('"odd"', done.stdout.split('"rare_labels"')[0])

    def test_labels_by_choice(self):
        self.listing(separator="|")
        words = ("--model", MODEL, "-o", "m.onnx", "--multi-label", "--labels-sep", "|", "--drop", "red")
        done = self.json("train", "list.csv", *words)
        self.assertEqual((done["classes"], done["train_count"] + done["test_count"]), (["across", "down"], 32))
        self.assertEqual(self.json("evaluate", "m.onnx", "m.h5")["count"], done["test_count"])

    def test_test_data_of_its_own(self):
        self.listing()
        lines = (self.here / "list.csv").read_text().splitlines()
        (self.here / "a.csv").write_text("\n".join(lines[:1] + lines[1::2]))
        (self.here / "b.csv").write_text("\n".join(lines[:1] + lines[2::2]))
        done = self.json("train", "a.csv", "--model", MODEL, "-o", "m.onnx", "--multi-label", "--test", "b.csv")
        self.assertEqual((done["train_count"], done["test_count"]), (16, 16))
        self.assertEqual(list(self.here.glob("*.tested*")), [])
        again = self.json("evaluate", "m.onnx", "b.csv", "--rows", "all")
        self.assertEqual(again["per_label"], done["per_label"])

    def test_what_is_refused(self):
        self.features()
        for words in (("--classifier", "forest"), ("--classifier", "mlp"), ("--classifier", "auto"), ("--balance",),
                      ("--reject", "0.05"), ("--from", "m.onnx"), ("--out-of-fold", "o.csv"), ("--report", "r.html"),
                      ("--regress", "age")):
            self.bad(2, "train", "f.h5", "-o", "m.onnx", "--multi-label", *words, says="multi-label")
        self.bad(2, "train", "f.h5", "-o", "m.onnx", "--labels-sep", "|", says="--multi-label")
        self.good("train", "f.h5", "-o", "m.onnx", "--multi-label")
        self.bad(2, "evaluate", "m.onnx", "f.h5", "--svg", "x.svg", says="one class a photo")
        self.bad(2, "evaluate", "m.onnx", "m.onnx", "f.h5", says="one class")
        self.bad(1, "explain", "m.onnx", "photos/across/00.png", says="several labels")
        self.bad(1, "train", "f.h5", "-o", "n.onnx", "--from", "m.onnx", says="several labels")


if __name__ == "__main__":
    main()
