import pytest
import torch

from tevit_vis.ground_truth import GtTubes, TrainOutputs
from tevit_vis.models.losses.adversarial_loss import AdversarialLoss, foreground_maps

CHANNELS, FRAMES = 6, 2
HEIGHT, WIDTH = 64, 96
SIZES = [(8, 12), (4, 6), (2, 3)]


@pytest.fixture
def adversary():
    torch.manual_seed(0)
    return AdversarialLoss(CHANNELS, block_channels=[5, 7], loss_weight=0.5)


def tubes(count):
    masks = torch.zeros(count, FRAMES, HEIGHT, WIDTH, dtype=torch.bool)
    masks[:, :, 8:40, 16:80] = True
    labels = torch.zeros(count, dtype=torch.long)
    return GtTubes.of_labels(labels, FRAMES).with_masks(masks)


def supervision(counts=(3, 1)):
    torch.manual_seed(1)
    clips = len(counts)
    return TrainOutputs(
        losses={},
        padding=torch.zeros(clips, FRAMES, HEIGHT, WIDTH, dtype=torch.bool),
        feature_maps=[torch.randn(clips, FRAMES, CHANNELS, *s).requires_grad_() for s in SIZES],
        pred_masks=[
            torch.randn(n, FRAMES, HEIGHT // 4, WIDTH // 4).requires_grad_() for n in counts
        ],
        gt_tubes=[tubes(n) for n in counts],
    )


def frames(clips=2):
    torch.manual_seed(2)
    return torch.randn(clips, FRAMES, 3, HEIGHT, WIDTH)


def test_each_part_reaches_its_own_weights_alone(adversary):
    found = supervision()
    losses = adversary(frames(), found)
    assert set(losses) == {'loss_adversarial', 'loss_discriminator'}
    losses['loss_adversarial'].backward(retain_graph=True)
    assert all(p.grad is None for p in adversary.parameters())
    for tensor in (*found.feature_maps, *found.pred_masks):
        assert tensor.grad.abs().sum() > 0
        tensor.grad = None
    losses['loss_discriminator'].backward()
    assert all(p.grad.abs().sum() > 0 for p in adversary.parameters())
    assert all(tensor.grad is None for tensor in (*found.feature_maps, *found.pred_masks))


def test_the_losses_are_binary_cross_entropy_over_patches(adversary):
    found = supervision((1,))
    losses = adversary(frames(1), found)
    pictures = torch.nn.functional.adaptive_avg_pool2d(frames(1)[0], SIZES[0])
    sides = [
        found.pred_masks[0][0].sigmoid(),
        found.gt_tubes[0].masks[0].float(),
    ]
    maps = [level[0] for level in found.feature_maps]
    soft, true = (
        adversary.discriminator(
            pictures, torch.nn.functional.adaptive_avg_pool2d(side[:, None], SIZES[0]), maps
        ).sigmoid()
        for side in sides
    )
    assert soft.shape == (FRAMES, 1, *SIZES[2])
    assert losses['loss_adversarial'].item() == pytest.approx(-0.5 * soft.log().mean().item())
    wanted = -(true.log().mean() + (1 - soft).log().mean()) / 2
    assert losses['loss_discriminator'].item() == pytest.approx(wanted.item())


def test_clips_without_an_instance_have_no_part(adversary):
    alone, both = supervision((2,)), supervision((2, 0))
    joined = both._replace(
        feature_maps=[torch.cat([a, b[1:]]) for a, b in zip(alone.feature_maps, both.feature_maps)],
        pred_masks=[alone.pred_masks[0], both.pred_masks[1]],
    )
    ours, theirs = adversary(frames(), joined), adversary(frames()[:1], alone)
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name])
    nothing = supervision((0, 0))
    losses = adversary(frames(), nothing)
    assert [value.item() for value in losses.values()] == [0, 0]
    sum(losses.values()).backward()  # every weight takes part: other processes wait for it
    assert all((p.grad == 0).all() for p in adversary.parameters())


def test_losses_are_means_over_the_patches_of_all_processes(adversary, monkeypatch):
    found = supervision()
    alone = adversary(frames(), found)
    counts = []

    def three_times_as_many(count):
        counts.append(count.item())
        return count * 3

    module = 'tevit_vis.models.losses.adversarial_loss.reduce_mean'
    monkeypatch.setattr(module, three_times_as_many)
    among_many = adversary(frames(), found)
    assert counts == [2 * FRAMES * 6]
    for name, value in alone.items():
        assert among_many[name].item() == pytest.approx(value.item() / 3)
    found.padding[..., 40:] = True  # a patch that the image reaches into counts
    adversary(frames(), found)
    assert counts[-1] == 2 * FRAMES * 4


def test_features_are_normed_at_each_place(adversary):
    norm = adversary.discriminator.blocks[1]
    maps = 3 + 2 * torch.randn(2, 5, 4, 6)
    normed = norm(maps)
    assert normed.shape == maps.shape
    torch.testing.assert_close(normed.mean(1), torch.zeros(2, 4, 6), atol=1e-5, rtol=0)
    torch.testing.assert_close(normed.var(1, correction=0), torch.ones(2, 4, 6), atol=1e-3, rtol=0)


def test_frame_features_and_mask_begin_with_an_equal_say(adversary):
    drawn = AdversarialLoss(32, block_channels=[8], loss_weight=1.0)
    drawn.init_weights()
    weight = drawn.discriminator.finest.weight
    shares = [part.pow(2).sum((1, 2, 3)).mean().item() for part in weight.split([3, 32, 1], dim=1)]
    assert shares == pytest.approx([1 / 3] * 3, rel=0.3)
    assert (drawn.discriminator.finest.bias == 0).all()


def test_patches_of_padding_do_not_count(adversary):
    found = supervision((2,))
    found.padding[..., 32:] = True  # of 3 patches in a row, one remains
    drawn = adversary.discriminator.forward
    seen = []

    def kept(*inputs):
        seen.append(drawn(*inputs))
        return seen[-1]

    adversary.discriminator.forward = kept
    losses = adversary(frames(1), found)
    fooled = torch.nn.functional.softplus(-seen[2][..., :1]).mean() * 0.5
    assert losses['loss_adversarial'].item() == pytest.approx(fooled.item())


def test_the_foreground_of_a_clip_is_the_union_of_its_masks():
    masks = torch.zeros(2, 1, 2, 4)
    masks[0, 0, 0, 0], masks[1, 0, 0, 0], masks[1, 0, 1, 3] = 0.5, 0.25, 1
    found = foreground_maps([masks, masks[:0]], (1, 2))
    assert found.flatten().tolist() == [0.125, 0.25, 0, 0]


def test_a_discriminator_learns_and_a_detector_can_fool_it(adversary):
    found, img = supervision(), frames()
    optimizer = torch.optim.Adam(adversary.parameters(), lr=2e-3)
    losses = []
    for _ in range(60):
        values = adversary(img, found)
        optimizer.zero_grad()
        values['loss_discriminator'].backward()
        optimizer.step()
        losses.append({name: value.item() for name, value in values.items()})
    assert losses[-1]['loss_discriminator'] < 0.3 * losses[0]['loss_discriminator']
    assert losses[-1]['loss_adversarial'] > losses[0]['loss_adversarial']
    better = found._replace(
        pred_masks=[40.0 * clip.masks[..., ::4, ::4] - 20 for clip in found.gt_tubes]
    )
    assert adversary(img, better)['loss_adversarial'] < 0.2 * losses[-1]['loss_adversarial']


def test_gradients_in_float64(adversary):
    adversary.double()
    found = supervision((1,))
    img = frames(1).double()
    inputs = [
        found.pred_masks[0].detach().double(),
        *(level.detach().double() for level in found.feature_maps),
    ]

    def losses(masks, *maps):
        values = adversary(img, found._replace(pred_masks=[masks], feature_maps=list(maps)))
        return values['loss_adversarial']

    assert torch.autograd.gradcheck(
        losses, [tensor.requires_grad_() for tensor in inputs], fast_mode=True
    )
