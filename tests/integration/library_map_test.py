"""The map of the library over the API and as a command: complete, the same again, unmoved by what is added."""
import unittest
import xml.dom.minidom

from harness import Case, request, write_tone


class Map(Case):
    def test_places_stay_and_a_refit_moves_them(self):
        home = self.home()
        for i in range(30):
            write_tone(home.root / f"sounds/Tone_{i}.wav", 0.2 + i % 7 / 10, 80 * 1.12 ** i)
        self.assertEqual(home.run("map").stdout, "The library is empty. samplemind scan ~/Samples fills it.\n")
        self.assertEqual(home.run("scan", home.root / "sounds").returncode, 0)
        service = self.service(home, "--no-demo")

        def places(query=""):
            got = request(service.url + "/api/v1/library/map" + query)
            self.assertEqual(got.status, 200, got.body)
            m = got.json()
            n = len(m["ids"])
            self.assertEqual([len(m[k]) for k in ("x", "y", "kind")], [n] * 3)
            self.assertEqual(len(m["hues"]), len(m["kinds"]))
            self.assertTrue(all(0 <= v <= m["side"] for v in m["x"] + m["y"]))
            return m, {i: (x, y) for i, x, y in zip(m["ids"], m["x"], m["y"])}

        first, before = places()
        self.assertEqual(first["total"], 30)
        self.assertEqual(len(set(before.values())), 30)
        for i in range(40):
            write_tone(home.root / f"sounds/More_{i}.wav", 0.3, 100 * 1.1 ** i, clicks_bpm=90 + 3 * i)
        self.assertEqual(home.run("scan", home.root / "sounds").returncode, 0)
        _, after = places()
        self.assertEqual(len(after), 70)
        self.assertEqual({i: after[i] for i in before}, before)
        _, some = places("?q=more")
        self.assertEqual(some, {i: at for i, at in after.items() if i not in before})
        self.assertEqual(request(service.url + "/api/v1/library/map?q=bpm:fast").status, 400)
        self.assertEqual(request(service.url + "/api/v1/library/map?hue=1").status, 400)

        # The command sees the same, and after a start of the service too.
        service.stop()
        self.assertEqual(home.lines("map", "--json")[0]["ids"], sorted(after))
        svg = home.root / "map.svg"
        self.assertEqual(home.run("map", "more", "--svg", svg).returncode, 0)
        dots = xml.dom.minidom.parse(str(svg)).getElementsByTagName("path")
        self.assertEqual(sum(p.getAttribute("d").count("M") for p in dots), 40)
        again = self.service(home, "--no-demo")
        service.url = again.url
        self.assertEqual(places()[1], after)
        moved = request(again.url + "/api/v1/library/map/refit", {})
        self.assertEqual((moved.status, moved.json()["laid_out_sounds"]), (200, 70))
        self.assertNotEqual(places()[1], after)


if __name__ == "__main__":
    unittest.main()
