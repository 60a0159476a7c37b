"""engraft similar against numpy on the same file: every row, in order, in one pass or photo by photo."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import MODEL, Case, main, photo, photos

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"not compared with numpy: {missing}")
    sys.exit(77)


class Similar(Case):
    def setUp(self):
        super().setUp()
        photos(self.here / "photos", ("across", "down", "dots"), n=30)
        (self.here / "photos/down/bad.jpg").write_bytes(b"no photo")
        (self.here / "new").mkdir()
        for i in range(9):
            photo(self.here / "new" / f"{i}.png", i % 3, 1000 + i)
        self.good("extract", MODEL, "photos", "-o", "f.h5", "--cut", "_blocks.9.add:avg", "--cut", "avgpool", code=3)
        self.good("extract", MODEL, "new", "-o", "new.h5", "--cut", "_blocks.9.add:avg", "--cut", "avgpool")

    def expected(self, cut):
        with h5py.File(self.here / "f.h5") as f, h5py.File(self.here / "new.h5") as new:
            x, q = f[f"cuts/{cut}"][:].astype(float), new[f"cuts/{cut}"][:].astype(float)
            done = f["status"][:] == 1
            self.assertEqual((~done).sum(), 1)
            cosine = q @ x.T / np.linalg.norm(q, axis=1)[:, None] / np.linalg.norm(x, axis=1)
            cosine[:, ~done] = -2
            labels = [f["label_names"][k].decode() for k in f["labels"][:]]
            return cosine, [p.decode() for p in f["paths"][:]], labels

    def compare(self, report, cosine, paths, labels, top):
        for photo, row in zip(report, cosine):
            ours = [n["similarity"] for n in photo["nearest"]]
            self.assertEqual(len(ours), min(top, len(paths) - 1))
            self.assertEqual(ours, sorted(ours, reverse=True))
            np.testing.assert_allclose(ours, np.sort(row)[::-1][: len(ours)], atol=2e-6)
            for n in photo["nearest"]:
                at = paths.index(n["path"])
                self.assertEqual((n["row"], n["label"]), (at, labels[at]))
                self.assertAlmostEqual(n["similarity"], row[at], delta=2e-6)

    def test_every_row_is_looked_at(self):
        for cut, top in (("avgpool", 5), ("avgpool", 1000), ("_blocks.9.add:avg", 3)):
            found = self.json("similar", "f.h5", "new", "--top", top, "--features", cut)
            self.assertEqual([p["path"] for p in found], [f"new/{i}.png" for i in range(9)])
            expected = self.expected(cut)
            self.compare(found, *expected, top)
            alone = [self.json("similar", "f.h5", f"new/{i}.png", "--top", top, "--features", cut, "--threads", 1 + i)[0] for i in range(3)]
            self.compare(alone, expected[0][:3], *expected[1:], top)

    def test_its_own_photo_is_first_and_what_cannot_be_read_is_told(self):
        found = self.json("similar", "f.h5", "photos", code=3)
        self.assertIn("error", found[[p["path"] for p in found].index("photos/down/bad.jpg")])
        for photo in found:
            if "error" not in photo:
                self.assertEqual("photos/" + photo["nearest"][0]["path"], photo["path"])
                self.assertAlmostEqual(photo["nearest"][0]["similarity"], 1, delta=1e-6)
        self.bad(1, "similar", "f.h5", "photos/down/bad.jpg", says="no photo could be read")
        text = self.good("similar", "f.h5", "new/0.png", "--top", 2).stdout.splitlines()
        self.assertEqual(len(text), 3)

    def test_another_network_is_refused(self):
        self.good("train", "f.h5", "-o", "m.onnx", "--features", "avgpool")
        self.bad(1, "similar", "f.h5", "new/0.png", "--model", "m.onnx", says="not those that made the features")
        self.bad(1, "similar", "f.h5", "nowhere.png")
        with h5py.File(self.here / "other.h5", "w") as f:
            f["features"], f["labels"] = np.eye(4, dtype=np.float32), [0, 0, 1, 1]
        self.bad(1, "similar", "other.h5", "new/0.png", says="which network")


if __name__ == "__main__":
    main()
