// Page: what is selected, what is lit, and the controls.

const page = {
  data: JSON.parse(document.getElementById("data").textContent),
  state: { pinned: null, hover: null, view: "cells", of: "", symbols: false, timer: 0, last: {} },
  cells: new Map(), entries: [], lines: [], taps: new Map(), readers: new Map(), edges: new Map(), backward: new Set(),

  say(key, parts = {}) {
    return (this.data.words[key] ?? key).replace(/\{(\w+)\}/g, (_, word) => parts[word]);
  },
  register(key, element) {
    if (!this.cells.has(key)) this.cells.set(key, []);
    this.cells.get(key).push(element);
  },
  positionIn(name) {   // the cell of an array that was looked at last, or one with many terms
    return this.state.last[name] ?? this.richest(name);
  },
  richest(name) {
    const count = (i) => this.arithmetic.terms(name, i)?.length ?? 0;
    return this.data.arrays[name].numbers.reduce((best, _, i) => (count(i) > count(best) ? i : best), 0);
  },
  edgesInto(of, position) {   // [source, weight] pairs of one target
    return this.edges.get(of)?.get(position) ?? [];
  },
};

const byId = (id) => document.getElementById(id);
const same = (a, b) => a && b && a[0] === b[0] && a[1] === b[1];

// What is known before anything is drawn: colours, taps, readers.

function prepare() {
  const { data } = page;
  page.arithmetic = new Arithmetic(data);
  page.writing = new Writing(data);
  page.ids = Object.fromEntries(Object.keys(data.arrays).map((name, i) => [name, i]));
  for (const [name, { colour }] of Object.entries(data.arrays)) {
    document.documentElement.style.setProperty(`--array-${page.ids[name]}`, `light-dark(${colour[0]}, ${colour[1]})`);
  }
  const upstream = Object.keys(data.arrays).find((name) => data.arrays[name].role === "upstream");
  const after = data.order.indexOf(data.order.find((n) => data.arrays[n].role === "gradient"));
  data.order.forEach((name, i) => { if (upstream && after >= 0 && i >= after) page.backward.add(name); });
  for (const name of Object.keys(data.arrays)) {
    if (/^d\d+$/.test(name) && data.arrays[name].role === "inner") page.backward.add(name);
    else if (data.arrays[name].role === "inner") page.backward.delete(name);
  }
  for (const [of, reading] of Object.entries(data.readings)) {
    const into = new Map();
    for (const [target, s, w, , tap] of reading.edges) {
      if (!into.has(target)) into.set(target, []);
      into.get(target).push([s, w, tap]);
    }
    page.edges.set(of, into);
    markTaps(of, reading);
  }
  for (const name of data.order) {
    data.arrays[name].numbers.forEach((_, position) => {
      const chosen = data.choices[name];
      const from = chosen ? chosen.cells[position].map((p) => [chosen.from, p]) : references(data.formulas[name][position]);
      for (const ref of new Set(from.map(String))) {
        const key = ref.replace(/,(\d+)$/, ":$1");
        if (!page.readers.has(key)) page.readers.set(key, []);
        page.readers.get(key).push([name, position]);
      }
    });
  }
}

// Every cell of the kernel, and of its gradient, wears the colour of its tap.
function markTaps(of, { edges, weight, taps }) {
  if (taps.length < 2) return;
  const once = (column) => {
    const found = new Map();
    for (const edge of edges) {
      if ((found.get(edge[column]) ?? edge[4]) !== edge[4]) return null;
      found.set(edge[column], edge[4]);
    }
    return found;
  };
  const mark = (name, found) => found?.forEach((tap, position) => page.taps.set(`${name}:${position}`, taps[tap]));
  if (weight) mark(weight, once(2));
  if (weight && !once(2)) mark(of, once(0));
}

// Building

function build() {
  const { state, data } = page;
  const drawing = byId("drawing");
  const active = document.activeElement?.closest?.("#drawing [data-array]");
  const focus = active && [active.dataset.array, active.dataset.position];
  const scroll = drawing.querySelector(".scroll")?.scrollLeft;
  page.cells.clear();
  page.entries.length = page.lines.length = 0;
  drawing.replaceChildren(...[VIEWS[state.view].build(state.of)].flat(9).filter(Boolean));
  drawing.dataset.view = state.view;
  byId("about").textContent = aboutView();
  paint();
  drawing.querySelectorAll("table[role=grid]").forEach((grid) => {
    const first = grid.querySelector("[aria-selected=true]") ?? grid.querySelector(".cell[data-array]");
    if (first) first.tabIndex = 0;
  });
  if (!drawing.querySelector("table[role=grid] .cell[tabindex='0']")) {
    drawing.querySelectorAll(".cell[data-array]").forEach((element) => { element.tabIndex = 0; });
  }
  if (focus) drawing.querySelector(`[data-array="${focus[0]}"][data-position="${focus[1]}"]`)?.focus({ preventScroll: true });
  if (scroll) drawing.querySelector(".scroll").scrollLeft = scroll;
  byId("of").value = state.of;
  for (const tab of byId("tabs").children) {
    const on = tab.dataset.view === state.view;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
  }
}

function aboutView() {
  const { state: { view, of }, data } = page;
  const reading = data.readings[of];
  if (view === "gather") {
    const { turned, dilate } = reading.gather;
    const way = ["about gather", turned && reading.weight && "turned", dilate.some((d) => d > 1) && "dilated"];
    return page.say(way.filter(Boolean).join(" "), { of, source: reading.source });
  }
  const parts = reading ? { of, source: reading.source, left: reading.edges.length,
    dense: data.arrays[of].numbers.length * data.arrays[reading.source].numbers.length,
    colours: new Set(reading.edges.map((edge) => edge[4])).size } : {};
  return page.say(`about ${view}`, parts);
}

function fits(view, of) {
  const reading = page.data.readings[of];
  if (view === "cells" || view === "graph") return of in page.data.arrays && page.data.order.includes(of);
  if (view === "duality") return of === "z" || of === "δ_x";
  return Boolean(reading) && (view !== "gather" || Boolean(reading.gather));
}

function setView(view, of = page.state.of, asked = false) {
  const choices = page.data.order.filter((name) => fits(view, name));
  page.state.view = view;
  const { pinned } = page.state;
  const wanted = [asked ? of : pinned?.[0], of, "δ_x"].find((name) => choices.includes(name));
  page.state.of = wanted ?? choices[0] ?? "";
  byId("of").replaceChildren(...choices.map((name) => node("option", { value: name }, page.writing.text(name, 0).replace(/_?[\d,]+$/, ""))));
  byId("of").disabled = choices.length < 2;
  const { source, weight } = page.data.readings[page.state.of] ?? {};
  const there = view === "scatter" ? [source] : [page.state.of, source, weight];
  if (!["cells", "graph"].includes(view) && pinned && !there.includes(pinned[0])) {
    page.state.pinned = [there[0], page.positionIn(there[0])];
  }
  build();
}

// Selecting, stepping, changing

function pin(cell, focus = false) {
  const { state } = page;
  state.pinned = cell;
  state.hover = null;
  state.last[cell[0]] = cell[1];
  const other = fits(state.view, cell[0]) && cell[0] !== state.of &&
    cell[0] !== page.data.readings[state.of]?.source;
  if (other && state.view !== "scatter") setView(state.view, cell[0]);
  else if (VIEWS[state.view].rebuilds) build();
  else paint();
  announce(cell);
  if (focus) byId("drawing").querySelector(`.cell[data-array="${cell[0]}"][data-position="${cell[1]}"]`)?.focus();
}

function step(by) {
  const { state, data } = page;
  const name = state.view === "scatter" ? data.readings[state.of].source : state.of;
  const count = data.arrays[name].numbers.length;
  const here = state.pinned?.[0] === name ? state.pinned[1] : by > 0 ? -1 : 0;
  pin([name, (here + by + count) % count]);
}

function play(on) {
  clearInterval(page.state.timer);
  page.state.timer = on ? setInterval(() => step(1), 900) : 0;
  byId("play").setAttribute("aria-pressed", String(on));
  byId("play").textContent = page.say(on ? "pause" : "play");
}

function change(text) {
  const [name, position] = page.state.pinned;
  const value = Number(text.replace("−", "-").replace(",", "."));
  const right = text.trim() !== "" && Number.isFinite(value);
  byId("number").setAttribute("aria-invalid", String(!right));
  if (!right) return;
  page.arithmetic.values[name][position] = value;
  page.arithmetic.compute();
  if (VIEWS[page.state.view].rebuilds || page.state.view === "graph") build();
  else paint();
}

const cellOf = (target) => {
  const element = target.closest?.("[data-array]");
  return element && element.dataset.position !== undefined ? [element.dataset.array, Number(element.dataset.position)] : null;
};

function listen() {
  const drawing = byId("drawing");
  drawing.addEventListener("pointerover", (event) => {
    const cell = event.pointerType === "mouse" ? cellOf(event.target) : null;
    if (document.activeElement?.id === "number" || same(cell, page.state.hover)) return;
    page.state.hover = cell;
    paint();
  });
  drawing.addEventListener("pointerleave", () => {
    if (page.state.hover) { page.state.hover = null; paint(); }
  });
  drawing.addEventListener("click", (event) => {
    const cell = cellOf(event.target);
    if (cell) { play(false); pin(cell, event.target.closest(".cell") !== null); }
  });
  drawing.addEventListener("dblclick", () => byId("number")?.select());
  drawing.addEventListener("keydown", (event) => {
    const element = event.target.closest("[data-array], .cell");
    if (!element || event.ctrlKey || event.metaKey || event.altKey) return;
    const cell = cellOf(element);
    if (event.key in ARROWS || event.key === "Home" || event.key === "End") {
      const next = element.classList.contains("cell") && walk(element, event.key);
      if (next) { const to = cellOf(next); next.focus(); if (to) pin(to); }
      event.preventDefault();
    } else if (cell && (event.key === "Enter" || event.key === " ")) {
      pin(cell);
      if (event.key === "Enter") byId("number")?.select();
      event.preventDefault();
    } else if (cell && /^[-\d.]$/.test(event.key) && page.arithmetic.given.includes(cell[0])) {
      if (!same(cell, page.state.pinned)) pin(cell);
      byId("number").select();   // the key itself is typed into it
    }
  });
  drawing.addEventListener("focusin", (event) => {
    const cell = cellOf(event.target);
    if (cell && event.target.matches(":focus-visible") && !same(cell, page.state.pinned)) pin(cell);
  });
  const panel = byId("panel");
  panel.addEventListener("focusin", (event) => {
    if (event.target.id === "number" && page.state.hover) { page.state.hover = null; paint(); }
  });
  panel.addEventListener("input", (event) => change(event.target.value));
  panel.addEventListener("keydown", (event) => {
    if (event.target.id !== "number") return;
    if (event.key === "Escape") change(String(page.arithmetic.first[page.state.pinned[0]][page.state.pinned[1]]));
    if (event.key === "Enter" || event.key === "Escape") {
      const [name, position] = page.state.pinned;
      const back = drawing.querySelector(`.cell[data-array="${name}"][data-position="${position}"]`);
      if (back) back.focus(); else event.target.blur();
      paint();
      event.preventDefault();
    }
  });
  panel.addEventListener("click", (event) => {
    const go = event.target.closest("[data-go]")?.dataset.go;
    if (go) pin([go.slice(0, go.lastIndexOf(":")), Number(go.slice(go.lastIndexOf(":") + 1))], true);
  });
  byId("of").addEventListener("change", (event) => setView(page.state.view, event.target.value, true));
  byId("mode").addEventListener("change", (event) => { page.state.symbols = event.target.value === "symbols"; build(); });
  byId("back").addEventListener("click", () => { play(false); step(-1); });
  byId("forth").addEventListener("click", () => { play(false); step(1); });
  byId("play").addEventListener("click", () => play(!page.state.timer));
  byId("reset").addEventListener("click", () => { page.arithmetic.reset(); build(); byId("play").focus(); });
  byId("theme").addEventListener("click", () => {
    const { style } = document.documentElement;
    const dark = style.colorScheme ? style.colorScheme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    style.colorScheme = dark ? "light" : "dark";
  });
  byId("tabs").addEventListener("keydown", (event) => {
    const tabs = [...byId("tabs").children];
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const next = tabs[(tabs.indexOf(event.target) + by + tabs.length) % tabs.length];
    next.focus();
    next.click();
  });
}

function start() {
  prepare();
  const { data } = page;
  byId("heading").textContent = data.heading;
  byId("tabs").replaceChildren(...data.views.map((view) => {
    const tab = node("button", { type: "button", role: "tab", "data-view": view, "aria-controls": "stage" }, page.say(`view ${view}`));
    tab.addEventListener("click", () => setView(view));
    return tab;
  }));
  listen();
  const gradients = data.order.filter((name) => data.arrays[name].role === "gradient");
  const first = gradients.find((name) => name === "δ_x") ?? gradients.at(-1) ?? data.order.at(-1);
  page.state.of = first;
  if (first) {
    page.state.pinned = [first, page.richest(first)];
    page.state.last[first] = page.state.pinned[1];
  }
  setView(data.view);
}

start();
