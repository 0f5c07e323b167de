"""Set videos of a data set aside, with a fair share of every category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from tevit_vis.utils.errors import InputError


def split_videos(
    content: Mapping[str, Any], share: float, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split the content of an annotation file by videos.

    Categories are served from the rarest to the most frequent: videos are drawn at random until
    its share of instances is set aside. Then come the videos that exceed the shares least. The
    last video of a category stays as long as there are others.

    Args:
        content: of the file.
        share: of the videos to set aside, between 0 and 1.
        seed: of what is drawn.

    Returns:
        The rest, and what was set aside; both keep all categories, and ids as they are.

    Raises:
        InputError: a share that leaves one side without videos.
    """
    videos = [video['id'] for video in content['videos']]
    wanted = round(share * len(videos)) if 0 < share < 1 else 0
    if not 0 < wanted < len(videos):
        raise InputError(
            f'--share: must leave videos on both sides, but {share} of {len(videos)} is {wanted}'
        )
    order = np.random.default_rng(seed).permutation(videos).tolist()
    counts: dict[int, Counter] = {video: Counter() for video in videos}
    for entry in content.get('annotations') or ():
        counts[entry['video_id']][entry['category_id']] += 1
    totals = sum(counts.values(), Counter())
    holders = Counter(category for video in videos for category in counts[video])
    have: Counter = Counter()
    aside: set[int] = set()

    def excess(video: int) -> float:
        """By how many instances categories would exceed their share; without end for the last
        video of a category.
        """
        if any(holders[category] < 2 for category in counts[video]):
            return float('inf')
        return sum(
            max(0.0, have[category] + count - share * totals[category])
            for category, count in counts[video].items()
        )

    def set_aside(video: int) -> None:
        aside.add(video)
        have.update(counts[video])
        holders.subtract(counts[video].keys())

    for category in sorted(totals, key=lambda category: (totals[category], category)):
        for video in order:
            wants_more = have[category] < share * totals[category] and len(aside) < wanted
            if wants_more and video not in aside and counts[video][category] and excess(video) < 1:
                set_aside(video)
    while len(aside) < wanted:
        set_aside(min((video for video in order if video not in aside), key=excess))
    return _part(content, set(videos) - aside), _part(content, aside)


def _part(content: Mapping[str, Any], videos: set[int]) -> dict[str, Any]:
    return {
        **content,
        'videos': [video for video in content['videos'] if video['id'] in videos],
        'annotations': [
            entry for entry in content.get('annotations') or () if entry['video_id'] in videos
        ],
    }
