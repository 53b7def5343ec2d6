// The workspace's page: draws what the events say. Everything that comes from the workspace enters the document through
// textContent, never as markup; URLs are only followed when they are http or https.
'use strict';

const $ = (id) => document.getElementById(id);
const TAIL = 64 * 1024;      // bytes of old output to show
const KEEP = 256 * 1024;     // characters to keep per task

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function badge(text, tone) {
  const made = element('span', 'badge', text);
  if (tone) made.dataset.tone = tone;
  return made;
}

function safeUrl(text) {
  try {
    const url = new URL(text);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null;
  } catch { return null; }
}

// --- state -----------------------------------------------------------------

const STATES = { running: 'Running', stopping: 'Stopping', lost: 'Connection lost, trying again', connecting: 'Connecting' };

function showState(state) {
  const at = $('state');
  if (state !== 'away') $('away-title').textContent = '';
  if (at.dataset.state === state) return;
  at.dataset.state = state;
  at.textContent = STATES[state] ?? state;
}

// --- ports -----------------------------------------------------------------

let ports = [];

function showPorts(list) {
  ports = list;
  $('no-ports').hidden = ports.length > 0;
  $('ports').replaceChildren(...ports.map(port => {
    const card = element('li', 'card');
    const row = element('div', 'row');
    row.append(element('span', 'number', port.localPort));
    if (port.name) row.append(element('span', 'label', port.name));
    const badges = element('span', 'badges');
    row.append(badges);
    badges.append(port.served ? badge('Open', 'good') : badge('Not served'));
    if (port.exposed) badges.append(badge(port.exposed.visibility === 'public' ? 'Public' : 'Private', port.exposed.visibility === 'public' ? 'warn' : undefined));
    card.append(row);
    if (port.description) card.append(element('p', 'quiet', port.description));
    const url = port.exposed && safeUrl(port.exposed.url);
    if (url) {
      const line = element('p', 'url');
      if (port.served) {
        const link = element('a', '', url);
        link.href = url; link.target = '_blank'; link.rel = 'noreferrer noopener';
        line.append(link);
      } else line.append(element('code', 'quiet', url));
      card.append(line);
    }
    return card;
  }));
}

// --- tasks -----------------------------------------------------------------

const views = new Map();

function describe(task) {
  if (task.state === 'pending') return ['Waiting'];
  if (task.state === 'running') return ['Running', 'good'];
  if (task.error) return ['Could not start', 'bad'];
  if (task.signal) return [`Ended by signal ${task.signal}`, 'warn'];
  return task.exitCode === 0 ? ['Done'] : [`Failed with exit code ${task.exitCode}`, 'bad'];
}

const clock = (time) => new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });

function taskView(id) {
  const path = `/_supervisor/v1/tasks/${encodeURIComponent(id)}/log`;
  const view = { box: element('details', 'task'), name: element('span', 'name'), when: element('span', 'when'), badge: badge(''), drawing: false };
  const summary = element('summary');
  summary.append(view.name, view.when, view.badge);
  view.output = element('pre', 'output');
  view.output.tabIndex = 0;
  view.output.setAttribute('role', 'log');
  view.output.setAttribute('aria-live', 'off');
  const tools = element('div', 'tools');
  const follow = element('label');
  view.follow = element('input');
  view.follow.type = 'checkbox';
  view.follow.checked = true;
  follow.append(view.follow, 'Follow the output');
  const whole = element('a', '', 'Whole output');
  whole.href = path; whole.target = '_blank'; whole.rel = 'noopener';
  tools.append(follow, whole);
  view.box.append(summary, view.output, tools);
  view.output.addEventListener('scroll', () => {
    const { scrollTop, scrollHeight, clientHeight } = view.output;
    if (scrollTop + clientHeight < scrollHeight - 40) view.follow.checked = false;
  });
  view.follow.addEventListener('change', () => { if (view.follow.checked) view.output.scrollTop = view.output.scrollHeight; });
  view.box.open = true;
  return view;
}

function showTasks(list) {
  $('no-tasks').hidden = list.length > 0;
  for (const task of list) {
    let view = views.get(task.id);
    if (!view) {
      view = taskView(task.id);
      views.set(task.id, view);
      $('tasks').append(view.box);
      draw(task.id);
    }
    const [text, tone] = describe(task);
    view.name.textContent = task.name;
    view.output.setAttribute('aria-label', `Output of ${task.name}`);
    view.when.textContent = task.finishedAt ? `ended ${clock(task.finishedAt)}` : task.startedAt ? `since ${clock(task.startedAt)}` : '';
    if (view.badge.textContent !== text) {
      const fresh = badge(text, tone);
      view.badge.replaceWith(fresh);
      view.badge = fresh;
    }
  }
}

// Colours, cursor moves and titles have no meaning here.
const ESCAPES = /\x1b(?:\[[0-9;?]*[ -\/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-B]|[@-Z\\-_=>])/g;

function plain(text) {
  return text.replace(ESCAPES, '').replace(/\r+\n/g, '\n').replace(/[^\n]*\r(?!\n)/g, '').replace(/[\x00-\x08\x0b-\x1f\x7f]/g, '');
}

const texts = new Map();     // by id, as output may arrive before its task

function showOutput({ id, text }) {
  texts.set(id, ((texts.get(id) ?? '') + text).slice(-KEEP));
  draw(id);
}

// Draws at most once per frame, however much a task writes.
function draw(id) {
  const view = views.get(id);
  if (!view || view.drawing) return;
  view.drawing = true;
  requestAnimationFrame(() => {
    view.drawing = false;
    view.output.textContent = plain(texts.get(id) ?? '');
    if (view.follow.checked) view.output.scrollTop = view.output.scrollHeight;
  });
}

// --- editor ----------------------------------------------------------------

function showEditor(editor) {
  if (!$('editor')) return;
  $('editor-open').hidden = editor.state !== 'ready';
  $('editor-state').textContent = { ready: 'is ready.', starting: 'is starting.', off: 'is off.' }[editor.state] ?? `does not start: ${editor.error}`;
}

// --- events ----------------------------------------------------------------

const SILENCE = 12_000;      // ms; `alive` comes every five seconds
const AGAIN = 2_000;         // ms, half as much or half as much again: not all windows at once
const again = () => AGAIN * (0.5 + Math.random());
let events = null;
let heard = 0;

function listen() {
  events = new EventSource(`/_supervisor/v1/events?output=${TAIL}`);
  heard = Date.now();
  const on = (name, show) => events.addEventListener(name, event => { hear(); show(JSON.parse(event.data)); });
  on('state', data => showState(data.state));
  on('ports', data => showPorts(data.ports));
  on('tasks', data => showTasks(data.tasks));
  on('ide', showEditor);
  on('output', showOutput);
  on('alive', () => {});
  // After a break everything is sent again.
  events.addEventListener('open', () => { hear(); texts.clear(); });
  events.addEventListener('error', lost);
}

function hear() {
  heard = Date.now();
  showAway(null);
}

function lost() {
  events.close();
  events = null;
  showState('lost');
  showAway({});
  setTimeout(askWhy, again() / 2);
}

setInterval(() => { if (events && Date.now() - heard > SILENCE) lost(); }, 1000);

// Questions after the state are no use of the workspace and start nothing, so this may go on for as long as the page is open.
async function askWhy() {
  const headers = { Accept: 'application/problem+json' };
  try {
    const answer = await fetch('/_supervisor/v1/status/supervisor', { headers, cache: 'no-store', signal: AbortSignal.timeout(5000) });
    if (answer.ok) return listen();
    const why = await answer.json();
    if (why.title) showAway(why);
  } catch { showState('lost'); }
  setTimeout(askWhy, again());
}

// What was seen last may not be so any more. `why` is a refusal of the proxy.
function showAway(why) {
  document.body.toggleAttribute('data-away', why !== null);
  $('away').hidden = !why?.title;
  if (!why?.title || $('away-title').textContent === why.title) return;
  showState('away');
  $('state').textContent = why.title;
  $('away-title').textContent = why.title;
  $('away-detail').textContent = why.detail;
  const links = [[why.start_url, 'Start the workspace'], [why.open_url, 'Open it as its owner'], [location.pathname, 'Load this page again']];
  $('away-links').replaceChildren(...links.flatMap(([to, text], at) => {
    const url = to && safeUrl(new URL(to, location.href).href);
    if (!url) return [];
    const link = element('a', at < 2 ? 'button' : '', text);
    link.href = url; link.rel = 'noreferrer';
    return [link];
  }));
  if (why.reason === 'not-running') showPorts(ports.map(port => ({ ...port, served: false })));
}

listen();
