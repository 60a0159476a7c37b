"""engraft serve FOLDER without a browser: what the page asks for, hostile requests, and what is on disk after a kill."""
import io
import json
import shutil
import signal
import struct
import threading
import time
import zipfile
import zlib
from urllib.parse import quote

import program
from program import photo, photos
from served import Served, main_served


class ServeProject(Served):
    def setUp(self):
        super().setUp()
        self.folder = self.here / "project"
        self.folder.mkdir()

    def tearDown(self):
        self.assertEqual(self.server.stop(signal.SIGTERM), (0, ""))  # whatever it was at

    def start(self):
        self.server = self.serve(self.folder)

    def post(self, path, **body):
        return self.server.json("POST", f"/api/{path}", json.dumps(body))

    def add(self, class_name, name, data, group="g"):
        query = f"class={quote(class_name)}&name={quote(name)}&group={group}"
        return self.server.json("POST", f"/api/photos?{query}", data)

    def state(self):
        return self.server.json("GET", "/api/state")[1]

    def counts(self):
        return {one["name"]: one["count"] for one in self.state()["classes"]}

    def until(self, true, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if (found := true()):
                return found
            time.sleep(0.03)
        self.fail(f"did not happen: {self.state()}")

    def settled(self):
        return self.until(lambda: (now := self.state())["phase"] == "ready" and not now["pending"] and now["listing_revision"] and now)

    def picture(self, kind, seed):
        photo(self.here / "one.png", kind, seed)
        return (self.here / "one.png").read_bytes()

    def test_photos_come_are_learned_from_and_undone(self):
        self.start()
        for kind, name in enumerate(("across", "down")):
            for i in range(4):
                status, said = self.add(name, "a photo.png", self.picture(kind, 10 * kind + i), group=name)
                self.assertEqual((status, said["refused"]), (200, []))
        self.assertEqual(sorted(one.name for one in (self.folder / "down").iterdir()),
                         ["a photo-2.png", "a photo-3.png", "a photo-4.png", "a photo.png"])
        now = self.until(lambda: (one := self.settled())["model"] and one["accuracy"] and one)
        self.assertEqual(now["accuracy"]["count"], 8)
        status, said = self.server.json("POST", "/api/predict", self.picture(1, 99))
        self.assertEqual((status, len(said["top"])), (200, 2))
        self.assertAlmostEqual(sum(one["probability"] for one in said["top"]), 1, delta=1e-5)
        status, _, thumb = self.server.ask("GET", "/api/thumb?path=" + quote("down/a photo.png"))
        self.assertEqual((status, thumb[:2]), (200, b"\xff\xd8"))
        self.assertEqual(self.post("undo")[1]["count"], 4)  # all of a group
        self.until(lambda: self.counts() == {"across": 4, "down": 0})
        self.until(lambda: self.state()["model"] is None)  # one class is nothing to tell apart
        self.assertEqual(self.server.json("POST", "/api/predict", self.picture(1, 99))[0], 409)

    def test_every_change_can_be_taken_back(self):
        photos(self.folder, classes=("across", "down"), n=4)
        photo(self.folder / "loose.png", 0, 5)
        self.start()
        self.settled()
        names = lambda: sorted(str(one.relative_to(self.folder)) for one in self.folder.rglob("*") if ".engraft" not in one.parts)
        before = names()
        self.assertEqual(self.post("move", paths=["across/00.png", "loose.png"], to="down")[1]["done"], 2)
        self.assertTrue((self.folder / "down/00-2.png").exists() and (self.folder / "down/loose.png").exists())
        self.until(lambda: self.counts() == {"across": 3, "down": 6})
        self.assertEqual(self.post("delete", paths=["down/01.png"])[1]["done"], 1)
        self.until(lambda: self.counts() == {"across": 3, "down": 5})
        self.assertEqual(self.post("classes", name="down", to="d\u00f6wn")[0], 200)
        self.until(lambda: "d\u00f6wn" in self.counts())
        self.assertEqual(self.post("classes", name="across", to="d\u00f6wn")[1]["done"], 3)  # two become one
        self.until(lambda: self.counts() == {"d\u00f6wn": 8})
        self.assertEqual(self.post("classes", name="new")[0], 200)
        self.assertEqual(self.post("classes", name="new")[0], 409)
        self.until(lambda: "new" in self.counts())
        self.assertEqual(self.post("classes", name="d\u00f6wn", remove=True)[1]["done"], 8)
        self.until(lambda: self.counts() == {"new": 0})
        self.assertEqual(self.post("confirm", paths=[])[0], 500)  # there is no feature file any more
        for _ in range(6):
            self.assertEqual(self.post("undo")[0], 200)
        self.assertEqual(names(), before)
        self.assertEqual(self.post("undo")[0], 404)
        self.until(lambda: self.counts() == {"across": 4, "down": 4})
        self.settled()
        self.assertEqual(self.post("confirm", paths=["across/00.png"])[0], 200)
        self.assertEqual(self.state()["undo"]["kind"], "confirm")
        self.assertEqual(self.post("undo")[1]["paths"], ["across/00.png"])

    def test_zips_and_what_is_no_photo(self):
        self.start()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("set/across/a.png", self.picture(0, 1))
            archive.writestr("set/down/b.png", self.picture(1, 2))
            archive.writestr("loose.png", self.picture(1, 3))
            archive.writestr("set/down/notes.txt", "no photo")
        status, said = self.server.json("POST", "/api/photos", packed.getvalue())
        self.assertEqual((status, sorted(said["added"])), (200, ["across/a.png", "down/b.png", "loose.png"]))
        self.assertEqual([one["path"] for one in said["refused"]], ["set/down/notes.txt"])
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("../out/a.png", self.picture(0, 1))
        self.assertGreaterEqual(self.server.json("POST", "/api/photos", packed.getvalue())[0], 400)
        self.assertEqual(self.add("across", "x.png", b"this is no photo")[0], 422)
        large = struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)  # a PNG that says it has 81 million pixels
        bomb = b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
                                                 for kind, data in ((b"IHDR", large), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")))
        for path in ("photos?class=across&name=x.png", "predict", "explain"):
            status, said = self.server.json("POST", f"/api/{path}", bomb)
            self.assertIn("more than 64 million", json.dumps(said), path)
            self.assertEqual(status, 422)
        self.assertEqual(sorted(one.name for one in self.here.iterdir()), ["one.png", "project"])

    def test_names_stay_below_the_folder(self):
        photos(self.folder, classes=("across", "down"), n=3)
        (self.here / "secret.png").write_bytes(self.picture(0, 9))
        (self.folder / "across/link.png").symlink_to(self.here / "secret.png")
        self.start()
        self.settled()
        for name in ("..", "../out", ".hidden", "a/b", "", "x" * 300, "new\nline"):
            self.assertEqual(self.post("classes", name=name)[0], 400, name)
        for name in ("..", "../out", ".engraft", "a/b"):
            self.assertEqual(self.add(name, "a.png", self.picture(0, 1))[0], 400, name)
            self.assertEqual(self.post("move", paths=["across/00.png"], to=name)[0], 400, name)
        self.assertEqual(self.add("across", "../../up.png", self.picture(0, 8))[1]["added"], ["across/up.png"])
        for path in ("../secret.png", "across/link.png", ".engraft/features.h5", "across/../../secret.png", "/etc/passwd", ""):
            for kind in ("thumb", "photo"):
                self.assertIn(self.server.ask("GET", f"/api/{kind}?path={quote(path)}")[0], (404, 422), path)
        self.assertEqual(self.post("move", paths=["../secret.png", "nothing.png"], to="down")[1]["done"], 0)
        self.assertEqual(self.post("delete", paths=["../secret.png"])[1]["done"], 0)
        self.assertTrue((self.here / "secret.png").exists())
        self.assertEqual(self.server.ask("POST", "/api/move", b"[1]")[0], 400)
        self.assertEqual(self.server.ask("POST", "/api/move", b"{")[0], 400)
        self.assertEqual(self.post("network", network="/etc/passwd", cut="")[0], 400)
        self.assertEqual(self.server.ask("GET", "/api/export/other")[0], 404)

    def test_changes_outside_are_seen(self):
        photos(self.folder, classes=("across", "down"), n=3)
        self.start()
        self.settled()
        photo(self.folder / "down/more.png", 1, 70)
        self.until(lambda: self.counts() == {"across": 3, "down": 4}, 10)
        shutil.rmtree(self.folder / "across")
        self.until(lambda: self.counts() == {"down": 4}, 10)

    def test_killed_while_photos_come(self):
        """What was answered is there; what lies there is whole; the undo of before goes on."""
        self.start()
        taken = []

        def send():
            for i in range(200):
                try:
                    taken.extend(self.add(("across", "down")[i % 2], f"{i:03}.png", data[i % 8])[1]["added"])
                except Exception:
                    return

        data = [self.picture(i % 2, i) for i in range(8)]
        sender = threading.Thread(target=send)
        sender.start()
        self.until(lambda: len(taken) > 12)
        self.server.stop(signal.SIGKILL)
        sender.join()
        kept = list(taken)
        self.start()
        self.settled()
        for path in kept:
            self.assertIn((self.folder / path).read_bytes(), data, path)
        there = [one for one in self.folder.rglob("*.png") if ".engraft" not in one.parts]
        self.assertLessEqual(len(there), len(kept) + 1)
        self.assertEqual(sum(self.counts().values()), len(there))
        self.assertGreaterEqual(self.post("undo")[1]["count"], len(kept))
        self.until(lambda: sum(self.counts().values()) <= 1)


if __name__ == "__main__":
    main_served(program.main)
