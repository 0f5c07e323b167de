"""A model from a config and a checkpoint, ready for inference."""

from __future__ import annotations

import copy
import logging
import os
import shutil
from collections.abc import Mapping, Sequence

import torch
from mmcv import Config
from mmcv.cnn import fuse_conv_bn
from mmcv.runner import BaseModule
from mmcv.utils import get_logger
from mmdet.models import build_detector
from torch.utils._triton import has_triton

from tevit_vis import model_zoo
from tevit_vis.datasets.categories import category_table
from tevit_vis.inference_config import InferenceConfig
from tevit_vis.models.detectors import ClipDetector
from tevit_vis.utils.checkpoints import class_names_of, read_checkpoint, safe_init_cfg_loading
from tevit_vis.utils.config import apply_options, build, config_name, load_config
from tevit_vis.utils.config_shorthand import expand_shorthand
from tevit_vis.utils.devices import check_amp, check_device
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.memory import keep_freed_memory
from tevit_vis.utils.weights import load_matching_weights, load_weights

from .options import TrainOptions

LOGGER = logging.getLogger('tevit_vis')


def init_model(
    config: str | os.PathLike | Config,
    checkpoint: str | os.PathLike | None = None,
    device: str | None = None,
    cfg_options: Mapping | None = None,
    trust_checkpoint: bool = False,
    amp: str | None = None,
    compile: bool = False,  # noqa: A002  (torch's name for it)
) -> ClipDetector:
    """Build a model for inference.

    For the CPU it also tells malloc of this process to keep freed memory (``utils/memory.py``),
    which makes inference a third faster.

    Args:
        config: a file, a name such as ``tevit/tevit_msgshift``, or a loaded config.
        checkpoint: a file with exactly the keys of the model; ``'zoo'`` for the weights that are
            known for the config, or ``'zoo:NAME'`` (``tevit-vis download --list``), which are
            fetched at first; None gives random weights.
        device: ``cpu``, ``cuda`` or ``cuda:N``; the default is a GPU if there is one.
        cfg_options: dotted config keys and their values.
        trust_checkpoint: also load checkpoints that hold Python objects; such a file may run
            code of whoever wrote it.
        amp: ``'bf16'`` or ``'fp16'`` (on a GPU): the network's precision; scores, boxes and masks
            stay in fp32. None is full precision.
        compile: compile backbone and neck with torch.compile. The first pass of each frame size
            then takes a minute or more, which pays off for many frames of one size.

    Returns:
        The model in eval mode, with ``cfg`` and ``CLASSES``.

    Raises:
        InputError: the config, an option, the checkpoint, device or precision cannot be used.

    Example:
        >>> model = init_model('synthetic/tevit_tiny', device='cpu')  # random weights
        >>> model.num_classes
        5
    """
    if not isinstance(config, Config):
        config = load_config(os.fspath(config), cfg_options)
    else:
        config = expand_shorthand(copy.deepcopy(config))
        if cfg_options:
            config = apply_options(config, cfg_options)
    target = check_device(device)
    amp_dtype = check_amp(amp, target)
    InferenceConfig.of(config.model.get('test_cfg'))  # raises if a setting is not valid
    model_config = config.model.copy()
    model_config.train_cfg = None  # no assigners and samplers
    model_config.backbone = model_config.backbone.copy()
    model_config.backbone.pop('init_cfg', None)  # the checkpoint holds the backbone
    model = build('model', lambda: build_detector(model_config))
    names = None
    if checkpoint is None:
        init_random_weights(model, trust_checkpoint)
    else:
        path = checkpoint_file(os.fspath(checkpoint), config, trust_checkpoint)
        content = read_checkpoint(path, trust=trust_checkpoint)
        load_weights(model, content, path)
        names = checkpoint_class_names(content, model.num_classes, path)
    model.cfg = config
    model.CLASSES = names or config_class_names(config, model.num_classes)
    if target.type == 'cpu':
        keep_freed_memory()
    model = prepare_for_inference(model, target)
    model.amp_dtype = amp_dtype
    if compile:
        check_compiler(target)
        model.compile_parts()
        LOGGER.info('compile: the first pass of each size of frames takes a minute or more')
    return model


def checkpoint_file(checkpoint: str, config: Config, trust: bool = False) -> str:
    """Returns the file of a checkpoint, which is fetched if it is asked for by name.

    Args:
        checkpoint: a file, ``'zoo'`` or ``'zoo:NAME'``.
        config: of the model.
        trust: also convert files that hold Python objects.

    Raises:
        InputError: there is no such file, or it cannot be fetched; the message says where the
            weights of the config are.
    """
    name = config_name(config)
    path = model_zoo.resolve_checkpoint(checkpoint, name, trust)
    known = '' if os.path.exists(path) else model_zoo.where_to_find(name)
    if known:
        raise InputError(
            f'{path}: checkpoint must be a file, but there is none; published for {name}: {known}'
        )
    return path


def check_compiler(device: torch.device) -> None:
    """Checks that torch.compile finds a compiler for the device.

    Raises:
        InputError: there is none.
    """
    if device.type == 'cpu' and not any(map(shutil.which, ('g++', 'clang++', 'c++'))):
        raise InputError('compile: needs a C++ compiler on the CPU: install g++, or leave it out')
    if device.type == 'cuda' and not has_triton():
        raise InputError('compile: needs triton for this GPU: pip install triton, or leave it out')
    if device.type == 'cuda' and not any(map(shutil.which, ('gcc', 'clang', 'cc'))):
        raise InputError('compile: needs a C compiler for triton: install gcc, or leave it out')


def init_random_weights(model: BaseModule, trust_checkpoint: bool = False) -> None:
    """Calls ``init_weights`` of a model without mmcv's log line for each parameter.

    Args:
        model: its ``init_cfg`` may name files with weights.
        trust_checkpoint: also read files that hold Python objects.

    Raises:
        InputError: a file cannot be read, or is an address (URL).
    """
    loggers = [get_logger(name) for name in ('mmcv', 'mmdet')]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel('ERROR')
    with safe_init_cfg_loading(trust_checkpoint):
        model.init_weights()
    for logger, level in zip(loggers, levels):
        logger.setLevel(level)


def prepare_for_inference(model: ClipDetector, device: torch.device) -> ClipDetector:
    """Returns the model in eval mode on the device, with batch norms folded into convolutions.

    Folding changes results by rounding only.
    """
    model.eval()
    fuse_conv_bn(model)
    return model.to(device, memory_format=torch.channels_last).requires_grad_(False)


def checkpoint_class_names(
    checkpoint: Mapping, num_classes: int, path: str
) -> tuple[str, ...] | None:
    """Returns the class names that mmdet's training stored in a checkpoint, or None.

    Raises:
        InputError: their number is not the model's number of classes.

    Example:
        >>> checkpoint_class_names({'meta': {'CLASSES': ('cat', 'dog')}}, 2, 'a.pth')
        ('cat', 'dog')
    """
    names = class_names_of(checkpoint)
    if names is not None and len(names) != num_classes:
        raise InputError(
            f'{path}: meta.CLASSES must name the {num_classes} classes of the model, '
            f'but names {len(names)}'
        )
    return names


def config_class_names(config: Config, num_classes: int) -> tuple[str, ...]:
    """Returns the class names of the config's categories; ``'0'``, ``'1'``, ... if unknown."""
    name = config.data.test.get('categories')
    names = tuple(category_table(name).values()) if name else ()
    return names if len(names) == num_classes else tuple(map(str, range(num_classes)))


def build_without_pretraining(config: Config) -> ClipDetector:
    """Returns the model of a config without calling ``init_weights`` and without pretraining."""
    model_config = copy.deepcopy(config.model)
    model_config.backbone['init_cfg'] = None
    return build('model', lambda: build_detector(model_config))


def build_model(
    config: Config, class_names: Sequence[str], options: TrainOptions, logger: logging.Logger
) -> ClipDetector:
    """Returns the model to train: random weights, then ``backbone.init_cfg`` or ``load_from``.

    Raises:
        InputError: weights are missing or do not fit, or the number of classes differs.
    """
    InferenceConfig.of(config.model.get('test_cfg'))  # raises where a setting cannot be
    load_from = config.get('load_from')
    model_config = config.model.copy()
    model_config.backbone = model_config.backbone.copy()
    init = model_config.backbone.get('init_cfg') or {}
    if load_from or options.resume_from:
        model_config.backbone['init_cfg'] = None  # the checkpoint brings the backbone
    elif init.get('type') == 'Pretrained' and not os.path.isfile(init['checkpoint']):
        file = init['checkpoint']
        remedy = 'put it there'
        if file in model_zoo.ZOO:
            remedy = f'tevit-vis download {file} fetches it'
        raise InputError(
            f'model.backbone.init_cfg: {file} must be a file with the weights to start from, but '
            f'there is none: {remedy}, or name a checkpoint with '
            '--cfg-options load_from=FILE, or draw weights with model.backbone.init_cfg=None'
        )
    torch.manual_seed(options.seed)
    model = build('model', lambda: build_detector(model_config))
    if len(class_names) != model.num_classes:
        raise InputError(
            f'model: number of classes must be the {len(class_names)} categories of data.train, '
            f'but is {model.num_classes} '
            f'(--cfg-options model.{model.head_name}.num_classes={len(class_names)})'
        )
    model.CLASSES = tuple(class_names)
    init_random_weights(model, options.trust_checkpoint)
    if not (load_from or options.resume_from or init.get('type') == 'Pretrained'):
        logger.info('all weights are random: load_from=FILE, or zoo:NAME, goes on from others')
    if load_from and not options.resume_from:
        load_from = model_zoo.resolve_checkpoint(
            load_from, config_name(config), options.trust_checkpoint
        )
        content = read_checkpoint(load_from, options.trust_checkpoint)
        old_names = class_names_of(content)
        classes = None
        if old_names is not None and old_names != model.CLASSES:
            classes = (old_names, model.CLASSES)
        report = load_matching_weights(model, content, load_from, classes)
        logger.info('%s', report)
        if classes is not None and report.by_name:
            num_matched = sum(name in classes[0] for name in model.CLASSES)
            logger.info(
                '%s: its classes are %s: rows of class layers were taken by name (%d of %d)',
                *(load_from, ', '.join(classes[0]), num_matched, len(class_names)),
            )
    return model
