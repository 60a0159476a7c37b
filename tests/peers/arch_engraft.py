"""What the tests of architectures share: engraft's values at named layers, and how they compare."""
import json
import os
import subprocess
import sys
import tempfile

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print("skipped:", missing)
    sys.exit(77)

ENGRAFT = os.environ.get("ENGRAFT", "engraft")
EVERYTHING = bool(os.environ.get("ENGRAFT_TEST_ALL"))
TOLERANCE = 1e-4


def run(*arguments):
    result = subprocess.run([ENGRAFT, *arguments], capture_output=True, text=True)
    if result.returncode:
        raise AssertionError(f"engraft {' '.join(arguments)}: exit {result.returncode}\n{result.stderr}")
    return result.stdout


def layers(model, size):
    """The layers that inspect lists, which needs no values."""
    return json.loads(run("inspect", model, "--size", str(size), "--json"))["layers"]


def values_at(model, image, cuts, folder):
    """{cut: [h][w][c] flattened in that order} for one image [h][w][3], behind all normalisation."""
    array, out = os.path.join(folder, "x.npy"), os.path.join(folder, "x.h5")
    np.save(array, np.ascontiguousarray(image.transpose(2, 0, 1)[None]).astype("<f4"))
    if os.path.exists(out):
        os.remove(out)
    cut_options = [option for cut in cuts for option in ("--cut", cut)]
    run("extract", model, array, "-o", out, "--order", "hwc", "--size", str(image.shape[0]), "--quiet", *cut_options)
    with h5py.File(out) as f:
        return {cut: f["cuts"][cut.lstrip("/").replace("/", ".")][0] for cut in cuts}


def difference(ours, theirs):
    """Largest difference relative to the largest value."""
    theirs = np.asarray(theirs, np.float64).ravel()
    assert ours.size == theirs.size, (ours.size, theirs.size)
    return float(np.abs(ours.ravel() - theirs).max() / max(np.abs(theirs).max(), 1e-30))


def compare(test, model, image, reference, folder):
    """reference: {layer: [h][w][c] or [c]}"""
    ours = values_at(model, image, list(reference), folder)
    for name, theirs in reference.items():
        test.assertLess(difference(ours[name], theirs), TOLERANCE, f"{model}: {name}")


def scratch():
    return tempfile.TemporaryDirectory(prefix="engraft-arch-")
