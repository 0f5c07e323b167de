"""Makes the pages that come from the code, and draws diagrams, when mkdocs builds the site.

- ``cli.md``: the help of every command. ``configuration.md``: what configs name, with arguments.
  ``zoo.md``: the table of weights. ``changelog.md``: CHANGELOG.md.
- Links to files outside of docs/ lead to the repository of the project.
- ``systems/*.md``: the READMEs of ``configs/``, with a diagram of ``diagrams/``, where a line is a
  row of boxes, separated by ``|``, and rows follow each other downwards.
"""

from __future__ import annotations

import html
import inspect
import os
import re
from importlib import import_module
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import tevit_vis.apis  # noqa: F401  (registers what configs name)
from tevit_vis import cli
from tevit_vis.model_zoo import ZOO
from tevit_vis.utils.cli import tool_parser
from tevit_vis.utils.config_keys import registries

ROOT = Path(__file__).parents[2]
SYSTEMS = ('tevit', 'seqformer', 'ifc', 'ms_sts', 'mask2former')
OTHER_PAGES = {'README.md': 'index.md', 'CHANGELOG.md': 'changelog.md'}
BOX_HEIGHT, GAP, CHARACTER, MARGIN = 44, 26, 7.4, 14  # of diagrams, in pixels


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that come from the code."""
    pages = {
        'cli.md': commands_page(),
        'configuration.md': configuration_page(),
        'zoo.md': zoo_page(),
        'changelog.md': repointed((ROOT / 'CHANGELOG.md').read_text(), ROOT, ''),
        **{f'systems/{name}.md': system_page(name) for name in SYSTEMS},
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Points links that leave docs/ to where the files are."""
    if page.file.generated_by:
        return markdown
    path = Path(config.docs_dir) / page.file.src_uri
    return repointed(markdown, path.parent, os.path.dirname(page.file.src_uri))


def repointed(markdown: str, folder: Path, place: str) -> str:
    """Returns a text whose links to files of the project lead to pages of the site.

    Args:
        markdown: of a file.
        folder: that its links are relative to.
        place: folder of the page in the site.
    """

    def repoint(match: re.Match) -> str:
        target, hash_mark, anchor = match[2].partition('#')
        if not target or '://' in target:
            return match[0]
        path = os.path.relpath(os.path.normpath(folder / target), ROOT)
        system = re.fullmatch(r'configs/(\w+)/README\.md', path)
        if path.startswith('docs/'):
            page = path[len('docs/') :]
        elif system and system[1] in SYSTEMS:
            page = f'systems/{system[1]}.md'
        elif path in OTHER_PAGES:
            page = OTHER_PAGES[path]
        elif (ROOT / path).exists():
            return f'`{path}`'
        else:
            return match[0]  # mkdocs warns
        return f'[{match[1]}]({os.path.relpath(page, place or ".")}{hash_mark}{anchor})'

    return re.sub(r'\[([^\]]*)\]\(([^)\s]+)\)', repoint, markdown)


def system_page(name: str) -> str:
    """Returns the page of a system: its diagram and the README of its configs."""
    readme = ROOT / 'configs' / name / 'README.md'
    title, _, text = readme.read_text().partition('\n')
    flow = diagram((ROOT / 'docs' / '_site' / 'diagrams' / f'{name}.txt').read_text())
    return f'{title}\n\n{flow}\n{repointed(text, readme.parent, "systems")}'


def diagram(text: str) -> str:
    """Returns rows of boxes, joined by arrows, as an SVG.

    A box may have two lines, separated by ``/``.
    """
    rows = [[box.strip() for box in line.split('|')] for line in text.strip().splitlines()]
    widths = [[box_width(box) for box in row] for row in rows]
    width = max(sum(row) + GAP * (len(row) - 1) for row in widths) + 4
    parts, centres_above = [], []
    for number, (row, row_widths) in enumerate(zip(rows, widths)):
        x = (width - sum(row_widths) - GAP * (len(row) - 1)) / 2
        y = number * (BOX_HEIGHT + GAP) + 2
        centres = []
        for box, length in zip(row, row_widths):
            centres.append(x + length / 2)
            parts.append(f'<rect x="{x:.0f}" y="{y}" width="{length:.0f}" height="{BOX_HEIGHT}"/>')
            lines = box.split(' / ')
            for index, line in enumerate(lines):
                base = y + BOX_HEIGHT / 2 + 4 + (index - (len(lines) - 1) / 2) * 16
                parts.append(
                    f'<text x="{centres[-1]:.0f}" y="{base:.0f}">{html.escape(line.strip())}</text>'
                )
            x += length + GAP
        many = centres if len(centres) >= len(centres_above) else centres_above
        for index in range(len(many) if centres_above else 0):
            start = centres_above[min(index, len(centres_above) - 1)]
            end = centres[min(index, len(centres) - 1)]
            parts.append(
                f'<path d="M{start:.0f},{y - GAP} L{end:.0f},{y - 5}" marker-end="url(#arrow)"/>'
            )
        centres_above = centres
    height = len(rows) * (BOX_HEIGHT + GAP) - GAP + 4
    style = (
        '<style>.flow rect{fill:none;stroke:currentColor;rx:6}.flow text{fill:currentColor;'
        'font-size:13px;text-anchor:middle}.flow path{stroke:currentColor;fill:none}</style>'
    )
    head = (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="currentColor"/></marker>'
        '</defs>'
    )
    label = html.escape('; then '.join(', '.join(row) for row in rows))
    return (
        f'<svg class="flow" role="img" aria-label="{label}" width="{width:.0f}" '
        f'style="max-width:100%" viewBox="0 0 {width:.0f} {height}">{style}{head}'
        f'{"".join(parts)}</svg>\n'
    )


def box_width(box: str) -> float:
    """Returns the width of a box in pixels."""
    return max(len(line.strip()) for line in box.split(' / ')) * CHARACTER + 2 * MARGIN


def commands_page() -> str:
    """Returns the help of all commands."""
    lines = ['# Commands', '', '```text', cli.overview(), '```', '']
    os.environ['COLUMNS'] = '100'
    for name in cli.COMMANDS:
        module = import_module(f'tevit_vis.commands.{cli.module_name(name)}')
        parser = tool_parser(module.__doc__, f'tevit-vis {name}')
        module.add_arguments(parser)
        lines += [f'## tevit-vis {name}', '', '```text', parser.format_help().rstrip(), '```', '']
    return '\n'.join(lines)


def configuration_page() -> str:
    """Returns what configs may name, with the arguments of each."""
    lines = [
        '# Configuration reference',
        '',
        'A config is a Python file, as in MMDetection: sections are dicts, `type` names a class, '
        'and the other keys are its arguments. This page lists the classes of this library by '
        "their registry; all of mmdet's and mmcv's can be named as well. "
        '`tevit-vis print-config NAME` prints a config whole, and an unknown key is an error that '
        'names the nearest known ones.',
        '',
    ]
    for registry in registries():
        classes = {
            name: cls
            for name, cls in sorted(registry.module_dict.items())
            if cls.__module__.startswith('tevit_vis')
        }
        if classes:
            lines += [f'## {registry.name}', '']
        for name, cls in classes.items():
            lines += [f'### {name}', '', description(cls), '', *arguments_table(cls), '']
    from tevit_vis.inference_config import InferenceConfig

    lines += ['## model.test_cfg', '', description(InferenceConfig), '']
    return '\n'.join(lines)


def description(cls: type) -> str:
    """Returns the part of a class's docstring before its arguments, and the module it is in."""
    text = inspect.getdoc(cls) or ''
    text = re.split(r'\n(?:Args|Raises|Example|Attributes|Returns):\n', text)[0].strip()
    text = text.replace('``', '`')
    return f'{html.escape(text, quote=False)}\n\n`{cls.__module__}`'


def arguments_table(cls: type) -> list[str]:
    """Returns the arguments of a class with their defaults and what its docstring says of them."""
    said = described_arguments(inspect.getdoc(cls) or '')
    rows = []
    for name, parameter in inspect.signature(cls).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = '' if parameter.default is parameter.empty else f'`{parameter.default!r}`'
        words = html.escape(said.get(name, ''), quote=False).replace('|', '\\|').replace('``', '`')
        rows.append(f'| `{name}` | {default} | {words} |')
    return ['| argument | default | |', '|---|---|---|', *rows] if rows else []


def described_arguments(docstring: str) -> dict[str, str]:
    """Returns what the section ``Args`` of a docstring says of each argument."""
    match = re.search(r'\nArgs:\n(.*?)(?:\n\S|\Z)', docstring, flags=re.S)
    said: dict[str, str] = {}
    for line in (match[1] if match else '').splitlines():
        start = re.match(r' {4}(\w+): (.*)', line)
        if start:
            name = start[1]
            said[name] = start[2]
        elif said and line.strip():
            said[name] += f' {line.strip()}'
    return said


def zoo_page() -> str:
    """Returns the table of weights."""
    lines = [
        '# Model zoo',
        '',
        'Weights that are known to exist, with what their authors say. `tevit-vis download NAME` '
        'fetches and checks them, `zoo` in place of a checkpoint takes those of a config. Scores '
        "are the authors'; nothing here was trained by this project. Mind the licences: those of "
        "MinVIS and of Mask2Former's authors do not allow commercial use.",
        '',
        '| name | trained on, published score | licence | hash | address |',
        '|---|---|---|---|---|',
    ]
    for weights in ZOO.values():
        how = 'by hand, ' if weights.needs_browser else ''
        lines.append(
            f'| `{weights.name}` | {weights.what} | {weights.licence} | '
            f'{f"`{weights.digest}`" if weights.digest else "none is published"} | '
            f'{how}[{weights.file}]({weights.address}) |'
        )
    lines += [
        '',
        'The small TeViT of the quickstart, `synthetic/tevit_tiny`, ships with the package: see '
        '`configs/synthetic/README.md`.',
        '',
    ]
    return '\n'.join(lines)
