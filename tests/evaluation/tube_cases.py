"""Small videos of squares, true and predicted, for tests of errors and analyses."""

import numpy as np
from builders import annotation

from tevit_vis.evaluation.tubes import parse_ground_truth

SIZE = (40, 120)
LENGTH = 8


ALL_FRAMES = range(LENGTH)


def square(x, y=8, side=16, frames=ALL_FRAMES):
    """Masks [T, H, W] of a square that stands still, in some frames."""
    masks = np.zeros((LENGTH, *SIZE), bool)
    masks[list(frames), y : y + side, x : x + side] = True
    return masks


def truth(*objects, num_videos=1):
    """Ground truth of objects (video, category, masks) of two categories."""
    videos = [
        dict(id=v, width=SIZE[1], height=SIZE[0], length=LENGTH,
             file_names=[f'{v}/{t}.jpg' for t in range(LENGTH)])
        for v in range(1, num_videos + 1)
    ]  # fmt: skip
    return parse_ground_truth(
        dict(
            videos=videos,
            categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
            annotations=[annotation(n + 1, *each) for n, each in enumerate(objects)],
        )
    )


def entry(video, category, masks, score):
    segmentations = annotation(1, video, category, masks)['segmentations']
    return dict(video_id=video, category_id=category, score=score, segmentations=segmentations)


CAT = (1, 1, square(8))


def random_case(seed):
    rng = np.random.default_rng(seed)
    objects, entries = [], []
    for video in range(1, 5):
        for _ in range(rng.integers(0, 4)):
            start, stop = sorted(rng.integers(0, LENGTH + 1, 2).tolist())
            frames = range(start, max(stop, start + 1) if start < LENGTH else LENGTH)
            masks = square(int(rng.integers(0, 100)), frames=frames or range(1))
            objects.append((video, int(rng.integers(1, 3)), masks))
            for _ in range(rng.integers(0, 3)):
                moved = np.roll(masks, int(rng.integers(-10, 11)), axis=2)
                moved = moved & (rng.random(LENGTH) < 0.8)[:, None, None]
                score = float(np.round(rng.random(), 2))
                entries.append(entry(video, int(rng.integers(1, 3)), moved, score))
    objects.append((1, 1, square(8)))
    return truth(*objects, num_videos=4), entries
