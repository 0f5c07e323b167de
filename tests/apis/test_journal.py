import json

import pytest

from tevit_vis.apis.journal import ResultsJournal
from tevit_vis.utils.errors import InputError

ENTRY = {'score': 0.5}


def interrupted(out, identity=None):
    """A run that finished videos 7 and 3 and was killed while it wrote video 5."""
    journal = ResultsJournal(str(out), identity or {'checkpoint': 'a'})
    journal.begin(resume=False)
    journal.add('0', 7, [ENTRY])
    journal.add('1', 3, [])
    with open(journal.folder / '1.jsonl', 'a') as file:
        file.write('{"video_id": 5, "entr')
    return journal


def test_a_run_is_taken_up_without_its_torn_line(tmp_path):
    interrupted(tmp_path / 'r.json')
    journal = ResultsJournal(str(tmp_path / 'r.json'), {'checkpoint': 'a'})
    assert journal.begin(resume=True) == {7: [ENTRY], 3: []}


def test_finish_writes_videos_in_order_and_cleans_up(tmp_path):
    journal = interrupted(tmp_path / 'r.json')
    journal.add('2', 5, [ENTRY, ENTRY])
    assert not (tmp_path / 'r.json').exists()
    assert journal.finish([3, 5, 7]) == 3
    assert json.loads((tmp_path / 'r.json').read_text()) == [ENTRY] * 3
    assert [path.name for path in tmp_path.iterdir()] == ['r.json']


def test_an_interrupted_run_is_not_lost_by_accident(tmp_path):
    journal = interrupted(tmp_path / 'r.json')
    with pytest.raises(InputError, match='holds 2 finished videos .* add --resume'):
        ResultsJournal(str(tmp_path / 'r.json'), {}).begin(resume=False)
    assert len(journal.finished()) == 2


def test_another_checkpoint_does_not_continue_the_run(tmp_path):
    interrupted(tmp_path / 'r.json')
    other = ResultsJournal(str(tmp_path / 'r.json'), {'checkpoint': 'b'})
    with pytest.raises(InputError, match='must find the same checkpoint'):
        other.begin(resume=True)


def test_resume_without_a_run_begins_one(tmp_path):
    assert ResultsJournal(str(tmp_path / 'deep' / 'r.json'), {}).begin(resume=True) == {}


def test_an_output_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    (tmp_path / 'folder').mkdir()
    for out in (tmp_path / 'file' / 'r.json', tmp_path / 'folder'):
        with pytest.raises(InputError, match='output must be writable'):
            ResultsJournal(str(out), {}).begin(resume=False)
