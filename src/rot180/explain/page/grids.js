// Grids: elements, and arrays as tables of cells that a mouse or a keyboard walks through.

function fill(element, children) {
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined));
  return element;
}

function node(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null) element.setAttribute(key, value);
  }
  return fill(element, children);
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return fill(element, children);
}

// A table of one plane; `make(index)` makes the td of a cell.
function table(rows, columns, attributes, make) {
  const body = node("tbody", {});
  for (let i = 0; i < rows; i++) {
    const row = node("tr", { role: "row" });
    for (let j = 0; j < columns; j++) row.append(make(i, j));
    body.append(row);
  }
  return node("table", attributes, body);
}

// All planes of an array: the last two axes are rows and columns, the others are listed.
function planes(shape, lead, name, label, make) {
  const sizes = [1, 1, ...shape].slice(-2);
  const outer = shape.slice(0, -2);
  const count = outer.reduce((a, b) => a * b, 1);
  const size = sizes[0] * sizes[1];
  const drawn = [];
  for (let plane = 0; plane < count; plane++) {
    const index = unravel(plane, outer).slice(lead);
    const at = index.length ? `[${index.map((i) => i + page.data.base).join(", ")}]` : "";
    drawn.push(
      node(
        "div",
        { class: "plane" },
        at ? node("div", { class: "caption" }, page.writing.name(name), at) : null,
        table(sizes[0], sizes[1], { role: "grid", "aria-label": label + at }, (i, j) =>
          make(plane * size + i * sizes[1] + j),
        ),
      ),
    );
  }
  return node("div", { class: "planes" }, drawn);
}

// One cell of an array. Every element that shows a cell is registered, so that it can be lit.
function cellElement(name, position, tag = "td") {
  const element = node(tag, {
    class: "cell",
    "data-array": name,
    "data-position": position,
    role: tag === "td" ? "gridcell" : "button",
    tabindex: "-1",
  });
  element.style.setProperty("--own", `var(--array-${page.ids[name]})`);
  const tap = page.taps.get(`${name}:${position}`);
  if (tap) element.style.setProperty("--tap", tap[0]);
  page.register(`${name}:${position}`, element);
  return element;
}

function arrayCard(name, note = "") {
  const array = page.data.arrays[name];
  const size = array.shown.join("×") || "1";
  const label = `${name}, ${page.say(array.role)}, ${size}`;
  const kinds = [(array.shape.at(-1) || 1) > 12 && "small", array.numbers.length > 200 && "tall"];
  return node(
    "figure",
    {
      class: ["card", ...kinds].filter(Boolean).join(" "),
      "data-card": name,
      style: `--own: var(--array-${page.ids[name]})`,
    },
    node(
      "figcaption",
      {},
      node("span", { class: "name" }, page.writing.name(name)),
      node(
        "span",
        { class: "soft" },
        [page.say(array.role), array.role === "gradient" ? "" : array.made, size, note]
          .filter(Boolean)
          .join(" · "),
      ),
    ),
    planes(array.shape, array.lead, name, label, (position) => cellElement(name, position)),
  );
}

// Arrow keys walk within a table, and on to the next table at its edge.
const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

function walk(element, key) {
  const row = element.closest("tr");
  if (!row) {
    const all = [...document.querySelectorAll("#drawing .cell")];
    return all[all.indexOf(element) + (key === "ArrowLeft" || key === "ArrowUp" ? -1 : 1)];
  }
  const rows = [...row.parentNode.children];
  const column = [...row.children].indexOf(element);
  if (key === "Home") return row.firstElementChild;
  if (key === "End") return row.lastElementChild;
  const [down, right] = ARROWS[key];
  const found = rows[rows.indexOf(row) + down]?.children[column + right];
  if (found) return found.classList.contains("cell") ? found : null;
  const tables = [...document.querySelectorAll("#drawing table[role=grid]")];
  const next = tables[tables.indexOf(row.closest("table")) + Math.sign(down + right)];
  return next?.querySelector(".cell");
}
