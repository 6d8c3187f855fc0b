// Stage: the drawing of a view, and what is said about it.

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
    const first =
      grid.querySelector("[aria-selected=true]") ?? grid.querySelector(".cell[data-array]");
    if (first) first.tabIndex = 0;
  });
  if (!drawing.querySelector("table[role=grid] .cell[tabindex='0']")) {
    drawing.querySelectorAll(".cell[data-array]").forEach((element) => {
      element.tabIndex = 0;
    });
  }
  if (focus)
    drawing
      .querySelector(`[data-array="${focus[0]}"][data-position="${focus[1]}"]`)
      ?.focus({ preventScroll: true });
  if (scroll) drawing.querySelector(".scroll").scrollLeft = scroll;
  byId("of").value = state.of;
  for (const tab of byId("tabs").children) {
    const on = tab.dataset.view === state.view;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
  }
}

function aboutView() {
  const {
    state: { view, of },
    data,
  } = page;
  const reading = data.readings[of];
  if (view === "gather") {
    const { turned, dilate } = reading.gather;
    const way = [
      "about gather",
      turned && reading.weight && "turned",
      dilate.some((d) => d > 1) && "dilated",
    ];
    return page.say(way.filter(Boolean).join(" "), { of, source: reading.source });
  }
  const parts = reading
    ? {
        of,
        source: reading.source,
        left: reading.edges.length,
        dense: data.arrays[of].numbers.length * data.arrays[reading.source].numbers.length,
        colours: new Set(reading.edges.map((edge) => edge[4])).size,
      }
    : {};
  return page.say(`about ${view}`, parts);
}

function fits(view, of) {
  const reading = page.data.readings[of];
  if (view === "cells" || view === "graph")
    return of in page.data.arrays && page.data.order.includes(of);
  if (view === "duality") return of === "z" || of === "δ_x";
  return Boolean(reading) && (view !== "gather" || Boolean(reading.gather));
}

function setView(view, of = page.state.of, asked = false) {
  const choices = page.data.order.filter((name) => fits(view, name));
  page.state.view = view;
  const { pinned } = page.state;
  const wanted = [asked ? of : pinned?.[0], of, "δ_x"].find((name) => choices.includes(name));
  page.state.of = wanted ?? choices[0] ?? "";
  byId("of").replaceChildren(
    ...choices.map((name) =>
      node("option", { value: name }, page.writing.text(name, 0).replace(/_?[\d,]+$/, "")),
    ),
  );
  byId("of").disabled = choices.length < 2;
  const { source, weight } = page.data.readings[page.state.of] ?? {};
  const there = view === "scatter" ? [source] : [page.state.of, source, weight];
  if (!["cells", "graph"].includes(view) && pinned && !there.includes(pinned[0])) {
    page.state.pinned = [there[0], page.positionIn(there[0])];
  }
  build();
}
