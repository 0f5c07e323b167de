"""From nothing to a trained model: synthetic videos, training, scores, pictures.

Makes videos, trains a small model on them for a few minutes, and tests it before and after on
held-out ones. TeViT starts from the checkpoint that ships with the project; the others from
nothing, so that their loss falls but a score takes far longer (see the system's README).
"""

import argparse
import logging
from pathlib import Path

import matplotlib
import numpy as np
import torch
from tqdm import tqdm

matplotlib.use('Agg')
from matplotlib import pyplot as plt

from tevit_vis.apis import (
    TrainOptions,
    inference_video,
    init_model,
    score_submission,
    train,
    write_submission,
)
from tevit_vis.apis.journal import ResultsJournal
from tevit_vis.data_tools.synthetic_files import make_synthetic
from tevit_vis.data_tools.synthetic_world import SyntheticWorld
from tevit_vis.datasets import build_dataset
from tevit_vis.evaluation.ytvis_eval import Evaluation
from tevit_vis.layers.cuda_ops import has_cuda_ops
from tevit_vis.utils.cli import positive, run_tool, tool_parser
from tevit_vis.utils.config import load_config
from tevit_vis.utils.devices import check_device
from tevit_vis.utils.json_files import read_json_lines
from tevit_vis.video import open_source
from tevit_vis.visualization.video import draw_video

CONFIGS = {
    'tevit': 'synthetic/tevit_tiny_finetune',
    'seqformer': 'synthetic/seqformer_tiny_brief',
    'ifc': 'synthetic/ifc_tiny_brief',
    'ms_sts': 'synthetic/ms_sts_tiny_brief',
}
FRESH_VIDEOS, FRESH_SEED = 60, 2000
HELD_OUT_VIDEOS, HELD_OUT_SEED = 30, 3000
DRAWN_SCORE, DRAWN_AT_LEAST = 0.3, 3
MEAN_OF = 8  # points of the loss curve
SHOWN = ('AP', 'AP50', 'AP75', 'AR1', 'AR10')


def parse_args() -> argparse.Namespace:
    parser = tool_parser(__doc__)
    parser.add_argument(
        'system', nargs='?', default='tevit', choices=CONFIGS, help='default: %(default)s'
    )
    parser.add_argument('--out', help='default: outputs/quickstart or outputs/quickstart_SYSTEM')
    parser.add_argument('--iters', type=positive, help='of training (default: of the config)')
    parser.add_argument('--device', help='default: a GPU if there is one')
    return parser.parse_args()


def choose_device(name: str | None) -> torch.device:
    """The device that was asked for, or the best one that can also train."""
    if name is not None:
        return check_device(name)
    device = check_device(None)
    if device.type == 'cuda' and not has_cuda_ops(device):
        print(
            'a GPU is here, but mmcv-full was built without CUDA ops, which training needs: '
            'this runs on the CPU (README, "When the build fails")'
        )
        return torch.device('cpu')
    return device


def test(config, checkpoint: str | None, out: Path, device: str | None) -> Evaluation:
    """Write a submission and score it."""
    model = init_model(config, checkpoint, device)
    journal = ResultsJournal(str(out), identity={})
    journal.discard()
    write_submission(model, build_dataset(config.data.test), journal)
    return score_submission(config.data.test.ann_file, str(out))


def draw_curve(log: Path, scores: dict, out: Path) -> None:
    """A picture of the training loss, with the scores before and after in its title."""
    lines = [line for line in read_json_lines(log) if line.get('mode') == 'train']
    figure, axes = plt.subplots(figsize=(7, 4))
    iterations, losses = zip(*((line['iter'], line['loss']) for line in lines))
    means = [np.mean(losses[max(0, i - MEAN_OF + 1) : i + 1]) for i in range(len(losses))]
    axes.plot(iterations, losses, alpha=0.3, label='loss')
    axes.plot(iterations, means, label=f'mean of the last {MEAN_OF}')
    axes.legend()
    title = f'loss {means[0]:.1f} to {means[-1]:.1f}, ' + ', '.join(
        f'AP50 {value["AP50"]:.3f} {when}' for when, value in scores.items()
    )
    axes.set(xlabel='iteration', ylabel='loss', title=title)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(out, dpi=120)
    plt.close(figure)


def print_scores(scores: dict) -> None:
    print(f'\n{"held-out videos":22}' + ''.join(f'{name:>8}' for name in SHOWN))
    for when, stats in scores.items():
        print(f'{when:22}' + ''.join(f'{stats[name]:8.3f}' for name in SHOWN))


def draw_held_out(model, config, out: Path) -> None:
    """The first held-out video with what the model finds in it."""
    dataset = build_dataset(config.data.test)
    video = dataset.videos[0]
    source = open_source([dataset.frame_path(video, t) for t in range(video.num_frames)])
    best_first = inference_video(model, source).above(0.0)
    sure = int((best_first.scores >= DRAWN_SCORE).sum())
    found = best_first.take(np.arange(min(len(best_first), max(sure, DRAWN_AT_LEAST))))
    with tqdm(total=video.num_frames, unit='frame', desc='draw') as bar:
        draw_video(source, found, model.CLASSES, str(out), fps=5, zoom=4, on_frame=bar.update)


def main() -> None:
    args = parse_args()
    device = str(choose_device(args.device))
    suffix = '' if args.system == 'tevit' else f'_{args.system}'
    out = Path(args.out or f'outputs/quickstart{suffix}')
    print(f'1/5 making videos: {FRESH_VIDEOS} to train on, {HELD_OUT_VIDEOS} to test on')
    world = SyntheticWorld()
    fresh = make_synthetic(out / 'data' / 'train', FRESH_VIDEOS, FRESH_SEED, world)
    held_out = make_synthetic(out / 'data' / 'val', HELD_OUT_VIDEOS, HELD_OUT_SEED, world)

    config = load_config(CONFIGS[args.system])
    for part, (annotations, images) in (('train', fresh), ('test', held_out)):
        config.data[part].update(ann_file=str(annotations), img_prefix=str(images))
    config.data.test.test_mode = True
    config.runner.max_iters = args.iters or config.runner.max_iters
    config.log_config.interval = min(config.log_config.interval, config.runner.max_iters)
    config.custom_hooks = [dict(type='ProgressBarHook')]

    start = 'the checkpoint that ships with the project' if config.load_from else 'drawn weights'
    print(f'2/5 testing {start}')
    before = test(config, config.load_from, out / 'results_before.json', device)

    print(f'3/5 training for {config.runner.max_iters} iterations')
    logger = logging.getLogger('quickstart')
    options = TrainOptions(str(out), validate=False, device=device, timestamp='train')
    (out / 'train.log.json').unlink(missing_ok=True)
    train(config, options, logger)

    print('4/5 testing again')
    after = test(config, str(out / 'latest.pth'), out / 'results.json', device)

    print('5/5 drawing')
    scores = {'before': before.stats, 'after': after.stats}
    draw_curve(out / 'train.log.json', scores, out / 'curve.png')
    model = init_model(config, str(out / 'latest.pth'), device)
    draw_held_out(model, config, out / 'overlay.mp4')

    print_scores(scores)
    for name in ('results.json', 'overlay.mp4', 'curve.png'):
        print(out / name)


if __name__ == '__main__':
    run_tool(main)
