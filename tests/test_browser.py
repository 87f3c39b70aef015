"""The built site in a real browser: every page, wide and narrow, light and dark, and what a reader does on it."""

import functools
import gzip
import http.server
import io
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
VIEWS = {
    f"{name} {scheme}": {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
    for name, width, height in (("desktop", 1280, 900), ("phone", 390, 844))
    for scheme in ("light", "dark")
}
# Both widths and both schemes are covered by two of the four. The audit is slow: one page of each folder is audited
# in both and whole, the others in one and without their code, whose colours are everywhere the same.
AUDITED = ("desktop light", "phone dark")
CODE = {"exclude": [[".highlight pre"]]}
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# Without "preload" the audit fetches nothing itself.
AUDIT = {"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"], "preload": False}
AXE = Axe()
MOST_BYTES = 1_500_000
# Of 900 pixels, the tables of operators apart.
MOST_SCREENS = 12
GALLERY = "auto_examples_quick"
TEXT = {".html", ".css", ".js", ".svg", ".json"}
WATCH = """
window.shifted = 0;
new PerformanceObserver(list => list.getEntries().forEach(entry => {
    if (!entry.hadRecentInput) window.shifted += entry.value;
})).observe({type: "layout-shift", buffered: true});
"""
# Images come only when they are scrolled to, and what they push aside moves then.
LOOK = """async () => {
    const images = [...document.images];
    images.forEach(image => image.loading = "eager");
    await Promise.all(images.map(image => image.decode().catch(() => null)));
    await new Promise(drawn => requestAnimationFrame(() => setTimeout(drawn)));
    return {
        shifted: window.shifted,
        over: document.documentElement.scrollWidth - window.innerWidth,
        broken: images.filter(image => !image.naturalWidth).map(image => image.src),
        fetched: [location.href, ...performance.getEntriesByType("resource").map(entry => entry.name)],
    };
}"""
OURS = "selectors => selectors.map(s => !!document.querySelector(s)?.closest('.bd-article'))"


@contextmanager
def browsing(chromium):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser(chromium):
    with browsing(chromium) as browser:
        yield browser


@pytest.fixture(scope="module")
def server(site):
    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=site)) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}/"
        serving.shutdown()


@pytest.fixture
def page(browser, server):
    with browser.new_context(base_url=server, accept_downloads=True) as context:
        yield context.new_page()


@functools.cache
def weight(path):
    """Return the bytes that a host sends for a file: text goes compressed."""
    content = path.read_bytes()
    return len(gzip.compress(content)) if path.suffix in TEXT else len(content)


def listen(page):
    """Return what is heard of a page from now on."""
    heard = SimpleNamespace(complaints=[], asked=[], failed=[])
    page.on("console", lambda m: heard.complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: heard.complaints.append(str(error)))
    page.on("request", lambda request: heard.asked.append(request.url))
    # What was under way when the browser went on to the next page is given up, not missing.
    page.on("requestfailed", lambda r: heard.failed.append(r.url) if r.failure != "net::ERR_ABORTED" else None)
    page.on("response", lambda r: heard.failed.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    return heard


def visit(page, heard, name, site, server, *, audit):
    """Visit a page, and audit what the arguments of Axe.run say, or nothing; return what was seen on it."""
    for said in vars(heard).values():
        said.clear()
    page.goto(name, wait_until="load")
    look = page.evaluate(LOOK)
    files = {site / unquote(urlsplit(url).path).lstrip("/") for url in look["fetched"] if url.startswith(server)}
    violations = AXE.run(page, **audit, options=AUDIT).response["violations"] if audit is not None else []
    nodes = [(rule, node) for rule in violations for node in rule["nodes"]]
    seen = SimpleNamespace(
        **look,
        complaints=list(heard.complaints),
        failed=list(heard.failed),
        foreign=[url for url in heard.asked if not url.startswith((server, "data:", "blob:"))],
        bytes=sum(weight(path) for path in files if path.is_file()),
        ours=page.evaluate(OURS, [node["target"][-1] for _, node in nodes]) if nodes else [],
        violations=[(rule["id"], rule["impact"], node["html"][:200]) for rule, node in nodes],
    )
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    return seen


def standing_for_others(files, site):
    """Return the pages at the top, and of each folder the largest."""
    folders = {}
    for file in sorted(files, key=lambda file: file.stat().st_size):
        folders[file if file.parent == site else file.parent] = file
    return set(folders.values())


def visit_all(view, chromium, site, server):
    """Visit every page once in one view, each as one who has nothing of the site yet."""
    files = sorted(file for file in site.rglob("*.html") if "_static" not in file.parts)
    with browsing(chromium) as browser, browser.new_context(base_url=server, **VIEWS[view]) as context:
        context.add_init_script(WATCH)
        # One page for all, its cache off, is three times as fast as a new one for each.
        page = context.new_page()
        context.new_cdp_session(page).send("Network.setCacheDisabled", {"cacheDisabled": True})
        heard = listen(page)
        whole = standing_for_others(files, site) if view in AUDITED else set()
        in_part = {"context": CODE} if view == AUDITED[0] else None
        seen = {}
        for file in files:
            name = file.relative_to(site).as_posix()
            seen[name] = visit(page, heard, name, site, server, audit={} if file in whole else in_part)
        return seen


@pytest.fixture(scope="module")
def visited(chromium, site, server):
    """All views, several at a time: nearly all of it is the browsers' work. The audited ones take longest."""
    views = sorted(VIEWS, key=lambda view: view not in AUDITED)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(views, pool.map(lambda view: visit_all(view, chromium, site, server), views), strict=True))


@pytest.fixture(params=VIEWS)
def visits(request, visited):
    """What was seen on every page in one view."""
    return visited[request.param]


def where(visits, look):
    """Return what was found, by page, where there is something."""
    return {name: found for name, visit in visits.items() if (found := look(visit))}


def test_no_page_makes_the_console_complain(visits):
    assert where(visits, lambda visit: visit.complaints) == {}


def test_no_page_asks_another_host_for_anything(visits):
    assert where(visits, lambda visit: visit.foreign) == {}


def test_everything_that_pages_ask_for_is_there_and_every_image_shows(visits):
    assert where(visits, lambda visit: visit.failed + visit.broken) == {}


def test_no_page_scrolls_sideways(visits):
    assert where(visits, lambda visit: max(visit.over, 0)) == {}


def test_nothing_moves_while_a_page_loads(visits):
    # Below a hundredth nobody sees it: an icon's font that comes late moves its neighbours by a hair.
    assert where(visits, lambda visit: visit.shifted > 0.01 and visit.shifted) == {}


def test_every_page_is_light(visits):
    assert where(visits, lambda visit: visit.bytes > MOST_BYTES and visit.bytes) == {}


def test_what_we_wrote_is_accessible_and_nothing_serious_is_wrong_around_it(visits):
    def wrong(visit):
        pairs = zip(visit.violations, visit.ours, strict=True)
        return [found for found, ours in pairs if ours or found[1] in ("serious", "critical")]

    assert where(visits, wrong) == {}


def operators(page, model="Medium"):
    """Open the chapter; return its first set of tabs, that of training, with the tables of one model."""
    page.goto("performance.html")
    tabs = page.locator(".results-tabs", has_text="aten::addmm").first
    tabs.locator("label", has_text=model).click()
    return tabs


def shown(tabs):
    """Return the table that shows."""
    return tabs.locator("table.sortable:visible")


def column(table, header):
    """Return the texts of the rows that are seen, in one column."""
    headers = [text.strip() for text in table.locator("thead th").all_inner_texts()]
    (at,) = [i for i, text in enumerate(headers) if text.startswith(header)]
    return table.locator(f"tbody tr:visible td:nth-child({at + 1})").evaluate_all(
        "cells => cells.map(cell => cell.dataset.sort ?? cell.textContent.trim())"
    )


def test_one_tab_shows_at_a_time_and_the_keyboard_moves_between_them(page):
    tabs = operators(page, "Medium")
    assert shown(tabs).count() == 1
    before = shown(tabs).locator("caption").inner_text()
    assert "Medium" in before
    tabs.get_by_role("radio", name="Medium").focus()
    page.keyboard.press("ArrowRight")
    assert shown(tabs).count() == 1
    # The other choice, of the samples, stays.
    assert shown(tabs).locator("caption").inner_text().split("(")[1] == before.split("(")[1].replace("Medium", "Large")


def test_on_a_phone_choices_take_two_rows_and_can_all_be_reached(browser, server):
    with browser.new_context(base_url=server, **VIEWS["phone light"]) as context:
        tabs = operators(context.new_page())
        tops = tabs.locator("label").evaluate_all(
            "labels => labels.map(l => Math.round(l.getBoundingClientRect().top))"
        )
        assert len(set(tops)) <= 2
        tabs.locator("label").last.click()
        assert "1,000 samples" in shown(tabs).locator("caption").inner_text()


def test_on_a_phone_the_verdict_stands_beside_the_statement(browser, server):
    with browser.new_context(base_url=server, **VIEWS["phone light"]) as context:
        page = context.new_page()
        page.goto("claims.html")
        cells = page.locator("table.claims tbody tr").first.locator("td")
        statement, measured, verdict = (cells.nth(place).bounding_box() for place in range(3))
        assert statement["y"] == verdict["y"]
        assert verdict["x"] >= statement["x"] + statement["width"]
        assert measured["y"] > statement["y"]
        assert verdict["x"] + verdict["width"] <= 390


def test_chapter_is_read_within_a_few_screens(page, capsys):
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto("performance.html")
    height, apart = page.evaluate(
        """() => {
            const height = selector => [...document.querySelectorAll(selector)].map(n => n.offsetHeight)
                .reduce((sum, one) => sum + one, 0);
            return [height(".bd-article"), height(".results-tabs") + height(".admonition.out-of-date")];
        }"""
    )
    screens = (height - apart) / 900
    with capsys.disabled():
        print(f"\nThe chapter is {screens:.1f} screens long, the tables of operators apart.")
    assert 0 < screens <= MOST_SCREENS


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("name", "selector"),
    [
        ("performance.html", "#fig-training-time img"),
        (f"{GALLERY}/plot_02_training_time.html", "img.sphx-glr-single-img"),
        (f"{GALLERY}/index.html", ".sphx-glr-thumbcontainer img"),
    ],
    ids=["figure", "output", "thumbnail"],
)
def test_figures_are_as_light_or_dark_as_their_page(browser, server, name, selector, scheme):
    with browser.new_context(base_url=server, **VIEWS[f"desktop {scheme}"]) as context:
        page = context.new_page()
        page.goto(name)
        image = page.locator(selector).first
        image.scroll_into_view_if_needed()
        image.evaluate("image => image.decode()")
        pixels = np.asarray(Image.open(io.BytesIO(image.screenshot())).convert("L"))
        # What is behind what is drawn, and what is written on it.
        ground, ink = (np.median(pixels), pixels.min()) if scheme == "light" else (np.median(pixels), pixels.max())
        assert (ground > 240 and ink < 80) if scheme == "light" else (ground < 40 and ink > 180)


def test_a_click_on_a_header_sorts_by_it_and_enter_turns_the_order_round(page):
    table = shown(operators(page))
    header = table.locator("thead th", has_text="Calls")
    header.get_by_role("button").click()
    page.wait_for_function("header => header.ariaSort === 'descending'", arg=header.element_handle())
    page.wait_for_timeout(100)
    calls = [float(number) for number in column(table, "Calls")]
    assert calls == sorted(calls, reverse=True)
    assert len(set(calls)) > 1
    header.get_by_role("button").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("header => header.ariaSort === 'ascending'", arg=header.element_handle())
    page.wait_for_timeout(100)
    assert [float(number) for number in column(table, "Calls")] == calls[::-1] or sorted(calls) == [
        float(number) for number in column(table, "Calls")
    ]


def test_the_filter_leaves_the_rows_that_have_all_its_words(page):
    table = shown(operators(page))
    names = column(table, "Operator")
    box = table.locator("xpath=..")
    box.get_by_role("searchbox").fill("Aten add")
    left = [name for name in names if "aten" in name.lower() and "add" in name.lower()]
    assert 0 < len(left) < len(names)
    assert column(table, "Operator") == left
    assert box.locator("output").inner_text() == f"{len(left)} of {len(names)} rows"


def test_the_gallery_shows_the_scripts_of_a_tag_by_keyboard_and_by_mouse(page):
    page.goto(f"{GALLERY}/index.html")
    cards = page.locator(".sphx-glr-thumbcontainer:visible")
    every = cards.count()
    tag = page.get_by_role("button", name="memory", exact=True)
    tag.focus()
    page.keyboard.press("Enter")
    assert tag.get_attribute("aria-pressed") == "true"
    assert 0 < cards.count() < every
    assert all("memory" in json.loads(card.get_attribute("data-sgtags")) for card in cards.all())
    page.get_by_role("button", name="Clear").click()
    assert tag.get_attribute("aria-pressed") == "false"
    assert cards.count() == every


def test_tables_are_whole_and_plain_with_scripting_off(browser, server):
    with browser.new_context(base_url=server, java_script_enabled=False, color_scheme="dark") as context:
        page = context.new_page()
        page.goto("performance.html")
        # The theme's colours need it to be one of two; it tells dark from light by a script.
        assert page.locator("html").get_attribute("data-theme") == "light"
        # What is folded can be unfolded without a script.
        rows = page.locator("table.results:not(details *) tbody tr")
        assert rows.count() > 100
        assert rows.evaluate_all("rows => rows.every(row => row.checkVisibility())")
        assert page.locator("table.results button, .table-filter").count() == 0


def test_paper_shows_every_tab(page):
    page.goto("performance.html")
    page.emulate_media(media="print")
    tables = page.locator(".results-tab table")
    assert tables.count() > 1
    assert all(table.is_visible() for table in tables.all())


def test_search_finds_what_only_tables_hold(page):
    page.goto("performance.html")
    assert page.locator("article p:not(td p)", has_text="lift_fresh").count() == 0
    page.goto("search.html?q=lift_fresh")
    page.wait_for_selector("#search-results li a")
    found = page.locator("#search-results li a").evaluate_all("links => links.map(link => link.pathname)")
    assert "/performance.html" in found


def test_two_clicks_lead_from_the_landing_page_to_the_script_behind_a_figure(page):
    page.goto("index.html")
    page.locator(".door a", has_text="Performance").click()
    page.locator("p.provenance a", has_text=".py").first.click()
    assert page.locator(".sphx-glr-download-python a").is_visible()


def download(page, link):
    with page.expect_download() as waiting:
        link.click()
    return waiting.value


def test_a_script_arrives_as_python_and_as_a_notebook(page):
    page.goto("index.html")
    page.locator("p.provenance a", has_text="plot_02_training_time.py").first.click()
    script = download(page, page.locator(".sphx-glr-download-python a"))
    assert Path(script.path()).read_text() == (ROOT / "examples" / "plot_02_training_time.py").read_text()
    notebook = json.loads(Path(download(page, page.locator(".sphx-glr-download-jupyter a")).path()).read_text())
    assert "measure(" in "".join(line for cell in notebook["cells"] for line in cell["source"])


def test_the_data_behind_a_figure_arrive_as_csv(page):
    page.goto("index.html")
    runs = download(page, page.locator("p.provenance a.download", has_text="runs").first)
    assert {"model", "n_samples", "process", "repeat", "seconds"} <= set(pd.read_csv(runs.path()).columns)


def test_the_copy_button_copies_the_code_beside_it(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("make_it_yours.html")
    block = page.locator("div.highlight", has=page.locator("button.copybtn")).first
    block.hover()
    block.locator("button.copybtn").click()
    page.wait_for_timeout(100)
    assert page.evaluate("navigator.clipboard.readText()").splitlines()[0] == "make html QUICK=1"


def test_page_for_an_unknown_address_leads_back_into_the_site(page, site):
    page.goto("404.html")
    links = page.locator("a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert links
    assert all((site / link.lstrip("/")).is_file() for link in links)
