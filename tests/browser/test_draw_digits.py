"""The page to draw on, in a real browser: Chromium without a window, moved by Selenium.

`nox -s browser` runs this; elsewhere it is skipped where Selenium or Chromium is not installed.
PORTNN_SCREENSHOT names a file for a picture of the page.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from examples import draw_digits

STROKES = json.loads((Path(__file__).parent / "strokes.json").read_text(encoding="utf-8"))
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=1000,760", "--force-device-scale-factor=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    network = draw_digits.train("cpu", samples=20_000, epochs=2)
    with draw_digits.make_server(network) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is not installed: nox -s browser")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        if os.environ.get("PORTNN_BROWSER") == "required":
            pytest.fail("Chromium and its driver are needed: apt install chromium chromium-driver")
        pytest.skip("Chromium or its driver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield started
    started.quit()


def draw(browser: Any, strokes: list[list[list[float]]]) -> None:
    """Move the mouse through the points of each stroke, its button pressed."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    pad = browser.find_element(By.ID, "pad")
    for stroke in strokes:
        chain = ActionChains(browser, duration=0)
        for i, (x, y) in enumerate(stroke):
            chain.move_to_element_with_offset(pad, int(x) - 141, int(y) - 141)  # from its middle
            if i == 0:
                chain.click_and_hold()
        chain.release().perform()


def settle(browser: Any) -> int:
    """Wait for the answer to what was drawn last, and return it; -1 for none."""
    from selenium.webdriver.support.ui import WebDriverWait

    ready = "return !asking && document.body.dataset.state === 'answered'"
    WebDriverWait(browser, 20, poll_frequency=0.02).until(lambda b: b.execute_script(ready))
    return int(browser.execute_script("return answer.dataset.digit"))


def click(browser: Any, name: str) -> None:
    from selenium.webdriver.common.by import By

    browser.find_element(By.ID, name).click()


def test_ten_drawn_digits_are_recognised(browser: Any, address: str) -> None:
    browser.get(address)
    assert settle(browser) == -1
    found = {}
    for digit, strokes in STROKES.items():
        click(browser, "clear")
        draw(browser, strokes)
        found[int(digit)] = settle(browser)
        drawn = browser.execute_script("return strokes")
        assert [len(stroke) for stroke in drawn] == [len(stroke) for stroke in strokes]
    print(found)
    assert sorted(found) == list(range(10))
    assert sum(digit == answer for digit, answer in found.items()) >= 9
    assert [
        e for e in browser.get_log("browser") if e["level"] == "SEVERE" and "favicon" not in e["message"]
    ] == []


def test_the_page_shows_probabilities_units_and_the_picture(browser: Any, address: str) -> None:
    browser.get(address)
    settle(browser)
    draw(browser, STROKES["9"])
    assert settle(browser) == 9
    rows = browser.execute_script("return [...table.rows].map(r => r.cells[2].textContent)")
    shares = [float(text.removesuffix(" %")) for text in rows]
    assert sum(shares) == pytest.approx(100, abs=0.6)
    assert shares.index(max(shares)) == 9
    width = "return [...table.rows].map(r => parseFloat(r.querySelector('div').style.width))"
    assert browser.execute_script(width)[9] == pytest.approx(max(shares), abs=0.1)
    sizes = browser.execute_script(
        "return [...layers.querySelectorAll('canvas')].map(c => c.width * c.height)"
    )
    assert sizes == [128, 64]
    pixels = "picture.getContext('2d').getImageData(0, 0, 28, 28).data"
    ink = f"return [...{pixels}].filter((v, i) => i % 4 == 3 && v)"
    assert 80 < len(browser.execute_script(ink)) < 300
    if file := os.environ.get("PORTNN_SCREENSHOT"):
        browser.save_screenshot(file)


def test_undo_and_clear(browser: Any, address: str) -> None:
    browser.get(address)
    draw(browser, STROKES["4"])
    assert settle(browser) == 4
    click(browser, "undo")
    settle(browser)
    assert browser.execute_script("return strokes.length") == 1
    click(browser, "clear")
    assert settle(browser) == -1
    assert browser.execute_script("return answer.textContent") == "Nothing drawn yet."
