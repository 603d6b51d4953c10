"""Real Redis servers for tests: one, or a cluster of masters, on free loopback ports, gone with the test."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import harness


def available():
    return shutil.which("redis-server") is not None


def speaks_tls():
    if not available():
        return False
    # One that was built without TLS stumbles over the first of these, else over the second.
    done = subprocess.run(["redis-server", "--tls-port", "0", "--no-such-setting", "x"], capture_output=True, text=True)
    return "tls-port" not in done.stdout + done.stderr and shutil.which("openssl") is not None



class Redis:
    def __init__(self, cluster=False, password=None, port=None, tls=None):
        """`tls`: (certificate, key); it then speaks TLS on `tls_port` beside its plain port."""
        self.cluster, self.password, self.tls = cluster, password, tls
        self.tls_port = harness.free_port() if tls else None
        # A cluster's bus listens 10,000 above.
        self.port = port or self._port(cluster)
        self.folder = tempfile.mkdtemp(prefix="samplemind-redis-")
        self.process = None
        self.start()

    @staticmethod
    def _port(cluster):
        while True:
            port = harness.free_port()
            if not cluster:
                return port
            if port <= 55000:
                with socket.socket() as s:
                    if s.connect_ex(("127.0.0.1", port + 10000)) != 0:
                        return port

    def start(self):
        argv = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                "--dir", self.folder, "--logfile", os.path.join(self.folder, "log")]
        if self.tls:
            argv += ["--tls-port", str(self.tls_port), "--tls-cert-file", str(self.tls[0]), "--tls-key-file", str(self.tls[1]),
                     "--tls-auth-clients", "no"]
        if self.password:
            argv += ["--requirepass", self.password]
        if self.cluster:
            argv += ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000",
                     "--cluster-require-full-coverage", "no"]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.wait_until(self._alive, 20, "redis-server answers")

    def _alive(self):
        try:
            return b"PONG" in self.raw("PING") or b"NOAUTH" in self.raw("PING")
        except OSError:
            return False

    def raw(self, *words, timeout=2):
        """One command's reply as the server sent it."""
        text = f"*{len(words)}\r\n".encode()
        for w in words:
            w = w if isinstance(w, bytes) else str(w).encode()
            text += f"${len(w)}\r\n".encode() + w + b"\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as s:
            if self.password and words[0] != "PING":
                s.sendall(f"*2\r\n$4\r\nAUTH\r\n${len(self.password)}\r\n{self.password}\r\n".encode())
                s.recv(100)
            s.sendall(text)
            got = s.recv(1 << 20)
            end = time.monotonic() + 0.2
            s.settimeout(0.05)
            while time.monotonic() < end:
                try:
                    more = s.recv(1 << 20)
                except OSError:
                    break
                if not more:
                    break
                got += more
            return got

    def keys(self):
        return int(self.raw("DBSIZE").strip()[1:])

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.process.poll() is None:
            self.thaw()
            self.process.kill()
        self.process.wait()

    def stop(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def cluster(size=3):
    """Masters that share all slots."""
    servers = [Redis(cluster=True) for _ in range(size)]
    share = 16384 // size
    for i, s in enumerate(servers):
        last = 16383 if i == size - 1 else (i + 1) * share - 1
        assert b"OK" in s.raw("CLUSTER", "ADDSLOTSRANGE", i * share, last) or \
            b"OK" in s.raw("CLUSTER", "ADDSLOTS", *range(i * share, last + 1))
        if i > 0:
            assert b"OK" in s.raw("CLUSTER", "MEET", "127.0.0.1", servers[0].port)
    harness.wait_until(lambda: all(b"cluster_state:ok" in s.raw("CLUSTER", "INFO") and
                                   b"cluster_known_nodes:%d" % size in s.raw("CLUSTER", "INFO") for s in servers),
                       30, "the cluster is whole")
    return servers
