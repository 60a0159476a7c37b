"""Moves are killed, cut from power or refused at each of their system calls in turn. Each time no
file may be lost or changed, and the same command ends with every file in its new place; or, called
instead, undo ends with every file in its old one. Undo is killed so too."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DRIVER, SHIM = os.environ["MOVES_DRIVER"], os.environ["CRASH_SHIM"]
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
FILES = ["cat/1.jpg", "cat/2.jpg", "cat/4.jpg", "dog/2.jpg", "dog/3.jpg", "table.csv", "new.csv"]
MOVED = ["dog/1.jpg", "dog/2-2.jpg", "cat/4.jpg", ".engraft/trash/2.jpg", "emu/of/kind/3.jpg", ".engraft/table.csv", "table.csv"]


def driver(verb, root, **crash):
    env = dict(os.environ)
    if crash:
        env["LD_PRELOAD"] = SHIM
        env.update({"CRASH_" + key.upper(): str(value) for key, value in crash.items()})
    return subprocess.run([DRIVER, verb, root], env=env, capture_output=True, text=True, close_fds=False)


def begin(root):
    shutil.rmtree(root, ignore_errors=True)
    for i, name in enumerate(FILES):
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("file %d" % i)


def found(root):
    """contents: name of every file but the journal; a stray temporary counts as one."""
    names = {}
    for path in sorted(Path(root).rglob("*")):
        if path.is_file() and not path.name.startswith(("journal", ".journal")):
            assert path.read_text() not in names, "twice: %s and %s" % (path, names[path.read_text()])
            names[path.read_text()] = str(path.relative_to(root))
    return names


def expect(root, places):
    return found(root) == {"file %d" % i: name for i, name in enumerate(places)}


def main():
    failures = trials = 0
    with tempfile.TemporaryDirectory(prefix="engraft-moves-", dir=MEMORY) as folder:
        root, count = os.path.join(folder, "root"), os.path.join(folder, "count")

        def calls_of(verb):
            done = driver(verb, root, at=0, count=count)
            assert done.returncode == 0, done.stderr
            return int(Path(count).read_text())

        begin(root)
        calls = {"apply": calls_of("apply")}
        assert expect(root, MOVED), found(root)
        calls["undo"] = calls_of("undo")
        assert expect(root, FILES), found(root)
        assert sorted(os.listdir(root)) == ["cat", "dog", "new.csv", "table.csv"], os.listdir(root)
        assert min(calls.values()) > 12, calls
        for verb in ("apply", "undo"):
            for mode in ("kill", "drop", "reorder", "error", "full"):
                for k in range(1, calls[verb] + 1):
                    for after in ("apply", "undo"):
                        begin(root)
                        if verb == "undo":
                            assert driver("apply", root).returncode == 0
                        crashed = driver(verb, root, mode=mode, at=k)
                        problem = None
                        try:
                            if len(found(root)) != len(FILES):
                                problem = "a file is lost: %s" % found(root)
                        except AssertionError as twice:
                            problem = str(twice)
                        if mode in ("kill", "drop", "reorder") and crashed.returncode != -9:
                            problem = "was not killed: %d %s" % (crashed.returncode, crashed.stderr)
                        if not problem and mode not in ("error", "full"):
                            if verb == "undo" and after == "apply":
                                continue  # an undo that was begun is to be ended by undo
                            if after == "apply" and os.path.exists(os.path.join(root, "journal")):
                                continue  # it was complete but for its last sync
                            rerun = driver(after, root)
                            if rerun.returncode or not expect(root, MOVED if after == "apply" else FILES):
                                problem = "%s after it: %d %s %s" % (after, rerun.returncode, rerun.stderr, found(root))
                        trials += 1
                        if problem:
                            failures += 1
                            print("%s %s at %d of %d: %s" % (verb, mode, k, calls[verb], problem), flush=True)
    print("%d trials, %d failures" % (trials, failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
