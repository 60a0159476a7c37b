"""Shards added up, missing, moved; what an extraction will cost, and whether it has room."""
import os
import subprocess

from program import ENGRAFT, MODEL, SOURCE, Case, main, photo, photos


class Shards(Case):
    """Parts of a listing: added up, what is missing, joined, moved."""

    def test_shards_are_added_up(self):
        photos(self.here / "photos", n=4)
        for i in (0, 1, 3):
            self.good("extract", MODEL, "photos", "-o", f"s{i}.h5", "--shard", f"{i}/4", "--quiet")
        found = self.json("info", "s0.h5", "s1.h5", "s3.h5")
        self.assertEqual((found["rows"], found["done"], found["missing"], found["complete"]), (6, 6, [2], False))
        self.assertRegex(self.good("info", "s0.h5", "s1.h5", "s3.h5").stdout, r"missing +2\n")
        self.good("extract", MODEL, "photos", "-o", "s2.h5", "--shard", "2/4", "--quiet")
        self.assertTrue(self.json("info", *[f"s{i}.h5" for i in range(4)])["complete"])
        self.assertEqual(self.json("info", "s0.h5", "s0.h5")["twice"], [0])
        self.good("extract", MODEL, "photos", "-o", "o.h5", "--shard", "2/4", "--pool", "max", "--cut", "_blocks.3", "--quiet")
        self.assertEqual([file["made_otherwise"] for file in self.json("info", "s0.h5", "o.h5")["files"]], [False, True])
        (self.here / "broken.h5").write_bytes((self.here / "s1.h5").read_bytes()[:2000])
        done = self.good("info", "s0.h5", "broken.h5", code=3)
        self.assertIn("broken.h5", done.stderr)
        self.bad(2, "info", "s0.h5", "s1.h5", "--check", says="--check")
        self.good("merge", "-o", "all.h5", *[f"s{i}.h5" for i in range(4)])
        (self.here / "elsewhere").mkdir()
        for name in ("s1.h5", "s2.h5"):
            (self.here / name).rename(self.here / "elsewhere" / name)
        done = self.bad(1, "info", "all.h5", says="2 of 4 are not there, 's1.h5' the first")
        self.assertIn("merge them anew", done.stderr)

    def test_the_scripts_of_the_document(self):
        photos(self.here / "photos", n=4)
        (self.here / "photos/down/zz.png").write_bytes(b"\x89PNG cut short")
        path = f"{os.path.dirname(ENGRAFT)}:{os.environ['PATH']}"
        for script, env, parts in (("xargs.sh", {}, [[MODEL, "photos", "x", "3"]]),
                                   ("slurm_array.sh", {"SLURM_ARRAY_TASK_MAX": "2"}, [[MODEL, "photos", "y"]] * 3)):
            for i, words in enumerate(parts):
                done = subprocess.run(["bash", SOURCE / "examples/scale" / script, *words], cwd=self.here, capture_output=True, text=True,
                                      env={**os.environ, **env, "PATH": path, "SLURM_ARRAY_TASK_ID": str(i)})
                self.assertEqual(done.returncode, 0, done.stderr)
        self.good("merge", "-o", "y.h5", *[f"y.{i:04}.h5" for i in range(3)])
        rows = [self.good("rows", name, "--csv").stdout for name in ("x.h5", "y.h5")]
        self.assertEqual(*rows)
        self.assertEqual(self.json("info", "x.h5")["unreadable_count"], 1)


class Room(Case):
    def test_a_disk_without_room_is_told_before_any_work(self):
        photo(self.here / "x.png", 0, 1)
        names = "".join(f"y{i}.png,a\n" for i in range(400000))
        (self.here / "l.csv").write_text("path,label\n" + names)
        words = ["extract", MODEL, "l.csv", "-o", "f.h5", "--cut", "_blocks.0._depthwise_conv", "--cut", "_blocks.1._expand_conv"]  # 6.4 MB a photo
        self.bad(1, *words, says="has no room")
        self.assertFalse((self.here / "f.h5").exists())
        self.bad(1, "extract", MODEL, "x.png", "-o", "no/such/f.h5", says="cannot write 'no/such/f.h5'")

    def test_an_estimate_writes_nothing(self):
        photos(self.here / "photos", n=6)
        before = sorted(self.here.rglob("*"))
        found = self.json("extract", MODEL, "photos", "--estimate")
        self.assertEqual((found["photos"], found["sampled"]), (12, 12))
        self.assertGreater(found["core_hours"], 0)
        self.assertAlmostEqual(found["hours"], found["seconds"] / 3600, places=9)
        self.good("extract", MODEL, "photos", "--estimate", "-o", "f.h5", "--shard", "0/2")
        self.assertEqual(sorted(self.here.rglob("*")), before)
        self.good("extract", MODEL, "photos", "-o", "f.h5")
        self.assertLess(found["bytes"] / 12, (self.here / "f.h5").stat().st_size)
        self.bad(2, "extract", MODEL, "photos", says="-o FILE.h5 is missing")
        self.bad(2, "extract", MODEL, "photos", "--estimate", "--force", says="--force")


if __name__ == "__main__":
    main()
