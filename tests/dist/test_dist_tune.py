"""Fine-tuning by 1, 2 and 3 ranks that share every batch: the same loss curves to 1e-5, one file, one report."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

if not shutil.which("mpirun"):
    print("mpirun is not installed")
    sys.exit(77)

ENGRAFT, SOURCE = os.environ["ENGRAFT"], pathlib.Path(os.environ["ENGRAFT_SOURCE"])
# 3 ranks do not divide a batch of 8, and of the last one some get nothing
OPTIONS = ["--models", str(SOURCE / "models"), "--size", "64", "--threads", "1", "--batch", "8", "--unfreeze", "_blocks.15",
           "--epochs", "2", "--lr", "5e-4", "--mixup", "0.3", "--seed", "5", "--valid", "0.2", "--keep-tuned", "--json"]


def run(ranks, folder, *more):
    command = ["mpirun", "-n", str(ranks), "--oversubscribe", "--allow-run-as-root", ENGRAFT, "tune", "efficientnet-lite0",
               f"{folder}/photos", "-o", f"{folder}/{ranks}.onnx", *OPTIONS, *more]
    return subprocess.run(command, env=dict(os.environ, OMPI_MCA_rmaps_base_oversubscribe="1"), capture_output=True, text=True)


def curves(report):
    return [(e["train_loss"], e["valid_loss"], e["rate"]) for e in report["epochs"]]


with tempfile.TemporaryDirectory(prefix="engraft-dist-") as folder:
    for label in ("bird", "fruit"):
        os.makedirs(f"{folder}/photos/{label}")
        for photo in sorted((SOURCE / "examples/photos" / label).iterdir())[:14]:
            os.symlink(photo, f"{folder}/photos/{label}/{photo.name}")
    alone = None
    for ranks in (1, 2, 3):
        done = run(ranks, folder)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)  # of one rank, not of each
        assert os.path.exists(f"{folder}/{ranks}.onnx") and not os.path.exists(f"{folder}/{ranks}.onnx.tuning")
        alone = alone or report
        worst = max(abs(a - b) for mine, one in zip(curves(report), curves(alone)) for a, b in zip(mine, one))
        assert len(curves(report)) == len(curves(alone)) and worst < 1e-5, f"{ranks} ranks: {worst}"
        assert report["test_accuracy"] == alone["test_accuracy"]
        print(f"{ranks} ranks: losses of one within {worst:.1e}", flush=True)
    refused = run(2, folder, "--force", "--train-batch-norm")
    assert refused.returncode and "several processes" in refused.stderr, refused.stderr
