"""What the scripts say where they cannot work: no dpkg, no sudo, sudo refused, a tree that cannot be written."""
import os
import shutil
import subprocess

from program import SOURCE, Case, main

TOOLS = ["sh", "bash", "cat", "grep", "mkdir", "dirname", "nproc", "env", "sed"]


class Messages(Case):
    def tool(self, name, text):
        path = self.here / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def script(self, *words, cwd=None):
        return subprocess.run(["/bin/sh", *map(str, words)], cwd=cwd or self.here, env={"PATH": str(self.here / "bin")}, capture_output=True, text=True)

    def setUp(self):
        super().setUp()
        (self.here / "bin").mkdir()
        for name in TOOLS:
            os.symlink(shutil.which(name), self.here / "bin" / name)
        self.tool("id", "echo 1000")
        self.packages = SOURCE / "tools/install-packages.sh"

    def test_no_dpkg(self):
        done = self.script(self.packages, "build")
        self.assertEqual(done.returncode, 0)
        self.assertIn("not Debian or Ubuntu", done.stderr)
        self.assertIn("libhdf5-dev", done.stderr)

    def test_no_sudo_and_sudo_refused(self):
        self.tool("dpkg-query", "exit 1")
        for says in ("sudo is not installed", "sudo was refused"):
            done = self.script(self.packages, "build")
            self.assertEqual(done.returncode, 1)
            self.assertIn(says, done.stderr)
            self.assertIn("as root, run: apt-get install gcc", done.stderr)
            self.tool("sudo", "exit 1")

    def test_what_is_only_useful_is_gone_on_without(self):
        self.tool("dpkg-query", "for p in " + " ".join(self.named()) + "; do echo \"installed $p\"; done")
        self.tool("sudo", "exit 1")
        done = self.script(self.packages, "test")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("going on without: chromium", done.stderr)

    def named(self):
        text = self.packages.read_text()
        return [word for name in ("build", "fast", "test") for word in text.split(f'\n{name}="')[1].split('"')[0].split()]

    def test_a_tree_that_cannot_be_written(self):
        (self.here / "tools").mkdir()
        shutil.copy(SOURCE / "tools/test.sh", self.here / "tools")
        (self.here / "build").write_text("in the way")
        done = subprocess.run(["bash", "tools/test.sh", "rules"], cwd=self.here, capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cp -r", done.stderr)
        if shutil.which("make"):
            shutil.copy(SOURCE / "Makefile", self.here)
            done = subprocess.run(["make", "all"], cwd=self.here, capture_output=True, text=True)
            self.assertIn("give another folder, as in make BUILD=/tmp/engraft", done.stderr)
            done = subprocess.run(["make", "-n", "demo", "BUILD=/tmp/e"], cwd=self.here, capture_output=True, text=True)
            self.assertIn("tools/demo.sh /tmp/e/engraft /tmp/e/demo", done.stdout)


if __name__ == "__main__":
    main()
