// Drawings: the network unrolled, the graph of the chain rule, and the two modes side by side.

const STEP = 34;

function networkView(of) {
  const { source, weight, edges, taps } = page.data.readings[of];
  const left = page.data.arrays[source].numbers.length,
    right = page.data.arrays[of].numbers.length;
  if (left > 80 || right > 80 || edges.length > 900) return [node("p", {}, page.say("too large"))];
  const height = Math.max(left, right) * STEP + 8;
  const y = (count, i) => (height * (i + 0.5)) / count;
  const width = 300;
  const drawing = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    height,
    preserveAspectRatio: "none",
    "aria-hidden": "true",
  });
  page.lines = edges.map((edge) => {
    const [target, s, , , tap] = edge;
    const line = svg("line", {
      x1: 0,
      x2: width,
      y1: y(left, s),
      y2: y(right, target),
      class: "edge",
      "vector-effect": "non-scaling-stroke",
    });
    line.style.setProperty("--lit", (taps[tap] || taps[0])[0]);
    drawing.append(line);
    return [line, edge, weight];
  });
  const column = (name, count) => {
    const box = node("div", {
      class: "nodes",
      style: `height:${height}px; --own: var(--array-${page.ids[name]})`,
    });
    for (let i = 0; i < count; i++) {
      const element = cellElement(name, i, "div");
      element.style.top = `${y(count, i)}px`;
      box.append(element);
    }
    return box;
  };
  return [
    node(
      "div",
      { class: "card scroll" },
      node("div", { class: "network" }, column(source, left), drawing, column(of, right)),
    ),
    weight && node("div", { class: "row" }, arrayCard(weight)),
  ];
}

function networkLight(of, cell) {
  const { source } = page.data.readings[of];
  for (const [line, [target, s, w], weight] of page.lines) {
    const on =
      !cell ||
      (cell[0] === of && cell[1] === target) ||
      (cell[0] === source && cell[1] === s) ||
      (cell[0] === weight && cell[1] === w);
    line.classList.toggle("dim", !on);
    line.classList.toggle("strong", Boolean(cell) && on);
  }
}

// Graph: arrays in layers by how far they are from what was given.

function graphView() {
  const { nodes, edges } = page.data.graph;
  const depth = {};
  for (const { name } of nodes) {
    const into = edges
      .filter((edge) => edge.target === name)
      .map((edge) => depth[edge.source] ?? 0);
    depth[name] = into.length ? 1 + Math.max(...into) : 0;
  }
  for (const { name } of nodes) {
    // what was given stands just before its first reader
    const out = edges.filter((edge) => edge.source === name).map((edge) => depth[edge.target]);
    if (!edges.some((edge) => edge.target === name) && out.length)
      depth[name] = Math.min(...out) - 1;
  }
  const layers = [];
  for (const entry of nodes) (layers[depth[entry.name]] ||= []).push(entry);
  const wide = 262,
    high = 124,
    box = 132,
    tall = 84;
  const most = Math.max(...layers.map((layer) => (layer || []).length));
  const spans = edges.map(({ source, target }) => depth[target] - depth[source] - 1);
  const crossed = Math.max(0, ...spans);
  const top = crossed && 24 + 30 * crossed; // room for bows
  const place = {};
  layers.forEach((layer, i) =>
    layer.forEach(({ name }, j) => {
      place[name] = [i * wide + 4, top + (most * high * (j + 0.5)) / layer.length - tall / 2];
    }),
  );
  const drawing = svg(
    "svg",
    {
      width: (layers.length - 1) * wide + box + 8,
      height: top + most * high,
      role: "img",
      "aria-label": page.say("about graph"),
    },
    svg(
      "defs",
      {},
      svg(
        "marker",
        {
          id: "tip",
          viewBox: "0 0 8 8",
          refX: 7,
          refY: 4,
          markerWidth: 8,
          markerHeight: 8,
          orient: "auto",
        },
        svg("path", { d: "M0 0 L8 4 L0 8 z", class: "tip" }),
      ),
    ),
  );
  const written = (name) => {
    const [head, ...rest] = name.split("_");
    return [
      svg("tspan", { "font-style": "italic" }, head),
      rest.length ? svg("tspan", { dy: 4, "font-size": 11 }, rest.join("_")) : null,
      rest.length ? svg("tspan", { dy: -4 }, "\u200b") : null,
    ];
  };
  for (const { source, target, local } of edges) {
    const between = depth[target] - depth[source] - 1;
    let [x1, y1] = place[source];
    let [x2, y2] = place[target];
    const rise = between > 0 ? 16 + 30 * between : 0;
    if (rise) {
      // over the boxes in between, not through them
      x1 += box * 0.6;
      x2 += box * 0.4;
    } else {
      x1 += box;
      y1 += tall / 2;
      y2 += tall / 2;
    }
    const t = rise ? 0.5 : 0.42;
    const bend = `${(x1 + x2) / 2} ${(y1 + y2) / 2 - 2 * rise}`;
    const at = { x: x1 + (x2 - x1) * t, y: y1 + (y2 - y1) * t - 7 - rise, class: "local" };
    drawing.append(
      svg("path", {
        d: `M${x1} ${y1} Q${bend} ${x2} ${y2}`,
        class: "arrow",
        "marker-end": "url(#tip)",
      }),
      svg("text", at, local),
    );
  }
  for (const { name, operation, delta } of nodes) {
    const [x, y] = place[name];
    const text = (dy, kind, content) =>
      svg("text", { x: x + box / 2, y: y + dy, class: kind }, content);
    const shown = (array) =>
      page.data.arrays[array].numbers.length === 1
        ? ` = ${writeNumber(page.arithmetic.values[array][0], 4)}`
        : `  ${page.data.arrays[array].shown.join("×")}`;
    const group = svg(
      "g",
      {
        class: "box",
        "data-array": name,
        "data-position": 0,
        tabindex: 0,
        role: "button",
        "aria-label": name,
      },
      svg("rect", { x, y, width: box, height: tall, rx: 8 }),
      text(operation ? 25 : 34, "name", [written(name), shown(name)]),
      text(45, "operation", operation),
      delta
        ? text(operation ? 68 : 62, "delta", [
            written(delta),
            page.data.arrays[delta] ? shown(delta) : "",
          ])
        : null,
    );
    group.style.setProperty("--own", `var(--array-${page.ids[name]})`);
    if (delta && page.ids[delta] !== undefined)
      group.style.setProperty("--delta", `var(--array-${page.ids[delta]})`);
    drawing.append(group);
  }
  return [node("div", { class: "card scroll" }, drawing)];
}

// Duality: one output and one input gradient in both modes.

function dualityView() {
  const lines = ["correlation", "convolution"].map((mode) =>
    node(
      "figure",
      { class: "card" },
      node("figcaption", {}, node("span", { class: "name upright" }, page.say(mode))),
      ["z", "δ_x"].map((name) => {
        const position = page.positionIn(name);
        const formula = page.data.duality[mode][name][position];
        const own = { class: "equation", style: `--own: var(--array-${page.ids[name]})` };
        return [
          node(
            "div",
            own,
            equation(name, position, formula, (ref) => page.writing.cell(ref)),
          ),
          node(
            "div",
            own,
            equation(name, position, formula, ([n, p]) =>
              page.writing.value(page.arithmetic.values[n][p]),
            ),
            node(
              "span",
              { class: "result" },
              `= ${writeNumber(page.arithmetic.evaluate(formula))}`,
            ),
          ),
        ];
      }),
    ),
  );
  return [
    node("div", { class: "row" }, lines),
    node("div", { class: "row" }, arrayCard("z"), arrayCard("δ_x")),
  ];
}
