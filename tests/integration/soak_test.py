"""Many requests, one in ten meeting a fault of the provider (delay, stall, cut, reset, 429, 500, malformed): each answer
carries the token of its own question, a cut one is never taken for whole, memory is flat after warm-up, no connection
leaks. 2,000 requests in the default suite, a million in the long one (SAMPLEMIND_TEST_LONG; SAMPLEMIND_SOAK sets another
number)."""
import json
import os
import random
import socket
import threading
import time
import unittest

import harness

LONG = bool(os.environ.get("SAMPLEMIND_TEST_LONG"))
TOTAL = int(os.environ.get("SAMPLEMIND_SOAK", 1_000_000 if LONG else 2_000))
CLIENTS = 48 if LONG else 8  # most of the time of a request that meets a fault is waiting
# Faults by their names at the provider, and whether a client may see an error after all tries.
FAULTS = {"s07-ms30": False, "s09-ms2000": True, "s08-x1": True, "s05-x1": False, "s05-x9": True, "s02-x9": True,
          "s03-x1": False, "s03-x9": True, "s10-x1": True, "s10-x9": True, "s11-x9": True}


class Connection:
    """HTTP/1.1 with as little as this needs: kept alive, Content-Length or chunks."""

    def __init__(self, port):
        self.port, self.socket, self.rest = port, None, b""

    def ask(self, body):
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=60)
            self.rest = b""
        text = json.dumps(body).encode()
        self.socket.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                            b"content-length: %d\r\n\r\n" % len(text) + text)
        head = self._until(b"\r\n\r\n").decode().lower()
        status = int(head.split(" ", 2)[1])
        if "transfer-encoding: chunked" in head:
            data = b""
            while size := int(self._until(b"\r\n"), 16):
                data += self._take(size + 2)[:-2]
            self._take(2)
        else:
            data = self._take(int(head.split("content-length: ")[1].split("\r")[0]))
        if "connection: close" in head:
            self.close()
        return status, head, data.decode()

    def _until(self, mark):
        while (at := self.rest.find(mark)) < 0:
            self._more()
        got, self.rest = self.rest[:at + len(mark)], self.rest[at + len(mark):]
        return got

    def _take(self, n):
        while len(self.rest) < n:
            self._more()
        got, self.rest = self.rest[:n], self.rest[n:]
        return got

    def _more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("the service closed the connection in the middle of an answer")
        self.rest += piece

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None


class Soak(harness.Case):
    def test_soak(self):
        provider = self.provider()
        home = self.home(provider)
        home.config('[cache]\nmemory = "8MiB"\ndisk = "32MiB"\n[ai]\nbackoff = "5ms"\nidle_timeout = "' + ("1s" if LONG else "400ms") + '"\n'
                    'total_timeout = "20s"\n[ai.openai]\nfirst_byte_timeout = "2s"\n')
        service = self.service(home, "--no-demo", "--log-level", "error")
        pid = service.process.pid
        done, problems, states, statuses, faults = [0], [], {}, {}, [0]
        lock = threading.Lock()
        samples = []
        warm_up = max(TOTAL // 5, 500)

        def rss():
            with open(f"/proc/{pid}/statm") as f:
                return int(f.read().split()[1]) * 4096

        def files():
            return len(os.listdir(f"/proc/{pid}/fd"))

        def client(me):
            rng, connection, n = random.Random(me), Connection(service.port), 0
            while True:
                with lock:
                    if done[0] >= TOTAL or len(problems) > 20:
                        break
                    done[0] += 1
                    number = done[0]
                n += 1
                # Half are asked again and again, half are new.
                text = f"question {rng.randrange(400) if rng.random() < 0.5 else f'{me}-{n}'}"
                model, may_fail = "openai/fake-small", False
                if rng.random() < 0.1:
                    fault = rng.choice(list(FAULTS))
                    may_fail = FAULTS[fault]
                    model = f"openai/fault-{fault}-n{me}-{n}"
                    with lock:
                        faults[0] += 1
                stream = rng.random() < 0.4
                body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
                try:
                    status, head, data = connection.ask(body)
                except (OSError, ValueError) as e:
                    problems.append((model, text, repr(e)))
                    connection.close()
                    continue
                whole = ("data: [DONE]" in data and '"error"' not in data) if stream and status == 200 else status == 200
                told = status != 200 or whole or '"error"' in data
                with lock:
                    statuses[status] = statuses.get(status, 0) + 1
                    state = head.split("x-samplemind-cache: ")[1].split("\r")[0] if "x-samplemind-cache: " in head else None
                    states[state] = states.get(state, 0) + 1
                    if number == warm_up or number % max(TOTAL // 20, 1) == 0:
                        samples.append((number, rss()))
                if not told:
                    problems.append((model, text, "cut without a word", data[-300:]))
                if whole and harness.token_of(text) not in data:
                    problems.append((model, text, "not its own answer", data[:300]))
                if not whole and not may_fail:
                    problems.append((model, text, f"status {status}", data[-300:]))
            connection.close()

        before = files()
        begin = time.monotonic()
        threads = [threading.Thread(target=client, args=(i,)) for i in range(CLIENTS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        took = time.monotonic() - begin
        self.assertEqual(problems[:3], [])

        def settled():
            p = harness.request(service.url + "/api/v1/profile").json()
            return p if p["connections"] <= 2 and p["requests_running"] <= 1 and p["upstream_connections"] <= 50 else None
        profile = harness.wait_until(settled, 20, "connections are closed")
        # What may stay: kept connections to the provider, as many as it says.
        self.assertLessEqual(files(), before + profile["upstream_connections"] + 8)
        warm = next(r for n, r in samples if n >= warm_up)
        last = samples[-1][1]
        if not os.environ.get("SAMPLEMIND_SANITIZED"):  # sanitizers keep what was freed
            self.assertLess(last, warm * 1.1 + (16 << 20), samples)
        print(f"soak: {TOTAL} requests, {faults[0]} with a fault, {TOTAL / took:.0f}/s, {statuses}, {states}; memory "
              f"{warm >> 20} MiB after {warm_up}, {last >> 20} MiB at the end, most {max(r for _, r in samples) >> 20}; "
              f"files {before} before, {files()} after", flush=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
