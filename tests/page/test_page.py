"""The page of --report in a browser: Debian's chromium, driven by selenium. What it shows is what the JSON says; what is
collected in it is what `engraft audit --apply` takes; it works by keyboard, in the dark, on a phone, for axe-core."""
import csv
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from browser import HOSTILE, InBrowser
from program import ENGRAFT, MODEL, Case, main, photo, photos
from selenium.webdriver.common.keys import Keys

LONG = "\u202e" + "very " * 36 + "long"  # and against the direction of reading


class Page(InBrowser, Case):
    made = None

    def setUp(self):
        super().setUp()
        if not Page.made:  # once for all tests
            photos(self.here / "photos", classes=("across", HOSTILE, LONG), n=10)
            photo(self.here / "photos/across/wrong.png", 1, 990)
            shutil.copy(self.here / f"photos/{HOSTILE}/03.png", self.here / "photos/across/copy \"quoted\", twice.png")
            self.good("train", "photos", "--model", MODEL, "-o", "m.onnx", "--report", "page.html", "--quiet")
            Page.made = self.here.parent / f"{self.here.name}-made"
            shutil.copytree(self.here, Page.made)
            self.addClassCleanup(shutil.rmtree, Page.made)
        else:
            shutil.copytree(Page.made, self.here, dirs_exist_ok=True)
        text = (self.here / "page.html").read_text()
        self.data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))

    def open(self, width=1280, dark=False, page="page.html"):
        self.size(width, dark)
        self.browser.get((self.here / page).as_uri())
        self.browser.execute_script("localStorage.clear()")
        self.browser.refresh()

    def tearDown(self):
        self.assertEqual([line["message"] for line in self.browser.get_log("browser")], [])

    def click(self, element):
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", element)

    def name_of(self, index):
        return "unknown" if index < 0 else self.data["classes"][index]

    def test_cells_open_the_photos_in_them(self):
        self.open()
        source = self.data["sources"][0]
        cells = self.all("#confusion .cell")
        self.assertEqual(len(cells), sum(count > 0 for row in source["confusion"] for count in row))
        for cell in cells:
            truth, answer = cell.get_attribute("data-truth"), cell.get_attribute("data-answer")
            self.click(cell)
            shown = {card.get_attribute("data-path") for card in self.all("#confusion .opened .card")}
            right = {one["path"] for one in self.data["photos"] if source["id"] in one
                     and self.name_of(one["label"]) == truth and self.name_of(one[source["id"]][0][0]) == answer}
            self.assertEqual(shown, right)
            self.assertNotIn("null", self.one("#confusion .opened").text)
            self.assertEqual(len(shown), source["confusion"][source["classes"].index(truth)][source["classes"].index(answer)])
        self.click(self.all("#confusion .opened .open")[0])  # and a card its photo
        self.assertTrue(self.one("dialog[open]").is_displayed())
        self.assertIn(self.one("dialog .path bdi").text, shown)
        self.assertTrue(self.one("dialog .large img").get_property("naturalWidth") > 0)
        # the other judge
        self.click(self.one("dialog .head button"))
        self.one("#confusion-source").send_keys(Keys.ARROW_DOWN)
        total = sum(int(cell.text) for cell in self.all("#confusion .cell"))
        self.assertEqual(total, self.data["sources"][1]["count"])

    def test_corrections_are_what_apply_takes(self):
        self.open()
        folder = self.here / "saved"
        folder.mkdir()
        self.browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
        suspects = {one["path"]: one["suggestion"] for one in self.data["audit"]["suspects"]}
        self.assertEqual(suspects.get("across/wrong.png"), HOSTILE)
        self.click(self.one("#take-all"))
        copy = next(card for card in self.all("#duplicates .card") if "twice" in card.get_attribute("data-path"))
        self.click(self.one("[data-action=delete]", copy))
        kept = next(card for card in self.all("#duplicates .card") if card.get_attribute("data-path").endswith("/03.png"))
        self.click(self.one("[data-action=ok]", kept))
        self.browser.refresh()  # they outlive the page
        self.click(self.one("#save-corrections"))
        file = folder / "corrections.csv"
        for _ in range(100):
            if file.exists():
                break
            time.sleep(0.05)
        rows = {row["path"]: (row["action"], row["label"]) for row in csv.DictReader(file.read_text().splitlines())}
        expected = {path: ("move", label) for path, label in suspects.items()}
        expected[copy_path := 'across/copy "quoted", twice.png'] = ("delete", "")
        expected[f"{HOSTILE}/03.png"] = ("ok", "")
        self.assertEqual(rows, expected)
        done = self.json("audit", "photos", "-o", "m.h5", "--apply", str(file))
        self.assertEqual((done["moved"], done["deleted"], done["confirmed"], done["skipped"]),
                         (len([1 for action, _ in expected.values() if action == "move"]), 1, 1, []))
        self.assertTrue((self.here / f"photos/{HOSTILE}/wrong.png").exists())
        self.assertFalse((self.here / "photos" / copy_path).exists())

    def test_heat_maps_lie_over_what_the_network_saw(self):
        self.open()
        mapped = [one for one in self.data["photos"] if "map" in one]
        self.assertTrue(mapped)
        cards = self.all("#errors .card")
        self.assertEqual(len(self.all("#errors canvas.heat")), len(cards))
        for card in cards:
            photo_ = next(one for one in mapped if one["path"] == card.get_attribute("data-path"))
            heat, shown = self.one("canvas.heat", card), self.one("img", card)
            self.assertEqual((heat.get_property("width"), heat.get_property("height")), (len(photo_["map"][0]), len(photo_["map"])))
            box = photo_.get("seen", [0, 0, 1, 1])
            for part, start, size in ((0, "x", "width"), (1, "y", "height")):
                self.assertAlmostEqual(heat.rect[start], shown.rect[start] + box[part] * shown.rect[size], delta=1)
                self.assertAlmostEqual(heat.rect[size], box[part + 2] * shown.rect[size], delta=1)
            pixels = self.browser.execute_script("const c = arguments[0]; return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]", heat)
            for at, value in enumerate(number for row in photo_["map"] for number in row):
                self.assertEqual(pixels[4 * at + 3], round(1.9 * abs(value) + 1e-9))
        self.click(self.one("#errors .heat-switch"))
        self.assertFalse(any(one.is_displayed() for one in self.all("canvas.heat")))
        self.click(self.one("#errors .open"))
        self.assertEqual(self.one("dialog .heat-switch").get_attribute("aria-pressed"), "false")
        self.click(self.one("dialog .heat-switch"))
        self.assertTrue(self.one("dialog canvas.heat").is_displayed())

    def test_names_stay_text(self):
        self.open()
        self.assertEqual(self.all("img[src=x]"), [])
        self.assertNotIn("read as HTML", self.browser.title)
        self.assertIn(HOSTILE, self.one("#classes").text)

    def test_it_works_by_keyboard(self):
        self.open()
        cell = self.one("#confusion .cell")
        self.browser.execute_script("arguments[0].focus()", cell)
        cell.send_keys(Keys.ENTER)
        self.browser.switch_to.active_element.send_keys(Keys.TAB)  # from the heading to the first photo
        opener = self.browser.switch_to.active_element
        self.assertEqual(opener.get_attribute("class"), "open")
        opener.send_keys(Keys.ENTER)
        self.assertTrue(self.one("dialog[open]"))
        self.browser.switch_to.active_element.send_keys(Keys.ESCAPE)
        self.assertEqual(self.all("dialog[open]"), [])
        self.assertEqual(self.browser.switch_to.active_element, opener)
        plane = self.one("canvas.map")
        self.browser.execute_script("arguments[0].focus()", plane)
        plane.send_keys(Keys.ARROW_RIGHT)
        first = self.one("#map .hidden-words").text
        plane.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
        self.assertTrue(first)
        plane.send_keys(Keys.ENTER)
        self.assertTrue(self.one("dialog[open]"))

    def test_axe_finds_nothing_serious(self):
        for width, dark in ((1280, False), (390, True)):
            self.open(width, dark)
            self.assertLessEqual(self.browser.execute_script("return document.documentElement.scrollWidth"), width)
            for opened in (False, True):
                if opened:
                    self.click(self.one("#errors .open, #confusion .open, #suspects .open"))
                self.assertEqual(self.serious(), [])

    def test_the_snippet_runs_the_model(self):
        try:
            import onnxruntime  # noqa: F401
            import PIL  # noqa: F401
        except ImportError as error:
            self.skipTest(str(error))
        self.open()
        code = self.one("#snippet").get_property("textContent")
        shutil.copy(self.here / "photos/across/00.png", self.here / "photo.jpg")  # told by its bytes
        (self.here / "snippet.py").write_text(code)
        done = subprocess.run([sys.executable, "snippet.py"], cwd=self.here, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        said = self.json("predict", "m.onnx", "photo.jpg")[0]["top"][0]
        self.assertTrue(done.stdout.startswith(said["label"]), (done.stdout, said))
        self.assertAlmostEqual(float(done.stdout.split()[-1]), said["probability"], delta=1e-3)


if __name__ == "__main__":
    main()
