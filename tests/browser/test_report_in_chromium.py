"""The report in a real browser (Debian's chromium): `make test-browser`."""

from __future__ import annotations

import base64
import re
import shutil
import xml.etree.ElementTree
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from pgcgan.genotypes import Genotypes, Variants
from pgcgan.metrics import Evaluation, evaluate
from pgcgan.report import write_figures, write_report

HOSTILE = (
    "<script>alert(1)</script>",
    '"quo\'ted" & <b>bold</b>',
    "𓂀🧬 ünï</svg>",
    "</script><img src=x onerror=alert(2)>",
)
PHONE, DESKTOP = (360, 740), (1280, 900)


@pytest.fixture(scope="session")
def evaluation(cohort: Genotypes) -> Evaluation:
    """Return an evaluation whose names would all be markup if they were not escaped."""
    index = np.arange(cohort.n_samples)
    v = cohort.variants
    contig = ["<i>1</i>"] * len(v)
    variants = Variants(contig, v.position, v.id, v.ref, v.alt)
    labels = {"<script>alert(3)</script>": [HOSTILE[i % 4] for i in index]}
    samples = [f"<b>{i}</b>" for i in index]
    whole = Genotypes(cohort.calls, variants, samples, labels)
    train, synthetic, holdout = (whole.select(samples=index // 4 % 3 == k) for k in range(3))
    found = evaluate(train, synthetic, holdout=holdout)
    brought = {
        "baselines": {HOSTILE[0]: [asdict(r) for r in found.rows]},
        "augmentation": {
            "label": HOSTILE[1],
            "score": HOSTILE[3],
            "kept": [10, 25, 50],
            "curves": {HOSTILE[0]: [1, 2, 3]},
        },
        "training": {"step": [1, 2, 3], "curves": {HOSTILE[3]: [3.0, 2.0, 1.5]}},
    }
    files = {"synthetic": f"{HOSTILE[0]}.vcf", "real": f"{HOSTILE[3]}.bcf"}
    return Evaluation(found.rows, found.figures | brought, found.provenance | {"files": files})


@pytest.fixture(scope="session")
def address(evaluation: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the address of the report."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    return write_report(evaluation, path).as_uri()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return Chromium, started once."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.fail("There is no chromium on the path; install it (apt-get install chromium).")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program)
        yield started
        started.close()


@pytest.fixture
def opened(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Return a function that opens the report; whatever goes wrong on the page fails the test at its end."""
    wrong: list[str] = []
    contexts = []

    def go(size: tuple[int, int] = DESKTOP, where: str = address, **settings: object) -> Page:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, offline=True, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: wrong.append(f"console: {m.text}"))
        page.on("pageerror", lambda e: wrong.append(f"error: {e}"))
        page.on("dialog", lambda d: (wrong.append(f"dialog: {d.message}"), d.dismiss()))
        page.on(
            "request", lambda r: r.url in (where,) or r.url.startswith("data:") or wrong.append(f"request: {r.url}")
        )
        page.goto(where)
        return page

    yield go
    for context in contexts:
        context.close()
    assert wrong == []


def tip(page: Page) -> str:
    return page.locator("#tip").inner_text() if page.locator("#tip").is_visible() else ""


def at_first_point(plot: Locator, series: str | None = None) -> tuple[float, float]:
    """Return where on the screen the first point of a plot lies, from the values that the page carries."""
    plot.scroll_into_view_if_needed()
    x, y = plot.evaluate(
        """(svg, name) => {
            const figure = svg.closest("figure");
            const k = [...figure.querySelectorAll(".plot > svg")].indexOf(svg);
            const panel = JSON.parse(document.getElementById("values").textContent)[figure.id][k];
            const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
            if (panel.sites) return [box.left + 0.5 * box.width, box.top + 0.4 * box.height];
            const series = panel.series.find((s) => s.px.length && (name === null || s.name === name));
            return [box.left + series.px[0] * scale, box.top + series.py[0] * scale];
        }""",
        series,
    )
    return x, y


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_every_figure_is_drawn_within_the_window(opened: Callable[..., Page], size: tuple[int, int]) -> None:
    page = opened(size)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]  # nothing to scroll sideways for
    assert page.locator("figure").count() == 11
    plots = page.locator(".plot > svg")
    assert plots.count() == 19
    for k in range(plots.count()):
        box = plots.nth(k).bounding_box()
        assert box is not None
        assert box["width"] >= 200 and box["height"] >= 100 and box["x"] >= 0 and box["x"] + box["width"] <= size[0]
        drawn = plots.nth(k).evaluate(
            """(svg) => [...svg.querySelectorAll(".dots, .line, .pixels")].map((e) => e.getBoundingClientRect())
                .filter((b) => b.width + b.height > 3).length"""
        )
        assert drawn >= 1
        outside = plots.nth(k).evaluate(
            """(svg) => { const own = svg.getBoundingClientRect();
                return [...svg.querySelectorAll("text")].filter((t) => { const b = t.getBoundingClientRect();
                    return b.left < own.left - 1 || b.right > own.right + 1; }).map((t) => t.textContent); }"""
        )
        # a name from the input may be longer than an axis; our own words never are
        assert [t for t in outside if not any(h in t for h in HOSTILE)] == []


def test_letters_on_a_phone_are_large_enough_to_read(opened: Callable[..., Page]) -> None:
    page = opened(PHONE)
    smallest = page.evaluate(
        """Math.min(...[...document.querySelectorAll(".plot > svg text")].map((t) => {
            const svg = t.ownerSVGElement;
            return parseFloat(getComputedStyle(t).fontSize) * svg.getBoundingClientRect().width
                / svg.viewBox.baseVal.width; }))"""
    )
    assert smallest >= 9


def test_what_is_drawn_can_be_seen(opened: Callable[..., Page]) -> None:
    page = opened()
    plots = page.locator(".plot > svg")
    seen = [plots.nth(k).screenshot() for k in range(plots.count())]
    page.add_style_tag(content=".dots, .line, .pixels { visibility: hidden }")
    for k, before in enumerate(seen):
        assert plots.nth(k).screenshot() != before


def test_hover_shows_the_values(opened: Callable[..., Page], evaluation: Evaluation) -> None:
    page = opened()
    plots = page.locator(".plot > svg")
    for k in range(plots.count()):
        page.mouse.move(*at_first_point(plots.nth(k)))
        assert re.search(r"\d", tip(page)), plots.nth(k).get_attribute("aria-label")
        page.mouse.move(2, 2)
        assert tip(page) == ""
    decay = evaluation.figures["ld_decay"]
    page.mouse.move(*at_first_point(page.locator("#ld-decay svg[role=img]"), "held-out"))
    lines = tip(page).splitlines()
    assert float(lines[1].removeprefix("distance (bp): ")) == float(f"{decay['distance'][0]:.4g}")
    values = {
        name: float(f"{decay[key][0]:.4g}") for name, key in (("held-out", "holdout"), ("synthetic", "synthetic"))
    }
    assert lines[0] in values
    assert float(lines[2].removeprefix("mean r²: ")) == values[lines[0]]


def test_hover_on_the_triangles_gives_both_sets(opened: Callable[..., Page], evaluation: Evaluation) -> None:
    page = opened()
    data = evaluation.figures["ld_matrix"]
    plot = page.locator("#ld svg[role=img]")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    n, scale = len(data["position"]), box["width"] / 360
    i, j = n // 4, n // 4 + 9
    along, away = 16 + (i + j + 1) / 2 * 328 / n, (j - i) / 2 * 328 / n
    for side in (-1, 1):
        page.mouse.move(box["x"] + along * scale, box["y"] + box["height"] / 2 + side * away * scale)
        sites = " and ".join(f"<i>1</i>:{data['position'][k]:,}" for k in (i, j))
        real, synthetic = (data[k][i][j] for k in ("reference", "synthetic"))
        assert tip(page).splitlines() == [sites, f"r², held-out: {real:.2f}", f"r², synthetic: {synthetic:.2f}"]


def test_the_legend_hides_and_shows_a_series(opened: Callable[..., Page]) -> None:
    page = opened()
    for figure in ("pca", "allele-frequency", "ld-decay", "nearest", "at-a-glance"):
        key = page.locator(f"#{figure} button.key").first
        number = key.get_attribute("data-key")
        series = page.locator(f'#{figure} [data-series="{number}"]')
        assert series.count() >= 1
        assert key.get_attribute("aria-pressed") == "true" and series.first.is_visible()
        key.click()
        assert key.get_attribute("aria-pressed") == "false"
        assert not any(series.nth(k).is_visible() for k in range(series.count()))
        key.click()
        assert key.get_attribute("aria-pressed") == "true"
        assert all(series.nth(k).is_visible() for k in range(series.count()))


def test_what_is_hidden_is_not_read_either(opened: Callable[..., Page]) -> None:
    page = opened()
    plot = page.locator("#membership svg[role=img]")
    page.mouse.move(*at_first_point(plot))
    assert "pool" in tip(page)
    keys = page.locator("#membership button.key")
    for k in range(keys.count()):
        keys.nth(k).click()
    page.mouse.move(*at_first_point(plot))
    assert tip(page) == ""


def test_the_keyboard_reads_the_values_and_works_the_legend(opened: Callable[..., Page]) -> None:
    page = opened()
    reached = set()
    for _ in range(200):
        page.keyboard.press("Tab")
        figure, name = page.evaluate(
            "[document.activeElement.closest('figure')?.id ?? '', document.activeElement.tagName.toLowerCase()]"
        )
        reached.add((figure, name))
        if figure == "ld-decay" and page.evaluate("document.activeElement.matches('button.key')"):
            before = page.evaluate("document.activeElement.getAttribute('aria-pressed')")
            page.keyboard.press("Space")
            assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") != before
            page.keyboard.press("Space")
        if (figure, name) == ("ld-decay", "svg"):
            page.keyboard.press("ArrowRight")
            first = tip(page)
            assert "distance (bp)" in first
            page.keyboard.press("ArrowRight")
            second = tip(page)
            assert second != first
            assert page.locator("#spoken").text_content() == ", ".join(second.splitlines())
            page.keyboard.press("ArrowDown")
            assert tip(page).splitlines()[0] != second.splitlines()[0]
            page.keyboard.press("Escape")
            assert tip(page) == ""
        if (figure, name) == ("ld", "svg"):
            page.keyboard.press("ArrowRight")
            page.keyboard.press("ArrowUp")
            assert "r², synthetic" in tip(page)
    drawn = page.locator("figure").evaluate_all("all => all.map((f) => f.id)")
    assert {f for f, name in reached if name == "svg"} == set(drawn)


def test_hostile_names_are_text(opened: Callable[..., Page]) -> None:
    page = opened()
    assert page.locator("script").count() == 2
    assert page.locator("img, main b b, main i i, td b b").count() == 0
    keys = page.locator("#pca button.key").all_inner_texts()
    assert set(keys) == {*HOSTILE, "real people"}
    labels = page.locator("td.label").all_inner_texts()
    assert set(HOSTILE) <= set(labels)
    seen = set()
    for key in HOSTILE:
        for k in range(4):  # only this label is shown, so that the point under the pointer is its own
            if keys[k] != key:
                page.locator("#pca button.key").nth(k).click()
        page.mouse.move(*at_first_point(page.locator("#pca svg[role=img]").first, key))
        seen.add(tip(page).splitlines()[0])
        for k in range(4):
            if keys[k] != key:
                page.locator("#pca button.key").nth(k).click()
    assert seen == set(HOSTILE)
    assert page.title() == f"Evaluation of {HOSTILE[0]}.vcf against {HOSTILE[3]}.bcf · pgcgan"


CONTRASTS = """() => {
    const channel = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const parse = (c) => c.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) =>
        0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
    const paper = (e) => {
        for (; e; e = e.parentElement) {
            const c = parse(getComputedStyle(e).backgroundColor);
            if (c.length < 4 || c[3] === 1) return c;
        }
        return [255, 255, 255];
    };
    const found = [];
    const words = "h1, h2, h3, p, dt, dd, li, small, figcaption, th, td, span, b, code, summary, svg text";
    for (const e of document.querySelectorAll(words)) {
        if (!e.textContent.trim() || !e.getClientRects().length) continue;
        const style = getComputedStyle(e);
        const ink = parse(e.closest("svg") ? style.fill : style.color);
        const [low, high] = [luminance(ink), luminance(paper(e))].sort((a, b) => a - b);
        found.push([(high + 0.05) / (low + 0.05), e.tagName + ": " + e.textContent.slice(0, 40)]);
    }
    return found;
}"""


@pytest.mark.parametrize(
    ("scheme", "media", "paper"),
    [
        ("light", "screen", "rgb(255, 255, 255)"),
        ("dark", "screen", "rgb(20, 23, 27)"),
        ("light", "print", "rgb(255, 255, 255)"),
        ("dark", "print", "rgb(255, 255, 255)"),  # paper stays white
    ],
)
def test_every_word_has_contrast(opened: Callable[..., Page], scheme: str, media: str, paper: str) -> None:
    page = opened(color_scheme=scheme)
    page.emulate_media(media=media, color_scheme=scheme)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == paper
    found = page.evaluate(CONTRASTS)
    assert len(found) > 300
    assert [words for ratio, words in found if ratio < 4.5] == []


def test_print_holds_every_figure_whole(opened: Callable[..., Page]) -> None:
    page = opened((720, 1000), color_scheme="dark")  # about the width of A4 within its margins
    printed = page.pdf(format="A4")
    assert printed.startswith(b"%PDF-")
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 720  # nothing is cut off at the right
    assert page.locator("#pca svg[role=img]").first.is_visible()
    breaks = page.evaluate(
        """() => { const of = (where, side) => getComputedStyle(document.querySelector(where))[side];
            return [of("#pca", "breakInside"), of("#allele-frequency .panels > div", "breakInside"),
                of("#pca .top", "breakAfter"), of("h2", "breakAfter"), of(".keys", "breakAfter")]; }"""
    )
    assert breaks == ["avoid"] * 5
    assert not page.locator("[data-save]").first.is_visible()


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_table_by_label_is_not_clipped(opened: Callable[..., Page], size: tuple[int, int]) -> None:
    page = opened(size)
    cells = page.locator(".matrix td, .matrix th").evaluate_all(
        """all => all.filter((e) => e.getClientRects().length).map((e) => {
            const box = e.getBoundingClientRect(), own = e.closest(".scroll").getBoundingClientRect();
            return [box.left - own.left, own.right - box.right, e.clientWidth - e.scrollWidth]; })"""
    )
    assert len(cells) > 20 and min(min(each) for each in cells) >= -1
    metrics = page.locator(".matrix thead th.n").all_text_contents()
    first = page.locator(".matrix tbody tr").first.locator("td.n")
    assert first.evaluate_all("all => all.map((e) => e.dataset.metric)") == metrics


def test_contents_lead_to_their_sections(opened: Callable[..., Page]) -> None:
    page = opened()
    links = page.locator("nav a")
    assert links.all_inner_texts() == ["Verdict", "Figures", "All rows", "By label", "Glossary", "Provenance"]
    for k in range(links.count()):
        links.nth(k).click()
        name = links.nth(k).get_attribute("href") or ""
        top = page.evaluate("(name) => document.querySelector(name).getBoundingClientRect().top", name)
        assert top < DESKTOP[1] - 1
        page.evaluate("scrollTo(0, 0)")


def test_a_figure_is_saved_as_it_is_shown(opened: Callable[..., Page], tmp_path: Path) -> None:
    page = opened(color_scheme="dark")
    page.locator("#pca button.key").first.click()  # a label that is hidden is not in the file
    for form in ("svg", "png"):
        with page.expect_download() as download:
            page.locator(f"#pca [data-save={form}]").click()
        assert download.value.suggested_filename == f"pca.{form}"
        download.value.save_as(tmp_path / f"pca.{form}")
    root = xml.etree.ElementTree.parse(tmp_path / "pca.svg").getroot()
    texts = [e.text for e in root.iter() if e.text]
    assert {"Principal components", "Training", "Held-out", "Synthetic", *HOSTILE} <= set(texts)
    assert not [e for e in root.iter() if e.tag.endswith(("script", "img"))]
    hidden = [e for e in root.iter() if e.get("data-series") == "0"]
    assert len(hidden) == 4 and all("off" in (e.get("class") or "") for e in hidden)  # three panels and the legend
    assert (tmp_path / "pca.png").read_bytes().startswith(b"\x89PNG")
    size = page.evaluate(
        """(data) => new Promise((done) => { const image = new Image();
            image.onload = () => { const canvas = document.createElement("canvas");
                canvas.width = image.width; canvas.height = image.height;
                const drawing = canvas.getContext("2d"); drawing.drawImage(image, 0, 0);
                const pixels = drawing.getImageData(0, 0, image.width, image.height).data;
                const colours = new Set();
                for (let k = 0; k < pixels.length; k += 4) colours.add(pixels.slice(k, k + 3).join());
                done([image.width, image.height, [...pixels.slice(0, 3)], colours.size]); };
            image.src = "data:image/png;base64," + data; })""",
        base64.b64encode((tmp_path / "pca.png").read_bytes()).decode(),
    )
    height = round(float(root.get("height") or 0))
    assert size[:3] == [3240, 3 * height, [255, 255, 255]]  # on white, whatever the page has
    assert size[3] > 20


def test_without_script_the_figures_are_there(opened: Callable[..., Page]) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator(".plot > svg").first.is_visible()
    assert page.locator("#pca button.key").first.is_disabled()  # no promise that it cannot keep
    assert not page.locator("#pca [data-save]").first.is_visible()


def test_svg_files_open_on_their_own(opened: Callable[..., Page], evaluation: Evaluation, tmp_path: Path) -> None:
    written = write_figures(evaluation, tmp_path)
    assert len(written) == 11
    for path in written:
        page = opened(where=path.as_uri())
        assert page.locator("svg").count() == 1
        assert page.locator("script").count() == 0
        size = page.evaluate("[document.documentElement.clientWidth, document.documentElement.getBBox().width]")
        assert size[1] > 100
