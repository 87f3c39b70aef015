"""What the extension's script does with tables, in a browser."""

import pytest
from playwright.sync_api import sync_playwright
from small_reports import begin, page

PAGE = """
.. results-table:: fits.runs
   :tabs: model n_samples
   :name: the-runs

   Runs

.. claims-table::
   :filter:

   All claims
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripts")
    begin(folder)
    page(folder, *PAGE.splitlines())
    return (folder / "docs/_build/html/index.html").as_uri()


@pytest.fixture(scope="module")
def browser(chromium):
    with sync_playwright() as playwright:
        options = ["--headless", "--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, address):
    """Return a function that opens the page, with or without scripting."""
    contexts = []

    def opened(fragment="", **settings):
        contexts.append(browser.new_context(**settings))
        shown = contexts[-1].new_page()
        shown.on("pageerror", lambda error: pytest.fail(str(error)))
        shown.goto(f"{address}{fragment}")
        return shown

    yield opened
    for context in contexts:
        context.close()


def captions(shown):
    return [text.removesuffix("¶") for text in shown.locator(".results-tab:visible caption").all_inner_texts()]


def test_one_table_shows_at_a_time_chosen_by_mouse_or_keyboard(opened):
    shown = opened()
    assert captions(shown) == ["Table 1 Runs (Small, 1,000 samples)"]
    shown.get_by_text("Large", exact=True).first.click()
    assert captions(shown) == ["Table 3 Runs (Large, 1,000 samples)"]
    shown.get_by_role("radio", name="1,000 samples", exact=True).focus()
    shown.keyboard.press("ArrowRight")
    assert captions(shown) == ["Table 4 Runs (Large, 10,000 samples)"]


def test_link_to_a_table_that_does_not_show_shows_it(opened):
    shown = opened("#the-runs-large-1-000-samples")
    assert captions(shown) == ["Table 3 Runs (Large, 1,000 samples)"]
    shown.evaluate("location.hash = '#the-runs'")
    shown.wait_for_function("document.querySelector('#the-runs').offsetParent")
    assert captions(shown) == ["Table 1 Runs (Small, 1,000 samples)"]
    assert shown.get_by_role("radio", name="Small").is_checked()


def test_paper_and_a_browser_without_scripts_show_all_tables_and_nothing_to_choose(opened):
    printed, plain = opened(), opened(java_script_enabled=False)
    printed.emulate_media(media="print")
    for shown in (printed, plain):
        assert len(captions(shown)) == 4
        assert shown.locator(".tab-strip:visible, .table-filter:visible").count() == 0


def test_claims_are_filtered_by_verdict_and_words(opened):
    shown = opened()
    rows = shown.locator("table.claims tbody tr:visible")
    assert rows.count() == 5
    shown.get_by_role("combobox").select_option("holds")
    assert rows.count() == 3
    shown.get_by_role("searchbox").fill("time grows")
    assert rows.count() == 1
    assert shown.locator("output").inner_text() == "1 of 5 rows"
    options = shown.get_by_role("combobox").locator("option").all_inner_texts()
    assert options == ["All verdicts", "holds (3)", "does not hold (1)", "not measured (1)"]


def test_header_sorts_by_number_from_the_keyboard(opened):
    shown = opened()
    table = shown.locator("table#the-runs")
    table.get_by_role("button", name="Process").focus()
    shown.keyboard.press("Enter")
    shown.wait_for_function("document.querySelector('#the-runs tbody td').textContent.trim() === '5'")
    shown.keyboard.press("Enter")
    shown.wait_for_function("document.querySelector('#the-runs tbody td').textContent.trim() === '0'")
