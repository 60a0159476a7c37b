"""make bench: this engine against others on the same networks, interleaved in one run.

Every engine runs in a process of its own and waits until it is its turn; in each round each gives
the fastest of a few passes; the figure is the median over the rounds. Outputs are compared with
ONNX Runtime's. The table and the CPU, versions and peak go to bench/results/.
Usage: run.py [--nets a,b] [--batches 1,16] [--threads 1,2] [--rounds 5] [--turn 0.5] [--engines a,b]
       [--tensorflow PYTHON] [--save]"""
import argparse
import datetime
import os
import statistics
import subprocess
import sys
import tempfile

import numpy as np

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.dirname(here)
parser = argparse.ArgumentParser()
parser.add_argument("--nets", default="vgg16,resnet50,alexnet,squeezenet1_1,mobilenet_v2,densenet121,"
                    "efficientnet_lite0,efficientnet_b0")
parser.add_argument("--batches", default="1,16")
parser.add_argument("--threads", default="1,2")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--turn", type=float, default=0.5, help="seconds that each engine runs in a round")
parser.add_argument("--engines", default="mnn,ncnn,onnxruntime,openvino,torch")
parser.add_argument("--engine-bench", default=os.path.join(root, "build", "release", "bench", "engine_bench"))
parser.add_argument("--folder", default=os.path.join(root, ".cache", "bench"))
parser.add_argument("--work", action="store_true", help="processor time, not wall time (a busy machine; one thread)")
parser.add_argument("--tensorflow", help="a Python that has tensorflow-cpu: its XNNPACK is timed, too")
parser.add_argument("--save", action="store_true")
args = parser.parse_args()
nets = args.nets.split(",")
engines = args.engines.split(",") + (["xnnpack"] if args.tensorflow else [])
build = os.path.dirname(os.path.dirname(os.path.abspath(args.engine_bench)))
subprocess.run([sys.executable, os.path.join(here, "export.py"), os.path.join(build, "engraft"), args.folder] + nets,
               check=True, stderr=subprocess.DEVNULL)
images = os.path.join(args.folder, "images.f32")
np.random.default_rng(1).normal(size=(16, 224, 224, 3)).astype(np.float32).tofile(images)


class Worker:
    def __init__(self, name, net, batch, threads):
        path = os.path.join(args.folder, net)
        if name == "engraft":
            command = [args.engine_bench, path + ".onnx", str(batch), str(threads), images]
        else:
            python = args.tensorflow if name == "xnnpack" else sys.executable
            command = [python, os.path.join(here, "peer.py"), name, path, str(batch), str(threads), images]
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self.name, self.times = name, []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True, env=environment)
        first = self.read()
        self.version, self.memory = first[-2], int(first[-1])

    def read(self):
        while True:  # some engines chat on standard output
            line = self.process.stdout.readline()
            if not line:
                raise OSError(self.name + " does not run this network")
            words = line.split()
            if words == ["done"] or (len(words) == 2 and words[1].replace(".", "").isdigit()):
                return words

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.read()

    def output(self, batch):
        with tempfile.NamedTemporaryFile() as file:
            self.ask("dump " + file.name)
            return np.fromfile(file.name, np.float32).reshape(batch, -1)

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def same(ours, theirs):
    """Largest difference relative to the largest value; channel order does not matter."""
    a, b = np.sort(ours, axis=1), np.sort(theirs.reshape(ours.shape), axis=1)
    return float(np.abs(a - b).max() / np.abs(b).max())


lines = []


def say(line):
    print(line, flush=True)
    lines.append(line)


with open("/proc/cpuinfo") as file:
    cpu = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "?")
say("# %s, %d CPUs, %s" % (cpu, os.cpu_count(), datetime.date.today().isoformat()))
versions = {}
for net in nets:
    for batch in map(int, args.batches.split(",")):
        for threads in map(int, args.threads.split(",")):
            workers = []
            for name in ["engraft"] + engines:
                try:
                    workers.append(Worker(name, net, batch, threads))
                except OSError:
                    pass
            versions.update({w.name: w.version for w in workers})
            for w in workers:
                w.ask("time 1")
            quick = float(workers[0].ask("time 1")[0])
            passes = max(2, int(args.turn / quick))
            for _ in range(args.rounds):
                for w in workers:
                    w.times.append(float(w.ask("%s %d" % ("work" if args.work else "time", passes))[0]) / batch * 1e3)
            ms = {w.name: statistics.median(w.times) for w in workers}
            best = min((v, k) for k, v in ms.items() if k != "engraft")
            spread = (max(workers[0].times) - min(workers[0].times)) / ms["engraft"]
            reference = next((w for w in workers if w.name == "onnxruntime"), workers[-1])
            difference = same(workers[0].output(batch), reference.output(batch))
            say("%-18s batch %2d threads %d  engraft %7.2f ms  " % (net, batch, threads, ms["engraft"]) +
                "  ".join("%s %.2f" % (k, v) for k, v in sorted(ms.items()) if k != "engraft") +
                "  | %.2f x %s, spread %.0f %%, differs %.1e, %d MB" % (
                    best[0] / ms["engraft"], best[1], 100 * spread, difference, workers[0].memory >> 20) +
                "".join(", %s's process %d" % (w.name, w.memory >> 20) for w in workers[1:] if w.name == "torch"))
            for w in workers:
                w.stop()
say("# " + ", ".join("%s %s" % item for item in sorted(versions.items())))
if args.save:
    results = os.path.join(here, "results")
    os.makedirs(results, exist_ok=True)
    path = os.path.join(results, "%s-%s.txt" % (datetime.date.today().isoformat(), cpu.replace(" ", "-").lower()))
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
    print("kept in", path)
