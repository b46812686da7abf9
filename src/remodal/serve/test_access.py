"""Who is let in: this machine without a token, others with one; no other site's pages, no other names."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest.mock import patch

import pytest
from starlette.testclient import TestClient

from remodal.errors import RemodalError
from remodal.serve.access import HEADERS, Access
from remodal.serve.conftest import Serve
from remodal.serve.guesses import WAITING, Guesses

TOKEN = "correct horse battery"  # noqa: S105
PUBLIC = "https://models.example.org"


def test_without_a_token_others_are_refused_and_with_it_let_in(serve: Serve) -> None:
    client = serve(token=TOKEN, host="0.0.0.0", decodes=False)  # noqa: S104
    for path in ("/versions", "/", "/docs", "/metrics"):
        assert client.get(path).status_code == 401
    assert client.post("/rollback", json={}).status_code == 401
    assert client.get("/health").status_code == 200
    assert client.get("/versions", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    for wrong in (f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer ", TOKEN, "Bearer \u00e9"):
        assert client.get("/versions", headers={"authorization": wrong.encode()}).status_code == 401


def test_a_browser_logs_in_with_the_token(serve: Serve) -> None:
    client = serve(token=TOKEN, host="0.0.0.0", decodes=False)  # noqa: S104
    assert client.post("/login", data={"token": "wrong"}, follow_redirects=False).status_code == 401
    logged_in = client.post("/login", data={"token": TOKEN}, follow_redirects=False)
    cookie = logged_in.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert client.get("/versions").status_code == 200


def test_behind_a_proxy_the_public_name_counts_and_browsers_keep_the_token_for_tls(serve: Serve) -> None:
    client = serve(token=TOKEN, public_url=PUBLIC, base_url=PUBLIC, decodes=False)
    own, other = {"origin": PUBLIC}, {"origin": "https://elsewhere.example"}
    logged_in = client.post("/login", data={"token": TOKEN}, headers=own, follow_redirects=False)
    assert "; Secure" in logged_in.headers["set-cookie"]
    assert client.post("/predict", data={"texts": ["x"]}, headers=own).status_code == 200
    assert client.post("/predict", data={"texts": ["x"]}, headers=other).status_code == 403
    assert client.get("/health", headers={"host": "elsewhere.example"}).status_code == 421
    assert client.get("/health", headers={"host": "localhost"}).status_code == 200


def test_without_a_proxy_the_token_is_kept_for_http(serve: Serve) -> None:
    logged_in = serve(token=TOKEN, decodes=False).post("/login", data={"token": TOKEN}, follow_redirects=False)
    assert "Secure" not in logged_in.headers["set-cookie"]


@pytest.mark.parametrize(
    ("host", "public_url", "said"),
    [
        ("0.0.0.0", None, "--host 0.0.0.0 lets other machines in"),  # noqa: S104
        ("127.0.0.1", PUBLIC, f"serve.public_url={PUBLIC} lets other machines in"),
        ("127.0.0.1", "models.example.org", "found 'models.example.org'; valid: such as https://"),
        ("127.0.0.1", "http://[", "found 'http://['; valid: such as https://"),
        ("127.0.0.1", "https://models.example.org/path", "valid: such as https://"),
    ],
)
def test_nobody_is_let_in_from_elsewhere_without_a_token(host: str, public_url: str | None, said: str) -> None:
    with pytest.raises(RemodalError) as raised:
        Access(host, None, 1000, public_url)
    assert said in str(raised.value)


def test_too_many_wrong_tokens_are_refused_at_once() -> None:
    async def guess() -> list[bool]:
        guesses = Guesses()
        return await asyncio.gather(*(guesses.answered() for _ in range(WAITING + 5)))

    with patch("remodal.serve.guesses.SECONDS", 0.001):
        assert asyncio.run(guess()) == [True] * WAITING + [False] * 5


def test_what_is_malformed_is_said_before_a_token_is_asked_for(serve: Serve) -> None:
    client = serve(token=TOKEN, decodes=False)
    for headers in ({"host": "["}, {"origin": "http://["}, {"content-type": "text/plain; charset=utf-7"}):
        refused = client.post("/rollback", json={}, headers=headers)
        assert refused.status_code == 400
        assert {name: refused.headers[name] for name in HEADERS} == HEADERS


def test_a_probe_may_ask_for_the_head_alone(serve: Serve) -> None:
    answered = serve(token=TOKEN, decodes=False).head("/health")
    assert (answered.status_code, answered.content) == (200, b"")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://elsewhere.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_sites_pages_cannot_post(standing: TestClient, headers: dict[str, str]) -> None:
    refused = standing.post("/rollback", json={}, headers=headers)
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers


def test_this_servers_own_pages_can(standing: TestClient) -> None:
    own = {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}
    assert standing.post("/predict", data={"texts": ["x"]}, headers=own).status_code == 200


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1.elsewhere.example", "", "0.0.0.0", "[::2]"])  # noqa: S104
def test_another_name_that_leads_here_is_not_answered(standing: TestClient, host: str) -> None:
    assert standing.get("/health", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_this_machines_own_names_are(standing: TestClient, host: str) -> None:
    assert standing.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/health", "/versions", "/docs", "/absent"])
def test_every_answer_carries_the_headers(standing: TestClient, path: str) -> None:
    answered = standing.get(path)
    assert {name: answered.headers[name] for name in HEADERS} == HEADERS


def test_bytes_are_counted_where_their_number_is_not_told(standing: TestClient) -> None:
    form = b'--b\r\ncontent-disposition: form-data; name="files"; filename="x"\r\n\r\n'
    parts = (form, *(b"x" * 1000 for _ in range(200)))
    kind = {"content-type": "multipart/form-data; boundary=b"}
    refused = standing.post("/predict", content=iter(parts), headers=kind)
    assert refused.status_code == 413
    lying = standing.post("/predict", content=b"x", headers={"content-length": "many"})
    assert lying.status_code == 413


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../../etc/passwd", "{saved}/config.json", "{saved}/../secret"])
def test_the_page_gives_no_file_away(standing: TestClient, saved_once: Path, path: str) -> None:
    (saved_once.parent / "secret").write_text("for nobody else")
    for route in ("/gradio_api/file=", "/file=", "/static/", "/assets/", "/gradio_api/stream/", "/custom_component/"):
        answered = standing.get(route + path.format(saved=saved_once))
        assert answered.status_code in (403, 404, 405), (route, answered.status_code)
        assert "for nobody else" not in answered.text
        assert "root:" not in answered.text


def test_the_pages_own_upload_keeps_to_the_limit(standing: TestClient) -> None:
    refused = standing.post("/gradio_api/upload", files={"files": ("x", b"x" * 200_000)})
    assert refused.status_code == 413
