import os
import signal
import subprocess
import sys

import pytest

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import check_writable, write_beside, write_json


def test_a_failing_writer_leaves_what_was_there(tmp_path):
    path = tmp_path / 'kept.json'
    write_json([1], path)

    def fail(unfinished):
        with open(unfinished, 'w') as file:
            file.write('half')
        raise OSError(28, 'No space left on device')

    with pytest.raises(InputError, match='kept.json: cannot be written: No space left on device'):
        write_beside(path, fail)
    assert path.read_text() == '[1]'
    assert os.listdir(tmp_path) == ['kept.json']


def test_what_a_killed_process_left_is_written_over(tmp_path):
    path = tmp_path / 'file'
    (tmp_path / 'file.unfinished').write_text('half')
    write_beside(path, lambda unfinished: os.symlink('target', unfinished))
    assert os.readlink(path) == 'target'
    write_beside(path, lambda unfinished: os.symlink('other', unfinished))
    assert os.readlink(path) == 'other'


KILLED = """
import sys, time
from tevit_vis.utils.files import write_beside
def slowly(path):
    with open(path, 'w') as file:
        file.write('half')
        file.flush()
        print('writing', flush=True)
        time.sleep(60)
write_beside(sys.argv[1], slowly)
"""


def test_a_process_killed_while_writing_leaves_what_was_there(tmp_path):
    path = tmp_path / 'checkpoint'
    path.write_text('good')
    process = subprocess.Popen(
        [sys.executable, '-c', KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == 'writing\n'
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.read_text() == 'good'


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    with pytest.raises(InputError, match='output must be writable, but: it is a folder'):
        check_writable(tmp_path)
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='output must be writable'):
        check_writable(tmp_path / 'file' / 'below')


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ([{'score': float('nan')}], r'\[0\].score is nan'),
        ({'a': [1.0, {'b': float('inf')}]}, r'a\[1\].b is inf'),
        (float('-inf'), 'the value is -inf'),
    ],
)
def test_numbers_that_are_not_finite_are_not_written(tmp_path, content, words):
    path = tmp_path / 'results.json'
    path.write_text('before')
    with pytest.raises(InputError, match=f'results.json: numbers must be finite, but .*{words}'):
        write_json(content, path)
    assert path.read_text() == 'before'
    assert list(tmp_path.iterdir()) == [path]
