"""What the tests of the program share: running it, and photos to run it on (no packages needed)."""
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

ENGRAFT = os.environ.get("ENGRAFT")
SOURCE = Path(os.environ.get("ENGRAFT_SOURCE", Path(__file__).resolve().parent.parent.parent))
MODEL = "efficientnet-lite0"
COMMANDS = ["models", "fetch", "inspect", "classify", "extract", "merge", "rows", "info", "train", "cuts", "evaluate", "predict", "tune", "bench", "convert", "audit", "explain", "similar", "verify", "serve", "help"]


def main():
    """Run the tests of the calling file; 77 (skipped) when there is no program."""
    if not ENGRAFT:
        print("ENGRAFT is not set: nothing to test")
        sys.exit(77)
    unittest.main(module="__main__", verbosity=1)


def run(*words, cwd=None, env=None, timeout=120):
    return subprocess.run(
        [ENGRAFT, *map(str, words)], cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True,
        timeout=timeout, errors="surrogateescape", text=True,
    )


def png(path, pixels, width, height):
    """pixels: bytes of RGB rows."""
    rows = b"".join(b"\0" + pixels[3 * width * y : 3 * width * (y + 1)] for y in range(height))

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def photo(path, kind, seed):
    """A picture of stripes (kind 0 across, 1 down, 2 dots) in colours of its own."""
    rng = random.Random(seed)
    width, height = rng.randrange(40, 90), rng.randrange(40, 90)
    dark, light = [[rng.randrange(a, a + 90) for _ in range(3)] for a in (0, 160)]
    period = rng.randrange(6, 14)
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            at = (y, x, x + y)[kind] if kind < 2 else (x // 3 * 7 + y // 3 * 5)
            pixels += bytes(light if at % period < period // 2 else dark)
    png(path, bytes(pixels), width, height)


def photos(folder, classes=("across", "down"), n=12):
    """A folder of n photos a class."""
    for kind, name in enumerate(classes):
        (Path(folder) / name).mkdir(parents=True)
        for i in range(n):
            photo(Path(folder) / name / f"{i:02}.png", kind, 100 * kind + i)
    return Path(folder)


class Case(unittest.TestCase):
    """A test in a temporary folder of its own, self.here."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="engraft-test-")
        self.addCleanup(folder.cleanup)
        self.here = Path(folder.name)

    extracted = {}

    def features(self, n=12):
        """photos/, n of each class, and their features in f.h5: computed once for all tests."""
        if n not in Case.extracted:
            folder = tempfile.TemporaryDirectory(prefix="engraft-test-")
            photos(Path(folder.name) / "photos", n=n)
            self.good("extract", MODEL, "photos", "-o", "f.h5", within=folder.name)
            Case.extracted[n] = folder
        shutil.copytree(Case.extracted[n].name, self.here, dirs_exist_ok=True)

    def run_in(self, *words, within=None, **more):
        return run(*words, cwd=within or self.here, **more)

    def good(self, *words, code=0, **more):
        """Run; the exit code must be `code`."""
        done = self.run_in(*words, **more)
        self.assertEqual(done.returncode, code, f"{words}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *words, code=0, **more):
        return json.loads(self.good(*words, "--json", code=code, **more).stdout)

    def bad(self, code, *words, says=None, **more):
        """Run; it must fail with `code`, say why in one line, and print no result."""
        done = self.run_in(*words, **more)
        self.assertEqual(done.returncode, code, f"{words}\n{done.stdout}\n{done.stderr}")
        self.assertEqual(done.stdout, "", words)
        self.assertTrue(done.stderr.strip(), words)
        if says:
            self.assertIn(says, done.stderr)
        return done
