"""An option that means nothing with the operands given is refused, each row of the program's table."""
import re

from program import MODEL, SOURCE, Case, main, photo

OPERANDS = {"PHOTOS": "photos", "ARRAY": "x.npy", "FEATURES": "f.h5", "MODEL": MODEL}
VALUES = {"labels-sep": ";", "icc": "srgb", "views": "flip", "effort": "fast", "cut": "avgpool", "pool": "max", "batch": "4", "exclude": "*.txt", "size": "192", "preprocess": "plain", "recompute": "1", "root": ".", "seed": "1"}
FIRST = {"train": [], "info": [], "evaluate": [MODEL], "extract": [MODEL], "classify": [MODEL], "predict": [MODEL], "cuts": [MODEL], "tune": [MODEL],
         "bench": [], "explain": [MODEL], "similar": ["f.h5"], "rows": [], "inspect": []}
KINDS = {"train": ["PHOTOS", "FEATURES"], "info": ["FEATURES", "MODEL"], "evaluate": ["PHOTOS", "FEATURES"], "extract": ["PHOTOS", "ARRAY"], "bench": ["MODEL"]}


class Meanings(Case):
    def setUp(self):
        super().setUp()
        (self.here / "photos/a").mkdir(parents=True)
        photo(self.here / "photos/a/x.png", 0, 1)
        (self.here / "x.npy").write_bytes(b"\x93NUMPY")
        (self.here / "f.h5").write_bytes(b"\x89HDF\r\n\x1a\n")

    def words(self, command, kind, option):
        more = ["-o", "out"] if command in ("train", "extract", "tune") else []
        return [command, *FIRST[command], OPERANDS[kind], *more, f"--{option}", *([VALUES[option]] if option in VALUES else [])]

    def test_every_row_of_the_table(self):
        table = (SOURCE / "cli/meanings.def").read_text()
        rows = re.findall(r'^MEANING\((\w+), \d, "([\w-]+)", ([\w| ]+), (NULL|"[\w-]+"), "(.*)"\)$', table, re.M)
        self.assertEqual(len(rows), table.count("\nMEANING("))
        for command, option, kinds, _, why in rows:
            meaningless = set(KINDS.get(command, ["PHOTOS", "ARRAY"])) - set(kinds.split(" | "))
            for kind in meaningless or {"ARRAY"} - set(kinds.split(" | ")):
                done = self.bad(2, *self.words(command, kind, option), says=f"--{option} means nothing")
                self.assertIn(why, done.stderr)
            for kind in set(KINDS.get(command, [])) & set(kinds.split(" | ")):  # goes on, to another end
                self.assertNotIn("means nothing with ", self.run_in(*self.words(command, kind, option)).stderr)

    def test_options_that_need_another(self):
        rows = re.findall(r'^NEEDS\((\w+), "([\w-]+)", "([\w-]+)"\)', (SOURCE / "cli/meanings.def").read_text(), re.M)
        self.assertTrue(rows)
        for command, option, other in rows:
            self.bad(2, *self.words(command, "FEATURES", option), says=f"means nothing without --{other}")

    def test_the_trunk_is_of_weights_alone(self):
        for words in (["convert", MODEL, "-o", "x.onnx"], ["extract", MODEL, "photos", "-o", "x.h5"], ["inspect", MODEL]):
            self.bad(2, *words, "--trunk", says="--trunk means nothing")

    def test_one_operand_that_an_option_is_for_is_enough(self):
        done = self.run_in("classify", MODEL, "x.npy", "photos", "--exclude", "*.txt")
        self.assertNotIn("means nothing", done.stderr)

    def test_one_of_many_processes_without_mpi(self):
        words = ["extract", MODEL, "photos", "-o", "g.h5"]
        many = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "0"}
        self.bad(1, "train", "photos", "--model", MODEL, "-o", "m.onnx", env=many, says="4 processes")
        done = self.run_in(*words, env=many)
        if done.returncode:  # built without MPI
            self.assertIn("built without MPI", done.stderr)
            self.assertEqual(list(self.here.glob("g*")), [])
            self.good(*words, "--shard", "0/1", env=many)


if __name__ == "__main__":
    main()
