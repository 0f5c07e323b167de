"""Masks as images: DAVIS's index PNGs, SAM 2's folder per object, MOTS's and VIPSeg's numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tevit_vis.rle import decode_rle, encode_array
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import writing_faults
from tevit_vis.video.image_sources import natural_key

from .base import ConversionLog, Format, ReadOptions, numbered_class, register
from .builder import ContentBuilder
from .frame_names import frame_names
from .index_images import (
    drop_classes,
    first_image,
    image_videos,
    is_deep,
    list_folders,
    list_pngs,
    only_class,
    read_pixels,
    read_video,
    save_image,
    tracks_of_videos,
    write_video,
)

VOID = 255  # of 8-bit images: neither object nor background
MOTS_CLASS = 1000  # a pixel of MOTS is class * 1000 + number
MOTS_IGNORED = 10  # class of regions to be ignored
VIPSEG_CLASS = 100  # a pixel of VIPSeg is class * 100 + number, or a class of stuff
VIPSEG_STUFF = 124  # the largest class of stuff


class DavisImages(Format):
    """A folder per video with a PNG per frame: pixels are numbers of objects, 0 for none."""

    name = 'davis'
    title = 'index PNGs, one per frame (DAVIS, SAM 2)'

    def recognises(self, path: str) -> bool:
        """Whether it is a folder of 8-bit PNGs, or of folders with some."""
        first = first_image(path)
        return first is not None and not is_deep(first)

    def read(self, path: str, options: ReadOptions) -> dict[str, Any]:
        """Returns the objects; they have one class, since the images do not tell.

        Raises:
            InputError: an image is damaged, or of another size than the others of its video.
        """
        builder = ContentBuilder(options.categories, options.log)
        label = only_class(options)
        for name, files in image_videos(path):
            tracks = read_video(builder, name, files, options)
            for number, masks in sorted(tracks[1].items()):
                where = f'{name}: object {number}'
                if number == VOID and not is_deep(files[0]):
                    options.log.drop('void pixels (255)', where)
                else:
                    builder.add_track(tracks[0], label, masks, where)
            options.on_video()
        return builder.content()

    def write(self, content: Mapping[str, Any], path: str, log: ConversionLog) -> None:
        """Writes the images; where objects overlap, the one that is first in the file counts."""
        for video, name, tracks in tracks_of_videos(content, path, log):
            drop_classes(tracks, log)
            numbers = list(range(1, len(tracks) + 1))
            if len(numbers) >= VOID:
                raise InputError(
                    f'{path}: {name} must have at most {VOID - 1} objects for 8-bit images, '
                    f'but has {len(numbers)}: take --to mots-png or sam2'
                )
            write_video(Path(path, name), video, tracks, numbers, log, palette=True)


class ObjectImages(Format):
    """SAM 2's folders: VIDEO/OBJECT/FRAME.png, white or 1 where the object is."""

    name = 'sam2'
    title = 'PNGs in a folder per object (SAM 2)'

    def recognises(self, path: str) -> bool:
        """Whether it is a folder of videos with folders of objects, whose names are numbers."""
        first = first_image(path, depth=2)
        return first is not None and len(first.relative_to(path).parts) == 3

    def read(self, path: str, options: ReadOptions) -> dict[str, Any]:
        """Returns the objects; they have one class, since the images do not tell.

        Raises:
            InputError: an image is damaged, or of another size than the others of its video.
        """
        builder = ContentBuilder(options.categories, options.log)
        label = only_class(options)
        for folder in list_folders(path):
            objects = [each for each in list_folders(folder) if each.name.isdecimal()]
            files = {each: list_pngs(each) for each in objects}
            stems = sorted({f.stem for own in files.values() for f in own}, key=natural_key)
            if not stems:
                options.log.drop('a folder without images', str(folder))
                continue
            frame_of = {stem: t for t, stem in enumerate(stems)}
            video = 0
            size: tuple[int, int] | None = None
            for each in objects:
                masks: dict[int, RLE] = {}
                for file in files[each]:
                    pixels = read_pixels(file, size)
                    size = (pixels.shape[0], pixels.shape[1])
                    if pixels.any():
                        masks[frame_of[file.stem]] = encode_array(pixels > 0)
                if size is not None and not video:
                    names = frame_names(folder.name, len(stems), options)
                    video = builder.add_video(folder.name, size[1], size[0], names)
                if video:
                    builder.add_track(video, label, masks, f'{folder.name}: object {each.name}')
            options.on_video()
        return builder.content()

    def write(self, content: Mapping[str, Any], path: str, log: ConversionLog) -> None:
        """Writes an image of 0 and 255 for each object and frame, also where it is not seen."""
        for video, name, tracks in tracks_of_videos(content, path, log):
            drop_classes(tracks, log)
            for number, track in enumerate(tracks, start=1):
                folder = Path(path, name, f'{number:03d}')
                with writing_faults(folder):
                    folder.mkdir(parents=True)
                for t, mask in enumerate(track['segmentations']):
                    empty = np.zeros((video.height, video.width), bool)
                    pixels = empty if mask is None else decode_rle(mask)
                    save_image(
                        Image.fromarray(pixels.astype(np.uint8) * 255), folder / f'{t:05d}.png'
                    )


class MotsImages(Format):
    """A folder per video with a 16-bit PNG per frame: class * 1000 + number of the object."""

    name = 'mots-png'
    title = '16-bit PNGs, class * 1000 + object (MOTS, KITTI)'

    def recognises(self, path: str) -> bool:
        """Whether it is a folder of 16-bit PNGs with numbers that MOTS has, or of such folders."""
        first = first_image(path)
        return first is not None and is_deep(first) and not _has_stuff(first)

    def read(self, path: str, options: ReadOptions) -> dict[str, Any]:
        """Returns the objects; without ``--categories`` classes are called by their numbers.

        Raises:
            InputError: an image is damaged, or of another size than the others of its video.
        """
        return _read_numbered(path, options, _mots_class)

    def write(self, content: Mapping[str, Any], path: str, log: ConversionLog) -> None:
        """Writes the images; where objects overlap, the one that is first in the file counts."""
        for video, name, tracks in tracks_of_videos(content, path, log):
            numbers = mots_numbers(tracks, f'{path}: {name}')
            write_video(Path(path, name), video, tracks, numbers, log, palette=False)


class VIPSegImages(Format):
    """A folder per video with a 16-bit PNG per frame: stuff is 1 to 124, a thing class * 100 + n.

    Classes count from 1 in the images and from 0 in VIPSeg's list of categories, which
    ``--categories`` takes; here they have the numbers of the list (VIPSeg, README).
    """

    name = 'vipseg'
    title = '16-bit panoptic PNGs, stuff and class * 100 + object (VIPSeg)'

    def recognises(self, path: str) -> bool:
        """Whether it is a folder of 16-bit PNGs with numbers of stuff, or of such folders."""
        first = first_image(path)
        return first is not None and is_deep(first) and _has_stuff(first)

    def read(self, path: str, options: ReadOptions) -> dict[str, Any]:
        """Returns the things; without ``--categories`` classes are called by their numbers.

        Raises:
            InputError: an image is damaged, or of another size than the others of its video.
        """
        return _read_numbered(path, options, _vipseg_class)


def _mots_class(number: int) -> int | str:
    """Returns the class of a number of MOTS, or why it is left out."""
    category = number // MOTS_CLASS
    return 'regions to be ignored (10000)' if category == MOTS_IGNORED else category


def _vipseg_class(number: int) -> int | str:
    """Returns the class of a number of VIPSeg, or why it is left out."""
    if number <= VIPSEG_STUFF:
        return 'regions of stuff, which are no objects'
    return number // VIPSEG_CLASS - 1


def _read_numbered(
    path: str, options: ReadOptions, class_of: Callable[[int], int | str]
) -> dict[str, Any]:
    """Returns the objects of images whose numbers tell their classes.

    Args:
        path: of the folder.
        options: of the conversion.
        class_of: returns the class of a number, or why it is left out.
    """
    builder = ContentBuilder(options.categories, options.log)
    for name, files in image_videos(path):
        video, tracks = read_video(builder, name, files, options)
        for number, masks in sorted(tracks.items()):
            category, where = class_of(number), f'{name}: object {number}'
            if isinstance(category, str):
                options.log.drop(category, where)
            else:
                builder.add_track(video, numbered_class(category, options), masks, where)
        options.on_video()
    return builder.content()


def _has_stuff(file: Path) -> bool:
    """Whether an image has numbers below those of MOTS: VIPSeg's stuff, or its first things."""
    pixels = read_pixels(file, None)
    return bool(((pixels > 0) & (pixels < MOTS_CLASS)).any())


def mots_numbers(tracks: list[Mapping[str, Any]], where: str) -> list[int]:
    """Returns the number of each track: class * 1000 + its place among those of its class.

    Raises:
        InputError: a number does not fit 16 bits, or a class has 1000 tracks or more.
    """
    numbers, used = [], dict[int, int]()
    for track in tracks:
        category = track['category_id']
        place = used.get(category, 0)
        used[category] = place + 1
        number = category * MOTS_CLASS + place
        if place >= MOTS_CLASS or not 0 < number <= np.iinfo(np.uint16).max:
            raise InputError(
                f'{where}: MOTS has classes from 1 to 64 with at most {MOTS_CLASS} objects, but '
                f'this one has class {category} and its object {place}'
            )
        if category == MOTS_IGNORED:
            raise InputError(f'{where}: class 10 stands for ignored regions in MOTS: remap it')
        numbers.append(number)
    return numbers


register(DavisImages())
register(ObjectImages())
register(MotsImages())
register(VIPSegImages())
