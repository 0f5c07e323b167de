import atexit
import subprocess
import sys
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist

from tevit_vis.apis import distributed
from tevit_vis.apis.distributed import ALONE, Processes


@pytest.mark.parametrize(
    ('asked', 'has_gpu', 'given'),
    [
        (None, True, 'cuda:3'),
        ('cuda', True, 'cuda:3'),
        ('cuda:1', True, 'cuda:1'),
        ('cpu', True, 'cpu'),
        (None, False, None),
        ('cuda', False, 'cuda'),
    ],
)
def test_each_process_takes_its_own_gpu(monkeypatch, asked, has_gpu, given):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: has_gpu)
    assert Processes(rank=11, count=16, local_rank=3).device(asked) == given
    assert ALONE.device(asked) == asked


THREADS_AT_THE_END = """
import atexit, contextlib
from pathlib import Path
from tevit_vis.apis.distributed import Processes

def has_gloo():
    for name in Path("/proc/self/task").glob("*/comm"):
        with contextlib.suppress(OSError):  # the thread has just ended
            if name.read_text().startswith("pt_gloo"):
                return True
    return False

atexit.register(lambda: print("left", not has_gloo()))
Processes.join().wait()
print("joined", has_gloo())
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='reads the names of threads from /proc')
def test_processes_leave_their_group_before_python_ends(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(THREADS_AT_THE_END)
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=1']
    done = subprocess.run([*launch, script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ['joined True', 'left True']


def test_lost_processes_are_noticed_and_slow_ones_waited_for(monkeypatch):
    groups = {}
    for name, value in dict(RANK=1, WORLD_SIZE=2, LOCAL_RANK=1, MASTER_ADDR='localhost').items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(
        dist, 'init_process_group', lambda name, timeout, **_: groups.update(all=timeout)
    )

    def meet(_, timeout):
        groups['joining'] = timeout
        yield None, 1, 2

    monkeypatch.setattr(distributed, 'rendezvous', meet)
    monkeypatch.setattr(
        dist, 'new_group', lambda backend, timeout: groups.update({backend: timeout})
    )
    monkeypatch.setattr(dist, 'get_rank', lambda: 1)
    monkeypatch.setattr(dist, 'get_world_size', lambda: 2)
    monkeypatch.setattr(atexit, 'register', lambda _: None)
    Processes.join()
    assert groups['joining'] <= timedelta(minutes=10)  # a launcher may have been killed
    assert groups['all'] <= timedelta(hours=1)  # an exchange of gradients
    assert groups['gloo'] >= timedelta(days=1)  # a long video of another process


def test_waiting_goes_by_the_patient_group(monkeypatch):
    group, seen = object(), []
    monkeypatch.setattr(dist, 'all_reduce', lambda tensor, group: seen.append(group))
    monkeypatch.setattr(
        dist, 'broadcast_object_list', lambda box, src, group: seen.append((group, box[0]))
    )
    processes = Processes(0, 2, 0, group)
    processes.wait()
    assert processes.run_on_first(lambda: 5) == 5
    assert seen == [group, (group, 5)]
