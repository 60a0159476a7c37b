#!/usr/bin/env python3
"""Wrong programs made mechanically, and whether a test says so.

    tools/mutate.py [--build build/release] [--count 160] [--seed 1] [--state build/mutants.jsonl] [--list]

Each mutant changes one place of learn/, sample/, the metrics or the augmentation: an operator swapped, a
constant off by one, a condition negated, a statement taken out. It is compiled alone, put in front of the
library, and the unit, golden and property tests of its room are linked and run until the first fails.
Needs a finished build. Results are kept in --state: run again it goes on; a file that has changed since begins
anew. --list prints the survivors.
A mutant that compiles to the same instructions is no other program and does not count.
"""
import argparse
import hashlib
import json
import os
import random
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Files, and the tests of their rooms, the quick ones first.
ROOMS = [
    ("src/learn/*.c", "test_calibrate test_means test_forest_splits test_chance test_out_of_fold test_metrics test_learn"),
    ("src/sample/*.c", "test_chance test_split test_sample_rows test_out_of_fold test_store"),
    ("src/eval/metrics.c src/eval/curves.c src/eval/confident.c src/eval/outliers.c", "test_metrics test_curves test_audit_parts test_audit_rows"),
    ("src/image/augment.c", "test_augment"),
]
SWAPS = {"<": ["<="], "<=": ["<"], ">": [">="], ">=": [">"], "==": ["!="], "!=": ["=="], "+": ["-"], "-": ["+"], "*": ["/"],
         "/": ["*"], "&&": ["||"], "||": ["&&"], "+=": ["-="], "-=": ["+="], "*=": ["/="], "/=": ["*="], "++": ["--"], "--": ["++"]}
TOKEN = re.compile(r'[A-Za-z_]\w*|\d[\w.]*(?:[eE][+-]?\d+f?)?|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\''
                   r"|->|\+\+|--|<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.", re.S)
TYPES = re.compile(r"(const|static|enum|struct|union|unsigned|size_t|bool|float|double|int|char|void|u?int\d+_t|json_t|vf)\b")
SECONDS, BYTES = 60, 6 << 30  # of one test


# ---- the places ------------------------------------------------------------------------------------------

def blanked(text):
    """Without comments, strings, preprocessor lines: every character keeps its place."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    text = re.sub(r"/\*.*?\*/|//[^\n]*", blank, text, flags=re.S)
    text = re.sub(r"^[ \t]*#[^\n]*(?:\\\n[^\n]*)*", blank, text, flags=re.M)
    return re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text)


def bodies(plain):
    """Where functions' bodies are: mutants are made inside."""
    for match in re.finditer(r"^\{$", plain, re.M):
        end = plain.find("\n}", match.start())
        if end > 0:
            yield match.start(), end


def places(text):
    """(start, end, replacement, kind), each another program."""
    plain = blanked(text)
    for first, last in bodies(plain):
        tokens = [match for match in TOKEN.finditer(plain, first, last) if not match.group().isspace()]
        for before, token in zip(tokens, tokens[1:]):
            word, previous = token.group(), before.group()
            binary = re.fullmatch(r"[\w)\].]+", previous) and previous not in ("return", "case", "sizeof")
            if word in SWAPS and (binary or word in ("++", "--")):
                for other in SWAPS[word]:
                    if word == "*" and (TYPES.match(previous) or plain[token.end()] != " "):
                        continue  # a pointer
                    yield token.start(), token.end(), other, "operator"
            if re.fullmatch(r"\d+", word):
                for other in (int(word) + 1, int(word) - 1):
                    yield token.start(), token.end(), str(other) if other >= 0 else f"({other})", "constant"
            elif re.fullmatch(r"\d+\.\d*f?|\d+(\.\d*)?[eE][+-]?\d+f?|\d+\.?f", word):
                yield token.start(), token.end(), f"({word} + 1)", "constant"
        for match in re.finditer(r"\b(if|while) \(", plain[first:last]):
            start = first + match.end() - 1
            depth, end = 0, start
            while end < last:
                depth += {"(": 1, ")": -1}.get(plain[end], 0)
                end += 1
                if not depth:
                    break
            yield start, end, f"(!{text[start:end]})", "condition"
        for match in re.finditer(r"^ +(?:[\w.\->\[\]* +]+?(?:[-+*/|&]?=(?!=)| ?\+\+|--)[^;{}]*|[a-z_]\w*\([^;{}]*\));$", plain[first:last], re.M):
            words = match.group().strip()
            if not TYPES.match(words) and not words.startswith(("return", "goto", "free(", "eg__fail", "assert(", "__builtin_prefetch(")):
                start = first + match.start() + len(match.group()) - len(match.group().lstrip())
                yield start, first + match.end(), ";", "statement"


def all_mutants(seed, count):
    """Spread over the files by their length, at random by seed."""
    rng, found = random.Random(seed), []
    for patterns, tests in ROOMS:
        for pattern in patterns.split():
            for path in sorted(ROOT.glob(pattern)):
                text = path.read_text()
                digest = hashlib.sha256(text.encode()).hexdigest()[:12]
                for start, end, other, kind in places(text):
                    name = f"{path.relative_to(ROOT)}:{digest}:{start}:{end}:{other[:40]}"
                    found.append({"id": name, "path": path, "text": text, "start": start, "end": end, "other": other, "kind": kind,
                                  "tests": tests.split(), "line": text.count("\n", 0, start) + 1})
    by_kind = {}
    for one in found:
        by_kind.setdefault(one["kind"], []).append(one)
    for group in by_kind.values():
        rng.shuffle(group)
    order = []  # kinds in turn, so that any beginning of it is a fair sample
    while any(by_kind.values()) and len(order) < 4 * count:
        order += [group.pop() for group in by_kind.values() if group]
    return order


# ---- one of them ----------------------------------------------------------------------------------------

class Builder:
    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.commands = {Path(one["file"]): one for one in json.loads((build / "compile_commands.json").read_text())}
        self.links, self.plain = {}, {}

    def compile(self, path, text, name):
        """The object of one source with other text; None: it does not compile."""
        one, source, made = self.commands[path], self.folder / f"{name}.c", self.folder / f"{name}.o"
        source.write_text(text)
        words = [word for word in shlex.split(one["command"]) if word != "-Werror" and not word.startswith("-W")]
        if os.path.basename(words[0]) == "ccache":
            words = words[1:]
        words[words.index("-o") + 1] = str(made)
        words[words.index("-c") + 1] = str(source)
        done = subprocess.run([*words, "-w", f"-I{path.parent}"], cwd=one["directory"], capture_output=True)
        return made if done.returncode == 0 else None

    def is_same(self, path, text, made):
        if path not in self.plain:
            self.plain[path] = self.instructions(self.compile(path, text, "plain"))
        return self.instructions(made) == self.plain[path]

    def instructions(self, made):
        raw = self.folder / "raw"
        subprocess.run(["objcopy", "--remove-section=.comment", "--strip-all", str(made), str(raw)], check=True)
        words = subprocess.run(["objdump", "-d", "-r", "-s", str(made)], capture_output=True, text=True, check=True).stdout
        return re.sub(r"^.*file format.*$", "", words, flags=re.M)

    def link(self, test, made):
        if test not in self.links:
            words = subprocess.run(["ninja", "-t", "commands", "-s", f"tests/{test}"], cwd=self.build, capture_output=True, text=True,
                                   check=True).stdout.strip().splitlines()[-1]
            self.links[test] = words
        program = self.folder / test
        words = self.links[test].replace(f"-o tests/{test}", f"-o {program} {made}")
        subprocess.run(words, shell=True, cwd=self.build, check=True, capture_output=True)
        return program

    def fails(self, test, made):
        """Why the test fails with this object; None: it passes. It is not waited for past its first failure."""
        program, began, why = self.link(test, made), time.monotonic(), None
        limits = lambda: (resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES)), resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS)),
                          resource.setrlimit(resource.RLIMIT_CORE, (0, 0)), resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30)))
        running = subprocess.Popen([program], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=limits,
                                   text=True, errors="replace")
        for line in running.stdout:
            if "FAILED" in line:
                why = line.strip()[-100:]
                break
            if time.monotonic() - began > 20 * SECONDS:
                break
        if why:
            running.kill()
        code = running.wait()
        running.stdout.close()
        return why or (f"exit {code}" if code not in (0, 77) else None)


def try_one(builder, mutant):
    path, text = mutant["path"], mutant["text"]
    made = builder.compile(path, text[:mutant["start"]] + mutant["other"] + text[mutant["end"]:], "mutant")
    if not made:
        return "broken", None
    if builder.is_same(path, text, made):
        return "same", None
    for test in mutant["tests"]:
        why = builder.fails(test, made)
        if why:
            return "killed", f"{test}: {why}"
    return "survived", None


# ---- all of them ---------------------------------------------------------------------------------------

def described(mutant):
    line = mutant["text"].splitlines()[mutant["line"] - 1].strip()
    old = " ".join(mutant["text"][mutant["start"]:mutant["end"]].split())
    return {"id": mutant["id"], "place": f"{mutant['path'].relative_to(ROOT)}:{mutant['line']}", "kind": mutant["kind"],
            "old": old[:120], "new": mutant["other"][:120], "line": line}


def main():
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--build", type=Path, default=ROOT / "build/release")
    asked.add_argument("--count", type=int, default=160)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--state", type=Path, default=ROOT / "build/mutants.jsonl")
    asked.add_argument("--list", action="store_true")
    how = asked.parse_args()
    os.nice(10)
    order = all_mutants(how.seed, how.count)
    known = {}
    if how.state.exists():
        known = {one["id"]: one for one in map(json.loads, how.state.read_text().splitlines())}
    counts = {"killed": 0, "survived": 0}
    with tempfile.TemporaryDirectory() as folder, how.state.open("a") as state:
        builder = Builder(how.build.resolve(), Path(folder))
        tests = sorted({test for _, names in ROOMS for test in names.split()})
        wrong = [] if how.list or known else [test for test in tests if subprocess.run([how.build / "tests" / test], capture_output=True).returncode]
        if wrong:
            sys.exit(f"these fail as it is: {', '.join(wrong)}")
        for mutant in order:
            if sum(counts.values()) >= how.count:
                break
            one = known.get(mutant["id"])
            if not one:
                if how.list:
                    continue
                one = described(mutant)
                one["result"], one["by"] = try_one(builder, mutant)
                state.write(json.dumps(one) + "\n")
                state.flush()
            if one["result"] in counts:
                counts[one["result"]] += 1
                if one["result"] == "survived":
                    print(f"{one['place']}: {one['kind']}: {one['old']} -> {one['new']}\n    {one['line']}", flush=True)
    n = sum(counts.values())
    print(f"{counts['killed']} of {n} killed ({100 * counts['killed'] / max(n, 1):.1f} %)")
    return 0 if n and counts["killed"] >= 0.85 * n else 1


if __name__ == "__main__":
    sys.exit(main())
