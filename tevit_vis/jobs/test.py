"""Test a model on videos in YouTube-VIS layout and write the submission."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from pathlib import Path

from tevit_vis.apis import Selection, init_model, write_submission
from tevit_vis.apis.build import checkpoint_file
from tevit_vis.apis.distributed import Processes
from tevit_vis.apis.journal import ResultsJournal
from tevit_vis.apis.result_files import result_files, write_result_files
from tevit_vis.apis.show import show_videos
from tevit_vis.apis.testing import has_ground_truth
from tevit_vis.datasets import YouTubeVISDataset, build_dataset
from tevit_vis.evaluation.submission import read_results
from tevit_vis.outputs.arguments import FORMS
from tevit_vis.report import DataSet, ReportOptions, read_run, write_report
from tevit_vis.report.site import check_report_folder
from tevit_vis.utils.config import build, find_config, load_config
from tevit_vis.utils.console import ProgressBar
from tevit_vis.utils.devices import device_fault
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable
from tevit_vis.utils.hashes import file_digest
from tevit_vis.utils.json_files import write_json
from tevit_vis.utils.values import check_fraction


def is_json(path: str) -> bool:
    return Path(path).suffix.lower() == '.json'


def check_outputs(args: argparse.Namespace, inputs: list[str], img_prefix: str) -> None:
    """Checks that all that is asked for can be written.

    Raises:
        InputError: an output cannot be written, would replace an input, or is asked for in vain.
    """
    check_writable(args.out, not_over=[*inputs, img_prefix])
    if (args.report or args.show_dir) and not args.eval:
        name = '--report' if args.report else '--show-dir'
        raise InputError(f'{name}: needs --eval segm, which scores the results')
    if args.report and is_json(args.report):
        check_writable(args.report, not_over=[*inputs, args.out])
    elif args.report:
        check_report_folder(args.report, overwrite=True, inputs=[*inputs, args.out, img_prefix])
    if not is_json(args.out):
        raise InputError(f'--out: must end in .json, as it is JSON, but is {args.out}')


def run_test(args: argparse.Namespace) -> None:
    selection = Selection(args.classes, args.max_overlap)
    processes = Processes.join()
    config = load_config(args.config, args.cfg_options)
    args.checkpoint = checkpoint_file(args.checkpoint, config, args.trust_checkpoint)
    data_config = config.data.test
    data_config.ann_file = args.json or data_config.ann_file
    data_config.img_prefix = args.root or data_config.img_prefix
    data_config.test_mode = True
    inputs = [data_config.ann_file, args.checkpoint, str(find_config(args.config))]
    check_outputs(args, inputs, data_config.img_prefix)
    dataset = build('data.test', lambda: build_dataset(data_config))
    forms = {kind: getattr(args, kind) for kind in FORMS if getattr(args, kind)}
    check_fraction('--score-thr', args.score_thr)
    files = result_files(dataset, forms, args.mask_form, args.score_thr, [*inputs, args.out])
    is_scored = bool(args.eval) and has_ground_truth(dataset)
    if args.eval and not is_scored and processes.is_first:
        print(f'{data_config.ann_file}: has no annotations, so the results will not be scored')
    model = init_model(
        config,
        args.checkpoint,
        device=processes.device(args.device),
        trust_checkpoint=args.trust_checkpoint,
        amp=args.amp,
        compile=args.compile,
    )
    identity = {
        'amp': str(args.amp),
        'choice of instances': repr((args.classes, args.max_overlap)),
        'config': hashlib.sha256(repr((config.model, data_config.pipeline)).encode()).hexdigest(),
        'checkpoint': file_digest(args.checkpoint),
        'annotation file': file_digest(data_config.ann_file),
        'image folder': os.path.realpath(data_config.img_prefix),
    }
    workers = config.data.workers_per_gpu if args.workers is None else args.workers
    selection.check(model.CLASSES)
    journal = ResultsJournal(args.out, identity)
    try:
        num_entries = write_submission(
            model,
            dataset,
            journal,
            args.resume,
            workers,
            processes,
            lambda instances: selection.select_video(instances, model.CLASSES),
        )
    except (KeyboardInterrupt, RuntimeError) as error:
        reason = 'interrupted' if isinstance(error, KeyboardInterrupt) else device_fault(error)
        if reason is None:
            raise
        num_finished = len(journal.finished())
        raise InputError(
            f'{reason}; {num_finished} of {len(dataset)} videos are kept in '
            f'{journal.folder}: go on with --resume'
        ) from error
    if processes.is_first:
        print(f'{args.out}: {num_entries} entries for {len(dataset)} videos')
        if forms:
            with ProgressBar(total=len(files), unit='video', desc='files') as bar:
                entries = read_results(args.out)
                write_result_files(dataset, entries, args.out, files, bar.update)
            print(*forms.values(), sep='\n')
        if is_scored:
            print_scores(dataset, args)


def print_scores(dataset: YouTubeVISDataset, args: argparse.Namespace) -> None:
    """Scores the results, and writes the report and the videos that are asked for."""
    results = read_results(args.out)
    data_set = DataSet.parse(dataset.read_content(), dataset.ann_file)
    run = read_run(data_set, results, args.out, Path(args.out).name)
    analysis = run.analysis
    assert analysis is not None, 'the file has annotations'
    for line in run.warnings:
        print(f'warning: {line}', file=sys.stderr)
    print(analysis.evaluation)
    if args.report:
        print(*analysis.sentences(), sep='\n')
    if args.report and is_json(args.report):
        write_json(analysis.report(), args.report)
        print(args.report)
    elif args.report:
        options = ReportOptions(frames_root=dataset.img_prefix, overwrite=True)
        with ProgressBar(total=len(data_set.videos), unit='video', desc='report') as bar:
            notes = write_report(data_set, [run], args.report, options, bar.update)
        print(*notes, f'open {args.report}/index.html', sep='\n')
    if args.show_dir:
        with ProgressBar(unit='video', desc='show') as bar:
            files = show_videos(
                dataset, results, analysis, args.show_dir, args.show_most, bar.update
            )
        print(f'{args.show_dir}: {len(files)} videos, the worst first')
