"""What cannot be read: photos are listed and skipped, other files end in one clear line."""
import io
import os
import pickle
import struct
import subprocess
import zipfile
import zlib

from program import ENGRAFT, MODEL, Case, main, photo, photos, png


class Photos(Case):
    def make(self):
        folder = photos(self.here / "photos", n=4)
        down = folder / "down"
        good = (down / "00.png").read_bytes()
        (down / "empty.jpg").write_bytes(b"")
        (down / "truncated.png").write_bytes(good[: len(good) // 2])
        (down / "noise.jpg").write_bytes(b"this is no photo at all, whatever its name says")
        (down / "bare.jpg").write_bytes(b"\xff\xd8\xff\xe0")
        huge = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
        (down / "huge.png").write_bytes(
            b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + huge + struct.pack(">I", zlib.crc32(b"IHDR" + huge)))
        (down / "dangling.jpg").symlink_to("nowhere.jpg")
        (down / "folder.jpg").mkdir()
        return folder

    def test_each_unreadable_photo_is_listed_and_the_rest_goes_on(self):
        self.make()
        done = self.json("extract", MODEL, "photos", "-o", "f.h5", code=3)
        bad = {u["path"]: u["reason"] for u in done["unreadable"]}
        expected = {"down/" + n for n in ("empty.jpg", "truncated.png", "noise.jpg", "bare.jpg", "huge.png", "dangling.jpg", "folder.jpg")}
        self.assertEqual(set(bad), expected)
        self.assertEqual((done["rows"], done["done"]), (15, 8))
        for path, reason in bad.items():
            self.assertTrue(reason, path)
            self.assertNotIn(str(self.here), reason)
        self.assertIn("million", bad["down/huge.png"])
        # finished: nothing to do, and they are still listed
        again = self.json("extract", MODEL, "photos", "-o", "f.h5", code=3)
        self.assertEqual((again["resumed"], again["done"], len(again["unreadable"])), (8, 0, 7))
        stderr = self.good("extract", MODEL, "photos", "-o", "f.h5", code=3).stderr
        for path in expected:
            self.assertIn(path, stderr)
        # they are no rows to learn from
        self.assertEqual(self.json("train", "f.h5", "-o", "m.onnx", "--test", "0", "--cv", "2")["train_count"], 8)
        self.assertEqual(len(self.json("info", "f.h5")["unreadable"]), 7)
        answers = self.json("predict", "m.onnx", "photos", code=3)
        self.assertEqual({a["path"] for a in answers if "error" in a}, {a["path"] for a in answers if "top" not in a})
        self.assertEqual(sum("error" in a for a in answers), 7)
        self.assertEqual(self.json("evaluate", "m.onnx", "photos", "--rows", "all", code=3)["count"], 8)

    def test_names_of_every_kind(self):
        folder = photos(self.here / "photos", n=4)
        names = [b"with space.png", b"new\nline.png", b"not\xffutf8.png", b"-dash.png", b"--json", b"tab\t.png",
                 "ümlaut 日本.png".encode(), b'quo"te,comma.png', b"back\\slash.png", b"%s%n.png"]
        for i, name in enumerate(names):
            photo(os.path.join(os.fsencode(folder), b"down", name), 1, 500 + i)
        done = self.json("extract", MODEL, "photos", "-o", "f.h5")
        self.assertEqual(done["done"], 8 + len(names))
        paths = [r["path"] for r in self.json("rows", "f.h5")]
        self.assertIn("down/not\\xffutf8.png", paths)
        self.assertIn("down/new\\x0aline.png", paths)
        self.assertIn("down/ümlaut 日本.png", paths)
        for words in (["rows", "f.h5"], ["rows", "f.h5", "--csv"], ["info", "f.h5"]):
            out = self.good(*words).stdout
            out.encode()  # valid UTF-8: nothing was let through by surrogateescape
        self.good("train", "f.h5", "-o", "m.onnx", "--test", "0", "--cv", "4")
        self.good("predict", "m.onnx", "photos")
        self.good("predict", "m.onnx", "--", "photos/down/--json")
        os.chdir(self.here / "photos" / "down")
        try:
            self.assertEqual(subprocess.run([ENGRAFT, "classify", MODEL, "./-dash.png"], capture_output=True).returncode, 0)
            self.assertEqual(subprocess.run([ENGRAFT, "classify", MODEL, "--", "-dash.png"], capture_output=True).returncode, 0)
            self.assertEqual(subprocess.run([ENGRAFT, "classify", MODEL, "-dash.png"], capture_output=True).returncode, 2)
        finally:
            os.chdir("/")

    def test_class_names_that_are_no_utf8(self):
        folder = photos(self.here / "photos", n=4)
        os.rename(os.path.join(os.fsencode(folder), b"down"), os.path.join(os.fsencode(folder), b"d\xffwn\n"))
        self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--cv", "2")
        labels = {a["top"][0]["label"] for a in self.json("predict", "m.onnx", "photos")}
        self.assertIn("d\\xffwn\\x0a", labels)

    def test_nothing_to_read(self):
        (self.here / "none").mkdir()
        self.bad(1, "extract", MODEL, "none", "-o", "f.h5", says="none")
        self.bad(1, "extract", MODEL, "nowhere", "-o", "f.h5", says="nowhere")
        (self.here / "none" / "x.jpg").write_bytes(b"no photo")
        self.bad(1, "extract", MODEL, "none", "-o", "f.h5")
        self.bad(1, "classify", MODEL, "none/x.jpg")
        self.bad(1, "classify", MODEL, "nowhere.jpg", says="nowhere.jpg")

    def test_train_and_test_folders_side_by_side(self):
        photos(self.here / "both" / "train", n=1)
        photos(self.here / "both" / "test", n=1)
        self.bad(2, "extract", MODEL, "both", "-o", "f.h5", says="--test")

    def test_classes_that_cannot_be_learned(self):
        photos(self.here / "one", classes=("alone",), n=6)
        self.bad(1, "train", "one", "--model", MODEL, "-o", "m.onnx", says="'alone'")
        photos(self.here / "single", n=1)
        self.bad(1, "train", "single", "--model", MODEL, "-o", "n.onnx")
        photos(self.here / "few", n=3)
        self.bad(1, "train", "few", "--model", MODEL, "-o", "o.onnx", "--cv", "3", says="--cv")
        (self.here / "bare").mkdir()
        for i in range(3):
            photo(self.here / "bare" / f"{i}.png", 0, i)
        self.bad(1, "train", "bare", "--model", MODEL, "-o", "p.onnx", says="label")
        for name in "mnop":
            self.assertFalse((self.here / f"{name}.onnx").exists())

    def test_an_empty_class(self):
        photos(self.here / "photos", n=6)
        (self.here / "photos" / "nothing").mkdir()
        done = self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--cv", "2")
        self.assertIn("class 'nothing' has no photo and is left out", done.stderr)
        self.assertIn("in 2 classes", done.stdout)


class Files(Case):
    def every_command(self, path):
        """No crash, nothing printed or written, one line that names the file."""
        photo(self.here / "p.png", 0, 1)
        before = sorted(os.listdir(self.here))
        for words in (["inspect", path], ["classify", path, "p.png"], ["info", path], ["convert", path, "-o", "out.onnx"],
                      ["bench", path, "--repeat", "1"], ["predict", path, "p.png"]):
            done = self.bad(1, *words)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
            self.assertIn(path, done.stderr)
        self.assertEqual(sorted(os.listdir(self.here)), before)

    def test_truncated_and_lying_networks(self):
        self.good("convert", MODEL, "-o", "net.onnx", "--dtype", "f16")
        whole = (self.here / "net.onnx").read_bytes()
        for n in (0, 1, 10, 1000, len(whole) // 2, len(whole) - 1):
            (self.here / "cut.onnx").write_bytes(whole[:n])
            self.every_command("cut.onnx")
        (self.here / "noise.onnx").write_bytes(bytes(range(256)) * 40)
        self.every_command("noise.onnx")
        for name in ("noise.pth", "noise.safetensors", "noise.h5"):
            (self.here / name).write_bytes(b"\x80\x02" + bytes(range(256)) * 4)
            self.every_command(name)
        self.bad(1, "inspect", "missing.onnx", says="missing.onnx")
        (self.here / "dir.onnx").mkdir()
        self.bad(1, "inspect", "dir.onnx", says="dir.onnx")

    def test_a_pickle_that_calls_something_is_refused_and_nothing_runs(self):
        class Evil:
            def __reduce__(self):
                return os.system, (f"touch {os.path.abspath(marker)}",)

        marker = self.here / "ran"
        for name, protocol in (("old.pth", 2), ("old4.pth", 4)):
            (self.here / name).write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({}, 2) + pickle.dumps(Evil(), protocol))
            self.every_command(name)
        with zipfile.ZipFile(self.here / "new.pth", "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps({"x": Evil()}, 2))
            archive.writestr("archive/version", "3\n")
        self.every_command("new.pth")
        self.assertFalse(marker.exists())

    def test_truncated_feature_files(self):
        self.features(3)
        whole = (self.here / "f.h5").read_bytes()
        for n in (8, 100, 2000, len(whole) // 2, len(whole) - 1):
            (self.here / "t.h5").write_bytes(whole[:n])
            for words in (["info", "t.h5"], ["rows", "t.h5"], ["train", "t.h5", "-o", "m.onnx"]):
                self.bad(1, *words, says="t.h5")
            kept = self.bad(1, "extract", MODEL, "photos", "-o", "t.h5", says="t.h5")
            self.assertEqual((self.here / "t.h5").read_bytes(), whole[:n], kept.stderr)
        self.assertFalse((self.here / "m.onnx").exists())

    def test_outputs_are_kept_unless_forced(self):
        photos(self.here / "photos", n=4)
        for name in ("x.h5", "x.onnx"):
            (self.here / name).write_text("mine")
        self.bad(1, "extract", MODEL, "photos", "-o", "x.h5", says="x.h5")
        self.bad(1, "convert", MODEL, "-o", "x.onnx", says="--force")
        self.bad(1, "train", "photos", "--model", MODEL, "-o", "x.onnx", says="--force")
        for name in ("x.h5", "x.onnx"):
            self.assertEqual((self.here / name).read_text(), "mine")
        self.good("extract", MODEL, "photos", "-o", "x.h5", "--force")
        self.good("train", "x.h5", "-o", "x.onnx", "--force", "--cv", "2")
        self.bad(1, "extract", MODEL, "photos", "-o", "nowhere/x.h5", says="nowhere")
        self.bad(1, "convert", MODEL, "-o", "nowhere/x.onnx", says="nowhere")

    def test_no_temporary_files_are_left(self):
        photos(self.here / "photos", n=4)
        self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--cv", "2")
        self.assertEqual(sorted(os.listdir(self.here)), ["m.h5", "m.onnx", "photos"])


class Outputs(Case):
    def test_where_nothing_can_be_written_is_told_before_the_work(self):
        self.features()
        for words in (["train", "f.h5", "-o", "nowhere/m.onnx"], ["train", "f.h5", "-o", "f.h5/m.onnx"],
                      ["tune", MODEL, "photos", "-o", "nowhere/t.onnx"], ["evaluate", "no.onnx", "f.h5", "--svg", "nowhere/x.svg"]):
            done = self.bad(1, *words, says="cannot write '" + words[-1] + "'")
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)  # no remark of training before it


if __name__ == "__main__":
    main()
