"""The page in a browser: what lights up, what the equation says, what follows a changed number.

Needs Playwright's Python package and a Chromium that is installed; skipped where there is none.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rot180 as rt
from rot180.explain import Cell, Explanation

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
             "--disable-component-update", "--no-first-run"]  # fmt: skip

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens an explanation's page from a file; no request to elsewhere and no error is forgiven."""
    wrong: list[str] = []
    contexts = []

    def opened(e: Explanation, *, width: int = 1280, dark: bool = False, **options: Any) -> Any:
        path = e.save(tmp_path / f"{len(contexts)}.html", **options)
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: request.url.startswith("file:")
                or wrong.append(request.url))  # fmt: skip
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong


def at(e: Explanation, cell: Cell) -> str:
    return f'#drawing .cell[data-array="{cell.name}"][data-position="{e.position(cell.ref)}"]'


def lit(page: Any) -> set[tuple[str, int]]:
    found = page.eval_on_selector_all(
        "#drawing .cell.lit[data-array]",
        "all => all.map(c => [c.dataset.array, Number(c.dataset.position)])",
    )
    return {(name, position) for name, position in found}


def flat(text: str) -> str:
    """Signs only: what MathML writes as subscripts and the text with underscores is the same."""
    return re.sub(r"[\s_\u2009]", "", text)


def numbers(page: Any, name: str) -> list[float]:
    found: list[float] = page.evaluate(f"page.arithmetic.values[{name!r}]")
    return found


CONV = {"input": (5, 4), "kernel": (3, 2), "stride": (2, 1), "padding": 1}


@pytest.mark.parametrize("where", ["dx:1,1", "dx:4,3", "dw:2,0", "z:1,2"])
def test_a_clicked_cell_shows_its_sources_and_its_equation(open_page: Open, where: str) -> None:
    e = rt.explain.conv2d(**CONV)
    page, cell = open_page(e), e.cell(where)
    page.click(at(e, cell))
    page.mouse.move(5, 5)
    assert lit(page) == {(ref.name, e.position(ref)) for ref in cell.sources}
    assert flat(page.text_content("#symbols")) == flat(cell.equation)
    assert flat(page.text_content("#numbers")) == flat(cell.numbers)
    assert page.locator(at(e, cell)).get_attribute("aria-selected") == "true"
    for ref in cell.sources:  # one product, one colour
        pair = next(t.cells for t in cell.terms if ref in t.cells)
        colours = {page.locator(at(e, e[r.name].at(r.index))).evaluate(
            "c => getComputedStyle(c).backgroundColor") for r in pair}  # fmt: skip
        assert len(colours) == 1


def test_a_cell_under_the_mouse_lights_up_and_goes_out_again(open_page: Open) -> None:
    e = rt.explain.conv2d(**CONV)
    page = open_page(e)
    before = lit(page)
    cell = e.cell("z:0,0")
    page.hover(at(e, cell))
    assert lit(page) == {(ref.name, e.position(ref)) for ref in cell.sources} != before
    page.mouse.move(5, 5)
    assert lit(page) == before


def test_who_reads_a_given_cell_is_framed(open_page: Open) -> None:
    e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2))
    page, cell = open_page(e), e.cell("x:1,1")
    page.click(at(e, cell))
    page.mouse.move(5, 5)
    framed = page.eval_on_selector_all(
        ".cell.reads", "all => all.map(c => c.dataset.array + c.dataset.position)"
    )
    expected = {f"{name}{e.position(c.ref)}" for name in ("z", "δ_w") for c in e[name]
                if cell.ref in c.sources}  # fmt: skip
    assert set(framed) == expected


def test_every_dependent_cell_follows_a_changed_number(open_page: Open) -> None:
    e = rt.explain.conv2d(**CONV)
    page = open_page(e)
    arrays = {name: e[name].array.copy() for name in ("x", "w", "δ")}
    for where, value in (("x:2,1", 7.5), ("w:0,1", -6.0), ("g:1,0", 0.25)):
        cell = e.cell(where)
        page.click(at(e, cell))
        page.fill("#number", str(value))
        arrays[cell.name][cell.index] = value
        now = e.again(input=arrays["x"], kernel=arrays["w"], g=arrays["δ"])
        for name in ("z", "δ_x", "δ_w"):
            np.testing.assert_allclose(numbers(page, name), now[name].array.ravel(), rtol=1e-12)
            there = now[name].at((0, 0, 1, 1))
            words = f"{there.label} = {there.numbers.rpartition(' = ')[2]}"
            assert page.locator(at(e, there)).get_attribute("aria-label") == words
    assert page.get_attribute("#state", "data-kind") == "changed"
    assert "Numbers changed: 3" in page.text_content("#state")
    page.click("#reset")
    assert page.get_attribute("#state", "data-kind") == "agrees"
    np.testing.assert_array_equal(numbers(page, "δ_x"), e.dx.array.ravel())


def test_another_winner_gets_the_gradient(open_page: Open) -> None:
    e = rt.explain.max_pool2d(input=(4, 4), kernel=2)
    page = open_page(e)
    winner = e.cell("z:0,0").sources[0]
    loser = next(ref for ref in e.cell("z:0,0").candidates if ref != winner)
    page.click(at(e, e["x"].at(loser.index)))
    page.fill("#number", "99")
    gradient = numbers(page, "δ_x")
    assert gradient[e.position(winner)] == 0
    assert gradient[e.position(loser)] == e.number(e.cell("g:0,0").ref)


def test_a_word_is_no_number(open_page: Open) -> None:
    e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2))
    page = open_page(e)
    page.click(at(e, e.cell("x:0,0")))
    page.fill("#number", "seven")
    assert page.get_attribute("#number", "aria-invalid") == "true"
    assert page.get_attribute("#state", "data-kind") == "agrees"


def test_keyboard_only(open_page: Open) -> None:
    e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2))
    page = open_page(e)
    focused = "document.activeElement.dataset.array + ':' + document.activeElement.dataset.position"
    for _ in range(12):  # theme, views, then the first array
        page.keyboard.press("Tab")
        if page.evaluate(focused).startswith("x:"):
            break
    assert page.evaluate(focused) == "x:0"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "x:4"
    page.keyboard.press("-")  # a digit or a sign begins to change the number
    page.keyboard.type("12")
    assert page.input_value("#number") == "-12"
    page.keyboard.press("Enter")
    assert page.evaluate(focused) == "x:4"
    x = e.x.array.copy()
    x[0, 0, 1, 1] = -12
    np.testing.assert_array_equal(numbers(page, "z"), e.again(input=x).z.array.ravel())
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate(focused).startswith("δ:")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("End")
    assert page.evaluate(focused) == "z:1"
    assert lit(page) == {(ref.name, e.position(ref)) for ref in e.cell("z:0,1").sources}
    assert "z_01 = " in page.text_content("#live")


def test_a_mouse_that_rests_does_not_hold_the_keyboard_up(open_page: Open) -> None:
    e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2))
    page = open_page(e)
    page.click(at(e, e.cell("z:0,0")))
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(100)
    assert lit(page) == {(ref.name, e.position(ref)) for ref in e.cell("z:0,1").sources}


def test_stepping_and_playing(open_page: Open) -> None:
    e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2))
    page = open_page(e)
    page.click(at(e, e.cell("dx:0,0")))
    page.click("#forth")
    assert flat(page.text_content("#symbols")) == flat(e.dx[0, 1].equation)
    page.click("#back")
    page.click("#back")
    assert flat(page.text_content("#symbols")) == flat(e.dx[2, 2].equation)
    page.click("#play")
    assert page.get_attribute("#play", "aria-pressed") == "true"
    page.wait_for_selector(at(e, e.dx[0, 1]) + "[aria-selected=true]", timeout=6000)
    page.click("#play")
    assert page.get_attribute("#play", "aria-pressed") == "false"


def test_the_gather_view_draws_the_slots(open_page: Open) -> None:
    e = rt.explain.conv2d(input=(6, 6), kernel=(3, 3), stride=2)
    page = open_page(e)
    page.click("[data-view=gather]")
    page.click(at(e, e.cell("dx:2,2")))
    view = e.view("gather", "dx")
    kinds = page.eval_on_selector_all("[data-slot]", "all => all.map(c => [...c.classList])")
    for slot, classes in zip(view.slots.ravel(), kinds, strict=True):
        assert slot.kind in classes
    places = [int(np.ravel_multi_index(p, view.slots.shape)) for p, _ in view.windows((2, 2))]
    window = page.eval_on_selector_all(
        ".window[data-slot]", "all => all.map(c => Number(c.dataset.slot))"
    )
    assert sorted(window) == sorted(places)


def test_the_scatter_view_adds_up(open_page: Open) -> None:
    e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2))
    page = open_page(e, view="scatter")
    page.click(at(e, e.cell("g:1,1")))
    sums = page.eval_on_selector_all(
        "figure:last-of-type .part", "all => all.map(c => c.textContent)"
    )
    last = [text.replace("−", "-") for text in sums[-9:]]
    np.testing.assert_array_equal(np.array(last, float), e.dx.array.ravel())


WINDOWS: dict[str, Callable[[], Explanation]] = {
    "remainder": lambda: rt.explain.conv2d(input=(6, 5), kernel=(2, 2), stride=3, bias=True),
    "channels": lambda: rt.explain.conv2d(input=(2, 4, 4, 4), kernel=(4, 2, 2, 2), groups=2),
    "one axis": lambda: rt.explain.conv1d(input=(7,), kernel=(3,), dilation=2, padding=((2, 1),)),
    "three axes": lambda: rt.explain.conv3d(input=(3, 3, 2), kernel=(2, 2, 2)),
    "convolution": lambda: rt.explain.conv2d(input=(4, 4), kernel=(2, 3), mode="convolution"),
    "crop": lambda: rt.explain.conv2d(input=(5, 5), kernel=(3, 3), padding=-1, stride=2),
    "transposed": lambda: rt.explain.conv_transpose2d(
        input=(3, 3), kernel=(3, 3), stride=2, padding=1, output_padding=1
    ),
    "max": lambda: rt.explain.max_pool2d(input=(5, 5), kernel=3, stride=2),
    "mean": lambda: rt.explain.avg_pool2d(input=(5, 5), kernel=3, stride=2, padding=1),
    "linear": lambda: rt.explain.linear(input=(2, 3), outputs=4),
    "entropy": lambda: rt.explain.cross_entropy(input=(2, 3), target=[1, 0]),
    "softmax": lambda: rt.explain.softmax(input=(4,), dim=0),
    "gelu": lambda: rt.explain.gelu(input=(5,)),
    "leaky": lambda: rt.explain.leaky_relu(input=(4,)),
    "batch norm": lambda: rt.explain.batch_norm(input=(2, 2, 2, 2)),
    "layer norm": lambda: rt.explain.layer_norm(input=(2, 4)),
    "penalty": lambda: rt.explain(lambda w: (w * w).sum() * 0.5, np.array([1.0, -2.0])),
    "graph": lambda: rt.explain(lambda x, y, z: (x + y) * z, -2, 5, -4),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WINDOWS)
def test_the_page_computes_what_the_engine_computes(open_page: Open, name: str) -> None:
    e = WINDOWS[name]()
    page = open_page(e)
    for view in page.evaluate("page.data.views"):
        page.click(f"[data-view={view}]")
        assert page.get_attribute("#state", "data-kind") == "agrees"
        assert page.locator("#drawing *").count() > 0
        page.click("#forth")
    for array in page.evaluate("page.data.order"):
        np.testing.assert_allclose(
            np.array(numbers(page, array), float), e[array].array.ravel(), rtol=1e-12, atol=1e-12
        )


CONTRAST = """() => {
  const light = (colour) => {
    const parts = colour.match(/[\\d.]+/g).map(Number);
    const scale = colour.startsWith("color(") ? 1 : 255;
    const [r, g, b] = parts.slice(0, 3).map((c) => {
      const s = c / scale;
      return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (colour !== "rgba(0, 0, 0, 0)") return colour;
    }
    return "rgb(255, 255, 255)";
  };
  return [...document.querySelectorAll(".cell, .soft, button, h1, h2, .name, #about, #state, math")]
    .filter((e) => e.textContent.trim() && !e.closest(".dim, .unread, .unseen"))
    .map((e) => {
      const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), e.className || e.tagName, e.textContent];
    }).sort((x, y) => x[0] - y[0])[0];
}"""


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 400])
def test_it_fits_and_is_read_easily(open_page: Open, width: int, dark: bool) -> None:
    e = rt.explain.conv2d(input=(6, 6), kernel=(3, 3), stride=2, padding=1)
    page = open_page(e, width=width, dark=dark)
    for view in page.evaluate("page.data.views"):
        page.click(f"[data-view={view}]")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        ratio, *what = page.evaluate(CONTRAST)
        assert ratio >= 4.5, what


def test_the_other_colours_by_a_button(open_page: Open) -> None:
    page = open_page(rt.explain.conv2d(input=(3, 3), kernel=(2, 2)))
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.click("#theme")
    assert page.evaluate(paper) != light
    page.click("#theme")
    assert page.evaluate(paper) == light


def test_chinese(open_page: Open) -> None:
    e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2), lang="zh")
    page = open_page(e)
    assert page.text_content("[data-view=gather]") == "收集"
    assert "传来的误差敏感项" in page.text_content("#drawing")
