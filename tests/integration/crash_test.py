"""kill -9 of the service in the middle of load, again and again, with the disk tier: after each, every entry that is
served is whole and belongs to its question. Five times in the default suite, 100 in the long one (SAMPLEMIND_TEST_LONG)."""
import os
import random
import threading
import time
import unittest

import harness

ROUNDS = 100 if os.environ.get("SAMPLEMIND_TEST_LONG") else 5


class Crash(harness.Case):
    def test_every_served_entry_is_whole_after_each_kill(self):
        provider = self.provider()
        home = self.home(provider)
        home.config("[cache]\nmemory = \"1MiB\"\ndisk = \"64MiB\"\n")
        rng = random.Random(7)
        asked, wrong, hits, misses, from_disk, number = [], [], 0, 0, 0, 0
        for round_ in range(ROUNDS):
            service = self.service(home, "--no-demo")
            # What was asked before any of the kills: whole and right, or not there.
            for text, stream in rng.sample(asked, min(len(asked), 60)):
                a = harness.request(service.url + "/v1/chat/completions",
                                    {"model": "openai/fake-small", "stream": stream, "messages": [{"role": "user", "content": text}]},
                                    {"Cache-Control": "only-if-cached"})
                if a.status == 504:
                    misses += 1
                    continue
                hits += 1
                from_disk += a.headers["x-samplemind-cache"] == "hit-disk"
                body = a.body.decode()
                whole = ("data: [DONE]" in body) if stream else body.rstrip().endswith("}")
                if a.status != 200 or not whole or harness.token_of(text) not in body:
                    wrong.append((round_, text, a.status, body[:200]))
            stop, lock = threading.Event(), threading.Lock()

            def load(seed, stop=stop, lock=lock, service=service):
                nonlocal number
                own = random.Random(seed)
                while not stop.is_set():
                    with lock:
                        number += 1
                        text = f"round {round_} question {number} " + "x" * own.randrange(3000)
                    try:
                        a = service.chat(text, stream=False)
                        if a.status == 200:
                            asked.append((text, own.random() < 0.5))
                    except OSError:
                        pass  # killed meanwhile
            threads = [threading.Thread(target=load, args=(round_ * 10 + i,)) for i in range(3)]
            for t in threads:
                t.start()
            time.sleep(rng.uniform(0.4, 1.2))
            service.kill()
            stop.set()
            for t in threads:
                t.join()
        service = self.service(home, "--no-demo")
        stats = harness.request(service.url + "/api/v1/cache/stats").json()
        self.assertEqual(wrong[:3], [])
        self.assertEqual(stats["disk_damaged"], 0, stats)
        self.assertGreater(from_disk, 0, "some must have survived")
        self.assertGreater(stats["disk_entries"], 0)
        print(f"{ROUNDS} kills: {len(asked)} answers given, {hits} found again ({from_disk} on disk), {misses} not written in "
              f"time, {stats['disk_entries']} entries", flush=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
