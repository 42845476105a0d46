"""The API as other programs call it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from pypdf import PdfReader

from helpers.api_requests import LATER, refused, send
from helpers.clips import write_sound, write_video
from helpers.provenance_files import as_bytes, picture, signed
from helpers.serving import TINY, Served
from unmask._internal import jpeg
from unmask.analysis.verdict import at_prevalence
from unmask.detector import load_detector
from unmask.report import to_json
from unmask.server.schema import ScanShape


def events(client: httpx.Client, scan: str) -> list[tuple[str, dict[str, Any]]]:
    found, name = [], ""
    with client.stream("GET", f"/v1/scans/{scan}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            key, _, value = line.partition(": ")
            if key == "event":
                name = value
            elif key == "data":
                found.append((name, json.loads(value)))
    return found


def test_a_picture_is_answered_at_once_and_as_the_library_answers(
    client: httpx.Client, portrait: bytes, tiny_bundle: Path, demo: Path
) -> None:
    answer = send(client, portrait, "folder\\of mine/face.jpg")
    assert answer.status_code == 200
    scan = answer.json()
    ScanShape.model_validate(scan)
    assert scan["status"] == "done"
    assert answer.headers["location"] == f"/v1/scans/{scan['id']}"
    expected = to_json(load_detector(str(tiny_bundle), threads=1).scan(demo / "2-generated.jpg"))
    expected["media"]["path"] = "face.jpg"
    found = scan["report"]
    assert expected.pop("timing_s").keys() == found.pop("timing_s").keys()
    assert found == expected
    assert client.get(answer.headers["location"]).json()["status"] == "done"


def test_a_clip_in_the_background_from_its_first_score_to_its_end(
    client: httpx.Client, clip: bytes
) -> None:
    answer = send(client, clip, "clip.mp4", LATER, explain="true", frames="10")
    assert answer.status_code == 202
    scan = answer.json()["id"]
    told = events(client, scan)
    assert told[-1] == ("end", {"status": "done"})
    stages = [words["stage"] for name, words in told if name == "progress" and "stage" in words]
    assert stages[-1] == "explaining"
    report = client.get(f"/v1/scans/{scan}").json()["report"]
    assert report["media"]["frames_read"] == 10
    faces = [face for person in report["people"] for face in person["faces"]]
    assert np.array(faces[0]["heatmap"]).shape == (4, 4)
    assert np.array(faces[0]["corners"]).shape == (4, 2)
    scores = [score for name, words in told if name == "scores" for score in words["scores"]]
    assert sorted(p for _, p in scores) == pytest.approx(
        sorted(face["probability_fake"] for face in faces), abs=1e-3
    )
    assert events(client, scan)[-1] == ("end", {"status": "done"})  # who comes late hears all of it
    again = [
        score
        for name, words in events(client, scan)
        if name == "scores"
        for score in words["scores"]
    ]
    assert again == scores


def test_the_report_in_every_form(client: httpx.Client, portrait: bytes) -> None:
    place = send(client, portrait, "face.jpg", explain="true").headers["location"]
    page = client.get(f"{place}/report.html")
    assert "face.jpg" in page.text
    assert "sandbox" in page.headers["content-security-policy"]
    pdf = client.get(f"{place}/report.pdf")
    assert pdf.headers["content-type"] == "application/pdf"
    assert "face.jpg" in "".join(
        sheet.extract_text() for sheet in PdfReader(BytesIO(pdf.content)).pages
    )
    tree = client.get(f"{place}/report.json").json()
    assert tree["made"]["command"].startswith("unmask scan face.jpg")
    view = client.get(f"{place}/view").json()
    face = view["people"][0]["faces"][0]["picture"]
    picture = client.get(f"{place}/pictures/{face['file']}")
    assert picture.headers["content-type"] == "image/jpeg"
    assert jpeg.decode(picture.content).ndim == 3
    assert refused(client.get(f"{place}/pictures/none.jpeg")) == (404, "unknown_picture")


def test_reports_in_the_language_of_the_reader(client: httpx.Client, portrait: bytes) -> None:
    place = send(client, portrait, "face.jpg", explain="true").headers["location"]
    wish = {"accept-language": "es-AR, en;q=0.5"}
    assert client.get(f"{place}/view", headers=wish).json()["language"] == "es"
    assert client.get(f"{place}/view?language=de", headers=wish).json()["language"] == "de"
    assert client.get(f"{place}/view", headers={"accept-language": "fr"}).json()["language"] == "en"
    assert '<html lang="es">' in client.get(f"{place}/report.html", headers=wish).text
    assert client.get(f"{place}/report.pdf?language=de").status_code == 200
    english, german = (client.get(f"{place}/report.json?language={c}").json() for c in ("en", "de"))
    assert english == german
    assert refused(client.get(f"{place}/view?language=xx")) == (422, "unknown_language")


def test_a_report_for_the_readers_share_of_fakes(client: httpx.Client, portrait: bytes) -> None:
    place = send(client, portrait, "face.jpg").headers["location"]
    plain = client.get(f"{place}/report.json").json()["verdict"]
    asked = {"kind": "json", "prevalence": "0.01"}
    verdict = client.post(f"{place}/report", data=asked).json()["verdict"]
    assert verdict["prevalence"] == 0.01
    known = at_prevalence(plain["probability_fake"], 0.01)
    assert verdict["probability_fake_at_prevalence"] == pytest.approx(known, abs=1e-3)
    page = client.post(f"{place}/report", data={**asked, "kind": "html"}).text
    assert f"Where 0.01 of all files are fake, the probability is {known:.3f}." in page
    assert client.post(f"{place}/report", data={**asked, "prevalence": "1"}).status_code == 422
    assert "prevalence" not in client.get(f"{place}/report.json").json()["verdict"]


def test_credentials_survive_the_server(client: httpx.Client, tmp_path: Path) -> None:
    """What needs the file itself works without its name and its ending."""
    found = send(client, signed(as_bytes(picture())), "no ending").json()["report"]["provenance"]
    assert found["credentials"]["state"] == "valid"
    assert found["format"] == "JPEG"
    noise = np.random.default_rng(0).integers(0, 255, (30, 480, 640, 3), dtype=np.uint8)
    clip = signed(write_video(tmp_path / "clip.mp4", list(noise)).read_bytes(), "video/mp4")
    assert len(clip) > 1_000_000  # too large to be held in memory
    found = send(client, clip, "clip").json()["report"]["provenance"]
    assert found["credentials"]["state"] == "valid"
    assert found["codec"] == "h264"


def test_what_is_deleted_is_forgotten(client: httpx.Client, portrait: bytes) -> None:
    place = send(client, portrait).headers["location"]
    assert client.delete(place).status_code == 204
    for path in (place, f"{place}/report.html", f"{place}/view", f"{place}/events"):
        assert refused(client.get(path)) == (404, "unknown_scan")
    assert refused(client.delete(place)) == (404, "unknown_scan")


def test_results_are_forgotten_in_time_and_where_they_take_too_much(
    serve: Callable[..., Served], portrait: bytes
) -> None:
    server = serve(workers=1, limits={"keep_s": 1.0, "kept_bytes": 30_000})
    with httpx.Client(base_url=server.url, timeout=60) as client:
        places = [send(client, portrait).headers["location"] for _ in range(6)]
        found = [client.get(place).status_code for place in places]
        assert found[0] == 404
        assert found[-1] == 200
        server.until("unmask_kept_bytes", 1)
        import time

        time.sleep(1.2)
        assert [client.get(place).status_code for place in places] == [404] * 6
        assert server.metric("unmask_kept_bytes") == 0


def test_options_as_on_the_command_line(client: httpx.Client, clip: bytes, portrait: bytes) -> None:
    report = send(client, clip, "c.mp4", frames="5", stability="false").json()["report"]
    assert report["media"]["frames_read"] == 5
    assert report["settings"]["stability"] is False
    report = send(client, portrait, prevalence="0.01", model=TINY).json()["report"]
    assert report["verdict"]["prevalence"] == 0.01
    for wrong in (
        {"frames": "0"},
        {"frames": "100000"},
        {"frames": "many"},
        {"prevalence": "1"},
        {"explain": "perhaps"},
    ):
        status, kind = refused(send(client, portrait, **wrong))
        assert (status, kind) == (422, "invalid_request")
    assert refused(send(client, portrait, model="/etc/passwd")) == (422, "unknown_model")


def test_the_faults_of_files_each_have_their_status(
    client: httpx.Client, portrait: bytes, tmp_path: Path
) -> None:
    import av

    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        write_sound(container, container.add_stream("aac", rate=44100))
    wide = BytesIO()
    Image.new("L", (10_000, 6_000)).save(wide, "PNG")
    given = {
        "unknown_format": (415, b"no picture\n" * 50),
        "empty": (422, b""),
        "no_video": (422, (tmp_path / "sound.mp4").read_bytes()),
        "too_large": (413, wide.getvalue()),
    }
    for kind, (status, content) in given.items():
        assert refused(send(client, content)) == (status, kind)
    place = send(client, b"no picture\n", headers=LATER).headers["location"]
    told = events(client, place.rsplit("/", 1)[1])[-1]
    assert told[1]["error"]["kind"] == "unknown_format"
    scan = client.get(place).json()
    assert (scan["status"], scan["error"]["kind"]) == ("failed", "unknown_format")
    assert refused(client.get(f"{place}/report.pdf")) == (409, "no_result")
    cut = send(client, portrait[: len(portrait) // 2]).json()["report"]
    assert cut["media"]["read_share"] < 1


def test_two_files_in_one_request_are_refused(client: httpx.Client, portrait: bytes) -> None:
    files = [("file", ("a.jpg", portrait)), ("file", ("b.jpg", portrait))]
    assert refused(client.post("/v1/scans", files=files)) == (422, "invalid_request")


def test_requests_that_are_none(client: httpx.Client) -> None:
    assert refused(client.post("/v1/scans")) == (422, "invalid_request")
    assert refused(client.post("/v1/scans", data={"file": "text"})) == (422, "invalid_request")
    broken = client.post(
        "/v1/scans", content=b"--x\r\n", headers={"content-type": "multipart/form-data; boundary=y"}
    )
    assert refused(broken)[0] in (400, 422)
    assert refused(client.get("/v1/nonesuch")) == (404, "not_found")
    assert refused(client.put("/v1/scans")) == (405, "method_not_allowed")
    assert refused(client.get("/v1/scans/none/report.pdf")) == (404, "unknown_scan")


def test_the_limits_are_kept(serve: Callable[..., Served], portrait: bytes, tmp_path: Path) -> None:
    server = serve(workers=1, limits={"upload_bytes": 300_000, "duration_s": 1.0, "frames": 40})
    long = write_video(tmp_path / "a.mp4", 45).read_bytes()
    with httpx.Client(base_url=server.url, timeout=60) as client:
        assert refused(send(client, bytes(400_000))) == (413, "upload_too_large")
        start = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
        parts = itertools.chain([start], (bytes(1000) for _ in range(500)))  # of no declared length
        head = {"content-type": "multipart/form-data; boundary=x"}
        assert refused(client.post("/v1/scans", content=parts, headers=head)) == (
            413,
            "upload_too_large",
        )
        assert refused(send(client, long, "a.mp4")) == (422, "too_long")
        assert refused(send(client, portrait, frames="41")) == (422, "invalid_request")
        assert refused(client.request("GET", "/v1/models", content=bytes(100_000))) == (
            413,
            "upload_too_large",
        )
        assert send(client, portrait).status_code == 200
        assert client.get("/v1/limits").json()["upload_bytes"] == 300_000


def test_what_the_server_says_of_itself(client: httpx.Client, served: Served) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}
    (model,) = client.get("/v1/models").json()["models"]
    assert (model["name"], model["card"]["intended_use"]) == (TINY, "tests")
    assert "unmask_scans_total" in client.get("/metrics").text
    assert served.metric("unmask_workers") == 2


def test_openapi(client: httpx.Client) -> None:
    tree = client.get("/openapi.json").json()
    assert tree["openapi"].startswith("3.1")
    wanted = {
        "/v1/scans",
        "/v1/scans/{scan_id}",
        "/v1/scans/{scan_id}/events",
        "/v1/scans/{scan_id}/report.html",
        "/v1/scans/{scan_id}/report.pdf",
        "/v1/scans/{scan_id}/report.json",
        "/v1/models",
        "/healthz",
        "/readyz",
        "/metrics",
    }
    assert wanted <= tree["paths"].keys()
    errors = [
        answer["content"]["application/json"]["schema"]
        for path in tree["paths"].values()
        for operation in path.values()
        for status, answer in operation["responses"].items()
        if status >= "400"
    ]
    assert len(errors) > 30
    assert all(schema == {"$ref": "#/components/schemas/ProblemShape"} for schema in errors)
    assert "examples" in tree["components"]["schemas"]["ScanShape"]
    assert "HTTPValidationError" not in tree["components"]["schemas"]


def test_reports_with_words_of_ones_own(client: httpx.Client, portrait: bytes) -> None:
    place = send(client, portrait, explain="true").headers["location"]
    form = {"case_name": "Case 7", "notes": "seen <b>twice</b>\nby me"}
    page = client.post(f"{place}/report", data={"kind": "html", **form})
    assert page.status_code == 200
    assert "Case 7" in page.text
    assert "seen &lt;b&gt;twice&lt;/b&gt;" in page.text
    assert "sandbox" in page.headers["content-security-policy"]
    assert client.post(f"{place}/report", data={"kind": "pdf", **form}).content[:4] == b"%PDF"
    whole = client.post(f"{place}/report", data={"kind": "json", **form}).json()
    assert whole["case"] == {"name": "Case 7", "notes": "seen <b>twice</b>\nby me"}
    assert "Case 7" not in client.get(f"{place}/report.html").text  # not kept
    plain = client.post(f"{place}/report", data={"kind": "html"}).content
    assert plain == client.get(f"{place}/report.html").content
    assert refused(client.post(f"{place}/report", data={"kind": "exe"})) == (422, "invalid_request")
    too_long = {"kind": "html", "notes": "x" * 10_001}
    assert refused(client.post(f"{place}/report", data=too_long)) == (422, "invalid_request")
