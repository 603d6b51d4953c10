// Many sounds of the map chosen at once: by a loop drawn around them, or by keys; then a tag, a
// collection or a file for all of them. Uses page.js and map.js.
"use strict";

const POINT_PX = 3; // a loop has a corner each so many pixels
const CHOSEN_MAX = 100000; // as many as the service takes at once

const choice = {
  ids: new Set(), // of what the map shows
  loops: false, // dragging draws a loop, as it does with shift held
  drawing: null, // the loop so far: [{x, y}] on the canvas
  how: "", // what the loop does with what it holds: "set", "add", "take"
  layers: null, // what layer() made last
  journal: null, // the last change, to be taken back
  names: false, // whether tags and collections were read

  get open() { return !$("choice").hidden; },

  // ---- the loop ----

  begin(at, event) {
    this.drawing = [at];
    this.how = event.altKey ? "take" : event.shiftKey ? "add" : "set";
    $("tip").hidden = true;
  },
  draw(at) {
    const last = this.drawing.at(-1);
    if (Math.hypot(at.x - last.x, at.y - last.y) < POINT_PX) return;
    this.drawing.push(at);
    map.redraw();
  },
  drop() {
    if (!this.drawing) return;
    this.drawing = null;
    map.redraw();
  },
  end() {
    const loop = this.drawing;
    this.drawing = null;
    const ids = loop.length < 3 || !map.shown ? [] : this.within(loop);
    if (this.how === "set") this.ids.clear();
    for (const id of ids) this.how === "take" ? this.ids.delete(id) : this.ids.add(id);
    this.changed();
  },
  // The sounds whose dots lie inside; where the loop crosses itself, the even-odd rule.
  within(loop) {
    const xs = loop.map((p) => p.x), ys = loop.map((p) => p.y);
    const left = Math.min(...xs), right = Math.max(...xs), top = Math.min(...ys), bottom = Math.max(...ys);
    return this.dots((x, y) => {
      if (x < left || x > right || y < top || y > bottom) return false;
      let inside = false;
      for (let a = 0, b = loop.length - 1; a < loop.length; b = a++) {
        if (ys[a] > y !== ys[b] > y && x < ((xs[b] - xs[a]) * (y - ys[a])) / (ys[b] - ys[a]) + xs[a]) inside = !inside;
      }
      return inside;
    });
  },
  inView() {
    const w = $("dots").clientWidth, h = $("dots").clientHeight;
    return this.dots((x, y) => x >= 0 && y >= 0 && x <= w && y <= h);
  },
  // Of what the search finds and, where one is picked, of the kind.
  dots(fits) {
    const m = map.shown, ids = [];
    for (let i = 0; m && i < m.ids.length; ++i) {
      if (map.kind !== null && m.kinds[m.kind[i]] !== map.kind) continue;
      if (fits(map.px(m, i), map.py(m, i))) ids.push(m.ids[i]);
    }
    return ids;
  },
  drawLoop(g, value) {
    if (!this.drawing) return;
    g.beginPath();
    for (const p of this.drawing) g.lineTo(p.x, p.y);
    g.closePath();
    g.globalAlpha = 0.15;
    g.fillStyle = value("--accent");
    g.fill("evenodd");
    g.globalAlpha = 1;
    g.lineWidth = 1.5;
    g.strokeStyle = value("--accentText");
    g.stroke();
  },
  // The chosen dots alone, for drawing them above the others.
  layer(m) {
    if (this.layers?.of !== m) {
      const byKind = m.byKind.map((list) => list.filter((i) => this.ids.has(m.ids[i])));
      this.layers = { ...m, byKind, of: m };
    }
    return this.layers;
  },

  // ---- the choice ----

  add(ids) {
    for (const id of ids) this.ids.add(id);
    this.changed();
  },
  toggle(ids) {
    for (const id of ids) if (!this.ids.delete(id)) this.ids.add(id);
    this.changed();
  },
  none() {
    if ($("choice").contains(document.activeElement)) $("dots").focus();
    this.ids = new Set();
    this.changed();
  },
  // What the map no longer shows is no longer chosen.
  keep() {
    if (this.ids.size === 0) return;
    const there = new Set(map.shown.ids);
    this.ids = new Set([...this.ids].filter((id) => there.has(id)));
    this.changed(true);
  },
  // `same`: after a change of these sounds, which its word stays for.
  changed(same = false) {
    if (!same) this.tell("", null);
    this.layers = null;
    const n = this.ids.size;
    $("choiceCount").textContent = `${n.toLocaleString()} chosen`;
    $("choice").hidden = n === 0 && !$("choiceState").textContent;
    for (const button of $("choice").querySelectorAll("form button, #choiceFavourite")) button.disabled = n === 0;
    if (n > 0 && !this.names) this.suggest();
    map.redraw();
  },
  tell(text, journal) {
    $("choiceState").textContent = text;
    this.journal = journal ?? null;
    $("choiceUndo").hidden = this.journal === null;
  },

  // ---- what is done with it ----

  async suggest() {
    this.names = true;
    try {
      const [tags, collections] = await Promise.all([json("/api/v1/tags"), json("/api/v1/collections")]);
      $("tagNames").replaceChildren(...tags.tags.map((t) => el("option", { value: t.tag })));
      $("collectionNames").replaceChildren(...collections.collections.filter((c) => !c.smart).map((c) => el("option", { value: c.name })));
    } catch {
      this.names = false; // without suggestions, until the next time
    }
  },
  // `work` gives what to say and the change's number in the journal.
  async carryOut(work) {
    if (this.ids.size > CHOSEN_MAX) return this.tell(`At most ${CHOSEN_MAX.toLocaleString()} at once.`);
    for (const button of $("choice").querySelectorAll("button")) button.disabled = true;
    try {
      const { text, journal } = await work([...this.ids]);
      this.tell(text, journal);
      if (journal) this.renew();
    } catch (error) {
      this.tell(error.message + (error.hint ? ` (${error.hint})` : ""));
    } finally {
      for (const button of $("choice").querySelectorAll("button")) button.disabled = false;
      this.changed(true);
    }
  },
  // Lists and maps may show what was changed.
  renew() {
    this.names = false;
    map.known.clear();
    map.query = null;
    load();
  },
  edit(change, done) {
    return this.carryOut(async (ids) => {
      const report = await json("/api/v1/edits", { method: "POST", body: JSON.stringify({ ids, change }) });
      return { text: `${done}: ${report.changed.toLocaleString()} changed.`, journal: report.journal_id };
    });
  },
  collect(name) {
    return this.carryOut(async (ids) => {
      const { collections } = await json("/api/v1/collections");
      if (!collections.some((c) => c.name.toLowerCase() === name.toLowerCase())) {
        await api("/api/v1/collections", { method: "POST", body: JSON.stringify({ name }) });
      }
      const report = await json(`/api/v1/collections/${encodeURIComponent(name)}/samples`, { method: "POST", body: JSON.stringify({ add: ids }) });
      return { text: `${name}: ${report.changed.toLocaleString()} added.`, journal: report.journal_id };
    });
  },
  export(format) {
    return this.carryOut(async (ids) => {
      const response = await api("/api/v1/library/export", { method: "POST", body: JSON.stringify({ format, ids }) });
      const name = response.headers.get("content-disposition")?.match(/filename="([^"]+)"/)?.[1] ?? "samplemind." + format;
      const url = URL.createObjectURL(await response.blob());
      el("a", { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60000);
      return { text: `${name}: ${ids.length.toLocaleString()} sounds.` };
    });
  },
};

const submitted = (id, name, act) => {
  $(id).onsubmit = (event) => {
    event.preventDefault();
    const value = $(id).elements.namedItem(name).value.trim();
    if (value) act(value);
  };
};
submitted("choiceTag", "tag", (tag) => choice.edit({ tags_add: [tag] }, `Tag ${tag}`));
submitted("choiceCollect", "collection", (name) => choice.collect(name));
submitted("choiceExport", "format", (format) => choice.export(format));
$("choiceFavourite").onclick = () => choice.edit({ favourite: true }, "Favourites");
$("choiceNone").onclick = () => choice.none();
$("choiceUndo").onclick = () =>
  choice.carryOut(async () => {
    const undone = await json("/api/v1/journal/undo", { method: "POST", body: JSON.stringify({ id: choice.journal }) });
    choice.renew();
    return { text: `Taken back: ${undone.what}.` };
  });
$("choice").onkeydown = (event) => {
  if (event.key === "Escape") choice.none();
};
$("lasso").onclick = () => {
  choice.loops = !choice.loops;
  $("lasso").setAttribute("aria-pressed", String(choice.loops));
};
