"""engraft serve MODEL: a prediction service, from outside, by Python's http.client."""
import json
import re
import signal
import socket
import threading
import time
import zlib

import program
from program import MODEL, SOURCE, photo
from served import TOKEN, Served, main_served

UNSEEN = sorted((SOURCE / "examples" / "unseen").glob("*.png"))[:5]
BOUNDARY = "the-boundary-of-the-tests"


def form(photos, name="photo"):
    """[(file name, bytes)] as a body, and its Content-Type."""
    parts = b"".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n\r\n'.encode() + data + b"\r\n"
        for file, data in photos
    )
    return parts + f"--{BOUNDARY}--\r\n".encode(), {"Content_Type": f"multipart/form-data; boundary={BOUNDARY}"}


def metrics(server):
    status, headers, text = server.ask("GET", "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4"), (status, headers)
    found = {}
    for line in text.decode().splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


class Models(Served):
    def test_answers_are_those_of_predict(self):
        small = self.here / "small.png"
        photo(small, 1, 3)
        files = [*UNSEEN, small]
        for top in (1, 3):
            expected = [json.loads(self.good("predict", MODEL, path, "--top", top, "--json").stdout)[0] for path in files]
            server = self.serve(MODEL)
            for path, answer in zip(files, expected):
                got = server.json("POST", f"/v1/predict?top={top}&path={path}", path.read_bytes(), Content_Type="image/png")
                self.assertEqual(got, (200, [answer]))
            body, kind = form([(str(path), path.read_bytes()) for path in files] * 4)
            self.assertGreater(len(body), 1 << 20)  # such a body comes by way of a file
            self.assertEqual(server.json("POST", f"/v1/predict?top={top}", body, **kind), (200, expected * 4))
            server.stop()

    def test_several_models(self):
        self.features()
        self.good("train", "f.h5", "-o", "own.onnx", "--seed", 1, "--reject", 0.05)
        server = self.serve("own.onnx", MODEL)
        status, found = server.json("GET", "/v1/models")
        self.assertEqual(status, 200)
        self.assertEqual([model["name"] for model in found["models"]], ["own", MODEL])
        self.assertEqual(found["models"][0]["classes"], ["across", "down"])
        self.assertTrue(found["models"][0]["trained"])
        self.assertEqual(len(found["models"][1]["classes"]), 1000)
        path = sorted((self.here / "photos" / "down").iterdir())[0]
        for query, model in (("", "own.onnx"), ("model=own&", "own.onnx"), (f"model={MODEL}&", MODEL)):
            got = server.json("POST", f"/v1/predict?{query}top=2&path={path}", path.read_bytes())
            self.assertEqual(got, (200, json.loads(self.good("predict", model, path, "--top", 2, "--json").stdout)))
        # What is like none of its classes is "unknown" here too.
        got = server.json("POST", f"/v1/predict?top=3&path={UNSEEN[0]}", UNSEEN[0].read_bytes())
        self.assertEqual(got[1][0]["top"][0], {"label": "unknown", "index": -1, "probability": 0.0})
        self.assertEqual(got, (200, json.loads(self.good("predict", "own.onnx", UNSEEN[0], "--top", 3, "--json").stdout)))
        self.assertEqual(server.json("POST", "/v1/predict?model=none", b"x")[1]["reason"], "no_such_model")
        for text in ("own", MODEL):
            self.assertIn(f'engraft_photos_total{{model="{text}"}}', metrics(server))
        self.bad(2, "serve", "own.onnx", "./own.onnx", "--port", 0, says="own")

    def test_what_cannot_be_read(self):
        server = self.serve(MODEL)
        good = UNSEEN[0].read_bytes()
        body, kind = form([("a.txt", b"text"), ("b.png", good), ("c.png", good[:200]), ("d.png", b"")])
        status, answers = server.json("POST", "/v1/predict", body, **kind)
        self.assertEqual(status, 200)
        self.assertEqual([answer["path"] for answer in answers], ["a.txt", "b.png", "c.png", "d.png"])
        self.assertEqual(["error" in answer for answer in answers], [True, False, True, True])
        status, answers = server.json("POST", "/v1/predict", b"text")
        self.assertEqual(status, 422)
        self.assertIn("error", answers[0])
        # 65 million pixels of one colour are 64 kB: refused before they are unpacked.
        program.png(self.here / "large.png", b"", 0, 0)
        large = bytearray((self.here / "large.png").read_bytes())
        large[16:24] = (8100).to_bytes(4, "big") * 2
        large[29:33] = zlib.crc32(bytes(large[12:29])).to_bytes(4, "big")
        status, answers = server.json("POST", "/v1/predict", bytes(large))
        self.assertEqual(status, 422)
        self.assertIn("8100 x 8100", answers[0]["error"])
        self.assertEqual(metrics(server)[f'engraft_unreadable_photos_total{{model="{MODEL}"}}'], 5)

    def test_refusals(self):
        server = self.serve(MODEL)
        body, kind = form([("a.png", b"x")], name="photo")
        rows = [
            ("POST", "/v1/predict", b"", {}, 400, "no_photo"),
            ("POST", "/v1/predict?top=0", b"x", {}, 400, "top"),
            ("POST", "/v1/predict?top=-1", b"x", {}, 400, "top"),
            ("POST", "/v1/predict?top=1x", b"x", {}, 400, "top"),
            ("POST", "/v1/predict?model=", b"x", {}, 404, "no_such_model"),
            ("POST", "/v1/predict", b"x", {"Content_Type": "multipart/form-data"}, 400, "form"),
            ("POST", "/v1/predict", body[:-20], kind, 400, "form"),
            ("POST", "/v1/predict", form([])[0], kind, 400, "no_photo"),
            ("POST", "/v1/predict", form([("", b"x")], "text")[0].replace(b'; filename=""', b""), kind, 400, "field"),
            ("POST", "/v1/predict", form([("a", b"x")] * 513)[0], kind, 413, "too_many"),
            ("POST", "/v1/predict", b"x", {"token": None}, 401, "no_token"),
            ("POST", "/v1/predict", b"x", {"Origin": "http://evil.example"}, 403, "origin"),
            ("GET", "/v1/predict", None, {}, 405, "method"),
            ("POST", "/v1/models", b"x", {}, 405, "method"),
            ("GET", "/v1/models", None, {"token": None}, 401, "no_token"),
            ("GET", "/metrics", None, {"token": None}, 401, "no_token"),
            ("GET", "/openapi.json", None, {"token": None}, 401, "no_token"),
            ("GET", "/healthz", None, {"token": None, "Host": "evil.example"}, 403, "host"),
            ("GET", "/api/state", None, {}, 404, "no_such_path"),
        ]
        connection = server.connect()  # one for all: a refusal leaves it usable
        for method, path, sent, headers, status, reason in rows:
            with self.subTest(f"{method} {path} {reason}"):
                got, answer = server.json(method, path, sent, connection=connection, **headers)
                self.assertEqual((got, answer["reason"]), (status, reason))
        connection.close()
        self.assertEqual(server.ask("GET", "/healthz", token=None)[::2], (200, b"ok\n"))

    def test_bodies_that_are_too_large(self):
        server = self.serve(MODEL)
        with socket.create_connection(("127.0.0.1", server.port)) as s:  # refused before it is sent
            s.sendall(f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
                      f"Content-Length: {1 << 40}\r\nExpect: 100-continue\r\n\r\n".encode())
            self.assertIn(b" 413 ", s.recv(100))
        with socket.create_connection(("127.0.0.1", server.port)) as s:  # one that does not say its length
            s.sendall(f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
                      f"Transfer-Encoding: chunked\r\n\r\n".encode())
            piece = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
            for _ in range(66):
                s.sendall(piece)
            s.sendall(b"0\r\n\r\n")
            self.assertIn(b" 413 ", s.recv(100))
        self.assertEqual(server.ask("GET", "/healthz")[0], 200)

    def test_openapi_describes_what_is_there(self):
        server = self.serve(MODEL)
        status, described = server.json("GET", "/openapi.json")
        self.assertEqual(status, 200)
        self.assertTrue(described["openapi"].startswith("3."))
        for path, methods in described["paths"].items():
            for method in methods:
                self.assertNotIn(server.ask(method.upper(), path, b"x" if method == "post" else None)[0], (404, 405))

    def test_metrics_count(self):
        server = self.serve(MODEL)
        before = metrics(server)
        body, kind = form([("a.png", UNSEEN[0].read_bytes())] * 3)
        server.ask("POST", "/v1/predict", body, **kind)
        server.ask("GET", "/nothing")
        after = metrics(server)
        grown = {name: after[name] - before[name] for name in after}
        self.assertEqual(grown['engraft_requests_total{status="2xx"}'], 2)  # with the metrics themselves
        self.assertEqual(grown['engraft_requests_total{status="4xx"}'], 1)
        self.assertEqual(grown["engraft_errors_total"], 1)
        self.assertEqual(grown[f'engraft_photos_total{{model="{MODEL}"}}'], 3)
        self.assertEqual(grown['engraft_request_seconds_bucket{le="+Inf"}'], 3)
        self.assertEqual(after["engraft_request_seconds_count"], after['engraft_request_seconds_bucket{le="+Inf"}'])
        self.assertGreater(grown["engraft_request_seconds_sum"], 0)
        self.assertEqual(after["engraft_queue_photos"], 0)

    def test_too_much_waits(self):
        server = self.serve(MODEL, "--threads", 1)
        good = UNSEEN[0].read_bytes()
        full, kind = form([("a.png", good)] * 60 + [("a.txt", b"text")] * 450)
        answers = []
        first = threading.Thread(target=lambda: answers.append(server.json("POST", "/v1/predict", full, **kind)))
        first.start()
        for _ in range(500):
            if metrics(server)["engraft_queue_photos"] > 400:
                break
            time.sleep(0.01)
        status, headers, text = server.ask("POST", "/v1/predict", form([("a.txt", b"text")] * 200)[0], **kind)
        self.assertEqual((status, json.loads(text)["reason"]), (429, "busy"))
        self.assertEqual(headers["Retry-After"], "1")
        first.join()
        self.assertEqual((answers[0][0], len(answers[0][1])), (200, 510))  # nothing of what was taken is lost
        self.assertEqual(metrics(server)["engraft_refused_total"], 1)
        self.assertEqual(server.ask("POST", "/v1/predict", good)[0], 200)

    def test_clients_that_die(self):
        server = self.serve(MODEL)
        good = UNSEEN[0].read_bytes()
        head = (f"POST /v1/predict HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {TOKEN}\r\n"
                f"Content-Length: {len(good)}\r\n\r\n").encode()
        answers = []
        others = [threading.Thread(target=lambda: answers.append(server.json("POST", "/v1/predict", good)))
                  for _ in range(8)]
        for other in others:
            other.start()
        for sent in (head[:20], head, head + good[:1000], head + good):
            for _ in range(5):
                with socket.create_connection(("127.0.0.1", server.port)) as s:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, no farewell
                    s.sendall(sent)
        for other in others:
            other.join()
        self.assertEqual(len(answers), 8)
        for answer in answers:
            self.assertEqual(answer, answers[0])
        for _ in range(500):  # what the dead left is gone
            if metrics(server)["engraft_open_requests"] == 1:
                break
            time.sleep(0.01)
        self.assertEqual(metrics(server)["engraft_open_requests"], 1)
        self.assertEqual(metrics(server)["engraft_queue_photos"], 0)
        self.assertEqual(server.stop(), (0, ""))

    def test_it_stops_when_all_is_answered(self):
        for how in (signal.SIGTERM, signal.SIGINT):
            server = self.serve(MODEL, "--threads", 1)
            body, kind = form([("a.png", UNSEEN[0].read_bytes())] * 40)
            answers = []
            asking = threading.Thread(target=lambda: answers.append(server.json("POST", "/v1/predict", body, **kind)))
            asking.start()
            for _ in range(500):
                if metrics(server)["engraft_queue_photos"] > 20:
                    break
                time.sleep(0.01)
            self.assertEqual(server.stop(how), (0, ""))
            asking.join()
            self.assertEqual((answers[0][0], len(answers[0][1])), (200, 40))
            with self.assertRaises(ConnectionError):
                server.ask("GET", "/healthz")

    def test_what_is_said(self):
        server = self.serve(MODEL)
        self.assertEqual(set(server.said), {"url", "port", "token"})
        self.assertEqual(server.said["token"], TOKEN)
        self.assertRegex(server.said["url"], rf"^http://127\.0\.0\.1:{server.port}/\?token={re.escape(TOKEN)}$")
        for words, says in (([MODEL, "."], "folder"), (["/nowhere.onnx"], "nowhere")):
            done = self.run_in("serve", *words, "--port", 0, "--no-browser")
            self.assertIn(done.returncode, (1, 2))
            self.assertIn(says, done.stderr)


if __name__ == "__main__":
    main_served(program.main)
