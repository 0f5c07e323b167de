import weakref

import numpy as np
import pytest
import torch
from builders import batch, build_for_training, predict_clip, random_video

from tevit_vis.apis import inference_video
from tevit_vis.apis.inference import predict_video
from tevit_vis.apis.runner import TrainingModel
from tevit_vis.datasets import FramePipeline
from tevit_vis.ground_truth import GtTubes
from tevit_vis.layers.memory_bus import ClipQueryDecoder, MemoryBusEncoder
from tevit_vis.models.assigners import TubeHungarianAssigner
from tevit_vis.models.assigners.tube_costs import PredTubes
from tevit_vis.models.heads.gather_gt import batch_padding
from tevit_vis.models.heads.ifc_head import IFCHead
from tevit_vis.utils.config import load_config
from tevit_vis.utils.errors import InputError

CHANNELS, FRAMES, CELLS = 8, 3, 6
LAYER = dict(embed_dims=CHANNELS, num_heads=2, feedforward_channels=12, dropout=0.0)


def build_layers():
    torch.manual_seed(0)
    encoder = MemoryBusEncoder(num_layers=2, num_tokens=4, **LAYER)
    decoder = ClipQueryDecoder(num_layers=2, num_queries=5, **LAYER)
    for part in (encoder, decoder):
        part.init_weights()
    return encoder.eval(), decoder.eval()


def draw():
    torch.manual_seed(1)
    cells = torch.randn(2, FRAMES, CELLS, CHANNELS)
    return cells, torch.randn_like(cells), torch.zeros(2, FRAMES, CELLS, dtype=torch.bool)


@torch.inference_mode()
def test_frames_talk_through_the_tokens_alone_and_their_order_does_not_matter():
    encoder, _ = build_layers()
    cells, position, padding = draw()
    memory = encoder(cells, position, padding)
    order = [2, 0, 1]
    permuted = encoder(cells[:, order], position[:, order], padding)
    torch.testing.assert_close(permuted.cells, memory.cells[:, order])
    torch.testing.assert_close(permuted.tokens, memory.tokens[:, order])
    changed = cells.clone()
    changed[:, 2] += 1
    assert not torch.allclose(encoder(changed, position, padding).cells[:, 0], memory.cells[:, 0])
    encoder.bus_layers = torch.nn.ModuleList(FramesApart() for _ in encoder.bus_layers)
    alone = encoder(cells, position, padding).cells
    torch.testing.assert_close(encoder(changed, position, padding).cells[:, 0], alone[:, 0])


class FramesApart(torch.nn.Module):
    """For tests: a bus that carries nothing."""

    def forward(self, x, position, padding):
        assert x.shape == (2 * 4, FRAMES, CHANNELS)  # a token and its copies in all frames
        assert position is None
        return x


@torch.inference_mode()
def test_padded_cells_have_no_influence():
    encoder, decoder = build_layers()
    cells, position, padding = draw()
    padding[1, :, 4:] = True
    results = []
    for value in (0.0, 50.0):
        cells[1, :, 4:] = value
        memory = encoder(cells, position, padding)
        queries = decoder(memory.cells.flatten(1, 2), position.flatten(1, 2), padding.flatten(1))
        results.append((memory.tokens, memory.cells[1, :, :4], queries[-1]))
    for ours, theirs in zip(*results):
        torch.testing.assert_close(ours, theirs)


def test_cells_partly_on_the_image_are_seen():
    metas = [[dict(img_shape=(33, 64, 3))]]
    padding = batch_padding(metas, (3, 3), 32, torch.device('cpu'))
    assert (~padding.mask[0, 0]).tolist() == [[True, True, False]] * 2 + [[False] * 3]


def predict(model, num_frames):
    torch.manual_seed(0)
    return predict_clip(model, torch.randn(1, num_frames, 3, 64, 96))


@pytest.mark.parametrize('num_frames', [1, 2, 7])
def test_queries_of_no_object_are_left_out(ifc, num_frames):
    every = predict(ifc, num_frames).class_scores
    assert len(every) == 7
    last = ifc.bbox_head.class_branch[-1].bias[-1:]
    with torch.inference_mode():  # no object gains until it wins for some of them
        last += torch.log(every.max(1).values / (1 - every.sum(1))).median()
    found = predict(ifc, num_frames)
    assert 0 < len(found.queries) < 7
    assert found.class_scores.shape[1] == 5
    assert torch.equal(found.class_scores.max(1).values, found.scores)
    assert (found.class_scores.sum(1) < 1).all()  # what is missing is no object
    assert found.masks.logits.shape[1:] == (num_frames, 8, 12)
    with torch.inference_mode():
        ifc.bbox_head.class_branch[-1].bias[-1] = 1e4
    assert len(predict(ifc, num_frames).queries) == 0


@pytest.mark.parametrize('count', [1, 3, 8])
def test_videos_shorter_and_longer_than_a_window(ifc, count):
    found = inference_video(ifc, random_video(count))
    assert found.num_frames == count
    assert len(found)
    assert (found.scores > 0.01).all()
    masks = [rle for track in found.segmentations for rle in track]
    assert all(rle is not None for rle in masks)  # empty ones are written, not left out


def test_a_video_without_objects(ifc):
    with torch.inference_mode():
        ifc.bbox_head.class_branch[-1].bias[-1] = 1e4
    found = inference_video(ifc, random_video(8))
    assert len(found) == 0
    assert found.num_frames == 8


def test_a_match_weighs_class_and_dice_of_soft_masks():
    masks = torch.full((3, 2, 2, 2), -9.0)
    masks[0, :, 0] = masks[1, :, 1] = masks[2, :, 1] = 9.0
    true = (masks[:2].sigmoid() > 0.5).float().flip(0)
    gt = GtTubes.of_labels(torch.tensor([1, 0]), num_frames=2).with_masks(true)
    scores = torch.zeros(1, 3, 3)
    costs = load_config('ifc/ifc_r50_ytvis19').model.train_cfg.assigner.costs
    assigner = TubeHungarianAssigner(costs=costs)
    queries, instances = assigner.assign(PredTubes(scores, masks=masks), gt)
    assert (queries.tolist(), instances.tolist()) == ([0, 1], [1, 0])
    scores[0, 2, 1] = 3.0  # with like masks the class decides
    queries, instances = assigner.assign(PredTubes(scores, masks=masks), gt)
    assert (queries.tolist(), instances.tolist()) == ([0, 2], [1, 0])


def test_targets_are_soft_at_stride_4():
    """Cell centres lie at columns 1.17, 4.5 and 7.83 and at rows 1.5 and 5.5."""
    masks = torch.zeros(1, 1, 8, 10, dtype=torch.bool)
    masks[..., :2, [4, 8]] = True
    gt = GtTubes.of_labels(torch.tensor([0]), num_frames=1).with_masks(masks)
    targets = IFCHead.mask_targets(None, gt)
    expected = torch.tensor([[[[0.0, 0.5 * 0.5, 0.5 * 5 / 6], [0.0, 0.0, 0.0]]]])
    torch.testing.assert_close(targets, expected)  # neither nearest nor area gives this


@pytest.fixture
def training_model(ifc_config):
    return build_for_training(ifc_config)


@pytest.mark.parametrize(
    'counts',
    [[[2, 2], [1, 1]], [[0, 0], [0, 0]], [[3, 0], [0, 0]], [[1], [2]], [[9, 1]]],
    ids=['some', 'none', 'in one frame', 'one frame', 'more than queries'],
)
def test_clips_with_any_number_of_instances_train(training_model, counts):
    losses = training_model(return_loss=True, **batch(counts))
    names = {f'loss_{part}' for part in ('ce', 'mask', 'dice')}
    assert set(losses) == names | {f'{name}_0' for name in names}
    total, _ = training_model._parse_losses(losses)
    assert torch.isfinite(total)
    total.backward()
    without = [n for n, p in training_model.named_parameters() if p.grad is None]
    assert without == []


def test_queries_without_instance_weigh_a_tenth(training_model):
    clips, head = batch([[2, 2]]), training_model.bbox_head
    costs = torch.ones(7, 2)
    costs[1, 0] = costs[3, 1] = 0
    head.assigner.cost_matrix = lambda *_: costs
    outputs, forward = [], head.forward
    head.forward = lambda *args: outputs.append(forward(*args)) or outputs[0]
    loss = training_model(return_loss=True, **clips)['loss_ce']
    scores = outputs[0].cls_scores[-1][0]
    labels = torch.full((7,), 5)
    labels[[1, 3]] = torch.tensor([0, 1])  # the classes of the two instances
    weights = torch.tensor([1.0] * 5 + [0.1])
    by_hand = torch.nn.functional.cross_entropy(scores, labels, weights)
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_bf16_is_close_to_full_precision(training_model):
    clips = batch([[2, 2], [1, 1]])
    losses = {}
    for amp in (None, 'bf16'):
        trained = TrainingModel(training_model, torch.device('cpu'), amp, distributed=False)
        losses[amp] = trained.train_step(clips)['log_vars']
    for name, value in losses[None].items():
        assert losses['bf16'][name] == pytest.approx(value, rel=0.05), name


def test_frames_of_another_size_are_named(ifc):
    pipeline = FramePipeline(ifc.cfg.data.test.pipeline)
    frames = [
        pipeline.from_array(image) for image in (*random_video(2), np.zeros((40, 80, 3), np.uint8))
    ]
    with pytest.raises(InputError, match='frame 2 must be 80x48 like the first one, but is 80x40'):
        predict_video(ifc, frames)
    with pytest.raises(InputError, match='a video must have at least one frame'):
        predict_video(ifc, [])


def test_windows_hold_few_frames_of_a_long_video(ifc):
    held, alive = [], weakref.WeakSet()
    pipeline = FramePipeline(ifc.cfg.data.test.pipeline)

    def frames():
        for image in random_video(12):
            held.append(len(alive))
            frame = pipeline.from_array(image)
            meta = Marked(frame.meta)
            alive.add(meta)
            yield frame._replace(meta=meta)
            del meta

    assert predict_video(ifc, frames()).num_frames == 12
    assert max(held) <= 4


class Marked(dict):
    """For tests: the meta of a frame that is still held."""

    __hash__ = object.__hash__
