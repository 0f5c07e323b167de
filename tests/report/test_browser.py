"""The pages of a report in a real browser, opened from the disk."""

import re
import shutil

import cv2
import numpy as np
import pytest
from builders import annotation
from report_cases import LENGTH, NAMES, write_data_set

from tevit_vis.annotated_videos import parse_videos
from tevit_vis.report import DataSet, ReportOptions, read_run, write_report
from tevit_vis.rle import decode_rle

sync_api = pytest.importorskip('playwright.sync_api')
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason='needs Chromium')


@pytest.fixture(scope='module')
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, tmp_path):
    """A page that fails the test on an error of a script and on a request out of the folder."""
    page = browser.new_page(viewport={'width': 1200, 'height': 800})
    faults = []
    # That a test reads a canvas often is no fault of the page.
    page.on('console', lambda m: 'willReadFrequently' in m.text or faults.append(m.text))
    page.on('pageerror', lambda error: faults.append(str(error)))
    allowed = (f'file://{tmp_path}/', 'data:', 'blob:')
    page.on(
        'request', lambda request: request.url.startswith(allowed) or faults.append(request.url)
    )
    yield page
    page.close()
    assert not faults


@pytest.fixture
def report(call, tmp_path):
    files = write_data_set(tmp_path)
    call('report.py', *files, '--frames', tmp_path / 'frames', '--out', tmp_path / 'report')
    return f'file://{tmp_path}/report'


def ready(page):
    """Waits until the masks of the frame that is shown are drawn."""
    page.wait_for_function('player.video && isReady(player.frame)')


PAGES = ['index.html', 'classes.html', 'slices.html', 'videos.html', 'compare.html',
         'video.html#id=2']  # fmt: skip


@pytest.mark.parametrize('name', PAGES)
def test_pages_open_wide_and_narrow(page, report, name):
    for width in (1200, 380):
        page.set_viewport_size({'width': width, 'height': 800})
        page.goto(f'{report}/{name}')
        if name.startswith('video.'):
            ready(page)
        assert page.evaluate('document.documentElement.scrollWidth') <= width
        assert page.locator('h1').inner_text()


def test_dark_and_light(page, report):
    page.emulate_media(color_scheme='dark')
    page.goto(f'{report}/index.html')
    color = 'getComputedStyle(document.body).backgroundColor'
    dark = page.evaluate(color)
    page.click('#theme')
    light = page.evaluate(color)
    assert dark != light
    page.goto(f'{report}/classes.html')
    assert page.evaluate(color) == light, 'the choice stays on the next page'


def names_shown(page):
    return page.locator('#videos tbody th a').all_inner_texts()


def test_the_list_is_sorted_and_filtered(page, report):
    page.goto(f'{report}/videos.html')
    assert names_shown(page) == [NAMES[1], NAMES[0], NAMES[2]]
    page.click('[data-column="AP50"]')
    assert names_shown(page)[0] == NAMES[0]
    assert page.locator('th[aria-sort]').get_attribute('aria-sort') == 'descending'
    page.keyboard.press('Enter')  # the focus stays on the column
    assert names_shown(page) == [NAMES[1], NAMES[0], NAMES[2]], 'what has no score comes last'
    page.fill('#search', 'script')
    assert names_shown(page) == [NAMES[1]]
    assert page.locator('#shown').inner_text() == '1 of 3 videos'
    page.fill('#search', '')
    page.select_option('#kind', 'Temp')
    assert names_shown(page) == [NAMES[0]]
    page.select_option('#run', '1')
    assert names_shown(page) == [], 'the second run has no error'
    page.goto(f'{report}/videos.html#kind=Bkg')
    page.reload()
    assert names_shown(page) == [NAMES[1]]
    page.click('#videos tbody th a')
    ready(page)
    assert page.locator('#name').inner_text() == NAMES[1]
    assert page.locator('img').count() == 0 or page.evaluate(
        '[...document.images].every(i => i.naturalWidth)'
    )


def test_a_table_of_classes_is_sorted(page, report):
    page.goto(f'{report}/classes.html')
    assert page.locator('table.sortable').count() == 2
    table = page.locator('table.sortable').first
    table.locator('th button', has_text='AP50').click()
    assert table.locator('tbody th').all_inner_texts() == ['<b>dog</b>', 'cat']


def test_the_player_plays_steps_and_jumps(page, report):
    page.goto(f'{report}/video.html#id=1')
    ready(page)
    assert page.locator('#place').inner_text() == f'0 / {LENGTH - 1}'
    page.select_option('#speed', '25')
    page.click('#play')
    page.wait_for_function(f'player.frame === {LENGTH - 1} && !player.playing')
    page.keyboard.press('Home')
    page.keyboard.press('ArrowRight')
    assert page.locator('#place').inner_text() == f'1 / {LENGTH - 1}'
    page.keyboard.press('n')
    assert 'object 0 goes on as track 1' in page.locator('#event').inner_text()
    assert page.locator('#place').inner_text().startswith('2 /')
    assert page.locator('#detail h2').inner_text() == 'Object 0'
    page.keyboard.press('p')
    assert page.locator('#place').inner_text().startswith('0 /')
    page.keyboard.press('Escape')
    assert page.locator('#detail h2').count() == 0
    for _ in range(2):
        page.keyboard.press('c')
    assert page.input_value('#colors') == 'class'
    ready(page)


def test_playing_goes_on_whatever_is_changed(page, report):
    page.goto(f'{report}/video.html#id=1')
    ready(page)
    page.click('#play')
    page.keyboard.press('c')
    page.locator('#timeline button').first.click()
    page.wait_for_function(f'player.frame === {LENGTH - 1} && !player.playing')
    # Pressed twice within a frame, it still plays at one pace.
    started = page.evaluate('play(); pause(); play(); performance.now()')
    page.wait_for_function(f'player.frame === {LENGTH - 1} && !player.playing')
    assert page.evaluate('performance.now()') - started > (LENGTH - 1) * 100 * 0.8


def test_errors_of_another_run_start_anew(page, report):
    page.goto(f'{report}/video.html#id=1')
    ready(page)
    page.keyboard.press('p')
    page.keyboard.press('p')
    assert page.locator('#event').inner_text().startswith('2 of')
    page.select_option('#timeline-run', '1')
    page.click('#error-next')
    assert page.locator('#event').inner_text() == 'No error in this video.'


def test_the_address_is_followed(page, report):
    page.goto(f'{report}/video.html#id=1&frame=x&run=9&left=z')
    ready(page)
    assert page.locator('#place').inner_text().startswith('0 /')
    page.evaluate("location.hash = 'id=77'")
    page.wait_for_selector('#message:not([hidden])')
    assert 'Video 77 is not in this report' in page.locator('#message').inner_text()
    page.evaluate("location.hash = 'id=1&frame=3&run=1&left=0'")
    page.wait_for_function('player.frame === 3')
    assert page.locator('#message').is_hidden()
    choices = page.locator('.panel select')
    assert [choices.nth(n).input_value() for n in (0, 1)] == ['0', '1']
    page.click('#previous')
    page.wait_for_function("player.video.id === '2'")
    assert [choices.nth(n).input_value() for n in (0, 1)] == ['0', '1'], 'the runs stay'
    page.evaluate("location.hash = 'id=1'; location.hash = 'id=2'")
    page.wait_for_timeout(200)
    assert page.evaluate('player.video.id') == '2'


def test_keys_work_wherever_the_focus_is(page, report):
    page.goto(f'{report}/video.html#id=1')
    ready(page)
    page.focus('#seek')
    page.keyboard.press('n')
    assert page.locator('#event').inner_text().startswith('1 of')
    page.locator('#timeline button').nth(1).focus()
    page.keyboard.press('c')
    assert page.evaluate('document.activeElement.title').startswith('object 1')


def test_a_click_chooses_a_track(page, report):
    page.goto(f'{report}/video.html#id=1')
    ready(page)
    box = page.locator('.panel .overlay').nth(1).bounding_box()
    page.mouse.click(box['x'] + box['width'] * 10 / 80, box['y'] + box['height'] * 20 / 60)
    page.wait_for_selector('#detail h2')
    assert page.locator('#detail h2').inner_text() == 'Track 0 of flawed.json'
    assert 'Temp' in page.locator('#detail').inner_text()
    page.locator('#detail button').click()
    assert page.locator('#detail h2').inner_text() == 'Object 0'
    page.locator('#timeline button', has_text='track 1').click()
    assert page.locator('#detail h2').inner_text() == 'Track 1 of flawed.json'


def test_two_runs_are_shown_beside_each_other(page, report):
    page.goto(f'{report}/compare.html')
    assert 'too few videos to say' in page.locator('.verdict').inner_text()
    page.locator('a', has_text='plain').click()
    ready(page)
    choices = page.locator('.panel select')
    assert [choices.nth(n).input_value() for n in (0, 1)] == ['0', '1']
    choices.nth(0).select_option('-1')
    ready(page)
    assert 'id switches' not in page.locator('#detail').inner_text()
    page.select_option('#timeline-run', '0')
    page.locator('#timeline button', has_text='object 0').click()
    assert 'frame 2' in page.locator('#detail').inner_text()


def test_absent_pictures_and_videos_are_said(page, call, tmp_path):
    files = write_data_set(tmp_path)
    (tmp_path / 'frames' / 'plain' / '000.jpg').unlink()
    call('report.py', *files[:2], '--frames', tmp_path / 'frames', '--out', tmp_path / 'report')
    page.goto(f'file://{tmp_path}/report/video.html#id=1')
    ready(page)
    assert '1 frames could not be shown' in page.locator('#message').inner_text()
    assert 'is not there' in page.locator('.no-picture').first.inner_text()
    page.goto(f'file://{tmp_path}/report/video.html#id=2')
    page.wait_for_function("player.video.id === '2'")
    page.goto(f'file://{tmp_path}/report/video.html#nothing')
    page.reload()
    assert 'No video is named' in page.locator('#message').inner_text()


def drawn_mask(page, panel):
    """Which cells of a panel have a mask, as the canvas holds them: [h, w] bool."""
    pixels = page.evaluate(
        f"""() => {{
          const canvas = player.panels[{panel}].overlay;
          const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
          return [canvas.width, canvas.height, [...data].filter((_, i) => i % 4 === 3)];
        }}"""
    )
    width, height, alpha = pixels
    return np.array(alpha).reshape(height, width) > 0


@pytest.mark.parametrize('size', [(37, 53), (300, 500), (720, 480), (900, 1600)])
def test_masks_are_drawn_where_they_are(page, tmp_path, size):
    """Random masks as the worker draws them: equal to each cell's middle decoded here."""
    rng = np.random.default_rng(size[0])
    noise = rng.random((3, *size)).astype(np.float32)
    masks = np.stack([cv2.GaussianBlur(each, (0, 0), 6) > 0.5 for each in noise])
    masks[1, :, :3] = True  # a run that goes on from column to column
    masks[2] = noise[2] > 0.9  # many short runs
    names = [f'v/{t}.jpg' for t in range(3)]
    content = dict(
        videos=[dict(id=7, width=size[1], height=size[0], file_names=names)],
        categories=[dict(id=1, name='cat')],
        annotations=[annotation(1, 7, 1, masks)],
    )
    data_set = DataSet.parse(content, 'annotations.json')
    assert parse_videos(content, 'annotations.json')[0].id == 7
    run = read_run(data_set, [], 'none.json')
    write_report(data_set, [run], str(tmp_path / 'report'), ReportOptions())
    page.goto(f'file://{tmp_path}/report/video.html#id=7')
    ready(page)
    page.uncheck('#labels')
    for t in range(3):
        page.evaluate(f'seek({t})')
        ready(page)
        drawn = drawn_mask(page, 0)
        truth = decode_rle(content['annotations'][0]['segmentations'][t])
        rows = ((np.arange(drawn.shape[0]) + 0.5) * size[0] / drawn.shape[0]).astype(int)
        columns = ((np.arange(drawn.shape[1]) + 0.5) * size[1] / drawn.shape[1]).astype(int)
        assert (drawn == truth[rows][:, columns]).all()


def test_the_page_of_trainings(page, call, tmp_path):
    from training_cases import write_training

    folders = [write_training(tmp_path / f's{seed}', seed) for seed in range(2)]
    call('compare_runs.py', *folders, '--out', tmp_path / 'runs.html')
    page.goto(f'file://{tmp_path}/runs.html')
    assert page.locator('svg polyline').count() > 3
    assert re.search(r'\d ± \d', page.locator('table').inner_text())
