import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import (
    UnfinishedFile,
    check_writable,
    link_atomically,
    write_atomically,
)
from tevit_vis.utils.json_files import write_json, write_json_set


def test_a_failing_writer_leaves_what_was_there(tmp_path):
    path = tmp_path / 'kept.json'
    write_json([1], path)

    def fail(unfinished):
        with open(unfinished, 'w') as file:
            file.write('half')
        raise OSError(28, 'No space left on device')

    with pytest.raises(InputError, match='kept.json: cannot be written: No space left on device'):
        write_atomically(path, fail)
    assert path.read_text() == '[1]'
    assert os.listdir(tmp_path) == ['kept.json']


def write_text(text):
    return lambda unfinished: Path(unfinished).write_text(text)


def test_links_are_renamed_into_place(tmp_path):
    path = tmp_path / 'latest'
    for target in ('one', 'two'):
        link_atomically(str(path), target)
        assert os.readlink(path) == target
    assert os.listdir(tmp_path) == ['latest']


def test_a_planted_link_is_not_followed(tmp_path):
    victim = tmp_path / 'victim'
    victim.write_text('kept')
    for name in ('out.unfinished', 'out.00000000.unfinished'):
        (tmp_path / name).symlink_to(victim)
    write_atomically(tmp_path / 'out', write_text('new'))
    assert (victim.read_text(), (tmp_path / 'out').read_text()) == ('kept', 'new')


def test_two_writers_of_a_file_leave_one_whole(tmp_path):
    path = tmp_path / 'out'
    first, second = UnfinishedFile(path), UnfinishedFile(path)
    Path(first.path).write_text('first')
    Path(second.path).write_text('second')
    with pytest.raises(InputError, match='out: must be written by one process at a time'):
        UnfinishedFile(path, alone=True)
    first.publish()
    second.publish()
    assert path.read_text() == 'second'
    assert os.listdir(tmp_path) == ['out']


def test_a_file_of_a_killed_process_is_removed_and_locks_nobody_out(tmp_path):
    path = tmp_path / 'out'
    abandoned = tmp_path / 'out.0123abcd.unfinished'
    abandoned.write_text('half')
    os.utime(abandoned, (0, 0))
    UnfinishedFile(path, alone=True).discard()
    assert not abandoned.exists()


@pytest.mark.parametrize('name', ['x' * 250, '名' * 80])
def test_long_names_have_room_for_an_unfinished_file(tmp_path, name):
    write_atomically(tmp_path / name, write_text('whole'))
    assert os.listdir(tmp_path) == [name]


FULL_DISK = """
import resource, signal, sys
import torch
from tevit_vis.utils.checkpoints import write_checkpoint
from tevit_vis.utils.errors import InputError
from tevit_vis.utils.json_files import write_json
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
for write, content in ((write_json, ['x'] * 10_000), (write_checkpoint, torch.zeros(10_000))):
    try:
        write(content, sys.argv[1])
    except InputError as error:
        print(error)
"""


def test_a_full_disk_is_one_line_and_leaves_what_was_there(tmp_path):
    path = tmp_path / 'out'
    path.write_text('good')
    command = [sys.executable, '-c', FULL_DISK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    words = 'out: cannot be written: File too large; what was there before is untouched'
    assert done.stdout.count(words) == len(done.stdout.splitlines()) == 2, done.stderr
    assert path.read_text() == 'good'
    assert os.listdir(tmp_path) == ['out']


def test_files_that_belong_together_never_stand_beside_old_ones(tmp_path, monkeypatch):
    paths = [str(tmp_path / name) for name in ('rest.json', 'aside.json')]
    write_json_set(dict.fromkeys(paths, [1]))
    replace, calls = os.replace, []

    def killed(old, new):
        calls.append(new)
        if len(calls) == 2:
            raise KeyboardInterrupt
        replace(old, new)

    monkeypatch.setattr(os, 'replace', killed)
    with pytest.raises(KeyboardInterrupt):
        write_json_set(dict.fromkeys(paths, [2]))
    assert [path.name for path in tmp_path.iterdir()] == ['rest.json']
    with pytest.raises(InputError, match='numbers must be finite'):
        write_json_set({paths[0]: [3], paths[1]: float('nan')})
    assert Path(paths[0]).read_text() == '[2]'


KILLED = """
import sys, time
from tevit_vis.utils.files import write_atomically
def slowly(path):
    with open(path, 'w') as file:
        file.write('half')
        file.flush()
        print('writing', flush=True)
        time.sleep(60)
write_atomically(sys.argv[1], slowly)
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
    for odd in ('', 'a\0b', '/dev/null'):
        with pytest.raises(InputError, match='output must'):
            check_writable(odd)
    os.mkfifo(tmp_path / 'pipe')
    with pytest.raises(InputError, match='it is a device or a pipe'):
        check_writable(tmp_path / 'pipe')


def test_no_file_of_an_input_folder_is_replaced(tmp_path):
    frames = tmp_path / 'frames'
    frames.mkdir()
    (frames / '0.jpg').write_text('')
    with pytest.raises(InputError, match='0.jpg: output must not replace a file of the input'):
        check_writable(frames / '0.jpg', not_over=[frames])
    check_writable(frames / 'new.json', not_over=[frames])


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
