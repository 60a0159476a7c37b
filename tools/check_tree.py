#!/usr/bin/env python3
"""The rules of the tree that no compiler checks; prints each breach as FILE:LINE: text.

    tools/check_tree.py            rules that need the sources only
    tools/check_tree.py BUILD      also the symbols of BUILD/libengraft.so and .a
"""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Which rooms a room may include headers of, besides its own and base.
EDGES = {
    "base": "",
    "image": "",
    "graph": "",
    "arch": "graph",
    "onnx": "graph",
    "formats": "graph h5",
    "kernels": "",
    "net": "graph kernels",
    "h5": "",
    "features": "h5 graph",
    "sample": "features image",
    "learn": "graph kernels eval",  # what the folds are judged by
    "eval": "",
    "dist": "",
    "draw": "",
    "report": "eval draw",
    "model": "graph arch onnx formats net kernels image",
    "flow": "image graph arch onnx formats kernels net h5 features model sample learn eval dist report",
}

# Headers of the world outside, and their owners.
OWNED = {
    r"hdf5.*\.h|H5.*\.h": "h5",
    r"mpi\.h": "dist",
    r"utf8proc\.h": "base",
    r"jpeglib\.h|spng\.h|webp/.*|libheif/.*|tiffio\.h|gif_lib\.h|lcms2\.h|avif/.*": "image",
    r".*intrin\.h|arm_.*\.h": "kernels",
    r"curl/.*": "formats",
    r"microhttpd\.h": "serve",
    r"archive(_entry)?\.h": "image serve",
}

BANNED = r"\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|atof|rand|srand|strtok|alloca|system)\s*\("
# The library never prints, exits or reads the environment; one place may pick the kernels.
BANNED_IN_LIBRARY = r"\b(printf|puts|putchar|perror|exit|_exit|abort|getenv|secure_getenv|setenv|umask)\s*\(|\bstd(out|err)\b"
ENVIRONMENT_READER = "src/kernels/"

breaches = []


def breach(path, line, text):
    breaches.append(f"{path}:{line}: {text}")


def tracked():
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return [Path(name) for name in names.splitlines() if (ROOT / name).is_file()]


def without_comments_and_strings(text):
    """Blanks of the same length, so that line numbers stay."""

    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def check_includes(path, lines):
    room = path.parts[1] if path.parts[0] == "src" else path.parts[0]
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#\s*include\s*["<]([^">]+)[">]', line)
        if not match:
            continue
        header = match.group(1)
        for pattern, owner in OWNED.items():
            if path.parts[0] in ("src", "cli", "serve") and re.fullmatch(pattern, header) and room not in owner.split():
                breach(path, number, f"<{header}> belongs to {owner}/")
        target = header.split("/")[0]
        if path.parts[0] == "src" and "/" in header and target in EDGES:
            if target not in (room, "base", *EDGES[room].split()):
                breach(path, number, f"{room} may not include {target}")
        if path.parts[0] in ("cli", "serve") and "/" in header and target in (*EDGES, "cli"):
            breach(path, number, f"{path.parts[0]} includes engraft.h and its own headers only")
        if path.parts[0] in ("src", "cli") and target == "serve" and header != "serve/serve.h":
            breach(path, number, "of serve/ there is serve/serve.h, for cli/")
        if path.parts[0] == "src" and target == "serve":
            breach(path, number, "the library does not know the program")


def check_names(paths):
    seen = {}
    for path in paths:
        if path.suffix in (".c", ".h", ".def", ".py", ".sh", ".proto") and path.parts[0] != "examples":
            if path.name in seen:
                breach(path, 1, f"the name is taken by {seen[path.name]}")
            seen[path.name] = path


def check_banned(path, text):
    plain = without_comments_and_strings(text).splitlines()
    for number, line in enumerate(plain, 1):
        match = re.search(BANNED, line)
        if match and path.parts[0] in ("src", "cli", "serve"):
            breach(path, number, f"{match.group(1)} is banned")
        match = re.search(BANNED_IN_LIBRARY, line)
        if match and path.parts[0] == "src":
            if "getenv" in match.group() and str(path).startswith(ENVIRONMENT_READER):
                continue
            breach(path, number, f"the library does not use {match.group().strip(' (')}")


# The library does not know the program: neither its options nor its commands.
PROGRAM_WORDS = r"""(^|[\s(`'"])--[a-z]|\bengraft (models|fetch|inspect|classify|extract|merge|rows|info|train|evaluate|predict|tune|bench|convert|audit|explain|similar|verify|serve)\b"""


def check_words(path, text):
    for number, line in enumerate(text.splitlines(), 1):
        if any(re.search(PROGRAM_WORDS, words) for words in re.findall(r'"((?:\\.|[^"\\])*)"', line)):
            breach(path, number, "the library does not speak of the program's options or commands")


def nm(*arguments, kinds="TDBRVW"):
    output = subprocess.run(["nm", *arguments], check=True, capture_output=True, text=True).stdout
    return {line.split()[2] for line in output.splitlines() if re.match(rf"[0-9a-f]+ [{kinds}] ", line)}


def check_symbols(build):
    header = "".join(path.read_text() for path in sorted((ROOT / "include").rglob("*.h")))
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    header = re.sub(r"^\s*#.*(\\\n.*)*", "", header, flags=re.M)
    declared = set()
    for declaration in re.findall(r"EG_API\b([^;{]*)", header):
        match = re.search(r"\b(eg_\w+)\s*\(", declaration)
        if match:
            declared.add(match.group(1))
    exported = nm("-D", "--defined-only", build / "libengraft.so")
    for name in sorted(exported - declared):
        breach("libengraft.so", 0, f"{name} is exported but not in a public header")
    for name in sorted(declared - exported):
        breach("include", 0, f"{name} is declared but not in libengraft.so")
    for name in sorted(nm("--extern-only", "--defined-only", build / "libengraft.a", kinds="T") - declared):
        if not re.match(r"eg__|eg_onnx__", name):  # eg_onnx__: made by protoc-c from the .proto
            breach("libengraft.a", 0, f"{name}: an internal function's name starts with eg__")


def main():
    paths = tracked()
    check_names(paths)
    for path in paths:
        if path.suffix not in (".c", ".h", ".def"):
            continue
        text = (ROOT / path).read_text(errors="replace")
        lines = text.splitlines()
        check_includes(path, lines)
        check_banned(path, text)
        if path.parts[0] == "src":
            check_words(path, text)
        if path.suffix == ".c" and len(lines) > 1000:
            breach(path, len(lines), "a file past 1000 lines is two files")
    if len(sys.argv) > 1:
        check_symbols(Path(sys.argv[1]))
    print("\n".join(breaches) or "the tree keeps its rules")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
