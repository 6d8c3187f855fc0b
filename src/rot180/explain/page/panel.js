// Panel: what is lit, the equation of a cell, and what the page says about its numbers.

function termColours(name, position, terms) {
  const reading = page.data.readings[name];
  return terms.map((term, i) => {
    const refs = references([term]);
    if (reading && reading.taps.length > 1) {
      const has = (array, p) => refs.some((ref) => ref[0] === array && ref[1] === p);
      const edge = page
        .edgesInto(name, position)
        .find(([s, w]) => has(reading.source, s) && (w < 0 || has(reading.weight, w)));
      return edge ? reading.taps[edge[2]] : null;
    }
    return page.data.palette[i % page.data.palette.length];
  });
}

function paint() {
  const { state, arithmetic, data } = page;
  const cell = state.hover ?? state.pinned;
  for (const [key, elements] of page.cells) {
    const at = key.lastIndexOf(":");
    const name = key.slice(0, at),
      position = Number(key.slice(at + 1));
    const value = arithmetic.values[name][position];
    const text = page.writing.text(name, position);
    for (const element of elements) {
      element.classList.remove("lit", "among", "chosen", "reads");
      element.classList.toggle("changed", arithmetic.changed(name, position));
      element.style.removeProperty("--lit");
      element.style.removeProperty("--ink2");
      element.replaceChildren(
        ...(state.symbols ? page.writing.html(name, position) : [writeNumber(value, 3)]),
      );
      element.setAttribute("aria-label", `${text} = ${writeNumber(value)}`);
      element.setAttribute("aria-selected", String(Boolean(same(state.pinned, [name, position]))));
      element.title = `${text} = ${writeNumber(value)}`;
    }
  }
  const each = ([name, position], act) =>
    (page.cells.get(`${name}:${position}`) ?? []).forEach(act);
  if (cell) {
    for (const reader of page.readers.get(cell.join(":")) ?? [])
      each(reader, (element) => element.classList.add("reads"));
    data.choices[cell[0]]?.cells[cell[1]].forEach((p) =>
      each([data.choices[cell[0]].from, p], (element) => element.classList.add("among")),
    );
    const terms = arithmetic.terms(...cell) ?? [];
    termColours(...cell, terms).forEach((colour, i) =>
      references([terms[i]]).forEach((ref) =>
        each(ref, (element) => {
          element.classList.add("lit");
          if (colour) {
            element.style.setProperty("--lit", colour[0]);
            element.style.setProperty("--ink2", colour[1]);
          }
        }),
      ),
    );
    each(cell, (element) => element.classList.add("chosen"));
  }
  VIEWS[state.view].light?.(state.of, cell);
  paintPanel(cell);
  paintState();
}

// The equation of a cell: one piece of MathML for each term, so that long sums wrap.

function equation(name, position, terms, put, colours = []) {
  const pieces = [math("math", page.writing.cell([name, position]), between("=", true))];
  if (!terms.length) pieces.push(math("math", math("mn", "0")));
  terms.slice(0, 60).forEach((term, i) => {
    const negative = Number(term[0]) < 0;
    const written = math(
      "math",
      ...(i || negative ? [between(negative ? "−" : "+", i)] : []),
      writeTerm(term, put),
    );
    const piece = node("span", { class: "term" }, written);
    if (colours[i]) piece.style.setProperty("--lit", colours[i][0]);
    pieces.push(piece);
  });
  if (terms.length > 60) pieces.push(page.say("more", { count: terms.length - 60 }));
  return pieces;
}

function chip([name, position]) {
  const element = node(
    "button",
    { type: "button", class: "chip", "data-go": `${name}:${position}` },
    page.writing.html(name, position),
  );
  element.style.setProperty("--own", `var(--array-${page.ids[name]})`);
  return element;
}

function chips(cells) {
  return node(
    "span",
    { class: "chips" },
    cells.slice(0, 16).map(chip),
    cells.length > 16 ? page.say("more", { count: cells.length - 16 }) : null,
  );
}

function paintPanel(cell) {
  const panel = byId("panel");
  if (!cell) return panel.replaceChildren();
  const [name, position] = cell;
  const value = page.arithmetic.values[name][position];
  const terms = page.arithmetic.terms(name, position);
  const parts = [];
  const editing = document.activeElement?.id === "number" && panel.dataset.cell === cell.join(":");
  if (terms) {
    const colours = termColours(name, position, terms);
    const chosen = page.data.choices[name];
    if (chosen)
      parts.push(
        node(
          "p",
          { class: "soft" },
          page.say("choice"),
          " ",
          chips(chosen.cells[position].map((p) => [chosen.from, p])),
        ),
      );
    parts.push(
      node(
        "div",
        { class: "equation", id: "symbols" },
        equation(name, position, terms, (ref) => page.writing.cell(ref), colours),
      ),
    );
    parts.push(
      node(
        "div",
        { class: "equation", id: "numbers" },
        equation(
          name,
          position,
          terms,
          ([n, p]) => page.writing.value(page.arithmetic.values[n][p]),
          colours,
        ),
        node("span", { class: "result" }, `= ${writeNumber(value)}`),
      ),
    );
    if (!terms.length) parts.push(node("p", { class: "soft" }, page.say("nothing")));
  } else if (!editing) {
    const input = node("input", {
      id: "number",
      type: "text",
      inputmode: "decimal",
      autocomplete: "off",
      "aria-label": page.say("change", { cell: page.writing.text(name, position) }),
      value: String(value),
    });
    parts.push(
      node(
        "div",
        { class: "equation given" },
        math("math", page.writing.cell(cell), between("=", true)),
        input,
      ),
    );
  }
  const readers = page.readers.get(cell.join(":")) ?? [];
  parts.push(
    node(
      "p",
      { class: "soft" },
      readers.length ? [page.say("read by"), " ", chips(readers)] : page.say("nobody"),
    ),
  );
  panel.style.setProperty("--own", `var(--array-${page.ids[name]})`);
  if (editing && !terms) {
    // the input that is being typed into stays where it is
    panel.lastElementChild.replaceWith(parts.at(-1));
  } else {
    panel.replaceChildren(...parts);
  }
  panel.dataset.cell = cell.join(":");
}

function announce(cell) {
  const [name, position] = cell;
  const from = [...new Set(references(page.arithmetic.terms(name, position) ?? []).map(String))]
    .slice(0, 12)
    .map((ref) =>
      page.writing.text(
        ref.slice(0, ref.lastIndexOf(",")),
        Number(ref.slice(ref.lastIndexOf(",") + 1)),
      ),
    );
  byId("live").textContent =
    `${page.writing.text(name, position)} = ${writeNumber(page.arithmetic.values[name][position])}` +
    (from.length ? `, ${page.say("sources", { cells: from.join(", ") })}` : "");
}

function paintState() {
  const { arithmetic, data } = page;
  const count = (names) =>
    names.reduce(
      (sum, name) =>
        sum + arithmetic.values[name].filter((_, i) => arithmetic.changed(name, i)).length,
      0,
    );
  const given = count(arithmetic.given);
  const differing = arithmetic.differing();
  const all = data.order.reduce((sum, name) => sum + data.arrays[name].numbers.length, 0);
  byId("state").textContent = given
    ? page.say("changed", { given, count: count(data.order) })
    : differing
      ? page.say("differs", { count: differing })
      : page.say("agrees", { count: all });
  byId("state").dataset.kind = given ? "changed" : differing ? "differs" : "agrees";
  byId("reset").hidden = !given;
}
