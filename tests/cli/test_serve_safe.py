"""engraft serve: who is answered, and what is refused. From outside, by Python's http.client."""
import signal
import socket
import time

import program
from program import run
from served import TOKEN, Served, main_served

REFUSED = {
    "no token": (401, "no_token", {"token": None}),
    "another token": (401, "no_token", {"token": TOKEN[:-1] + "x"}),
    "a longer token": (401, "no_token", {"token": TOKEN + TOKEN}),
    "another scheme": (401, "no_token", {"token": None, "Authorization": f"Basic {TOKEN}"}),
    "another name (DNS rebinding)": (403, "host", {"Host": "evil.example"}),
    "another port": (403, "host", {"Host": "127.0.0.1:1"}),
    "another origin": (403, "origin", {"Origin": "http://evil.example"}),
    "an opaque origin": (403, "origin", {"Origin": "null"}),
    "another token in a cookie": (401, "no_token", {"token": None, "Cookie": "engraft-{port}=wrong-token"}),
    "the cookie of another port": (401, "no_token", {"token": None, "Cookie": f"engraft-1={TOKEN}"}),
}


class Safe(Served):
    def test_refusals(self):
        server = self.serve(".")
        for name, (status, reason, words) in REFUSED.items():
            with self.subTest(name):
                words = {key: value and value.replace("{port}", str(server.port)) for key, value in words.items()}
                got, answer = server.json("GET", "/api/state", **words)
                self.assertEqual((got, answer["reason"]), (status, reason))
        self.assertEqual(server.json("GET", "/api/state")[0], 200)
        self.assertEqual(server.json("GET", "/api/state", Host=f"localhost:{server.port}")[0], 200)

    def test_cookie(self):
        server = self.serve(".")
        status, headers, _ = server.ask("GET", f"/?token={TOKEN}", token=None)
        self.assertIn(status, (200, 303))
        cookie = headers["Set-Cookie"]
        self.assertIn("HttpOnly", cookie)
        self.assertIn("SameSite=Strict", cookie)
        pair = cookie.split(";")[0]
        origin = f"http://127.0.0.1:{server.port}"
        self.assertEqual(server.ask("GET", "/", token=None, Cookie=pair)[0], 200)
        # What changes something needs the Origin too; another page's request has another one.
        for extra, status in (({}, 403), ({"Origin": origin}, 405), ({"Origin": "http://127.0.0.1:1"}, 403)):
            self.assertEqual(server.ask("POST", "/api/state", token=None, Cookie=pair, **extra)[0], status, extra)
        self.assertEqual(server.ask("GET", "/?token=wrong-token", token=None)[0], 401)

    def test_sent_from_another_page(self):
        server = self.serve(".")
        status, headers, text = server.ask("GET", f"/?token={TOKEN}", token=None, Sec_Fetch_Site="cross-site")
        self.assertEqual(status, 200)  # a redirect would arrive without the cookie
        self.assertIn("HttpOnly", headers["Set-Cookie"])
        self.assertIn(b"http-equiv=refresh", text)
        self.assertNotIn(TOKEN.encode(), text)

    def test_browser_gets_a_key_for_once(self):
        bin_ = self.here / "bin"
        bin_.mkdir()
        opener = bin_ / "xdg-open"
        opener.write_text(f'#!/bin/sh\nprintf %s "$1" > {self.here}/part && mv {self.here}/part {self.here}/opened\n')
        opener.chmod(0o755)
        server = self.serve(".", browser=True, env={"PATH": f"{bin_}:/usr/bin:/bin"})
        for _ in range(1000):
            if (self.here / "opened").exists():
                break
            time.sleep(0.01)
        url = (self.here / "opened").read_text()
        self.assertNotIn(TOKEN, url)
        path = url.split(str(server.port), 1)[1]
        status, headers, _ = server.ask("GET", path, token=None)
        self.assertEqual(status, 303)
        self.assertIn(TOKEN, headers["Set-Cookie"])
        self.assertEqual(server.ask("GET", path, token=None)[0], 401)

    def test_headers(self):
        server = self.serve(".")
        for path in ("/", "/api/state", "/nothing"):
            _, headers, _ = server.ask("GET", path)
            self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
            self.assertNotIn("unsafe", headers["Content-Security-Policy"])
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            self.assertEqual(headers["Referrer-Policy"], "no-referrer")

    def test_page_is_cached_by_its_contents(self):
        server = self.serve(".")
        status, headers, page = server.ask("GET", "/")
        self.assertEqual(status, 200)
        self.assertIn(b"<!doctype html>", page)
        status, _, again = server.ask("GET", "/", If_None_Match=headers["ETag"])
        self.assertEqual((status, again), (304, b""))

    def test_paths(self):
        (self.here / "secret.txt").write_text("secret")
        server = self.serve(".")
        for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/secret.txt", "//secret.txt", "/report/../secret.txt",
                     "/report/%2e%2e%2fsecret.txt", "/%00", "/%ff"):
            status, _, text = server.ask("GET", path)
            self.assertNotIn(b"secret\n", text)
            self.assertEqual(status, 404 if path != "/%00" else 200, path)
        self.assertEqual(server.ask("POST", "/api/state", b"x")[0], 405)

    def test_bad_requests_leave_it_running(self):
        server = self.serve(".")
        for bytes_ in (b"\0" * 100, b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
                       b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                       b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
                       b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20000 + b"\r\n"):
            with socket.create_connection(("127.0.0.1", server.port)) as s:
                s.settimeout(1)
                try:
                    s.sendall(bytes_)
                    s.shutdown(socket.SHUT_WR)
                    first = s.recv(100)
                    self.assertNotIn(b" 200 ", first)
                except OSError:  # ended already, or nothing said
                    pass
        self.assertEqual(server.json("GET", "/api/state")[0], 200)

    def test_windows_are_told_and_ended(self):
        server = self.serve(".")
        window = server.connect()
        window.request("GET", "/api/events", headers={"Authorization": f"Bearer {TOKEN}"})
        reply = window.getresponse()
        self.assertEqual(reply.headers["Content-Type"], "text/event-stream")
        self.assertEqual(reply.readline(), b"retry: 1000\n")
        dead = server.connect()
        dead.request("GET", "/api/events", headers={"Authorization": f"Bearer {TOKEN}"})
        dead.close()
        self.assertEqual(server.stop(signal.SIGINT), (0, ""))
        reply.read()  # ends
        window.close()

    def test_options(self):
        for words, says in ((["--listen", "0.0.0.0", "."], "--token"), (["--token", "short", "."], "token"),
                            (["--token", "with spaces", "."], "token"), (["--listen", "no.such.host.invalid",
                             "--token", TOKEN, "."], "no.such.host"), (["/nowhere"], "nowhere"), ([".", "."], "folder")):
            done = run("serve", "--no-browser", "--port", "0", *words, cwd=self.here)
            self.assertIn(done.returncode, (1, 2), words)
            self.assertEqual(done.stdout, "", words)
            self.assertIn(says, done.stderr)

    def test_port_that_is_taken(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            self.bad(1, "serve", "--no-browser", "--port", taken.getsockname()[1], ".", says="port")


if __name__ == "__main__":
    main_served(program.main)
