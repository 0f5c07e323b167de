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

    Categories are served from the rarest to the most frequent: each gets videos drawn at random
    until its share of instances is set aside, though never its last video. Videos without any
    instance are drawn last.

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
    wanted = round(share * len(videos))
    if not 0 < wanted < len(videos):
        raise InputError(
            f'--share: must leave videos on both sides, but {share} of {len(videos)} is {wanted}'
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(videos).tolist()
    by_video: dict[int, Counter] = {video: Counter() for video in videos}
    for entry in content.get('annotations') or ():
        by_video[entry['video_id']][entry['category_id']] += 1
    totals = sum(by_video.values(), Counter())
    aside: set[int] = set()
    for category, total in sorted(totals.items(), key=lambda item: (item[1], item[0])):
        holders = [video for video in order if by_video[video][category]]
        have = sum(by_video[video][category] for video in aside)
        left = len([video for video in holders if video not in aside])
        for video in holders:
            missing = share * total - have
            count = by_video[video][category]
            if video in aside or len(aside) >= wanted or left <= 1 or count > 2 * missing:
                continue
            aside.add(video)
            have += count
            left -= 1
    for video in order:
        if len(aside) < wanted and video not in aside and _may_leave(video, aside, by_video):
            aside.add(video)
    return _part(content, set(videos) - aside), _part(content, aside)


def _may_leave(video: int, aside: set[int], by_video: Mapping[int, Counter]) -> bool:
    """Whether every category of a video is also in another video that stays."""
    staying = [other for other in by_video if other not in aside and other != video]
    return all(any(by_video[o][category] for o in staying) for category in by_video[video])


def _part(content: Mapping[str, Any], videos: set[int]) -> dict[str, Any]:
    return {
        **content,
        'videos': [video for video in content['videos'] if video['id'] in videos],
        'annotations': [
            entry for entry in content.get('annotations') or () if entry['video_id'] in videos
        ],
    }
