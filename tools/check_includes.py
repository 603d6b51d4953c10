#!/usr/bin/env python3
"""Checks the direction of #includes between the parts of src/, and that third-party headers stay out of public headers.

  base <- net <- ai
  base <- audio <- library <- coach <- server <- cli        coach and server use ai, library and net

Prints each violation as FILE:LINE and exits 1. --self-test proves that it finds what it looks for.
"""
import pathlib, re, sys, tempfile

MAY_USE = {
    "base": set(),
    "net": {"base"},
    "ai": {"base", "net"},
    "audio": {"base"},
    "library": {"base", "audio"},
    "coach": {"base", "net", "ai", "audio", "library"},
    "server": {"base", "net", "ai", "audio", "library", "coach"},
    "cli": {"base", "net", "ai", "audio", "library", "coach", "server"},
}
THIRD_PARTY = re.compile(r'#include\s*[<"](boost/|openssl/|nghttp2/|simdjson|sqlite3|lmdb|zstd|msgpuck|blake3|sndfile|soxr|taglib/|ebur128|libav|libsw|spdlog/|fmt/|CLI/|toml\+\+/|mongoc|hiredis|hwy/)')
OURS = re.compile(r'#include\s*"([a-z_]+)/')


def violations(src):
    for path in sorted(src.rglob("*")):
        if path.suffix not in (".h", ".cc"):
            continue
        part = path.relative_to(src).parts[0]
        test = "_test" in path.stem or path.stem.startswith("test_")
        public = path.suffix == ".h" and not path.stem.endswith("_internal") and not test
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            used = OURS.match(line)
            if used and used[1] in MAY_USE and used[1] != part and used[1] not in MAY_USE[part]:
                yield f"{path}:{number}: {part} may not use {used[1]}"
            if public and THIRD_PARTY.match(line):
                yield f"{path}:{number}: a third-party header in a public header: move it to a .cc or *_internal.h"


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        src = pathlib.Path(folder)
        for name, text in {"ai/a.cc": '#include "audio/analyzer.h"\n', "base/b.h": "#include <simdjson.h>\n", "base/c_internal.h": "#include <simdjson.h>\n",
                           "cli/d.cc": '#include "server/engine.h"\n#include <CLI/CLI.hpp>\n', "net/e.cc": '#include "ai/gateway.h"\n'}.items():
            (src / name).parent.mkdir(exist_ok=True)
            (src / name).write_text(text)
        found = [v.replace(folder + "/", "") for v in violations(src)]
        expected = ["ai/a.cc:1", "base/b.h:1", "net/e.cc:1"]
        assert [":".join(v.split(":")[:2]) for v in found] == expected, found


if __name__ == "__main__":
    self_test()
    bad = list(violations(pathlib.Path(__file__).resolve().parent.parent / "src"))
    print("\n".join(bad) or "includes point the right way")
    sys.exit(1 if bad else 0)
