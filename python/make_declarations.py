"""The public headers as cffi reads them, and an exception for every reason in them.

    make_declarations.py COMPILER INCLUDE OUT       writes OUT/_abi.py and OUT/_reasons.py
"""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import cffi

compiler, include, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])

with tempfile.TemporaryDirectory() as empty:
    # Of the system's headers only names of types are used, which cffi knows.
    for name in ("stdbool.h", "stddef.h", "stdint.h", "stdio.h"):
        (Path(empty) / name).touch()
    text = subprocess.run(
        [compiler, "-E", "-P", "-nostdinc", "-I", empty, "-I", str(include), "-DEG_API=", "-D__attribute__(x)=",
         str(include / "engraft.h")], check=True, capture_output=True, text=True,
    ).stdout

ffi = cffi.FFI()
ffi.set_source("pyengraft._abi", None)
ffi.cdef(text)
ffi.emit_python_code(str(out / "_abi.py"))
made = out / "_abi.py"
made.write_text("# mypy: ignore-errors\n" + made.read_text())

# XX(WEIGHTS_MISSING, 8, "a built-in network's weights are not there")
header = (include / "engraft/predict.h").read_text()
rows = re.findall(r'XX\((\w+), (\d+), *"([^"]*)"\)', header[header.index("EG_REASON_MAP(XX)") : header.index("enum eg_reason {")])
lines = ['"""Exceptions by the library\'s reasons. Made from engraft/predict.h."""', "from __future__ import annotations", "",
         "from ._errors import EngraftError", "", "__all__ = ["]
classes = []
for name, number, meaning in rows:
    if name != "OTHER":
        classes.append((name.title().replace("_", ""), int(number), meaning))
lines += [f'    "{name}",' for name, _, _ in classes] + ["]", ""]
for name, number, meaning in classes:
    lines += ["", f"class {name}(EngraftError):", f'    """{meaning[0].upper() + meaning[1:]}."""', ""]
lines += ["", "BY_NUMBER: dict[int, type[EngraftError]] = {"] + [f"    {number}: {name}," for name, number, _ in classes] + ["}", ""]
(out / "_reasons.py").write_text("\n".join(lines))
