"""COCO with tracks: images that belong to videos, annotations with a track id (CocoVID)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from tevit_vis.annotated_videos import file_categories, parse_videos
from tevit_vis.mask_checks import check_size
from tevit_vis.rle import mask_areas, mask_boxes, to_rle
from tevit_vis.structures import RLE
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.json_files import write_json
from tevit_vis.utils.values import is_whole_number, shorten

from .base import ConversionLog, Format, ReadOptions, register
from .builder import ContentBuilder, video_names
from .json_input import id_of, json_keys, read_content

TRACK_KEYS = ('instance_id', 'track_id')  # of mmtracking and of others
FRAME_KEYS = ('frame_id', 'frame_index')  # of mmtracking and of TAO


class CocoVID(Format):
    """Reads and writes COCO files whose annotations have track ids."""

    name = 'cocovid'
    title = 'COCO JSON with video_id of images and track ids (CocoVID, TAO)'

    def recognises(self, path: str) -> bool:
        """Whether it is a JSON file with images and annotations."""
        return {'images', 'annotations'} <= json_keys(path)

    def read(self, path: str, options: ReadOptions) -> dict[str, Any]:
        """Returns the tracks of a file.

        Images without ``video_id`` belong to the video that their folder is.

        Raises:
            InputError: an entry breaks a rule.
        """
        content = read_content(path)
        labels = file_categories(content, path)
        builder = ContentBuilder(options.categories, options.log)
        if options.categories is None:
            for label in labels.values():
                builder.add_label(label)
        places = _add_videos(content, path, builder, options)
        has_box_polygons = 'tracks' in content  # of TAO, whose polygons are the boxes
        tracks: dict[tuple[int, object], dict[int, RLE]] = {}
        first: dict[tuple[int, object], tuple[str, bool, str]] = {}
        for index, entry in enumerate(_entries(content, 'annotations', path)):
            where = f'{path}: annotations[{index}]'
            place = places.get(id_of(entry, 'image_id', where))
            if place is None:
                got = shorten(entry.get('image_id'))
                raise InputError(f'{where}: "image_id" must be an image of the file, but got {got}')
            video, frame, height, width = place
            label = _label_of(entry, labels, where, options)
            key = video, _track_of(entry, index, where, options)
            if has_box_polygons and _is_box(entry):
                entry = {**entry, 'segmentation': None}
            mask = _mask_of(entry, height, width, where, options)
            if mask is None:
                continue
            if first.setdefault(key, (label, bool(entry.get('iscrowd')), where))[0] != label:
                options.log.guess('a track has several classes; its first one counts', where)
            if frame in tracks.setdefault(key, {}):
                options.log.drop('a second mask of a track in one frame', where)
            else:
                tracks[key][frame] = mask
        for key, masks in tracks.items():
            label, is_crowd, where = first[key]
            builder.add_track(key[0], label, masks, where, iscrowd=int(is_crowd))
        return builder.content()

    def write(self, content: Mapping[str, Any], path: str, log: ConversionLog) -> None:
        """Writes the file; masks are compressed RLE."""
        videos: list[dict[str, Any]] = []
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        image_of: dict[tuple[int, int], int] = {}
        parsed = parse_videos(dict(content), path)
        names = video_names(content, parsed)
        for video in parsed:
            size = {'width': video.width, 'height': video.height}
            videos.append({'id': video.id, 'name': names[video.id], **size})
            for t, file_name in enumerate(video.file_names):
                image_of[video.id, t] = len(images) + 1
                image = {'id': len(images) + 1, 'file_name': file_name, **size}
                images.append({**image, 'video_id': video.id, 'frame_id': t})
        for number, track in enumerate(content['annotations'], start=1):
            masks = track['segmentations']
            areas, boxes = mask_areas(masks).tolist(), mask_boxes(masks).tolist()
            for t, mask in enumerate(masks):
                if mask is not None:
                    annotations.append(
                        {
                            'id': len(annotations) + 1,
                            'image_id': image_of[track['video_id'], t],
                            'video_id': track['video_id'],
                            'category_id': track['category_id'],
                            'instance_id': number,
                            'track_id': number,
                            'iscrowd': int(track.get('iscrowd', 0)),
                            'segmentation': mask,
                            'area': areas[t],
                            'bbox': boxes[t],
                        }
                    )
        write_json(
            {
                'videos': videos,
                'images': images,
                'categories': content['categories'],
                'annotations': annotations,
            },
            path,
        )


def _entries(content: Mapping[str, Any], key: str, path: str) -> list[dict[str, Any]]:
    entries = content.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f'{path}: "{key}" must be a list of objects, but got {shorten(entries)}')
    return entries


def _add_videos(
    content: Mapping[str, Any], path: str, builder: ContentBuilder, options: ReadOptions
) -> dict[Any, tuple[int, int, int, int]]:
    """Adds the videos; returns {image id: (video id, frame, height, width)}."""
    names = _names_of_videos(content, path)
    images_of: dict[object, list[tuple[int, dict[str, Any]]]] = {}
    for index, image in enumerate(_entries(content, 'images', path)):
        where = f'{path}: images[{index}]'
        if not isinstance(image.get('file_name'), str):
            got = shorten(image.get('file_name'))
            raise InputError(f'{where}: "file_name" must be a text, but got {got}')
        key = id_of(image, 'video_id', where)
        if key is None:
            key = os.path.dirname(image['file_name'])
            options.log.guess(
                'images without "video_id" belong to the video of their folder', where
            )
        images_of.setdefault(key, []).append((index, image))
    places = {}
    for key, own in images_of.items():
        _sort_frames(own, path)
        try:
            sizes = {check_size([image.get('height'), image.get('width')]) for _, image in own}
        except ValueError as error:
            raise InputError(f'{path}: images[{own[0][0]}]: size of the image: {error}') from None
        if len(sizes) > 1:
            raise InputError(
                f'{path}: images[{own[0][0]}]: all images of a video must have one size, but have '
                f'{" and ".join(f"{width}x{height}" for height, width in sorted(sizes))}'
            )
        height, width = sizes.pop()
        name = names.get(key) or str(key)
        video = builder.add_video(name, width, height, [image['file_name'] for _, image in own])
        for frame, (index, image) in enumerate(own):
            image_id = id_of(image, 'id', f'{path}: images[{index}]')
            if image_id in places:
                raise InputError(f'{path}: images[{index}]: "id" must be unique, but is not')
            places[image_id] = video, frame, height, width
        options.on_video()
    return places


def _names_of_videos(content: Mapping[str, Any], path: str) -> dict[Any, str]:
    """Returns {video id: name} of the videos that have one."""
    names = {}
    for index, entry in enumerate(_entries(content, 'videos', path) if 'videos' in content else []):
        where = f'{path}: videos[{index}]'
        name = entry.get('name')
        if name is not None and not isinstance(name, str):
            raise InputError(f'{where}: "name" must be a text, but got {shorten(name)}')
        if name:
            names[id_of(entry, 'id', where)] = name
    return names


def _sort_frames(own: list[tuple[int, dict[str, Any]]], path: str) -> None:
    """Puts the images of a video in order, if all say which frame they are.

    Raises:
        InputError: what says it is no whole number.
    """
    for key in FRAME_KEYS:
        if all(key in image for _, image in own):
            for index, image in own:
                if not is_whole_number(image[key]):
                    got = shorten(image[key])
                    raise InputError(
                        f'{path}: images[{index}]: "{key}" must be a whole number, but got {got}'
                    )
            own.sort(key=lambda pair: pair[1][key])
            return


def _label_of(
    entry: Mapping[str, Any], labels: Mapping[int, str], where: str, options: ReadOptions
) -> str:
    """Returns the class of an annotation."""
    category = id_of(entry, 'category_id', where)
    if category not in labels:
        options.log.guess('a name for a category that the file does not have', where)
    return labels.get(category, f'category {category}')


def _track_of(entry: Mapping[str, Any], index: int, where: str, options: ReadOptions) -> object:
    """Returns what tells the track of an annotation from others of its video."""
    for key in TRACK_KEYS:
        track = id_of(entry, key, where)
        if track is not None:
            return track
    options.log.guess('annotations without a track id are tracks of one frame', where)
    return f'annotation {index}'


def _mask_of(
    entry: Mapping[str, Any], height: int, width: int, where: str, options: ReadOptions
) -> RLE | None:
    """Returns the mask of an annotation; None where it has none."""
    mask, box = entry.get('segmentation'), entry.get('bbox')
    if not mask and isinstance(box, list) and len(box) == 4 and options.boxes_as_masks:
        left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
        mask = [[left, top, right, top, right, bottom, left, bottom]]
    if not mask:
        reason = 'an annotation without a mask'
        options.log.drop(f'{reason} (--boxes-as-masks draws its box)' if box else reason, where)
        return None
    try:
        return to_rle(mask, height, width)
    except (TypeError, ValueError) as error:
        raise InputError(f'{where}: "segmentation": {error}') from None


def _is_box(entry: Mapping[str, Any]) -> bool:
    """Whether the polygon of an annotation is its box."""
    mask, box = entry.get('segmentation'), entry.get('bbox')
    try:
        (polygon,), (left, top, width, height) = mask, box  # type: ignore[misc]
        points = np.array(polygon, float).reshape(4, 2)
        corners = [(x, y) for x in (left, left + width) for y in (top, top + height)]
        return bool(np.allclose(sorted(points.tolist()), corners))
    except (TypeError, ValueError):
        return False


register(CocoVID())
