"""Who is let in: this machine without a token, others with one; no other site's pages, no other names."""

from __future__ import annotations

from pathlib import Path

import pytest

from remodal.serve.access import HEADERS
from remodal.serve.conftest import Serve

TOKEN = "correct horse battery"  # noqa: S105


def test_without_a_token_others_are_refused_and_with_it_let_in(serve: Serve) -> None:
    client = serve(token=TOKEN, host="0.0.0.0")  # noqa: S104
    for path in ("/versions", "/", "/docs", "/metrics"):
        assert client.get(path).status_code == 401
    assert client.post("/rollback", json={}).status_code == 401
    assert client.get("/health").status_code == 200
    assert client.get("/versions", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    for wrong in (f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", "Bearer ", TOKEN, "Bearer \u00e9"):
        assert client.get("/versions", headers={"authorization": wrong.encode()}).status_code == 401


def test_a_browser_logs_in_with_the_token(serve: Serve) -> None:
    client = serve(token=TOKEN, host="0.0.0.0")  # noqa: S104
    assert client.post("/login", data={"token": "wrong"}, follow_redirects=False).status_code == 401
    logged_in = client.post("/login", data={"token": TOKEN}, follow_redirects=False)
    cookie = logged_in.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert client.get("/versions").status_code == 200


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
def test_other_sites_pages_cannot_post(serve: Serve, headers: dict[str, str]) -> None:
    client = serve()
    refused = client.post("/rollback", json={}, headers=headers)
    assert refused.status_code == 403
    assert "access-control-allow-origin" not in refused.headers


def test_this_servers_own_pages_can(serve: Serve) -> None:
    own = {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}
    assert serve().post("/predict", data={"texts": ["x"]}, headers=own).status_code == 200


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1.elsewhere.example", "", "0.0.0.0", "[::2]"])  # noqa: S104
def test_another_name_that_leads_here_is_not_answered(serve: Serve, host: str) -> None:
    assert serve().get("/health", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1", "[::1]:8000"])
def test_this_machines_own_names_are(serve: Serve, host: str) -> None:
    assert serve().get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/health", "/versions", "/docs", "/absent"])
def test_every_answer_carries_the_headers(serve: Serve, path: str) -> None:
    answered = serve().get(path)
    assert {name: answered.headers[name] for name in HEADERS} == HEADERS


def test_bytes_are_counted_where_their_number_is_not_told(serve: Serve) -> None:
    client = serve(upload_bytes=10_000)
    form = b'--b\r\ncontent-disposition: form-data; name="files"; filename="x"\r\n\r\n'
    parts = (form, *(b"x" * 1000 for _ in range(50)))
    kind = {"content-type": "multipart/form-data; boundary=b"}
    refused = client.post("/predict", content=iter(parts), headers=kind)
    assert refused.status_code == 413
    lying = client.post("/predict", content=b"x", headers={"content-length": "many"})
    assert lying.status_code == 413


@pytest.mark.parametrize("path", ["/etc/passwd", "../../../../etc/passwd", "{saved}/config.json", "{saved}/../secret"])
def test_the_page_gives_no_file_away(serve: Serve, saved: Path, path: str) -> None:
    (saved.parent / "secret").write_text("for nobody else")
    client = serve()
    for route in ("/gradio_api/file=", "/file=", "/static/", "/assets/", "/gradio_api/stream/", "/custom_component/"):
        answered = client.get(route + path.format(saved=saved))
        assert answered.status_code in (403, 404, 405), (route, answered.status_code)
        assert "for nobody else" not in answered.text
        assert "root:" not in answered.text


def test_the_pages_own_upload_keeps_to_the_limit(serve: Serve) -> None:
    client = serve(upload_bytes=10_000)
    refused = client.post("/gradio_api/upload", files={"files": ("x", b"x" * 20_000)})
    assert refused.status_code == 413


def test_the_page_offers_no_other_way_to_ask(serve: Serve) -> None:
    assert serve().get("/gradio_api/info").json()["named_endpoints"] == {}
