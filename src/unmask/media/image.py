"""Pictures, still or animated, by Pillow."""

from __future__ import annotations

import threading
import warnings
from bisect import bisect_right
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from unmask._internal.words import Words
from unmask.errors import NoFramesError, TooLargeError, UnknownFormatError
from unmask.media.base import Closing, choose_frames, require_pixels
from unmask.media.broken import broken_as
from unmask.media.gif import is_interrupted
from unmask.media.heif import is_heif, read_heif, share_there
from unmask.media.known import refuse_raw_tiff
from unmask.media.picture_tags import picture_tags, upright_size
from unmask.media.quiet import silence_libtiff
from unmask.media.trailing import Trailing
from unmask.types import Frame, Image, Media, Part, Unseen

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "PPM", "JPEG2000")
"""What Pillow is allowed to try, as far as it was built with it: no format that runs another
program (EPS)."""

_SUBFILE_TYPE = 254
"""The TIFF tag that says whether a page is a smaller version of another."""

_ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")

# Pillow keeps its limits in module globals; what is borrowed here is given back under this lock.
_pillow = threading.Lock()
_lenient_spells = (
    0  # how often the lock's holders have begun or ended to let Pillow read what is cut short
)


def open_image(
    path: Path, sha256: str, max_pixels: int, behind: Trailing
) -> Still | Animation | None:
    """The picture, or None where Pillow does not know the format.

    - behind: what lies behind it in the file

    Raises TooLargeError, UnknownFormatError.
    """
    silence_libtiff()
    if is_heif(path):
        picture, unseen = read_heif(path, max_pixels)
        return Still(path, sha256, picture, (*unseen, *_clip_inside(path, behind)))
    try:
        picture = _open(path)
    except UnidentifiedImageError:
        return None
    with broken_as("a broken picture"):
        width, height = picture.size
        count = int(getattr(picture, "n_frames", 1))
    try:
        require_pixels(width, height, max_pixels)
    except TooLargeError:
        picture.close()
        raise
    if picture.format == "TIFF":
        with broken_as("a broken picture"):
            tags: Any = picture.tag_v2  # type: ignore[attr-defined]
            kinds, subfile_type = frozenset(tags), tags.get(_SUBFILE_TYPE)
        try:
            refuse_raw_tiff(kinds, subfile_type if isinstance(subfile_type, int) else 0)
        except UnknownFormatError:
            picture.close()
            raise
    unseen = _behind_a_break(picture, path)
    if count > 1 and picture.format in _ANIMATED:
        return Animation(path, sha256, picture, count, unseen)
    unseen += (*_further(picture, count), *_clip_inside(path, behind))
    return Still(path, sha256, picture, unseen)


def _behind_a_break(picture: Pillow.Image, path: Path) -> tuple[Unseen, ...]:
    """The frames of a GIF that a break in the file may hide."""
    if picture.format != "GIF" or not is_interrupted(path):
        return ()
    note = Words(
        "the file is damaged behind one of its frames; what follows there was not looked at"
    )
    return (Unseen(Part.FRAMES, 1, note),)


def _further(picture: Pillow.Image, count: int) -> tuple[Unseen, ...]:
    """The pictures besides the first one that show something else."""
    if count < 2:
        return ()
    if picture.format != "MPO":
        note = Words("only the first of {count} pages was judged", count=count)
        return (Unseen(Part.PAGES, count - 1, note),)
    others = sum(not _is_made_from_first(picture, number) for number in range(1, count))
    with broken_as("a broken picture"):
        picture.seek(0)
    if not others:
        return ()
    note = Words(
        "only the first picture was judged; {others} more in the file were not looked at",
        others=others,
    )
    return (Unseen(Part.PICTURES, others, note),)


def _is_made_from_first(picture: Pillow.Image, number: int) -> bool:
    """Whether a further picture of an MPO is a preview of the first, or how to brighten it."""
    try:
        picture.seek(number)
        entry = picture.mpinfo[0xB002][number]  # type: ignore[attr-defined]
        if "Thumbnail" in entry["Attribute"]["MPType"]:
            return True
        said = picture.info.get("xmp", b"") + (picture.info.get("exif") or b"")
        return picture.mode == "L" or b"hdrgm" in said or b"hdrgainmap" in said.lower()
    except Exception:
        # whatever a broken directory sets off: what cannot be told to be a preview is a picture
        return False


def _clip_inside(path: Path, behind: Trailing) -> tuple[Unseen, ...]:
    """The clip of a motion photo."""
    if behind.clip_at is None:
        return ()
    megabytes = (path.stat().st_size - behind.clip_at) / 1e6
    note = Words(
        "the clip inside of this picture ({megabytes:.1f} MB, a motion photo) was not looked at;"
        " save it as a file of its own to have it judged",
        megabytes=megabytes,
    )
    return (Unseen(Part.CLIP, 1, note),)


class Still(Closing):
    """A picture: one frame at 0 s."""

    def __init__(
        self, path: Path, sha256: str, picture: Pillow.Image, unseen: tuple[Unseen, ...]
    ) -> None:
        self._decoded: tuple[Pillow.Image, Exception | None] | None = None
        if picture.format == "PNG":
            # what it says of itself may stand behind its pixels, so asking for it decodes them
            self._decoded = _decode(picture, path)
            picture = self._decoded[0]
        self._picture = picture
        width, height = upright_size(picture)
        self.media = Media(str(path), sha256, "image", width, height, unseen=unseen)
        self.tags: Mapping[str, str] = picture_tags(picture)

    def frames(self, count: int, every_s: float | None = None) -> Iterator[Frame]:
        """The picture, once.

        Raises NoFramesError where nothing of it can be decoded.
        """
        if count < 1:
            raise ValueError(f"the number of frames must be at least 1, but is {count}")
        path = Path(self.media.path)
        self._picture, fault = self._decoded or _decode(self._picture, path)
        share = 1.0
        if fault is not None:
            self._picture.close()
            self._picture, share = _decode_leniently(path, fault)
        elif self._picture.format == "HEIF":
            share = share_there(path)
        with broken_as("the picture cannot be decoded", NoFramesError):
            image = to_rgb(self._picture)
        self.media = replace(self.media, frames_read=1, read_share=share)
        yield Frame(0, 0.0, image)

    def frames_at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        """None: a picture has no other."""
        return iter(())

    def close(self) -> None:
        self._picture.close()


class Animation(Closing):
    """An animated GIF, PNG, WebP or AVIF: judged as the short video that it is."""

    def __init__(
        self,
        path: Path,
        sha256: str,
        picture: Pillow.Image,
        count: int,
        unseen: tuple[Unseen, ...] = (),
    ) -> None:
        self._picture = picture
        self._shown: set[int] = set()
        self._times, time = [], 0.0
        durations_ms = _webp_durations(path) if picture.format == "WEBP" else []
        for number in range(count):
            try:
                picture.seek(number)
            except Exception:  # cut short, or broken in whatever way: what came before is shown
                break
            self._times.append(time)
            if number < len(durations_ms):
                duration_ms: float = durations_ms[number]
            else:
                duration_ms = _number(picture.info.get("duration"))
            # browsers show 0 ms as 100 ms
            time += (duration_ms or 100.0) / 1000
        self._end = time
        self._declared = count
        self._broken = 0
        fps = Fraction(len(self._times) / time).limit_denominator(1000) if time else None
        self.media = Media(
            str(path), sha256, "video", *picture.size, duration_s=time, fps=fps, unseen=unseen
        )
        self.tags: Mapping[str, str] = picture_tags(picture)

    def frames(self, count: int, every_s: float | None = None) -> Iterator[Frame]:
        """Frames of the animation, as `OpenMedia.frames`."""
        self._shown.clear()
        if not (yield from self._show(choose_frames(self._times, self._end, count, every_s))):
            raise NoFramesError("not one frame of the animation can be decoded")
        if self._broken:
            note = Words("{broken} frames could not be decoded", broken=self._broken)
            unseen = Unseen(Part.FRAMES, self._broken, note)
            self.media = replace(self.media, unseen=(*self.media.unseen, unseen))

    def frames_at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        """As `OpenMedia.frames_at`."""
        numbers = {max(0, bisect_right(self._times, time + 1e-9) - 1) for time in times_s}
        yield from self._show(sorted(numbers - self._shown))

    def _show(self, numbers: Sequence[int]) -> Generator[Frame, None, int]:
        """The frames of these numbers that can be decoded; returns how many."""
        before = len(self._shown)
        for number in numbers:
            try:
                self._picture.seek(number)
                image = to_rgb(self._picture)
            except Exception:  # a broken frame; the next may be good
                self._broken += 1
                continue
            self._shown.add(number)
            read, share = len(self._shown), len(self._times) / self._declared
            self.media = replace(self.media, frames_read=read, read_share=share)
            yield Frame(number, self._times[number], image)
        return len(self._shown) - before

    def close(self) -> None:
        self._picture.close()


def to_rgb(picture: Pillow.Image) -> Image:
    """Any picture as (height, width, 3) uint8 sRGB, upright.

    EXIF orientation is applied, 16 bits are scaled to 8, an embedded colour profile is brought to
    sRGB, and what is transparent lies on white.
    """
    profile = picture.info.get("icc_profile")
    with suppress(Exception):
        # as in _exif: a picture whose EXIF is broken is shown as it is stored
        ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith("I") or picture.mode == "F":
        grey = _to_8_bits(np.asarray(picture), picture.mode)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Pillow.alpha_composite(Pillow.new("RGBA", picture.size, "white"), picture)
    if profile and picture.mode in ("RGB", "RGBA", "CMYK", "L"):
        picture = _to_srgb(picture, profile)
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _open(path: Path) -> Pillow.Image:
    with _pillow, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # the bound is checked by the caller
        limit, Pillow.MAX_IMAGE_PIXELS = (
            Pillow.MAX_IMAGE_PIXELS,
            None,
        )
        try:
            Pillow.init()
            with broken_as("a broken picture", passing=UnidentifiedImageError):
                return Pillow.open(path, formats=[name for name in FORMATS if name in Pillow.OPEN])
        finally:
            Pillow.MAX_IMAGE_PIXELS = limit


def _decode(picture: Pillow.Image, path: Path) -> tuple[Pillow.Image, Exception | None]:
    """The picture with its pixels, and what has kept them from being decoded whole."""
    before = _lenient_spells
    try:
        picture.load()
        if before != _lenient_spells or before % 2 == 1:
            # another thread let Pillow be lenient meanwhile: this load may have hidden a fault
            picture.close()
            picture = _open(path)
            with _pillow:
                picture.load()
    except Exception as error:  # as `broken_as` says, decoders raise whatever there is
        return picture, error
    return picture, None


def _decode_leniently(path: Path, fault: Exception) -> tuple[Pillow.Image, float]:
    """The picture as far as it can be decoded, and the share of rows that could be.

    - fault: what keeps it from being decoded whole

    Raises NoFramesError.
    """
    global _lenient_spells  # noqa: PLW0603
    # a new beginning: of a picture half decoded Pillow does not say again that it is broken
    with broken_as("the picture cannot be decoded", NoFramesError):
        picture = _open(path)
    with _pillow:
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        _lenient_spells += 1
        try:
            with broken_as("the picture cannot be decoded", NoFramesError):
                picture.load()
        except MemoryError as error:
            # for its pixels there was enough before, so a length in the file is absurd
            raise NoFramesError(f"the picture cannot be decoded: {fault}") from error
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
            _lenient_spells += 1
    # rows that no data came for all look like the last one: black in a PNG, the last block's colour
    # in a JPEG
    pixels = np.asarray(picture.convert("RGB"))
    differing = np.flatnonzero((pixels != pixels[-1]).any(axis=(1, 2)))
    share = float(differing[-1] + 1) / len(pixels) if len(differing) else 0.0
    if share == 0:
        raise NoFramesError(f"nothing of the picture can be decoded: {fault}") from fault
    return picture, share


def _webp_durations(path: Path) -> list[int]:
    """How long each frame of an animated WebP is shown, in milliseconds, by its chunks.

    Pillow tells it only once a frame has been decoded.
    """
    durations = []
    with path.open("rb") as file:
        file.seek(12)  # RIFF, size, WEBP
        while len(header := file.read(8)) == 8:
            name, size = header[:4], int.from_bytes(header[4:], "little")
            if name == b"ANMF":
                frame = file.read(min(size, 15))
                durations.append(int.from_bytes(frame[12:15], "little"))
                file.seek(size - len(frame), 1)
            else:
                file.seek(size, 1)
            file.seek(size & 1, 1)  # chunks begin at even places
    return durations


def _number(value: object) -> float:
    """Of a tag that should be one; 0 where it is none."""
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0
    return found if 0 < found < 1e9 else 0.0


def _to_8_bits(grey: np.ndarray, mode: str) -> Image:
    if mode == "F":
        top = float(np.nanmax(grey)) if grey.size else 0.0
        scale = 255.0 if top <= 1 else 1.0 if top <= 255 else 255 / 65535
    else:
        scale = 255 / 65535 if grey.size and int(grey.max()) > 255 else 1.0
    return np.clip(np.nan_to_num(grey.astype(np.float64)) * scale + 0.5, 0, 255).astype(np.uint8)


def _to_srgb(picture: Pillow.Image, profile: bytes) -> Pillow.Image:
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return picture
        alpha_free = picture.convert("RGB") if picture.mode == "RGBA" else picture
        return (
            ImageCms.profileToProfile(
                alpha_free, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            or picture
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return picture  # a broken profile says nothing of the colours
