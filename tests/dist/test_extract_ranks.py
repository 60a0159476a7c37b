"""`mpirun -n N engraft extract` makes what one process makes, dataset by dataset, bit by bit: with
1, 2, 3 and 5 ranks, after a rank was killed, with more ranks than photos."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from program import ENGRAFT, MODEL, Case, main, photo, photos  # noqa: E402

try:
    import h5py
except ImportError:
    print("h5py is not installed")
    sys.exit(77)
if not shutil.which("mpirun"):
    print("mpirun is not installed")
    sys.exit(77)

SHIM = os.environ["CRASH_SHIM"]
EXTRACT = ("extract", MODEL, "photos", "--size", "64", "--cut", "#20:avg", "--cut", "#9:max", "--threads", "1")
# Rank $DYING counts its writes and dies at one of them.
RANK = """if [ "$OMPI_COMM_WORLD_RANK" = "$DYING" ]; then export LD_PRELOAD=%s; fi; exec "$@" """ % SHIM


def contents(path):
    """Every dataset but the history, which tells of the runs; and what is said of the cuts and the network."""
    found = {}

    def take(name, item):
        if name.startswith("history"):
            return
        if isinstance(item, h5py.Dataset):
            found[name] = (item.dtype, item.shape, item[()].tobytes())
        for key, value in item.attrs.items():
            found[name + "@" + key] = value.tobytes() if hasattr(value, "tobytes") else value

    with h5py.File(path, "r") as file:
        file.visititems(take)
    return found


class ExtractRanks(Case):
    def setUp(self):
        super().setUp()
        photos(self.here / "photos", n=11)
        (self.here / "photos" / "across" / "05.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        (self.here / "photos" / "down" / "08.png").write_bytes(b"nothing")
        photo(self.here / "photos" / "down" / ("x" * 200 + ".png"), 1, 7)  # one shard has wider paths
        for path in (self.here / "photos").rglob("*.png"):
            os.utime(path, (1, 1))  # the time of a file just written is not yet believed
        self.good(*EXTRACT, "-o", "serial.h5", code=3)
        self.serial = contents(self.here / "serial.h5")

    def ranks(self, n, *words, **env):
        command = ["mpirun", "-n", str(n), "--oversubscribe", "--allow-run-as-root", "sh", "-c", RANK, "sh", ENGRAFT]
        env = {**os.environ, **{key: str(value) for key, value in env.items()}}
        return subprocess.run(command + list(words), cwd=self.here, env=env, capture_output=True, text=True)

    def shards(self, n):
        return ["f.%d-of-%d.h5" % (i, n) for i in range(n)]

    def same_as_serial(self, path):
        found = contents(self.here / path)
        self.assertEqual([key for key in self.serial if found.get(key) != self.serial[key]], [])
        self.assertEqual(found.keys(), self.serial.keys())

    def test_ranks_make_the_serial_file(self):
        for n in (1, 2, 3, 5):
            done = self.ranks(n, *EXTRACT, "-o", "f.h5", "--json")
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertEqual(done.stdout.count('"output"'), 1, done.stdout)
            self.assertIn('"rows": 23', done.stdout)
            self.assertIn('"done": 21', done.stdout)
            self.assertIn("skipped down/08.png", done.stderr)
            self.assertEqual(sorted(p.name for p in self.here.glob("f.*-of-*")), self.shards(n) if n > 1 else [])
            self.same_as_serial("f.h5")
            before = (self.here / "f.h5").read_bytes()
            again = self.ranks(n, *EXTRACT, "-o", "f.h5")
            self.assertEqual(again.returncode, 3, again.stderr)
            self.assertIn("nothing to do", again.stdout)
            self.assertEqual((self.here / "f.h5").read_bytes(), before)
            for path in self.here.glob("f.*"):
                path.unlink()

    def test_a_killed_rank_is_run_again(self):
        n, dying = 3, 1
        count = self.here / "count"
        done = self.ranks(n, *EXTRACT, "-o", "f.h5", DYING=dying, CRASH_AT=0, CRASH_COUNT=count)
        self.assertEqual(done.returncode, 3, done.stderr)
        calls = int(count.read_text())
        for at in (calls // 2, calls - 6, calls - 1):
            for earlier in range(4):  # a run of another pace saves less often: it may end before that call
                for path in self.here.glob("f.*"):
                    path.unlink()
                killed = self.ranks(n, *EXTRACT, "-o", "f.h5", DYING=dying, CRASH_AT=at - earlier, CRASH_MODE="kill")
                if killed.returncode != 3:
                    break
            self.assertNotIn(killed.returncode, (0, 3), at)
            self.assertFalse((self.here / "f.h5").exists(), "a master without all its shards")
            done = self.ranks(n, *EXTRACT, "-o", "f.h5")
            self.assertEqual(done.returncode, 3, done.stderr)
            self.same_as_serial("f.h5")

    def test_a_shard_that_is_lost_is_made_again(self):
        self.ranks(3, *EXTRACT, "-o", "f.h5")
        (self.here / "f.1-of-3.h5").unlink()
        self.bad(1, "info", "f.h5", says="f.1-of-3.h5")
        self.assertEqual(self.ranks(3, *EXTRACT, "-o", "f.h5").returncode, 3)
        self.same_as_serial("f.h5")

    def test_more_ranks_than_photos(self):
        shutil.rmtree(self.here / "photos" / "down")
        for path in list((self.here / "photos" / "across").iterdir())[3:]:
            path.unlink()
        self.assertIn(self.run_in(*EXTRACT, "-o", "few.h5").returncode, (0, 3))
        self.serial = contents(self.here / "few.h5")
        self.assertIn(self.ranks(5, *EXTRACT, "-o", "f.h5").returncode, (0, 3))
        self.same_as_serial("f.h5")

    def test_what_is_in_the_way_is_kept(self):
        shutil.copy(self.here / "serial.h5", self.here / "f.h5")
        before = (self.here / "f.h5").read_bytes()
        done = self.ranks(2, *EXTRACT, "-o", "f.h5")
        self.assertEqual(done.returncode, 1)
        self.assertIn("is not what this job of 2 ranks makes", done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual((self.here / "f.h5").read_bytes(), before)
        self.assertEqual(self.ranks(2, *EXTRACT, "-o", "f.h5", "--append").returncode, 1)
        self.assertEqual(self.ranks(2, *EXTRACT, "-o", "f.h5", "--force").returncode, 3)
        self.same_as_serial("f.h5")
        self.bad(1, *EXTRACT, "-o", "f.h5", says="joins shards")


if __name__ == "__main__":
    main()
