"""`samplemind test`'s runner over a made test suite: what counts as passed, failed, flaky and unchanged."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

RUNNER = pathlib.Path(__file__).resolve().parents[2] / "tools/run_tests.py"
SUITE = """cmake_minimum_required(VERSION 3.20)
project(made NONE)
enable_testing()
add_test(NAME good COMMAND sh good.sh)
set_tests_properties(good PROPERTIES REQUIRED_FILES ${CMAKE_BINARY_DIR}/good.sh)
add_test(NAME bad COMMAND false)
add_test(NAME late COMMAND sh -c "test -e again || { touch again; exit 1; }")
add_test(NAME race COMMAND sh -c "test -e raced || { touch raced; echo WARNING: ThreadSanitizer: data race; exit 66; }")
add_test(NAME crash COMMAND sh -c "test -e crashed || { touch crashed; kill -SEGV $$; }")
add_test(NAME absent COMMAND sh -c "echo no such machine; exit 77")
set_tests_properties(absent PROPERTIES SKIP_RETURN_CODE 77)
"""


class Runner(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.build = pathlib.Path(folder.name) / "build"
        self.build.mkdir()
        (self.build.parent / "CMakeLists.txt").write_text(SUITE)
        (self.build / "good.sh").write_text("exit 0\n")
        subprocess.run(["cmake", "-S", self.build.parent, "-B", self.build], check=True, capture_output=True)

    def run_tests(self, *arguments, ci="false"):
        done = subprocess.run([sys.executable, RUNNER, "--build", self.build, *arguments], capture_output=True, text=True,
                              env={**os.environ, "CI": ci})
        return done.returncode, done.stdout, done.stderr

    def test_a_failure_is_a_failure(self):
        code, out, _ = self.run_tests()
        self.assertEqual(code, 1)
        self.assertTrue(out.endswith("1 passed, 4 failed, 1 skipped\n"), out)
        for name in ("bad", "late", "race", "crash"):
            self.assertIn(f"FAILED: {name}\n", out)
        self.assertIn("skipped: absent: no such machine", out)

    def test_ci_tries_again_but_excuses_no_race_and_no_crash(self):
        code, out, _ = self.run_tests(ci="true")
        self.assertEqual(code, 1)
        self.assertTrue(out.endswith("2 passed, 3 failed, 1 skipped\n"), out)
        self.assertIn("FLAKY: late failed at first and passed alone", out)
        for name in ("bad", "race", "crash"):
            self.assertIn(f"FAILED: {name}\n", out)

    def test_ci_takes_no_skip(self):
        code, _, err = self.run_tests("--filter", "good|absent", ci="true")
        self.assertEqual(code, 1)
        self.assertIn("a test was skipped", err)

    def test_changed_runs_what_changed(self):
        def changed():
            return self.run_tests("--changed", "--filter", "good")[1].splitlines()[-1]

        self.assertEqual(changed(), "1 passed, 0 failed")
        self.assertEqual(changed(), "0 passed, 0 failed")
        (self.build / "good.sh").write_text("exit 1\n")
        self.assertEqual(changed(), "0 passed, 1 failed")
        self.assertEqual(changed(), "0 passed, 1 failed")  # until it passes
        (self.build / "good.sh").write_text("exit 0\n")
        self.assertEqual(changed(), "1 passed, 0 failed")


if __name__ == "__main__":
    unittest.main(verbosity=2)
