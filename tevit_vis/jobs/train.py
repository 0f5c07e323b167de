"""Train a model."""

from __future__ import annotations

import argparse
import logging
import os
import time
from pathlib import Path

import torch
from mmcv import Config

from tevit_vis import __version__
from tevit_vis.apis import TrainOptions, scale_schedule, train
from tevit_vis.apis.distributed import Processes
from tevit_vis.apis.training import get_root_logger
from tevit_vis.utils.checkpoints import checkpoints_of, latest_checkpoint
from tevit_vis.utils.config import find_config, load_config
from tevit_vis.utils.console import shorten_console
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import PathLock, check_writable, writing_faults


def lock_work_dir(work_dir: PathLock) -> None:
    """Locks the work dir against other runs.

    Raises:
        InputError: another run has locked it.
    """
    if not work_dir.acquire():
        raise InputError(
            f'--work-dir {work_dir.path}: must belong to one run at a time, but another run uses '
            'it: choose another folder'
        )


def dump_config(config: Config, path: Path, work_dir: str, timestamp: str) -> None:
    """Writes the config with its options into the work dir, never over the user's own file."""
    dump_path = Path(work_dir, f'{path.stem}.py')
    if dump_path.resolve() == path.resolve():
        dump_path = dump_path.with_name(f'{path.stem}_{timestamp}.py')
    with writing_faults(dump_path):
        config.dump(str(dump_path))


def run_train(args: argparse.Namespace) -> None:
    processes = Processes.join()
    config = load_config(args.config, args.cfg_options)
    work_dir = args.work_dir or config.get('work_dir')
    work_dir = work_dir or os.path.join('work_dirs', Path(args.config).stem)
    timestamp = time.strftime('%Y%m%d_%H%M%S')
    log_file = os.path.join(work_dir, f'{timestamp}.log')
    check_writable(log_file)
    lock = PathLock(work_dir)
    processes.run_on_first(lambda: lock_work_dir(lock))
    logger = get_root_logger(log_file=log_file, log_level=config.log_level)
    if processes.is_first and not args.full_log:
        shorten_console(logger)
        logger.info('the whole log is in %s (--full-log shows it here)', log_file)
    for handler in logger.handlers:  # the log gets warnings of the library, too
        logging.getLogger('tevit_vis').addHandler(handler)
    try:
        train_in(work_dir, timestamp, args, config, processes, logger)
    except KeyboardInterrupt:
        raise InputError(
            f'interrupted: --work-dir {work_dir} --auto-resume goes on from the last checkpoint'
        ) from None
    finally:
        lock.release()


def train_in(
    work_dir: str,
    timestamp: str,
    args: argparse.Namespace,
    config: Config,
    processes: Processes,
    logger: logging.Logger,
) -> None:
    """Trains in a work dir that this run has locked."""
    if args.deterministic:
        # On a GPU some operations have no deterministic form; a warning names them.
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
        torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
        torch.backends.cudnn.benchmark = False
    if args.auto_scale_lr:
        factor = scale_schedule(config, config.data.samples_per_gpu * processes.count)
        logger.info('learning rate x %g, scaled to the clips per step', factor)
    resume_from = args.resume_from or config.get('resume_from')
    if args.auto_resume and resume_from is None:
        resume_from = latest_checkpoint(work_dir, args.trust_checkpoint)
    old_checkpoints = checkpoints_of(work_dir)
    if old_checkpoints and resume_from is None:
        logger.warning(
            '%s holds a run already (%s), and this run overwrites its files: use --auto-resume to '
            'continue it, or another --work-dir to keep it',
            *(work_dir, os.path.basename(os.path.realpath(old_checkpoints[0]))),
        )
    if processes.is_first:
        dump_config(config, find_config(args.config), work_dir, timestamp)
    options = TrainOptions(
        work_dir,
        args.seed,
        resume_from,
        not args.no_validate,
        args.device,
        timestamp,
        args.trust_checkpoint,
    )
    meta = dict(
        seed=args.seed,
        exp_name=Path(args.config).stem,
        tevit_vis_version=__version__,
        config=config.pretty_text,
    )
    train(config, options, logger, processes, meta)
