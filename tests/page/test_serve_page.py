"""The page of `engraft serve` in a browser: Debian's chromium, driven by selenium, with a camera that is none."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "cli"))
from browser import HOSTILE, InBrowser
import program
from program import photo, photos
from served import Served, main_served
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.keys import Keys

BUSY = max(1, os.getloadavg()[0] / os.cpu_count())  # other work on the machine: the seconds are those of an idle one
ROOT = Path(__file__).resolve().parent.parent.parent


class ServePage(InBrowser, Served):
    def setUp(self):
        super().setUp()
        self.clicks, self.waited = 0, 0.0
        self.folder = self.here / "project"
        self.folder.mkdir()

    def tearDown(self):
        shown = [line["message"] for line in self.browser.get_log("browser") if "net::ERR" not in line["message"]]
        self.browser.get("about:blank")
        self.assertEqual(shown, [])

    # ---- helpers --------------------------------------------------------------------------------

    def open(self, width=1280, dark=False, view=""):
        self.server = self.serve(self.folder)
        self.size(width, dark)
        self.browser.get(self.server.said["url"])
        if view:
            self.view(view)
        self.until(lambda: self.all("main h1"))

    def view(self, name):
        self.browser.execute_script("location.hash = arguments[0]", name)

    def until(self, true, seconds=40):
        """Waits for it, and counts the time."""
        began = time.monotonic()
        while True:
            try:
                found = true()
            except WebDriverException:
                found = None
            if found:
                self.waited += time.monotonic() - began
                return found
            if time.monotonic() - began > seconds:
                self.fail(f"did not happen within {seconds} s: {self.state()}")
            time.sleep(0.05)

    def click(self, selector):
        element = self.until(lambda: next((one for one in self.all(selector) if one.is_displayed() and one.is_enabled()), None))
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()
        self.clicks += 1

    def state(self):
        return self.server.json("GET", "/api/state")[1]

    def counts(self):
        return {one["name"]: one["count"] for one in self.state()["classes"]}

    def settled(self):
        """All is learned, searched and looked for mistakes in; nothing goes on."""
        def quiet():
            now = self.state()
            return now["phase"] == "ready" and now["model"] and not now["pending"] and now
        return self.until(quiet, 90)

    def card(self, name):
        return next(one for one in self.all(".class-card") if one.get_attribute("data-class") == name)

    def shown(self):
        return {one.get_attribute("data-class"): len(self.all(".tile", one)) for one in self.all(".class-card")}

    # ---- tests ------------------------------------------------------------------------------------

    def test_from_nothing_to_a_model(self):
        import numpy as np
        import onnxruntime
        from PIL import Image
        self.open()
        names = ["pen", "cup", HOSTILE]
        for i, name in enumerate(names):  # the field has the focus
            field = self.until(lambda: next((one for one in self.all("input") if one.is_displayed()), None))
            self.until(lambda: self.browser.switch_to.active_element == field)
            field.send_keys(name, Keys.ENTER)
            self.until(lambda: len(self.all(".class-card")) == i + 1)
        for name in names:
            self.click(f"button[data-camera='{name}']" if name != HOSTILE else "button[data-camera^='<img']")
            self.click("#record")
            began = time.monotonic()
            self.until(lambda: self.counts()[name] >= 5)
            self.click("#record")
            self.assertLess(time.monotonic() - began, 10 * BUSY)
        self.until(lambda: self.browser.execute_script("return document.documentElement.dataset.model"))
        self.click("#to-take")
        self.browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(self.here)})
        self.click("#take-onnx")
        model = self.here / "project.onnx"
        self.until(model.exists)
        self.assertLessEqual(self.clicks, 15)
        self.assertLessEqual(self.waited, 20 * BUSY)
        # the model by itself says what the page says; a photo of the network's size, so that nothing is resized
        self.settled()
        model.write_bytes(self.server.ask("GET", "/api/export/onnx")[2])
        session = onnxruntime.InferenceSession(str(model))
        about = session.get_modelmeta().custom_metadata_map
        recipe, classes = json.loads(about["engraft.recipe"]), json.loads(about["engraft.classes"])
        self.assertEqual(set(classes), set(names))
        side = recipe["size"]
        pixels = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(self.here / "new.png")
        said = self.server.json("POST", "/api/predict", (self.here / "new.png").read_bytes())[1]
        edge = [(side - crop) // 2 for crop in recipe["crop"]]
        cut = pixels[edge[0]:edge[0] + recipe["crop"][0], edge[1]:edge[1] + recipe["crop"][1]]
        got = session.run(["probabilities"], {"image": cut.astype(np.float32).transpose(2, 0, 1)[None]})[0][0]
        self.assertEqual(len(said["top"]), 3)
        for one in said["top"]:
            self.assertAlmostEqual(one["probability"], float(got[classes.index(one["label"])]), delta=1e-4)
        self.assertNotIn("read as HTML", self.browser.title)
        # tried with the camera: an answer, and how fast
        self.click("#to-try")
        self.click("#try-camera")
        self.until(lambda: re.search(r"\d+ frames a second", self.one("#speed").text))
        self.assertTrue(self.one("#verdict").text)
        self.assertEqual(len(self.all(".bars li")), 3)
        self.click("#why")
        self.until(lambda: self.all(".try-screen img") and self.one(".try-screen img").get_property("naturalWidth"))
        # burst by burst undo
        before = self.counts()
        self.view("photos")
        self.click("#undo")
        self.until(lambda: self.counts()[HOSTILE] == 0)
        self.assertEqual({name: count for name, count in self.counts().items() if name != HOSTILE}, {name: count for name, count in before.items() if name != HOSTILE})
        self.until(lambda: self.shown().get(HOSTILE) == 0)
        self.assertIn(HOSTILE, self.card(HOSTILE).text)
        self.assertEqual(self.all("img[src=x]"), [])

    def test_what_is_wrong_is_mended_on_the_spot(self):
        photos(self.folder, classes=("across", "down"), n=10)
        photo(self.folder / "across/wrong.png", 1, 990)
        shutil.copy(self.folder / "down/03.png", self.folder / "down/copy.png")
        self.open(view="quality")
        self.settled()
        mine = lambda: next((one for one in self.all("#suspects .card") if one.get_attribute("data-path") == "across/wrong.png"), None)
        self.until(mine)
        self.assertTrue(self.until(lambda: self.one(".card img").get_property("naturalWidth")))
        self.assertEqual(len(self.all("#confusion .cell")), sum(count > 0 for row in self.server.json("GET", "/api/report")[1]["sources"][0]["confusion"] for count in row))
        take = self.one("[data-action=move]", mine())
        self.browser.execute_script("arguments[0].click()", take)
        self.until(lambda: (self.folder / "down/wrong.png").exists())
        self.until(lambda: self.all(".toast"))
        self.click(".toast .link")  # and back
        self.until(lambda: (self.folder / "across/wrong.png").exists())
        self.settled()
        self.browser.refresh()
        ok = self.one("[data-action=ok]", self.until(mine))
        self.browser.execute_script("arguments[0].click()", ok)
        self.until(lambda: (self.state()["undo"] or {}).get("kind") == "confirm")
        self.assertEqual([one["path"] for one in self.server.json("GET", "/api/suspects")[1]["suspects"] if one["path"] == "across/wrong.png"], [])
        self.settled()
        self.click("#compare")
        rows = self.until(lambda: self.all("#network tbody tr"), 90)
        self.assertGreater(len(rows), 2)
        self.assertTrue(all(float(self.all("td", row)[3].text) > 0 for row in rows))
        other = next(row for row in rows if self.all("button", row))
        cut = self.all("td", other)[0].text
        self.browser.execute_script("arguments[0].click()", self.one("button", other))
        self.until(lambda: self.state()["cut"] == cut)
        self.settled()

    def test_photos_without_a_class(self):
        photos(self.folder, classes=("across", "down"), n=6)
        for i in range(4):
            photo(self.folder / f"new{i}.png", i % 2, 500 + i)
        self.open(view="inbox")
        self.settled()
        guess = self.until(lambda: self.all(".accept")) and self.one(".guess bdi").text
        path = self.one(".inbox-side .path").text
        self.assertIn(guess, ("across", "down"))
        body = self.one("body")
        body.send_keys(Keys.ENTER)
        self.until(lambda: (self.folder / guess / path).exists())
        self.until(lambda: self.one(".inbox-side .path").text != path)
        path = self.one(".inbox-side .path").text
        body.send_keys("2")
        self.until(lambda: (self.folder / "down" / path).exists())
        self.until(lambda: self.state()["inbox"] == 2 and self.one(".inbox-side .path").text != path)
        path = self.one(".inbox-side .path").text
        body.send_keys(Keys.DELETE)
        self.until(lambda: not (self.folder / path).exists())
        self.assertTrue((self.folder / ".engraft/trash" / path).exists())
        body.send_keys(Keys.CONTROL, "z", Keys.NULL)
        self.until(lambda: (self.folder / path).exists())
        # dragged from class to class, and dropped from outside
        self.view("photos")
        self.until(lambda: len(self.all(".class-card .tile")) > 8)
        self.drop("[data-class=down]", """data.setData("application/x-engraft-photos", JSON.stringify(["across/00.png"]));""")
        self.until(lambda: (self.folder / "down/00-2.png").exists())
        fetched = """data.items.add(new File([await (await fetch("/api/photo?path=down/01.png")).blob()], "dropped.png", {type: "image/png"}));"""
        self.drop("[data-class=across]", fetched)
        self.until(lambda: (self.folder / "across/dropped.png").exists())
        self.drop("body", fetched)  # anywhere else: no class
        self.until(lambda: (self.folder / "dropped.png").exists())

    def drop(self, selector, script):
        """A drop on an element, of what the script puts into `data`."""
        self.browser.execute_async_script(f"""
            const done = arguments[arguments.length - 1], data = new DataTransfer(), on = document.querySelector(arguments[0]);
            (async () => {{ {script} }})().then(() => {{
                for (const kind of ["dragenter", "dragover", "drop"]) on.dispatchEvent(new DragEvent(kind, {{dataTransfer: data, bubbles: true, cancelable: true}}));
                done();
            }});""", selector)

    def test_two_windows_changes_outside_reload_and_a_crash(self):
        photos(self.folder, classes=("across", "down"), n=6)
        self.open()
        first = self.browser.current_window_handle
        self.browser.switch_to.new_window("tab")
        self.browser.get(self.server.said["url"])
        self.until(lambda: len(self.all(".class-card")) == 2)
        self.one("#new-class").send_keys("third", Keys.ENTER)
        self.until(lambda: (self.folder / "third").is_dir())
        second = self.browser.current_window_handle
        self.browser.switch_to.window(first)
        self.until(lambda: "third" in self.shown())
        # outside
        photo(self.folder / "third/a.png", 0, 77)
        self.until(lambda: self.shown()["third"] == 1)
        shutil.rmtree(self.folder / "third")
        self.until(lambda: "third" not in self.shown())
        # the address stays what it was, so does what was done
        self.view("photos/across")
        self.until(lambda: len(self.all(".cell-photo img[src]")) == 6)
        self.browser.refresh()
        self.until(lambda: len(self.all(".cell-photo img[src]")) == 6)
        grid = self.one(".grid")
        self.browser.execute_script("arguments[0].focus()", grid)
        grid.send_keys(" ", Keys.ARROW_RIGHT, " ")
        self.assertEqual(self.one(".selection strong").text, "2 selected")
        self.browser.execute_script("const s = document.querySelector('.selection select'); s.value = 'down'; s.dispatchEvent(new Event('change'))")
        self.until(lambda: self.counts() == {"across": 4, "down": 8})
        self.settled()
        before = self.state()
        self.server.stop(signal.SIGKILL)
        self.server = self.serve(self.folder)
        after = self.settled()
        self.assertEqual({one["name"]: one["count"] for one in after["classes"]}, {"across": 4, "down": 8})
        self.assertEqual(after["undo"], before["undo"])
        self.assertEqual(after["accuracy"], before["accuracy"])
        self.assertEqual(self.server.json("POST", "/api/undo", "{}")[0], 200)
        self.until(lambda: self.counts() == {"across": 6, "down": 6})
        self.browser.switch_to.window(second)
        self.browser.close()
        self.browser.switch_to.window(first)

    def test_many_photos_and_every_width(self):
        photos(self.folder, classes=("across", "down"), n=8)
        many = self.folder / "many"
        many.mkdir()
        photo(many / "0000.png", 0, 1)
        for i in range(1, 3000):
            (many / f"{i:04}.png").hardlink_to(many / "0000.png")
        self.open(view="photos/many")
        self.until(lambda: self.one("main .note").text.startswith("3,000"))
        self.assertLess(len(self.all(".cell-photo")), 200)
        self.browser.execute_script("scrollTo(0, document.body.scrollHeight)")
        self.until(lambda: any(one.get_attribute("id") == "photo-2999" for one in self.all(".cell-photo[aria-label]")))
        self.assertLess(len(self.all(".cell-photo")), 200)
        shutil.rmtree(many)
        self.until(lambda: "many" not in self.counts())
        self.settled()
        for view in ("photos", "photos/across", "inbox", "quality", "try", "take"):
            for width, dark in ((1280, False), (390, True)):
                self.size(width, dark)
                self.view(view)
                self.until(lambda: self.all("main h1"))
                time.sleep(0.4)
                self.assertLessEqual(self.browser.execute_script("return document.documentElement.scrollWidth"), width, view)
                self.assertEqual(self.serious(), [], (view, width))

    def test_the_snippets_run_the_model(self):
        photos(self.folder, classes=("across", "down"), n=6)
        self.open(view="take")
        self.settled()
        self.until(lambda: self.all("#snippet-c"))
        (self.here / "project.onnx").write_bytes(self.server.ask("GET", "/api/export/onnx")[2])
        shutil.copy(self.folder / "across/00.png", self.here / "photo.jpg")  # told by its bytes
        said = self.server.json("POST", "/api/predict", (self.here / "photo.jpg").read_bytes())[1]
        (self.here / "predict.py").write_text(self.one("#snippet-python").get_property("textContent"))
        done = subprocess.run([sys.executable, "predict.py"], cwd=self.here, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.split()[0], said["label"])
        compiler = shutil.which("cc")
        if compiler:
            (self.here / "predict.c").write_text(self.one("#snippet-c").get_property("textContent"))
            build = Path(program.ENGRAFT).resolve().parent
            subprocess.run([compiler, "predict.c", f"-I{ROOT}/include", f"-L{build}", f"-Wl,-rpath,{build}", "-lengraft", "-o", "predict"], cwd=self.here, check=True)
            done = subprocess.run(["./predict", "photo.jpg"], cwd=self.here, capture_output=True, text=True, check=True)
            label, probability = done.stdout.split()
            self.assertEqual(label, said["label"])
            if not said["unknown"]:
                self.assertAlmostEqual(float(probability), said["top"][0]["probability"], delta=1e-5)
        for command in self.server.json("GET", "/api/export/commands")[1]["commands"][:3]:
            words = command.replace("PHOTO.jpg", "photo.jpg").split()
            self.assertEqual(program.run(*words[1:], cwd=self.here).returncode, 0, command)
        for kind, begins in (("h5", b"\x89HDF"), ("zip", b"PK\3\4"), ("report", b"<!doctype html>")):
            status, _, got = self.server.ask("GET", f"/api/export/{kind}")
            self.assertEqual((status, got[:len(begins)]), (200, begins))


if __name__ == "__main__":
    main_served(program.main)
