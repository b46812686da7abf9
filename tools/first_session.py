"""Run the commands of docs/first-session.md in an empty folder, and write there what they say, and the page's pictures.

``python tools/first_session.py``, with ``remodal`` on the path, port 8000 free, and Chromium installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

DOCS = Path(__file__).parents[1] / "docs"
SESSION = DOCS / "first-session.md"
PICTURES = DOCS / "pictures"
URL = "http://127.0.0.1:8000"
FOLDER = Path("/tmp/try")  # noqa: S108  # it stands in what the commands say
BLOCK = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)
END = "--- the command has ended ---"
LONGEST = 30
"""Lines of one answer that are kept."""


class Shell:
    """A shell that stays, as a person's does."""

    def __init__(self, folder: Path) -> None:
        self._shell = subprocess.Popen(
            ["bash"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "110"},
        )  # fmt: skip

    def said(self, command: str) -> list[str]:
        """What a command says; of one that goes on in the background, what it says until it has an address."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        if command.endswith(" &"):
            self._shell.stdin.write(command + "\n")
            self._shell.stdin.flush()
            lines = []
            while not lines or "http://" not in lines[-1]:
                lines.append(self._line())
            return lines
        self._shell.stdin.write(f"{command}\nprintf '\\n%s\\n' '{END}'\n")
        self._shell.stdin.flush()
        lines = list(iter(self._line, END))
        return lines if len(lines) <= LONGEST else [*lines[:4], "...", *lines[5 - LONGEST :]]

    def _line(self) -> str:
        assert self._shell.stdout is not None
        line = self._shell.stdout.readline()
        if not line:
            raise RuntimeError("the shell has ended")
        return line.rstrip()

    def close(self) -> None:
        """End it, and what it started."""
        self._shell.communicate("kill $(jobs -p)\nexit\n")


def commands(block: str) -> Iterator[str]:
    """The commands of a block; lines that begin with ``> `` belong to the one before."""
    asked = [line for line in block.splitlines() if line.startswith(("$ ", "> "))]
    for command in re.split(r"^\$ ", "\n".join(asked), flags=re.MULTILINE)[1:]:
        yield command.rstrip("\n")


def renewed(block: str, shell: Shell) -> str:
    """The block, with what its commands say now."""
    lines = []
    for command in commands(block):
        print(f"$ {command}", flush=True)
        lines += [f"$ {command}", *shell.said(command.replace("\n> ", "\n"))]
    return "\n".join(line.rstrip() for line in lines if line.strip()) + "\n"


def take_pictures(folder: Path) -> None:
    """The page as a person sees it."""
    PICTURES.mkdir(exist_ok=True)
    while '"stale":{}' not in urllib.request.urlopen(f"{URL}/index").read().decode():  # noqa: S310
        time.sleep(1)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 700})
        page.goto(URL)
        ask(page, folder / "media/video/jump/0000.mp4")
        shot(page, "page-ask")
        page.get_by_role("tab", name="Search").click()
        page.get_by_label("What to look for, in words").fill("a piano")
        page.get_by_role("button", name="Search").click()
        expect(page.locator("#found li").first).to_be_visible(timeout=30_000)
        page.wait_for_timeout(1000)
        shot(page, "page-search")
        page.get_by_role("tab", name="Teach").click()
        page.get_by_label("Name of the class").fill("alarm")
        sounds = sorted((folder / "mine/audio/siren").glob("*.wav"))
        page.locator("[role=tabpanel]:visible input[type=file]").first.set_input_files(sounds[:3])
        page.get_by_role("button", name="Learn").click()
        expect(page.locator("#progress")).to_contain_text("answers now", timeout=120_000)
        shot(page, "page-teach")
        page.get_by_role("tab", name="Versions").click()
        expect(page.locator("#version-table")).to_contain_text("answers now", timeout=30_000)
        page.get_by_role("button", name="Go back").click()
        expect(page.locator("#went-back")).to_contain_text("answers now", timeout=30_000)
        shot(page, "page-versions")
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.goto(URL)
        ask(page, folder / "media/image/ship/0001.png")
        shot(page, "page-phone")
        browser.close()


def ask(page: Page, file: Path) -> None:
    """Drop a file."""
    expect(page.get_by_role("button", name="What is it?")).to_be_visible(timeout=30_000)
    page.locator("input[type=file]").first.set_input_files(file)
    expect(page.locator("#nearest li").first).to_be_visible(timeout=30_000)
    page.wait_for_timeout(1000)


def shot(page: Page, name: str) -> None:
    """Keep a picture, in 256 colours."""
    file = BytesIO(page.screenshot(full_page=True))
    Image.open(file).convert("RGB").quantize(256).save(PICTURES / f"{name}.png", optimize=True)


def main() -> int:
    """Renew the page."""
    FOLDER.mkdir()
    shell = Shell(FOLDER)
    try:
        text = BLOCK.sub(lambda found: renewed(found[0], shell), SESSION.read_text(encoding="utf-8"))
        SESSION.write_text(text, encoding="utf-8")
        take_pictures(FOLDER)
    finally:
        shell.close()
        shutil.rmtree(FOLDER)
    return 0


if __name__ == "__main__":
    sys.exit(main())
