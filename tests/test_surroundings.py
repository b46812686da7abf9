"""A server on a machine that has odd things set for other programs, and that has to be protected from guesses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from serving import Server, served

from remodal.serve.guesses import SECONDS

TOKEN = "correct horse battery"  # noqa: S105
RIGHT, WRONG = ({"authorization": f"Bearer {token}"} for token in (TOKEN, "no"))


@pytest.fixture(scope="module")
def server(saved_once: Path, lite_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that has a token, where neither the proxy nor the certificates can be used."""
    token = tmp_path_factory.mktemp("secret") / "token"
    token.write_text(TOKEN)
    with pytest.MonkeyPatch.context() as wrong:
        for name in ("ALL_PROXY", "https_proxy"):
            wrong.setenv(name, "socks://127.0.0.1:7890/")
        wrong.setenv("SSL_CERT_FILE", "/there/is/none")
        with served(saved_once, lite_cache, "--token-file", str(token)) as running:
            wrong.undo()
            yield running


def test_a_proxy_or_certificates_that_cannot_be_used_do_not_stop_the_server(server: Server, folder: Path) -> None:
    assert "text/html" in httpx.get(server.url, headers=RIGHT).headers["content-type"]
    answer = server.post("/predict", files={"files": (folder / "text/cold/0.txt").read_bytes()}, headers=RIGHT)
    assert answer.json()[0]["best"][0]["modality"] == "text"


def test_a_wrong_token_is_answered_slowly(server: Server) -> None:
    assert httpx.get(f"{server.url}/versions").status_code == 401
    started = time.monotonic()
    for _ in range(2):
        assert httpx.get(f"{server.url}/versions", headers=WRONG).status_code == 401
        assert server.post("/login", data={"token": "no"}).status_code == 401
    assert time.monotonic() - started > 4 * SECONDS
    started = time.monotonic()
    assert httpx.get(f"{server.url}/versions", headers=RIGHT, timeout=20).status_code == 200
    assert time.monotonic() - started < SECONDS
