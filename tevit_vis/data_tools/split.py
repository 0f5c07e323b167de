"""Splits a data set by videos, with a fair share of every category on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from tevit_vis.utils.errors import InputError


def split_videos(
    content: Mapping[str, Any], share: float, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits the content of an annotation file by videos.

    For each category, from the rarest to the most frequent, random videos are set aside until the
    share of the category's instances is reached. If too few videos are set aside then, those that
    exceed the shares least follow. The last video of a category is set aside only if no others
    are left.

    Args:
        content: of the file.
        share: of the videos to set aside, between 0 and 1.
        seed: of the random order of the videos.

    Returns:
        The content that is left, and the content that is set aside. Both have all categories, and
        ids stay as they are.

    Raises:
        InputError: the share leaves one side without videos.

    Example:
        >>> content = {'videos': [{'id': number} for number in range(4)]}
        >>> rest, aside = split_videos(content, share=0.25, seed=0)
        >>> len(rest['videos']), len(aside['videos'])
        (3, 1)
    """
    videos = [video['id'] for video in content['videos']]
    num_aside = round(share * len(videos)) if 0 < share < 1 else 0
    if not 0 < num_aside < len(videos):
        raise InputError(
            f'--share: must leave videos on both sides, but {share} of {len(videos)} is {num_aside}'
        )
    order = np.random.default_rng(seed).permutation(videos).tolist()
    counts: dict[int, Counter] = {video: Counter() for video in videos}
    for entry in content.get('annotations') or ():
        counts[entry['video_id']][entry['category_id']] += 1
    totals = sum(counts.values(), Counter())
    num_videos_left = Counter(category for video in videos for category in counts[video])
    counts_aside: Counter = Counter()
    aside: set[int] = set()

    def excess(video: int) -> float:
        """Returns by how many instances the categories would exceed their shares; infinite for the
        last video of a category.
        """
        if any(num_videos_left[category] < 2 for category in counts[video]):
            return float('inf')
        return sum(
            max(0.0, counts_aside[category] + count - share * totals[category])
            for category, count in counts[video].items()
        )

    def set_aside(video: int) -> None:
        aside.add(video)
        counts_aside.update(counts[video])
        num_videos_left.subtract(counts[video].keys())

    for category in sorted(totals, key=lambda category: (totals[category], category)):
        for video in order:
            needs_more = (
                counts_aside[category] < share * totals[category] and len(aside) < num_aside
            )
            if needs_more and video not in aside and counts[video][category] and excess(video) < 1:
                set_aside(video)
    while len(aside) < num_aside:
        set_aside(min((video for video in order if video not in aside), key=excess))
    rest = _select_videos(content, set(videos) - aside)
    return rest, _select_videos(content, aside)


def _select_videos(content: Mapping[str, Any], videos: set[int]) -> dict[str, Any]:
    return {
        **content,
        'videos': [video for video in content['videos'] if video['id'] in videos],
        'annotations': [
            entry for entry in content.get('annotations') or () if entry['video_id'] in videos
        ],
    }
