"""Appending, compressing, sharding, merging, and finding duplicates."""
import shutil

from program import MODEL, Case, main, photos


class StoreCommands(Case):
    def rows(self, path):
        return {row["path"]: (row["label"], row["features"]) for row in self.json("rows", path)}

    def test_shards_merge_to_the_whole(self):
        photos(self.here / "photos")
        self.good("extract", MODEL, "photos", "-o", "whole.h5")
        shards = []
        for i in range(3):
            shards.append("s%d.h5" % i)
            self.good("extract", MODEL, "photos", "-o", shards[i], "--shard", "%d/3" % i)
        self.bad(1, "merge", "-o", "m.h5", *shards[:2], says="give all of them")
        self.good("merge", "-o", "m.h5", *reversed(shards))
        self.good("merge", "-o", "copy.h5", "--copy", *shards)
        whole = self.json("rows", "whole.h5")
        self.assertEqual(self.json("rows", "m.h5"), whole)
        (self.here / "s1.h5").unlink()
        self.bad(1, "info", "m.h5", says="s1.h5")
        self.assertEqual(self.json("rows", "copy.h5"), whole)
        self.bad(2, "extract", MODEL, "photos", "-o", "x.h5", "--shard", "3/3", says="--shard")

    def test_append_computes_what_is_new(self):
        photos(self.here / "photos")
        self.good("extract", MODEL, "photos", "-o", "f.h5", "--deflate", "4")
        before = self.rows("f.h5")
        listed = sorted(before)
        new = self.here / "photos" / "new"
        new.mkdir()
        shutil.move(self.here / "photos" / listed[0], new / "moved.png")
        (self.here / "photos" / listed[1]).unlink()
        shutil.copy(self.here / "photos" / listed[2], self.here / "photos" / listed[3])
        self.bad(1, "extract", MODEL, "photos", "-o", "f.h5", "--deflate", "4", says="made otherwise")
        done = self.json("extract", MODEL, "photos", "-o", "f.h5", "--deflate", "4", "--append")
        self.assertEqual((done["rows"], done["done"]), (len(before), 1))
        after = self.rows("f.h5")
        self.assertEqual(after["new/moved.png"], ("new", before[listed[0]][1]))
        self.assertEqual(after[listed[3]][1], before[listed[2]][1])
        self.assertEqual(self.json("info", "f.h5")["vanished"], 1)
        same = self.json("info", "f.h5", "--duplicates")
        self.assertIn([listed[2], listed[3]], [[row["path"] for row in group] for group in same["exact"]])

    def test_check(self):
        photos(self.here / "photos")
        extract = ("extract", MODEL, "photos", "-o", "f.h5", "--size", "64", "--cut", "#20:avg", "--cut", "#9:max")
        self.good(*extract, "--deflate", "2")
        self.assertEqual(self.json("info", "f.h5", "--check")["problems"], [])
        again = self.json("info", "f.h5", "--recompute", "9")
        self.assertEqual((again["recomputed"], again["identical"], again["largest_difference"]), (9, 9, 0))
        cut = self.json("info", "f.h5")["cuts"][0]
        self.assertEqual(cut["deflate"], 2)
        self.assertAlmostEqual(cut["compression"], cut["stored_bytes"] / (24 * 4 * cut["length"]))
        self.bad(1, "info", "f.h5", "--recompute", "9", "--root", "elsewhere", says="has 9 faults in 24 rows")
        (self.here / "photos").rename(self.here / "moved")
        self.assertEqual(self.json("info", "f.h5", "--recompute", "24", "--root", "moved")["identical"], 24)
        shutil.copy(self.here / "moved" / "down" / "03.png", self.here / "moved" / "across" / "07.png")
        self.bad(1, "info", "f.h5", "--recompute", "24", "--root", "moved", says="across/07.png: its photo has been changed")


if __name__ == "__main__":
    main()
