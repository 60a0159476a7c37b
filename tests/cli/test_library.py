"""The library as the documents show it."""
import os
import re
import subprocess

from program import SOURCE, Case, main, photos


class Library(Case):
    def test_the_example_works_and_is_the_one_shown(self):
        shown = re.search(r"```c\n(.*?)```", (SOURCE / "docs/library.md").read_text(), re.S).group(1)
        self.assertEqual(shown, (SOURCE / "examples/grow.c").read_text())
        program = os.environ.get("ENGRAFT_EXAMPLE")
        if not program:
            self.skipTest("the example was not built")
        photos(self.here / "photos")
        done = subprocess.run([program, SOURCE / "models", "photos", "mine"], cwd=self.here, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("of 6 test photos are right", done.stdout)
        self.assertEqual(done.stdout.count(": across ("), 12)
        again = subprocess.run([program, SOURCE / "models", "photos", "mine"], cwd=self.here, capture_output=True, text=True)
        self.assertEqual(again.returncode, 1)
        self.assertIn("mine.onnx", again.stderr)


if __name__ == "__main__":
    main()
