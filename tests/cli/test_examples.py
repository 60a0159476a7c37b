"""The examples that use the predictor answer as the program does."""
import os
import subprocess
from pathlib import Path

from program import SOURCE, Case, main, png

WIDTH, HEIGHT = 320, 240
MODEL = SOURCE / "models/efficientnet-lite0.onnx"


def pixels(shift):
    return bytes((x * (1 + c) + y * (3 - c) + shift) % 256 for y in range(HEIGHT) for x in range(WIDTH) for c in range(3))


class Examples(Case):
    def example(self, name):
        grow = os.environ.get("ENGRAFT_EXAMPLE")
        program = Path(grow).with_name("example_" + name) if grow else None
        if not program or not program.exists():
            self.skipTest(f"example_{name} was not built")
        return program

    def told(self, frame):
        """What the program says of the same pixels in a file."""
        path = self.here / "frame.png"
        png(path, frame, WIDTH, HEIGHT)
        out = self.good("classify", MODEL, path, "--top", "1").stdout
        share, label = out.strip().splitlines()[-1].split("%")
        return label.split("/")[0].strip(), float(share) / 100

    def check_frame(self, name):
        frame = pixels(11)
        done = subprocess.run([self.example(name), MODEL, str(WIDTH), str(HEIGHT)], input=frame, capture_output=True)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        label, probability = done.stdout.decode().strip().rsplit(" ", 1)
        said, share = self.told(frame)
        self.assertEqual(label, said)
        self.assertAlmostEqual(float(probability), share, delta=0.0006)
        short = subprocess.run([self.example(name), MODEL, str(WIDTH), str(HEIGHT)], input=b"few", capture_output=True)
        self.assertEqual(short.returncode, 2)
        none = subprocess.run([self.example(name), "none.onnx", "1", "1"], input=b"rgb", capture_output=True)
        self.assertEqual(none.returncode, 1)
        self.assertIn(b"none.onnx", none.stderr)

    def test_c(self):
        self.check_frame("classify_frame")

    def test_cpp(self):
        self.check_frame("classify_frame_cpp")

    def test_camera_without_a_camera(self):
        program = self.example("camera")
        folder = self.here / "frames"
        folder.mkdir()
        labels = []
        for i in range(3):
            frame = pixels(70 * i)
            (folder / f"{i}.ppm").write_bytes(b"P6\n%d %d\n255\n" % (WIDTH, HEIGHT) + frame)
            labels.append(self.told(frame)[0])
        (folder / "1a.ppm").write_bytes(b"P3 1 1 255 0 0 0")
        done = subprocess.run([program, MODEL, folder], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1a.ppm", done.stderr)
        self.assertEqual([line.rsplit(" ", 1)[0] for line in done.stdout.splitlines()], labels)
        for nothing in ("/dev/null", self.here):
            done = subprocess.run([program, MODEL, nothing], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn(str(nothing), done.stderr)


if __name__ == "__main__":
    main()
