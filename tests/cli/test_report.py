"""--report PAGE.html: one file with everything in it; --out-of-fold. How the page behaves in a browser is tests/page's."""
import base64
import csv
import json
import re
import shutil

from program import MODEL, Case, main, photo


def page_data(path):
    """The JSON and the pictures of a page."""
    text = path.read_text()
    parts = {name: json.loads(inside) for name, inside in re.findall(
        r'<script type="application/json" id="(\w+)">(.*?)</script>', text, re.S)}
    return parts["data"], parts["thumbs"], text


class Report(Case):
    def check_page(self, name, kind):
        data, thumbs, text = page_data(self.here / name)
        self.assertEqual(data["kind"], kind)
        self.assertNotIn("http://", text.replace("http://www.w3.org/", ""))
        self.assertNotIn("https://", text)
        self.assertEqual(text.count("<script"), text.count("</script>"))
        for thumb in thumbs:
            self.assertEqual(base64.b64decode(thumb, validate=True)[:2], b"\xff\xd8")
        for photo_ in data["photos"]:
            self.assertLess(photo_["thumb"], len(thumbs))
        return data, thumbs

    def check_maps(self, data, judge):
        """Each photo that is judged has the map that explain makes of the answer."""
        shown = [one for one in data["photos"] if judge in one]
        self.assertTrue(shown)
        for one in shown:
            self.assertEqual(one["map_of"], one[judge][0][0])
            said = self.json("explain", "m.onnx", f"photos/{one['path']}", "--class", data["classes"][one["map_of"]])[0]
            most = max(abs(value) for row in said["map"] for value in row)
            self.assertEqual((len(one["map"]), len(one["map"][0])), (len(said["map"]), len(said["map"][0])))
            for row, known in zip(one["map"], said["map"]):
                for value, other in zip(row, known):
                    self.assertAlmostEqual(value, 99 * other / most, delta=0.51)

    def test_train_tells_what_it_prints(self):
        self.features()
        trained = self.json("train", "f.h5", "-o", "m.onnx", "--report", "page.html", "--out-of-fold", "out.csv")
        data, thumbs = self.check_page("page.html", "train")
        test, fold = data["sources"]
        self.assertEqual((test["id"], fold["id"]), ("test", "fold"))
        self.assertEqual(test["confusion"], trained["test"]["confusion"])
        self.assertEqual(test["accuracy"], trained["test_accuracy"])
        self.assertEqual(data["report"]["C"], trained["C"])
        self.assertEqual(len(data["photos"]), 24)
        self.assertEqual(len(thumbs), 24)
        self.assertEqual(sum("test" in one for one in data["photos"]), 6)
        self.assertEqual({one["part"] for one in data["photos"] if "test" in one}, {"test"})
        for one in data["photos"]:  # answers are of the photos they stand with
            self.assertEqual(one["path"].split("/")[0], data["classes"][one["label"]])
            for other in one["near"]:
                self.assertEqual(data["photos"][other]["part"], "train")
        answers = {one["path"]: one["test"][0] for one in data["photos"] if "test" in one}
        for path, (label, probability) in answers.items():
            said = self.json("predict", "m.onnx", f"photos/{path}")[0]["top"][0]
            self.assertEqual(said["label"], data["classes"][label])
            self.assertAlmostEqual(said["probability"], probability, delta=2e-4)
        self.check_maps(data, "test")
        self.assertIn("reliability", [one["id"] for one in data["pictures"]])
        self.bad(1, "train", "f.h5", "-o", "n.onnx", "--report", "page.html", says="--force")

        rows = list(csv.DictReader((self.here / "out.csv").read_text().splitlines()))
        self.assertEqual(list(rows[0]), ["path", "label", "fold", "across", "down"])
        self.assertEqual(len(rows), 24)
        self.assertEqual({row["fold"] for row in rows}, set("01234"))
        for row in rows:
            self.assertAlmostEqual(float(row["across"]) + float(row["down"]), 1, delta=1e-4)
        right = sum((float(row["down"]) > 0.5) == (row["label"] == "down") for row in rows)
        self.assertGreaterEqual(right, 20)
        self.bad(2, "train", "f.h5", "-o", "n.onnx", "--cv", "1", "--C", "1", "--scale", "unit", "--out-of-fold", "o.csv", says="folds")

    def test_evaluate_audit_and_cuts(self):
        self.features()
        self.good("train", "f.h5", "-o", "m.onnx", "--quiet")
        judged = self.json("evaluate", "m.onnx", "photos", "--report", "e.html")
        data, thumbs = self.check_page("e.html", "evaluate")
        self.assertEqual(data["sources"][0]["confusion"], judged["confusion"])
        self.assertEqual((len(data["photos"]), len(thumbs)), (6, 6))
        self.check_maps(data, "test")
        self.assertIsNone(data["audit"])
        self.good("evaluate", "m.onnx", "f.h5", "--report", "e2.html", "--quiet")
        self.assertEqual(len(self.check_page("e2.html", "evaluate")[0]["photos"]), 24)
        found = self.json("audit", "f.h5", "--report", "a.html")
        data, _ = self.check_page("a.html", "audit")
        self.assertFalse([one for one in data["photos"] if "map" in one])  # there is no model to explain
        self.assertEqual(data["audit"], found)
        self.assertEqual(data["how"]["features"], "f.h5")
        self.bad(2, "audit", "f.h5", "--undo", "--report", "b.html", says="--report")
        ranked = self.json("cuts", MODEL, "photos", "--cut", "_blocks.2.add:avg", "--cut", "_blocks.4.add:avg", "--report", "c.html", "--quiet")
        data, _ = self.check_page("c.html", "cuts")
        self.assertEqual(data["pictures"][0]["id"], "cuts")
        self.assertEqual([one["cut"] for one in data["report"]["cuts"]], [one["cut"] for one in ranked["cuts"]])

    def test_names_stay_text(self):
        self.features()
        hostile = '<script>alert("x")</script>'.replace("/", "")
        shutil.move(self.here / "photos/across", self.here / f"photos/{hostile}")
        photo(self.here / f"photos/{hostile}" / '"><img src=x onerror=alert(1)>.png', 0, 77)
        self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--report", "page.html", "--quiet")
        data, _, text = page_data(self.here / "page.html")
        self.assertIn(hostile, data["classes"])
        self.assertNotIn("<script>alert", text)
        self.assertNotIn("<img src=x", text)


main()
