// Page: what is selected, and what is known before anything is drawn.

const page = {
  data: JSON.parse(document.getElementById("data").textContent),
  state: { pinned: null, hover: null, view: "cells", of: "", symbols: false, timer: 0, last: {} },
  cells: new Map(),
  entries: [],
  lines: [],
  taps: new Map(),
  readers: new Map(),
  edges: new Map(),
  backward: new Set(),

  say(key, parts = {}) {
    return (this.data.words[key] ?? key).replace(/\{(\w+)\}/g, (_, word) => parts[word]);
  },
  register(key, element) {
    if (!this.cells.has(key)) this.cells.set(key, []);
    this.cells.get(key).push(element);
  },
  positionIn(name) {
    // the cell of an array that was looked at last, or one with many terms
    return this.state.last[name] ?? this.richest(name);
  },
  richest(name) {
    const count = (i) => this.arithmetic.terms(name, i)?.length ?? 0;
    return this.data.arrays[name].numbers.reduce(
      (best, _, i) => (count(i) > count(best) ? i : best),
      0,
    );
  },
  edgesInto(of, position) {
    // [source, weight] pairs of one target
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
    document.documentElement.style.setProperty(
      `--array-${page.ids[name]}`,
      `light-dark(${colour[0]}, ${colour[1]})`,
    );
  }
  const upstream = Object.keys(data.arrays).find((name) => data.arrays[name].role === "upstream");
  const after = data.order.indexOf(data.order.find((n) => data.arrays[n].role === "gradient"));
  data.order.forEach((name, i) => {
    if (upstream && after >= 0 && i >= after) page.backward.add(name);
  });
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
      const from = chosen
        ? chosen.cells[position].map((p) => [chosen.from, p])
        : references(data.formulas[name][position]);
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
  const mark = (name, found) =>
    found?.forEach((tap, position) => page.taps.set(`${name}:${position}`, taps[tap]));
  if (weight) mark(weight, once(2));
  if (weight && !once(2)) mark(of, once(0));
}
