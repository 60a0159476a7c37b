"""ctrl-C ends a fit of many classes within two seconds, whatever learns."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import ENGRAFT, Case, main

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"no file to train on: {missing}")
    sys.exit(77)

WAYS = (["--classifier", "logistic"], ["--classifier", "svm"], ["--classifier", "svm", "--loss", "hinge"],
        ["--classifier", "forest"], ["--classifier", "mlp"], ["--classifier", "auto"])


class Interrupt(Case):
    def test_within_two_seconds(self):
        rng, n, d, k = np.random.default_rng(0), 4000, 512, 500
        y = np.arange(n) % k
        with h5py.File(self.here / "many.h5", "w") as f:
            f["features"] = (rng.normal(size=(k, d))[y] + 2 * rng.normal(size=(n, d))).astype("f4")
            f["labels"] = y
        for how in WAYS:
            with self.subTest(how=how):
                words = [ENGRAFT, "train", "many.h5", "-o", "m.onnx", "--cv", "3", "--force", *how]
                child = subprocess.Popen(words, cwd=self.here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                time.sleep(2.5)
                self.assertIsNone(child.poll(), "finished before it was interrupted")
                busy = max(1, os.getloadavg()[0] / os.cpu_count())  # others may have the processor
                begun = time.monotonic()
                child.send_signal(signal.SIGINT)
                out, err = child.communicate(timeout=120)
                took = time.monotonic() - begun
                self.assertEqual((child.returncode, out), (130, ""), err)
                self.assertIn("interrupted", err)
                self.assertLess(took, 2 * busy, how)
                self.assertFalse((self.here / "m.onnx").exists())


if __name__ == "__main__":
    main()
