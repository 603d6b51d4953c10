// The page: the library as a table, search, audio preview, the coach (sound.js: words for a sound; map.js: the map). No framework, no build step.
"use strict";

const $ = (id) => document.getElementById(id);
const PAGE = 200; // rows a request
const PREVIEW_MAX_S = 300; // longer sounds are streamed, not decoded for a waveform
const FIELDS = ["q", "bpm", "key", "length", "kind", "content"];

function el(tag, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

// ---- talking to the service ----

let asked = null; // one question about the key at a time
async function api(path, options = {}) {
  for (;;) {
    const headers = { ...options.headers };
    const key = sessionStorage.getItem("samplemind-key");
    if (key) headers.authorization = "Bearer " + key;
    if (options.body) headers["content-type"] = "application/json";
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("SampleMind does not answer. Is it running? (samplemind up)");
    }
    if (response.status === 401) {
      asked ??= askForKey(Boolean(key)).finally(() => (asked = null));
      await asked;
      continue;
    }
    if (!response.ok) {
      const problem = await response.json().catch(() => ({}));
      const error = new Error(problem.detail || problem.title || `The service answered ${response.status}.`);
      error.hint = problem.hint;
      throw error;
    }
    return response;
  }
}
const json = async (path, options) => (await api(path, options)).json();

async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts) if (part) yield JSON.parse(part);
  }
  if (rest.trim()) yield JSON.parse(rest);
}

function askForKey(wasWrong) {
  const dialog = $("login");
  $("loginState").textContent = wasWrong ? "That is not this server's key." : "";
  $("keyField").value = "";
  dialog.oncancel = (event) => event.preventDefault();
  dialog.showModal();
  return new Promise((done) => {
    $("loginForm").onsubmit = () => {
      sessionStorage.setItem("samplemind-key", $("keyField").value.trim());
      done();
    };
  });
}

// ---- how values look ----

const round = (v, digits = 0) => (v === null || v === undefined ? null : Number(v).toFixed(digits));
const bpm = (v) => (v === null || v === undefined ? null : String(Math.round(v * 10) / 10));
function length(s) {
  if (s === null || s === undefined) return null;
  if (s < 10) return s.toFixed(2) + " s";
  if (s < 60) return s.toFixed(1) + " s";
  const whole = Math.round(s), h = Math.floor(whole / 3600), m = Math.floor((whole % 3600) / 60);
  const two = (n) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(whole % 60)}` : `${m}:${two(whole % 60)}`;
}
function total(s) {
  if (s < 90) return Math.round(s) + " s";
  if (s < 5400) return Math.round(s / 60) + " min";
  return (s / 3600).toFixed(1) + " h";
}
const NOTES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
const noteName = (midi) => (midi === null || midi === undefined ? null : NOTES[((Math.round(midi) % 12) + 12) % 12] + (Math.floor(Math.round(midi) / 12) - 1));
// Neighbours on the circle of fifths get neighbouring colours; a minor key its relative major's.
function hue(key) {
  const [note, mode] = key.split(" ");
  let n = NOTES.indexOf(note);
  if (mode === "minor") n += 3;
  return ((n * 7) % 12) * 30;
}
const names = { oneshot: "one-shot" };
const CAMELOT = (key) => {
  const [note, mode] = key.split(" ");
  const n = (NOTES.indexOf(note) + (mode === "minor" ? 3 : 0)) % 12;
  return (((n * 7 + 7) % 12) + 1) + (mode === "minor" ? "A" : "B");
};

// ---- the table ----

const state = { samples: [], total: 0, sort: "", loading: null, more: false, selected: -1 };

// Not elements.length: that is their number.
const field = (name) => $("search").elements.namedItem(name);

function parameters(offset) {
  const p = new URLSearchParams();
  for (const name of FIELDS) {
    const value = field(name).value.trim();
    if (value) p.set(name, value);
  }
  if (state.sort) p.set("sort", state.sort);
  if (offset !== undefined) {
    p.set("limit", PAGE);
    p.set("offset", offset);
  }
  return p;
}

async function load(append = false, plain = false) {
  if (sound.on && !plain) return append ? undefined : sound.load();
  state.loading?.abort();
  const abort = (state.loading = new AbortController());
  const offset = append ? state.samples.length : 0;
  try {
    const found = await json("/api/v1/samples?" + parameters(offset), { signal: abort.signal });
    showProblem(null);
    showFound(found.samples, found.total, offset, true);
  } catch (error) {
    if (error.name !== "AbortError") showProblem(error);
  } finally {
    if (state.loading === abort) state.loading = null;
  }
}

// Rows from `offset` on; `more` when there may be others behind them.
function showFound(samples, total, offset, more) {
  const chosen = state.samples[state.selected]?.id;
  if (offset === 0) {
    state.samples = [];
    $("rows").replaceChildren();
  }
  state.samples.push(...samples);
  state.total = total;
  state.more = more && state.samples.length < total && samples.length > 0;
  $("rows").append(...samples.map((s, i) => row(s, offset + i)));
  if (offset === 0) {
    state.selected = state.samples.findIndex((s) => s.id === chosen);
    mark();
    $("list").scrollTop = 0;
  }
  showEmpty();
  showSummary();
  document.dispatchEvent(new Event("found"));
}

function cell(kind, ...content) {
  const shown = content.filter((c) => c !== null);
  return el("td", { className: kind }, ...(shown.length ? shown : [el("span", { className: "none", textContent: "–" })]));
}
function unit(value, name) {
  return value === null ? [null] : [value, el("span", { className: "unit", textContent: " " + name })];
}
function keyMark(key) {
  const dot = el("span", { className: "dot" });
  dot.style.background = `hsl(${hue(key)} 65% 55%)`;
  return dot;
}
function row(s, index) {
  const kinds = [s.kind, s.content].filter(Boolean).map((k) => el("span", { className: "chip", textContent: names[k] ?? k.replace("_", " ") }));
  const tr = el("tr", { tabIndex: -1, title: s.error || "" },
    cell("name", s.name),
    cell("kind", ...kinds),
    cell("number", bpm(s.tempo_bpm)),
    cell("key", ...(s.key ? [keyMark(s.key), s.key.replace(" major", " maj").replace(" minor", " min")] : [null])),
    cell("number", length(s.duration_s)),
    cell("number loud", ...unit(round(s.loudness_lufs, 1), "LUFS")),
    cell("folder", s.folder.split("/").pop() || "/"));
  tr.lastChild.title = s.folder;
  tr.firstChild.title = s.name;
  if (s.state === "broken" || s.state === "missing") tr.classList.add(s.state);
  tr.onclick = () => select(index, { play: true });
  return tr;
}

function mark() {
  const rows = $("rows").children;
  for (const tr of $("rows").querySelectorAll("[aria-selected]")) {
    tr.removeAttribute("aria-selected");
    tr.tabIndex = -1;
  }
  const tr = rows[state.selected] ?? null;
  if (tr) tr.setAttribute("aria-selected", "true");
  const stop = tr ?? rows[0];
  if (stop) stop.tabIndex = 0;
  return tr;
}

function select(index, { play = false, focus = false } = {}) {
  if (index < 0 || index >= state.samples.length) return;
  const same = index === state.selected;
  state.selected = index;
  const tr = mark();
  tr.scrollIntoView({ block: "nearest" });
  if (focus) tr.focus({ preventScroll: true });
  if (same && play) return player.toggle();
  showDetail(state.samples[index]);
  player.load(state.samples[index], play);
}

function showEmpty() {
  $("empty").hidden = state.samples.length > 0;
  if (state.samples.length === 0) emptyState($("empty"), sound.on || parameters().size > (state.sort ? 1 : 0));
}
function emptyState(box, filtered) {
  const button = el("button", { className: "button", type: "button" });
  if (filtered) {
    button.textContent = "Clear the search";
    button.onclick = () => $("clear").click();
    box.replaceChildren(el("h2", { textContent: "Nothing fits" }), "No sound of the library matches this search.", el("br"), button);
  } else {
    button.className += " primary";
    button.textContent = "Add a folder…";
    button.onclick = openFolders;
    box.replaceChildren(el("h2", { textContent: "The library is empty" }), "Add a folder of sounds: SampleMind listens to each of them and measures tempo, key, loudness and more.", el("br"), button);
  }
}

function showProblem(error) {
  $("problem").hidden = !error;
  if (error) $("problem").textContent = error.message + (error.hint ? ` (${error.hint})` : "");
  for (const label of $("search").querySelectorAll("label")) {
    const input = label.querySelector("input, select");
    // The message begins with what is wrong: "bpm: ...", "key 'H' ...".
    const wrong = Boolean(error) && input.value !== "" && input.name !== "q" && error.message.toLowerCase().startsWith(input.name);
    label.classList.toggle("wrong", wrong);
  }
}

// ---- the chosen sound ----

let shown = null; // its id
function showDetail(s) {
  $("nothing").hidden = true;
  $("chosen").hidden = false;
  $("title").textContent = s.name;
  $("where").textContent = s.folder;
  const facts = [];
  const fact = (name, value, small) => {
    if (value === null || value === undefined || value === "") return;
    const dd = el("dd", { title: String(value) }, String(value), small ? el("small", { textContent: " " + small }) : null);
    facts.push(el("div", {}, el("dt", { textContent: name }), dd));
  };
  const sure = (c) => (c === null || c === undefined ? "" : Math.round(c * 100) + "% sure");
  fact("Kind", [s.kind?.replace("_", " "), names[s.content] ?? s.content].filter(Boolean).join(", "));
  fact("Length", length(s.duration_s));
  fact("Tempo", bpm(s.tempo_bpm) === null ? null : bpm(s.tempo_bpm) + " BPM", sure(s.tempo_confidence));
  fact("Key", s.key, s.key ? `${CAMELOT(s.key)} · ${sure(s.key_confidence)}` : "");
  fact("Note", noteName(s.note_midi));
  fact("Loudness", round(s.loudness_lufs, 1) === null ? null : round(s.loudness_lufs, 1) + " LUFS");
  fact("Loudness range", round(s.loudness_range_lu, 1) === null ? null : round(s.loudness_range_lu, 1) + " LU");
  fact("True peak", round(s.true_peak_dbtp, 1) === null ? null : round(s.true_peak_dbtp, 1) + " dBTP");
  fact("Time signature", s.time_signature);
  fact("Format", [s.format, s.sample_rate_hz ? s.sample_rate_hz / 1000 + " kHz" : "", s.bit_depth ? s.bit_depth + " bit" : "", s.channels === 1 ? "mono" : s.channels === 2 ? "stereo" : s.channels ? s.channels + " ch" : ""].filter(Boolean).join(" · "));
  // The format is the longest and comes last: it fills the row, alone or beside another.
  if (facts.length % 2) facts.at(-1).className = "wide";
  else if (facts.length) facts.at(-1).className = "last";
  $("facts").replaceChildren(...facts);
  $("facts").hidden = facts.length === 0;
  const warnings = [...(s.error ? [s.error] : []), ...(s.state === "missing" ? ["The file is not where it was."] : []), ...(s.warnings ?? [])];
  $("warnings").replaceChildren(...warnings.map((w) => el("li", { textContent: w })));
  if (shown !== s.id) {
    asking?.abort();
    $("answer").hidden = true;
    $("badges").replaceChildren();
  }
  shown = s.id;
}

// ---- preview ----

const player = {
  audio: new Audio(),
  cache: new Map(), // id -> {url, peaks}, the last few
  sample: null, peaks: null, run: 0, frame: 0,

  async load(sample, play) {
    const run = ++this.run;
    this.stop();
    this.sample = sample;
    this.peaks = null;
    this.draw();
    const usable = sample.state !== "broken" && sample.state !== "missing";
    $("play").disabled = !usable;
    if (!usable) return;
    try {
      const got = await this.fetch(sample);
      if (run !== this.run) return;
      this.peaks = got.peaks;
      this.audio.src = got.url;
      this.draw();
      if (play) await this.audio.play();
    } catch (error) {
      if (run !== this.run || error.name === "AbortError" || error.name === "NotAllowedError") return;
      $("play").disabled = true;
      $("warnings").append(el("li", { textContent: "No preview: " + error.message }));
    }
  },

  async fetch(sample) {
    const known = this.cache.get(sample.id);
    if (known) return known;
    const path = `/api/v1/samples/${sample.id}/audio`;
    if (sample.duration_s > PREVIEW_MAX_S && !sessionStorage.getItem("samplemind-key")) return { url: path, peaks: null };
    const blob = await (await api(path)).blob();
    let peaks = null;
    try {
      // 22,050 Hz is enough to draw and halves the memory.
      const decoded = await new OfflineAudioContext(1, 1, 22050).decodeAudioData(await blob.arrayBuffer());
      peaks = envelope(decoded, 600);
    } catch { /* drawn as a line; the player may still play it */ }
    const got = { url: URL.createObjectURL(blob), peaks };
    this.cache.set(sample.id, got);
    if (this.cache.size > 24) {
      const [oldest, entry] = this.cache.entries().next().value;
      this.cache.delete(oldest);
      if (entry.url !== this.audio.src) URL.revokeObjectURL(entry.url);
    }
    return got;
  },

  toggle() {
    if ($("play").disabled || !this.audio.src) return;
    if (this.audio.paused) {
      this.audio.play().catch(() => {});
    } else {
      this.stop();
    }
  },
  stop() {
    this.audio.pause();
    if (this.audio.readyState > 0) this.audio.currentTime = 0;
  },
  seek(fraction) {
    const d = this.audio.duration;
    if (!Number.isFinite(d)) return;
    this.audio.currentTime = Math.max(0, Math.min(0.999, fraction)) * d;
    if (this.audio.paused) this.audio.play().catch(() => {});
    this.draw();
  },
  changed() {
    const on = !this.audio.paused && !this.audio.ended;
    $("play").classList.toggle("on", on);
    $("play").setAttribute("aria-label", on ? "Stop" : "Play");
    for (const tr of $("rows").querySelectorAll(".playing")) tr.classList.remove("playing");
    if (on) $("rows").children[state.selected]?.classList.add("playing");
    cancelAnimationFrame(this.frame);
    const step = () => {
      this.draw();
      if (!this.audio.paused) this.frame = requestAnimationFrame(step);
    };
    step();
  },

  draw() {
    const canvas = $("wave"), scale = devicePixelRatio || 1;
    const w = canvas.clientWidth, h = canvas.clientHeight;
    if (!w) return;
    if (canvas.width !== Math.round(w * scale)) canvas.width = Math.round(w * scale);
    if (canvas.height !== Math.round(h * scale)) canvas.height = Math.round(h * scale);
    const g = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, w, h);
    const duration = this.audio.duration || this.sample?.duration_s || 0;
    const at = duration ? this.audio.currentTime / duration : 0;
    const bars = Math.floor(w / 3), played = style.getPropertyValue("--accent"), rest = style.getPropertyValue("--faint");
    for (let i = 0; i < bars; ++i) {
      let level = 0.02;
      if (this.peaks) {
        const a = Math.floor((i * this.peaks.length) / bars), b = Math.max(a + 1, Math.floor(((i + 1) * this.peaks.length) / bars));
        for (let k = a; k < b; ++k) level = Math.max(level, this.peaks[k]);
      }
      const done = at > 0 && (i + 0.5) / bars <= at;
      g.fillStyle = done ? played : rest;
      g.globalAlpha = done ? 1 : 0.55;
      const tall = Math.max(2, level * h);
      g.beginPath();
      g.roundRect(i * 3, (h - tall) / 2, 2, tall, 1);
      g.fill();
    }
    $("time").textContent = this.sample ? length(at > 0 ? this.audio.currentTime : this.sample.duration_s) : "";
  },
};

function envelope(buffer, bins) {
  const peaks = new Float32Array(bins);
  for (let c = 0; c < buffer.numberOfChannels; ++c) {
    const data = buffer.getChannelData(c), step = data.length / bins;
    for (let i = 0; i < bins; ++i) {
      const end = Math.floor((i + 1) * step);
      for (let k = Math.floor(i * step); k < end; ++k) peaks[i] = Math.max(peaks[i], Math.abs(data[k]));
    }
  }
  const loudest = peaks.reduce((a, b) => Math.max(a, b), 0);
  return loudest > 0 ? peaks.map((p) => p / loudest) : peaks;
}

for (const event of ["play", "pause", "ended", "seeked"]) player.audio.addEventListener(event, () => player.changed());
player.audio.addEventListener("ended", () => (player.audio.currentTime = 0));
$("play").onclick = () => player.toggle();
$("wave").onpointerdown = (event) => {
  const seek = (e) => player.seek((e.clientX - $("wave").getBoundingClientRect().left) / $("wave").clientWidth);
  $("wave").setPointerCapture(event.pointerId);
  seek(event);
  $("wave").onpointermove = seek;
  $("wave").onpointerup = $("wave").onpointercancel = () => ($("wave").onpointermove = null);
};
addEventListener("resize", () => player.draw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => player.draw());

// ---- the coach ----

let asking = null;
$("ask").onsubmit = async (event) => {
  event.preventDefault();
  if (asking) return asking.abort();
  const question = $("question").value.trim();
  if (!question || shown === null) return $("question").focus();
  const abort = (asking = new AbortController());
  const box = $("answer"), about = shown;
  box.className = "answer waiting";
  box.hidden = false;
  box.replaceChildren();
  $("badges").replaceChildren();
  $("send").textContent = "Stop";
  $("asking").textContent = "asking…";
  let text = "";
  try {
    const response = await api("/api/v1/ask", { method: "POST", body: JSON.stringify({ question, sample_ids: [about] }), signal: abort.signal });
    let ended = false;
    for await (const line of lines(response)) {
      if (line.type === "text") {
        text += line.text;
        box.replaceChildren(...rich(text));
      } else if (line.type === "answer") {
        ended = true;
        box.replaceChildren(...rich(line.answer));
        showBadges(line);
      } else if (line.type === "error") {
        throw Object.assign(new Error(line.detail || line.title), { hint: line.hint });
      }
    }
    if (!ended) throw new Error("The answer was cut off.");
    box.className = "answer";
  } catch (error) {
    if (abort.signal.aborted) {
      box.className = "answer";
      box.hidden = text === "";
    } else {
      box.className = "answer bad";
      box.replaceChildren(el("p", { textContent: error.message }), error.hint ? el("p", { textContent: error.hint }) : "");
    }
  } finally {
    if (asking === abort) {
      asking = null;
      $("send").textContent = "Ask";
      $("asking").textContent = "⌘/Ctrl + enter sends";
    }
  }
};
$("question").onkeydown = (event) => {
  if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) $("ask").requestSubmit();
};

const money = (micro) => (micro === 0 ? "free" : "$" + (micro / 1e6).toPrecision(2));
function showBadges(a) {
  const badges = [];
  const badge = (text, hit = false) => badges.push(el("li", { textContent: text, className: hit ? "hit" : "" }));
  const cached = a.cache?.startsWith("hit");
  if (cached) badge(a.cache === "hit-disk" ? "from the disk cache" : "from the cache", true);
  else if (a.cache) badge(a.cache === "miss" ? "asked afresh" : a.cache);
  if (a.model) badge(`${a.provider} · ${a.model}`);
  const tokens = (a.usage?.prompt_tokens ?? 0) + (a.usage?.completion_tokens ?? 0);
  if (tokens) badge(`${tokens.toLocaleString()} tokens`);
  if (cached && a.saved_microusd) badge("saved " + money(a.saved_microusd), true);
  else if (a.cost_microusd !== null && !cached) badge(money(a.cost_microusd));
  if (a.elapsed_ms !== undefined) badge(a.elapsed_ms < 1000 ? `${a.elapsed_ms < 10 ? a.elapsed_ms.toFixed(1) : Math.round(a.elapsed_ms)} ms` : (a.elapsed_ms / 1000).toFixed(1) + " s");
  $("badges").replaceChildren(...badges);
}

// A little Markdown, made as nodes, never as HTML: paragraphs, lists, headings, code, bold, italics.
function inline(text) {
  const out = [];
  for (const part of text.split(/(\*\*[^*]+\*\*|`[^`]+`|(?<![\w*])\*[^*\s][^*]*\*(?![\w*]))/)) {
    if (part.startsWith("**") && part.length > 4) out.push(el("strong", { textContent: part.slice(2, -2) }));
    else if (part.startsWith("`") && part.length > 2) out.push(el("code", { textContent: part.slice(1, -1) }));
    else if (part.startsWith("*") && part.endsWith("*") && part.length > 2) out.push(el("em", { textContent: part.slice(1, -1) }));
    else if (part) out.push(part);
  }
  return out;
}
function rich(text) {
  const blocks = [];
  let list = null, paragraph = null, code = null;
  for (const line of text.split("\n")) {
    if (line.trimStart().startsWith("```")) {
      code = code ? null : blocks[blocks.push(el("pre")) - 1];
      list = paragraph = null;
      continue;
    }
    if (code) {
      code.textContent += line + "\n";
      continue;
    }
    const heading = line.match(/^#{1,6}\s+(.*)/), bullet = line.match(/^\s*[-*•]\s+(.*)/), number = line.match(/^\s*\d+[.)]\s+(.*)/);
    if (heading) {
      blocks.push(el("h3", {}, ...inline(heading[1])));
      list = paragraph = null;
    } else if (bullet || number) {
      const tag = bullet ? "UL" : "OL";
      if (list?.tagName !== tag) list = blocks[blocks.push(el(tag)) - 1];
      list.append(el("li", {}, ...inline((bullet ?? number)[1])));
      paragraph = null;
    } else if (!line.trim()) {
      paragraph = null;
      if (list?.tagName === "UL") list = null;
    } else {
      list = null;
      if (paragraph) paragraph.append(el("br"), ...inline(line));
      else paragraph = blocks[blocks.push(el("p", {}, ...inline(line))) - 1];
    }
  }
  return blocks;
}

// ---- library and providers ----

let library = null;
function showSummary() {
  if (!library) return;
  const filtered = parameters().size > (state.sort ? 1 : 0);
  const parts = [filtered ? `${state.total.toLocaleString()} of ${library.samples.toLocaleString()} sounds` : `${library.samples.toLocaleString()} sounds`, total(library.duration_s)];
  if (library.broken) parts.push(`${library.broken} unreadable`);
  if (library.missing) parts.push(`${library.missing} missing`);
  $("summary").textContent = parts.join(" · ");
}
async function loadStatus() {
  try {
    const status = await json("/api/v1/status");
    library = status.library;
    showSummary();
    $("providers").replaceChildren(...status.providers.map((p) => el("li", {
      textContent: p.name, className: p.usable ? "usable" : "", title: [p.detail, p.remedy].filter(Boolean).join("\n"),
    })));
  } catch { /* the table's own request shows what is wrong */ }
}

let scanning = null;
function openFolders() {
  if (!scanning) {
    $("scanState").textContent = "";
    $("bar").hidden = true;
  }
  $("folders").showModal();
}
$("add").onclick = openFolders;
$("scanClose").onclick = () => $("folders").close();
$("scanForm").onsubmit = async (event) => {
  event.preventDefault();
  if (scanning) return scanning.abort();
  const abort = (scanning = new AbortController());
  $("scanGo").textContent = "Stop";
  $("scanState").textContent = "Looking for sounds…";
  $("bar").hidden = false;
  $("bar").removeAttribute("value");
  try {
    const response = await api("/api/v1/scan", { method: "POST", body: JSON.stringify({ paths: [$("path").value.trim()] }), signal: abort.signal });
    for await (const line of lines(response)) {
      if (line.type === "progress") {
        if (!line.walking && line.to_do) $("bar").value = line.done / line.to_do;
        const left = line.left_s === null ? "" : `, about ${total(line.left_s)} left`;
        $("scanState").textContent = line.walking ? `${line.found.toLocaleString()} found…` : `${line.done.toLocaleString()} of ${line.to_do.toLocaleString()} measured, ${Math.round(line.files_per_s)} a second${left}`;
      } else if (line.type === "report") {
        $("bar").value = 1;
        const parts = [`${line.measured.toLocaleString()} measured`, `${line.unchanged.toLocaleString()} unchanged`];
        if (line.broken) parts.push(`${line.broken} unreadable`);
        $("scanState").textContent = `${line.cancelled ? "Stopped" : "Done"}: ${parts.join(", ")}.`;
      } else if (line.type === "error") {
        throw Object.assign(new Error(line.detail || line.title), { hint: line.hint });
      }
    }
  } catch (error) {
    $("bar").hidden = true;
    $("scanState").textContent = abort.signal.aborted ? "Stopped; what was finished is kept." : error.message + (error.hint ? ` (${error.hint})` : "");
  } finally {
    scanning = null;
    $("scanGo").textContent = "Scan";
    load();
    loadStatus();
  }
};

// ---- search, sorting, keys ----

let typing = 0;
function changed(delay) {
  clearTimeout(typing);
  typing = setTimeout(() => {
    const p = parameters();
    if (map.on) p.set("view", "map");
    if (sound.on) p.set("by", "sound");
    history.replaceState(null, "", p.size ? "?" + p : location.pathname);
    load();
  }, delay);
}
// A model may be asked about words for a sound: once they stand, not at every letter.
$("search").oninput = (event) => changed(event.target.tagName === "SELECT" ? 0 : sound.on ? 700 : 160);
$("search").onsubmit = (event) => {
  event.preventDefault();
  changed(0);
};
$("search").onreset = () => setTimeout(() => changed(0));

function showSort() {
  for (const th of document.querySelectorAll("th[data-sort]")) {
    const on = state.sort.replace("-", "") === th.dataset.sort;
    if (on) th.setAttribute("aria-sort", state.sort.startsWith("-") ? "descending" : "ascending");
    else th.removeAttribute("aria-sort");
  }
}
for (const th of document.querySelectorAll("th[data-sort]")) {
  th.firstElementChild.onclick = () => {
    const name = th.dataset.sort;
    state.sort = state.sort === name ? "-" + name : state.sort === "-" + name ? "" : name;
    showSort();
    changed(0);
  };
}

addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
  const target = event.target, inSearch = target.closest?.("#search"), typed = target.matches?.("input, textarea, select");
  if (event.key === "/" && !typed) {
    event.preventDefault();
    field("q").focus();
    field("q").select();
  } else if (event.key === "Escape" && typed) {
    target.blur();
  } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && (!typed || (inSearch && target.tagName === "INPUT"))) {
    event.preventDefault();
    const next = state.selected < 0 ? 0 : state.selected + (event.key === "ArrowDown" ? 1 : -1);
    if (next >= state.samples.length - 5 && state.more && !state.loading) load(true);
    if (next !== state.selected) select(next, { play: true, focus: !typed });
  } else if (event.key === " " && !typed && !target.closest?.("button, a")) {
    event.preventDefault();
    if (state.selected < 0) select(0, { play: true, focus: true });
    else player.toggle();
  } else if (event.key === "Enter" && target.closest?.("tbody tr")) {
    event.preventDefault();
    $("question").focus();
  }
});

new IntersectionObserver((seen) => {
  if (seen[0].isIntersecting && state.more && !state.loading) load(true);
}, { root: null, rootMargin: "600px" }).observe($("more"));

addEventListener("DOMContentLoaded", () => {
  const wanted = new URLSearchParams(location.search);
  for (const name of FIELDS) if (wanted.has(name)) field(name).value = wanted.get(name);
  state.sort = wanted.get("sort") ?? "";
  sound.show(wanted.get("by") === "sound");
  map.show(wanted.get("view") === "map");
  showSort();
  load();
  loadStatus();
  setInterval(() => document.hidden || loadStatus(), 30000);
});
