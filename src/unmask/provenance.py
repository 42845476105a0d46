"""What a file says of itself. It is a claim, never proof: anyone can write it, and most honest files say nothing."""

from __future__ import annotations

from collections.abc import Mapping

from unmask.types import Provenance

_SAID: dict[str, tuple[str, ...]] = {
    "format": ("format",),
    "codec": ("codec",),
    "software": ("Software", "software", "encoder", "com.apple.quicktime.software"),
    "camera": ("Model", "com.apple.quicktime.model", "com.android.model"),
    "maker": ("Make", "com.apple.quicktime.make", "com.android.manufacturer"),
    "created": ("DateTime", "creation_time", "date"),
    "generator": ("parameters", "prompt", "workflow"),  # Stable Diffusion web UIs and ComfyUI write these
    "comment": ("comment", "Comment", "ImageDescription", "description"),
}

MAX_TEXT = 200
"""Characters kept of one tag: files carry whole workflows and more."""


def read_provenance(tags: Mapping[str, str]) -> Provenance:
    """The tags worth showing, by plain names; control characters are taken out and long texts are cut."""
    said = {}
    for name, keys in _SAID.items():
        text = next((tags[key] for key in keys if tags.get(key)), "")
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        if text:
            said[name] = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    return Provenance(said)
