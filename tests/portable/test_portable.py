"""The same feature files, plain and compressed, read with h5py, h5dump, Java and R. Each reader
that is not installed is named; with none of them the test is skipped."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
DRIVER = os.environ["CRASH_DRIVER"]
JARS = [path for path in ("/usr/share/java/jarhdf5.jar",) if os.path.exists(path)]
JNI = "/usr/lib/x86_64-linux-gnu/jni:/usr/lib/aarch64-linux-gnu/jni:/usr/lib/jni"


def output(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def has_r():
    return shutil.which("Rscript") and not subprocess.run(
        ["Rscript", "-e", "library(hdf5r)"], capture_output=True).returncode


class Readers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="engraft-portable-")
        cls.files = {}
        for scenario in ("plain", "deflate"):
            path = cls.files[scenario] = os.path.join(cls.folder, scenario + ".h5")
            output(DRIVER, scenario, "write", path)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def expected(self, path):
        """As libhdf5's own tool sees it, through none of our code."""
        dump = output("h5dump", "-y", "-w", "0", "-m", "%.6f", "-d", "/features", "-s", "0,0", "-c", "3,%d" %
                      self.length(path), path)
        data = dump.split("DATA {")[1].split("}")[0]
        return sum(float(value) for value in data.replace(",", " ").split())

    @staticmethod
    def length(path):
        header = output("h5dump", "-H", "-d", "/features", path)
        return int(header.split("SIMPLE { ( 23, ")[1].split(" )")[0])

    def line(self, path):
        return "23 %d %.1f 11" % (self.length(path), self.expected(path))

    def each(self, read):
        for scenario, path in self.files.items():
            with self.subTest(scenario):
                self.assertEqual(read(path).strip(), self.line(path))

    @unittest.skipUnless(shutil.which("h5dump"), "h5dump is not installed")
    def test_h5py(self):
        try:
            import h5py
        except ImportError:
            self.skipTest("h5py is not installed")

        def read(path):
            with h5py.File(path, "r") as file:
                self.assertEqual(file["paths"][1].decode(), "cat/01.jpg")
                self.assertEqual([name.decode() for name in file["label_names"]], ["cat", "dog"])
                self.assertEqual(file["features"], file["cuts/pool5"])
                rows = file["features"]
                return "%d %d %.1f %d" % (*rows.shape, rows[:3].sum(dtype="f8"), file["labels"][:].sum())

        self.each(read)

    @unittest.skipUnless(shutil.which("h5dump"), "h5dump is not installed")
    def test_java(self):
        if not JARS or not shutil.which("javac"):
            self.skipTest("javac or libhdf5-java is not installed")
        classpath = ":".join(JARS + ["/usr/share/java/slf4j-api.jar", "/usr/share/java/slf4j-nop.jar", self.folder])
        output("javac", "-cp", classpath, "-d", self.folder, os.path.join(HERE, "ReadFeatures.java"))
        self.each(lambda path: output("java", "-cp", classpath, "-Djava.library.path=" + JNI, "ReadFeatures", path))

    @unittest.skipUnless(shutil.which("h5dump"), "h5dump is not installed")
    def test_r(self):
        if not has_r():
            self.skipTest("R or its package hdf5r is not installed")
        self.each(lambda path: output("Rscript", os.path.join(HERE, "read_features.R"), path))


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    if not program.result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if len(program.result.skipped) == program.result.testsRun else 0)
