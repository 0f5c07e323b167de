"""Tracks by embeddings, against a slow reference written from the rules."""

import numpy as np
import pytest
import torch
from builders import random_video

from tevit_vis.apis import inference_video, stream_video
from tevit_vis.masks import ResizedMasks
from tevit_vis.structures import ClipPrediction
from tevit_vis.tracking import (
    QueryLinker,
    SoftIoUStitcher,
    build_tracker,
    join_frames,
    whole_config,
)
from tevit_vis.utils.errors import InputError

MINVIS = dict(
    similarity='cosine',
    assignment='best_sum',
    min_similarity=0.0,
    min_cosine=-1.0,
    memory=0,
    fuses=False,
    instances=dict(min_score=0.0, max_mask_iou=1),
)
CTVIS = dict(min_cosine=-1.0, instances=dict(max_mask_iou=1))


def linker_of(**options):
    return build_tracker(dict(dict(type='QueryLinker', min_score=0.1), **options))


def prediction_of(embeddings, scores=None, places=None, num_frames=1):
    """Instances of a window with a mask of one column each, by default far apart."""
    embeddings = torch.as_tensor(embeddings, dtype=torch.float32)
    count = len(embeddings)
    scores = torch.full((count,), 0.9) if scores is None else torch.as_tensor(scores).float()
    logits = torch.full((count, num_frames, 4, 64), -9.0)
    for n, place in enumerate(range(count) if places is None else places):
        logits[n, :, :, place] = 9.0
    return ClipPrediction(
        queries=torch.arange(count),
        labels=torch.zeros(count, dtype=torch.long),
        scores=scores,
        class_scores=scores[:, None],
        boxes=torch.zeros(count, num_frames, 4),
        masks=ResizedMasks(logits, (4, 64), 0.5),
        embeddings=embeddings,
    )


def run(linker, windows):
    """The tracks of frames, one window each, and the closed frames."""
    tracks, closed = [], []
    for frame, prediction in enumerate(windows):
        closed += linker.close(before=frame)
        tracks.append(linker.add(range(frame, frame + 1), prediction))
    return tracks, closed + linker.close()


class Reference:
    """CTVIS's rule, one number at a time, and MinVIS's with ``hungarian``."""

    def __init__(self, memory, minimum, hungarian):
        self.memory, self.minimum, self.hungarian = memory, minimum, hungarian
        self.tracks, self.count = {}, 0  # number: [embedding, past, last frame, length]

    def add(self, frame, embeddings, scores):
        embeddings = [np.asarray(e, float) for e in embeddings]
        known = {n: t for n, t in self.tracks.items() if frame - t[2] - 1 <= self.memory}
        self.tracks, result = known, [-1] * len(embeddings)
        chosen = self.by_sum(known, embeddings) if self.hungarian else None
        free = set(known)
        for n in sorted(range(len(embeddings)), key=lambda n: -scores[n]):
            number = chosen[n] if self.hungarian else self.best(known, free, embeddings, n)
            free.discard(number)
            if number is None:
                number, self.count = self.count, self.count + 1
                number = -1 - number  # numbered below, in the order of the instances
            result[n] = number
        fresh = {}
        for n, number in enumerate(result):
            if number < 0:
                fresh[n] = len(fresh)
        base = self.count - len(fresh)
        for n, order in fresh.items():
            result[n] = base + order
        for n, number in enumerate(result):
            self.update(number, embeddings[n], frame)
        return result

    def best(self, known, free, embeddings, n):
        best, best_value = None, 0.0
        for number in known:
            products = {m: t[0] @ embeddings[n] for m, t in known.items()}
            over_tracks = np.exp(products[number]) / sum(np.exp(v) for v in products.values())
            others = [known[number][0] @ e for e in embeddings]
            over_instances = np.exp(others[n]) / sum(np.exp(v) for v in others)
            similarity = (over_tracks + over_instances) / 2
            value = similarity * known[number][3]
            if number in free and similarity > self.minimum and value > best_value:
                best, best_value = number, value
        return best

    def by_sum(self, known, embeddings):
        from itertools import permutations

        def cos(a, b):
            return max(0.0, a @ b / np.linalg.norm(a) / np.linalg.norm(b))

        numbers = list(known)
        slots = numbers + [None] * len(embeddings)
        options = {p[: len(embeddings)] for p in permutations(slots, len(embeddings))}
        total = {
            option: sum(cos(known[m][0], e) for m, e in zip(option, embeddings) if m is not None)
            for option in options
        }
        best = max(total, key=total.get)
        return [m if m is not None and cos(known[m][0], e) > 0 else None
                for m, e in zip(best, embeddings)]  # fmt: skip

    def update(self, number, embedding, frame):
        if number not in self.tracks:
            self.tracks[number] = [embedding, [embedding], frame, 1]
            return
        track = self.tracks[number]
        if self.hungarian:
            track[0] = embedding
        else:
            share = max(0.0, np.mean([
                p @ embedding / np.linalg.norm(p) / np.linalg.norm(embedding) for p in track[1]
            ]))  # fmt: skip
            track[0] = (1 - share) * track[0] + share * embedding
        track[1] = [*track[1], embedding][-10:]
        track[2], track[3] = frame, track[3] + 1


@pytest.mark.parametrize(
    ('options', 'hungarian', 'memory'), [(MINVIS, True, 0), (CTVIS, False, 20)],
    ids=['MinVIS', 'CTVIS'],
)  # fmt: skip
def test_random_videos_are_linked_as_the_rule_says(options, hungarian, memory):
    """1,000 windows of up to four instances, some of which come and go."""
    generator = np.random.default_rng(0)
    for _ in range(50):
        linker = linker_of(**options)
        reference = Reference(memory, 0.0 if hungarian else 0.2, hungarian)
        identities = generator.normal(size=(5, 6))
        found, expected, frames = [], [], []
        for frame in range(20):
            present = generator.permutation(5)[: generator.integers(0, 4)]
            embeddings = identities[present] + 0.4 * generator.normal(size=(len(present), 6))
            scores = generator.uniform(0.2, 1, len(present))
            frames.append(prediction_of(embeddings.reshape(-1, 6), scores))
            rounded = frames[-1].embeddings.numpy(), frames[-1].scores.numpy()
            expected.append(reference.add(frame, *rounded))
        found, _ = run(linker, frames)
        assert found == expected


def test_permuted_queries_give_permuted_tracks():
    generator = np.random.default_rng(1)
    identities = generator.normal(size=(6, 8))
    frames, permuted, orders = [], [], []
    for frame in range(12):
        embeddings = identities + 0.1 * generator.normal(size=identities.shape)
        scores = generator.uniform(0.5, 1, 6)
        order = generator.permutation(6) if frame else np.arange(6)
        frames.append(prediction_of(embeddings, scores))
        permuted.append(prediction_of(embeddings[order], scores[order]))
        orders.append(order)
    straight, _ = run(linker_of(), frames)
    other, _ = run(linker_of(), permuted)
    for tracks, shuffled, order in zip(straight, other, orders):
        assert np.array(tracks)[order].tolist() == shuffled


@pytest.mark.parametrize(
    ('memory', 'is_recognised'), [(0, False), (3, False), (4, True), (500, True)]
)
@pytest.mark.parametrize('kind', ['QueryLinker', 'SoftIoUStitcher'])
def test_a_track_is_recognised_after_so_many_frames(kind, memory, is_recognised):
    """One instance is in frames 0 and 1, out of sight in four, then back at another place."""
    one, other = [3.0, 0.0, 0.0], [0.0, 3.0, 0.0]
    options = dict(min_iou=0.05) if kind == 'SoftIoUStitcher' else {}
    tracker = build_tracker(dict(type=kind, min_score=0.1, memory=memory, **options))
    closed, tracks = [], []
    for start in range(8):
        closed += tracker.close(before=start)
        place = {0: [2], 6: [40]}.get(start, [])
        embeddings = np.array([*[one] * len(place), other])
        window = prediction_of(embeddings, places=[*place, 9], num_frames=2)
        tracks.append(tracker.add(range(start, start + 2), window))
    assert (tracks[6][0] == tracks[0][0]) == is_recognised
    assert {row[-1] for row in tracks} == {1}  # the other instance keeps its number
    video = join_frames(closed + tracker.close(), 0.1)
    assert len(video) == (2 if is_recognised else 3)
    assert video.num_frames == 9


def test_at_a_cut_of_the_film_all_tracks_end():
    before = prediction_of([[4.0, 0.0, 0.0, 0.0]])
    after = prediction_of([[0.0, 0.0, 4.0, 0.1]])
    tracks, _ = run(linker_of(min_cosine=0.5), [before, before, after, after])
    assert tracks == [[0], [0], [1], [1]]
    glued, _ = run(linker_of(min_cosine=-1.0), [before, after])
    assert glued == [[0], [0]]  # the bi-softmax of one pair is 1


def test_doubles_and_unlikely_instances_are_left_out():
    window = prediction_of(np.eye(4), scores=[0.5, 0.9, 0.005, 0.4], places=[3, 3, 5, 7])
    linker = linker_of()
    assert linker.add(range(1), window) == [-1, 0, -1, 1]
    (frame,) = linker.close()
    assert frame.tracks == [0, 1]
    assert frame.class_scores[:, 0].tolist() == pytest.approx([0.9, 0.4])


def test_what_is_kept_does_not_grow_with_the_video():
    generator = np.random.default_rng(2)
    linker, sizes = linker_of(memory=5, min_cosine=0.5), []
    for frame in range(300):
        linker.close(before=frame)
        linker.add(range(frame, frame + 1), prediction_of(3 * generator.normal(size=(4, 32))))
        sizes.append(len(linker.store.open))
    assert linker.store.num_tracks > 100
    assert max(sizes) <= 4 * 7


def test_videos_without_instances_and_with_equal_embeddings():
    empty = prediction_of(np.zeros((0, 3)))
    tracks, closed = run(linker_of(), [empty] * 50)
    assert tracks == [[]] * 50
    assert join_frames(closed, 0.1).num_frames == 50
    equal = prediction_of(np.ones((3, 3)), scores=[0.9, 0.8, 0.7])
    tracks, _ = run(linker_of(min_similarity=0.1), [equal] * 4)
    assert all(sorted(row) == [0, 1, 2] for row in tracks)


def test_three_hundred_instances_in_a_frame():
    generator = np.random.default_rng(4)
    embeddings = generator.normal(size=(300, 64))
    orders = [generator.permutation(300) for _ in range(4)]
    windows = [
        prediction_of(3 * embeddings[order], scores=[0.9] * 300, places=[5] * 300)
        for order in orders
    ]
    tracks, closed = run(linker_of(instances=dict(max_mask_iou=1)), windows)
    for order, row in zip(orders, tracks):
        assert np.array_equal(np.asarray(row)[np.argsort(order)], np.argsort(orders[0]))
    assert [len(frame.tracks) for frame in closed] == [300] * 4


def test_memory_longer_than_the_video():
    seen, empty = prediction_of([[4.0, 0.0]]), prediction_of(np.zeros((0, 2)))
    tracks, closed = run(linker_of(memory=10_000), [seen, empty, empty, seen])
    assert tracks == [[0], [], [], [0]]
    assert [frame.tracks for frame in closed] == [[0], [], [], [0]]


def test_embeddings_that_are_missing_or_not_finite():
    window = prediction_of([[float('nan'), 1.0]])
    with pytest.raises(InputError, match='embeddings must be finite'):
        linker_of().add(range(1), window)
    bare = ClipPrediction(**{**vars(window), 'embeddings': None})
    with pytest.raises(InputError, match='predictions of this model have none'):
        linker_of().add(range(1), bare)
    with pytest.raises(InputError, match='SoftIoUStitcher compares embeddings'):
        SoftIoUStitcher(0.1, 0.1, memory=3).add(range(1), bare)
    assert SoftIoUStitcher(0.1, 0.1).add(range(1), bare) == [0]


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(similarity='cosin'), r"similarity: must be cosine or bi_softmax, .*'cosine'"),
        (dict(assignment='greedy'), 'assignment: must be best_sum or by_score'),
        (dict(memory=-1), 'memory: must be a whole number >= 0'),
        (dict(min_similarity=2), 'min_similarity: must be a number from 0 to 1'),
        (dict(min_cosine='a'), "min_cosine: must be a number from -1 to 1, but got 'a'"),
        (dict(min_cosine=3), 'min_cosine: must be a number from -1 to 1, but got 3'),
        (dict(fuses='no'), "fuses: must be True or False, but got 'no'"),
        (dict(instances=5), 'instances: must have min_score and max_mask_iou, but got 5'),
        (dict(instances=dict(max_iou=1)), "instances: may have min_score and .* got 'max_iou'"),
        (dict(instances=dict(min_score=7)), 'instances.min_score: must be a number from 0 to 1'),
    ],
)
def test_settings_that_cannot_be(options, words):
    with pytest.raises(InputError, match=f'model.test_cfg.tracker.{words}'):
        linker_of(**options)


def test_a_whole_config_has_what_was_left_out():
    config = dict(type='QueryLinker', min_score=0.05, memory=3, instances=dict(min_score=0.2))
    whole = whole_config(config)
    assert whole['instances'] == {'min_score': 0.2, 'max_mask_iou': 0.6}
    assert (whole['memory'], whole['similarity'], whole['fuses']) == (3, 'bi_softmax', True)
    assert whole_config({**config, 'instances': None})['instances']['min_score'] == 0.01
    assert whole_config(whole) == whole
    with pytest.raises(InputError, match='tracker'):
        whole_config(None)


@pytest.mark.parametrize('system', ['tiny_model', 'seqformer', 'ifc', 'ms_sts', 'mask2former'])
@pytest.mark.parametrize(('length', 'stride'), [(1, 1), (3, 3), (3, 2)])
def test_every_system_can_be_linked(system, length, stride, request):
    model = request.getfixturevalue(system)
    model.test_cfg.windows.update(length=length, stride=stride)
    model.test_cfg.tracker = dict(type='QueryLinker', min_score=0.0, min_similarity=0.0)
    video = random_video(5)
    whole = inference_video(model, video)
    assert whole.num_frames == 5
    assert len(whole)
    streamed = [instances for _, instances in stream_video(model, video)]
    assert [frame.frame for frame in streamed] == list(range(5))
    tracks = {number for frame in streamed for number in frame.tracks}
    assert tracks == set(range(len(tracks)))


def test_embeddings_of_frames_are_averaged():
    linker = linker_of()
    window = prediction_of([[1.0, 2.0]], num_frames=2)
    by_frame = ClipPrediction(
        **{**vars(window), 'embeddings': torch.tensor([[[0.0, 2.0], [2.0, 2.0]]])}
    )
    assert isinstance(linker, QueryLinker)
    linker.add(range(2), by_frame)
    assert linker.store.open[0].embedding.tolist() == [1.0, 2.0]
