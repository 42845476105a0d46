from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from helpers.web_site import Answer, sends
from unmask import load_detector
from unmask.errors import LinkError, PageError, UnreachableError
from unmask.media import links
from unmask.media.links import LinkLimits, fetch, fetched_file, is_public
from unmask.types import Failure, Report


def test_a_file_is_fetched_and_it_is_told_from_where(site: Callable[[str, Answer], str]) -> None:
    site("/real/cl%20ip.mp4", sends(b"video"))
    url = site("/go", sends(b"", 302, location="/real/cl ip.mp4?key=1"))
    into = io.BytesIO()
    name, fetched = fetch(url, into)
    assert into.getvalue() == b"video"
    assert name == "cl ip.mp4"
    assert fetched.url == url
    assert fetched.final_url.endswith("/real/cl ip.mp4?key=1")
    assert fetched.at.endswith("Z")


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="photo.jpg"', "photo.jpg"),
        ("attachment; filename*=UTF-8''%C3%BCber.png", "über.png"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="..\\\\..\\\\a?b.jpg"', "a_b.jpg"),
        ("attachment", "x.jpg"),
    ],
)
def test_names_stay_without_folders(
    site: Callable[[str, Answer], str], disposition: str, name: str
) -> None:
    url = site("/x.jpg", sends(b"1", content_disposition=disposition))
    assert fetch(url, io.BytesIO())[0] == name


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (sends(b"", 404), "the server answers 404"),
        (sends(b"<!DOCTYPE html><html>", content_type="image/jpeg"), "leads to a web page"),
        (sends(b"anything", content_type="text/html; charset=utf-8"), "leads to a web page"),
        (sends(b"1" * 2000), "larger than the 0 MB"),
        (sends(b"1" * 2000, content_length=""), "larger than the 0 MB"),
        (sends(b"1" * 10, content_length="500"), "broke off after 10 of 500 bytes"),
        (sends(b"", 302, location="ftp://127.0.0.1/"), "must begin with https"),
        (sends(b"", 302, location="http://me:secret@127.0.0.1/"), "a name or password"),
        (sends(b"", 302, location="/x"), "leads on more than 5 times"),
    ],
)
def test_what_cannot_be_fetched(
    site: Callable[[str, Answer], str], answer: Answer, words: str
) -> None:
    with pytest.raises((LinkError, UnreachableError), match=words):
        fetch(site("/x", answer), io.BytesIO(), LinkLimits(bytes=1000))


def test_a_server_that_only_drips_is_left(site: Callable[[str, Answer], str]) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b"1")
            handler.wfile.flush()
            time.sleep(0.1)

    began = time.monotonic()
    with pytest.raises(UnreachableError, match="does not come in time"):
        fetch(site("/x", drip), io.BytesIO(), LinkLimits(seconds=0.5))
    assert time.monotonic() - began < 5


def test_nobody_at_home() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.jpg"
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1 cannot be reached"):
        fetch(url, io.BytesIO())


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1",
        "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


PUBLIC = LinkLimits(public_only=True)


def test_private_addresses_are_refused(
    site: Callable[[str, Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = site("/secret", sends(b"secret"))
    port = secret.rsplit(":", 1)[1].split("/")[0]
    written = io.BytesIO()
    for host in ("127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0"):
        with pytest.raises((LinkError, UnreachableError)):
            fetch(f"http://{host}:{port}/secret", written, PUBLIC)

    # a name with one public and one private address
    real = socket.getaddrinfo

    def both(host: str, port: int, **rest: int) -> list[object]:
        if host != "both.example":
            return list(real(host, port, **rest))
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, ("8.8.8.8", port)), (*kind, ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with pytest.raises(LinkError, match="not public"):
        fetch(f"http://both.example:{port}/secret", written, PUBLIC)
    assert written.getvalue() == b""


def test_a_redirect_to_a_private_address_is_not_followed(
    site: Callable[[str, Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first address counts as public here; that of the redirect is looked at anew."""
    secret = site("/secret", sends(b"secret"))
    start = site("/start", sends(b"", 302, location=secret.replace("127.0.0.1", "127.0.0.2")))
    monkeypatch.setattr(links, "is_public", lambda address: address == "127.0.0.1")
    written = io.BytesIO()
    with pytest.raises(LinkError, match="not public"):
        fetch(start, written, PUBLIC)
    assert written.getvalue() == b""


def test_the_connection_goes_to_the_address_that_was_checked(
    site: Callable[[str, Answer], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the second lookup of a name would lead to another address."""
    url = site("/x", sends(b"1"))
    lookups = []
    real = socket.getaddrinfo

    def count(host: str, *rest: object, **more: object) -> object:
        if host == "rebinding.example":
            lookups.append(host)
            host = "127.0.0.1"
        return real(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", count)
    fetch(url.replace("127.0.0.1", "rebinding.example"), io.BytesIO())
    assert len(lookups) == 1


def test_detectors_take_links(
    site: Callable[[str, Answer], str], tiny_bundle: Path, demo: Path
) -> None:
    picture = site("/faces/a.jpg", sends((demo / "2-generated.jpg").read_bytes()))
    clip = site("/b.mp4", sends((demo / "5-generated.mp4").read_bytes()))
    lost = site("/lost.jpg", sends(b"", 410))
    detector = load_detector(tiny_bundle)
    found = list(detector.scan_many([picture, demo / "1-photograph.jpg", lost, clip], frames=4))
    first, at_hand, failed, video = found
    assert isinstance(first, Report)
    assert isinstance(video, Report)
    assert isinstance(at_hand, Report)
    assert (first.media.path, video.media.path) == ("a.jpg", "b.mp4")
    assert first.media.fetched is not None
    assert first.media.fetched.url == picture
    assert at_hand.media.fetched is None
    assert failed == Failure(lost, "unreachable", "the server answers 410 Gone")
    assert detector.scan(picture).verdict == first.verdict


def test_fetched_files_are_deleted(site: Callable[[str, Answer], str]) -> None:
    with fetched_file(site("/a.jpg", sends(b"1"))) as (path, _):
        assert path.read_bytes() == b"1"
    assert not path.parent.exists()


def test_pages_of_platforms(
    site: Callable[[str, Answer], str], demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("yt_dlp")
    clip = (demo / "5-generated.mp4").read_bytes()
    site("/clip.mp4", sends(clip, content_type="video/mp4"))
    page = b"<!doctype html><html><title>A clip</title><video src='/clip.mp4'></video></html>"
    url = site("/watch", sends(page, content_type="text/html"))
    with fetched_file(url) as (path, fetched):
        assert path.read_bytes() == clip
        assert fetched.url == url
    with pytest.raises(LinkError, match="small enough"), fetched_file(url, LinkLimits(bytes=9_000)):
        pass
    monkeypatch.setattr("unmask.media.links.is_public", lambda _: True)
    with pytest.raises(PageError), fetched_file(url, PUBLIC):  # not on a server
        pass
    empty = site("/empty", sends(b"<!doctype html><html></html>", content_type="text/html"))
    with pytest.raises(LinkError, match="yt-dlp"), fetched_file(empty):
        pass
    monkeypatch.setattr("unmask.media.platforms.can_fetch", lambda: False)
    with pytest.raises(PageError, match="install yt-dlp"), fetched_file(url):
        pass
