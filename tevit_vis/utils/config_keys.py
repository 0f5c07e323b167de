"""Which keys a config may have: the arguments of the classes that its sections build."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence

import torch
from mmcv import Config, ops
from mmcv.utils import Registry

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.registry import TRACKERS
from tevit_vis.utils.renamed import new_name_of_key, new_name_of_type
from tevit_vis.utils.values import did_you_mean, shorten

PARAMWISE = (
    *('custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'dwconv_decay_mult'),
    *('dcn_offset_lr_mult', 'bypass_duplicate'),
)
# Sections without a `type`: registered classes whose arguments are their keys, and further keys.
# The top level is ''. It also has those keys of mmdet's configs that this library ignores.
SECTIONS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    '': (
        (),
        (
            *('model', 'data', 'optimizer', 'optimizer_config', 'lr_config', 'momentum_config'),
            *('runner', 'checkpoint_config', 'log_config', 'evaluation', 'custom_hooks'),
            *('custom_imports', 'amp', 'fp16', 'weight_average', 'log_level', 'load_from'),
            *('resume_from', 'work_dir', 'auto_scale_lr', 'epochs', 'adversary', 'workflow'),
            *('find_unused_parameters', 'cudnn_benchmark', 'dist_params', 'mp_start_method'),
            *('opencv_num_threads',),
        ),
    ),
    'checkpoint_config': (('CheckpointHook',), ()),
    'optimizer_config': (('ClipOptimizerHook',), ('grad_clip', 'cumulative_iters')),
    'optimizer_config.grad_clip': ((), ('max_norm', 'norm_type', 'error_if_nonfinite', 'foreach')),
    'optimizer': ((), ('paramwise_cfg', 'constructor')),
    'optimizer.paramwise_cfg': ((), PARAMWISE),
    'adversary.optimizer.paramwise_cfg': ((), PARAMWISE),
    'evaluation': (('ValidationHook',), ()),
    'log_config': ((), ('interval', 'hooks')),
    'weight_average': (('WeightAverageHook',), ()),
    'fp16': ((), ('loss_scale',)),
    'epochs': ((), ('total', 'lr_drops')),
    'auto_scale_lr': ((), ('base_batch_size', 'enable')),
    'adversary': ((), ('loss', 'optimizer')),
    'adversary.optimizer': ((), ('paramwise_cfg', 'constructor')),
    'custom_hooks.*': ((), ('type', 'priority')),
    'log_config.hooks.*': ((), ('type', 'priority')),
    'model.train_cfg.rcnn.*': (
        (),
        ('assigner', 'sampler', 'pos_weight', 'mask_size', 'soft_mask_target'),
    ),
    'custom_imports': ((), ('imports', 'allow_failed_imports')),
    'data': ((), ('samples_per_gpu', 'workers_per_gpu', 'train', 'val', 'test')),
    'model.test_cfg.rcnn': ((), ('max_per_img', 'mask_thr_binary')),
    'model.test_cfg.windows': ((), ('length', 'stride')),
}
# Sections in which users choose the keys.
FREE_SECTIONS = (
    'optimizer.paramwise_cfg.custom_keys',
    'adversary.optimizer.paramwise_cfg.custom_keys',
)


def check_option(config: Config, option: str, options: Mapping | None = None) -> None:
    """Checks that a config has a dotted key, or that the class it builds there has the argument.

    Args:
        config: the config before the options are applied.
        option: the dotted key.
        options: all options by dotted key; a ``type`` or ``policy`` in them replaces the config's.

    Raises:
        InputError: the key is neither; the message names the nearest keys.
    """
    options = options or {}
    _check_stays_section(config, option, options)
    node, owner = config._cfg_dict, None  # owner: see ``section_keys``
    parts = option.split('.')
    for depth, part in enumerate(parts):
        where = '.'.join(parts[:depth])
        if isinstance(node, Sequence) and not isinstance(node, str):
            if not part.isdigit() or int(part) >= len(node):
                raise InputError(
                    f'--cfg-options {option}: {where} is a list of {len(node)}, '
                    f'so {part!r} must be an index below that'
                )
            node = node[int(part)]
            continue
        if where in FREE_SECTIONS:
            return
        if node is None:
            node = {}
        if not isinstance(node, Mapping):
            raise InputError(
                f'--cfg-options {option}: {where} is {node!r}, which has no key {part!r}'
            )
        allowed = section_keys(where, _with_chosen_class(node, where, options), owner)
        if part not in node and allowed is not None and part not in allowed:
            key = f'{where}.{part}' if where else part
            hint = new_name_of_key(key) or did_you_mean(part, {*node, *allowed})
            raise InputError(
                f'--cfg-options {option}: {where or "the config"} has no key {part!r}{hint}'
            )
        owner = (node.get('type') or owner, part)
        node = node.get(part)


def _check_stays_section(config: Config, option: str, options: Mapping) -> None:
    """Checks that an option does not replace a section by a plain value.

    Raises:
        InputError: it does.
    """
    if option not in options:  # a key inside of a value that is a dict
        return
    node, value = config._cfg_dict, options[option]
    for part in option.split('.'):
        node = node.get(part) if isinstance(node, Mapping) else None
    is_required = option in ('model', 'data', 'optimizer', 'runner', 'lr_config')
    if isinstance(node, Mapping) and not isinstance(value, Mapping) and (value or is_required):
        raise InputError(
            f'--cfg-options {option}: must stay a section (dict(...)), but got {shorten(value)}'
        )


def _with_chosen_class(node: Mapping, where: str, options: Mapping) -> Mapping:
    """Returns a section with the ``type`` or ``policy`` that the options give it."""
    prefix = f'{where}.' if where else ''
    chosen = {key: options.get(prefix + key) for key in ('type', 'policy')}
    return {**node, **{key: value for key, value in chosen.items() if value is not None}}


def section_keys(
    where: str, node: Mapping, owner: tuple[object, str] | None = None
) -> set[str] | None:
    """Returns the keys that a section may have, or None if they are not known.

    Args:
        where: dotted path of the section.
        node: content of the section.
        owner: type name of the section around this one, and the name of this one in it.

    Example:
        >>> 'max_keep_ckpts' in section_keys('checkpoint_config', {})
        True
        >>> 'gamma' in section_keys('lr_config', {'policy': 'step'})
        True
    """
    pattern = '.'.join('*' if part.isdigit() else part for part in where.split('.'))
    classes, names = SECTIONS.get(pattern, ((), ()))
    keys: set[str] = set(names)
    for name in classes:
        # These three are passed by the library itself, not by the section.
        keys |= known_arguments(name) - {'dataset', 'processes', 'loss_scale'}
    type_name = node.get('type')
    if isinstance(type_name, str):
        keys |= known_arguments(type_name) | {'type'}
    if isinstance(node.get('policy'), str):
        keys |= known_arguments(_updater(node['policy'], where)) | {'policy'}
    nested = _nested_keys(owner)
    if nested is not None:
        keys |= nested
    if not keys and not node and nested is None:
        return None  # the config has no such section, and no class says what it may hold
    return keys


def _updater(policy: str, where: str) -> str:
    """Returns mmcv's class name of the hook of a policy, such as StepLrUpdaterHook."""
    policy = policy.title() if policy == policy.lower() else policy
    return f'{policy}{"Lr" if where == "lr_config" else "Momentum"}UpdaterHook'


def _nested_keys(owner: tuple[object, str] | None) -> set[str] | None:
    """Returns the keys of a section that the class around it reads: see its ``config_sections``."""
    if owner is None or not isinstance(owner[0], str):
        return None
    for registered_class in _registered(owner[0]):
        sections = getattr(registered_class, 'config_sections', {})
        if owner[1] in sections:
            keys: set[str] = set()
            for part in sections[owner[1]]:
                keys |= {part} if isinstance(part, str) else _arguments(part)
            return keys
    return None


def known_arguments(type_name: str) -> set[str]:
    """Returns the constructor arguments of the registered classes of a name and of their bases."""
    arguments: set[str] = set()
    for registered_class in _registered(type_name):
        arguments |= _arguments(registered_class)
    return arguments


def _arguments(registered_class: type) -> set[str]:
    arguments: set[str] = set()
    for base in inspect.getmro(registered_class):
        if '__init__' in vars(base) and base not in (object, torch.nn.Module):
            arguments |= set(inspect.signature(base.__init__).parameters)
    return arguments - {'self', 'args', 'kwargs'}


def _registered(type_name: str) -> list[type]:
    # RoI extractors look up their layer in mmcv.ops, not in a registry.
    candidates = [registry.get(type_name) for registry in registries()] + [
        getattr(ops, type_name, None)
    ]
    return [candidate for candidate in candidates if inspect.isclass(candidate)]


def nearest_registered(type_name: str, registry_name: str) -> str:
    """Returns '; did you mean ...?' with names of a registry close to one that is not in it.

    For a type that was renamed, returns its new name instead.
    """
    names: set[str] = set()
    for registry in registries():
        if registry.name == registry_name:
            names |= set(registry.module_dict)
    return new_name_of_type(type_name) or did_you_mean(type_name, names)


def registries() -> Iterable[Registry]:
    """All registries that a config's types come from."""
    from mmcv import cnn
    from mmcv.cnn import INITIALIZERS
    from mmcv.cnn.bricks import registry as bricks
    from mmcv.runner import HOOKS, OPTIMIZERS, RUNNERS
    from mmdet.core.bbox.builder import BBOX_ASSIGNERS, BBOX_CODERS, BBOX_SAMPLERS
    from mmdet.core.bbox.iou_calculators.builder import IOU_CALCULATORS
    from mmdet.core.bbox.match_costs.builder import MATCH_COST
    from mmdet.datasets import DATASETS, PIPELINES
    from mmdet.models.builder import MODELS
    from mmdet.models.utils.builder import TRANSFORMER

    return (
        MODELS,
        cnn.CONV_LAYERS,
        cnn.NORM_LAYERS,
        cnn.ACTIVATION_LAYERS,
        cnn.UPSAMPLE_LAYERS,
        bricks.ATTENTION,
        bricks.DROPOUT_LAYERS,
        bricks.FEEDFORWARD_NETWORK,
        bricks.POSITIONAL_ENCODING,
        TRANSFORMER,
        DATASETS,
        PIPELINES,
        HOOKS,
        OPTIMIZERS,
        RUNNERS,
        BBOX_ASSIGNERS,
        BBOX_CODERS,
        BBOX_SAMPLERS,
        IOU_CALCULATORS,
        MATCH_COST,
        INITIALIZERS,
        TRACKERS,
    )
