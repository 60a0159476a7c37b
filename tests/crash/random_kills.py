#!/usr/bin/env python3
"""Run by hand: `engraft extract` is killed at times drawn by chance, in plain, deflate and append runs.
Each time the file must open, hold only right rows, and be finished by the same command to the datasets
of a run that nobody disturbed. (What a kill at every single write does: test_crash.py.)

    tests/crash/random_kills.py ENGRAFT [KILLS [SEED]]       h5py and NumPy have to be there"""
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy

ENGRAFT = str(Path(sys.argv[1]).resolve())
KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else 50
os.environ["ENGRAFT"] = ENGRAFT
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import photo, photos  # noqa: E402

CHANCE = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
EXTRACT = [ENGRAFT, "extract", "efficientnet-lite0", "photos", "-o", "f.h5", "--size", "64", "--cut", "#40", "--cut",
           "avgpool", "--quiet"]
KINDS = {"plain": [], "deflate": ["--deflate", "4"], "append": ["--append"],
         "append, deflate": ["--append", "--deflate", "4"]}


def run(kind, folder):
    return subprocess.Popen(EXTRACT + KINDS[kind], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def contents(path):
    found = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: found.__setitem__(name, item[()].tobytes())
                        if isinstance(item, h5py.Dataset) and name != "history" else None)
    return found


def prepare(kind, folder):
    """Photos, and for an append the file of what was there before."""
    photos(folder / "photos", n=90)
    if kind.startswith("append"):
        deflate = [word for word in KINDS[kind] if word != "--append"]
        subprocess.run(EXTRACT + deflate, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        for i in range(60):  # new ones, one that has moved, one with other contents, one gone
            photo(folder / "photos" / "down" / ("new%02d.png" % i), 2, 5000 + i)
        (folder / "photos" / "down" / "05.png").rename(folder / "photos" / "across" / "moved.png")
        shutil.copy(folder / "photos" / "down" / "06.png", folder / "photos" / "down" / "07.png")
        (folder / "photos" / "across" / "08.png").unlink()


def wrong_rows(path, whole):
    """Rows marked done whose values are not those of their photo (told by its hash)."""
    with h5py.File(path, "r") as file, h5py.File(whole, "r") as right:
        by_hash = {h.tobytes(): i for i, h in enumerate(right["hashes"][()])}
        done = [i for i, s in enumerate(file["status"][()]) if s == 1]
        wrong = 0
        for name in right["cuts"]:
            ours, theirs = file["cuts"][name][()], right["cuts"][name][()]
            for i in done:
                j = by_hash.get(file["hashes"][i].tobytes())
                wrong += j is not None and not numpy.array_equal(ours[i], theirs[j])
        return len(done), wrong


def main():
    failures = 0
    for number, kind in enumerate(KINDS):
        kills = KILLS // len(KINDS) + (number < KILLS % len(KINDS))
        with tempfile.TemporaryDirectory(prefix="engraft-kills-") as name:
            folder = Path(name)
            prepare(kind, folder)
            base = folder / "f.h5"
            if base.exists():
                shutil.copy(base, folder / "base")
            start = time.monotonic()
            assert run(kind, folder).wait() == 0
            seconds = time.monotonic() - start
            shutil.copy(base, folder / "whole")
            wanted, seen = contents(folder / "whole"), []
            for _ in range(kills):
                for left in folder.glob("f.h5*"):
                    left.unlink()
                if (folder / "base").exists():
                    shutil.copy(folder / "base", base)
                process = run(kind, folder)
                time.sleep(CHANCE.random() * seconds)
                process.send_signal(signal.SIGKILL)
                process.wait()
                problem = None
                if base.exists():
                    if kind != "plain" and subprocess.run([ENGRAFT, "info", "f.h5"], cwd=folder,
                                                          stdout=subprocess.DEVNULL).returncode:
                        problem = "cannot be opened"
                    if not problem:
                        done, wrong = wrong_rows(base, folder / "whole")
                        seen.append(done)
                        if wrong:
                            problem = "%d rows are wrong" % wrong
                else:
                    seen.append(-1)
                if not problem and run(kind, folder).wait():
                    problem = "cannot be finished"
                if not problem and contents(base) != wanted:
                    problem = "holds other bytes in the end"
                if problem:
                    failures += 1
                    print("%s: %s" % (kind, problem), flush=True)
            print("%s: %d kills in runs of %.1f s; rows done when killed: %s" % (
                kind, kills, seconds, " ".join("no file" if n < 0 else str(n) for n in sorted(seen))), flush=True)
    print("%d failures" % failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
