"""Train a model.

    python tools/train.py CONFIG [--work-dir DIR] [--cfg-options KEY=VALUE ...]

CONFIG is a file or a name such as tevit/tevit_msgshift. Logs and checkpoints go to
work_dirs/CONFIG. To train with several processes: tools/dist_train.sh, tools/slurm_train.sh.
"""

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
from tevit_vis.utils.cli import (
    add_config_arguments,
    add_trust_argument,
    run_tool,
    seed_number,
    tool_parser,
)
from tevit_vis.utils.config import find_config, load_config
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import PathLock, check_writable, writing_faults


def parse_args() -> argparse.Namespace:
    parser = tool_parser(__doc__)
    add_config_arguments(parser)
    parser.add_argument('--work-dir', help='default: work_dirs/<config>')
    parser.add_argument('--resume-from', help='checkpoint of a run to go on with')
    parser.add_argument(
        '--auto-resume', action='store_true', help='go on from the last checkpoint in --work-dir'
    )
    parser.add_argument('--no-validate', action='store_true', help='do not test on data.val')
    parser.add_argument('--seed', type=seed_number, default=0, help='default: %(default)s')
    parser.add_argument(
        '--deterministic', action='store_true', help='the same losses at every run (slower)'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='fit learning rate and iterations to the clips a step',
    )
    add_trust_argument(parser)
    parser.add_argument('--device', help='cpu, cuda or cuda:N (default: a GPU if there is one)')
    return parser.parse_args()


def have_alone(work_dir: PathLock) -> None:
    """Keep other runs from the work dir.

    Raises:
        InputError: one is at it.
    """
    if not work_dir.take():
        raise InputError(
            f'--work-dir {work_dir.path}: must belong to one run at a time, but another one is at '
            'it: give this one another'
        )


def dump_config(config: Config, path: Path, work_dir: str, timestamp: str) -> None:
    """Write the config with its options into the work dir; the user's own file stays."""
    dump = Path(work_dir, f'{path.stem}.py')
    if dump.resolve() == path.resolve():
        dump = dump.with_name(f'{path.stem}_{timestamp}.py')
    with writing_faults(dump):
        config.dump(str(dump))


def main() -> None:
    args = parse_args()
    processes = Processes.join()
    config = load_config(args.config, args.cfg_options)
    work_dir = args.work_dir or config.get('work_dir')
    work_dir = work_dir or os.path.join('work_dirs', Path(args.config).stem)
    timestamp = time.strftime('%Y%m%d_%H%M%S')
    log_file = os.path.join(work_dir, f'{timestamp}.log')
    check_writable(log_file)
    lock = PathLock(work_dir)
    processes.from_first(lambda: have_alone(lock))
    logger = get_root_logger(log_file=log_file, log_level=config.log_level)
    for handler in logger.handlers:  # what data sets and checkpoints warn of stands there, too
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
    """Train in a work dir that belongs to this run."""
    if args.deterministic:
        # On a GPU some operations have no deterministic form: then a warning names them.
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
        torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
        torch.backends.cudnn.benchmark = False
    if args.auto_scale_lr:
        factor = scale_schedule(config, config.data.samples_per_gpu * processes.count)
        logger.info('learning rate x %g, fitted to the clips a step', factor)
    resume_from = args.resume_from or config.get('resume_from')
    if args.auto_resume and resume_from is None:
        resume_from = latest_checkpoint(work_dir, args.trust_checkpoint)
    before = checkpoints_of(work_dir)
    if before and resume_from is None:
        logger.warning(
            '%s holds a run already (%s), whose files this one writes over: --auto-resume goes on '
            'with it, another --work-dir leaves it alone',
            *(work_dir, os.path.basename(os.path.realpath(before[0]))),
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


if __name__ == '__main__':
    run_tool(main)
