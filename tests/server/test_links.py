"""Files that are given to the server by their link."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from helpers.api_requests import refused
from helpers.serving import Served
from helpers.web_site import Answer, sends

Site = Callable[[str, Answer], str]


def give(server: Served, **form: str) -> httpx.Response:
    return httpx.post(f"{server.url}v1/scans", data=form, timeout=60)


def test_a_link_is_judged_as_its_file_is(
    serve: Callable[..., Served], site: Site, portrait: bytes
) -> None:
    server = serve(workers=1, limits={"links": True}, this_machine_is_public=True)
    url = site("/a/face.jpg", sends(portrait))
    answer = give(server, url=url)
    assert answer.status_code == 200
    media = answer.json()["report"]["media"]
    assert media["path"] == "face.jpg"
    assert media["fetched"]["url"] == media["fetched"]["final_url"] == url
    page = httpx.get(f"{server.url}{answer.headers['location'][1:]}/report.html").text
    assert f"<td>{url}</td>" in page
    assert not list(server.temporary.rglob("*"))
    assert url not in server.log


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "0"])
def test_private_addresses_are_refused(
    serve: Callable[..., Served], site: Site, portrait: bytes, address: str
) -> None:
    server = serve(workers=1, limits={"links": True})
    url = site("/face.jpg", sends(portrait)).replace("127.0.0.1", address)
    assert refused(give(server, url=url))[0] == 422


def test_a_server_that_follows_no_links(
    serve: Callable[..., Served], site: Site, portrait: bytes
) -> None:
    server = serve(workers=1, this_machine_is_public=True)
    assert refused(give(server, url=site("/a.jpg", sends(portrait)))) == (422, "no_links")


def test_one_file_or_one_link(serve: Callable[..., Served], site: Site, portrait: bytes) -> None:
    server = serve(
        workers=1, limits={"links": True, "upload_bytes": 100_000}, this_machine_is_public=True
    )
    url = site("/a.jpg", sends(portrait))
    both = httpx.post(
        f"{server.url}v1/scans", data={"url": url}, files={"file": ("a.jpg", portrait)}, timeout=60
    )
    assert refused(both) == (422, "invalid_request")
    assert refused(give(server, frames="3")) == (422, "invalid_request")
    assert refused(give(server, url="file:///etc/passwd")) == (422, "link")
    large = site("/large.jpg", sends(b"1" * 200_000))
    assert refused(give(server, url=large)) == (422, "link")
    assert refused(give(server, url=site("/no.jpg", sends(b"", 404)))) == (422, "unreachable")
