#!/usr/bin/env python3
"""What people are told of the photos they bring: what is left out, and what contradicts itself."""
import shutil
import struct
import zlib

import program
from program import MODEL, Case


class Told(Case):
    def test_what_is_not_read_is_named_with_its_number_in_every_command(self):
        program.photos(self.here / "photos", n=3)
        (self.here / "photos" / "down" / "raw.nef").write_bytes(b"II*\0\0\0\0\0")
        (self.here / "photos" / "down" / "@eaDir").mkdir()
        for i in range(2):
            (self.here / "photos" / "across" / f"{i}.jxl").write_bytes(b"\xff\x0a")
        self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--test", "0", "--cv", "2")
        for words in (
            ["extract", MODEL, "photos", "-o", "f.h5"],
            ["classify", MODEL, "photos"],
            ["predict", "m.onnx", "photos"],
            ["evaluate", "m.onnx", "photos"],
            ["train", "photos", "--model", MODEL, "-o", "n.onnx", "--test", "0", "--cv", "2"],
            ["cuts", MODEL, "photos", "--cut", "avgpool"],
            ["tune", MODEL, "photos", "-o", "t.onnx", "--epochs", "1", "--unfreeze", "none"],
        ):
            said = self.run_in(*words).stderr
            self.assertIn("2 JPEG XL files ignored", said, words)
            self.assertIn("1 camera raw file ignored", said, words)
            self.assertIn("1 @eaDir", said, words)
        kinds = self.json("extract", MODEL, "photos", "-o", "g.h5", "--exclude", "*.jxl")["ignored_kinds"]
        self.assertEqual([(k["kind"], k["count"]) for k in kinds], [("excluded", 2), ("@eaDir", 1), ("camera raw", 1)])

    def test_the_same_photo_in_two_classes_is_told(self):
        program.photos(self.here / "photos", n=3)
        shutil.copy(self.here / "photos/across/00.png", self.here / "photos/down/same.png")
        for words in (["extract", MODEL, "photos", "-o", "f.h5"], ["train", "f.h5", "-o", "m.onnx", "--cv", "2", "--test", "0"]):
            said = self.good(*words).stderr
            self.assertIn("1 photo is in two classes", said)
            self.assertIn("'across/00.png' (across) and 'down/same.png' (down)", said)

    def test_parts_of_a_data_set_are_no_classes(self):
        program.photos(self.here / "x", classes=("Train_Set", "Validation"), n=1)
        said = self.bad(2, "extract", MODEL, "x", "-o", "f.h5", says="'x/Train_Set'").stderr
        self.assertIn("--test", said)

    def test_rows_that_are_missing_in_a_png_are_told(self):
        program.photos(self.here / "x", n=1)
        rows = b"".join(b"\0" + bytes(3 * 40) for _ in range(20))

        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        (self.here / "x/down/short.png").write_bytes(
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 40, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
        )
        self.assertIn("truncated PNG", self.good("extract", MODEL, "x", "-o", "f.h5", code=3).stderr)

    def test_an_array_is_classified(self):
        header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 224, 224), }"
        header += " " * (-(len(header) + 11) % 64) + "\n"
        body = struct.pack("<%df" % (2 * 3 * 224 * 224), *([0.25] * (2 * 3 * 224 * 224)))
        (self.here / "x.npy").write_bytes(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + body)
        for command in ("classify", "predict"):
            answers = self.json(command, MODEL, "x.npy")
            self.assertEqual([a["path"] for a in answers], ["x.npy#0", "x.npy#1"])
            self.assertEqual(answers[0]["top"], answers[1]["top"])
        self.bad(1, "classify", MODEL, "x.npy", "x.npy", says="give it alone")


if __name__ == "__main__":
    program.main()
