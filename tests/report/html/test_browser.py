"""Pages as a reader has them: in a browser."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from vadamon import Recording
from vadamon.report.diff import diffs
from vadamon.report.heatmap import heatmaps
from vadamon.report.html import diff, heatmap, mappings, regions, summary, wss
from vadamon.report.html.page import make_page
from vadamon.report.mappings import mappings_tables
from vadamon.report.regions import regions_tables
from vadamon.report.summary import summaries
from vadamon.report.wss import working_sets

pytestmark = pytest.mark.browser

SECTIONS = {
    "heatmap": lambda r: [heatmap.draw(model) for model in heatmaps(r, 96, 160)],
    "wss": lambda r: [wss.draw(model) for model in working_sets(r)],
    "regions": lambda r: [regions.draw(model) for model in regions_tables(r)],
    "mappings": lambda r: [mappings.draw(model) for model in mappings_tables(r)],
    "summary": lambda r: [summary.draw(model) for model in summaries(r)],
    "diff": lambda r: [diff.draw(model) for model in diffs(r, r)],
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no Chromium here: scripts/system-packages chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.set_default_timeout(10_000)
    yield page
    page.close()


def open_report(page: Page, name: str, recording: Path, folder: Path) -> list[str]:
    """Show a report; return what the browser complains of and asks for, while that goes on."""
    trouble: list[str] = []
    file = folder / f"{name}.html"
    file.write_text(make_page(name, SECTIONS[name](Recording(recording))), encoding="utf-8")
    page.on("console", lambda message: message.type == "log" or trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: request.url == file.as_uri() or trouble.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_selector(".nsewdrag")
    return trouble


def value_ranges(page: Page) -> list[list[float]]:
    ranges: list[list[float]] = page.evaluate(
        "() => { const {xaxis, yaxis} = document.querySelector('.js-plotly-plot').layout;"
        " return [xaxis.range, yaxis.range]; }"
    )
    return ranges


def hovered(page: Page, x: float, y: float) -> str:
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    return page.locator(".hoverlayer .hovertext").first.text_content() or ""


@pytest.mark.parametrize("name", SECTIONS)
def test_pages_ask_for_nothing_and_complain_of_nothing(service: Path, tmp_path: Path, page: Page, name: str) -> None:
    trouble = open_report(page, name, service, tmp_path)
    box = page.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + 5)
    page.locator(".modebar-btn[data-title='Zoom in']").first.click()
    assert trouble == []
    assert "process 4242  python3 -m service" in (page.locator("h1").text_content() or "")


def test_the_policy_of_a_page_lets_no_request_out(service: Path, tmp_path: Path, page: Page) -> None:
    trouble = open_report(page, "summary", service, tmp_path)
    refused = page.evaluate("() => fetch('http://127.0.0.1:9/').then(() => false, () => true)")
    assert refused
    assert any("Content Security Policy" in line for line in trouble)


def test_hover_tells_what_a_cell_is(service: Path, tmp_path: Path, page: Page) -> None:
    open_report(page, "heatmap", service, tmp_path)
    band = page.locator(".ytick", has_text="7f1000000000").bounding_box()
    plot = page.locator(".nsewdrag").first.bounding_box()
    assert band is not None
    assert plot is not None
    text = hovered(page, plot["x"] + plot["width"] / 2, band["y"] + band["height"] / 2 + 6)
    assert re.fullmatch(
        r"7f1000000000-[0-9a-f]+anonymous 256 MiBaccessed in 19 of 20 samples, age 2 sat 1[45][.\d]* s", text
    )


def test_drag_zooms_in_time_and_address(service: Path, tmp_path: Path, page: Page) -> None:
    open_report(page, "heatmap", service, tmp_path)
    plot = page.locator(".nsewdrag").first.bounding_box()
    assert plot is not None
    whole = value_ranges(page)
    addresses = page.locator(".ytick").count()
    page.mouse.move(plot["x"] + plot["width"] / 4, plot["y"] + plot["height"] * 0.3)
    page.mouse.down()
    page.mouse.move(plot["x"] + plot["width"] / 2, plot["y"] + plot["height"] * 0.5, steps=4)
    page.mouse.up()
    page.wait_for_function("() => document.querySelector('.js-plotly-plot').layout.xaxis.range[0] > 1")
    (start, end), (bottom, top) = value_ranges(page)
    assert [start, end] == pytest.approx([7.5, 15], abs=0.2)
    assert [bottom, top] == pytest.approx([0.5, 0.3], abs=0.01)
    assert page.locator(".ytick").count() != addresses  # what is in view now has addresses of its own
    page.mouse.dblclick(plot["x"] + plot["width"] / 2, plot["y"] + plot["height"] / 2)
    page.wait_for_function("() => document.querySelector('.js-plotly-plot').layout.xaxis.range[0] < 1")
    assert value_ranges(page) == [pytest.approx(span) for span in whole]


def test_hover_tells_what_a_region_is(service: Path, tmp_path: Path, page: Page) -> None:
    open_report(page, "regions", service, tmp_path)
    band = page.locator(".ytick", has_text="7f1000000000").bounding_box()
    plot = page.locator(".nsewdrag").first.bounding_box()
    assert band is not None
    assert plot is not None
    text = hovered(page, plot["x"] + plot["width"] * 0.9, band["y"] + band["height"] / 2 + 4)
    assert text == "7f1000000000-7f1002000000, 32 MiBanonymous 256 MiBaccessed in 19 of 20 samples, age 2 s"
