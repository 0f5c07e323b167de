"""What happens between iterations: the optimizer's step, averaged weights, validation."""

from __future__ import annotations

import json
import os
from typing import Any

import torch
from mmcv.runner import HOOKS, Hook, LoggerHook
from mmcv.runner.hooks.optimizer import GradientCumulativeOptimizerHook
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from tevit_vis.datasets import YouTubeVISDataset
from tevit_vis.evaluation.ytvis_eval import STAT_NAMES
from tevit_vis.utils.errors import InputError, whole_number
from tevit_vis.utils.files import read_json, write_json

from .distributed import Processes
from .journal import ResultsJournal
from .runner import ClipRunner
from .test import has_ground_truth, write_submission


@HOOKS.register_module()
class ClipOptimizerHook(GradientCumulativeOptimizerHook):
    """mmcv's accumulating hook, with gradients scaled when the model runs in fp16.

    One backward serves all optimizers; gradients of the detector alone are clipped.

    Args:
        kwargs: ``grad_clip`` and ``cumulative_iters``, iterations whose gradients are averaged
            for one step.
    """

    def before_run(self, runner: ClipRunner) -> None:
        """Set the scaler up; take up its state with the run's."""
        half = runner.model.dtype == torch.float16
        self.scaler = torch.amp.GradScaler(runner.model.device.type, enabled=half)
        if half and runner.resumed and 'grad_scaler' in runner.resumed['meta']:
            self.scaler.load_state_dict(runner.resumed['meta']['grad_scaler'])
        for optimizer in runner.optimizers.values():
            optimizer.zero_grad()

    def after_train_iter(self, runner: ClipRunner) -> None:
        """Backward; a step when enough gradients are there."""
        if not self.initialized:
            self._init(runner)
        loss = runner.outputs['loss'] / self._get_loss_factor(runner)
        if not self.scaler.is_enabled() and not torch.isfinite(loss):
            raise InputError(
                f'iteration {runner.iter + 1}: the loss must be finite, but is {loss.item()}: '
                'lower optimizer.lr, or look at the data with tools/data/browse_dataset.py'
            )
        self.scaler.scale(loss).backward()
        if not (self.every_n_iters(runner, self.cumulative_iters) or self.is_last_iter(runner)):
            return
        for optimizer in runner.optimizers.values():
            self.scaler.unscale_(optimizer)
        if self.grad_clip is not None:
            norm = self.clip_grads(runner.model.module.parameters())
            if norm is not None:
                runner.log_buffer.update({'grad_norm': float(norm)}, runner.outputs['num_samples'])
        for optimizer in runner.optimizers.values():
            self.scaler.step(optimizer)
        self.scaler.update()
        for optimizer in runner.optimizers.values():
            optimizer.zero_grad()
        if self.scaler.is_enabled():
            runner.meta['grad_scaler'] = self.scaler.state_dict()


@HOOKS.register_module()
class WeightAverageHook(Hook):
    """An exponential moving average of the weights, which is what is tested and saved.

    Args:
        decay: share of the old average that each iteration keeps.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 < decay < 1:
            raise InputError(f'weight_average.decay: must be between 0 and 1, but got {decay!r}')
        self.decay = decay

    def before_run(self, runner: ClipRunner) -> None:
        """Begin with the model's weights, or with the average of the run taken up."""
        average = get_ema_multi_avg_fn(self.decay)
        self.averaged = AveragedModel(runner.model.module, multi_avg_fn=average, use_buffers=True)
        if runner.resumed and 'train_state_dict' in runner.resumed:
            self.averaged.module.load_state_dict(runner.resumed['state_dict'])
            self.averaged.n_averaged.fill_(runner.resumed['meta']['num_averaged'])
        runner.averaged = self.averaged

    def after_train_iter(self, runner: ClipRunner) -> None:
        """Move the average."""
        self.averaged.update_parameters(runner.model.module)


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """A bar with the loss, for short runs that a user watches."""

    def before_run(self, runner: ClipRunner) -> None:
        """Show it."""
        self.bar = tqdm(total=runner.max_iters, initial=runner.iter, unit='step', desc='train')

    def after_train_iter(self, runner: ClipRunner) -> None:
        """Move it."""
        self.bar.set_postfix_str(f'loss {runner.outputs["loss"].item():.2f}')
        self.bar.update()

    def after_run(self, runner: ClipRunner) -> None:
        """Leave it where it ended."""
        self.bar.close()


class ValidationHook(Hook):
    """Tests the model on a data set while it is trained.

    Writes ``val/iter_<n>.json``, logs its scores where there are annotations, and keeps the
    checkpoint with the best one as ``best_<score>_iter_<n>.pth``.

    Args:
        dataset: in test mode.
        interval: iterations between tests; the last iteration is always tested.
        metric: ``'segm'``.
        save_best: score that decides, e.g. ``segm_AP``; None keeps none.
        processes: of the run.
    """

    def __init__(
        self,
        dataset: YouTubeVISDataset,
        interval: int,
        metric: str = 'segm',
        save_best: str | None = 'segm_AP',
        processes: Processes | None = None,
    ) -> None:
        names = [f'segm_{name}' for name in STAT_NAMES]
        if metric != 'segm':
            raise InputError(f"evaluation.metric: must be 'segm', but got {metric!r}")
        if save_best is not None and save_best not in names:
            raise InputError(
                f'evaluation.save_best: must be one of {", ".join(names)}, but got {save_best!r}'
            )
        self.dataset = dataset
        self.interval = whole_number('evaluation.interval', interval, least=1)
        self.metric = metric
        self.save_best = save_best
        self.processes = processes or Processes()
        self.scored = has_ground_truth(dataset)
        self.best: dict[str, Any] = {}

    def before_run(self, runner: ClipRunner) -> None:
        """Say at once where there will be no scores; test what a stopped run did not get to."""
        if not self.scored:
            runner.logger.warning(
                '%s: has no annotations, so validation writes submissions but scores nothing',
                self.dataset.ann_file,
            )
        due = runner.iter % self.interval == 0 or runner.iter >= runner.max_iters
        if runner.resumed and due and not os.path.exists(self._results_file(runner, runner.iter)):
            self._test(runner, runner.iter)

    def after_train_iter(self, runner: ClipRunner) -> None:
        """Test when it is time."""
        if not (self.every_n_iters(runner, self.interval) or self.is_last_iter(runner)):
            return
        for hook in runner.hooks:  # what was logged of training so far is not validation's
            if isinstance(hook, LoggerHook):
                hook.after_train_iter(runner)
        runner.log_buffer.clear()
        self._test(runner, runner.iter + 1)

    @staticmethod
    def _results_file(runner: ClipRunner, finished: int) -> str:
        return os.path.join(runner.work_dir, 'val', f'iter_{finished}.json')

    def _test(self, runner: ClipRunner, finished: int) -> None:
        out = self._results_file(runner, finished)
        journal = ResultsJournal(out, identity={})
        if self.processes.is_first:
            journal.discard()  # of a run that was killed here
        self.processes.wait()
        model = runner.tested_model
        self.processes.share(model.buffers())  # batch norm's statistics are each process's own
        model.eval()
        write_submission(model, self.dataset, journal, num_workers=2, processes=self.processes)
        runner.model.train()
        if self.processes.is_first and self.scored:
            self._score(runner, out, finished)

    def _score(self, runner: ClipRunner, out: str, finished: int) -> None:
        with open(out, encoding='utf-8') as file:
            scores = self.dataset.evaluate(json.load(file), self.metric)
        for name, value in scores.items():
            runner.log_buffer.output[name] = value
        runner.log_buffer.output['eval_iter_num'] = finished
        runner.log_buffer.ready = True
        if self.save_best is None:
            return
        # In a file of its own: the checkpoint of this iteration is already written.
        note = os.path.join(runner.work_dir, 'val', 'best.json')
        best = read_json(note, 'best score') if runner.resumed and os.path.exists(note) else {}
        best = self.best or best
        if best and scores[self.save_best] <= best['score']:
            return
        name = f'best_{self.save_best}_iter_{finished}.pth'
        runner.save_checkpoint(
            runner.work_dir, filename_tmpl=name, save_optimizer=False, create_symlink=False
        )
        before = best.get('checkpoint', name)
        self.best = {'score': scores[self.save_best], 'checkpoint': name}
        write_json(self.best, note)
        if before != name and os.path.exists(os.path.join(runner.work_dir, before)):
            os.remove(os.path.join(runner.work_dir, before))
