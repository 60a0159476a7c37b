"""The command line itself: help, refusals, exit codes, manual page, completion."""
import os
import re
import shutil
import subprocess
import unittest
from xml.etree import ElementTree

from program import COMMANDS, ENGRAFT, MODEL, Case, main, photos, photo

SVG = "{http://www.w3.org/2000/svg}"


class CommandLine(Case):
    def test_every_command_has_help_with_an_example_that_works(self):
        shutil.copytree(photos(self.here / "made", n=8), self.here / "photos")
        photo(self.here / "photo.jpg", 0, 7)
        order = ["models", "inspect", "bench", "convert", "classify", "extract", "rows", "info", "train", "cuts", "evaluate", "predict", "audit", "explain", "similar", "verify", "help"]
        unused = ["fetch", "merge", "tune", "serve"]  # the network; shards; minutes; until told: tests of their own
        self.assertEqual(sorted([*order, *unused]), sorted(COMMANDS))
        for command in [*unused, *order]:
            text = self.good(command, "--help").stdout
            self.assertTrue(text.startswith(f"usage: engraft {command}"), text)
            self.assertLessEqual(max(map(len, text.splitlines())), 80, command)
            example = re.search(r"example:\n  engraft (.*)\n", text).group(1)
            if command in order:
                self.good(*example.split())

    def test_overview_lists_every_command(self):
        text = self.good("--help").stdout
        for command in COMMANDS:
            self.assertRegex(text, rf"\n    {command} ")
        self.assertRegex(self.good("--version").stdout, r"^engraft \d+\.\d+\.\d+\nkernels: \w+\nMPI: (yes|no)\nreads: JPEG, PNG, WebP.*\ndoes not read: .*\narchives: zip.*\nICC profiles: (lcms2|no)\nserve: (yes|no)\n$")

    def test_wrong_command_lines_exit_2(self):
        self.bad(2)
        self.bad(2, "nonsense", says="nonsense")
        for words, says in [
            (["inspect"], "MODEL is missing"),
            (["inspect", MODEL, "more"], "more"),
            (["inspect", MODEL, "--nonsense"], "--nonsense"),
            (["inspect", MODEL, "-z"], "-z"),
            (["inspect", MODEL, "--json", "--json"], "twice"),
            (["inspect", MODEL, "--json=1"], "--json"),
            (["inspect", ""], "empty"),
            (["inspect", "no_such_network"], "no_such_network"),
            (["fetch", "no_such_network", "--models", "m"], "no_such_network"),
            (["inspect", MODEL, "--cut", "no_such_layer"], "no_such_layer"),
            (["inspect", MODEL, "--size", "0"], "--size"),
            (["inspect", MODEL, "--size", "12x"], "--size"),
            (["extract", MODEL, "photos"], "-o"),
            (["extract", MODEL, "photos", "-o"], "-o"),
            (["extract", MODEL, "photos", "-o", "x.h5", "--pool", "median"], "median"),
            (["extract", MODEL, "photos", "-o", "x.h5", "--batch", "0"], "--batch"),
            (["extract", MODEL, "photos", "-o", "x.h5", "--batch", "two"], "two"),
            (["extract", MODEL, "photos", "-o", "x.h5", "--nosuch"], "--nosuch"),
            (["train", "photos", "-o", "x.onnx"], "--model"),
            (["train", "x.h5", "-o", "x.onnx", "--C", "0"], "--C"),
            (["train", "x.h5", "-o", "x.onnx", "--C", "1,-1"], "--C"),
            (["train", "x.h5", "-o", "x.onnx", "--C", "1,nan"], "--C"),
            (["train", "x.h5", "-o", "x.onnx", "--cv", "0"], "--cv"),
            (["train", "x.h5", "-o", "x.onnx", "--classifier", "oracle"], "oracle"),
            (["train", "x.h5", "-o", "x.onnx", "--cut", "pool5"], "--features"),
            (["tune", MODEL, "photos", "-o", "x.onnx", "--lr", "100"], "above 0 and below 100"),
            (["tune", MODEL, "photos", "-o", "x.onnx", "--lr", "0"], "above 0 and below 100"),
            (["bench", MODEL, "--threads", "0"], "--threads"),
            (["bench", MODEL, "--threads", "99999999999999999999"], "--threads"),
            (["predict", "x.onnx", "a.jpg", "--csv", "--json"], "--csv"),
        ]:
            with self.subTest(words=words):
                if words[:1] == ["train"] and "--C" in words or "--cut" in words:
                    (self.here / "x.h5").write_bytes(b"")
                self.bad(2, *words, says=says)

    def test_double_dash_ends_options_and_a_dash_is_a_path(self):
        self.bad(1, "classify", MODEL, "--", "--json", says="--json")
        self.bad(1, "classify", MODEL, "-", says="-")

    def test_values_may_be_joined(self):
        for words in (["--size=128"], ["--size", "128"], ["--size", "128x128"]):
            shape = self.json("inspect", MODEL, *words)["layers"][0]["output_shape"]
            self.assertEqual(shape, [128, 128, 3])

    def test_manual_page_names_every_command(self):
        page = self.good("--man").stdout
        self.assertTrue(page.startswith(".TH ENGRAFT 1"))
        for command in COMMANDS:
            self.assertIn(f".SS engraft {command}", page)
        if shutil.which("man"):
            (self.here / "engraft.1").write_text(page)
            shown = subprocess.run(["man", "--warnings", "-l", "engraft.1"], cwd=self.here, capture_output=True, text=True,
                                   env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", "MANWIDTH": "100"})
            self.assertEqual(shown.stderr, "")

    def test_completion_is_a_script_each_shell_takes(self):
        self.bad(2, "--completion", "tcsh")
        for shell in ("bash", "zsh", "fish"):
            script = self.good("--completion", shell).stdout
            for command in COMMANDS:
                self.assertIn(command, script)
            if shutil.which(shell):
                check = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True)
                self.assertEqual((check.returncode, check.stderr), (0, ""), shell)
        if shutil.which("bash"):
            asked = self.good("--completion", "bash").stdout + (
                "COMP_WORDS=(engraft extract --p); COMP_CWORD=2; _engraft; echo ${COMPREPLY[*]}\n"
                "COMP_WORDS=(engraft extract --pool ''); COMP_CWORD=3; _engraft; echo ${COMPREPLY[*]}\n"
                "COMP_WORDS=(engraft ex); COMP_CWORD=1; _engraft; echo ${COMPREPLY[*]}\n"
            )
            answers = subprocess.run(["bash"], input=asked, capture_output=True, text=True).stdout.splitlines()
            self.assertEqual(answers, ["--pool --preprocess --progress", "flatten avg max gem cls cls-avg", "extract explain"])

    def test_models_on_the_path(self):
        known = {m["name"]: m for m in self.json("models")}
        self.assertTrue(known[MODEL]["found"])
        self.assertEqual(known["vgg16"]["parameters"], 138357544)
        (self.here / "empty").mkdir()
        self.bad(1, "classify", "vgg16", "x.jpg", "--models", "empty", says="vgg16=FILE")
        here = {m["name"]: m for m in self.json("models", env={"ENGRAFT_MODELS": str(self.here)})}
        self.assertFalse(here["vgg16"]["found"])
        (self.here / "vgg16-397923af.pth").write_bytes(b"")
        here = {m["name"]: m for m in self.json("models", env={"ENGRAFT_MODELS": f"/nowhere:{self.here}"})}
        self.assertEqual(here["vgg16"]["path"], str(self.here / "vgg16-397923af.pth"))
        here = {m["name"]: m for m in self.json("models", "--models", str(self.here))}
        self.assertTrue(here["vgg16"]["found"])


class Inspect(Case):
    def test_figures_of_networks_without_weights(self):
        vgg = self.json("inspect", "vgg16")
        self.assertEqual((vgg["parameters"], vgg["macs"]), (138357544, 15470264320))
        pool5 = next(l for l in vgg["layers"] if "pool5" in l["aliases"])
        self.assertEqual((pool5["name"], pool5["output_shape"], pool5["feature_length"]), ("features.30", [7, 7, 512], 25088))
        self.assertEqual(vgg["default_cut"], "features.30")
        self.assertEqual(self.json("inspect", "resnet50")["parameters"], 25557032)

    def test_fields_are_those_of_the_contract(self):
        net = self.json("inspect", MODEL)
        self.assertLessEqual({"name", "default_cut", "parameters", "macs", "layers"}, set(net))
        names = [l["name"] for l in net["layers"]]
        self.assertIn(net["default_cut"], names)
        self.assertEqual(len(names), len(set(names)))
        for index, layer in enumerate(net["layers"]):
            self.assertEqual(layer["index"], index)
            self.assertLessEqual({"index", "name", "aliases", "op", "input_shape", "input_shapes", "output_shape",
                                  "parameters", "macs", "cut", "feature_length"}, set(layer))
        self.assertEqual(sum(l["parameters"] for l in net["layers"]), net["parameters"])

    def test_names_numbers_and_blocks_reach_the_same_layer(self):
        full = self.json("inspect", "vgg16")
        for cut in ("features.30", "pool5", "block5_pool", "#31"):
            net = self.json("inspect", "vgg16", "--cut", cut)
            self.assertEqual(net["layers"], full["layers"][:32], cut)
        for pool, length in (("avg", 512), ("max", 512), ("gem", 512), ("flatten", 25088)):
            net = self.json("inspect", "vgg16", "--cut", f"pool5:{pool}")
            self.assertEqual(net["layers"][-1]["feature_length"], length)
        self.assertEqual(self.json("inspect", "resnet18", "--cut", "layer3.1")["layers"][-1]["output_shape"], [14, 14, 256])

    def test_the_table_of_every_network_fits_the_terminal(self):
        for net in self.json("models"):
            for columns in (80, 100):
                lines = self.good("inspect", net["name"], env={"COLUMNS": str(columns)}).stdout.splitlines()
                self.assertLessEqual(max(map(len, lines)), columns, net["name"])

    def test_receptive_fields_are_the_published_ones(self):
        # Araujo et al., Distill 2019, their table; ResNet there strides as Keras does
        for model, field in (("alexnet", 195), ("vgg16", 212), ("keras-resnet50", 483), ("inception_v3", 1311),
                             ("keras-mobilenet", 315)):
            maps = [l for l in self.json("inspect", model)["layers"] if len(l["output_shape"]) == 3]
            self.assertEqual((maps[-1]["receptive_field"], maps[-1]["jump"]), ([field] * 2, [32] * 2), model)

    def test_a_cut_is_shown_beside_what_it_leaves_out(self):
        whole, cut = self.json("inspect", "vgg16"), self.json("inspect", "vgg16", "--cut", "pool5:avg")
        out = cut["left_out"]
        self.assertEqual([l["name"] for l in out["layers"]], [l["name"] for l in whole["layers"][32:]])
        for key in ("parameters", "macs"):
            self.assertEqual(cut[key] + out[key], whole[key])
        text = self.good("inspect", "vgg16", "--cut", "pool5").stdout
        self.assertIn("cut at pool5: 25,088 features", text)
        self.assertLess(text.index("features.30"), text.index("cut at pool5"))
        self.assertGreater(text.index("classifier.0"), text.index("cut at pool5"))
        self.assertIn("14,714,688 of 138,357,544 parameters (10.6 %)", text)

    def test_colour_on_a_terminal_only(self):
        self.assertNotIn("\033", self.good("inspect", "alexnet").stdout)
        try:
            here, there = os.openpty()
        except OSError as none:  # a bare root without /dev/pts
            self.skipTest(f"no pseudo-terminals here: {none}")
        env = {**os.environ, "TERM": "xterm"}
        env.pop("NO_COLOR", None)
        child = subprocess.Popen([ENGRAFT, "inspect", "alexnet"], stdout=there, env=env)
        os.close(there)
        seen = b""
        try:
            while block := os.read(here, 65536):
                seen += block
        except OSError:  # the other end is closed
            pass
        os.close(here)
        self.assertEqual(child.wait(), 0)
        self.assertIn(b"\033[1;32m", seen)

    def picture(self, *words):
        self.good("inspect", *words, "--svg", "net.svg", "--force")
        return ElementTree.parse(self.here / "net.svg").getroot()

    def texts(self, svg, kind=None):
        return ["".join(t.itertext()) for t in svg.iter(f"{SVG}text") if kind in (None, t.get("class"))]

    def test_the_picture_of_vgg16_is_in_proportion(self):
        svg = self.picture("vgg16", "--cut", "pool5")
        kept, out = [[tuple(map(float, re.findall(r"-?[\d.]+", path.get("d")))) for path in group.iter(f"{SVG}path")]
                     for group in svg.findall(f"{SVG}g")[:2]]
        self.assertEqual((len(kept), len(out)), (3 * 19, 3 * 3))  # input, 13 convolutions, 5 poolings; 3 FC layers
        front = [(x1 - x0, y1 - y0) for x0, y0, x1, _, _, y1, _, _ in kept[2::3]]
        heights = [224] * 3 + [112] * 3 + [56] * 4 + [28] * 4 + [14] * 4 + [7]
        for (_, height), pixels in zip(front, heights):
            self.assertAlmostEqual(height / front[0][1], pixels / 224, delta=0.002)
        self.assertAlmostEqual(front[18][0] / front[9][0], 512 / 256, delta=0.05)  # pool5, conv3_3
        self.assertEqual(self.texts(svg, "volume"), ["224 × 224 × 3", "224 × 224 × 64", "112 × 112 × 128", "56 × 56 × 256",
                                                     "28 × 28 × 512", "14 × 14 × 512", "7 × 7 × 512", "4096 · 4096 · 1000"])
        self.assertEqual(self.texts(svg, "name"), ["conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3", "pool5", "fc8"])
        self.assertIn("cut at pool5", self.texts(svg))
        self.assertIn("25088 features", self.texts(svg))
        self.assertEqual(len([p for p in svg.iter(f"{SVG}path") if p.get("class") == "cut"]), 1)

    def test_the_picture_of_a_deep_network_groups_its_blocks(self):
        svg = self.picture("resnet152")
        self.assertIn("×29", self.texts(svg, "count"))
        self.assertLessEqual({"8 residual blocks", "36 residual blocks"}, set(self.texts(svg, "content")))
        self.assertIn("default cut: pool5", self.texts(svg))
        for net in self.json("models"):
            svg = self.picture(net["name"])
            blocks = sum(len(list(g.iter(f"{SVG}path"))) for g in svg.findall(f"{SVG}g")[:2]) // 3
            self.assertTrue(4 <= blocks <= 40, (net["name"], blocks))
            self.assertNotIn("others", " ".join(self.texts(svg, "content")), net["name"])

    def test_a_cut_within_a_block_is_drawn_there(self):
        svg = self.picture("resnet50", "--cut", "layer3.2.bn2:avg")
        self.assertIn("14 × 14 × 256", self.texts(svg, "volume"))
        self.assertIn("2.5 residual blocks", self.texts(svg, "content"))
        self.assertIn("256 features", self.texts(svg))

    def test_a_picture_overwrites_nothing(self):
        (self.here / "net.svg").write_text("mine")
        self.bad(1, "inspect", "alexnet", "--svg", "net.svg", says="--force")
        self.bad(1, "inspect", "alexnet", "--svg", "no_folder/net.svg", says="no_folder")
        self.assertEqual((self.here / "net.svg").read_text(), "mine")
        self.assertEqual([p.name for p in self.here.iterdir()], ["net.svg"])

    def test_blocks_are_named_and_can_be_cut(self):
        shown = " ".join(self.good("inspect", "vit_small_patch16_224").stdout.split())
        self.assertIn("blocks: blocks.0 to blocks.11 (197x384);", shown)
        self.assertIn("layer3.0 to layer3.5 (14x14x1024), layer4.0", " ".join(self.good("inspect", "resnet50").stdout.split()))
        self.assertNotIn("blocks:", self.good("inspect", "vgg16").stdout) # its layers have numbers, they are no blocks
        self.assertEqual(self.json("inspect", "vit_small_patch16_224", "--cut", "blocks.11")["layers"][-1]["output_shape"], [197, 384])

    def test_a_size_that_something_forbids_is_refused_only_there(self):
        self.bad(1, "inspect", "alexnet", "--size", "20")
        self.assertEqual(self.json("inspect", "vgg16", "--size", "96", "--cut", "pool5")["layers"][-1]["output_shape"], [3, 3, 512])


if __name__ == "__main__":
    main()
