#!/usr/bin/env python3
"""Photos in archives: tars, zips, WebDataset's shards, as a folder of the same photos; and hostile ones."""
import io
import os
import shutil
import signal
import subprocess
import tarfile
import time
import unittest
import zipfile

from program import ENGRAFT, MODEL, Case, main, photos


def add(tar, name, data, kind=None, link=""):
    info = tarfile.TarInfo(name)
    info.size = 0 if kind else len(data)
    if kind:
        info.type, info.linkname = kind, link
    tar.addfile(info, io.BytesIO(data))


class Packed(Case):
    def setUp(self):
        super().setUp()
        self.folder = photos(self.here / "photos", n=3)
        self.names = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*.png"))

    def data(self, name):
        return (self.folder / name).read_bytes()

    def tar(self, name, names=None, mode="w", before=""):
        """In an order that is not that of the names."""
        with tarfile.open(self.here / name, mode) as tar:
            for one in reversed(names or self.names):
                add(tar, before + one, self.data(one))

    def rows(self, images, *more, code=0):
        """path,label,f0.. of each row, as the program prints them."""
        self.good("extract", MODEL, images, "-o", "f.h5", "--force", *more, code=code)
        return self.good("rows", "f.h5", "--csv").stdout.splitlines()[1:]


class Archives(Packed):
    def test_as_a_folder(self):
        expected = self.rows("photos")
        self.tar("x.tar")
        with zipfile.ZipFile(self.here / "x.zip", "w") as packed:
            for i, name in enumerate(reversed(self.names)):
                packed.write(self.folder / name, name, zipfile.ZIP_DEFLATED if i % 2 else zipfile.ZIP_STORED)
        self.tar("deep.tar", before="./photos/")
        for images, before in (("x.tar", "x.tar/"), ("x.zip", "x.zip/"), ("deep.tar/photos", "deep.tar/photos/")):
            self.assertEqual(self.rows(images), [before + row for row in expected], images)

    def test_compressed_in_order_of_arrival(self):
        expected = self.rows("photos")[::-1]
        self.tar("x.tar.gz", mode="w:gz")
        self.tar("x.tar.xz", mode="w:xz")
        for name in ("x.tar.gz", "x.tar.xz"):
            self.assertEqual(self.rows(name, "--batch", 4), [f"{name}/{row}" for row in expected])
        self.assertIn("nothing to do", self.good("extract", MODEL, "x.tar.xz", "-o", "f.h5").stdout)

    def test_every_command_that_reads_photos(self):
        self.tar("x.tar")
        self.tar("x.tar.gz", mode="w:gz")
        self.good("train", "x.tar", "--model", MODEL, "-o", "m.onnx", "--test", 0)
        folder = self.json("evaluate", "m.onnx", "photos", "--rows", "all")
        for name in ("x.tar", "x.tar.gz"):
            got = self.json("evaluate", "m.onnx", name, "--rows", "all")
            self.assertEqual((got["confusion"], got["count"]), (folder["confusion"], 6))
            answers = self.json("predict", "m.onnx", name)
            self.assertEqual(sorted(answer["path"] for answer in answers), [f"{name}/{one}" for one in self.names])
        one = self.json("predict", "m.onnx", "x.tar/" + self.names[1], "photos/" + self.names[1])
        self.assertEqual(one[0]["top"], one[1]["top"])
        told = self.json("predict", "m.onnx", "x.tar/down/9.png", "x.tar.gz/down/00.png", "photos/down/00.png", code=3)
        self.assertIn("not in its archive", told[0]["error"])
        self.assertIn("compressed archive", told[1]["error"])
        self.assertEqual(self.json("audit", "m.h5")["outliers"], self.json("audit", "x.tar", "--model", MODEL, "-o", "a.h5")["outliers"])
        self.good("train", "x.tar", "--model", MODEL, "-o", "m.onnx", "--test", 0, "--force", "--report", "p.html")
        self.assertIn("data:image/jpeg", (self.here / "p.html").read_text(), "the report shows the photos")
        (self.here / "fix.csv").write_text(f"path,action,label\nx.tar/{self.names[0]},delete,\n")
        for data in ("m.h5", "x.tar"):
            self.bad(1, "audit", data, "--apply", "fix.csv", says="moved")
        self.bad(1, "tune", MODEL, "x.tar.gz", "-o", "t.onnx", says="compressed archive")

    def test_webdataset(self):
        labels = {"down": "7", "across": "3"}
        for shard in range(3):
            with tarfile.open(self.here / f"s-{shard:03}.tar", "w") as tar:
                for name in self.names[2 * shard : 2 * shard + 2]:
                    key, label = name.replace("/", "_").removesuffix(".png"), labels[name.split("/")[0]]
                    add(tar, key + ".png", self.data(name))
                    if shard < 2:
                        add(tar, key + ".cls", f"{label}\n".encode())
                    else:
                        add(tar, key + ".json", f'{{"label": {label}, "url": "x"}}'.encode())
        rows = [row.split(",")[:2] for row in self.rows("s-{000..002}.tar")]
        expected = [[f"s-00{i // 2}.tar/{name.replace('/', '_')}", labels[name.split("/")[0]]] for i, name in enumerate(self.names)]
        self.assertEqual(rows, expected)
        self.bad(1, "extract", MODEL, "s-{000..003}.tar", "-o", "g.h5", says="s-003.tar")

    def test_names_that_lead_out(self):
        good = self.names[0]
        with tarfile.open(self.here / "x.tar", "w") as tar:
            for name in ("../up.png", "/abs/a.png", "a/../../b.png", "a//b.png"):
                add(tar, name, self.data(good))
            add(tar, "link.png", b"", tarfile.SYMTYPE, "/etc/hostname")
            add(tar, "hard.png", b"", tarfile.LNKTYPE, "cat/1.png")
            add(tar, "pipe.png", b"", tarfile.FIFOTYPE)
            add(tar, ".hidden/a.png", self.data(good))
            add(tar, "__MACOSX/a.png", self.data(good))
            add(tar, "inner.tar", b"x" * 600)
            add(tar, "cat/1.png", b"other")
            add(tar, "cat/1.png", self.data(good))
            add(tar, "cat/none", self.data(good))
            add(tar, "cat/\u00e9.png", self.data(good))
        report = self.json("extract", MODEL, "x.tar", "-o", "f.h5", env={"LC_ALL": "C"})
        self.assertEqual((report["rows"], report["done"], report["ignored"]), (3, 3, 9))
        rows = self.good("rows", "f.h5", "--csv").stdout.splitlines()[1:]
        self.assertEqual([row.split(",")[0] for row in rows], ["x.tar/cat/1.png", "x.tar/cat/none", "x.tar/cat/\u00e9.png"])
        with zipfile.ZipFile(self.here / "x.zip", "w") as packed:
            packed.writestr("../up.png", self.data(good))
            link = zipfile.ZipInfo("link.png")
            link.create_system, link.external_attr = 3, 0o120777 << 16
            packed.writestr(link, "/etc/hostname")
            packed.writestr("cat/1.png", self.data(good))
        self.assertEqual(self.json("extract", MODEL, "x.zip", "-o", "z.h5")["ignored"], 2)
        self.assertEqual(sorted(os.listdir(self.here)), ["f.h5", "photos", "x.tar", "x.zip", "z.h5"], "nothing is unpacked")

    def test_cut_off_and_damaged(self):
        self.tar("x.tar")
        self.tar("x.tar.gz", mode="w:gz")
        whole = (self.here / "x.tar").read_bytes()
        (self.here / "cut.tar").write_bytes(whole[: 512 + len(self.data(self.names[-1])) // 2])
        packed = (self.here / "x.tar.gz").read_bytes()
        (self.here / "cut.tar.gz").write_bytes(packed[: len(packed) // 2])
        with zipfile.ZipFile(self.here / "x.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.write(self.folder / self.names[0], "cat/1.png")
            zipped.write(self.folder / self.names[1], "cat/2.png")
        zipped = bytearray((self.here / "x.zip").read_bytes())
        (self.here / "cut.zip").write_bytes(zipped[:-40])
        for name in ("cut.tar", "cut.tar.gz", "cut.zip"):
            self.bad(1, "extract", MODEL, name, "-o", "f.h5", says=name)
        zipped[60] ^= 0x55
        (self.here / "x.zip").write_bytes(zipped)
        told = self.json("extract", MODEL, "x.zip", "-o", "z.h5", code=3)
        self.assertIn("damaged in its archive", told["unreadable"][0]["reason"])
        self.bad(1, "extract", MODEL, "none.tar", "-o", "f.h5", says="none.tar")
        (self.here / "text.tar").write_text("not an archive, " * 100)
        self.bad(1, "extract", MODEL, "text.tar", "-o", "f.h5", says="text.tar")

    def test_a_bomb(self):
        with tarfile.open(self.here / "bomb.tar.xz", "w:xz", preset=0) as tar:
            zeros = tarfile.TarInfo("cat/1.bin")
            zeros.size = 400 << 20
            with open("/dev/zero", "rb") as nothing:
                tar.addfile(zeros, nothing)
            add(tar, self.names[0], self.data(self.names[0]))
        self.bad(1, "extract", MODEL, "bomb.tar.xz", "-o", "f.h5", says="times its size")
        with zipfile.ZipFile(self.here / "x.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            packed.write(self.folder / self.names[0], "cat/1.png")
            packed.write(self.folder / self.names[0], "cat/2.png")
            packed.infolist()[1].header_offset = 0
        self.bad(1, "extract", MODEL, "x.zip", "-o", "f.h5", says="overlap")

    def test_a_list(self):
        expected = [row.split(",") for row in self.rows("photos")]
        listed = "\0".join("photos/" + name for name in self.names).encode()
        done = subprocess.run([ENGRAFT, "extract", MODEL, "--from-list", "-", "-0", "-o", "l.h5"], cwd=self.here, input=listed, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [row.split(",") for row in self.good("rows", "l.h5", "--csv").stdout.splitlines()[1:]]
        self.assertEqual(rows, [["photos/" + row[0], "", *row[2:]] for row in expected])
        self.bad(2, "extract", MODEL, "-o", "l.h5")
        self.bad(2, "extract", MODEL, "photos", "-o", "l.h5", "--from-list", "x")
        self.bad(2, "extract", MODEL, "photos", "-o", "l.h5", "-0")

    def test_parts_and_one_folder(self):
        self.tar("parts.tar", before="train/")
        self.bad(2, "extract", MODEL, "parts.tar", "-o", "f.h5", says="parts.tar/train")
        self.tar("top.tar", before="top/")
        self.assertIn("top.tar/top", self.good("extract", MODEL, "top.tar", "-o", "f.h5").stderr)

    def test_resumed_and_appended(self):
        self.tar("x.tar", self.names[:4])
        self.good("extract", MODEL, "x.tar", "-o", "f.h5")
        self.tar("x.tar")
        self.bad(1, "extract", MODEL, "x.tar", "-o", "f.h5", says="--append")
        told = self.json("extract", MODEL, "x.tar", "-o", "f.h5", "--append")
        self.assertEqual((told["done"], told["rows"], told["resumed"]), (2, 6, 4))


class Streams(Packed):
    """A tar on standard input."""

    def stream(self, data, *words, code=0):
        done = subprocess.run([ENGRAFT, *words], cwd=self.here, input=data, capture_output=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done.stdout.decode(), done.stderr.decode()

    def extract(self, data, *more, code=0):
        return self.stream(data, "extract", MODEL, "-", "-o", "f.h5", *more, code=code)

    def bytes_of(self, name="x.tar", mode="w", names=None):
        self.tar(name, names, mode=mode)
        return (self.here / name).read_bytes()

    def listed(self):
        return self.good("rows", "f.h5", "--csv").stdout.splitlines()[1:]

    def test_in_order_of_arrival(self):
        expected = self.rows("photos")[::-1]
        for mode, more in (("w", ()), ("w:gz", ("--deflate", "3")), ("w:xz", ("--batch", "2"))):
            self.extract(self.bytes_of(mode=mode), "--force", *more)
            self.assertEqual(self.listed(), expected)
            self.assertIn("sound", self.good("info", "f.h5", "--check").stdout)
            self.assertIn("nothing to do", self.extract(self.bytes_of(mode=mode), *more)[0])

    def test_a_pipe_that_breaks(self):
        expected = self.rows("photos")[::-1]
        os.remove(self.here / "f.h5")
        whole = self.bytes_of()
        where = whole.index(self.data(self.names[1])) + 99
        _, told = self.extract(whole[:where], code=1)
        self.assertIn("broke off", told)
        self.assertEqual(self.listed(), expected[:4], "what came whole is kept")
        told, _ = self.extract(whole)
        self.assertIn("4 done before, 2 computed", told)
        self.assertEqual(self.listed(), expected)

    def test_killed_and_resumed(self):
        expected = self.rows("photos")[::-1]
        whole = self.bytes_of()
        where = whole.index(self.data(self.names[1])) - 512
        for how, code in ((signal.SIGKILL, -9), (signal.SIGINT, 130)):
            run = subprocess.Popen([ENGRAFT, "extract", MODEL, "-", "-o", "f.h5", "--force", "--batch", "1"],
                                   cwd=self.here, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
            run.stdin.write(whole[:where])
            run.stdin.flush()
            deadline = time.time() + 60  # the file is there with the first photo
            while not (self.here / "f.h5").exists() and time.time() < deadline:
                time.sleep(0.05)
            time.sleep(1)
            run.send_signal(how)
            run.communicate()
            self.assertEqual(run.returncode, code)
            self.good("info", "f.h5")
            self.extract(whole)
            self.assertEqual(self.listed(), expected)
            self.assertIn("sound", self.good("info", "f.h5", "--check").stdout)

    def test_webdataset_and_what_is_not_read(self):
        with tarfile.open(self.here / "x.tar", "w") as tar:
            add(tar, "a.cls", b"new")
            add(tar, "a.png", self.data(self.names[0]))
            add(tar, "b.png", self.data(self.names[1]))
            add(tar, "b.json", b'{"label": 12}')
            add(tar, "c", self.data(self.names[2]))
            add(tar, "x" * 180 + "/d.png", self.data(self.names[2]))
            add(tar, "../e.png", self.data(self.names[2]))
            add(tar, "c.pdf", b"%PDF")
            add(tar, "a.png", self.data(self.names[3]))
        out, told = self.extract((self.here / "x.tar").read_bytes(), "--json")
        self.assertIn("1 PDF file ignored", told)
        _, told = self.stream((self.here / "x.tar").read_bytes(), "classify", MODEL, "-")
        self.assertIn("1 PDF file ignored", told)
        self.assertEqual([row.split(",")[:2] for row in self.listed()],
                         [["a.png", "new"], ["b.png", "12"], ["c", ""], ["x" * 180 + "/d.png", "x" * 180]])

    def test_small_pictures(self):
        """What a report shows of photos that cannot be read again."""
        self.extract(self.bytes_of(), "--thumbnails")
        self.good("audit", "f.h5", "--report", "with.html")
        self.extract(self.bytes_of(), "--force")
        self.good("audit", "f.h5", "--report", "without.html")
        count = [(self.here / name).read_text().count("/9j/") for name in ("with.html", "without.html")]
        self.assertEqual(count, [6, 0], "a JPEG each in base 64")
        self.bad(1, "extract", MODEL, "photos", "-o", "f.h5", "--thumbnails", says="f.h5")
        for i in range(2):
            self.good("extract", MODEL, "photos", "-o", f"s{i}.h5", "--shard", f"{i}/2", "--thumbnails")
        shutil.copytree(self.folder, self.here / "kept")
        shutil.rmtree(self.folder)
        for more in ((), ("--copy",)):
            self.good("merge", "-o", "m.h5", "s0.h5", "s1.h5", "--force", *more)
            self.good("audit", "m.h5", "--report", "merged.html", "--force")
            self.assertEqual((self.here / "merged.html").read_text().count("/9j/"), 6)

    def test_nothing_comes(self):
        for nothing in (b"", b"no archive " * 100):
            self.assertIn("no archive", self.extract(nothing, code=1)[1])
        self.extract(b"\0" * 1024, code=2)
        self.assertFalse((self.here / "f.h5").exists())

    def test_where_a_stream_is_not_enough(self):
        whole = self.bytes_of()
        for words in (("train", "-", "--model", MODEL, "-o", "m.onnx"), ("tune", MODEL, "-", "-o", "m.onnx"),
                      ("extract", MODEL, "-", "-o", "a.h5", "--shard", "0/2"),
                      ("extract", MODEL, "-", "-o", "a.h5", "--append")):
            done = subprocess.run([ENGRAFT, *words], cwd=self.here, input=whole, capture_output=True, timeout=60)
            self.assertIn(done.returncode, (1, 2), words)
            self.assertTrue(done.stderr, words)
            self.assertEqual(done.stdout, b"", words)
        self.rows("photos")
        self.assertIn("not of a stream", self.extract(whole, code=1)[1])

    def test_predicted(self):
        whole = self.bytes_of()
        self.rows("photos")
        self.good("train", "f.h5", "-o", "m.onnx", "--test", 0)
        told = {answer["path"]: answer["top"] for answer in self.json("predict", "m.onnx", *["photos/" + name for name in self.names])}
        self.stream(whole[: whole.index(self.data(self.names[1])) + 99], "predict", "m.onnx", "-", "-o", "a.csv", code=1)
        self.stream(whole, "predict", "m.onnx", "-", "-o", "a.csv")
        lines = (self.here / "a.csv").read_text().splitlines()[1:]
        self.assertEqual([line.split(",")[0] for line in lines], self.names[::-1])
        for line in lines:
            path, _, label, p = line.split(",")
            self.assertEqual((label, p), (told["photos/" + path][0]["label"], f"{told['photos/' + path][0]['probability']:.6f}"))


if __name__ == "__main__":
    main()
