"""A Debian 12 with nothing but its base, made by debootstrap from this machine's own package sources."""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def skip(why):
    print(f"SKIPPED: {why}")
    sys.exit(77)


def need(*programs):
    """These tests make file systems of their own: as root, with these programs."""
    if os.geteuid() != 0:
        skip("needs root")
    missing = [p for p in programs if not shutil.which(p, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    if missing:
        skip(f"not installed: {', '.join(missing)} (packages.txt, [long])")


def bootstrap(root):
    """Fills the folder `root` and lets it reach what this machine reaches: package sources, names, trusted certificates."""
    root = pathlib.Path(root)
    site = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Codename: bookworm"], capture_output=True, text=True, check=True)
    if not site.stdout.strip():
        skip("this machine has no package source of Debian 12")
    subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(root), site.stdout.split()[0]], check=True, capture_output=True, timeout=900)
    for name in ("etc/apt/sources.list", "etc/apt/sources.list.d", "etc/pip.conf", "etc/resolv.conf", "etc/hosts", "usr/local/share/ca-certificates"):
        source, target = pathlib.Path("/") / name, root / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.exists():
            shutil.copyfile(source, target)
        elif target.exists():
            target.unlink()
    # A mirror of another day, or a proxy.
    dump = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True)
    settings = [line for line in dump.stdout.splitlines() if line.split("::")[1:2] and line.split("::")[1].split()[0] in ("Check-Valid-Until", "Check-Date", "http", "https", "Retries")]
    (root / "etc/apt/apt.conf.d/90host").write_text("\n".join(settings) + "\n")
    return root


def checkout(target):
    """What a clone of the working tree would hold: its history, and the files as they are now."""
    target = pathlib.Path(target)
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(target)], check=True)
    files = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, check=True).stdout
    kept = [f for f in files.split(b"\0") if f and os.path.lexists(ROOT / os.fsdecode(f))]
    tar = subprocess.Popen(["tar", "-C", str(ROOT), "--null", "-T", "-", "-c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    unpack = subprocess.Popen(["tar", "-C", str(target), "-x"], stdin=tar.stdout)
    tar.stdin.write(b"\0".join(kept))
    tar.stdin.close()
    tar.stdout.close()
    if unpack.wait() != 0 or tar.wait() != 0:
        raise RuntimeError("the checkout could not be copied")
    for gone in subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", "--deleted"], capture_output=True, check=True).stdout.split(b"\0"):
        if gone:
            (target / os.fsdecode(gone)).unlink(missing_ok=True)
    return target
