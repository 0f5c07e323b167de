"""Downloads from a server on loopback that breaks off, lies and redirects."""

import hashlib
import http.server
import multiprocessing
import re
import sys
import threading
from dataclasses import replace

import pytest
import torch

from tevit_vis.apis import init_model
from tevit_vis.converters import TABLES, convert_checkpoint
from tevit_vis.model_zoo import (
    ZOO,
    Weights,
    cache_folder,
    download,
    fetch,
    resolve_checkpoint,
    zoo_file,
)
from tevit_vis.model_zoo.table import find_weights
from tevit_vis.utils.config import known_configs, load_config
from tevit_vis.utils.errors import InputError

CONTENT = b'\x80\x02' + (bytes(range(256)) * 4096)[2:]  # begins as checkpoints of old do
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):  # noqa: N802  (the library's name)
        state = self.server
        state.requests.append((self.path, self.headers.get('Range')))
        if self.path == '/moved.pth':
            self.send_response(302)
            self.send_header('Location', '/file.pth')
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        if self.path == '/gone.pth':
            self.send_error(404)
            return
        start = 0
        asked = re.fullmatch(r'bytes=(\d+)-', self.headers.get('Range') or '')
        if asked and state.ranges:
            start = int(asked[1])
            if start >= len(CONTENT):
                self.send_error(416)
                return
            self.send_response(206)
            shift = 7 if state.wrong_ranges else 0
            self.send_header('Content-Range', f'bytes {start + shift}-{len(CONTENT) - 1}/*')
        else:
            self.send_response(200)
        self.send_header('Content-Length', str(len(CONTENT) - start))
        self.end_headers()
        stop = min(len(CONTENT), start + state.bytes_per_connection)
        self.wfile.write(CONTENT[start:stop])
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Server) as server:
        server.requests, server.ranges, server.bytes_per_connection = [], True, 1 << 30
        server.wrong_ranges = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('TEVIT_VIS_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(download.time, 'sleep', lambda seconds: None)


def weights(server, path='file.pth', digest=f'sha256:{SHA256[:8]}'):
    address = f'http://127.0.0.1:{server.server_port}/{path}'
    return Weights('a/b', address, 'Apache-2.0', 'COCO', digest)


@pytest.mark.parametrize('path', ['file.pth', 'moved.pth'])
def test_a_file_arrives_whole(server, tmp_path, path):
    target = tmp_path / 'new' / 'file.pth'
    fetch(weights(server, path), target)
    assert target.read_bytes() == CONTENT
    assert {child.name for child in target.parent.iterdir()} == {'file.pth', '.file.pth.lock'}
    fetch(weights(server, path), target)  # it is there
    for fault, content in (('is empty', b''), ('its end is missing', b'PK'), ('begins with', b'x')):
        (tmp_path / 'odd.pth').write_bytes(content)
        with pytest.raises(InputError, match=rf'odd.pth: must be .*{fault}.* delete it, or get'):
            fetch(weights(server, path), tmp_path / 'odd.pth')
    assert len(server.requests) == (2 if path == 'moved.pth' else 1)


def test_what_breaks_off_goes_on(server, tmp_path):
    target = tmp_path / 'file.pth'
    server.bytes_per_connection = len(CONTENT) // 5
    with pytest.raises(InputError, match=r'a/b: broke off after \d+ of 1048576 bytes .* ask again'):
        fetch(weights(server), target)
    part = tmp_path / 'file.pth.part'
    assert CONTENT.startswith(part.read_bytes())
    assert part.stat().st_size == 3 * server.bytes_per_connection
    assert not target.exists()
    fetch(weights(server), target)
    assert target.read_bytes() == CONTENT
    starts = [int(asked[6:-1]) for _, asked in server.requests if asked]
    assert starts == [n * server.bytes_per_connection for n in (1, 2, 3, 4, 5)][: len(starts)]
    assert len(server.requests) == 6


def test_a_server_without_ranges_starts_over(server, tmp_path):
    (tmp_path / 'file.pth.part').write_bytes(b'of something else')
    server.ranges = False
    fetch(weights(server), tmp_path / 'file.pth')
    assert (tmp_path / 'file.pth').read_bytes() == CONTENT


@pytest.mark.parametrize('digest', [f'sha256:{SHA256[:8]}', ''])
def test_a_part_that_is_whole_already_is_no_trap(server, tmp_path, digest):
    (tmp_path / 'file.pth.part').write_bytes(CONTENT)
    fetch(weights(server, digest=digest), tmp_path / 'file.pth')
    assert (tmp_path / 'file.pth').read_bytes() == CONTENT


def test_a_wrong_hash_is_deleted(server, tmp_path):
    for digest in ('sha256:00000000', 'md5:00000'):
        with pytest.raises(InputError, match='begin with 0+, but is .*; it was deleted'):
            fetch(weights(server, digest=digest), tmp_path / 'file.pth')
        assert list(tmp_path.glob('file*')) == []


def test_a_part_of_another_file_is_caught_by_the_hash(server, tmp_path):
    (tmp_path / 'file.pth.part').write_bytes(b'\x80' * 100)
    with pytest.raises(InputError, match='it was deleted'):
        fetch(weights(server), tmp_path / 'file.pth')
    fetch(weights(server), tmp_path / 'file.pth')
    assert (tmp_path / 'file.pth').read_bytes() == CONTENT


def test_without_a_hash_nothing_is_glued(server, tmp_path):
    (tmp_path / 'file.pth.part').write_bytes(b'\x80 of an older file')
    fetch(weights(server, digest=''), tmp_path / 'file.pth')
    assert (tmp_path / 'file.pth').read_bytes() == CONTENT


def test_another_part_than_asked_is_not_taken(server, tmp_path):
    (tmp_path / 'file.pth.part').write_bytes(CONTENT[:1000])
    server.wrong_ranges = True
    fetch(weights(server), tmp_path / 'file.pth')
    assert (tmp_path / 'file.pth').read_bytes() == CONTENT


def test_a_page_is_no_checkpoint(server, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], 'CONTENT', b'<html>log in first</html>')
    with pytest.raises(InputError, match=r"must be a checkpoint, but begins with b'<html>lo'"):
        fetch(weights(server, digest=''), tmp_path / 'file.pth')
    assert not list(tmp_path.glob('file*'))


def fetch_in_a_process(address, path):
    fetch(Weights('a/b', address, 'x', 'x', f'sha256:{SHA256[:8]}'), path)


def test_processes_wait_for_the_one_that_fetches(server, tmp_path):
    address = weights(server).address
    context = multiprocessing.get_context('fork')
    target = tmp_path / 'file.pth'
    processes = [
        context.Process(target=fetch_in_a_process, args=(address, target)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert target.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_a_file_put_there_by_hand_is_checked_once(caplog, monkeypatch):
    entry = find_weights('mask2former/mask2former_r50_coco')
    place = cache_folder() / entry.file
    place.parent.mkdir(parents=True)
    place.write_text('<html></html>')
    with pytest.raises(InputError, match=rf'{entry.file}: must be a checkpoint, but begins'):
        zoo_file(entry)
    torch.save({'state_dict': {}}, place)
    with pytest.raises(
        InputError, match='its sha256 must begin with 8e96e88b, but is .* get it again'
    ):
        zoo_file(entry)
    digest = hashlib.sha256(place.read_bytes()).hexdigest()
    caplog.clear()
    known = replace(entry, digest=f'sha256:{digest[:8]}')
    assert zoo_file(known) == place
    assert 'licence of the weights: Apache-2.0' in caplog.text
    caplog.clear()
    assert zoo_file(known) == place
    assert not caplog.text


def test_what_is_not_there_says_where_to_put_it(server, tmp_path):
    with pytest.raises(
        InputError, match=r'a/b: http.*gone.pth answers 404 .*it has moved, .*put it at .*gone.pth'
    ):
        fetch(weights(server, 'gone.pth'), tmp_path / 'gone.pth')
    nobody = replace(weights(server), address='http://127.0.0.1:9/file.pth')
    with pytest.raises(InputError, match=r'127.0.0.1:9 cannot be reached .* put it at .*file.pth'):
        fetch(nobody, tmp_path / 'file.pth')
    drive = find_weights('ifc/ifc_r50_ytvis19')
    with pytest.raises(InputError, match='needs a browser: get ifc_official_r50.pth from https'):
        fetch(drive, tmp_path / 'file.pth')
    assert not list(tmp_path.glob('*.pth'))


def test_a_full_disk_is_told_before(server, tmp_path, monkeypatch):
    usage = download.shutil._ntuple_diskusage(10, 9, 1)
    monkeypatch.setattr(download.shutil, 'disk_usage', lambda path: usage)
    with pytest.raises(InputError, match='needs 1 MB at .*, but 0 MB are free'):
        fetch(weights(server), tmp_path / 'file.pth')


def test_a_model_by_name(server, monkeypatch, caplog):
    config = load_config('synthetic/mask2former_tiny')
    model = init_model(config, device='cpu')
    content = {'state_dict': model.state_dict(), 'meta': {'CLASSES': list('abcde')}}
    entry = replace(weights(server), name='synthetic/mask2former_tiny', digest='')
    monkeypatch.setitem(ZOO, entry.name, entry)
    with pytest.raises(InputError, match='no weights are known for synthetic/ifc_tiny'):
        init_model('synthetic/ifc_tiny', 'zoo', 'cpu')
    cache_folder().mkdir(parents=True)
    torch.save(content, cache_folder() / 'file.pth')  # as if it were fetched
    named = init_model('synthetic/mask2former_tiny', 'zoo', 'cpu')
    assert tuple('abcde') == named.CLASSES
    own = init_model(config, 'zoo:synthetic/mask2former_tiny', 'cpu')
    assert torch.equal(own.panoptic_head.query_feat.weight, model.panoptic_head.query_feat.weight)
    assert not server.requests
    with pytest.raises(InputError, match='x.pth: checkpoint .* there is none; published for synt'):
        init_model('synthetic/mask2former_tiny', 'x.pth', 'cpu')


def test_official_weights_are_converted_once(monkeypatch, caplog):
    model = init_model('synthetic/ifc_tiny', device='cpu')
    model_weights = {k: v for k, v in model.state_dict().items() if 'backbone' not in k}
    official = convert_checkpoint(model_weights, TABLES['ifc'], 'x', reverse=True)
    entry = Weights(
        'synthetic/ifc_tiny', 'https://drive.google.com/x/view', 'odd', '', '', 'ifc', 'i.pth'
    )
    cache_folder().mkdir(parents=True)
    torch.save({'model': official.weights}, cache_folder() / 'i.pth')
    with pytest.raises(InputError, match=r'i\.pth: weights must be whole, but .* keys are missing'):
        zoo_file(entry)  # there is no ResNet
    monkeypatch.setattr('tevit_vis.converters.rename.missing_keys', lambda *_: [])
    converted = zoo_file(entry)
    assert 'synthetic/ifc_tiny: licence of the weights: odd' in caplog.text
    assert set(torch.load(converted)['state_dict']) == set(model_weights)
    changed = {key: value + 1 for key, value in official.weights.items()}
    torch.save({'model': changed}, cache_folder() / 'i.pth')  # another file is converted again
    assert zoo_file(entry) == converted
    key = 'bbox_head.class_branch.0.bias'
    assert torch.equal(torch.load(converted)['state_dict'][key], model_weights[key] + 1)


def test_the_table_is_sound():
    configs = set(known_configs())
    for name, entry in ZOO.items():
        assert entry.name == name
        assert entry.address.startswith('https://')
        assert entry.converter in ('', *TABLES)
        assert entry.licence
        assert entry.file.endswith(('.pth', '.pkl')), entry.file
        assert not entry.config or entry.config in configs
        if entry.digest:
            algorithm, digest = entry.digest.split(':')
            assert algorithm in ('sha256', 'md5')
            assert re.fullmatch('[0-9a-f]{6,}', digest)
            assert digest in entry.file or digest in entry.address
    files = [entry.file for entry in ZOO.values()]
    assert len(files) == len(set(files))
    assert resolve_checkpoint('a/b.pth', '') == 'a/b.pth'
    shipped = resolve_checkpoint('zoo', 'synthetic/tevit_tiny')  # beside its config
    assert shipped.endswith('configs/synthetic/tevit_tiny.pth')
    assert resolve_checkpoint('zoo:synthetic/tevit_tiny', '') == shipped
    with pytest.raises(InputError, match='no weights are known for this config'):
        resolve_checkpoint('zoo', '')  # of a config of one's own
    with pytest.raises(
        InputError, match='no weights have this name .* did you mean tevit/tevit_msgshift'
    ):
        resolve_checkpoint('zoo:tevit/tevit_msgshif', '')


def test_every_backbone_of_a_config_has_an_address():
    for name in known_configs():
        init = load_config(name).model.backbone.get('init_cfg') or {}
        if init.get('type') == 'Pretrained':
            assert init['checkpoint'] in ZOO, name
