"""Cut a small data set from a real video, run TeViT on it, write the submission and overlays.

The weights are as they are at initialisation, so the masks mean nothing; everything else is the
real thing: the full tevit_msgshift model, the YouTube-VIS layout, the submission file.
"""

import argparse
import importlib.resources
import os
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from tevit_vis.apis import inference_video, init_model, write_submission
from tevit_vis.apis.journal import ResultsJournal
from tevit_vis.datasets import build_dataset
from tevit_vis.datasets.from_video import CutClip, cut_clips
from tevit_vis.masks import mask_areas
from tevit_vis.utils.cli import tool_parser
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import run_tool
from tevit_vis.video_io import open_source
from tevit_vis.visualization.video import draw_video

CLIPS = [
    CutClip('cockatoo_a', start=0, length=8, stride=6),
    CutClip('cockatoo_b', start=140, length=8, stride=6),
]
SEED = 2  # random boxes mostly leave the frame; with this one some stay, so there is a picture
NUM_DRAWN = 5
NOTE = (
    'Note: the weights are random (as at initialisation), so what is drawn means nothing.\n'
    '      With a checkpoint: python tools/test_vis.py and tools/video_demo.py, see README.md.'
)


def parse_args() -> argparse.Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument('--out', default='outputs/quickstart', help='default: %(default)s')
    parser.add_argument('--config', default='tevit/tevit_msgshift', help='default: %(default)s')
    parser.add_argument('--device', help='default: a GPU if there is one')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    out = Path(args.out)
    video = importlib.resources.files('imageio') / 'resources' / 'images' / 'cockatoo.mp4'
    print('1/4 cutting frames from a real video (imageio: cockatoo.mp4)')
    annotations, images = cut_clips(str(video), CLIPS, width=640, folder=out / 'data')

    print('2/4 building TeViT (MsgShifT) with random weights')
    torch.manual_seed(SEED)
    config = load_config(args.config, {'model.test_cfg.rcnn.max_per_img': 100})
    config.data.test.update(ann_file=str(annotations), img_prefix=str(images))
    model = init_model(config, device=args.device)

    print('3/4 results.json')
    dataset = build_dataset(config.data.test)
    journal = ResultsJournal(str(out / 'results.json'), identity={})
    journal.discard()
    count = write_submission(model, dataset, journal)

    print('4/4 overlay video')
    clip = images / CLIPS[0].name
    source = open_source(clip)
    instances = inference_video(model, source)
    areas = [mask_areas(track).sum() for track in instances.segmentations]
    largest = instances.take(np.argsort(areas)[: -NUM_DRAWN - 1 : -1])
    overlay = out / 'overlay.mp4'
    with tqdm(total=source.num_frames, unit='frame', desc='draw') as bar:
        draw_video(source, largest, model.CLASSES, str(overlay), fps=5, on_frame=bar.update)

    print(f'\n{os.path.relpath(journal.out)}: {count} entries for {len(dataset)} videos')
    print(f'{os.path.relpath(overlay)}: the {len(largest)} largest of {len(instances)} instances')
    print(NOTE)


if __name__ == '__main__':
    run_tool(main)
