"""A run is killed, cut from power, or out of space at each of its writes in turn; each time the
file must open, hold only right rows, and be finished by the same command to the same datasets.

    test_crash.py SCENARIO [MODE...]       see crash_driver.c and crash_shim.c

h5py looks too, where it is installed: after a plain run's crash at once, else after our own
reader has been there."""
import os
import shutil
import subprocess
import sys
import tempfile

try:
    import h5py
except ImportError:
    h5py = None

DRIVER, SHIM = os.environ["CRASH_DRIVER"], os.environ["CRASH_SHIM"]
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # no waiting for the disk
MODES = ("kill", "torn", "drop", "reorder", "full", "error")


def driver(scenario, verb, path, **crash):
    env = dict(os.environ)
    if crash:
        env["LD_PRELOAD"] = SHIM
        env.update({"CRASH_" + key.upper(): str(value) for key, value in crash.items()})
    # close_fds=False: spawned without copying this process's page tables
    return subprocess.run([DRIVER, scenario, verb, path], env=env, capture_output=True, text=True, close_fds=False)


def contents(path):
    """Every dataset but the history, which tells of the runs."""
    found = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: found.__setitem__(name, item[()].tobytes())
                        if isinstance(item, h5py.Dataset) and name != "history" else None)
    return found


def done_rows_are_right(path, reference):
    with h5py.File(path, "r") as file, h5py.File(reference, "r") as whole:
        done = file["status"][()] == 1
        for name in whole["cuts"]:
            if (file["cuts"][name][()][done] != whole["cuts"][name][()][done]).any():
                return False
        return True


def main():
    scenario, modes = sys.argv[1], sys.argv[2:] or MODES
    if h5py is None:
        print("without h5py: only our own reader looks", flush=True)
    trials = failures = 0
    with tempfile.TemporaryDirectory(prefix="engraft-crash-", dir=MEMORY) as folder:
        path = os.path.join(folder, "f.h5")
        reference, base, count = (os.path.join(folder, name) for name in ("whole", "base", "count"))
        if scenario.startswith("grow"):
            assert driver(scenario[4:] or "plain", "write", base).returncode == 0

        def begin():
            for left in os.listdir(folder):
                if left.startswith("f.h5"):
                    os.remove(os.path.join(folder, left))
            if os.path.exists(base):
                shutil.copyfile(base, path)

        begin()
        first = driver(scenario, "write", path, at=0, count=count)
        assert first.returncode == 0, first.stderr
        shutil.copyfile(path, reference)
        with open(count) as file:
            calls = int(file.read())
        assert calls > 20, calls
        wanted = contents(reference) if h5py else None
        for mode in modes:
            for k in range(1, calls + 1):
                begin()
                crashed = driver(scenario, "write", path, mode=mode, at=k)
                problem = None
                if mode in ("kill", "torn", "drop", "reorder") and crashed.returncode != -9:
                    problem = "was not killed: %d %s" % (crashed.returncode, crashed.stderr)
                if mode == "full" and crashed.returncode and "No space left" not in crashed.stderr:
                    problem = "does not speak of space: " + crashed.stderr
                if crashed.returncode not in (0, 1, -9):
                    problem = "ended with %d: %s" % (crashed.returncode, crashed.stderr)
                if not problem and h5py and scenario == "plain" and os.path.exists(path):
                    try:
                        if not done_rows_are_right(path, reference):
                            problem = "h5py finds a wrong row that is marked done"
                    except (OSError, KeyError) as error:
                        problem = "h5py: %s" % error
                if not problem:
                    rerun = driver(scenario, "all", path)
                    if rerun.returncode:
                        problem = "cannot be finished: " + (rerun.stderr or str(rerun.returncode))
                if not problem and wanted and mode in ("kill", "drop") and contents(path) != wanted:
                    problem = "holds other bytes in the end"
                left = [name for name in os.listdir(folder) if name.startswith("f.h5.")]
                if not problem and left:
                    problem = "leaves %s" % left
                trials += 1
                if problem:
                    failures += 1
                    print("%s %s at %d of %d: %s" % (scenario, mode, k, calls, problem), flush=True)
    print("%s: %d trials, %d failures" % (scenario, trials, failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
