from __future__ import annotations

from pathlib import Path

import pytest

from helpers.provenance_files import as_bytes, picture, signed
from unmask.provenance import credentials as module
from unmask.provenance.credentials import MOST_STEPS, parse, read_credentials
from unmask.report.credential_words import chain
from unmask.types import Credentials


def read(folder: Path, data: bytes) -> Credentials:
    path = folder / "file.jpg"
    path.write_bytes(data)
    return read_credentials(path)


def test_a_signed_picture(tmp_path: Path) -> None:
    found = read(tmp_path, signed(as_bytes(picture())))
    assert found.state == "valid"
    assert found.signer == "Signer <b>of tests</b>"
    assert found.issuer == "Made by a test"
    assert found.generator == "test_camera 1.0"
    assert found.actions == ("c2pa.created",)
    assert found.source == "digitalCapture"
    assert not found.ai_generated
    assert found.problems == ()


def test_a_signed_png_and_a_signed_video(tmp_path: Path) -> None:
    from helpers.clips import write_video

    assert read(tmp_path, signed(as_bytes(picture(), "PNG"), "image/png")).state == "valid"
    clip = write_video(tmp_path / "clip.mp4", 10)
    assert read(tmp_path, signed(clip.read_bytes(), "video/mp4")).state == "valid"


@pytest.mark.parametrize(
    "source", ["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"]
)
def test_a_generator_that_says_so(tmp_path: Path, source: str) -> None:
    found = read(tmp_path, signed(as_bytes(picture()), source=source))
    assert found.state == "valid"
    assert found.ai_generated


def test_changed_pixels_are_told_from_absence(tmp_path: Path) -> None:
    data = bytearray(signed(as_bytes(picture())))
    data[-40] ^= 0xFF
    found = read(tmp_path, bytes(data))
    assert found.state == "tampered"
    assert "assertion.dataHash.mismatch" in found.problems
    assert found.signer  # who signed what it was before is still said
    assert read(tmp_path, as_bytes(picture())).state == "absent"


def test_a_changed_claim_is_told(tmp_path: Path) -> None:
    data = signed(as_bytes(picture()))
    found = read(tmp_path, data.replace(b"test_camera", b"best_camera"))
    assert found.state == "tampered"
    assert "claimSignature.mismatch" in found.problems


def test_a_broken_manifest_is_unreadable(tmp_path: Path) -> None:
    data = bytearray(signed(as_bytes(picture())))
    start = data.index(b"jumb")
    data[start + 20 : start + 400] = b"\xff" * 380
    found = read(tmp_path, bytes(data) + b"c2pa")
    assert found.state == "unreadable"
    assert found.problems


def test_a_huge_manifest_is_refused_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = [{"label": "org.test.huge", "data": {"text": "x" * 300_000}}]
    data = signed(as_bytes(picture()), assertions=huge)
    assert read(tmp_path, data).state == "valid"
    monkeypatch.setattr(module, "MAX_MANIFEST_BYTES", 200_000)
    found = read(tmp_path, data)
    assert found.state == "unreadable"
    assert "at most 200000" in found.problems[0]


def test_the_four_letters_by_chance(tmp_path: Path) -> None:
    assert read(tmp_path, as_bytes(picture()) + b"c2pa").state == "absent"
    assert read(tmp_path, b"c2pa" * 10).state in ("absent", "unreadable")


def test_no_file_and_an_empty_one(tmp_path: Path) -> None:
    assert read_credentials(tmp_path / "none").state == "absent"
    assert read(tmp_path, b"").state == "absent"


def test_hostile_manifests_are_parsed_without_a_fault() -> None:
    assert parse({}).state == "unreadable"
    store = {
        "active_manifest": "a",
        "manifests": {
            "a": {"assertions": [{"label": "c2pa.actions", "data": ["no", "actions"]}, {}]}
        },
        "validation_status": [
            {"code": "signingCredential.untrusted"},
            {"code": "signingCredential.expired"},
        ],
    }
    found = parse(store)
    assert found.state == "invalid"
    assert found.problems == ("signingCredential.expired",)


def test_an_identity_that_cannot_be_looked_up_makes_nothing_invalid() -> None:
    store = {
        "active_manifest": "a",
        "manifests": {"a": {"signature_info": {"common_name": "A camera"}}},
        "validation_status": [
            {"code": "cawg.ica.did_unavailable"},
            {"code": "signingCredential.untrusted"},
        ],
    }
    found = parse(store)
    assert (found.state, found.problems) == ("valid", ())
    assert found.unchecked == ("cawg.ica.did_unavailable",)
    # a signature of the identity that does not fit is a fault
    store["validation_status"] = [{"code": "cawg.ica.signature_mismatch"}]
    assert parse(store).state == "invalid"


def test_the_history_of_a_picture_that_was_edited_and_signed_again(tmp_path: Path) -> None:
    """What was generated stays so when an editor, who says nothing of it, signs it too."""
    generated = signed(as_bytes(picture()), source="trainedAlgorithmicMedia")
    path = tmp_path / "a.jpg"
    path.write_bytes(signed(generated, edited=True))
    found = read_credentials(path)
    assert found.state == "valid"
    assert [step.actions[0] for step in found.history] == ["c2pa.created", "c2pa.opened"]
    assert found.generator == "test_editor"
    assert found.ai_generated
    assert found.source == "trainedAlgorithmicMedia"
    first, second = chain(found)
    assert first.startswith("created, made by an AI generator (trainedAlgorithmicMedia); with")
    assert second.startswith("opened, cropped; with test_editor; signed by Signer")


def test_a_manifest_that_is_its_own_parent_ends() -> None:
    loop = {
        "ingredients": [{"relationship": "parentOf", "active_manifest": "a"}],
        "claim_generator": "made up",
    }
    found = parse({"active_manifest": "a", "manifests": {"a": loop}})
    assert len(found.history) == MOST_STEPS
    assert next(chain(found)) == "signed; with made up; signed by an unnamed signer"
