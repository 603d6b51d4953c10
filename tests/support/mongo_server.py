"""A server for tests that speaks MongoDB's protocol: mongo-java-server (an emulator that keeps its data in memory; Debian 12
has no MongoDB), fetched by Maven once and kept in ${XDG_CACHE_HOME:-~/.cache}/samplemind-tests."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

VERSION = "1.46.0"
# Of the jars' names and bytes, in the names' order.
JARS_SHA256 = "313417d30ac5e7c3ae23dc9902fdf0f71ec032bc6c40fedf5c83c5b8705c15b6"
_POM = f"""<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>samplemind</groupId><artifactId>tests</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>de.bwaldvogel</groupId><artifactId>mongo-java-server</artifactId><version>{VERSION}</version>
  </dependency></dependencies>
</project>
"""
_EMULATOR = pathlib.Path(__file__).with_name("MongoEmulator.java")


def _sum(folder):
    total = hashlib.sha256()
    for jar in sorted(folder.glob("*.jar")):
        total.update(jar.name.encode() + b"\0" + hashlib.sha256(jar.read_bytes()).digest())
    return total.hexdigest()


def jars():
    """(the folder of the jars, None) or (None, why they cannot be had)."""
    for program, package in (("java", "default-jdk-headless"), ("mvn", "maven")):
        if shutil.which(program) is None:
            return None, f"there is no {program} (package {package})"
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "samplemind-tests"
    folder = cache / f"mongo-java-server-{VERSION}"
    if folder.is_dir() and _sum(folder) == JARS_SHA256:
        return folder, None
    shutil.rmtree(folder, ignore_errors=True)
    cache.mkdir(parents=True, exist_ok=True)
    making = pathlib.Path(tempfile.mkdtemp(prefix=".mongo-", dir=cache))
    try:
        (making / "pom.xml").write_text(_POM)
        done = subprocess.run(["mvn", "-q", "-B", "-f", str(making / "pom.xml"), "dependency:copy-dependencies",
                               f"-DoutputDirectory={making / 'jars'}"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            print(done.stdout[-2000:], file=sys.stderr)
            return None, "Maven could not fetch mongo-java-server"
        got = _sum(making / "jars")
        if got != JARS_SHA256:
            raise AssertionError(f"the jars of mongo-java-server {VERSION} have the sum {got}, expected {JARS_SHA256}")
        try:
            (making / "jars").rename(folder)
        except OSError:  # another test was first
            pass
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder, None


class Mongo:
    """One that is empty at its start, on a port of its own choice or on `port`."""

    def __init__(self, folder, port=0):
        self.process = subprocess.Popen(
            ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{folder}/*", str(_EMULATOR), str(port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(self.process.stdout.readline())
        self.url = f"mongodb://127.0.0.1:{self.port}"

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
