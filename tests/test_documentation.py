"""README, docs/ and the READMEs of configs: commands parse, code runs, links lead somewhere."""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import pytest
from builders import noise_frames

import tevit_vis.apis
from tevit_vis import cli
from tevit_vis.apis import init_model
from tevit_vis.tracking import build_tracker
from tevit_vis.utils.cli import tool_parser
from tevit_vis.utils.config import load_config
from tevit_vis.video import VideoWriter

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md')),
    *sorted((ROOT / 'docs').glob('*.md')),
    *sorted((ROOT / 'configs').glob('*/README.md')),
]
NOTEBOOK = ROOT / 'docs' / 'first_steps.ipynb'
CHECKPOINT = ROOT / 'configs' / 'synthetic' / 'tevit_tiny.pth'
SHELL = re.compile(r'^(?:[A-Z_]+=\S+ )*')  # variables before a command


def blocks(language):
    """Returns the code blocks of a language, each with the file and line where it begins."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in re.finditer(rf'^```{language}[^\n]*\n(.*?)^```', text, flags=re.S | re.M):
            line = text.count('\n', 0, match.start()) + 2
            found.append(pytest.param(match[1], id=f'{page.relative_to(ROOT)}:{line}'))
    return found


def commands(block):
    """Returns the commands of a block of shell, as words, without comments."""
    lines = re.sub(r'\\\n', ' ', block).splitlines()
    return [words for line in lines if (words := shlex.split(SHELL.sub('', line), comments=True))]


@pytest.mark.parametrize('block', blocks('bash'))
def test_commands_parse_and_scripts_are_there(block):
    for words in commands(block):
        if words[0] == 'tevit-vis':
            check_command(words[1:])
        elif words[0] in ('python', 'bash') and words[1].endswith(('.py', '.sh')):
            assert (ROOT / words[1]).exists(), words


def check_command(words):
    if words[0] in ('--help', '--version'):
        return
    name, arguments = cli.split_command(words)
    command = import_module(f'tevit_vis.commands.{cli.module_name(name)}')
    parser = tool_parser(command.__doc__, f'tevit-vis {name}')
    command.add_arguments(parser)
    if '--help' not in arguments:
        parser.parse_args(arguments)


def test_a_wrong_command_is_seen(capsys):
    assert commands('A=1 tevit-vis x \\\n  y   # z\n\n# all\n') == [['tevit-vis', 'x', 'y']]
    with pytest.raises(SystemExit):
        check_command(['predict', 'a.mp4', '--no-such-option'])


@pytest.fixture(scope='module')
def model():
    return init_model('synthetic/tevit_tiny', str(CHECKPOINT), device='cpu')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with video.mp4."""
    monkeypatch.chdir(tmp_path)
    with VideoWriter('video.mp4', 10) as writer:
        for frame in noise_frames(12, 96, 160):
            writer.write(frame)
    return tmp_path


@pytest.mark.parametrize('block', blocks('python'))
def test_code_runs(block, folder, model, monkeypatch):
    """With the small model in the place of published ones."""
    monkeypatch.setattr(tevit_vis.apis, 'init_model', lambda *args, **kwargs: model)
    if 'tevit_vis.deploy' in block:
        pytest.skip('tests/export runs it with an exported model')
    monkeypatch.setitem(model.test_cfg, 'windows', dict(length=None, stride=7))
    if '_base_' in block:
        (folder / 'config.py').write_text(block)
        assert load_config('config.py').model.type == 'TeViT'
        return
    scope = {}
    exec(compile(block, 'block', 'exec'), scope)
    if 'tracker' in scope:
        build_tracker(scope['tracker'])


@pytest.mark.skipif(
    importlib.util.find_spec('skimage') is None, reason='scikit-image is not installed'
)
def test_the_notebook_runs(tmp_path):
    cells = json.loads(NOTEBOOK.read_text())['cells']
    assert not any(cell.get('outputs') for cell in cells)
    code = '\n\n'.join(''.join(cell['source']) for cell in cells if cell['cell_type'] == 'code')
    done = subprocess.run(
        [sys.executable, '-c', code],
        cwd=tmp_path,
        env={**os.environ, 'MPLBACKEND': 'Agg'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert 'AP50' in done.stdout


def slug(heading):
    """Returns the anchor of a heading, as GitHub and mkdocs make it."""
    text = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading.strip()).lower()
    return re.sub(r'[^\w\- ]', '', text).strip().replace(' ', '-')


@pytest.mark.parametrize('page', PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    text = re.sub(r'```.*?```', '', page.read_text(), flags=re.S)
    for target in re.findall(r'\[[^\]]*\]\(([^)\s]+)\)', text):
        if '://' in target:
            continue
        name, _, anchor = target.partition('#')
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r'^#+ (.*)$', path.read_text(), flags=re.M)
            assert anchor in map(slug, headings), target


class Links(HTMLParser):
    """Collects what a page links to, what it loads, and the anchors that it has."""

    def __init__(self):
        super().__init__()
        self.targets, self.loaded, self.anchors = [], [], set()

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[key] for key in ('id', 'name') if values.get(key)}
        if tag == 'a' and values.get('href'):
            self.targets.append(values['href'])
        loads = tag in ('script', 'img') or (tag == 'link' and values.get('rel') == 'stylesheet')
        if loads and (values.get('src') or values.get('href')):
            self.loaded.append(values.get('src') or values['href'])


@pytest.mark.skipif(importlib.util.find_spec('material') is None, reason='mkdocs is not installed')
def test_the_site_is_whole(tmp_path):
    build = [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', str(tmp_path)]
    done = subprocess.run(
        build,
        cwd=ROOT,
        env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    pages = {}
    for path in tmp_path.rglob('*.html'):
        pages[path] = Links()
        pages[path].feed(path.read_text())
    assert {'cli.html', 'configuration.html', 'api.html', 'zoo.html'} <= {p.name for p in pages}
    for path, links in pages.items():
        assert not [name for name in links.loaded if '://' in name], path  # works without network
        for target in links.targets:
            name, _, anchor = target.partition('#')
            if '://' in name or name.startswith(('mailto:', '/')) or path.name == '404.html':
                continue
            other = (path.parent / name).resolve() if name else path
            other = other / 'index.html' if other.is_dir() else other
            assert other.exists(), f'{path.name}: {target}'
            if anchor and other in pages:
                assert anchor in pages[other].anchors, f'{path.name}: {target}'
    text = (tmp_path / 'configuration.html').read_text()
    assert 'QueryLinker' in text
    assert 'min_similarity' in text
