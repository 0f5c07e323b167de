"""What is in a data set, counted."""

import json

import pytest
from report_cases import LENGTH, write_data_set


def test_counts_by_hand(call, call_fails, tmp_path):
    annotations, _, _ = write_data_set(tmp_path)
    out = tmp_path / 'statistics'
    arguments = ('data/stats.py', annotations, '--out', out)
    assert f'open {out}/index.html' in call(*arguments, '--frames', tmp_path / 'frames')
    numbers = json.loads((out / 'statistics.json').read_text())
    expected = dict(videos=3, frames=3 * LENGTH, objects=3, crowds=0, masks=3 * LENGTH,
                    videos_without_objects=1)  # fmt: skip
    assert {key: numbers[key] for key in expected} == expected
    assert numbers['groups']['class'] == {'cat': 2, '<b>dog</b>': 1}
    assert numbers['groups']['crowd'] == {'alone or 2': 3}
    assert numbers['together'] == [dict(first='cat', second='<b>dog</b>', videos=1)]
    page = (out / 'index.html').read_text()
    assert '&lt;b&gt;dog' in page
    assert '<b>dog' not in page
    assert len(list(out.glob('strips/*.jpg'))) == 3
    call(*arguments)  # statistics may be written again
    assert not list(out.glob('strips/*'))
    (out / 'thesis.tex').write_text('years')
    assert 'but holds something else' in call_fails(*arguments)
    content = json.loads(annotations.read_text())
    del content['annotations']
    annotations.write_text(json.dumps(content))
    line = call_fails('data/stats.py', annotations, '--out', tmp_path / 'other')
    assert 'must have annotations to be counted' in line
    assert not (tmp_path / 'other').exists()


def test_frames_must_be_there(call_fails, tmp_path):
    annotations, _, _ = write_data_set(tmp_path, with_frames=False)
    options = ('--frames', tmp_path / 'absent', '--out', tmp_path / 'out')
    assert 'image folder must be there' in call_fails('data/stats.py', annotations, *options)


@pytest.mark.parametrize('width', [1200, 380])
def test_the_page_in_a_browser(call, tmp_path, width):
    from test_browser import CHROMIUM

    sync_api = pytest.importorskip('playwright.sync_api')
    if CHROMIUM is None:
        pytest.skip('needs Chromium')
    annotations, _, _ = write_data_set(tmp_path)
    out = tmp_path / 'statistics'
    call('data/stats.py', annotations, '--out', out, '--frames', tmp_path / 'frames')
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        page = browser.new_page(viewport={'width': width, 'height': 800})
        page.goto(f'file://{out}/index.html')
        assert page.evaluate('document.documentElement.scrollWidth') <= width
        assert page.evaluate('[...document.images].every(image => image.complete)')
        browser.close()
