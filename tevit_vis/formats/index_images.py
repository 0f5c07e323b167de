"""Images whose pixels are numbers of objects: how they are found, read and written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tevit_vis.annotated_videos import Video, parse_videos
from tevit_vis.rle import decode_rle, encode_array
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import writing_faults
from tevit_vis.video.image_sources import natural_key
from tevit_vis.video.images import image_faults
from tevit_vis.visualization.draw import track_color

from .base import ConversionLog, ReadOptions
from .builder import ContentBuilder, video_names
from .frame_names import frame_names

NO_CLASS = 'object'  # name of the only class of forms without classes


def list_folders(path: str | Path) -> list[Path]:
    own = [each for each in Path(path).iterdir() if each.is_dir() and each.name[0] != '.']
    return sorted(own, key=lambda each: natural_key(each.name))


def list_pngs(folder: Path) -> list[Path]:
    files = [each for each in folder.iterdir() if each.suffix.lower() == '.png']
    return sorted(files, key=lambda each: natural_key(each.name))


def image_videos(path: str) -> Iterator[tuple[str, list[Path]]]:
    """Yields name and images of each video: the folders of a folder, or the folder itself."""
    own = list_pngs(Path(path))
    if own:
        yield Path(path).resolve().name, own
        return
    for folder in list_folders(path):
        files = list_pngs(folder)
        if files:
            yield folder.name, files


def first_image(path: str, depth: int = 1) -> Path | None:
    """Returns an image of a folder, or of its first folders down to a depth; None without one."""
    if not Path(path).is_dir():
        return None
    own = list_pngs(Path(path))
    if own:
        return own[0]
    for folder in list_folders(path)[:1] if depth else []:
        return first_image(str(folder), depth - 1)
    return None


def is_deep(file: Path) -> bool:
    """Whether an image has 16 bits."""
    with image_faults(str(file)), Image.open(file) as image:
        return image.mode in ('I', 'I;16', 'I;16B')


def read_pixels(file: Path, size: tuple[int, int] | None) -> np.ndarray:
    """Returns the numbers of an image [H, W]; a palette is left as it is.

    Raises:
        InputError: it is damaged, has colours, or another size than the images before it.
    """
    with image_faults(str(file)), Image.open(file) as image:
        pixels = np.array(image)
    if pixels.ndim != 2:
        raise InputError(f'{file}: must have one number per pixel, but has colours')
    if size is not None and pixels.shape != size:
        raise InputError(
            f'{file}: must be {size[1]}x{size[0]} as the images before it, but is '
            f'{pixels.shape[1]}x{pixels.shape[0]}'
        )
    return pixels


def read_video(
    builder: ContentBuilder, name: str, files: list[Path], options: ReadOptions
) -> tuple[int, dict[int, dict[int, RLE]]]:
    """Adds a video; returns its id and {number of an object: {frame: mask}}."""
    tracks: dict[int, dict[int, RLE]] = {}
    size: tuple[int, int] | None = None
    for t, file in enumerate(files):
        pixels = read_pixels(file, size)
        size = (pixels.shape[0], pixels.shape[1])
        for number in np.unique(pixels[pixels > 0]).tolist():
            tracks.setdefault(number, {})[t] = encode_array(pixels == number)
    assert size is not None, 'a video has images'
    names = frame_names(name, len(files), options)
    return builder.add_video(name, size[1], size[0], names), tracks


def only_class(options: ReadOptions) -> str:
    """Returns the class of objects whose form has none."""
    if options.categories:
        return next(iter(options.categories.values()))
    options.log.guess('the class of all objects', NO_CLASS)
    return NO_CLASS


def tracks_of_videos(
    content: Mapping[str, Any], path: str, log: ConversionLog
) -> Iterator[tuple[Video, str, list[Mapping[str, Any]]]]:
    """Yields each video, its name as a folder, and its tracks without crowds."""
    tracks: dict[int, list[Mapping[str, Any]]] = {}
    for entry in content['annotations']:
        if entry.get('iscrowd'):
            log.drop('a crowd', f'annotation {entry["id"]}')
        else:
            tracks.setdefault(entry['video_id'], []).append(entry)
    videos = parse_videos(dict(content), path)
    for video, name in zip(videos, video_names(content, videos).values()):
        yield video, name.replace('/', '_'), tracks.get(video.id, [])


def drop_classes(tracks: list[Mapping[str, Any]], log: ConversionLog) -> None:
    for track in tracks:
        log.drop('the class of an object', f'annotation {track["id"]}')


def write_video(
    folder: Path,
    video: Video,
    tracks: list[Mapping[str, Any]],
    numbers: list[int],
    log: ConversionLog,
    palette: bool,
) -> None:
    """Writes an image per frame."""
    with writing_faults(folder):
        folder.mkdir(parents=True)
    for t in range(video.num_frames):
        pixels = np.zeros((video.height, video.width), np.uint8 if palette else np.uint16)
        for track, number in zip(tracks, numbers):
            mask = track['segmentations'][t]
            if mask is None:
                continue
            inside = decode_rle(mask)
            if pixels[inside].any():
                log.drop(
                    'pixels that an object before it has', f'annotation {track["id"]}, frame {t}'
                )
            pixels[inside & (pixels == 0)] = number
        image = Image.fromarray(pixels)
        if palette:
            colors = [track_color(number - 1)[::-1] for number in range(1, 256)]
            image.putpalette(bytes([0, 0, 0, *(value for color in colors for value in color)]))
        save_image(image, folder / f'{t:05d}.png')


def save_image(image: Image.Image, path: Path) -> None:
    with writing_faults(path):
        image.save(path)
