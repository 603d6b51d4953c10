"""The page in a real browser: the map (dots, pointer, keys, search, many at once, narrow and dark) and words for a sound."""
import json
import sys
import unittest

import browser
from harness import Case, request, write_tone


class Page(Case):
    def setUp(self):
        self.fake = self.provider()
        self.home_ = self.home(self.fake)
        for i in range(24):
            write_tone(self.home_.root / f"sounds/{'Kick' if i % 2 else 'Pad'}_{i}.wav", 0.25 + i % 5 / 10, 70 * 1.13 ** i)

    def open(self, path="/", **kw):
        b = browser.Browser(**kw)
        self.addCleanup(b.close)
        b.open(self.service_.url + path)
        return b

    def way(self, b):
        """An arrow key that leads from the chosen dot to another."""
        return b.js("(() => { const m = map.shown, i = m.ids.indexOf(map.chosen);"
                    "for (const [key, dx, dy] of [['ArrowRight', 1, 0], ['ArrowLeft', -1, 0], ['ArrowUp', 0, -1], ['ArrowDown', 0, 1]])"
                    "if (m.x.some((_, k) => { const x = m.x[k] - m.x[i], y = m.y[k] - m.y[i], along = x * dx + y * dy;"
                    "return along > 100 && Math.abs(x * dy - y * dx) < along })) return key })()")

    def test_map(self):
        self.service_ = self.service(self.home_, "--no-demo")
        b = self.open("/?view=map")
        b.until("!document.getElementById('mapEmpty').hidden")
        self.assertIn("The library is empty", b.js("document.getElementById('mapEmpty').textContent"))
        self.assertEqual(self.home_.run("scan", self.home_.root / "sounds").returncode, 0)
        b.open(self.service_.url + "/")
        b.js("document.getElementById('asMap').click()")
        b.until("map.shown && map.shown.ids.length === 24")
        self.assertIn("view=map", b.until("location.search"))

        # Pointing tells the name, a click chooses and plays.
        spot = b.js("(() => { const r = document.getElementById('dots').getBoundingClientRect();"
                    "return [r.x + map.px(map.shown, 3), r.y + map.py(map.shown, 3), map.shown.ids[3]] })()")
        name = request(f"{self.service_.url}/api/v1/samples/{spot[2]}").json()["name"]
        b.mouse("mouseMoved", spot[0], spot[1])
        b.until("!document.getElementById('tip').hidden")
        self.assertIn(name, b.js("document.getElementById('tip').textContent"))
        b.click(spot[0], spot[1])
        b.until(f"document.getElementById('title').textContent === {name!r}")
        b.until("player.audio.src && (!player.audio.paused || player.audio.currentTime > 0 || player.audio.ended)")

        # Drawn: the canvas holds the kinds' colours.
        self.assertGreater(b.js("(() => { const c = document.getElementById('dots'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height)"
                                ".data; let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 100; return n })()"), 300)

        # Keys: another sound, nearer, all again.
        b.js("document.getElementById('dots').focus()")
        b.key(self.way(b))
        b.until(f"map.chosen !== {spot[2]} && document.getElementById('title').textContent !== {name!r}")
        scale = b.js("map.scale")
        b.key("+", "+")
        self.assertGreater(b.js("map.scale"), scale)
        b.key("0", "0")
        self.assertAlmostEqual(b.js("map.scale"), scale)
        b.mouse("mouseWheel", spot[0], spot[1], deltaX=0, deltaY=-200)
        b.until(f"map.scale > {scale}")

        # A search narrows it; places stay, and the rest is still there, pale.
        before = b.js("map.all.x")
        b.js("field('q').value = 'pad'; changed(0)")
        b.until("map.shown !== map.all && map.shown.ids.length === 12")
        self.assertEqual(b.js("map.all.x"), before)
        b.js("document.querySelector('#legend button').click()")
        self.assertEqual(b.js("document.querySelectorAll('#legend [aria-pressed=true]').length"), 1)
        b.js("field('q').value = 'nothing-is-called-so'; changed(0)")
        b.until("!document.getElementById('mapEmpty').hidden")
        b.js("document.querySelector('#mapEmpty button').click()")
        b.until("map.shown === map.all")
        b.js("window.confirm = () => true; document.getElementById('refit').click()")
        b.until("map.all.laid_out_sounds === 24 && !document.getElementById('mapState').textContent")
        self.assertEqual(b.problems, [])

        # As narrow as a phone, and dark: nothing is wider than the window.
        n = self.open("/?view=map", width=390, height=844, dark=True)
        n.until("map.shown && map.shown.ids.length === 24")
        self.assertEqual(n.js("document.documentElement.scrollWidth"), 390)
        self.assertGreater(n.js("document.getElementById('dots').clientHeight"), 250)
        self.assertEqual(n.problems, [])

    def test_many_at_once(self):
        self.assertEqual(self.home_.run("scan", self.home_.root / "sounds").returncode, 0)
        self.service_ = self.service(self.home_, "--no-demo")

        def found(query):
            return {s["id"] for s in request(f"{self.service_.url}/api/v1/samples?q={query}").json()["samples"]}

        b = self.open("/?view=map")
        b.until("map.shown && map.shown.ids.length === 24")
        self.assertTrue(b.js("document.getElementById('choice').hidden"))
        # A loop with shift held, around what lies left of the middle of the dots.
        spots = b.js("(() => { const r = document.getElementById('dots').getBoundingClientRect();"
                     "return map.shown.ids.map((id, i) => [id, r.x + map.px(map.shown, i), r.y + map.py(map.shown, i)]) })()")
        xs = sorted(x for _, x, _ in spots)
        middle = (xs[11] + xs[12]) / 2
        box = b.js("(() => { const r = document.getElementById('dots').getBoundingClientRect(); return [r.x, r.y, r.right, r.bottom] })()")
        corners = [(box[0] + 2, box[1] + 2), (middle, box[1] + 2), (middle, box[3] - 2), (box[0] + 2, box[3] - 2)]
        inside = {i for i, x, _ in spots if x < middle}
        self.assertEqual(len(inside), 12)

        def loop(corners, modifiers=0):
            b.mouse("mousePressed", *corners[0], button="left", clickCount=1, modifiers=modifiers)
            for x, y in corners[1:]:
                b.mouse("mouseMoved", x, y, button="left", modifiers=modifiers)
            b.mouse("mouseReleased", *corners[-1], button="left", clickCount=1, modifiers=modifiers)

        before = b.js("[map.x, map.y]")
        loop(corners, modifiers=8)
        self.assertEqual(set(b.until("choice.ids.size && [...choice.ids]")), inside)
        self.assertEqual(b.js("[map.x, map.y]"), before, "the map was not dragged")
        self.assertIn("12 chosen", b.js("document.getElementById('choiceCount').textContent"))

        def submit(form, name, value):
            b.js(f"(() => {{ const f = document.getElementById('{form}'); f.elements.namedItem('{name}').value = '{value}'; f.requestSubmit() }})()")

        submit("choiceTag", "tag", "left")
        b.until("document.getElementById('choiceState').textContent.includes('12 changed')")
        self.assertEqual(found("tag:left"), inside)
        b.js("document.getElementById('choiceUndo').click()")
        b.until("document.getElementById('choiceState').textContent.startsWith('Taken back')")
        self.assertEqual(found("tag:left"), set())
        submit("choiceCollect", "collection", "My kit")
        b.until("document.getElementById('choiceState').textContent.includes('12 added')")
        self.assertEqual(found("in:%22My%20kit%22"), inside)
        b.js("(() => { const make = URL.createObjectURL; URL.createObjectURL = (blob) => make.call(URL, (window.saved = blob)) })()")
        submit("choiceExport", "format", "json")
        b.until("document.getElementById('choiceState').textContent.includes('12 sounds')")
        self.assertEqual({s["id"] for s in json.loads(b.js("saved.text()"))}, inside)

        # The button's loop takes the place of what was chosen, with alt it takes away; a kind alone is chosen.
        b.js("document.getElementById('lasso').click()")
        loop([(box[2] - 2, box[1] + 2), (middle, box[1] + 2), (middle, box[3] - 2), (box[2] - 2, box[3] - 2)])
        self.assertEqual(set(b.js("[...choice.ids]")), {i for i, _, _ in spots} - inside)
        loop([(box[0] + 2, box[1] + 2), (box[2] - 2, box[1] + 2), (box[2] - 2, box[3] - 2), (box[0] + 2, box[3] - 2)], modifiers=1)
        b.until("choice.ids.size === 0 && document.getElementById('choice').hidden")

        # Keys alone: all in view, none, one, and another going on; a search takes away what it does not show.
        b.js("document.getElementById('dots').focus()")
        b.key("a", "a")
        b.until("choice.ids.size === 24")
        b.js("field('q').value = 'pad'; changed(0)")
        b.until("map.shown.ids.length === 12 && choice.ids.size === 12")
        b.key("Escape")
        b.until("choice.ids.size === 0")
        b.key("ArrowRight")
        b.until("map.chosen !== null")
        b.key("x", "x")
        b.until("choice.ids.size === 1 && choice.ids.has(map.chosen)")
        b.call("Input.dispatchKeyEvent", type="keyDown", key=self.way(b), modifiers=8)
        b.until("choice.ids.size === 2 && choice.ids.has(map.chosen)")
        b.js("document.getElementById('choiceFavourite').click()")
        b.until("document.getElementById('choiceState').textContent.includes('2 changed')")
        self.assertEqual(len(found("is:favourite")), 2)
        self.assertEqual(b.problems, [])
        n = self.open("/?view=map", width=390, height=844)
        n.until("map.shown && map.shown.ids.length === 24")
        n.js("choice.add(choice.inView())")
        self.assertEqual(n.js("document.documentElement.scrollWidth"), 390)
        self.assertEqual(n.problems, [])

    def test_words_for_a_sound(self):
        self.assertEqual(self.home_.run("scan", self.home_.root / "sounds").returncode, 0)
        self.service_ = self.service(self.home_, "--no-demo")
        # No model reads it: the scripted provider answers no interpretation, and the vocabulary is said to have.
        self.fake.script("say", path="/v1/chat/completions", times=50, text="I cannot do that.")
        b = self.open("/?by=sound&q=bright+short+kick")
        b.until("!document.getElementById('taken').hidden && document.querySelector('#aims input')")
        self.assertEqual(b.js("document.getElementById('takenQuery').value"), "kind:kick")
        self.assertIn("built-in vocabulary", b.js("document.getElementById('takenNote').textContent"))
        self.assertIn("brightness", b.js("Object.keys(sound.taken.aims)"))
        first = b.js("state.samples.map((s) => s.id)")
        # The other way round by its slider: the order turns, and nobody is asked.
        asked = len(self.fake.log())
        b.js("(() => { for (const s of document.querySelectorAll('#aims input')) { s.value = 1 - s.value; s.dispatchEvent(new Event('input')) } })()")
        b.until(f"JSON.stringify(state.samples.map((s) => s.id)) !== {str(first).replace(' ', '')!r}")
        self.assertEqual(sorted(b.js("state.samples.map((s) => s.id)")), sorted(first))
        b.js("document.getElementById('takenQuery').value = 'kind:pad'; document.getElementById('takenQuery').dispatchEvent(new Event('input'))")
        b.until("state.samples.length === 12 && state.samples.every((s) => s.name.startsWith('Pad'))")
        b.js("document.querySelector('#aims .away').click()")
        b.until("sound.loading === null && document.querySelectorAll('#aims li').length === Object.keys(sound.taken.aims).length")
        self.assertEqual(len(self.fake.log()), asked)
        # The map shows what was found.
        b.js("document.getElementById('asMap').click()")
        b.until("map.shown && map.shown.ids.length === 12")
        b.js("document.getElementById('bySound').click(); field('q').value = ''; changed(0)")
        b.until("document.getElementById('taken').hidden && state.samples.length === 24")
        self.assertEqual(b.problems, [])


if __name__ == "__main__":
    if not browser.CHROMIUM:
        print("skipped: no chromium here (apt-get install chromium)", file=sys.stderr)
        sys.exit(77)
    unittest.main()
