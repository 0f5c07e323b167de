"""mmcv's iteration-based runner for clips: a run that is taken up again goes on as if it had never
stopped, and a checkpoint is a whole file or none.
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
from tevit_vis.utils.files import link_beside
from tevit_vis.utils.seeds import mixed_seed
from tevit_vis.utils.weights import load_weights

Trained = TypeVar('Trained', bound=nn.Module)


class TrainedModel(nn.Module):
    """A detector as a runner trains it: on its device, in its precision, in step with other
    processes.

    Args:
        module: the detector.
        device: of this process.
        amp: None, ``'fp16'`` or ``'bf16'``: precision of the network; losses stay in fp32.
        distributed: average gradients over the processes of torch.distributed.
        adversary: a loss with a network of its own, called with the frames and the detector's
            ``TrainOutputs``. It is no part of the detector, nor of its weights.
        find_unused_parameters: of torch's DDP, for own detectors that do not use all weights.

    Raises:
        InputError: another precision, or fp16 without a GPU.
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
        self.module = _as_gradients_lie(module.to(device))
        if adversary is not None:
            adversary = _as_gradients_lie(adversary.to(device))
        self.adversary = adversary
        self.device = device
        objective = module if self.adversary is None else AgainstAdversary(module, self.adversary)
        self.parallel: nn.Module = objective
        self.averages_gradients = True  # over the processes; not where more iterations follow
        if distributed:
            self.parallel = DistributedDataParallel(
                objective,
                device_ids=[device] if device.type == 'cuda' else None,
                find_unused_parameters=find_unused_parameters,
            )

    def train_step(self, data: dict[str, Any], optimizer: object = None) -> dict[str, Any]:
        """Losses of a batch of ``collate_clips``: ``loss``, ``log_vars``, ``num_samples``."""
        # Ids tell instances apart on the host, where they stay.
        data = {
            name: value if name == 'gt_ids' else self.to_device(value)
            for name, value in data.items()
        }
        with self._gradients_of_this_process_alone(), precision(self.device, self.dtype):
            losses = self.parallel(**data)
        loss, log_vars = total_loss(losses)
        return dict(loss=loss, log_vars=log_vars, num_samples=len(data['img_metas']))

    def _gradients_of_this_process_alone(self) -> AbstractContextManager:
        """DDP exchanges gradients once per step, not once per accumulated iteration."""
        if isinstance(self.parallel, DistributedDataParallel) and not self.averages_gradients:
            return self.parallel.no_sync()
        return nullcontext()

    def to_device(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.to(self.device, non_blocking=True)
        if isinstance(value, list):
            return [self.to_device(item) for item in value]
        return value


def _as_gradients_lie(module: Trained) -> Trained:
    """A module with its convolutions' weights channels-last, as their gradients come: DDP would
    copy each of those into the layout of its weight. Kernels of 1x1 are both.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and max(part.kernel_size) > 1:
            part.weight.data = part.weight.data.contiguous(memory_format=torch.channels_last)
    return module


def total_loss(losses: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, float]]:
    """Returns the sum of all losses, and their means over the processes as numbers.

    mmdet's ``_parse_losses`` asks the device once per loss, this function once.

    Args:
        losses: tensors by name, of which the means count; what has no ``loss`` in its name is
            reported only.
    """
    means = {name: value.float().mean() for name, value in losses.items()}
    loss = torch.stack([value for name, value in means.items() if 'loss' in name]).sum()
    names = [*losses, 'loss']
    values = torch.stack([*means.values(), loss]).detach()
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(values.div_(dist.get_world_size()))
    return loss, dict(zip(names, values.tolist()))


class AgainstAdversary(nn.Module):
    """A detector's losses together with an adversary's, in one forward."""

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
    """What hooks take from the checkpoint that a run went on from.

    Args:
        meta: of the checkpoint.
        averaged: averaged weights, where the run had them; their hook takes them and lets them go,
            so that the file is not held while the run lasts.
    """

    meta: dict[str, Any]
    averaged: Mapping[str, torch.Tensor] | None


@RUNNERS.register_module()
class ClipRunner(IterBasedRunner):
    """IterBasedRunner whose iterations depend on the run's seed and their own number alone.

    Hooks may set ``averaged``: then the averaged weights are what is tested and what a checkpoint
    holds as ``state_dict``; those in training are its ``train_state_dict``.

    Args:
        seed: of the run.
        kwargs: of ``IterBasedRunner``; ``model`` is a ``TrainedModel``, and ``optimizer`` a dict
            where its adversary has one of its own: ``model`` and ``adversary``.
    """

    def __init__(self, *args: Any, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seed = seed
        self.meta: dict[str, Any] = dict(self.meta or {})
        self.averaged: AveragedModel | None = None
        self.resumed: ResumedRun | None = None

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """All of them, by what they train."""
        return self.optimizer if isinstance(self.optimizer, dict) else {'model': self.optimizer}

    @property
    def tested_model(self) -> ClipDetector:
        """The detector whose scores count."""
        model = self.averaged if self.averaged is not None else self.model
        return cast(ClipDetector, model.module)

    def run(self, data_loaders: list, workflow: list, **kwargs: Any) -> None:
        """See ``IterBasedRunner.run``; the batches begin where the run stands."""
        for loader in data_loaders:
            loader.batch_sampler.start = self.iter
        super().run(data_loaders, workflow, **kwargs)

    def train(self, data_loader: Any, **kwargs: Any) -> None:
        """One iteration; what the model draws (drop path) depends on its number."""
        torch.manual_seed(mixed_seed(self.seed, self.iter, self.rank))
        super().train(data_loader, **kwargs)

    def resume(self, checkpoint: str, trust: bool = False, **kwargs: Any) -> None:
        """Take up the run of a checkpoint.

        Args:
            checkpoint: of a run with an optimizer.
            trust: also load a file that holds Python objects, which may run code.

        Raises:
            InputError: it does not fit the model, or holds no optimizer.
        """
        content = read_checkpoint(checkpoint, trust)
        if 'optimizer' not in content or 'meta' not in content:
            raise InputError(
                f'{checkpoint}: must hold an optimizer to resume from, but holds weights only: '
                'use load_from'
            )
        weights = content.get('train_state_dict', content.get('state_dict', {}))
        load_weights(self.model.module, weights, checkpoint)
        states = content['optimizer']
        has, wants = 'adversary' in content, self.model.adversary is not None
        if has != wants:
            raise InputError(
                f'{checkpoint}: must {"" if wants else "not "}be of a run with an adversary to '
                'resume from, as the config says, but is not so: use load_from, or change adversary'
            )
        if not wants:
            states = {'model': states}
        else:
            load_weights(self.model.adversary, content['adversary'], f'{checkpoint} (adversary)')
        try:
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(states[name])
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
        """Save the state after the iteration that runs; ``latest.pth`` links to it.

        Raises:
            InputError: the file cannot be written whole; earlier ones are untouched.
        """
        finished = self.iter + 1
        content: dict[str, Any] = dict(
            meta={
                **self.meta,
                **(meta or {}),
                'epoch': self.epoch,
                'iter': finished,
                'CLASSES': self.model.module.CLASSES,
            },
            state_dict=_on_cpu(self.tested_model.state_dict()),
        )
        if save_optimizer:
            states = {name: each.state_dict() for name, each in self.optimizers.items()}
            if self.model.adversary is None:
                content['optimizer'] = states['model']
            else:
                content['optimizer'] = states
                content['adversary'] = _on_cpu(self.model.adversary.state_dict())
            if self.averaged is not None:
                content['train_state_dict'] = _on_cpu(self.model.module.state_dict())
                content['meta']['num_averaged'] = int(self.averaged.n_averaged)
        path = os.path.join(out_dir, filename_tmpl.format(finished))
        write_checkpoint(content, path)
        if create_symlink:
            link_beside(os.path.join(out_dir, 'latest.pth'), os.path.basename(path))


def _on_cpu(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().cpu() for name, value in weights.items()}
