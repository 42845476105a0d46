"""What of a file was not looked at: the one place where it is put together.

Readers of media say what they pass over (pages, streams, pictures beside the main one); what else
is missing is known once the faces have been found. Whatever is named here keeps the file from being
called real, and stands in every form of the report.
"""

from __future__ import annotations

from dataclasses import replace

from unmask._internal.words import Words
from unmask.detector.extract import MAX_JUDGED
from unmask.types import Media, Part, Unseen


def with_coverage(media: Media, *, crowded_frames: int) -> Media:
    """The media with all that went unseen, and the notes that say so.

    - media: as it was read to the end, with what its reader passed over
    - crowded_frames: frames with more faces than are judged
    """
    unseen = list(media.unseen)
    if media.read_share < 1:
        note = Words("only {share:.0%} of the file could be read", share=media.read_share)
        unseen.append(Unseen(Part.REST, None, note))
    if crowded_frames:
        most = {"most": MAX_JUDGED, "frames": crowded_frames}
        note = (
            Words("more than {most} faces; the largest were judged", **most)
            if media.kind == "image"
            else Words(
                "more than {most} faces in {frames} of its frames; the largest were judged", **most
            )
        )
        unseen.append(Unseen(Part.FACES, None, note))
    notes = (*media.notes, *(one.note for one in unseen))
    return replace(media, notes=notes, unseen=tuple(unseen))


def frames_wanted(media: Media) -> int:
    """How many frames were asked for, or the file has, if that is less: those that broke, too."""
    broken = sum(one.count or 0 for one in media.unseen if one.part is Part.FRAMES)
    return media.frames_read + broken
