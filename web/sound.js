// Words for a sound: "dusty warm kick" is read by a model, or by the built-in vocabulary where none
// answers; what it was taken for is shown and can be changed, which asks nobody. Uses page.js.
"use strict";

const sound = {
  taken: null, // the last interpretation, as the service gives and takes it
  axes: [],
  text: "", // that it is of
  loading: null, timer: 0,

  get on() { return document.body.dataset.search === "sound"; },

  show(on) {
    if (on) document.body.dataset.search = "sound";
    else delete document.body.dataset.search;
    $("bySound").setAttribute("aria-pressed", String(on));
    field("q").placeholder = on ? "Describe a sound: dusty warm kick, something airy" : "Search sounds: kick deep, pad -noise";
    if (!on) {
      this.loading?.abort();
      $("taken").hidden = true;
    }
  },

  // The fields beside the words, in the query language.
  conditions() {
    const value = (name) => field(name).value.trim(), list = [];
    if (value("bpm")) list.push("bpm:" + value("bpm"));
    if (value("key")) list.push(`key:"${value("key")}"`);
    if (value("length")) list.push("len:" + value("length"));
    if (value("kind")) list.push("kind:" + value("kind"));
    if (value("content")) list.push("is:" + value("content"));
    return list.join(" ");
  },

  // Asks with the words, or, `again`, with the interpretation as it stands.
  async load(again = false) {
    this.loading?.abort();
    state.loading?.abort();
    const text = field("q").value.trim();
    if (!text) {
      this.taken = null;
      $("taken").hidden = true;
      return load(false, true);
    }
    const abort = (this.loading = new AbortController());
    const body = again && this.taken ? { query: this.taken.query, aims: this.taken.aims } : { text, query: this.conditions() };
    const late = setTimeout(() => {
      $("taken").hidden = false;
      $("takenNote").textContent = "Reading the words…";
    }, 250);
    try {
      const found = await json("/api/v1/library/sound", { method: "POST", body: JSON.stringify({ ...body, limit: PAGE }), signal: abort.signal });
      showProblem(null);
      this.axes = found.axes;
      this.text = text;
      this.taken = { ...(again ? this.taken : {}), ...found.interpretation };
      if (!again) this.told = found;
      this.render(found, again);
      showFound(found.samples.map((s) => s.sample), found.found, 0, false);
    } catch (error) {
      if (error.name !== "AbortError") showProblem(error);
      if (!this.taken) $("taken").hidden = true;
    } finally {
      clearTimeout(late);
      if (this.loading === abort) this.loading = null;
    }
  },

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(true), 120);
  },

  render(found, again) {
    $("taken").hidden = false;
    const told = this.told ?? found, note = [];
    if (told.note) note.push(`Read with the built-in vocabulary: ${told.note}.`);
    else if (told.by === "vocabulary") note.push("Read with the built-in vocabulary.");
    else if (told.by === "model") note.push(`Read by ${told.model}${told.cache?.startsWith("hit") ? ", from the cache" : told.cost_microusd ? ", " + money(told.cost_microusd) : ""}.`);
    if (this.taken.ignored?.length) note.push(`Nothing is known of ${this.taken.ignored.map((w) => `“${w}”`).join(", ")}.`);
    if (found.found > found.compared && found.compared >= 2000) note.push(`${found.found.toLocaleString()} fit; ${found.compared.toLocaleString()} of them and the neighbours of the best were compared.`);
    $("takenNote").textContent = note.join(" ");
    $("takenNote").classList.toggle("fallback", Boolean(told.note));
    if (document.activeElement !== $("takenQuery")) $("takenQuery").value = this.taken.query;
    // A slider in use is left alone.
    if (again && $("aims").contains(document.activeElement) && document.activeElement.type === "range") return;
    const aims = this.taken.aims;
    $("aims").replaceChildren(...this.axes.filter((a) => aims[a.name]).map((a) => {
      const id = "aim-" + a.name;
      const slider = el("input", { type: "range", min: 0, max: 1, step: 0.01, value: aims[a.name].at, id });
      slider.setAttribute("aria-label", `${a.name.replace("_", " ")}, from ${a.low} to ${a.high}`);
      slider.oninput = () => {
        aims[a.name].at = Number(slider.value);
        this.later();
      };
      const away = el("button", { type: "button", className: "away", title: `${a.name.replace("_", " ")} does not matter` }, "×");
      away.setAttribute("aria-label", away.title);
      away.onclick = () => {
        delete aims[a.name];
        $("addAim").focus();
        this.load(true);
      };
      return el("li", {}, el("span", { className: "low", textContent: a.low }), slider, el("span", { className: "high", textContent: a.high }), away);
    }));
    const rest = this.axes.filter((a) => !aims[a.name]);
    $("addAim").replaceChildren(el("option", { value: "", textContent: "Add…" }), ...rest.map((a) => el("option", { value: a.name, textContent: `${a.low} – ${a.high}` })));
    $("addAim").hidden = rest.length === 0;
  },
};

$("bySound").onclick = () => {
  sound.show(!sound.on);
  field("q").focus();
  changed(0);
};
$("addAim").onchange = () => {
  const name = $("addAim").value;
  if (!name) return;
  sound.taken.aims[name] = { at: 0.8, weight: 1 };
  sound.load(true).then(() => $("aim-" + name)?.focus());
};
$("takenQuery").oninput = () => {
  sound.taken.query = $("takenQuery").value;
  sound.later();
};
