"""Training a detector on clips."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sized
from importlib.util import find_spec
from typing import cast

import torch
from mmcv import Config
from mmcv.ops import get_compiling_cuda_version
from mmcv.runner import build_optimizer, build_runner
from mmdet.models import build_loss
from mmdet.utils import get_root_logger
from torch import nn
from torch.optim import Optimizer

from tevit_vis.datasets import YouTubeVISDataset, build_dataset, build_train_loader
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.utils.config import build
from tevit_vis.utils.config_shorthand import expand_shorthand
from tevit_vis.utils.devices import check_device
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.memory import keep_freed_memory
from tevit_vis.utils.values import check_whole_number

from .averaging_hook import WeightAverageHook
from .build import build_model, init_random_weights
from .distributed import ALONE, Processes
from .hooks import ValidationHook
from .options import TrainOptions
from .runner import ClipRunner, TrainingModel
from .schedule import align_checkpoints, epochs_to_iters

__all__ = [
    'TrainOptions',
    'get_root_logger',
    'train',
]
# Priorities of hooks: averaging runs after the optimizer (40), validation after checkpoints (50)
# and before logs.
AVERAGING, VALIDATION = 45, 'LOW'
# The package that each log hook of mmcv imports when it is built or starts.
LOG_PACKAGES = {
    'TensorboardLoggerHook': 'tensorboard',
    'WandbLoggerHook': 'wandb',
    'MlflowLoggerHook': 'mlflow',
    'NeptuneLoggerHook': 'neptune',
    'DvcliveLoggerHook': 'dvclive',
    'ClearMLLoggerHook': 'clearml',
    'SegmindLoggerHook': 'segmind',
    'PaviLoggerHook': 'pavi',
}


def train(
    config: Config,
    options: TrainOptions,
    logger: logging.Logger,
    processes: Processes = ALONE,
    meta: Mapping | None = None,
) -> None:
    """Trains the model of a config.

    Config, data and checkpoints are checked before the first iteration.

    Args:
        config: config of a system, with ``data.train``, an optimizer, a schedule and a runner.
        options: how to train.
        logger: writes the log of the run.
        processes: the processes that train together; each trains on a part of every batch.
        meta: entries that are stored in the ``meta`` of checkpoints.

    Raises:
        InputError: config, data or options cannot be used, or a checkpoint cannot be written.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from tevit_vis.data_tools.synthetic_files import make_synthetic
        >>> from tevit_vis.data_tools.synthetic_world import SyntheticWorld
        >>> from tevit_vis.utils.config import load_config
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = make_synthetic(Path(folder), 2, seed=0, world=SyntheticWorld())
        ...     config = load_config('synthetic/tevit_tiny', {'runner.max_iters': 1})
        ...     config.data.workers_per_gpu = 0
        ...     config.data.train.update(zip(('ann_file', 'img_prefix'), map(str, made)))
        ...     options = TrainOptions(folder, validate=False, device='cpu')
        ...     train(config, options, logging.getLogger('example'))
        ...     Path(folder, 'latest.pth').exists()
        True
    """
    config = expand_shorthand(copy.deepcopy(config))  # mmcv's builders remove keys from it
    check_log_hooks(config)
    device = _check_train_device(processes.device(options.device))
    dataset = build('data.train', lambda: build_dataset(config.data.train))
    loader = build_train_loader(
        dataset,
        check_whole_number('data.samples_per_gpu', config.data.samples_per_gpu, least=1),
        check_whole_number('data.workers_per_gpu', config.data.workers_per_gpu, least=0),
        options.seed,
        processes.rank,
        processes.count,
        pin_memory=device.type == 'cuda',
    )
    epochs_to_iters(config, batches=len(cast(Sized, loader.batch_sampler)))
    align_checkpoints(config, logger)
    hook = _validation_hook(config, processes) if options.validate else None
    model = build_model(config, dataset.CLASSES, options, logger)
    if hook is not None:
        _check_classes(model, hook.dataset)
    torch.backends.cudnn.benchmark = bool(config.get('cudnn_benchmark', False))
    trained = TrainingModel(
        model,
        device,
        training_amp(config),
        distributed=processes.count > 1,
        adversary=build_adversary(config, model, options),
        find_unused_parameters=bool(config.get('find_unused_parameters', False)),
    )
    if device.type == 'cpu':
        keep_freed_memory()
    runner = _build_runner(config, options, trained, logger, dict(meta or {}))
    if hook is not None:
        runner.register_hook(hook, priority=VALIDATION)
    if options.resume_from:
        runner.resume(options.resume_from, trust=options.trust_checkpoint)
        if runner.iter >= runner.max_iters:
            logger.warning(
                'the run has finished: it stands at iteration %d of %d (to go on, raise '
                'runner.max_iters or epochs.total)',
                *(runner.iter, runner.max_iters),
            )
    logger.info(
        '%d clips in %d videos, %d a step; %d parameters on %s',
        len(dataset),
        len(dataset.videos),
        config.data.samples_per_gpu * processes.count,
        sum(parameter.numel() for parameter in model.parameters()),
        device,
    )
    runner.run([loader], [('train', 1)])


def _check_train_device(name: str | None) -> torch.device:
    """Returns the device; a GPU becomes torch's current device.

    Raises:
        InputError: the device is not here, or mmcv's ops, which the losses need, lack CUDA.
    """
    device = check_device(name)
    if device.type == 'cuda':
        if get_compiling_cuda_version() == 'not available':
            raise InputError(
                f'device {device}: training on a GPU needs mmcv-full with CUDA ops, but it was '
                'built without: see docs/troubleshooting.md'
            )
        torch.cuda.set_device(device)
    return device


def training_amp(config: Config) -> str | None:
    """Returns the precision of training: ``amp``, or fp16 if mmdet's ``fp16`` section is set.

    Raises:
        InputError: both are set and differ.

    Example:
        >>> training_amp(Config(dict(fp16=dict(loss_scale='dynamic'))))
        'fp16'
    """
    amp = config.get('amp')
    if config.get('fp16') is None:
        return amp
    if amp not in (None, 'fp16'):
        raise InputError(f'amp: must be fp16 or None beside an fp16 section, but is {amp!r}')
    return 'fp16'


def check_log_hooks(config: Config) -> None:
    """Checks the log hooks of a config, before anything is built.

    Raises:
        InputError: the hooks are no list of dicts, or a package that one needs is missing.
    """
    hooks = config.log_config.get('hooks', [])
    if not isinstance(hooks, (list, tuple)) or not all(
        isinstance(hook, Mapping) and 'type' in hook for hook in hooks
    ):
        raise InputError(
            'log_config.hooks: must be a list of dict(type=...), such as '
            f"[dict(type='TextLoggerHook')], but is {hooks!r}"
        )
    for hook in hooks:
        package = LOG_PACKAGES.get(hook['type'])
        if package is not None and find_spec(package) is None:
            raise InputError(
                f'log_config.hooks: {hook["type"]} needs {package}, which is not installed: '
                f'pip install {package}'
            )


def build_adversary(config: Config, model: ClipDetector, options: TrainOptions) -> nn.Module | None:
    """Returns ``adversary.loss`` with random weights; None if the config has no adversary."""
    adversary = config.get('adversary')
    if adversary is None:
        return None
    if not isinstance(adversary, Mapping) or set(adversary) != {'loss', 'optimizer'}:
        raise InputError(f'adversary: must be None or have loss and optimizer, but got {adversary}')
    if not model.supports_adversary:
        raise InputError(
            f'adversary: must be None for {type(model).__name__}, which does not support one'
        )
    torch.manual_seed(options.seed)
    loss = build(
        'adversary.loss',
        lambda: build_loss(
            dict(adversary['loss'], feature_channels=config.model.bbox_head.embed_dims)
        ),
    )
    init_random_weights(loss)
    return loss


def _build_optimizers(config: Config, trained: TrainingModel) -> Optimizer | dict[str, Optimizer]:
    """Returns the model's optimizer, in a dict with the adversary's if there is one."""
    optimizer = build('optimizer', lambda: build_optimizer(trained.module, config.optimizer))
    if trained.adversary is None:
        return optimizer
    adversary_optimizer = build(
        'adversary.optimizer',
        lambda: build_optimizer(trained.adversary, config.adversary.optimizer),
    )
    return {'model': optimizer, 'adversary': adversary_optimizer}


def _build_runner(
    config: Config,
    options: TrainOptions,
    trained: TrainingModel,
    logger: logging.Logger,
    meta: dict,
) -> ClipRunner:
    """The runner of a config with its hooks."""
    parts = dict(
        model=trained,
        optimizer=_build_optimizers(config, trained),
        work_dir=options.work_dir,
        logger=logger,
        meta=meta,
    )
    runner: ClipRunner = build(
        'runner', lambda: build_runner(dict(config.runner, seed=options.seed), default_args=parts)
    )
    runner.timestamp = options.timestamp
    build(
        'hooks',
        lambda: runner.register_training_hooks(
            config.lr_config,
            dict(
                type='ClipOptimizerHook',
                **config.get('optimizer_config', {}),
                **(config.get('fp16') or {}),
            ),
            config.checkpoint_config,
            config.log_config,
            custom_hooks_config=config.get('custom_hooks'),
        ),
    )
    decay = config.get('weight_average', {}).get('decay')
    if decay is not None:
        runner.register_hook(WeightAverageHook(decay), priority=AVERAGING)
    return runner


def _validation_hook(config: Config, processes: Processes) -> ValidationHook:
    """Returns the hook that tests on ``data.val`` while training."""
    val = dict(config.data.val, test_mode=True)
    dataset = build('data.val', lambda: build_dataset(val))
    return build(
        'evaluation', lambda: ValidationHook(dataset, processes=processes, **config.evaluation)
    )


def _check_classes(model: ClipDetector, dataset: YouTubeVISDataset) -> None:
    """Checks that validation has the classes of training; their order may differ."""
    if set(dataset.CLASSES) != set(model.CLASSES):
        raise InputError(
            f'{dataset.ann_file}: categories must be those of data.train, '
            f'{", ".join(model.CLASSES)}, but are {", ".join(dataset.CLASSES)}'
        )
