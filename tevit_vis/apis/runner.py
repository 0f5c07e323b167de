"""mmcv's iteration-based runner for clips.

A resumed run continues as if it had never stopped, and a checkpoint is written whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from mmcv.runner import RUNNERS, IterBasedRunner
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from tevit_vis.models.detectors import ClipDetector
from tevit_vis.utils.checkpoints import read_checkpoint, write_checkpoint
from tevit_vis.utils.devices import check_amp, precision
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import link_atomically
from tevit_vis.utils.seeds import mixed_seed
from tevit_vis.utils.weights import load_weights

Trained = TypeVar('Trained', bound=nn.Module)


class TrainingModel(nn.Module):
    """A detector wrapped for a runner, with its device, its precision and torch's DDP.

    Args:
        module: the detector.
        device: the device of this process.
        amp: None, ``'fp16'`` or ``'bf16'``: precision of the network; losses stay in fp32.
        distributed: whether gradients are averaged over the processes of torch.distributed.
        adversary: a loss with a network of its own, called with the frames and the detector's
            ``TrainOutputs``. The detector and its weights do not include it.
        find_unused_parameters: argument of torch's DDP, for custom detectors that leave some
            weights unused.

    Raises:
        InputError: the precision is unknown, or fp16 without a GPU.
    """

    def __init__(
        self,
        module: ClipDetector,
        device: torch.device,
        amp: str | None,
        distributed: bool,
        adversary: nn.Module | None = None,
        find_unused_parameters: bool = False,
    ) -> None:
        super().__init__()
        self.dtype = check_amp(amp, device)
        self.module = _to_channels_last(module.to(device))
        if adversary is not None:
            adversary = _to_channels_last(adversary.to(device))
        self.adversary = adversary
        self.device = device
        network: nn.Module = module
        if self.adversary is not None:
            network = DetectorWithAdversary(module, self.adversary)
        self.parallel = network
        # Whether processes exchange gradients; False while more iterations of a step follow.
        self.averages_gradients = True
        if distributed:
            self.parallel = DistributedDataParallel(
                network,
                device_ids=[device] if device.type == 'cuda' else None,
                find_unused_parameters=find_unused_parameters,
            )

    def train_step(self, data: dict[str, Any], optimizer: object = None) -> dict[str, Any]:
        """Returns ``loss``, ``log_vars`` and ``num_samples`` of a batch of ``collate_clips``."""
        # Instance ids are only compared on the CPU, so they stay there.
        data = {
            name: value if name == 'gt_ids' else self.to_device(value)
            for name, value in data.items()
        }
        with self._no_sync_between_steps(), precision(self.device, self.dtype):
            losses = self.parallel(**data)
        loss, log_vars = total_loss(losses)
        return dict(loss=loss, log_vars=log_vars, num_samples=len(data['img_metas']))

    def _no_sync_between_steps(self) -> AbstractContextManager:
        """Returns a context in which DDP exchanges gradients only once per optimizer step."""
        if isinstance(self.parallel, DistributedDataParallel) and not self.averages_gradients:
            return self.parallel.no_sync()
        return nullcontext()

    def to_device(self, value: Any) -> Any:
        """Returns a value with all tensors, also those in lists, on the model's device."""
        if isinstance(value, torch.Tensor):
            return value.to(self.device, non_blocking=True)
        if isinstance(value, list):
            return [self.to_device(item) for item in value]
        return value


def _to_channels_last(module: Trained) -> Trained:
    """Lays out the weights of convolutions channels-last, in place, and returns the module.

    Gradients come channels-last, and DDP would copy each of them into the layout of its weight.
    For 1x1 kernels the two layouts are the same.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and max(part.kernel_size) > 1:
            part.weight.data = part.weight.data.contiguous(memory_format=torch.channels_last)
    return module


def total_loss(losses: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
    """Returns the sum of all losses, and their means over the processes as numbers.

    mmdet's ``_parse_losses`` waits for the device once per loss, this function once.

    Args:
        losses: tensors by name, each reduced to its mean. The sum takes those with ``loss`` in
            their name; the others are only reported.

    Example:
        >>> total_loss(dict(loss_cls=torch.tensor([1.0, 3.0]), accuracy=torch.tensor(5.0)))
        (tensor(2.), {'loss_cls': 2.0, 'accuracy': 5.0, 'loss': 2.0})
    """
    means = {name: value.float().mean() for name, value in losses.items()}
    loss = torch.stack([value for name, value in means.items() if 'loss' in name]).sum()
    names = [*losses, 'loss']
    values = torch.stack([*means.values(), loss]).detach()
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(values.div_(dist.get_world_size()))
    return loss, dict(zip(names, values.tolist()))


class DetectorWithAdversary(nn.Module):
    """A detector and its adversary, whose losses come from one forward."""

    def __init__(self, detector: ClipDetector, adversary: nn.Module) -> None:
        super().__init__()
        self.detector = detector
        self.adversary = adversary

    def forward(self, img: torch.Tensor, **batch: Any) -> dict[str, torch.Tensor]:
        """Returns the losses of a batch of ``collate_clips``."""
        outputs = self.detector.train_outputs(img, **batch)
        return {**outputs.losses, **self.adversary(img, outputs)}


@dataclass
class ResumedRun:
    """The parts of the resumed checkpoint that hooks need.

    Args:
        meta: of the checkpoint.
        averaged: averaged weights, if the run had them. Their hook loads them and sets this to
            None, so that they do not stay in memory during the run.
    """

    meta: dict[str, Any]
    averaged: Mapping[str, torch.Tensor] | None


@RUNNERS.register_module()
class ClipRunner(IterBasedRunner):
    """IterBasedRunner whose random numbers depend only on the seed and the iteration's number.

    Hooks may set ``averaged``. Then the averaged weights are tested, and a checkpoint holds them
    as ``state_dict`` and the weights in training as ``train_state_dict``.

    Args:
        seed: of the run.
        kwargs: of ``IterBasedRunner``. ``model`` is a ``TrainingModel``; with an adversary,
            ``optimizer`` is a dict of two optimizers, ``model`` and ``adversary``.
    """

    def __init__(self, *args: Any, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seed = seed
        self.meta: dict[str, Any] = dict(self.meta or {})
        self.averaged: AveragedModel | None = None
        self.resumed: ResumedRun | None = None

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimizers by the name of what they train: ``model``, ``adversary``."""
        return self.optimizer if isinstance(self.optimizer, dict) else {'model': self.optimizer}

    @property
    def tested_model(self) -> ClipDetector:
        """The detector that is tested and saved: the averaged one, if there is one."""
        model = self.averaged if self.averaged is not None else self.model
        return cast(ClipDetector, model.module)

    def run(self, data_loaders: list, workflow: list, **kwargs: Any) -> None:
        """See ``IterBasedRunner.run``; batches start at the current iteration."""
        for loader in data_loaders:
            loader.batch_sampler.start = self.iter
        super().run(data_loaders, workflow, **kwargs)

    def train(self, data_loader: Any, **kwargs: Any) -> None:
        """Runs one iteration, whose number seeds the model's random numbers (drop path)."""
        torch.manual_seed(mixed_seed(self.seed, self.iter, self.rank))
        super().train(data_loader, **kwargs)

    def resume(self, checkpoint: str, trust: bool = False, **kwargs: Any) -> None:
        """Resumes the run of a checkpoint.

        Args:
            checkpoint: path of a checkpoint that holds an optimizer.
            trust: also load a file that holds Python objects, which may run code.

        Raises:
            InputError: the checkpoint does not fit the model, or holds no optimizer.
        """
        content = read_checkpoint(checkpoint, trust)
        if 'optimizer' not in content or 'meta' not in content:
            raise InputError(
                f'{checkpoint}: must hold an optimizer to resume from, but holds weights only: '
                'use load_from'
            )
        weights = content.get('train_state_dict', content.get('state_dict', {}))
        load_weights(self.model.module, weights, checkpoint)
        optimizer_states = content['optimizer']
        needs_adversary = self.model.adversary is not None
        if ('adversary' in content) != needs_adversary:
            raise InputError(
                f'{checkpoint}: must {"" if needs_adversary else "not "}be of a run with an '
                'adversary to resume from, since the config has '
                f'{"one" if needs_adversary else "none"}: use load_from, or change adversary'
            )
        if not needs_adversary:
            optimizer_states = {'model': optimizer_states}
        else:
            load_weights(self.model.adversary, content['adversary'], f'{checkpoint} (adversary)')
        try:
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(optimizer_states[name])
        except (ValueError, KeyError) as error:
            raise InputError(
                f'{checkpoint}: its optimizer does not fit the config: {error}'
            ) from None
        meta = content['meta']
        self._epoch, self._iter = meta['epoch'], meta['iter']
        self.meta['hook_msgs'] = meta.get('hook_msgs', {})
        self.resumed = ResumedRun(
            meta, content['state_dict'] if 'train_state_dict' in content else None
        )
        self.logger.info('resumed from %s at iteration %d', checkpoint, self.iter)

    def save_checkpoint(
        self,
        out_dir: str,
        filename_tmpl: str = 'iter_{}.pth',
        meta: dict | None = None,
        save_optimizer: bool = True,
        create_symlink: bool = True,
    ) -> None:
        """Saves the state after the current iteration; ``latest.pth`` links to it.

        Raises:
            InputError: the file cannot be written; earlier checkpoints are untouched.
        """
        num_iters = self.iter + 1
        content: dict[str, Any] = dict(
            meta={
                **self.meta,
                **(meta or {}),
                'epoch': self.epoch,
                'iter': num_iters,
                'CLASSES': self.model.module.CLASSES,
            },
            state_dict=_on_cpu(self.tested_model.state_dict()),
        )
        if save_optimizer:
            states = {name: optim.state_dict() for name, optim in self.optimizers.items()}
            if self.model.adversary is None:
                content['optimizer'] = states['model']
            else:
                content['optimizer'] = states
                content['adversary'] = _on_cpu(self.model.adversary.state_dict())
            if self.averaged is not None:
                content['train_state_dict'] = _on_cpu(self.model.module.state_dict())
                content['meta']['num_averaged'] = int(self.averaged.n_averaged)
        path = os.path.join(out_dir, filename_tmpl.format(num_iters))
        write_checkpoint(content, path)
        if create_symlink:
            link_atomically(os.path.join(out_dir, 'latest.pth'), os.path.basename(path))


def _on_cpu(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu() for name, value in weights.items()}
