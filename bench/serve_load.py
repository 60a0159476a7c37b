#!/usr/bin/env python3
"""The prediction service under load (wrk, 64 connections), beside `engraft predict` on the same photos.

    bench/serve_load.py PROGRAM MODEL FOLDER [--seconds 10] [--rounds 3] [--memory-requests N]

Rounds of both, of the service with batches of one photo and of one connection follow each other, so that what else the machine does
meets all of them. Printed: photos a second, the client's CPU time taken off; CPU time a photo, which other
work on the machine changes less; the median and the 99th percentile of the waiting time; resident memory.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

TOKEN = "a-token-of-the-benchmark"
CONNECTIONS = 64
LUA = """
local bodies, at = {}, 0
for line in io.lines("%s") do
  local f = io.open(line, "rb"); bodies[#bodies + 1] = f:read("*a"); f:close()
end
function request()
  at = at %% #bodies + 1
  return wrk.format("POST", "/v1/predict", {["Authorization"] = "Bearer %s", ["Content-Type"] = "image/jpeg"}, bodies[at])
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests": %%d, "seconds": %%f, "median": %%f, "p99": %%f, "errors": %%d}\\n', summary.requests,
    summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def cpu_of(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(words):
    """(output, wall seconds, CPU seconds) of a program."""
    before, begun = os.times(), time.monotonic()
    output = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return output, time.monotonic() - begun, cpu


class Service:
    def __init__(self, program, model, *words):
        self.process = subprocess.Popen(
            [program, "serve", model, "--json", "--port", "0", "--token", TOKEN, *words], stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.process.stdout.readline())["port"]

    def memory(self):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        text = urllib.request.urlopen(request).read().decode()
        return float(re.search(r"^process_resident_memory_bytes (\S+)", text, re.M).group(1)) / 2**20

    def load(self, script, seconds, connections=CONNECTIONS):
        before = cpu_of(self.process.pid)
        output, wall, client = run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", script,
                                    f"http://127.0.0.1:{self.port}"])
        found = json.loads(output.strip().splitlines()[-1])
        cpu = cpu_of(self.process.pid) - before
        free = wall - client / os.cpu_count()
        return {**found, "rate": found["requests"] / free, "cpu_ms": 1000 * cpu / found["requests"],
                "client_ms": 1000 * client / found["requests"]}

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0


def predict(program, model, photos, list_path, *more):
    """Of many photos less that of one: what starts and loads is taken off."""
    one = ["--from-list", str(list_path) + ".one"]
    Path(one[1]).write_text(photos[0] + "\n")
    words = [program, "predict", model, "--json", "-q", *more]
    _, wall_one, cpu_one = run([*words, *one])
    _, wall, cpu = run([*words, "--from-list", str(list_path)])
    n = len(photos) - 1
    return {"rate": n / (wall - wall_one), "cpu_ms": 1000 * (cpu - cpu_one) / n}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-requests", type=int, default=0)
    parser.add_argument("--size", default=None, help="of the network's input, for runs about memory")
    a = parser.parse_args()
    photos = [str(path) for path in sorted(a.folder.rglob("*.jpg"))]
    extra = ["--size", a.size] if a.size else []
    with tempfile.TemporaryDirectory() as folder:
        list_path, script = Path(folder) / "list", Path(folder) / "load.lua"
        list_path.write_text("".join(path + "\n" for path in photos))
        script.write_text(LUA % (list_path, TOKEN))
        batched, single = Service(a.program, a.model, *extra), Service(a.program, a.model, "--batch", "1", *extra)
        for service in (batched, single):
            service.load(script, max(a.seconds // 2, 2))
        rows = {"predict": [], "service": [], "service, batch 1": [], "one at a time": []}
        for _ in range(a.rounds):
            rows["predict"].append(predict(a.program, a.model, photos, list_path, *extra))
            rows["service"].append(batched.load(script, a.seconds))
            rows["service, batch 1"].append(single.load(script, a.seconds))
            rows["one at a time"].append(single.load(script, a.seconds, 1))
        single.stop()
        for name, found in rows.items():
            middle = {key: statistics.median(row[key] for row in found) for key in found[0]}
            print(name.ljust(18), "  ".join(f"{key} {value:.4g}" for key, value in middle.items()))
        pairs = lambda key, a_, b_: statistics.median(x[key] / y[key] for x, y in zip(rows[a_], rows[b_]))
        print(f"service / predict: photos a second {pairs('rate', 'service', 'predict'):.3f}, "
              f"CPU time {pairs('cpu_ms', 'predict', 'service'):.3f}")
        print(f"service / one at a time: photos a second {pairs('rate', 'service', 'one at a time'):.3f}, "
              f"CPU time {pairs('cpu_ms', 'one at a time', 'service'):.3f}")
        print(f"batches / batches of one: photos a second {pairs('rate', 'service', 'service, batch 1'):.3f}, "
              f"CPU time {pairs('cpu_ms', 'service, batch 1', 'service'):.3f}")
        done, before = 0, batched.memory()
        while done < a.memory_requests:
            done += batched.load(script, 10)["requests"]
            print(f"{done} requests: {before:.1f} MiB before, {batched.memory():.1f} now", flush=True)
        batched.stop()


if __name__ == "__main__":
    main()
