"""What is exported answers in a browser, without a server that knows of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright

import remodal
from remodal.export import export

BROWSER, NPM = shutil.which("chromium"), shutil.which("npm")
RUNTIME = "onnxruntime-web@1.30.0"

pytestmark = pytest.mark.skipif(not (BROWSER and NPM), reason="no Chromium or no npm (apt install chromium npm)")


class Quiet(SimpleHTTPRequestHandler):
    """Says nothing of what is asked."""

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def model(folder: Path, lite_cache: Path) -> remodal.Model:
    found = remodal.Model(cache=lite_cache)
    for task in remodal.stream(folder):
        found.learn(task)
    return found


@pytest.fixture(scope="module")
def address(model: remodal.Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the example is served, as its first lines say."""
    folder = export(model, tmp_path_factory.mktemp("exported")).folder
    assert NPM
    installed = subprocess.run([NPM, "install", "--silent", RUNTIME], cwd=folder, timeout=300)
    if installed.returncode:
        pytest.skip(f"npm can't install {RUNTIME}")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_page_answers_as_the_model_does(address: str, model: remodal.Model, tmp_path: Path) -> None:
    """Pictures of the model's own size, so that the browser has none to resize."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page()
        failed: list[str] = []
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto(address)
        said = page.get_by_role("status")
        expect(said).to_have_text("Choose a picture.", timeout=60_000)
        for number, colour in enumerate(((200, 60, 40), (30, 60, 210), (120, 90, 140))):
            drawn = np.random.default_rng(number).integers(0, 46, (128, 128, 3), dtype=np.uint8) + np.uint8(colour)
            Image.fromarray(drawn).save(tmp_path / f"{number}.png")
            ((best, *_),) = model.predict([tmp_path / f"{number}.png"], modality=None)
            page.get_by_label("A picture:").set_input_files(tmp_path / f"{number}.png")
            expect(said).to_have_text(f"{best.label} ({best.modality}): {best.probability:.4f}", timeout=60_000)
        browser.close()
    assert failed == []
