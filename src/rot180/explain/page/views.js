// Views: each builds its drawing for one array, and may light more than the cells' sources.

const VIEWS = {
  cells: { build: cellsView },
  gather: { build: gatherView, light: gatherLight, rebuilds: true },
  scatter: { build: scatterView, rebuilds: true },
  matrix: { build: matrixView, light: matrixLight },
  network: { build: networkView, light: networkLight },
  graph: { build: graphView },
  duality: { build: dualityView, rebuilds: true },
};

function cellsView() {
  const forward = (role, name) =>
    ["input", "output"].includes(role) || (role === "inner" && !page.backward.has(name));
  const names = Object.keys(page.data.arrays);
  const bands = [
    ["forward", names.filter((n) => forward(page.data.arrays[n].role, n))],
    ["backward", names.filter((n) => !forward(page.data.arrays[n].role, n))],
  ];
  return bands
    .filter(([, list]) => list.length)
    .map(([word, list]) =>
      node(
        "section",
        { class: "band" },
        node("h2", {}, page.say(word)),
        node(
          "div",
          { class: "row" },
          list.map((name) => arrayCard(name)),
        ),
      ),
    );
}

function colour(element, [lit, ink]) {
  element.style.setProperty("--lit", lit);
  element.style.setProperty("--ink2", ink);
}

const sign = (text, kind = "") =>
  node("span", { class: `sign ${kind}`, "aria-hidden": "true" }, text);

function caption(content, note = "") {
  return node(
    "figcaption",
    {},
    node("span", { class: "name" }, content),
    note && node("span", { class: "soft" }, note),
  );
}

// Gather: the slots, the kernel as it is read, and the target.

function gatherPlan(of, position) {
  const { source, weight, gather } = page.data.readings[of];
  const axes = gather.shape.length;
  const pairs = new Map();
  for (const [s, w] of page.edgesInto(of, position)) {
    const front = (name, p) => unravel(p, page.data.arrays[name].shape).slice(0, -axes);
    const pair = [front(source, s), w < 0 ? [] : front(weight, w)];
    pairs.set(JSON.stringify(pair), pair);
  }
  const zeros = (name) => page.data.arrays[name].shape.slice(0, -axes).fill(0);
  return pairs.size ? [...pairs.values()] : [[zeros(source), weight ? zeros(weight) : []]];
}

function gatherView(of) {
  const { source, weight, gather } = page.data.readings[of];
  const position = page.positionIn(of);
  const plan = gatherPlan(of, position).slice(0, 4);
  const place = (name, front, cell) => ravel([...front, ...cell], page.data.arrays[name].shape);
  const full = (front, name) => front.slice(page.data.arrays[name].lead);
  const written = (name, front) => [
    page.writing.name(name),
    full(front, name).length
      ? `[${full(front, name)
          .map((i) => i + page.data.base)
          .join(", ")}]`
      : "",
  ];
  const parts = plan.map(([front, kernelFront]) =>
    node(
      "div",
      { class: "row" },
      node(
        "figure",
        { class: "card", style: `--own: var(--array-${page.ids[source]})` },
        caption(written(source, front), page.say(page.data.arrays[source].role)),
        planes(gather.shape, 0, source, source, (slot) => {
          const [kind, cell] = gather.slots[slot];
          const element = cell
            ? cellElement(source, place(source, front, cell))
            : node(
                "td",
                {
                  class: "cell zero",
                  role: "gridcell",
                  tabindex: "-1",
                  "aria-label": `0, ${page.say(kind)}`,
                },
                "0",
              );
          element.classList.add(kind);
          element.dataset.slot = slot;
          return element;
        }),
        legend(gather),
      ),
      weight && [
        sign("⋆", "star"),
        node(
          "figure",
          { class: "card", style: `--own: var(--array-${page.ids[weight]})` },
          caption(
            written(weight, kernelFront),
            gather.turned ? page.say("turned") : page.say("kernel"),
          ),
          planes(gather.taps, 0, weight, weight, (tap) =>
            cellElement(weight, place(weight, kernelFront, gather.kernel[tap])),
          ),
        ),
      ],
    ),
  );
  const columns = [gather.shape, weight ? gather.taps : [], page.data.arrays[of].shape];
  const wide = columns.reduce((sum, shape) => sum + (shape.at(-1) ?? 0), 0);
  return node(
    "div",
    { class: wide > 14 ? "row dense" : "row" },
    node("div", {}, parts),
    node("div", { class: "pair" }, sign("="), arrayCard(of)),
  );
}

function legend(gather) {
  const kinds = new Set(gather.slots.map(([kind]) => kind));
  const shown = ["padding", "dilation", "remainder", "unread"].filter((kind) => kinds.has(kind));
  const cropped = gather.cropped.length ? `${page.say("cropped")}: ${gather.cropped.length}` : null;
  return node(
    "div",
    { class: "legend soft" },
    shown.map((kind) =>
      node("span", {}, node("span", { class: `cell zero sample ${kind}` }), page.say(kind)),
    ),
    cropped,
  );
}

function gatherLight(of, cell) {
  const marked = document.querySelectorAll("#drawing .window");
  marked.forEach((element) => element.classList.remove("window"));
  if (!cell || cell[0] !== of) return;
  const { gather, taps } = page.data.readings[of];
  const axes = gather.shape.length;
  const index = unravel(cell[1], page.data.arrays[of].shape).slice(-axes);
  const slots = new Map();
  gather.kernel.forEach((kernel, tap) => {
    const r = unravel(tap, gather.taps);
    const at = r.map(
      (offset, axis) => gather.stride[axis] * index[axis] + gather.dilation[axis] * offset,
    );
    slots.set(ravel(at, gather.shape), taps[ravel(kernel, gather.taps)] || taps[0]);
  });
  for (const element of document.querySelectorAll("#drawing [data-slot]")) {
    const tap = slots.get(Number(element.dataset.slot));
    if (!tap) continue;
    element.classList.add("window");
    element.style.setProperty("--lit", tap[0]);
  }
}

// Scatter: one source cell hands out its value; beside it the sum so far.

function scatterView(of) {
  const { source, weight, edges, taps } = page.data.readings[of];
  const here = page.positionIn(source);
  const shape = page.data.arrays[of].shape;
  const alone = new Map(),
    sums = new Map();
  for (const [target, s, w, coefficient, tap] of edges) {
    const value =
      coefficient *
      page.arithmetic.values[source][s] *
      (w < 0 ? 1 : page.arithmetic.values[weight][w]);
    if (s <= here) sums.set(target, (sums.get(target) || 0) + value);
    if (s === here) alone.set(target, { value, tap, weight: w });
  }
  const write = ({ value, weight: w }) =>
    !page.state.symbols
      ? writeNumber(value, 4)
      : [w < 0 ? null : [page.writing.html(weight, w), "·"], page.writing.html(source, here)];
  const grid = (word, make) =>
    node(
      "figure",
      { class: "card", style: `--own: var(--array-${page.ids[of]})` },
      caption(page.writing.name(of), page.say(word)),
      planes(shape, page.data.arrays[of].lead, of, `${of}, ${page.say(word)}`, make),
    );
  const plain = (position, content, lit) => {
    const element = node(
      "td",
      {
        class: `cell part${lit ? " lit" : ""}`,
        role: "gridcell",
        tabindex: "-1",
        "data-array": of,
        "data-position": position,
        "aria-label": page.writing.text(of, position),
      },
      content,
    );
    if (lit) colour(element, taps[lit.tap] || taps[0]);
    return element;
  };
  return [
    node(
      "div",
      { class: "row" },
      arrayCard(source),
      weight && [sign("→"), arrayCard(weight)],
      sign("→"),
      grid("handed out", (p) => plain(p, alone.has(p) ? write(alone.get(p)) : "", alone.get(p))),
      node(
        "div",
        { class: "pair" },
        sign("Σ"),
        grid("sum so far", (p) => plain(p, sums.has(p) ? writeNumber(sums.get(p), 4) : "", null)),
      ),
    ),
  ];
}

// Matrix: rows are target cells, columns source cells, entries cells of the kernel.

function matrixView(of) {
  const { source, weight, edges, taps } = page.data.readings[of];
  const rows = page.data.arrays[of].numbers.length,
    columns = page.data.arrays[source].numbers.length;
  if (rows * columns > 2500) return [node("p", {}, page.say("too large"))];
  const entries = new Map(edges.map((edge) => [edge[0] * columns + edge[1], edge]));
  const head = node(
    "tr",
    { role: "row" },
    node("th", { class: "corner" }, page.writing.name(of), " = M · ", page.writing.name(source)),
  );
  for (let j = 0; j < columns; j++) head.append(cellElement(source, j));
  const body = table(
    rows,
    columns,
    { role: "grid", class: "matrix", "aria-label": `${of}, ${rows}×${columns}` },
    (i, j) => {
      const edge = entries.get(i * columns + j);
      if (!edge) return node("td", { class: "cell none" });
      const element = node("td", { class: "cell entry", "data-row": i, "data-column": j });
      colour(element, taps[edge[4]] || taps[0]);
      page.entries.push([element, edge, weight]);
      return element;
    },
  );
  [...body.tBodies[0].rows].forEach((row, i) => row.prepend(cellElement(of, i)));
  body.tBodies[0].prepend(head);
  return [node("div", { class: "card scroll" }, body)];
}

function matrixLight(of, cell) {
  const { source } = page.data.readings[of];
  for (const [element, [row, column, w, coefficient], weight] of page.entries) {
    const on =
      !cell ||
      (cell[0] === of && cell[1] === row) ||
      (cell[0] === source && cell[1] === column) ||
      (cell[0] === weight && cell[1] === w);
    element.classList.toggle("dim", !on);
    const value = coefficient * (w < 0 ? 1 : page.arithmetic.values[weight][w]);
    element.replaceChildren(
      ...(page.state.symbols && w >= 0 ? page.writing.html(weight, w) : [writeNumber(value, 3)]),
    );
  }
}
