// Events: selecting, stepping and playing, changing a number; by mouse and by keyboard.

function pin(cell, focus = false) {
  const { state } = page;
  state.pinned = cell;
  state.hover = null;
  state.last[cell[0]] = cell[1];
  const other =
    fits(state.view, cell[0]) &&
    cell[0] !== state.of &&
    cell[0] !== page.data.readings[state.of]?.source;
  if (other && state.view !== "scatter") setView(state.view, cell[0]);
  else if (VIEWS[state.view].rebuilds) build();
  else paint();
  announce(cell);
  if (focus)
    byId("drawing")
      .querySelector(`.cell[data-array="${cell[0]}"][data-position="${cell[1]}"]`)
      ?.focus();
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
  return element && element.dataset.position !== undefined
    ? [element.dataset.array, Number(element.dataset.position)]
    : null;
};

function listen() {
  const drawing = byId("drawing");
  let seen = "";
  drawing.addEventListener("pointermove", (event) => {
    // A drawing that moves under a mouse that rests is no pointing.
    const place = `${event.clientX} ${event.clientY}`;
    if (place === seen) return;
    seen = place;
    const cell = event.pointerType === "mouse" ? cellOf(event.target) : null;
    if (document.activeElement?.id === "number" || same(cell, page.state.hover)) return;
    page.state.hover = cell;
    paint();
  });
  drawing.addEventListener("pointerleave", () => {
    if (page.state.hover) {
      page.state.hover = null;
      paint();
    }
  });
  drawing.addEventListener("click", (event) => {
    const cell = cellOf(event.target);
    if (cell) {
      play(false);
      pin(cell, event.target.closest(".cell") !== null);
    }
  });
  drawing.addEventListener("dblclick", () => byId("number")?.select());
  drawing.addEventListener("keydown", (event) => {
    const element = event.target.closest("[data-array], .cell");
    if (!element || event.ctrlKey || event.metaKey || event.altKey) return;
    const cell = cellOf(element);
    if (event.key in ARROWS || event.key === "Home" || event.key === "End") {
      const next = element.classList.contains("cell") && walk(element, event.key);
      if (next) {
        const to = cellOf(next);
        next.focus();
        if (to) pin(to);
      }
      event.preventDefault();
    } else if (cell && (event.key === "Enter" || event.key === " ")) {
      pin(cell);
      if (event.key === "Enter") byId("number")?.select();
      event.preventDefault();
    } else if (cell && /^[-\d.]$/.test(event.key) && page.arithmetic.given.includes(cell[0])) {
      if (!same(cell, page.state.pinned)) pin(cell);
      byId("number").select(); // the key itself is typed into it
    }
  });
  drawing.addEventListener("focusin", (event) => {
    const cell = cellOf(event.target);
    if (cell && event.target.matches(":focus-visible") && !same(cell, page.state.pinned)) pin(cell);
  });
  const panel = byId("panel");
  panel.addEventListener("focusin", (event) => {
    if (event.target.id === "number" && page.state.hover) {
      page.state.hover = null;
      paint();
    }
  });
  panel.addEventListener("input", (event) => change(event.target.value));
  panel.addEventListener("keydown", (event) => {
    if (event.target.id !== "number") return;
    if (event.key === "Escape")
      change(String(page.arithmetic.first[page.state.pinned[0]][page.state.pinned[1]]));
    if (event.key === "Enter" || event.key === "Escape") {
      const [name, position] = page.state.pinned;
      const back = drawing.querySelector(
        `.cell[data-array="${name}"][data-position="${position}"]`,
      );
      if (back) back.focus();
      else event.target.blur();
      paint();
      event.preventDefault();
    }
  });
  panel.addEventListener("click", (event) => {
    const go = event.target.closest("[data-go]")?.dataset.go;
    if (go)
      pin([go.slice(0, go.lastIndexOf(":")), Number(go.slice(go.lastIndexOf(":") + 1))], true);
  });
  byId("of").addEventListener("change", (event) =>
    setView(page.state.view, event.target.value, true),
  );
  byId("mode").addEventListener("change", (event) => {
    page.state.symbols = event.target.value === "symbols";
    build();
  });
  byId("back").addEventListener("click", () => {
    play(false);
    step(-1);
  });
  byId("forth").addEventListener("click", () => {
    play(false);
    step(1);
  });
  byId("play").addEventListener("click", () => play(!page.state.timer));
  byId("reset").addEventListener("click", () => {
    page.arithmetic.reset();
    build();
    byId("play").focus();
  });
  byId("theme").addEventListener("click", () => {
    const { style } = document.documentElement;
    const dark = style.colorScheme
      ? style.colorScheme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
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
  byId("tabs").replaceChildren(
    ...data.views.map((view) => {
      const tab = node(
        "button",
        { type: "button", role: "tab", "data-view": view, "aria-controls": "stage" },
        page.say(`view ${view}`),
      );
      tab.addEventListener("click", () => setView(view));
      return tab;
    }),
  );
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
