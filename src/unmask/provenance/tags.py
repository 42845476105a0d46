"""Tags: EXIF, XMP, text chunks, container metadata → what a file says of itself, in plain names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from unmask._internal.words import Words
from unmask.provenance.base import FileUnderCheck
from unmask.types import Provenance

_SAID: dict[str, tuple[str, ...]] = {
    "format": ("format",),
    "codec": ("codec",),
    "software": ("Software", "software", "encoder", "com.apple.quicktime.software"),
    "camera": ("Model", "com.apple.quicktime.model", "com.android.model"),
    "maker": ("Make", "com.apple.quicktime.make", "com.android.manufacturer"),
    "lens": ("LensModel",),
    "taken": ("DateTimeOriginal",),
    "created": ("DateTime", "creation_time", "date"),
    "generator": (
        "parameters",
        "prompt",
        "workflow",
        "Dream",
        "invokeai_metadata",
        "sd-metadata",
        "generation_data",
    ),
    "comment": ("comment", "Comment", "ImageDescription", "description", "UserComment"),
    "credit": ("Credit", "Artist", "Copyright"),
}

AI_SOURCES = frozenset(
    {
        "trainedAlgorithmicMedia",
        "compositeWithTrainedAlgorithmicMedia",
        "algorithmicMedia",
        "compositeSynthetic",
    }
)
"""Codes of the IPTC Digital Source Type vocabulary that mean: made, or in part made, by a
generator."""

GENERATORS = re.compile(
    r"stable.?diffusion|automatic1111|comfyui|invokeai|novelai|fooocus|dreamstudio|midjourney|dall.?e|openai|firefly"
    r"|imagen\b|ideogram|leonardo\.ai|flux\.1|adetailer|sora\b|runway|pika labs|kling|grok imagine",
    re.IGNORECASE,
)
"""Names of generators, looked for where programs sign their work."""

_GOOGLE = re.compile("made with google ai", re.IGNORECASE)
_A1111 = re.compile(r"\bSteps: \d+, Sampler: ", re.IGNORECASE)
_COMFY = re.compile(r'"class_type"\s*:')

MAX_TEXT = 200
"""Characters kept of one tag: files carry whole workflows and more."""

MAX_XMP = 1_000_000
"""Characters of XMP that are searched."""


def plain(text: str, most: int = MAX_TEXT) -> str:
    """One line without control characters, cut to `most` characters."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text[: 20 * most]).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def check_tags(file: FileUnderCheck) -> Provenance:
    """The tags worth showing, by plain names, and the traces of generators and editors in them."""
    tags = file.tags
    said = {}
    for name, keys in _SAID.items():
        text = plain(next((tags[key] for key in keys if tags.get(key)), ""))
        if text:
            said[name] = text
    said |= {name: text for name, text in _place_and_exposure(tags) if text}
    xmp = tags.get("xmp", "")[:MAX_XMP]
    said |= {name: text for name, text in _from_xmp(xmp) if text}
    traces = dict(_traces(tags, said, xmp))
    return Provenance(said, traces=traces, ai_generated=bool(AI_TRACES & traces.keys()))


AI_TRACES = frozenset(
    {"generator_settings", "generator_named", "digital_source_ai", "generator_mark"}
)
"""Traces that mean: the file says that a generator made it."""


_ISO_6709 = re.compile(r"([+-]\d{1,2}(?:\.\d+)?)([+-]\d{1,3}(?:\.\d+)?)")
"""A place in a video's metadata: degrees north, degrees east, then perhaps its height."""


def _place_and_exposure(tags: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Where and how it was recorded, as people write it."""
    yield "place", plain(tags.get("place", ""))
    for key in ("com.apple.quicktime.location.ISO6709", "location", "location-eng"):
        if found := _ISO_6709.match(tags.get(key, "")):
            north, east = (float(part) for part in found.groups())
            yield "place", f"{north:.5f}, {east:.5f}"
            break
    parts = [
        _exposure_time(_ratio(tags.get("ExposureTime"))),
        _unit("f/{:g}", _ratio(tags.get("FNumber"))),
        _unit("ISO {:g}", _ratio(tags.get("ISOSpeedRatings"))),
        _unit("{:g} mm", _ratio(tags.get("FocalLength"))),
    ]
    yield "exposure", ", ".join(filter(None, parts))


def _ratio(text: str | None) -> float:
    """A number of EXIF, which may be written as a fraction; 0 where it is none."""
    try:
        number, _, divisor = (text or "").partition("/")
        value = float(number) / float(divisor or 1)
    except (ValueError, ZeroDivisionError):
        return 0.0
    return value if 0 < value < 1e6 else 0.0


def _exposure_time(seconds: float) -> str:
    if not seconds:
        return ""
    return f"{seconds:g} s" if seconds >= 0.3 else f"1/{1 / seconds:.0f} s"


def _unit(form: str, value: float) -> str:
    return form.format(round(value, 1)) if value else ""


def _from_xmp(xmp: str) -> Iterator[tuple[str, str]]:
    """By regular expressions: hostile XML is not parsed."""
    yield "created_with", plain(_xmp_value(xmp, "xmp:CreatorTool"))
    yield "digital_source_type", plain(_xmp_value(xmp, "DigitalSourceType").rsplit("/", 1)[-1])
    agents = re.findall(r"stEvt:softwareAgent(?:=\"|>)([^\"<]{1,200})", xmp)
    yield "edited_with", plain("; ".join(dict.fromkeys(agents)))


def _xmp_value(xmp: str, name: str) -> str:
    match = re.search(rf"{name}(?:=\"|>|\s+rdf:resource=\")([^\"<]{{1,500}})", xmp)
    return match.group(1) if match else ""


def _traces(
    tags: Mapping[str, str], said: Mapping[str, str], xmp: str
) -> Iterator[tuple[str, str]]:
    for key in ("parameters", "UserComment", "comment", "Comment", "Description"):
        if _A1111.search(tags.get(key, "")[:MAX_XMP]):
            yield (
                "generator_settings",
                "settings of a Stable Diffusion program (steps, sampler, …) in its text",
            )
    for key in ("prompt", "workflow"):
        if _COMFY.search(tags.get(key, "")[:MAX_XMP]):
            yield "generator_settings", "a ComfyUI workflow in its text"
    for key in ("Dream", "invokeai_metadata", "sd-metadata", "generation_data"):
        if tags.get(key):
            yield (
                "generator_settings",
                Words("settings of an image generator in its text ({key})", key=key),
            )
    # comments and credits are people's words: photographs of runways and fireflies are not
    # generated
    signed = "; ".join(said.get(key, "") for key in ("software", "created_with", "edited_with"))
    credit = said.get("credit", "") + "; " + _xmp_value(xmp, "photoshop:Credit")
    if generator := GENERATORS.search(signed) or _GOOGLE.search(credit):
        yield "generator_named", Words("names a generator: {name}", name=generator.group(0))
    if (source := said.get("digital_source_type", "")) in AI_SOURCES:
        yield (
            "digital_source_ai",
            Words(
                "digital source type {source}: made, or in part made, by a generator",
                source=source,
            ),
        )
    if steps := len(re.findall(r"stEvt:action", xmp)):
        yield (
            "edit_history",
            Words(
                "a history of {steps} steps with {program}",
                steps=steps,
                program=said["edited_with"],
            )
            if "edited_with" in said
            else Words("a history of {steps} steps", steps=steps),
        )
    if "DerivedFrom" in xmp:
        yield "derived", Words("says that it was derived from another file")
    taken, saved = said.get("taken"), said.get("created")
    if taken and saved and taken != saved:
        yield "saved_later", Words("taken {taken}, written {saved}", taken=taken, saved=saved)
