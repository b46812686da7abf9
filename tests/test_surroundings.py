"""What a machine has set for other programs doesn't stop the server, which asks nobody."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from serving import served


def test_a_proxy_or_certificates_that_cannot_be_used_do_not_stop_the_server(
    saved: Path, lite_cache: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as wrong:
        for name in ("ALL_PROXY", "https_proxy"):
            wrong.setenv(name, "socks://127.0.0.1:7890/")
        wrong.setenv("SSL_CERT_FILE", "/there/is/none")
        with served(saved, lite_cache) as server:
            wrong.undo()
            assert "text/html" in httpx.get(server.url).headers["content-type"]
            answer = server.post("/predict", files={"files": (folder / "text/cold/0.txt").read_bytes()})
            assert answer.json()[0]["best"][0]["modality"] == "text"
