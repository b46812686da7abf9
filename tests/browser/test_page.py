"""The page, in a real browser, over a real server: ask, search, teach, go back; by keyboard too, and on a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
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
def media(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red and blue pictures, high and low tones, sentences, and clips and depth maps besides."""
    root = Path(shutil.copytree(folder, tmp_path_factory.mktemp("media") / "all"))
    for label, channel in (("warm", 0), ("cold", 2)):
        for modality in ("video", "depth"):
            (root / modality / label).mkdir(parents=True)
        for number in range(8):
            write_clip(root / "video" / label / f"{number}.mp4", channel, number)
            # a slope to the right, or down
            slope = np.broadcast_to(np.linspace(500 + 20 * number, 4000, 64), (64, 64)).astype(np.uint16)
            Image.fromarray(slope.T if channel else slope).save(root / "depth" / label / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def walk_page(
    browser: Browser, saved_once: Path, walk: Path, lite_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """The page of a server that has a sound of 90 s in its index, high from second 40 to 50."""
    model, root = remodal.load(saved_once, cache=lite_cache), tmp_path_factory.mktemp("walk index")
    index = Index.create(str(root), str(saved_once), model.backbone.fingerprint, model.backbone.width)
    keep_up(index, model, walk)
    with served(saved_once, lite_cache, "--index", index.uri) as running:
        opened = browser.new_page(viewport={"width": 1200, "height": 1000})
        opened.goto(running.url)
        yield opened
        opened.close()


def write_clip(path: Path, channel: int, number: int) -> None:
    """A square of one colour that goes to the right."""
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for at in range(10):
            pixels = np.full((64, 64, 3), 60 + number, np.uint8)
            pixels[20:44, 4 * at : 4 * at + 20, channel] = 250
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def server(media: Path, lite_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Over a model that has learned them, with all of them in its index."""
    root = tmp_path_factory.mktemp("served")
    model = remodal.Model(cache=lite_cache)
    for task in remodal.stream(media, depth_unit="mm"):
        model.learn(task)
    saved = model.save(root / "model")
    index = Index.create(str(root / "index"), str(saved), model.backbone.fingerprint, model.backbone.width)
    keep_up(index, model, media)
    with served(saved, lite_cache, "--index", index.uri) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        # a microphone that beeps, and leave to use it
        heard = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", *heard])
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
    [
        ("image/warm/0.png", "image", "warm"),
        ("audio/cold/1.wav", "audio", "cold"),
        ("text/warm/2.txt", "text", "warm"),
        ("video/warm/3.mp4", "video", "warm"),
        ("depth/cold/4.png", "depth", "cold"),
    ],
)
def test_a_dropped_file_is_answered(page: Page, media: Path, file: str, modality: str, label: str) -> None:
    page.locator("input[type=file]").first.set_input_files(media / file)
    expect(page.locator("#modalities")).to_contain_text(modality, timeout=30_000)
    expect(page.locator("#classes h2, #classes .output-class").first).to_contain_text(label)
    expect(page.locator("#nearest li").first).to_contain_text(label)
    shot(page, f"ask-{modality}")


def test_a_depth_file_is_read_in_the_unit_that_is_stated(page: Page, tmp_path: Path) -> None:
    """The model learned millimetres: so would four metres be four of them."""
    slope = np.broadcast_to(np.linspace(0.6, 4.0, 64, dtype=np.float32), (64, 64))
    Image.fromarray(slope.copy()).save(tmp_path / "metres.tif")
    page.get_by_role("button", name="Depth files").first.click()
    page.get_by_label("What one step of a depth value means").first.click()
    page.get_by_role("option", name="m", exact=True).click()
    page.locator("input[type=file]").first.set_input_files(tmp_path / "metres.tif")
    expect(page.locator("#modalities h2, #modalities .output-class").first).to_contain_text("depth", timeout=30_000)
    expect(page.locator("#classes h2, #classes .output-class").first).to_contain_text("warm (depth)")
    expect(page.locator("#read-as")).to_contain_text("0.6 m (bright) to 4.0 m (dark)")
    shot(page, "ask-depth-metres")


def test_what_the_microphone_hears_is_answered(page: Page) -> None:
    page.get_by_role("button", name="Record").click()
    page.wait_for_timeout(2500)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#read-as")).to_contain_text("s: waveform", timeout=30_000)
    expect(page.locator("#classes")).to_contain_text("%")
    shot(page, "ask-microphone")


NAMES = "[...(document.activeElement.labels || []), document.activeElement].map(one => one.innerText.trim())"


def focus_on(page: Page, name: str, key: str = "Tab") -> None:
    """Press a key until what has that name has the focus."""
    for _ in range(40):
        page.keyboard.press(key)
        if name in page.evaluate(NAMES):
            return
    raise AssertionError(f"{name}: not to be reached with {key}")


def test_it_can_be_used_by_keyboard_alone(page: Page) -> None:
    focus_on(page, "Or a sentence")
    page.keyboard.type("a ship on the sea")
    focus_on(page, "What is it?")
    page.keyboard.press("Enter")
    expect(page.locator("#classes")).to_contain_text("cold (text)", timeout=30_000)
    focus_on(page, "Search", "Shift+Tab")
    page.keyboard.press("Enter")
    focus_on(page, "What to look for, in words")
    page.keyboard.type("warm")
    page.keyboard.press("Enter")
    expect(page.locator("#found li").first).to_contain_text("warm", timeout=30_000)
    focus_on(page, "Versions", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#version-table")).to_contain_text("answers now", timeout=30_000)


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


@pytest.mark.long  # serve/test_api.py teaches a class and goes back without a page
def test_a_class_is_taught_and_gone_back_on(page: Page, server: Server, folder: Path) -> None:
    before = server.get("/ready")["version"]
    page.get_by_role("tab", name="Teach").click()
    page.get_by_label("Name of the class").fill("<b>hum</b>")
    sounds = sorted((folder / "audio/warm").glob("*.wav"))
    page.locator("input[type=file]:visible, [role=tabpanel]:visible input[type=file]").first.set_input_files(sounds[:4])
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


def test_files_get_their_labels_by_one_key_each(page: Page, server: Server, tmp_path: Path) -> None:
    before = server.get("/ready")["version"]
    for number, colour in enumerate([(10, 200, 10), (40, 220, 40), (220, 200, 10), (240, 220, 40)]):
        Image.new("RGB", (32, 32), colour).save(tmp_path / f"{number}.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "0.png").read_bytes()[:60])
    page.get_by_role("tab", name="Label").click()
    panel = page.locator("[role=tabpanel]:visible")
    panel.locator("input[type=file]").first.set_input_files(sorted(tmp_path.glob("*.png")))
    expect(panel.get_by_role("button", name="Remove this file")).to_have_count(5, timeout=30_000)
    page.get_by_role("button", name="What to label first?").click()
    card = page.locator("#label-card")
    expect(card).to_contain_text("1 of 4", timeout=30_000)
    expect(page.locator("#label-said")).to_contain_text("skipped: cut.png")
    focus_on(page, "N: another class, then Enter")  # as if it had been clicked: digits are letters of a name here
    page.keyboard.type("<b>7</b>")
    page.keyboard.press("Enter")
    expect(card).to_contain_text("2 of 4", timeout=30_000)
    keys = page.locator("#labelling button:visible")
    own = keys.filter(has_text="<b>7</b>").inner_text().partition(":")[0]
    shot(page, "label")
    page.keyboard.press("1")
    page.keyboard.press("1")  # counts for one file: the next one isn't there yet
    expect(card).to_contain_text("3 of 4", timeout=30_000)
    page.keyboard.press("Backspace")
    expect(card).to_contain_text("2 of 4", timeout=30_000)
    page.keyboard.press(own)
    expect(card).to_contain_text("3 of 4", timeout=30_000)
    page.keyboard.press("0")
    expect(card).to_contain_text("4 of 4", timeout=30_000)
    page.keyboard.press("n")
    page.keyboard.type("grass")
    page.keyboard.press("Enter")
    expect(card).to_contain_text("3 of 4 have a label", timeout=30_000)
    shot(page, "label-through")
    page.get_by_role("button", name="Teach 3").click()
    expect(page.locator("#label-progress")).to_contain_text("answers now", timeout=60_000)
    assert {"<b>7</b>", "grass"} <= {one["label"] for one in server.get("/classes")}
    page.get_by_role("button", name="What to label first?").click()
    expect(card).to_contain_text("1 of 1", timeout=30_000)
    expect(page.locator("#label-said")).to_contain_text("the model knows them already: 3")
    assert server.post("/rollback", json={"version": before}).status_code == 200


@pytest.mark.long  # serve/test_api.py forgets and relabels without a page
def test_a_file_gets_its_right_name_and_a_class_is_forgotten(page: Page, server: Server, media: Path) -> None:
    page.get_by_role("tab", name="Teach").click()
    expect(page.locator("#class-table")).to_contain_text("depth", timeout=30_000)
    panel = page.locator("[role=tabpanel]:visible")
    panel.locator("input[type=file]").last.set_input_files([media / "text/warm/0.txt", media / "text/warm/1.txt"])
    page.get_by_label("Their right name").fill("<i>drinks</i>")
    expect(panel).to_contain_text(".txt", timeout=30_000)
    page.get_by_role("button", name="Give them this name").click()
    expect(page.locator("#corrected")).to_contain_text("2 files are <i>drinks</i>", timeout=240_000)
    expect(page.locator("#class-table")).to_contain_text("<i>drinks</i>")
    shot(page, "correct-renamed")
    page.get_by_label("Class", exact=True).click()
    page.get_by_role("option", name="text:<i>drinks</i>").click()
    page.get_by_role("button", name="Forget this class").click()
    expect(page.locator("#corrected")).to_contain_text("Forgot text:<i>drinks</i>", timeout=240_000)
    expect(page.locator("#class-table")).not_to_contain_text("drinks")
    page.get_by_role("button", name="Forget these files").click()
    expect(page.get_by_role("alert")).to_contain_text("has learned nothing that holds the same", timeout=240_000)
    shot(page, "correct-refused")
    page.get_by_role("tab", name="Versions").click()
    expect(page.locator("#version-table")).to_contain_text("relabelled text:warm", timeout=30_000)
    shot(page, "correct-versions")
    while server.get("/ready")["version"] > 1:
        assert server.post("/rollback", json={}).status_code == 200


def test_the_routes_can_be_read_about(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/docs")
    expect(page.locator("#operations-default-predict_predict_post")).to_contain_text("/predict", timeout=30_000)
    shot(page, "docs")


def test_it_is_readable_on_a_phone(browser: Browser, server: Server, folder: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(server.url)
    expect(page.get_by_role("button", name="What is it?")).to_be_visible(timeout=30_000)
    page.locator("input[type=file]").first.set_input_files(folder / "image/warm/0.png")
    expect(page.locator("#nearest li").first).to_be_visible(timeout=30_000)
    for tab in ("Ask", "Search", "Teach", "Label", "Versions"):
        wanted = page.get_by_role("tab", name=tab)
        if not wanted.count():  # there is no room for all of them
            page.get_by_role("button", name="More tabs").click()
            wanted = page.get_by_role("button", name=tab, exact=True)
        wanted.click()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        shot(page, f"phone-{tab.lower()}")
    page.close()


def test_the_player_of_a_long_sound_begins_at_the_moment_that_was_found(walk_page: Page) -> None:
    walk_page.get_by_role("tab", name="Search").click()
    walk_page.get_by_label("What to look for, in words").fill("cold")
    walk_page.get_by_role("button", name="Search", exact=True).click()
    first = walk_page.locator("#found li").first
    expect(first).to_contain_text("walk.flac 0:4", timeout=30_000)
    player = first.locator("audio")
    walk_page.wait_for_function("player => player.currentTime > 0", arg=player.element_handle(), timeout=30_000)
    assert 40 <= player.evaluate("player => player.currentTime") <= 45
    shot(walk_page, "search-moment")
