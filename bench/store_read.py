#!/usr/bin/env python3
"""Rows in order against dd on the same file, cold and warm, and shuffled batches of rows against h5py's
fancy indexing, taking turns so that what else the machine does hits both (docs/store.md has the result).
    bench/store_read.py STORE_BENCH FILE.h5 [TURNS]"""
import os
import re
import statistics
import subprocess
import sys
import time

import h5py
import numpy

BENCH, PATH, TURNS = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5
BATCH = 256


def forget():
    """Out of the page cache with the file."""
    fd = os.open(PATH, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def dd():
    start = time.perf_counter()
    subprocess.run(["dd", "if=" + PATH, "of=/dev/null", "bs=1M"], check=True, capture_output=True)
    return os.path.getsize(PATH) / 1e6 / (time.perf_counter() - start)


def store():
    """MB/s in order, microseconds a row of shuffled batches (warm then)."""
    done = subprocess.run([BENCH, "read", PATH], check=True, capture_output=True, text=True).stdout
    return float(re.search(r"in order: (\d+)", done)[1]), float(re.search(r"([0-9.]+) us/row", done)[1])


def fancy():
    random = numpy.random.default_rng(1)
    with h5py.File(PATH, "r") as file:
        rows = file["features"]
        batches = [numpy.sort(random.choice(len(rows), BATCH, replace=False)) for _ in range(2)]
        start = time.perf_counter()
        for batch in batches:
            rows[batch]
        return (time.perf_counter() - start) * 1e6 / BATCH / len(batches)


def show(what, ours, theirs, unit, more):
    ratios = [a / b for a, b in zip(ours, theirs)]
    print("%s: engraft %s, %s %s %s; ratio %s, median %.2f" % (
        what, " ".join("%.0f" % x for x in ours), more, " ".join("%.0f" % x for x in theirs), unit,
        " ".join("%.2f" % x for x in ratios), statistics.median(ratios)), flush=True)


for cold in (True, False):
    ours, theirs = [], []
    dd()
    for turn in range(TURNS):
        for who in (dd, store) if turn % 2 else (store, dd):
            if cold:
                forget()
            if who is dd:
                theirs.append(dd())
            else:
                ours.append(store()[0])
    show("in order, " + ("cold" if cold else "warm"), ours, theirs, "MB/s", "dd")
ours, theirs = [], []
for turn in range(min(TURNS, 3)):
    ours.append(store()[1])
    theirs.append(fancy())
show("shuffled batches of %d, warm" % BATCH, ours, theirs, "us a row", "h5py")
