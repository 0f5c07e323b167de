'use strict';
// The player of one video: frames with masks, a timeline, and what became of each track.

const CANVAS_SIDES = [480, 720]; // cells of the longer side of a drawn frame: at least, at most
const AHEAD = 4; // frames that are drawn before they are shown
const KEPT = 40; // drawn frames and pictures that are kept
const UNMATCHED = '#d8d8d8';
const TRUTH = -1; // the ground truth as a set of tracks; runs are 0, 1, ...

const player = {
  report: null, video: null, frame: 0, playing: false, chosen: null, event: -1,
  panels: [], drawn: new Map(), pictures: new Map(), worker: null, waiting: new Map(), version: 0,
  loop: 0, rows: [], kindColors: new Map(),
};
const field = (id) => document.getElementById(id);

function loadReport(report) {
  player.report = report;
  document.readyState === 'loading' ? document.addEventListener('DOMContentLoaded', start) : start();
}

function start() {
  field('score').value = player.report.minScore;
  connect();
  addEventListener('hashchange', openVideo);
  addEventListener('resize', showTimeline);
  openVideo();
}

function say(text) {
  field('message').textContent = text;
  field('message').hidden = !text;
}

function openVideo() {
  const id = settings().id;
  if (!/^-?\d+$/.test(id || '')) {
    say('No video is named in the address: choose one from the list.');
    return;
  }
  if (player.video && player.video.id === id) {
    say(player.message);
    makePanels();
    redraw();
    seek(frameSetting());
    return;
  }
  if (!player.report.order.includes(id)) {
    say(`Video ${id} is not in this report.`);
    return;
  }
  const script = make('script', { src: `data/${id}.js` });
  script.onerror = () => say(`data/${id}.js is missing: copy the whole folder of the report.`);
  document.body.append(script);
}

// A whole number of the address, or a default where there is none or it is out of bounds.
function numberSetting(name, least, most, otherwise) {
  const value = Number(settings()[name] ?? NaN);
  return Number.isInteger(value) && value >= least && value <= most ? value : otherwise;
}

const frameSetting = () => numberSetting('frame', 0, player.video.length - 1, 0);

// Called by the script of a video; the address may name another one by now.
function loadVideo(video) {
  if (video.id !== settings().id) return;
  pause();
  Object.assign(player, { video, frame: 0, chosen: null, event: -1, drawn: new Map(), pictures: new Map() });
  player.version++;
  if (player.worker) player.worker.terminate();
  player.waiting.clear();
  player.worker = startMaskWorker();
  player.worker.onmessage = ({ data }) => {
    const done = player.waiting.get(data.key);
    player.waiting.delete(data.key);
    if (done) done(data);
  };
  player.worker.postMessage({ video });
  document.title = `${video.name} · ${document.title.split(' · ').pop()}`;
  field('name').textContent = video.name;
  field('seek').max = video.length - 1;
  field('event').textContent = '';
  makePanels();
  const faults = video.pictures ? Object.keys(video.pictures).length : 0;
  const hidden = video.runs.map((run) => run.hidden).reduce((a, b) => a + b, 0);
  player.message = [
    video.pictures ? '' : 'This video has no pictures in this report.',
    faults ? `${faults} frames could not be shown.` : '',
    hidden ? `${hidden} predictions of low score are left out.` : '',
  ].filter(Boolean).join(' ');
  say(player.message);
  showDetail();
  seek(frameSetting());
}

function showNeighbours() {
  const place = player.report.order.indexOf(player.video.id);
  for (const [id, other] of [['previous', place - 1], ['next', place + 1]]) {
    const neighbour = player.report.order[other];
    field(id).hidden = neighbour === undefined;
    const [left, right] = player.panels.map((panel) => panel.set);
    const kept = right === undefined ? { id: neighbour } : { id: neighbour, left, run: right };
    field(id).href = `#${new URLSearchParams(kept)}`;
  }
}

// ---- what is shown --------------------------------------------------------------------------

const tracksOf = (set) => (set === TRUTH ? player.video.truth : player.video.runs[set].tracks);

function activeRun() {
  if (field('timeline-run')) return Number(field('timeline-run').value);
  return 0;
}

function kindColor(kind) {
  if (player.kindColors.has(kind)) return player.kindColors.get(kind);
  const sample = make('i', { class: `kind-${kind}` });
  document.body.append(sample);
  const color = getComputedStyle(sample).getPropertyValue('--kind').trim();
  sample.remove();
  player.kindColors.set(kind, color || UNMATCHED);
  return player.kindColors.get(kind);
}

function colorOf(set, index) {
  const track = tracksOf(set)[index];
  const { colors, classes } = player.report;
  const fate = set === TRUTH ? player.video.runs[activeRun()].objects[index] : track;
  if (field('colors').value === 'class') return colors[classes.indexOf(track.category) % colors.length];
  if (field('colors').value === 'kind') return fate && fate.kind ? kindColor(fate.kind) : UNMATCHED;
  if (set !== TRUTH) return colors[track.number % colors.length];
  return fate && fate.about >= 0 ? colors[fate.about % colors.length] : UNMATCHED;
}

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function shownTracks(set) {
  const least = Number(field('score').value);
  const { chosen } = player;
  const partner = chosen ? partnerOf(chosen) : null;
  return tracksOf(set)
    .map((track, index) => ({ track, index }))
    .filter(({ track, index }) => set === TRUTH || track.score >= least || isChosen(set, index))
    .map(({ index }) => ({
      index,
      color: rgb(colorOf(set, index)),
      faint: Boolean(chosen) && !isChosen(set, index) && !(partner && partner.set === set && partner.index === index),
    }))
    .reverse(); // the best on top
}

const isChosen = (set, index) =>
  Boolean(player.chosen) && player.chosen.set === set && player.chosen.index === index;

// The ground truth that a prediction is about, or the prediction that is about a ground truth.
function partnerOf({ set, index }) {
  const run = set === TRUTH ? activeRun() : set;
  const fate = set === TRUTH ? player.video.runs[run].objects[index] : tracksOf(set)[index];
  if (!fate || fate.about === undefined || fate.about < 0) return null;
  const other = set === TRUTH ? run : TRUTH;
  const found = tracksOf(other).findIndex((track) => track.number === fate.about);
  return found < 0 ? null : { set: other, index: found };
}

// ---- panels ---------------------------------------------------------------------------------

function makePanels() {
  const { report, video } = player;
  const last = report.runs.length - 1;
  const least = report.scored ? TRUTH : 0;
  const wanted = numberSetting('run', least, last, 0);
  const first = numberSetting('left', least, last, least);
  const sets = report.scored || report.runs.length > 1 ? [first, wanted] : [0];
  if (field('timeline-run')) field('timeline-run').value = String(Math.max(0, wanted));
  player.panels = sets.map((set, number) => makePanel(set, number, video));
  field('panels').replaceChildren(...player.panels.map((panel) => panel.element));
  showNeighbours();
}

function makePanel(set, number, video) {
  const longer = Math.max(video.width, video.height);
  const [least, most] = CANVAS_SIDES;
  const scale = longer > most ? most / longer : Math.ceil(Math.min(least, most) / longer);
  const width = Math.max(1, Math.round(video.width * scale));
  const height = Math.max(1, Math.round(video.height * scale));
  const [base, overlay] = ['base', 'overlay'].map((name) => make('canvas', { class: name, width, height }));
  const stage = make('div', { class: 'stage' }, base, overlay, make('p', { class: 'no-picture' }));
  stage.style.aspectRatio = `${video.width} / ${video.height}`;
  stage.style.width = `min(100%, calc(70vh * ${video.width / video.height}))`;
  const choice = make('select', { 'aria-label': `what picture ${number + 1} shows` });
  if (player.report.scored) choice.append(make('option', { value: String(TRUTH) }, 'ground truth'));
  player.report.runs.forEach((name, run) => choice.append(make('option', { value: String(run) }, name)));
  choice.value = String(set);
  const panel = { set, number, width, height, base, overlay, element: make('div', { class: 'panel' }, choice, stage) };
  choice.addEventListener('input', () => {
    panel.set = Number(choice.value);
    if (panel.set !== TRUTH && field('timeline-run')) field('timeline-run').value = choice.value;
    player.event = -1;
    showNeighbours();
    redraw();
  });
  overlay.addEventListener('click', (event) => {
    const { left, top, width: shownWidth, height: shownHeight } = overlay.getBoundingClientRect();
    const x = ((event.clientX - left) / shownWidth) * width;
    const y = ((event.clientY - top) / shownHeight) * height;
    const message = { set: panel.set, frame: player.frame, width, height, tracks: shownTracks(panel.set), x, y };
    ask(`pick ${player.version} ${x} ${y}`, { pick: message }).then(({ index }) =>
      choose(index < 0 ? null : { set: panel.set, index }));
  });
  return panel;
}

function ask(key, message) {
  return new Promise((done) => {
    player.waiting.set(key, done);
    player.worker.postMessage({ key, ...message });
  });
}

// ---- drawing --------------------------------------------------------------------------------

function keep(map, key, value) {
  map.set(key, value);
  if (map.size > KEPT) map.delete(map.keys().next().value);
}

// Asks for the masks of a frame; the answer lands in player.drawn.
function prepare(frame) {
  if (frame < 0 || frame >= player.video.length) return;
  if (!player.pictures.has(frame)) keep(player.pictures, frame, loadPicture(frame));
  for (const panel of player.panels) {
    const key = `${panel.number} ${frame} ${player.version}`;
    if (player.drawn.has(key) || player.waiting.has(key)) continue;
    const opacity = Math.round(255 * Number(field('opacity').value));
    const { set, width, height } = panel;
    const message = { set, frame, width, height, tracks: shownTracks(set), opacity, line: 2 };
    ask(key, { draw: message }).then(({ pixels, boxes }) => {
      keep(player.drawn, key, { image: new ImageData(pixels, width, height), boxes });
      if (frame === player.frame) paint();
    });
  }
}

function loadPicture(frame) {
  const { video } = player;
  if (!video.pictures) return { fault: '' };
  if (video.pictures[frame] !== undefined) return { fault: `no picture: ${video.pictures[frame]}` };
  const picture = { image: new Image(), ready: false };
  picture.image.onload = () => {
    picture.ready = true;
    if (frame === player.frame) paint();
  };
  picture.image.onerror = () => {
    Object.assign(picture, { fault: `no picture: frames/${video.id}/${frame}.jpg cannot be read`, image: null });
    if (frame === player.frame) paint();
  };
  picture.image.src = `frames/${video.id}/${frame}.jpg`;
  return picture;
}

const drawnOf = (panel, frame) => player.drawn.get(`${panel.number} ${frame} ${player.version}`);

function isReady(frame) {
  const picture = player.pictures.get(frame);
  return Boolean(picture) && (picture.ready || picture.fault !== undefined) &&
    player.panels.every((panel) => drawnOf(panel, frame));
}

function paint() {
  const picture = player.pictures.get(player.frame);
  for (const panel of player.panels) {
    const base = panel.base.getContext('2d');
    if (picture && picture.ready) {
      base.imageSmoothingQuality = 'high';
      base.drawImage(picture.image, 0, 0, panel.width, panel.height);
    } else if (picture && picture.fault !== undefined) {
      base.clearRect(0, 0, panel.width, panel.height);
    }
    panel.element.querySelector('.no-picture').textContent = (picture && picture.fault) || '';
    const drawn = drawnOf(panel, player.frame);
    if (!drawn) continue;
    const overlay = panel.overlay.getContext('2d');
    overlay.putImageData(drawn.image, 0, 0);
    if (field('labels').checked) drawLabels(overlay, panel, drawn.boxes);
  }
}

// Writes labels at the upper left of the masks; one that would cover another moves down.
function drawLabels(context, panel, boxes) {
  const size = Math.max(12, Math.round(panel.height / 28));
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = 'top';
  const taken = [];
  for (const box of [...boxes].reverse()) {
    const track = tracksOf(panel.set)[box.index];
    const text = `${track.number} ${track.category}${track.score === undefined ? '' : ` ${track.score.toFixed(2)}`}`;
    const width = context.measureText(text).width + 6;
    const height = size + 4;
    const x = Math.max(0, Math.min(panel.width - width, box.left));
    let y = Math.max(0, box.top - height);
    const covers = (other) => x < other.x + other.width && other.x < x + width && y < other.y + height && other.y < y + height;
    for (let tries = 0; tries < 20 && taken.some(covers); tries++) y += height;
    y = Math.min(y, panel.height - height);
    taken.push({ x, y, width });
    const color = colorOf(panel.set, box.index);
    const [red, green, blue] = rgb(color);
    context.fillStyle = color;
    context.fillRect(x, y, width, height);
    context.fillStyle = 0.3 * red + 0.59 * green + 0.11 * blue > 140 ? '#000000' : '#ffffff';
    context.fillText(text, x + 3, y + 2);
  }
}

function redraw() {
  player.version++;
  player.drawn.clear();
  prepareAhead();
  showTimeline();
  showDetail();
}

function prepareAhead() {
  for (let ahead = 0; ahead <= AHEAD; ahead++) prepare(player.frame + ahead);
}

// ---- time -----------------------------------------------------------------------------------

function seek(frame) {
  player.frame = Math.min(player.video.length - 1, Math.max(0, frame));
  field('seek').value = player.frame;
  field('place').textContent = `${player.frame} / ${player.video.length - 1}`;
  prepareAhead();
  paint();
  showTimeline();
}

function pause() {
  player.playing = false;
  field('play').textContent = '▶ play';
}

function play() {
  if (player.frame >= player.video.length - 1) seek(0);
  player.playing = true;
  const loop = ++player.loop;
  field('play').textContent = '❚❚ pause';
  let due = performance.now();
  const step = (now) => {
    if (!player.playing || loop !== player.loop) return;
    if (now >= due && isReady(player.frame + 1)) {
      const wait = 1000 / Number(field('speed').value);
      due = Math.max(due + wait, now - wait); // a late frame does not make the later ones hurry
      seek(player.frame + 1);
    }
    if (player.frame >= player.video.length - 1) pause();
    else requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

function jump(direction) {
  const { events } = player.video.runs[activeRun()];
  if (!events.length) {
    field('event').textContent = 'No error in this video.';
    return;
  }
  const isAt = player.event >= 0 && events[player.event].frame === player.frame;
  let next = isAt ? player.event + direction : -1;
  if (!isAt && direction > 0) next = events.findIndex((event) => event.frame >= player.frame);
  if (!isAt && direction < 0) next = events.filter((event) => event.frame <= player.frame).length - 1;
  if (next < 0 || next >= events.length) next = direction > 0 ? 0 : events.length - 1;
  player.event = next;
  const event = events[next];
  pause();
  field('event').textContent = `${next + 1} of ${events.length}, frame ${event.frame}: ${event.kind} - ${event.text}`;
  const set = event.object !== undefined ? TRUTH : activeRun();
  const number = event.object !== undefined ? event.object : event.track;
  seek(event.frame);
  choose({ set, index: tracksOf(set).findIndex((track) => track.number === number) });
}

// ---- timeline and details -------------------------------------------------------------------

function showTimeline() {
  const { video, report } = player;
  if (!video) return;
  const timeline = field('timeline');
  const key = String(player.version);
  if (timeline.dataset.key !== key) {
    timeline.dataset.key = key;
    player.rows = timelineRows(video, activeRun(), colorOf, Number(field('score').value));
    const { rows } = player;
    const focused = timeline.contains(document.activeElement) ? document.activeElement.title : null;
    timeline.replaceChildren();
    for (const [title, isOf] of [['Ground truth', (row) => row.set === TRUTH], [report.runs[activeRun()], (row) => row.set !== TRUTH]]) {
      const own = rows.filter(isOf);
      if (own.length) timeline.append(make('h2', {}, title), ...own.map(timelineRow));
    }
    if (!rows.length) timeline.append(make('p', {}, 'No track scores enough.'));
    // The rows were made anew: the focus goes back to where it was.
    const again = [...timeline.querySelectorAll('button')].find((each) => each.title === focused);
    if (focused && again) again.focus();
  }
  const canvases = timeline.querySelectorAll('canvas');
  player.rows.forEach((row, index) => drawBars(canvases[index], row, player.frame, video.length));
}

function timelineRow(row) {
  const button = make('button', { type: 'button', title: row.name, 'aria-pressed': String(isChosen(row.set, row.index)) }, row.name);
  button.style.setProperty('--color', row.color);
  button.addEventListener('click', () => choose(isChosen(row.set, row.index) ? null : row));
  const canvas = make('canvas', { 'aria-hidden': 'true' });
  canvas.addEventListener('click', (event) => {
    const { left, width } = canvas.getBoundingClientRect();
    pause();
    seek(Math.floor(((event.clientX - left) / width) * player.video.length));
  });
  return make('div', { class: 'row' }, button, canvas);
}

function choose(track) {
  const hadFocus = field('detail').contains(document.activeElement);
  player.chosen = track && track.index >= 0 ? { set: track.set, index: track.index } : null;
  redraw();
  const row = field('timeline').querySelector('[aria-pressed="true"]');
  if (hadFocus && row) row.focus(); // the button that was pressed is gone
}

function showDetail() {
  const detail = field('detail');
  if (!player.chosen) {
    detail.replaceChildren(make('p', {}, 'Click an object in the picture or a track in the timeline.'));
    return;
  }
  const { set, index } = player.chosen;
  const track = tracksOf(set)[index];
  const fate = set === TRUTH ? player.video.runs[activeRun()].objects[index] : track;
  const seen = track.masks.map((mask, t) => (mask === null ? -1 : t)).filter((t) => t >= 0);
  const lines = [['class', track.category]];
  if (track.score !== undefined) lines.push(['score', track.score.toFixed(3)]);
  lines.push(['seen in', `${seen.length} of ${player.video.length} frames`]);
  if (fate && fate.kind) {
    lines.push(['what it is', `${fate.kind}: ${set === TRUTH && fate.kind === 'Right' ? 'found' : player.report.meaning[fate.kind]}`]);
    const partner = partnerOf(player.chosen);
    if (partner) {
      const other = tracksOf(partner.set)[partner.index];
      const link = make('button', { type: 'button' }, `${partner.set === TRUTH ? 'object' : 'track'} ${other.number} ${other.category}`);
      link.addEventListener('click', () => choose(partner));
      lines.push(['about', link], ['IoU of the tubes', fate.iou.toFixed(3)]);
    }
  }
  if (set === TRUTH && fate) {
    const switches = fate.switches.map((t) => {
      const button = make('button', { type: 'button' }, `frame ${t}`);
      button.addEventListener('click', () => { pause(); seek(t); });
      return button;
    });
    lines.push(['followed in', `${fate.matches.filter((match) => match >= 0).length} frames`]);
    lines.push(['id switches', switches.length ? make('span', {}, ...switches) : 'none']);
  }
  const list = make('dl', {}, ...lines.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)]));
  const title = `${set === TRUTH ? 'Object' : 'Track'} ${track.number}${set === TRUTH ? '' : ` of ${player.report.runs[set]}`}`;
  detail.replaceChildren(make('h2', {}, title), list);
}

// ---- controls -------------------------------------------------------------------------------

function connect() {
  const click = (id, action) => field(id) && field(id).addEventListener('click', () => player.video && action());
  click('play', () => (player.playing ? pause() : play()));
  click('back', () => { pause(); seek(player.frame - 1); });
  click('forward', () => { pause(); seek(player.frame + 1); });
  click('error-before', () => jump(-1));
  click('error-next', () => jump(1));
  field('seek').addEventListener('input', () => { pause(); seek(Number(field('seek').value)); });
  field('labels').addEventListener('input', () => player.video && paintWithoutLabels());
  const showScore = () => { field('score-shown').textContent = Number(field('score').value).toFixed(2); };
  showScore();
  field('score').addEventListener('input', showScore);
  if (field('timeline-run')) field('timeline-run').addEventListener('input', () => { player.event = -1; });
  for (const id of ['score', 'opacity', 'colors', 'timeline-run']) {
    if (field(id)) field(id).addEventListener('input', () => player.video && redraw());
  }
  addEventListener('keydown', onKey);
}

function paintWithoutLabels() {
  for (const panel of player.panels) panel.overlay.getContext('2d').clearRect(0, 0, panel.width, panel.height);
  paint();
}

function onKey(event) {
  const { target } = event;
  if (!player.video || event.ctrlKey || event.metaKey || event.altKey) return;
  // What a field does with a key of its own goes first: a list takes letters, a slider arrows.
  if (target.matches('select') && event.key !== 'Escape') return;
  if (target.matches('input[type=range]') && event.key.length > 1 && event.key !== 'Escape') return;
  if (target.matches('button, select, summary, input[type=checkbox]') && event.key === ' ') return;
  const cycle = () => {
    const { options, selectedIndex } = field('colors');
    field('colors').value = options[(selectedIndex + 1) % options.length].value;
    redraw();
  };
  const actions = {
    ' ': () => field('play').click(),
    ArrowLeft: () => field('back').click(),
    ArrowRight: () => field('forward').click(),
    Home: () => { pause(); seek(0); },
    End: () => { pause(); seek(player.video.length - 1); },
    n: () => player.report.scored && jump(1),
    p: () => player.report.scored && jump(-1),
    c: cycle,
    l: () => field('labels').click(),
    PageUp: () => !field('previous').hidden && field('previous').click(),
    PageDown: () => !field('next').hidden && field('next').click(),
    Escape: () => choose(null),
  };
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}
