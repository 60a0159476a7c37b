"""What the tests of `engraft serve` share: a running server, and requests to it."""
import http.client
import json
import os
import signal
import subprocess
import sys

from program import ENGRAFT, Case

TOKEN = "a-token-of-the-tests"


def main_served(main):
    """As program.main; 77 (skipped) where the program was built without libmicrohttpd."""
    if ENGRAFT:
        done = subprocess.run([ENGRAFT, "serve", "--no-browser", "/nowhere"], capture_output=True, text=True)
        if "built without" in done.stderr:
            print(done.stderr)
            sys.exit(77)
    main()


class Server:
    def __init__(self, *words, cwd=None, browser=False, env=None):
        quiet = [] if browser else ["--no-browser"]
        self.process = subprocess.Popen(
            [ENGRAFT, "serve", "--json", *quiet, "--port", "0", "--token", TOKEN, *map(str, words)],
            cwd=cwd, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.stderr.read())
        self.said = json.loads(line)
        self.port = self.said["port"]

    def connect(self, timeout=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method, path, body=None, token=TOKEN, connection=None, **headers):
        """(status, headers, bytes); names of headers with _ for -; token None: without."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            headers.setdefault("Authorization", f"Bearer {token}")
        made = connection or self.connect()
        try:
            made.request(method, path, body, headers)
            reply = made.getresponse()
            return reply.status, reply.headers, reply.read()
        finally:
            if not connection:
                made.close()

    def json(self, method, path, body=None, **more):
        status, _, text = self.ask(method, path, body, **more)
        return status, json.loads(text)

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, err


class Served(Case):
    def serve(self, *words, **more):
        server = Server(*words, cwd=self.here, **more)
        self.addCleanup(server.stop, signal.SIGKILL)
        return server
