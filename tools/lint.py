#!/usr/bin/env python3
"""Rejects what g++ 12.2 compiles wrongly in coroutines (src/net/task.h): in an expression with co_await, a braced aggregate as an
argument, a lambda that captures, or a conditional that makes an object. All are destroyed twice.
"""
import pathlib, re, sys

LAMBDA = re.compile(r"(?<![\w\])])\[\s*[&=\w][^\]\[]*\]\s*(\(|\{)")
BRACED = re.compile(r"[(,]\s*(?:[A-Za-z_:]+)?\{[^{}]*[^{}\s][^{}]*\}")


def statements(text):
    """Each `co_await ...;` with the line it starts on; comments and string contents are blanked."""
    clean = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', re.sub(r"//[^\n]*", "", text))
    for m in re.finditer(r"\bco_await\b", clean):
        depth, end = 0, m.end()
        while end < len(clean):
            c = clean[end]
            depth += c in "([{"
            depth -= c in ")]}"
            if depth < 0 or (depth == 0 and c == ";"):
                break
            end += 1
        yield clean.count("\n", 0, m.start()) + 1, clean[m.end():end]


def violations(text):
    for line, expression in statements(text):
        if LAMBDA.search(expression):
            yield line, "a capturing lambda in an expression with co_await: name it first"
        elif BRACED.search(expression):
            yield line, "a braced temporary in an expression with co_await: name it first"
        elif "?" in expression:
            yield line, "a conditional in an expression with co_await: name its result first"


def self_test():
    bad = ["co_await f([x] { return x; });", "co_await f([&](int) {});", "co_await f(Options{1, 2});", "co_await f({1});", "auto r = co_await g(a, Head{404, b});", "co_await f(a ? std::string() : b);"]
    good = ["co_await f(std::move(o));", "co_await f(a[i]);", 'co_await f("{x}?");', "co_await f({});", "co_await h(x[0](y));", "co_await f([] { return 1; });"]
    for text in bad:
        assert list(violations(text)), text
    for text in good:
        assert not list(violations(text)), text


if __name__ == "__main__":
    self_test()
    root = pathlib.Path(__file__).resolve().parent.parent
    found = [f"{p}:{line}: {why}" for p in sorted((root / "src").rglob("*.cc")) if "_test" not in p.stem for line, why in violations(p.read_text(errors="replace"))]
    print("\n".join(found) or "no forbidden co_await form")
    sys.exit(1 if found else 0)
