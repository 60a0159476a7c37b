"""engraft audit: a misplaced photo, copies and odd ones are found; corrections are carried out and undone."""
import csv
import shutil

from program import Case, main, photo, png


class Audit(Case):
    def data(self):
        self.features()  # photos/across, photos/down and f.h5
        photo(self.here / "photos/across/wrong.png", 1, 990)  # a "down" among "across"
        shutil.copy(self.here / "photos/down/03.png", self.here / "photos/across/copy.png")
        shutil.copy(self.here / "photos/down/04.png", self.here / "photos/down/again.png")
        png(self.here / "photos/down/black.png", bytes(3 * 60 * 60), 60, 60)

    def audit(self, *more, **how):
        return self.json("audit", "photos", "-o", "f2.h5", "--quiet", *more, **how)

    def files(self):
        return sorted(str(path.relative_to(self.here / "photos")) for path in (self.here / "photos").rglob("*.png"))

    def test_what_is_wrong_is_found(self):
        self.data()
        report = self.audit()
        self.assertEqual(report["rows"], 28)
        suspects = {one["path"]: one["suggestion"] for one in report["suspects"]}
        self.assertEqual(suspects.get("across/wrong.png"), "down", suspects)
        # stripes of one period are near one another too: what belongs together has to be, whatever else joins it
        together = lambda *paths: [one for one in report["duplicates"] if set(paths) <= set(one["paths"])]
        self.assertEqual([one["meaning"] for one in together("across/copy.png", "down/03.png")], ["two_classes"])
        self.assertEqual([one["kind"] for one in together("down/04.png", "down/again.png")], ["exact"])
        self.assertEqual([], together("across/00.png", "down/00.png"))
        self.assertIn(("down/black.png", "one_colour"), {(one["path"], one["reason"]) for one in report["outliers"]})
        rows = list(csv.reader(self.good("audit", "f2.h5", "--csv", "--quiet").stdout.splitlines()))
        self.assertEqual(rows[0], ["path", "label", "issue", "suggestion", "score"])
        self.assertIn(["across/wrong.png", "across", "label", "down"], [row[:4] for row in rows])

    def test_corrections_and_undo(self):
        self.data()
        self.audit()
        before = self.files()
        (self.here / "fix.csv").write_text(
            "path,action,label\nacross/wrong.png,move,down\nacross/copy.png,delete,\nacross/00.png,ok,\nacross/none.png,delete,\n")
        done = self.json("audit", "photos", "-o", "f2.h5", "--apply", "fix.csv", code=3)
        self.assertEqual((done["moved"], done["deleted"], done["confirmed"]), (1, 1, 1))
        self.assertEqual([one["path"] for one in done["skipped"]], ["across/none.png"])
        after = self.files()
        self.assertIn("down/wrong.png", after)
        self.assertIn(".engraft/trash/across/copy.png", after)
        self.assertEqual(self.audit()["rows"], 27)
        self.assertEqual(self.json("audit", "photos", "-o", "f2.h5", "--undo")["files"], 2)
        self.assertEqual(self.files(), before)
        self.bad(2, "audit", "photos", "-o", "f2.h5", "--undo", says="no corrections")

    def test_what_is_confirmed_is_not_asked_again(self):
        self.data()
        asked = {one["path"] for one in self.audit()["suspects"]}
        self.assertIn("across/wrong.png", asked)
        (self.here / "fix.csv").write_text("path,action,label\nacross/wrong.png,ok,\n")
        self.good("audit", "f2.h5", "--apply", "fix.csv")
        photo(self.here / "photos/down/new.png", 1, 991)  # the next append keeps it
        self.assertNotIn("across/wrong.png", {one["path"] for one in self.audit()["suspects"]})

    def test_a_confirmed_label_that_changes_is_asked_again(self):
        self.data()
        self.audit()
        (self.here / "photos/down/00.png").rename(self.here / "photos/across/moved.png")
        self.audit()
        (self.here / "fix.csv").write_text("path,action,label\nacross/moved.png,ok,\n")
        self.good("audit", "photos", "-o", "f2.h5", "--apply", "fix.csv")
        self.assertNotIn("across/moved.png", {one["path"] for one in self.audit()["suspects"]})
        (self.here / "photos/across/moved.png").rename(self.here / "photos/down/00.png")
        self.audit()  # what was confirmed was another label
        (self.here / "photos/down/00.png").rename(self.here / "photos/across/moved.png")
        self.assertIn("across/moved.png", {one["path"] for one in self.audit()["suspects"]})

    def test_rows_of_a_table_change(self):
        self.features()
        table = self.here / "photos/table.csv"
        table.write_text('note,path,label\n"a, b",across/00.png,across\n,across/01.png,across\n,down/00.png,down\n')
        (self.here / "fix.csv").write_text("path,action,label\nacross/00.png,move,down\nacross/01.png,delete,\n")
        old = table.read_text()
        self.good("audit", "photos/table.csv", "-o", "t.h5", "--apply", "fix.csv", code=1)  # no features yet
        self.assertEqual(table.read_text(), old)
        self.good("extract", "efficientnet-lite0", "photos/table.csv", "-o", "t.h5", "--quiet")
        self.good("audit", "photos/table.csv", "-o", "t.h5", "--apply", "fix.csv")
        self.assertEqual(table.read_text(), 'note,path,label\n"a, b",across/00.png,down\n,down/00.png,down\n')
        self.assertFalse((self.here / "photos/across/01.png").exists())
        self.good("audit", "photos/table.csv", "--undo")
        self.assertEqual(table.read_text(), old)
        self.assertTrue((self.here / "photos/across/01.png").exists())

    def test_bad_corrections_change_nothing(self):
        self.features()
        before = self.files()
        for text, says in (("path,action,label\nacross/00.png,burn,\n", "burn"), ("path,label\nx,y\n", "path,action,label"),
                           ("path,action,label\nacross/00.png,move,../down\n", "cannot be the name of a class")):
            (self.here / "fix.csv").write_text(text)
            self.bad(1, "audit", "f.h5", "--apply", "fix.csv", says=says)
        self.assertEqual(self.files(), before)
        self.bad(2, "audit", "photos", says="-o FILE.h5")


main()
