"""Train a small model on synthetic videos, and show what it finds and what it gets wrong."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch
from mmcv import Config

from tevit_vis.utils.console import ProgressBar

matplotlib.use('Agg')
from matplotlib import pyplot as plt

from tevit_vis.annotations import read_annotation_file
from tevit_vis.apis import (
    TrainOptions,
    init_model,
    train,
    write_submission,
)
from tevit_vis.apis.journal import ResultsJournal
from tevit_vis.apis.show import show_side_by_side
from tevit_vis.data_tools.photographs import CATEGORIES, NEW_CATEGORIES
from tevit_vis.data_tools.synthetic_files import make_synthetic
from tevit_vis.data_tools.synthetic_world import SyntheticWorld
from tevit_vis.datasets import build_dataset
from tevit_vis.evaluation.scores import Evaluation
from tevit_vis.evaluation.submission import read_results
from tevit_vis.layers.cuda_ops import has_cuda_ops
from tevit_vis.report import DataSet, ReportOptions, read_run, write_report
from tevit_vis.utils.config import load_config
from tevit_vis.utils.devices import check_device
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.json_files import read_json_lines, write_json

NUM_TRAIN_VIDEOS, TRAIN_SEED = 120, 2000
NUM_VAL_VIDEOS, VAL_SEED = 30, 3000
MIN_DRAWN_SCORE = 0.3
NUM_DRAWN = 6  # held-out videos
NUM_AVERAGED = 8  # losses in each point of the smoothed curve
PRINTED_METRICS = ('AP', 'AP50', 'AP75', 'AR1', 'AR10')


def choose_device(name: str | None) -> torch.device:
    """Returns the device with this name; for None, a GPU that can train, else the CPU."""
    if name is not None:
        return check_device(name)
    device = check_device(None)
    if device.type == 'cuda' and not has_cuda_ops(device):
        print(
            'there is a GPU, but mmcv-full was built without CUDA ops, which training needs: '
            'the quickstart runs on the CPU (see docs/troubleshooting.md)'
        )
        return torch.device('cpu')
    return device


def test(config: Config, checkpoint: str | None, out: Path, device: str | None) -> None:
    """Tests a model on the held-out videos and writes the submission."""
    model = init_model(config, checkpoint, device)
    journal = ResultsJournal(str(out), identity={})
    journal.discard()
    write_submission(model, build_dataset(config.data.test), journal)


def test_shipped(config: Config, out: Path, device: str) -> None:
    """Tests the shipped checkpoint, which knows some of the categories only.

    Args:
        config: of the training that goes on with it, for the data.
        out: results file to write.
        device: to test on.
    """
    shipped = load_config('synthetic/tevit_tiny')
    content = read_annotation_file(config.data.test.ann_file)
    known = content['categories'][: shipped.model.roi_head.bbox_head[0].num_classes]
    ann_file = out.with_name('known.json')
    write_json({**content, 'categories': known, 'annotations': []}, ann_file)
    shipped.data.test.update(config.data.test, ann_file=str(ann_file))
    test(shipped, config.load_from, out, device)


def report(config: Config, results: dict[str, Path], out: Path) -> dict[str, Evaluation]:
    """Writes the pages that compare submissions; returns the scores of each.

    Args:
        config: whose ``data.test`` they are of.
        results: {when the submission was made: its file}.
        out: folder to write.
    """
    annotations = config.data.test.ann_file
    data_set = DataSet.parse(read_annotation_file(annotations), annotations)
    runs = [
        read_run(data_set, read_results(path), str(path), when) for when, path in results.items()
    ]
    options = ReportOptions(frames_root=config.data.test.img_prefix, overwrite=True)
    write_report(data_set, runs, str(out), options)
    print('after training:', *runs[-1].analysis.sentences(), sep='\n  ')
    return {run.name: run.analysis.evaluation for run in runs}


def draw_curve(log: Path, scores: dict[str, Evaluation], out: Path) -> None:
    """Draws the training loss; the title gives the scores before and after."""
    lines = [line for line in read_json_lines(log) if line.get('mode') == 'train']
    figure, axes = plt.subplots(figsize=(7, 4))
    iterations, losses = zip(*((line['iter'], line['loss']) for line in lines))
    means = [np.mean(losses[max(0, i - NUM_AVERAGED + 1) : i + 1]) for i in range(len(losses))]
    axes.plot(iterations, losses, alpha=0.3, label='loss')
    axes.plot(iterations, means, label=f'mean of the last {NUM_AVERAGED}')
    axes.legend()
    title = f'loss {means[0]:.1f} to {means[-1]:.1f}, ' + ', '.join(
        f'AP50 {evaluation.stats["AP50"]:.3f} {when}' for when, evaluation in scores.items()
    )
    axes.set(xlabel='iteration', ylabel='loss', title=title)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(out, dpi=120)
    plt.close(figure)


def print_scores(scores: dict[str, Evaluation]) -> None:
    """Prints the scores of all categories, and of those that were known before and of new ones."""
    print(f'\n{"held-out videos":22}' + ''.join(f'{name:>8}' for name in PRINTED_METRICS))
    for when, evaluation in scores.items():
        rows = {'all': evaluation.stats}
        stats = list(evaluation.per_category.values())
        if len(stats) > len(CATEGORIES):
            rows[f'{len(CATEGORIES)} known'] = mean_stats(stats[: len(CATEGORIES)])
            rows[f'{len(NEW_CATEGORIES)} new'] = mean_stats(stats[len(CATEGORIES) :])
        for kind, values in rows.items():
            print(
                f'{when + ", " + kind:22}' + ''.join(f'{values[n]:8.3f}' for n in PRINTED_METRICS)
            )


def mean_stats(stats: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the means of the scores of categories; -1 where none has any ground truth."""
    means = {}
    for name in PRINTED_METRICS:
        values = [of_category[name] for of_category in stats if of_category[name] >= 0]
        means[name] = float(np.mean(values)) if values else -1.0
    return means


def draw_before_and_after(config: Config, results: dict[str, Path], out: Path) -> None:
    """Draws what was found in some held-out videos, those with new categories first."""
    dataset = build_dataset(config.data.test)
    ground_truth = dataset.read_ground_truth()
    with_new = {
        video
        for video, category in ground_truth.tubes
        if ground_truth.categories[category] in NEW_CATEGORIES
    }
    videos = sorted(dataset.videos, key=lambda video: video.id not in with_new)[:NUM_DRAWN]
    submissions = {f'{when} training': read_results(str(path)) for when, path in results.items()}
    total = sum(video.num_frames for video in videos)
    with ProgressBar(total=total, unit='frame', desc='draw') as bar:
        show_side_by_side(dataset, videos, submissions, str(out), MIN_DRAWN_SCORE, bar.update)


def run_quickstart(args: argparse.Namespace) -> None:
    device = str(choose_device(args.device))
    suffix = '' if args.system == 'tevit' else f'_{args.system}'
    out = Path(args.out or f'outputs/quickstart{suffix}')
    check_writable(out / 'results.json')
    print(f'1/5 making videos: {NUM_TRAIN_VIDEOS} to train on, {NUM_VAL_VIDEOS} to test on')
    teaches = args.system == 'tevit'  # what its shipped checkpoint does not know
    world = SyntheticWorld(with_new=teaches)
    training = make_synthetic(out / 'data' / 'train', NUM_TRAIN_VIDEOS, TRAIN_SEED, world)
    held_out = make_synthetic(out / 'data' / 'val', NUM_VAL_VIDEOS, VAL_SEED, world)

    config = load_config(
        'synthetic/tevit_tiny_finetune' if teaches else f'synthetic/{args.system}_tiny_brief'
    )
    for part, (ann_file, images) in (('train', training), ('test', held_out)):
        config.data[part].update(ann_file=str(ann_file), img_prefix=str(images))
    config.data.test.test_mode = True
    config.runner.max_iters = args.iters or config.runner.max_iters
    config.log_config.interval = min(config.log_config.interval, config.runner.max_iters)
    config.custom_hooks = [dict(type='ProgressBarHook')]

    results = {'before': out / 'results_before.json', 'after': out / 'results.json'}
    if teaches:
        print(
            f'2/5 testing the checkpoint that ships with the project, which knows '
            f'{", ".join(CATEGORIES)}, but not {", ".join(NEW_CATEGORIES)}'
        )
        test_shipped(config, results['before'], device)
    else:
        print('2/5 testing random weights')
        test(config, None, results['before'], device)

    print(f'3/5 training for {config.runner.max_iters} iterations')
    logger = logging.getLogger('quickstart')
    options = TrainOptions(str(out), args.seed, validate=False, device=device, timestamp='train')
    (out / 'train.log.json').unlink(missing_ok=True)
    train(config, options, logger)

    print('4/5 testing again')
    test(config, str(out / 'latest.pth'), results['after'], device)

    print('5/5 drawing')
    scores = report(config, results, out / 'report')
    draw_curve(out / 'train.log.json', scores, out / 'curve.png')
    draw_before_and_after(config, results, out / 'overlay.mp4')

    print_scores(scores)
    for name in ('results.json', 'overlay.mp4', 'curve.png', 'report/index.html'):
        print(out / name)
