import re

import pytest
from test_ytvis_eval import make_case

from tevit_vis.evaluation.submission import read_results, submission_faults, submission_summary
from tevit_vis.evaluation.tubes import parse_ground_truth
from tevit_vis.evaluation.ytvis_eval import evaluate
from tevit_vis.utils.errors import InputError


def test_a_sound_submission_has_no_fault():
    ground_truth, prediction = make_case()
    assert submission_faults([prediction], ground_truth, 'r.json') == []
    assert submission_summary([prediction], ground_truth) == '1 entries for 1 of 1 videos'
    assert submission_summary([], ground_truth).endswith('; 1 videos have none')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'video_id': 5}, 'r.json: [1]: "video_id" must be a video of the file, but got 5'),
        ({'category_id': 9}, '"category_id" must be one of the categories, or the entry counts'),
        ({'segmentations': [None, None]}, 'r.json: [1]: has no mask in any frame'),
        (
            {'segmentations': [None, {'size': [3, 3], 'counts': '9'}]},
            'segmentations[1] must have the size [height, width] of its video, [6, 8]',
        ),
        ({'score': None}, '"score" must be a number'),
    ],
)
def test_every_fault_is_listed(change, message):
    ground_truth, prediction = make_case()
    faults = submission_faults([prediction, {**prediction, **change}] * 2, ground_truth, 'r.json')
    assert len(faults) == 2
    assert message in faults[0]


def test_more_entries_than_count_are_a_fault():
    ground_truth, prediction = make_case()
    (fault,) = submission_faults([prediction] * 101, ground_truth, 'r.json')
    assert fault == 'r.json: video 4, category 7: at most 100 entries count, but there are 101'


@pytest.mark.parametrize(
    ('text', 'message'),
    [('{', 'results file must be JSON'), ('{}', 'must be a list of entries, but got a dict')],
)
def test_what_is_no_list_is_refused(tmp_path, text, message):
    (tmp_path / 'r.json').write_text(text)
    with pytest.raises(InputError, match=message):
        read_results(tmp_path / 'r.json')
    with pytest.raises(InputError, match='results file must be there'):
        read_results(tmp_path / 'absent.json')


@pytest.mark.parametrize('change', [{'video_id': 77}, {'segmentations': [None] * 30}])
def test_results_of_another_data_set_are_recognised(change):
    ground_truth, prediction = make_case()
    results = [{**prediction, **change}] * 5 + [prediction]
    words = 'r.json: must be the results of this data set, .* 5 of 6 entries'
    with pytest.raises(InputError, match=words):
        evaluate(parse_ground_truth(ground_truth), results, 'r.json')
    assert re.match(words, submission_faults(results, ground_truth, 'r.json')[0])
