#!/usr/bin/env python3
"""Rejects what g++ 12.2 compiles wrongly in coroutines (src/net/task.h): in an expression with co_await, a braced aggregate as an
argument, a lambda that captures, or a conditional that makes an object. All are destroyed twice.
And tests that docs/cases.md names but nobody wrote.
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


def missing_tests(cases, root):
    """What the text `cases` names in backticks or table cells as Suite.Name or `file: test_name` and is in no test."""
    sources = list((root / "src").rglob("*_test.cc"))
    written = set(re.findall(r"^TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\)", "\n".join(p.read_text() for p in sources), re.M))
    for suite, name in re.findall(r"\b([A-Z]\w+)\.([A-Z]\w+)\b(?!\.)", cases):
        if suite != "Suite" and (suite, name) not in written:
            yield f"{suite}.{name}"
    for file, name in re.findall(r"\b(\w+): (test_\w+)", cases):
        path = root / "tests" / "integration" / f"{file}_test.py"
        if name != "test_name" and (not path.exists() or f"def {name}(" not in path.read_text()):
            yield f"{file}: {name}"


def self_test():
    bad = ["co_await f([x] { return x; });", "co_await f([&](int) {});", "co_await f(Options{1, 2});", "co_await f({1});", "auto r = co_await g(a, Head{404, b});", "co_await f(a ? std::string() : b);"]
    good = ["co_await f(std::move(o));", "co_await f(a[i]);", 'co_await f("{x}?");', "co_await f({});", "co_await h(x[0](y));", "co_await f([] { return 1; });"]
    for text in bad:
        assert list(violations(text)), text
    for text in good:
        assert not list(violations(text)), text
    here = pathlib.Path(__file__).resolve().parent.parent
    assert list(missing_tests("Sse.NoSuchTest, Sse.ReadsTheSameAtEverySplit, soak: test_soak, soak: test_none", here)) == ["Sse.NoSuchTest", "soak: test_none"]


if __name__ == "__main__":
    self_test()
    root = pathlib.Path(__file__).resolve().parent.parent
    found = [f"{p}:{line}: {why}" for p in sorted((root / "src").rglob("*.cc")) if "_test" not in p.stem for line, why in violations(p.read_text(errors="replace"))]
    found += [f"docs/cases.md names {test}, which does not exist" for test in missing_tests((root / "docs" / "cases.md").read_text(), root)]
    print("\n".join(found) or "no forbidden co_await form, no case without its test")
    sys.exit(1 if found else 0)
