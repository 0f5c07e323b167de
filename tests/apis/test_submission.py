import json
from pathlib import Path

import pytest

from tevit_vis.apis import score_submission, testing, write_submission
from tevit_vis.apis.distributed import Processes
from tevit_vis.apis.journal import ResultsJournal
from tevit_vis.apis.testing import has_ground_truth
from tevit_vis.datasets import Video, YouTubeVISDataset
from tevit_vis.utils.errors import InputError


@pytest.fixture
def dataset(video_dataset, tiny_config):
    annotations, images = video_dataset
    return YouTubeVISDataset(
        str(annotations), str(images), tiny_config.data.test.pipeline, 'ytvis2019', test_mode=True
    )


def test_every_video_gets_ten_entries_of_its_length(tiny_model, dataset, tmp_path):
    out = tmp_path / 'results.json'
    assert write_submission(tiny_model, dataset, ResultsJournal(str(out), {})) == 30
    entries = json.loads(out.read_text())
    assert [entry['video_id'] for entry in entries] == [10] * 10 + [11] * 10 + [12] * 10
    assert {len(entry['segmentations']) for entry in entries[:10]} == {3}
    assert {tuple(rle['size']) for entry in entries[10:20] for rle in entry['segmentations']} == {
        (51, 37)
    }
    assert all(1 <= entry['category_id'] <= 40 and 0 < entry['score'] < 1 for entry in entries)


def test_scores_are_those_of_the_annotations(tmp_path, dataset):
    annotations, results = Path(dataset.ann_file), tmp_path / 'r.json'
    results.write_text('[]')
    assert not has_ground_truth(dataset)
    content = json.loads(annotations.read_text())
    rle = {'size': [51, 37], 'counts': [10, 5, 51 * 37 - 15]}
    content['categories'] = [{'id': 3, 'name': 'lizard'}]
    content['annotations'] = [{'id': 1, 'video_id': 11, 'category_id': 3, 'segmentations': [rle]}]
    annotations.write_text(json.dumps(content))
    assert has_ground_truth(dataset)
    scores = score_submission(str(annotations), str(results))
    assert 'AP50           0.0000' in str(scores)
    assert scores.stats['AR1'] == 0
    content['categories'][0]['name'] = 'newt'
    annotations.write_text(json.dumps(content))
    with pytest.raises(InputError, match="category 3 must be 'lizard', .* but is 'newt'"):
        has_ground_truth(dataset)


def test_an_interrupted_run_goes_on(tiny_model, dataset, tmp_path, monkeypatch):
    whole, out = tmp_path / 'whole.json', tmp_path / 'results.json'
    write_submission(tiny_model, dataset, ResultsJournal(str(whole), {}))
    predict, seen = testing.predict_video, []

    def stop_at_second(model, frames):
        frames = list(frames)
        seen.append(len(frames))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return predict(model, frames)

    monkeypatch.setattr(testing, 'predict_video', stop_at_second)
    with pytest.raises(KeyboardInterrupt):
        write_submission(tiny_model, dataset, ResultsJournal(str(out), {}))
    assert not out.exists()
    write_submission(tiny_model, dataset, ResultsJournal(str(out), {}), resume=True)
    assert seen == [4, 3, 3, 1]  # the longest first; the interrupted one again, the first not
    assert out.read_text() == whole.read_text()


def test_a_bad_frame_ends_the_run_without_a_results_file(tiny_model, dataset, tmp_path):
    out = tmp_path / 'results.json'
    dataset.videos[1] = Video(11, 'video_1/absent.png', 1, 51, 37)
    with pytest.raises(InputError, match='absent.png'):
        write_submission(tiny_model, dataset, ResultsJournal(str(out), {}))
    assert not out.exists()


def test_another_number_of_classes_is_refused(tiny_model, dataset, tmp_path):
    dataset.categories = {1: 'cat', 2: 'dog'}
    with pytest.raises(InputError, match='must be the 40 classes of the model, but got 2'):
        write_submission(tiny_model, dataset, ResultsJournal(str(tmp_path / 'r.json'), {}))


def test_videos_are_shared_by_frames_and_each_goes_once():
    videos = [Video(i, 'x', n, 1, 1) for i, n in enumerate([3, 10, 4, 4, 9, 2])]
    shares = [testing.videos_of_process(videos, Processes(rank, 3)) for rank in range(3)]
    assert sorted(v.id for share in shares for v in share) == list(range(6))
    assert sorted(sum(v.num_frames for v in share) for share in shares) == [10, 11, 11]
