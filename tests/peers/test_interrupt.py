"""ctrl-C ends a fit of many classes within two seconds, whatever learns."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import ENGRAFT, MODEL, Case, main, photos

try:
    import h5py
    import numpy as np
except ImportError as missing:
    print(f"no file to train on: {missing}")
    sys.exit(77)

WAYS = (["--classifier", "logistic"], ["--classifier", "svm"], ["--classifier", "svm", "--loss", "hinge"],
        ["--classifier", "forest"], ["--classifier", "mlp"], ["--classifier", "auto"])
LAST = 2  # seconds from ctrl-C to the end


class Interrupt(Case):
    def stop(self, after, *words):
        """ctrl-C `after` seconds from its start, while it works: it ends in time and says so."""
        command = [ENGRAFT, *words, "-o", "m.onnx", "--force"]
        child = subprocess.Popen(command, cwd=self.here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(after)
        self.assertIsNone(child.poll(), "finished before it was interrupted")
        busy = max(1, os.getloadavg()[0] / os.cpu_count())  # others may have the processor
        begun = time.monotonic()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=120)
        took = time.monotonic() - begun
        self.assertEqual((child.returncode, out), (130, ""), err)
        self.assertRegex(err, "interrupted|stopped")
        self.assertLess(took, LAST * busy, words)
        if words[0] == "train":  # tune keeps the best so far
            self.assertFalse((self.here / "m.onnx").exists())

    def matrix(self, name, n, d, k):
        rng, y = np.random.default_rng(0), np.arange(n) % k
        with h5py.File(self.here / name, "w") as f:
            f["features"] = (rng.normal(size=(k, d))[y] + 2 * rng.normal(size=(n, d))).astype("f4")
            f["labels"] = y

    def test_many_classes(self):
        self.matrix("many.h5", 4000, 512, 500)
        for how in WAYS:
            with self.subTest(how=how):
                self.stop(2.5, "train", "many.h5", "--cv", "3", *how)

    def test_covariance(self):
        """Its products are a call each, and so are the scores of all rows."""
        self.matrix("rows.h5", 6000, 1024, 600)
        self.stop(1.2, "train", "rows.h5", "--cv", "5", "--classifier", "lda")

    def test_fine_tuning(self):
        photos(self.here / "photos", n=30)
        self.stop(4, "tune", MODEL, "photos", "--unfreeze", "all", "--epochs", "200", "--effort", "fast")


if __name__ == "__main__":
    main()
