"""The page, in a real browser, over a real server: ask, search, teach, go back; by keyboard too, and on a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from serving import Server, served

import remodal
from remodal.search import Index, keep_up

BROWSER = shutil.which("chromium")
PICTURES = Path("runs/browser")
"""Screenshots are left here, to be looked at."""

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium is installed: make test-browser installs it on Debian"
)


@pytest.fixture(scope="module")
def server(
    saved_once: Path, folder: Path, lite_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Over a small model, with all it learned from in its index."""
    root = tmp_path_factory.mktemp("served")
    saved = Path(shutil.copytree(saved_once, root / "model"))
    model = remodal.load(saved, cache=lite_cache)
    index = Index.create(str(root / "index"), str(saved), model.backbone.fingerprint, model.backbone.width)
    keep_up(index, model, folder)
    with served(saved, lite_cache, "--index", index.uri) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """The page, just opened; at the end no request has left for another machine, and no script has failed."""
    opened = browser.new_page(viewport={"width": 1200, "height": 1000})
    asked: list[str] = []
    failed: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("pageerror", lambda error: failed.append(str(error)))
    opened.goto(server.url)
    expect(opened.get_by_role("button", name="What is it?")).to_be_visible(timeout=30_000)
    yield opened
    elsewhere = [url for url in asked if not url.startswith((server.url, "data:", "blob:"))]
    opened.close()
    assert elsewhere == []
    assert failed == []


def shot(page: Page, name: str) -> None:
    """Leave a screenshot."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


@pytest.mark.parametrize(
    ("file", "modality", "label"),
    [("image/warm/0.png", "image", "warm"), ("audio/cold/1.wav", "audio", "cold"), ("text/warm/2.txt", "text", "warm")],
)
def test_a_dropped_file_is_answered(page: Page, folder: Path, file: str, modality: str, label: str) -> None:
    page.locator("input[type=file]").first.set_input_files(folder / file)
    expect(page.locator("#modalities")).to_contain_text(modality, timeout=30_000)
    expect(page.locator("#classes h2, #classes .output-class").first).to_contain_text(label)
    expect(page.locator("#nearest li").first).to_contain_text(label)
    shot(page, f"ask-{modality}")


def test_a_sentence_is_answered_by_keyboard_alone(page: Page) -> None:
    page.get_by_label("Or a sentence").focus()
    page.keyboard.type("a ship on the sea")
    for _ in range(5):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == "What is it?":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#classes")).to_contain_text("cold (text)", timeout=30_000)


def test_a_file_that_cannot_be_read_says_so(page: Page, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    page.locator("input[type=file]").first.set_input_files(tmp_path / "broken.png")
    expect(page.get_by_role("alert")).to_contain_text("broken.png: found", timeout=30_000)


def test_stored_media_are_found_by_words(page: Page) -> None:
    page.get_by_role("tab", name="Search").click()
    page.get_by_label("What to look for, in words").fill("cold")
    page.get_by_label("audio", exact=True).check()
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#found li").first).to_contain_text("audio cold", timeout=30_000)
    assert page.locator("#found audio").count() == page.locator("#found li").count() == 16
    shot(page, "search")


def test_a_class_is_taught_and_gone_back_on(page: Page, server: Server, folder: Path) -> None:
    before = server.get("/ready")["version"]
    page.get_by_role("tab", name="Teach").click()
    page.get_by_label("Name of the class").fill("<b>hum</b>")
    sounds = sorted((folder / "audio/warm").glob("*.wav"))
    page.locator("input[type=file]:visible, [role=tabpanel]:visible input[type=file]").last.set_input_files(sounds[:4])
    page.get_by_role("button", name="Learn").click()
    expect(page.locator("#progress progress")).to_be_visible(timeout=10_000)
    shot(page, "teach-learning")
    expect(page.locator("#progress")).to_contain_text("answers now", timeout=60_000)
    expect(page.locator("#progress")).to_contain_text("<b>hum</b>")
    shot(page, "teach-done")
    page.get_by_role("tab", name="Versions").click()
    expect(page.locator("#version-table tr[aria-current]")).to_contain_text(str(before + 1), timeout=30_000)
    page.get_by_role("button", name="Go back").click()
    expect(page.locator("#went-back")).to_contain_text("answers now", timeout=30_000)
    shot(page, "versions")
    assert server.get("/ready")["version"] != before + 1


def test_it_is_readable_on_a_phone(browser: Browser, server: Server, folder: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(server.url)
    expect(page.get_by_role("button", name="What is it?")).to_be_visible(timeout=30_000)
    page.locator("input[type=file]").first.set_input_files(folder / "image/warm/0.png")
    expect(page.locator("#nearest li").first).to_be_visible(timeout=30_000)
    for tab in ("Ask", "Search", "Teach", "Versions"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        shot(page, f"phone-{tab.lower()}")
    page.close()
