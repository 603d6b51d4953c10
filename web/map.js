// The map: every sound a dot on a plane where those that sound alike are neighbours. Uses page.js; choice.js: choosing many.
"use strict";

const NEAR_PX = 14; // so far from a dot the pointer still means it
const CELLS = 96; // the grid that dots are looked up by, a side
const HOVER_MS = 90;
const DARK = matchMedia("(prefers-color-scheme: dark)");

const map = {
  all: null, // the whole library
  shown: null, // what the search finds, or all
  query: null, // that `shown` is of
  sounds: -1, // that the library had when `all` was read
  loading: null,
  scale: 0, x: 0, y: 0, // pixels of the map's side; where its middle lies on the canvas
  hover: -1, chosen: null, kind: null,
  colours: new Map(), // CSS -> pixel
  known: new Map(), // id -> the sound's facts, the last thousand
  moved: false, // by the user: then it stays when the window changes
  frame: 0, timer: 0,

  get on() { return document.body.dataset.view === "map"; },

  show(on) {
    if (on) document.body.dataset.view = "map";
    else delete document.body.dataset.view;
    $("asMap").setAttribute("aria-pressed", String(on));
    $("asList").setAttribute("aria-pressed", String(!on));
    $("map").hidden = !on;
    $("list").hidden = on;
    if (on) this.refresh();
  },

  // Reads what is needed for the search as it stands.
  async refresh(anew = false) {
    if (!this.on) return;
    const p = parameters();
    p.delete("sort");
    const words = sound.on && sound.taken !== null;
    const query = words ? "by=sound" : p.toString();
    const sounds = library?.samples ?? -1;
    const old = anew || !this.all || this.sounds !== sounds;
    if (!old && !words && query === this.query) return this.draw();
    this.loading?.abort();
    const abort = (this.loading = new AbortController());
    const late = setTimeout(() => this.tell("Laying out the map…"), 300);
    try {
      if (old) {
        this.all = this.index(await json("/api/v1/library/map", { signal: abort.signal }));
        this.sounds = sounds;
      }
      this.shown = words ? this.part(new Set(state.samples.map((s) => s.id))) : query ? this.index(await json("/api/v1/library/map?" + query, { signal: abort.signal })) : this.all;
      this.query = query;
      this.hover = -1;
      choice.keep();
      this.legend();
      this.foot();
      if (!this.moved) this.fit();
      this.tell("");
    } catch (error) {
      if (error.name === "AbortError") return;
      this.tell(error.message + (error.hint ? ` (${error.hint})` : ""));
    } finally {
      clearTimeout(late);
      if (this.loading === abort) this.loading = null;
    }
    this.draw();
  },

  // Dots by cell, for finding what lies under the pointer; the order of dots by kind, for drawing.
  index(m) {
    const n = m.ids.length, cell = (i) => Math.min(CELLS - 1, Math.floor((m.x[i] / (m.side + 1)) * CELLS)) + CELLS * Math.min(CELLS - 1, Math.floor((m.y[i] / (m.side + 1)) * CELLS));
    m.first = new Uint32Array(CELLS * CELLS + 1);
    for (let i = 0; i < n; ++i) ++m.first[cell(i) + 1];
    for (let c = 0; c < CELLS * CELLS; ++c) m.first[c + 1] += m.first[c];
    m.inCell = new Uint32Array(n);
    const next = m.first.slice();
    for (let i = 0; i < n; ++i) m.inCell[next[cell(i)]++] = i;
    m.byKind = m.kinds.map(() => []);
    for (let i = 0; i < n; ++i) m.byKind[m.kind[i]].push(i);
    return m;
  },

  // Only these of the whole.
  part(ids) {
    const m = this.all, at = [];
    for (let i = 0; i < m.ids.length; ++i) if (ids.has(m.ids[i])) at.push(i);
    const of = (column) => at.map((i) => m[column][i]);
    return this.index({ ...m, ids: of("ids"), x: of("x"), y: of("y"), kind: of("kind"), total: at.length, clusters: [] });
  },

  tell(text) {
    $("mapState").textContent = text;
    $("mapState").hidden = !text;
  },

  // ---- where things are ----

  px(m, i) { return this.x + (m.x[i] / m.side - 0.5) * this.scale; },
  py(m, i) { return this.y + (m.y[i] / m.side - 0.5) * this.scale; },
  fit() {
    const w = $("dots").clientWidth, h = $("dots").clientHeight;
    this.scale = Math.max(100, Math.min(w, h) - 24);
    this.x = w / 2;
    this.y = h / 2;
    this.moved = false;
    this.redraw();
  },
  zoom(factor, cx = $("dots").clientWidth / 2, cy = $("dots").clientHeight / 2) {
    const to = Math.max(80, Math.min(200000, this.scale * factor)), f = to / this.scale;
    this.x = cx + (this.x - cx) * f;
    this.y = cy + (this.y - cy) * f;
    this.scale = to;
    this.moved = true;
    this.redraw();
  },
  // The dot nearest to a place on the canvas, or -1.
  at(cx, cy) {
    const m = this.shown;
    if (!m) return -1;
    const cellOf = (v, middle) => Math.floor(((v - middle) / this.scale + 0.5) * CELLS);
    let best = -1, nearest = NEAR_PX * NEAR_PX;
    for (let gy = Math.max(0, cellOf(cy - NEAR_PX, this.y)); gy <= Math.min(CELLS - 1, cellOf(cy + NEAR_PX, this.y)); ++gy) {
      for (let gx = Math.max(0, cellOf(cx - NEAR_PX, this.x)); gx <= Math.min(CELLS - 1, cellOf(cx + NEAR_PX, this.x)); ++gx) {
        for (let k = m.first[gy * CELLS + gx]; k < m.first[gy * CELLS + gx + 1]; ++k) {
          const i = m.inCell[k];
          if (this.kind !== null && m.kinds[m.kind[i]] !== this.kind) continue;
          const far = (this.px(m, i) - cx) ** 2 + (this.py(m, i) - cy) ** 2;
          if (far < nearest) [nearest, best] = [far, i];
        }
      }
    }
    return best;
  },

  // ---- drawing ----

  redraw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  },
  colour(m, k) {
    const light = DARK.matches ? 60 : 45;
    return m.hues[k] < 0 ? `hsl(240 5% ${light + 8}%)` : `hsl(${m.hues[k]} 62% ${light}%)`;
  },
  dots(g, m, colourOf, size) {
    const w = $("dots").clientWidth, h = $("dots").clientHeight;
    for (let k = 0; k < m.kinds.length; ++k) {
      if (m.byKind[k].length === 0) continue;
      g.fillStyle = colourOf(k);
      g.beginPath();
      for (const i of m.byKind[k]) {
        const x = this.px(m, i), y = this.py(m, i);
        if (x < -size || y < -size || x > w + size || y > h + size) continue;
        g.moveTo(x + size / 2, y);
        g.arc(x, y, size / 2, 0, 7);
      }
      g.fill();
    }
  },
  // Many small dots: written as pixels, some ten times as quick as drawn squares.
  pixels(g, layers, size, ratio) {
    const w = g.canvas.width, h = g.canvas.height;
    const image = g.createImageData(w, h), data = new Uint32Array(image.data.buffer);
    for (const { m, colourOf, larger } of layers) {
      const side = Math.max(1, Math.round((size + (larger ?? 0)) * ratio));
      for (let k = 0; k < m.kinds.length; ++k) {
        if (m.byKind[k].length === 0) continue;
        const colour = this.pixel(colourOf(k));
        for (const i of m.byKind[k]) {
          const left = Math.round(this.px(m, i) * ratio - side / 2), top = Math.round(this.py(m, i) * ratio - side / 2);
          if (left < 0 || top < 0 || left + side > w || top + side > h) continue;
          for (let y = top; y < top + side; ++y) data.fill(colour, y * w + left, y * w + left + side);
        }
      }
    }
    g.putImageData(image, 0, 0);
  },
  // A colour of CSS as it lies in a canvas.
  pixel(css) {
    let known = this.colours.get(css);
    if (known === undefined) {
      const one = el("canvas", { width: 1, height: 1 }).getContext("2d");
      one.fillStyle = css;
      one.fillRect(0, 0, 1, 1);
      known = new Uint32Array(one.getImageData(0, 0, 1, 1).data.buffer)[0];
      this.colours.set(css, known);
    }
    return known;
  },
  draw() {
    const canvas = $("dots"), m = this.shown, w = canvas.clientWidth, h = canvas.clientHeight, ratio = devicePixelRatio || 1;
    if (!w || !h) return;
    if (canvas.width !== Math.round(w * ratio)) canvas.width = Math.round(w * ratio);
    if (canvas.height !== Math.round(h * ratio)) canvas.height = Math.round(h * ratio);
    const g = canvas.getContext("2d"), style = getComputedStyle(document.documentElement), value = (name) => style.getPropertyValue(name);
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    if (!m) return;
    // As large as leaves room between dots: with the map's side, less the more there are.
    const size = Math.max(1.6, Math.min(9, (0.5 * this.scale) / Math.sqrt(this.all.ids.length + 20)));
    const round = this.all.ids.length < 6000;
    const pale = value("--line"), layers = m === this.all ? [] : [{ m: this.all, colourOf: () => pale }];
    if (this.kind === null) {
      layers.push({ m, colourOf: (k) => this.colour(m, k) });
    } else {
      const k = m.kinds.indexOf(this.kind), alone = (keep) => ({ ...m, byKind: m.byKind.map((list, j) => ((j === k) === keep ? list : [])) });
      layers.push({ m: alone(false), colourOf: () => pale }, { m: alone(true), colourOf: () => this.colour(m, k) });
    }
    if (choice.ids.size > 0) layers.push({ m: choice.layer(m), colourOf: () => value("--text"), larger: 1.5 });
    if (round) {
      g.globalAlpha = 0.85;
      for (const layer of layers) this.dots(g, layer.m, layer.colourOf, size + (layer.larger ?? 0));
      g.globalAlpha = 1;
    } else {
      this.pixels(g, layers, size, ratio);
    }
    this.names(g, m, w, h, value);
    const ring = (i, width) => {
      g.beginPath();
      g.arc(this.px(m, i), this.py(m, i), size / 2 + 3.5, 0, 7);
      g.lineWidth = width + 2;
      g.strokeStyle = value("--panel");
      g.stroke();
      g.lineWidth = width;
      g.strokeStyle = value("--accentText");
      g.stroke();
    };
    if (this.hover >= 0 && this.hover < m.ids.length) ring(this.hover, 1.5);
    const chosen = this.chosen === null ? -1 : m.ids.indexOf(this.chosen);
    if (chosen >= 0) ring(chosen, 3);
    choice.drawLoop(g, value);
  },
  // What the parts are, the largest first, as many as have room.
  names(g, m, w, h, value) {
    const taken = [];
    g.font = "600 13px system-ui, sans-serif";
    g.textAlign = "center";
    g.textBaseline = "middle";
    g.lineJoin = "round";
    for (const c of m.clusters) {
      if (this.kind !== null && c.kind !== this.kind) continue;
      const text = `${c.kind.replace("_", " ")} ${c.of_kind.toLocaleString()}`;
      const x = this.x + (c.x / m.side - 0.5) * this.scale, y = this.y + (c.y / m.side - 0.5) * this.scale, half = g.measureText(text).width / 2 + 6;
      if (x < half || x > w - half || y < 10 || y > h - 10) continue;
      if (taken.some((t) => Math.abs(t.x - x) < t.half + half && Math.abs(t.y - y) < 20)) continue;
      taken.push({ x, y, half });
      g.lineWidth = 4;
      g.strokeStyle = value("--panel");
      g.strokeText(text, x, y);
      g.fillStyle = value("--text");
      g.fillText(text, x, y);
    }
  },

  legend() {
    const m = this.shown, kinds = m.kinds.map((name, k) => ({ name, k, count: m.byKind[k].length })).filter((e) => e.count > 0).sort((a, b) => b.count - a.count);
    if (!kinds.some((e) => e.name === this.kind)) this.kind = null;
    $("legend").replaceChildren(...kinds.map((e) => {
      const dot = el("span", { className: "dot" });
      dot.style.background = this.colour(m, e.k);
      const button = el("button", { type: "button", title: "Only this kind" }, dot, e.name.replace("_", " ") || "no kind", el("small", { textContent: " " + e.count.toLocaleString() }));
      button.setAttribute("aria-pressed", String(this.kind === e.name));
      button.onclick = () => {
        this.kind = this.kind === e.name ? null : e.name;
        for (const b of $("legend").querySelectorAll("button")) b.setAttribute("aria-pressed", String(b === button && this.kind !== null));
        this.draw();
      };
      return el("li", {}, button);
    }));
  },
  foot() {
    const m = this.shown, empty = $("mapEmpty");
    const drawn = m.ids.length < m.total ? `${m.ids.length.toLocaleString()} of ${m.total.toLocaleString()} drawn` : `${m.total.toLocaleString()} sounds`;
    const grown = this.all.total > 4 * m.laid_out_sounds;
    $("mapFoot").textContent = m.total === 0 ? "" : grown ? `${drawn} · laid out when there were ${m.laid_out_sounds.toLocaleString()}` : drawn;
    $("refit").hidden = this.all.total < 3;
    $("refit").classList.toggle("primary", grown);
    empty.hidden = m.ids.length > 0;
    if (empty.hidden) return;
    if (this.all.ids.length === 0 && (library?.samples ?? 0) > 0) {
      empty.replaceChildren(el("h2", { textContent: "The map is empty" }), "Sounds get a place here once they were measured; silent ones have none.");
    } else {
      emptyState(empty, this.all.ids.length > 0);
    }
  },

  // ---- pointing and choosing ----

  async facts(id) {
    const known = this.known.get(id);
    if (known) return known;
    const s = await json("/api/v1/samples/" + id);
    this.known.set(id, s);
    if (this.known.size > 1000) this.known.delete(this.known.keys().next().value);
    return s;
  },
  point(i) {
    if (i === this.hover) return;
    this.hover = i;
    clearTimeout(this.timer);
    this.redraw();
    $("dots").style.cursor = i < 0 ? "grab" : "pointer";
    if (i < 0) return ($("tip").hidden = true);
    const m = this.shown, id = m.ids[i];
    this.timer = setTimeout(async () => {
      const s = await this.facts(id).catch(() => null);
      if (!s || m !== this.shown || this.hover !== i) return;
      this.tip(s, i);
      if ($("hoverPlays").checked && this.chosen !== id) this.choose(i);
    }, this.known.has(id) ? 0 : HOVER_MS);
  },
  tip(s, i) {
    const tip = $("tip"), facts = [s.kind?.replace("_", " "), bpm(s.tempo_bpm) === null ? null : bpm(s.tempo_bpm) + " BPM", s.key, length(s.duration_s)];
    tip.replaceChildren(el("b", { textContent: s.name }), el("span", { textContent: facts.filter(Boolean).join(" · ") }));
    tip.hidden = false;
    const x = this.px(this.shown, i), y = this.py(this.shown, i), w = $("dots").clientWidth;
    tip.style.left = Math.max(4, Math.min(w - tip.offsetWidth - 4, x - tip.offsetWidth / 2)) + "px";
    tip.style.top = (y > tip.offsetHeight + 18 ? y - tip.offsetHeight - 14 : y + 14) + "px";
  },
  async choose(i) {
    const m = this.shown, id = m.ids[i], same = this.chosen === id;
    this.chosen = id;
    this.redraw();
    if (same && player.sample?.id === id) return player.toggle();
    try {
      const s = await this.facts(id);
      if (this.chosen !== id) return;
      state.selected = state.samples.findIndex((other) => other.id === id);
      mark();
      showDetail(s);
      if (m === this.shown) this.tip(s, i);
      player.load(s, true);
    } catch (error) {
      this.tell(error.message);
    }
  },
  // To the nearest dot that way.
  step(dx, dy) {
    const m = this.shown;
    if (!m || m.ids.length === 0) return;
    let from = this.chosen === null ? -1 : m.ids.indexOf(this.chosen);
    const fx = from < 0 ? $("dots").clientWidth / 2 : this.px(m, from), fy = from < 0 ? $("dots").clientHeight / 2 : this.py(m, from);
    let best = -1, least = Infinity;
    for (let i = 0; i < m.ids.length; ++i) {
      if (i === from || (this.kind !== null && m.kinds[m.kind[i]] !== this.kind)) continue;
      const x = this.px(m, i) - fx, y = this.py(m, i) - fy, along = x * dx + y * dy, aside = Math.abs(x * dy - y * dx);
      if (from >= 0 && (along <= 0.01 || aside > along)) continue;
      const cost = from < 0 ? x * x + y * y : along + 2 * aside;
      if (cost < least) [least, best] = [cost, i];
    }
    if (best < 0) return;
    const w = $("dots").clientWidth, h = $("dots").clientHeight, x = this.px(m, best), y = this.py(m, best);
    if (x < 30 || y < 30 || x > w - 30 || y > h - 30) {
      this.x += w / 2 - x;
      this.y += h / 2 - y;
      this.moved = true;
    }
    this.choose(best);
  },
};

// ---- pointer, wheel, keys ----

const pointers = new Map();
let dragged = 0;
const onCanvas = (event) => {
  const box = $("dots").getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
};
$("dots").onpointerdown = (event) => {
  $("dots").setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, onCanvas(event));
  if (pointers.size === 1) dragged = 0;
  if (pointers.size === 1 && event.button === 0 && (choice.loops || event.shiftKey)) choice.begin(onCanvas(event), event);
  else choice.drop();
};
$("dots").onpointermove = (event) => {
  const now = onCanvas(event), before = pointers.get(event.pointerId);
  if (!before) return map.point(map.at(now.x, now.y));
  if (pointers.size === 2) {
    const other = [...pointers.entries()].find(([id]) => id !== event.pointerId)[1];
    const apart = (p) => Math.hypot(p.x - other.x, p.y - other.y);
    map.zoom(apart(now) / Math.max(1, apart(before)), (now.x + other.x) / 2, (now.y + other.y) / 2);
    dragged = 99;
  } else {
    dragged += Math.hypot(now.x - before.x, now.y - before.y);
    if (choice.drawing) {
      choice.draw(now);
    } else if (dragged > 4) {
      map.x += now.x - before.x;
      map.y += now.y - before.y;
      map.moved = true;
      $("tip").hidden = true;
      map.redraw();
    }
  }
  pointers.set(event.pointerId, now);
};
$("dots").onpointerup = (event) => {
  const at = onCanvas(event);
  if (pointers.size === 1 && dragged <= 4) {
    const i = map.at(at.x, at.y);
    choice.drop();
    if (i >= 0 && (event.ctrlKey || event.metaKey || event.shiftKey)) choice.toggle([map.shown.ids[i]]);
    else if (i >= 0) map.choose(i);
  } else if (choice.drawing) {
    choice.end();
  }
  pointers.delete(event.pointerId);
};
$("dots").onpointercancel = (event) => {
  choice.drop();
  pointers.delete(event.pointerId);
};
$("dots").onpointerleave = () => map.point(-1);
$("dots").addEventListener("wheel", (event) => {
  event.preventDefault();
  const at = onCanvas(event);
  $("tip").hidden = true;
  map.zoom(Math.exp(-Math.max(-200, Math.min(200, event.deltaY * (event.deltaMode === 1 ? 20 : 1))) / 300), at.x, at.y);
}, { passive: false });
$("dots").onkeydown = (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey) return;
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (way) {
    map.step(...way);
    if (event.shiftKey && map.chosen !== null) choice.add([map.chosen]);
  } else if (event.key === "x" && map.chosen !== null) choice.toggle([map.chosen]);
  else if (event.key === "a") choice.add(choice.inView());
  else if (event.key === "Escape" && choice.open) choice.none();
  else if (event.key === "+" || event.key === "=") map.zoom(1.4);
  else if (event.key === "-") map.zoom(1 / 1.4);
  else if (event.key === "0") map.fit();
  else if (event.key === " ") player.sample ? player.toggle() : map.step(1, 0);
  else if (event.key === "Enter" && map.chosen !== null) $("question").focus();
  else return;
  event.preventDefault();
  event.stopPropagation();
};
$("zoomIn").onclick = () => map.zoom(1.4);
$("zoomOut").onclick = () => map.zoom(1 / 1.4);
$("zoomAll").onclick = () => map.fit();
$("refit").onclick = async () => {
  if (!confirm("Lay the map out anew? Every sound gets a new place.")) return;
  map.tell("Laying out the map…");
  try {
    await api("/api/v1/library/map/refit", { method: "POST", body: "{}" });
    await map.refresh(true);
  } catch (error) {
    map.tell(error.message);
  }
};
$("hoverPlays").checked = localStorage.getItem("samplemind-hover") === "1";
$("hoverPlays").onchange = () => localStorage.setItem("samplemind-hover", $("hoverPlays").checked ? "1" : "0");
$("asMap").onclick = () => {
  map.show(true);
  changed(0);
};
$("asList").onclick = () => {
  map.show(false);
  changed(0);
};
document.addEventListener("found", () => map.refresh());
new ResizeObserver(() => map.on && map.shown && (map.moved ? map.draw() : map.fit())).observe($("dots"));
DARK.addEventListener("change", () => map.on && map.shown && (map.legend(), map.draw()));
