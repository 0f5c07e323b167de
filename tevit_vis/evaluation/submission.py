"""The YouTube-VIS submission format."""

from __future__ import annotations

from collections.abc import Sequence

from tevit_vis.structures import VideoInstances


def video_entries(
    instances: VideoInstances, video_id: int, label_to_category: Sequence[int]
) -> list[dict]:
    """Entries of ``results.json`` for one video: one per instance, with one RLE per frame."""
    return [
        {
            'video_id': video_id,
            'score': float(score),
            'category_id': label_to_category[label],
            'segmentations': track,
        }
        for label, score, track in zip(instances.labels, instances.scores, instances.segmentations)
    ]


def instances_to_json(instances: VideoInstances, class_names: Sequence[str]) -> dict:
    """The instances of a single video, for a file of their own.

    Boxes are x1 y1 x2 y2 in pixels, per frame; masks are RLE per frame, null where there is none.
    """
    return {
        'height': instances.size[0],
        'width': instances.size[1],
        'length': instances.num_frames,
        'instances': [
            {
                'category': class_names[instances.labels[n]],
                'score': float(instances.scores[n]),
                'boxes': instances.boxes[n].round(2).tolist(),
                'segmentations': instances.segmentations[n],
            }
            for n in range(len(instances))
        ],
    }
