"""1, 2, 3 and 5 ranks write shards that merge to what one process writes, also after a rank was
killed and all were started again."""
import os
import shutil
import subprocess
import sys
import tempfile

try:
    import h5py
except ImportError:
    print("h5py is not installed")
    sys.exit(77)
if not shutil.which("mpirun"):
    print("mpirun is not installed")
    sys.exit(77)

DRIVER, ROWS = os.environ["DIST_DRIVER"], 53


def run(ranks, path, kill=None):
    env = dict(os.environ, OMPI_MCA_rmaps_base_oversubscribe="1")
    env.pop("DIST_KILL", None)
    if kill is not None:
        env["DIST_KILL"] = str(kill)
    command = ["mpirun", "-n", str(ranks), "--oversubscribe", "--allow-run-as-root", DRIVER, path, str(ROWS)]
    return subprocess.run(command, env=env, capture_output=True, text=True)


def contents(path):
    found = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: found.__setitem__(name, (item.dtype, item.shape, item[()].tobytes()))
                        if isinstance(item, h5py.Dataset) and name != "history" else None)
        found["reasons' names"] = file["reasons"].attrs["names"].tobytes()
    return found


with tempfile.TemporaryDirectory(prefix="engraft-dist-") as folder:
    serial = None
    for ranks in (1, 2, 3, 5):
        path = os.path.join(folder, "f%d.h5" % ranks)
        if ranks > 1:
            assert run(ranks, path, kill=ranks - 1).returncode, "a killed rank was not noticed"
            assert not os.path.exists(path), "a master without all its shards"
        done = run(ranks, path)
        assert done.returncode == 0, done.stderr
        found = contents(path)
        serial = serial or found
        assert found == serial, "%d ranks: %s" % (ranks, [k for k in serial if found.get(k) != serial[k]])
        print("%d ranks: the serial file" % ranks, flush=True)
