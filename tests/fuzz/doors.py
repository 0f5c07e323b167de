"""Mutated files against every door of the library: python doors.py DOOR,... SEED COUNT FOLDER.

Structure-aware: values of a sound file are replaced by odd ones, keys and items removed, doubled
and swapped, texts of RLE cut and changed. Whatever is not an ``InputError`` is printed and makes
the exit code 1; a crash or a hang is seen by the caller. Memory is bounded.
"""

from __future__ import annotations

import copy
import json
import math
import random
import resource
import sys
import traceback
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from tevit_vis.annotations import read_annotation_file
from tevit_vis.data_tools.checks import DatasetCheck
from tevit_vis.data_tools.synthetic_files import instance_entry
from tevit_vis.datasets import SeededIndex, YouTubeVISDataset
from tevit_vis.evaluation.submission import read_results, submission_faults
from tevit_vis.evaluation.tubes import parse_ground_truth
from tevit_vis.evaluation.ytvis_eval import evaluate
from tevit_vis.utils.checkpoints import read_checkpoint
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.weights import load_weights
from tevit_vis.video import VideoWriter, open_source
from tevit_vis.video.formats import CONTAINERS

MEMORY = 2 << 30  # bytes beyond those of the libraries
ODD = [
    *(None, True, False, 0, 1, -1, 2, 1.5, -0.0, 1e9, 1e30, 1e308, 2**31, 2**63, -(2**63)),
    *(10**30, float('nan'), float('inf'), float('-inf'), '', '0', 'x', 'é', '\ud800', '\0', '1e9'),
    *([], {}, [[]], [0], [None], {'size': [3, 4]}, {'counts': '9'}, [[0, 0, 1, 1, 2, 2]]),
    *([0, 0], [1e9, 1e9], [-1, 5], 'P', 'oooooooooo', '04', 'a' * 3000, {'size': 1, 'counts': 1}),
    *({'size': [0, 0], 'counts': ''}, {'size': [10**6, 10**6], 'counts': [10**12]}),
    *({'size': [4, 4], 'counts': [-40, 56]}, [[0, 0, 1e9, 0, 1e9, 1e9]], [[float('nan')] * 6]),
]
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='DefaultFormatBundle'),
    dict(
        type='Collect',
        keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks', 'gt_ids'],
        meta_keys=['filename', 'img_shape', 'pad_shape'],
    ),
]


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The paths of all values in a tree."""
    found = [path] if path else []
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(item, (*path, key))
    return found


def mutate(content: object, rng: random.Random) -> object:
    """The content with one to three odd places."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        paths = places(content)
        if not paths:
            break
        *parents, key = rng.choice(paths)
        node = content
        for parent in parents:
            node = node[parent]
        node[key] = change(node, key, rng)
        if rng.random() < 0.1 and isinstance(node, (dict, list)):
            del node[key]
    return content


def change(node: object, key: object, rng: random.Random) -> object:
    value = node[key]
    if isinstance(value, str) and value and rng.random() < 0.6:
        at = rng.randrange(len(value))
        return rng.choice(
            [
                value[:at],
                value[:at]
                + chr(rng.choice([rng.randrange(32, 128), 233, 0xD800]))
                + value[at + 1 :],
                value[at:] + value[:at],
                value * 3,
                f"b'{value}'",
            ]
        )
    if isinstance(value, list) and value and rng.random() < 0.4:
        return rng.choice([value + value[:1], value[1:], value[::-1], [value], value * 50])
    if isinstance(value, (int, float)) and not isinstance(value, bool) and rng.random() < 0.4:
        return rng.choice([value + 1, -value, value * 1000, value / 3, str(value), [value]])
    return copy.deepcopy(rng.choice(ODD))


def make_content(folder: Path) -> dict:
    """A sound file of two videos with RLE, uncompressed RLE and polygons."""
    masks = np.zeros((3, 24, 32), bool)
    for t in range(3):
        masks[t, 4:14, 3 + 2 * t : 12 + 2 * t] = True
    videos = []
    for number in range(2):
        names = []
        for t in range(3):
            name = f'v{number}/{t}.png'
            (folder / f'v{number}').mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / name), np.full((24, 32, 3), 40 * t, np.uint8))
            names.append(name)
        size = dict(width=32, height=24, length=3)
        videos.append(dict(id=number + 1, file_names=names, **size))
    first = dict(id=1, video_id=1, category_id=1, **instance_entry(masks))
    polygons = [[[3.0, 4.0, 12.0, 4.0, 12.0, 14.0, 3.0, 14.0]], None, [[5, 5, 9, 5, 9, 9]]]
    second = dict(id=2, video_id=2, category_id=2, iscrowd=0, segmentations=polygons)
    counts = [100, 10, 14, 10, 634]
    third = dict(id=3, video_id=2, category_id=1, occlusion=['no_occlusion', None, None])
    third['segmentations'] = [None, {'size': [24, 32], 'counts': counts}, None]
    categories = [dict(id=1, name='cat'), dict(id=2, name='dog')]
    return dict(videos=videos, categories=categories, annotations=[first, second, third])


def make_results(content: dict) -> list[dict]:
    track = content['annotations'][0]['segmentations']
    return [
        dict(video_id=video, category_id=category, score=0.5 / category, segmentations=track)
        for video in (1, 2)
        for category in (1, 2)
    ]


class Doors:
    """One method per door; each takes a generator and a number."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.content = make_content(folder)
        self.results = make_results(self.content)

    def write(self, content: object, name: str) -> str:
        path = self.folder / name
        path.write_bytes(json.dumps(content).encode('utf-8', 'surrogatepass'))
        return str(path)

    def training(self, rng: random.Random) -> None:
        path = self.write(mutate(self.content, rng), 'train.json')
        dataset = YouTubeVISDataset(path, str(self.folder), PIPELINE, clip_length=2)
        for index in range(min(len(dataset), 3)):
            dataset[SeededIndex(index, 0)]

    def check(self, rng: random.Random) -> None:
        content = read_annotation_file(self.write(mutate(self.content, rng), 'check.json'))
        str(DatasetCheck(content, 'check.json', str(self.folder)).summary())

    def truth(self, rng: random.Random) -> None:
        content = read_annotation_file(self.write(mutate(self.content, rng), 'truth.json'))
        stats = evaluate(parse_ground_truth(content, 'truth.json'), self.results, 'r.json').stats
        assert all(map(math.isfinite, stats.values()))

    def scored(self, rng: random.Random) -> None:
        results = read_results(self.write(mutate(self.results, rng), 'results.json'))
        stats = evaluate(parse_ground_truth(self.content), results, 'results.json').stats
        assert all(map(math.isfinite, stats.values()))

    def submission(self, rng: random.Random) -> None:
        results = read_results(self.write(mutate(self.results, rng), 'submission.json'))
        submission_faults(results, self.content, 'submission.json')

    def text(self, rng: random.Random) -> None:
        """JSON files damaged as bytes."""
        data = bytearray(json.dumps(self.content).encode())
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path = self.folder / 'text.json'
        path.write_bytes(bytes(data[: rng.choice([len(data), rng.randrange(len(data))])]))
        parse_ground_truth(read_annotation_file(str(path)), 'text.json')

    def damaged(self, path: Path, rng: random.Random) -> Path:
        data = bytearray(path.read_bytes())
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        cut = rng.choice([len(data), rng.randrange(len(data))])
        out = self.folder / f'damaged{path.suffix}'
        out.write_bytes(bytes(data[:cut]))
        return out

    def image(self, rng: random.Random) -> None:
        source = self.folder / rng.choice(['sound.jpg', 'sound.png'])
        if not source.exists():
            noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
            cv2.imwrite(str(source), noise)
        for _ in open_source([str(self.damaged(source, rng))]):
            pass

    def video(self, rng: random.Random) -> None:
        source = self.folder / f'sound{rng.choice([*CONTAINERS, ".webp", ".tif"])}'
        frames = [np.full((32, 48, 3), 20 * t, np.uint8) for t in range(12)]
        if not source.exists() and source.suffix in CONTAINERS:
            with VideoWriter(str(source), 10) as writer:
                for frame in frames:
                    writer.write(frame)
        elif not source.exists():
            first, *others = map(Image.fromarray, frames)
            first.save(source, save_all=True, append_images=others)
        opened = open_source(str(self.damaged(source, rng)), rng.choice(['keep', 'skip', 'stop']))
        str(opened.look)
        for _ in opened:
            pass

    def checkpoint(self, rng: random.Random) -> None:
        model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
        source = self.folder / 'sound.pth'
        if not source.exists():
            torch.save(dict(state_dict=model.state_dict(), meta=dict(iter=3)), source)
        if rng.random() < 0.5:
            path = self.damaged(source, rng)
        else:
            state = dict(model.state_dict())
            key = rng.choice(list(state))
            state[key] = rng.choice(
                [
                    *(3, None, 'x', [1.0], state[key].half(), state[key].double() * 1e300),
                    *(state[key] * float('nan'), torch.zeros(4, 3).to_sparse(), state[key][None]),
                    torch.empty(state[key].shape, device='meta'),
                    torch.quantize_per_tensor(torch.zeros(4, 3), 0.1, 0, torch.qint8),
                ]
            )
            path = self.folder / 'changed.pth'
            torch.save(rng.choice([state, dict(state_dict=state), dict(model=state)]), path)
        load_weights(model, read_checkpoint(str(path)), str(path))


def try_door(doors: Doors, door: str, seed: str, count: int) -> int:
    """Tries a door with so many inputs; returns how many of them went wrong."""
    wrong = refused = 0
    for number in range(count):
        rng = random.Random(f'{seed} {door} {number}')
        try:
            getattr(doors, door)(rng)
        except InputError as error:
            refused += 1
            if '\n' in str(error) or len(str(error)) > 600:
                print(f'{door} {number}: not one short line: {str(error)[:700]!r}')
                wrong += 1
            str(error).encode()  # can be printed
        except Exception as error:  # noqa: BLE001  (that is what is looked for)
            wrong += 1
            *_, place = traceback.extract_tb(error.__traceback__)
            line = f'{type(error).__name__}: {str(error)[:200]}'
            print(f'{door} {number}: {line} at {place.filename}:{place.lineno}')
    print(f'{door}: {count} inputs, {refused} refused, {wrong} wrong')
    return wrong


def main() -> int:
    names, seed, count, folder = sys.argv[1:]
    used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    doors = Doors(Path(folder))
    return int(sum(try_door(doors, door, seed, int(count)) for door in names.split(',')) > 0)


if __name__ == '__main__':
    sys.exit(main())
