import json
import subprocess
import sys

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
    journal.release()  # as the system does for a process that has ended
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
    assert len(journal.read_finished()) == 2


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


def test_one_run_at_a_time_writes_the_results(tmp_path):
    out = str(tmp_path / 'r.json')
    first, second = ResultsJournal(out, {}), ResultsJournal(out, {})
    first.begin(resume=False)
    with pytest.raises(InputError, match='r.json: must be written by one run at a time'):
        second.begin(resume=True)
    first.add('a', 1, [])
    assert first.finish([1]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ['r.json']
    second.begin(resume=False)
    second.finish([])


def test_a_killed_run_locks_nobody_out(tmp_path):
    out = tmp_path / 'r.json'
    code = (
        'import os, sys\nfrom tevit_vis.apis.journal import ResultsJournal\n'
        f'journal = ResultsJournal({str(out)!r}, {{}})\njournal.begin(False)\nos._exit(9)'
    )
    assert subprocess.run([sys.executable, '-c', code]).returncode == 9
    ResultsJournal(str(out), {}).begin(resume=False)


@pytest.mark.parametrize('content', [None, '{"checkp', '[]'])
def test_a_run_whose_note_is_lost_is_not_taken_up(tmp_path, content):
    journal = interrupted(tmp_path / 'r.json')
    note = journal.folder / 'run.json'
    note.unlink() if content is None else note.write_text(content)
    with pytest.raises(InputError, match='r.json.partial: must say in run.json which run'):
        ResultsJournal(str(tmp_path / 'r.json'), {'checkpoint': 'a'}).begin(resume=True)


def test_damaged_lines_are_no_videos(tmp_path):
    journal = interrupted(tmp_path / 'r.json')
    with open(journal.folder / '0.jsonl', 'ab') as file:
        file.write(b'\n\x00\xff\x00\n{"video_id": 9}\n[3]\n{"video_id": 4, "entries": []}\n')
    assert journal.read_finished() == {7: [ENTRY], 3: [], 4: []}


def test_a_linked_folder_is_cleaned_and_its_link_goes(tmp_path):
    (tmp_path / 'scratch').mkdir()
    (tmp_path / 'r.json.partial').symlink_to('scratch')
    interrupted(tmp_path / 'r.json').discard()
    assert [path.name for path in tmp_path.iterdir()] == ['scratch']
    assert not list((tmp_path / 'scratch').iterdir())


def test_a_full_disk_keeps_the_finished_videos(tmp_path, monkeypatch):
    journal = interrupted(tmp_path / 'r.json')

    def full(_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('os.fsync', full)
    with pytest.raises(InputError, match='No space left on device; finished videos are kept'):
        journal.add('2', 5, [ENTRY])
