"""A small data set on the disk with frames and submissions, for tests of reports."""

import json

import cv2
import numpy as np
from builders import annotation

SIZE = (60, 80)
LENGTH = 6
ALL_FRAMES = range(LENGTH)
NAMES = ['plain', "o'<script>alert(1)</script>", 'deep/er "q" & ünï😀']


def moving(start, step=2, side=20, frames=ALL_FRAMES, height=10):
    """Masks [T, H, W] of a square that moves to the right."""
    masks = np.zeros((LENGTH, *SIZE), bool)
    for t in frames:
        masks[t, height : height + side, start + step * t : start + step * t + side] = True
    return masks


def write_data_set(folder, with_frames=True):
    """Writes frames, annotations and two submissions; returns the paths of the three files.

    The first submission loses the first cat halfway and finds what is not there; the second is
    perfect. The last video has nothing in it.
    """
    rng = np.random.default_rng(0)
    videos = []
    for index, name in enumerate(NAMES, start=1):
        names = [f'{name}/{t:03d}.jpg' for t in range(LENGTH)]
        videos.append(dict(id=index, width=SIZE[1], height=SIZE[0], file_names=names))
        if with_frames:
            (folder / 'frames' / name).mkdir(parents=True)
            for file in names:
                image = rng.integers(0, 255, (*SIZE, 3), np.uint8)
                cv2.imwrite(str(folder / 'frames' / file), image)
    objects = [(1, 1, moving(0)), (1, 2, moving(30, height=35)), (2, 1, moving(10))]
    content = dict(
        videos=videos,
        categories=[dict(id=1, name='cat'), dict(id=2, name='<b>dog</b>')],
        annotations=[annotation(n + 1, *each) for n, each in enumerate(objects)],
    )
    perfect = [entry(*each, 0.9) for each in objects]
    flawed = [
        entry(1, 1, moving(0, frames=[0, 1]), 0.95),
        entry(1, 1, moving(0, frames=[2, 3, 4, 5]), 0.6),
        entry(1, 2, moving(30, height=35), 0.8),
        entry(2, 1, moving(40, height=40), 0.7),
        entry(2, 1, moving(10), 0.1),
    ]
    paths = [folder / name for name in ('annotations.json', 'flawed.json', 'perfect.json')]
    for path, value in zip(paths, (content, flawed, perfect)):
        path.write_text(json.dumps(value))
    return paths


def entry(video, category, masks, score):
    segmentations = annotation(1, video, category, masks)['segmentations']
    return dict(video_id=video, category_id=category, score=score, segmentations=segmentations)
