"""TIFF, GIF and BMP against Pillow's pixels: through a recipe that leaves them as they are, an extract of the input itself."""
import io
import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ENGRAFT = os.environ.get("ENGRAFT")
try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper
    from PIL import Image, ImageCms, ImageOps
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
if not ENGRAFT:
    print("skipped: ENGRAFT is not set")
    sys.exit(77)

HEIGHT, WIDTH = 37, 53
LCMS = "lcms2" in subprocess.run([ENGRAFT, "--version"], capture_output=True, text=True).stdout
VERSION = next(line for line in subprocess.run([ENGRAFT, "--version"], capture_output=True, text=True).stdout.splitlines() if line.startswith("reads:"))
RECIPE = ('{"resize":"none","crop":[%d,%d],"channels":"rgb","scale":1,"mean":[0,0,0],"std":[1,1,1]}' % (HEIGHT, WIDTH))


def network(path, height, width):
    """Gives its input: a ReLU of what is never negative."""
    shape = [None, 3, height, width]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["pixels"])], "same", [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, shape)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def wide_profile():
    """Linear light with the primaries of ProPhoto, as a profile of version 2: what no one takes for sRGB."""
    def s15(value):
        return struct.pack(">i", round(value * 65536))

    def xyz(*values):
        return b"XYZ \0\0\0\0" + b"".join(map(s15, values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(1.8 * 256)) + b"\0\0"
    tags = [(b"desc", b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + b"\0" * 79), (b"cprt", b"text\0\0\0\0none\0\0\0\0"),
            (b"wtpt", xyz(0.9642, 1, 0.8249)), (b"rXYZ", xyz(0.7977, 0.2880, 0)), (b"gXYZ", xyz(0.1352, 0.7119, 0)),
            (b"bXYZ", xyz(0.0313, 0.0001, 0.8249)), (b"rTRC", curve), (b"gTRC", curve), (b"bTRC", curve)]
    at, table, data = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, body in tags:
        body += b"\0" * (-len(body) % 4)
        table += name + struct.pack(">II", at + len(data), len(body))
        data += body
    head = struct.pack(">I4s4s4s4s4s", at + len(data), b"lcms", b"\x02\x10\0\0", b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 28 + s15(0.9642) + s15(1) + s15(0.8249)
    return head.ljust(128, b"\0") + table + data


def picture(mode, seed):
    rng = np.random.default_rng(seed)
    if mode in ("RGB", "RGBA", "CMYK"):
        smooth = rng.integers(0, 256, (HEIGHT, WIDTH, len(mode)), dtype=np.uint8)
        return Image.fromarray(smooth, mode)
    grey = Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8), "L")
    return Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)).quantize(40) if mode == "P" else grey.convert(mode)


def on_white(photo):
    if "A" in photo.mode or "transparency" in photo.info:
        photo = photo.convert("RGBA")
        white = Image.new("RGB", photo.size, "white")
        white.paste(photo, mask=photo.getchannel("A"))
        return np.asarray(white)
    return np.asarray(photo.convert("RGB"))


class Kinds(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.at = Path(self.folder.name)
        (self.at / "photos").mkdir()

    def tearDown(self):
        self.folder.cleanup()

    def pixels(self, path, recipe=RECIPE):
        """Through the program."""
        network(self.at / "same.onnx", HEIGHT, WIDTH)
        (self.at / "recipe.json").write_text(recipe)
        made = self.at / "f.h5"
        run = subprocess.run([ENGRAFT, "extract", self.at / "same.onnx", path, "-o", made, "--force", "--quiet", "--cut", "pixels", "--order", "hwc",
                              "--preprocess", self.at / "recipe.json"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        npy = self.at / "f.npy"
        run = subprocess.run([ENGRAFT, "rows", made, "--npy", npy, "--force"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stderr)
        return np.load(npy).reshape(HEIGHT, WIDTH, 3).astype(np.uint8)

    def same(self, data, name, expected=None, **tolerance):
        path = self.at / name
        path.write_bytes(data)
        expected = on_white(Image.open(io.BytesIO(data))) if expected is None else expected
        ours = self.pixels(path).astype(int)
        self.assertLessEqual(np.abs(ours - expected).max(), tolerance.get("within", 0), name)

    def of_profile(self, profile, kind, path, **how):
        """Saved with the profile: what comes out, and what Pillow makes of it."""
        x, y = np.meshgrid(np.linspace(0, 255, WIDTH), np.linspace(0, 255, HEIGHT))
        photo = Image.fromarray(np.stack([x, y, 255 - (x + y) / 2], 2).astype(np.uint8), "RGB")
        to = io.BytesIO()
        photo.save(to, kind, icc_profile=profile, **how)
        path.write_bytes(to.getvalue())
        read = Image.open(path).convert("RGB")
        plain = np.asarray(read)
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = np.asarray(ImageCms.profileToProfile(read, source, ImageCms.createProfile("sRGB"), outputMode="RGB"))
        return self.pixels(path, RECIPE[:-1] + ',"icc":"srgb"}'), converted, plain

    @unittest.skipUnless(LCMS, "built without lcms2")
    def test_colours_to_srgb(self):
        kinds = [("JPEG", "a.jpg", {"quality": 95}), ("PNG", "a.png", {}), ("WEBP", "a.webp", {"lossless": True})]
        kinds += [("TIFF", "a.tif", {})] if "TIFF" in VERSION else []
        for kind, name, how in kinds:
            ours, converted, plain = self.of_profile(wide_profile(), kind, self.at / name, **how)
            self.assertGreater(np.abs(converted.astype(int) - plain).max(), 30, "the profile is of another space")
            self.assertLessEqual(np.abs(ours.astype(int) - converted).max(), 1, kind)
            self.assertTrue((self.pixels(self.at / name) == plain).all(), "without the key it is left alone")
        for damaged in (wide_profile()[:200], b"x" * 300, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()):
            to = io.BytesIO()
            picture("RGB", 3).save(to, "PNG", icc_profile=damaged)
            (self.at / "d.png").write_bytes(to.getvalue())
            ours = self.pixels(self.at / "d.png", RECIPE[:-1] + ',"icc":"srgb"}')
            self.assertTrue((ours == np.asarray(picture("RGB", 3))).all())

    def test_nearest(self):
        """As Pillow's NEAREST, and so as Keras's load_img(target_size=...)."""
        rng = np.random.default_rng(4)
        recipe = RECIPE.replace('"none"', '"squash"')[:-1] + ',"filter":"nearest"}'
        for width, height, orientation in ((53, 37, 1), (7, 400, 1), (531, 219, 1), (100, 75, 6), (99, 301, 7), (64, 64, 3), (1, 1, 1)):
            photo = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), "RGB")
            exif = Image.Exif()
            exif[274] = orientation
            photo.save(self.at / "a.png", exif=exif)
            upright = ImageOps.exif_transpose(Image.open(self.at / "a.png"))
            expected = np.asarray(upright.resize((WIDTH, HEIGHT), Image.NEAREST))
            self.assertTrue((self.pixels(self.at / "a.png", recipe) == expected).all(), (width, height, orientation))

    def saved(self, mode, kind, **how):
        to = io.BytesIO()
        picture(mode, 7).save(to, kind, **how)
        return to.getvalue()

    def broken(self, data, name):
        """Cut off anywhere and with bytes changed: an answer or a reason, never a crash."""
        rng = random.Random(3)
        path = self.at / "photos" / name
        for i in range(12):
            bad = bytearray(data[: rng.randrange(1, len(data))] if i % 2 else data)
            for _ in range(3):
                bad[rng.randrange(len(bad))] = rng.randrange(256)
            path.write_bytes(bad)
            run = subprocess.run([ENGRAFT, "classify", "efficientnet-lite0", path, "--quiet"], capture_output=True)
            self.assertIn(run.returncode, (0, 1), run.stderr)

    @unittest.skipUnless("TIFF" in VERSION, "built without libtiff")
    def test_tiff(self):
        for mode in ("RGB", "RGBA", "L", "P", "1"):
            for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits"):
                self.same(self.saved(mode, "TIFF", compression=compression), f"{mode}-{compression}.tif")
        self.broken(self.saved("RGB", "TIFF", compression="tiff_lzw"), "a.tif")

    @unittest.skipUnless("TIFF" in VERSION, "built without libtiff")
    def test_tiff_of_16_bits_keeps_the_high_byte(self):
        values = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH), dtype=np.uint16)
        to = io.BytesIO()
        Image.fromarray(values).save(to, "TIFF")
        self.same(to.getvalue(), "grey16.tif", np.repeat((values >> 8)[..., None], 3, 2))
        rgb = np.random.default_rng(2).integers(0, 65536, (HEIGHT, WIDTH, 3), dtype="<u2")
        fields = [(256, 3, 1, WIDTH), (257, 3, 1, HEIGHT), (258, 3, 3, 122), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 128), (277, 3, 1, 3), (278, 3, 1, HEIGHT), (279, 4, 1, rgb.nbytes)]
        head = b"II*\0" + struct.pack("<IH", 8, len(fields)) + b"".join(struct.pack("<HHII", *field) for field in fields) + struct.pack("<I", 0)
        data = head.ljust(122, b"\0") + struct.pack("<HHH", 16, 16, 16) + rgb.tobytes()
        self.assertEqual(len(head) <= 122, True)
        self.same(data, "rgb16.tif", rgb >> 8)

    @unittest.skipUnless("TIFF" in VERSION, "built without libtiff")
    def test_tiff_stands_upright(self):
        # Turned by half and mirrored, which keep the size of the recipe's crop.
        for orientation, turn in ((2, Image.FLIP_LEFT_RIGHT), (3, Image.ROTATE_180), (4, Image.FLIP_TOP_BOTTOM)):
            photo = picture("RGB", 9)
            to = io.BytesIO()
            photo.save(to, "TIFF", tiffinfo={274: orientation})
            self.same(to.getvalue(), f"turned{orientation}.tif", np.asarray(photo.transpose(turn)))

    @unittest.skipUnless("AVIF" in VERSION, "built without libavif")
    def test_avif(self):
        """Written lossless by libavif from known pixels: as they are, and turned by half and mirrored by the container."""
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
        expected = np.stack([np.where(x < 20, 250, 10), np.where(y < 10, 200, 30), x * 4], 2).astype(np.uint8)
        corpus = Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "photo"
        self.same((corpus / "plain.avif").read_bytes(), "plain.avif", expected)
        self.same((corpus / "turned.avif").read_bytes(), "turned.avif", expected[::-1])
        self.broken((corpus / "plain.avif").read_bytes(), "a.avif")

    @unittest.skipUnless("GIF" in VERSION, "built without giflib")
    def test_gif(self):
        for mode in ("P", "L", "1"):
            self.same(self.saved(mode, "GIF"), f"{mode}.gif")
        self.same(self.saved("P", "GIF", interlace=1), "interlaced.gif")
        self.same(self.saved("P", "GIF", transparency=3), "transparent.gif")
        to = io.BytesIO()
        picture("P", 1).save(to, "GIF", save_all=True, append_images=[picture("P", 2)])
        self.same(to.getvalue(), "two.gif", on_white(picture("P", 1)))
        self.broken(self.saved("P", "GIF"), "a.gif")

    def test_bmp(self):
        for mode in ("RGB", "RGBA", "L", "P", "1"):
            self.same(self.saved(mode, "BMP"), f"{mode}.bmp")
        self.broken(self.saved("RGB", "BMP"), "a.bmp")

    def test_bmp_of_other_depths(self):
        rng = np.random.default_rng(4)
        stride = (WIDTH * 2 + 3) // 4 * 4
        rows = rng.integers(0, 256, (HEIGHT, stride), dtype=np.uint8).tobytes()
        header = struct.pack("<IiiHHIIiiII", 40, WIDTH, -HEIGHT, 1, 16, 0, len(rows), 0, 0, 0, 0)
        self.same(b"BM" + struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) + header + rows, "555.bmp")
        header = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 16, 3, len(rows), 0, 0, 0, 0) + struct.pack("<III", 0xF800, 0x7E0, 0x1F)
        self.same(b"BM" + struct.pack("<IHHI", 66 + len(rows), 0, 0, 66) + header + rows, "565.bmp")
        stride = (WIDTH + 1) // 2 + 3 & ~3
        rows = rng.integers(0, 256, (HEIGHT, stride), dtype=np.uint8).tobytes()
        colours = rng.integers(0, 256, (16, 4), dtype=np.uint8)
        colours[:, 3] = 0
        header = struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 4, 0, len(rows), 0, 0, 16, 0) + colours.tobytes()
        self.same(b"BM" + struct.pack("<IHHI", 118 + len(rows), 0, 0, 118) + header + rows, "16-colours.bmp")

    def test_a_file_that_says_it_is_vast_takes_no_memory(self):
        header = struct.pack("<IiiHHIIiiII", 40, 900000, 900000, 1, 24, 0, 0, 0, 0, 0, 0)
        (self.at / "vast.bmp").write_bytes(b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + header)
        run = subprocess.run([ENGRAFT, "classify", "efficientnet-lite0", self.at / "vast.bmp"], capture_output=True, text=True)
        self.assertEqual(run.returncode, 1)
        self.assertIn("256 million", run.stderr)


if __name__ == "__main__":
    unittest.main()
