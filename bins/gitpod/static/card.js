// One workspace.
import { $, element, say, set, show, each, announce, duration, copy, safeUrl } from './dom.js';
import { api } from './api.js';
import { confirmDelete, shareDialog } from './dialog.js';
import { Logs } from './logs.js';
import { showPorts } from './ports.js';

const PHASES = {
  pending: ['Waiting', 'busy'], creating: ['Creating', 'busy'], initializing: ['Preparing', 'busy'],
  running: ['Running', 'good'], stopping: ['Stopping', 'warn'], stopped: ['Stopped', null],
};
const STARTING = ['unknown', 'pending', 'imagebuild', 'creating', 'initializing'];

function button(text, className, onclick) {
  return element('button', { type: 'button', class: `button ${className}`, onclick }, text);
}

export function makeCard(workspace) {
  const id = workspace.id;
  const view = { id, logs: new Logs(id), workspace };
  const fail = (why) => showError(view, why);
  const act = (work) => async (event) => {
    const pressed = event.currentTarget;
    pressed.setAttribute('aria-busy', 'true');
    show(view.error, false);
    try { await work(); } catch (why) { fail(why); } finally { pressed.removeAttribute('aria-busy'); }
  };
  view.fail = fail;
  view.phase = element('span', { class: 'badge' });
  view.repository = element('p', { class: 'where' });
  view.life = element('p', { class: 'life' });
  view.ends = element('p', { class: 'ends' });
  view.error = element('div', { class: 'notice bad', role: 'alert', hidden: true });
  view.failure = element('div', { class: 'notice bad', hidden: true });
  view.config = element('div', { class: 'notice warn', hidden: true });
  view.bar = element('progress', { max: 100, 'aria-label': 'Progress of the start' });
  view.step = element('span', {});
  view.progress = element('div', { class: 'progress', hidden: true }, view.step, view.bar);
  view.open = element('a', { class: 'button', href: `/open/${encodeURIComponent(id)}`, target: '_blank', rel: 'noopener', 'aria-label': `Open ${id}` }, 'Open');
  view.start = button('Start again', '', act(() => api.start(id)));
  view.stop = button('Stop', 'plain', act(async () => {
    if (view.workspace.phase === 'stopping') return;
    announce(`${id} is stopping`);
    await api.stop(id);
  }));
  view.share = button('Share', 'plain', () => shareDialog(view.workspace));
  view.remove = button('Delete', 'plain danger', act(async () => {
    if (!await confirmDelete(id)) return;
    await api.remove(id);
    announce(`${id} is deleted`);
    $('workspaces-title').focus();
  }));
  view.logsButton = button('Output', 'plain', () => openLogs(view, !view.logs.isOpen));
  view.ports = element('ul', { class: 'ports' });
  view.noPorts = element('p', { class: 'quiet' }, 'No server listens yet. Ports appear here as soon as one does.');
  view.portsBox = element('section', { 'aria-label': `Ports of ${id}` }, element('h4', {}, 'Ports'), view.ports, view.noPorts);
  view.shares = element('ul', { class: 'shares' });
  view.sharesBox = element('section', { 'aria-label': `Shared links of ${id}`, hidden: true }, element('h4', {}, 'Shared links'), view.shares);
  view.sshText = element('code', { tabindex: 0 });
  view.ssh = element('p', { class: 'ssh', hidden: true }, view.sshText, button('Copy', 'plain small', (event) => copy(view.sshText.textContent, event.currentTarget)));
  view.facts = element('dl');
  view.timeout = choice(view, 'Stop when nobody has used it for', 'timeout', TIMEOUTS, (value) => api.setTimeout(id, value));
  view.wake = choice(view, 'When it is stopped, who starts it by coming to it', 'wake', WAKES, (value) => api.setWake(id, value));
  view.settings = element('div', { class: 'line' }, view.timeout.field, view.wake.field);
  for (const named of [view.start, view.stop, view.share, view.remove, view.logsButton]) set(named, 'aria-label', `${named.textContent} ${id}`);
  set(view.logsButton, 'aria-controls', view.logs.root.id);
  view.root = element('article', { class: 'card', 'aria-labelledby': `name-${id}`, 'data-id': id },
    element('header', {},
      element('div', { class: 'title' }, element('h3', { id: `name-${id}` }, id), view.repository), view.phase),
    element('div', { class: 'body' },
      element('div', { class: 'main' },
        view.life, view.ends, view.progress, view.failure, view.error,
        element('div', { class: 'actions' }, view.open, view.start, view.logsButton, view.share, view.stop, view.remove),
        view.portsBox, view.sharesBox, view.ssh, view.config,
        element('details', { class: 'more' }, element('summary', {}, 'Details', element('span', { class: 'hidden' }, ` of ${id}`)), view.settings, view.facts)),
      view.logs.root));
  return view;
}

export function openLogs(view, open) {
  view.logs.toggle(open);
  set(view.logsButton, 'aria-expanded', String(open));
}

const TIMEOUTS = [['15m', '15 minutes'], ['30m', '30 minutes'], ['2h', '2 hours'], ['8h', '8 hours'], ['24h', 'a day']];
const WAKES = [['owner', 'You'], ['anyone', 'Whoever may use it: guests, too'], ['never', 'Nobody: only the button here']];

// A choice that is kept as soon as it is made. What holds is shown, also if it was set elsewhere.
function choice(view, label, name, options, keep) {
  const made = element('select', { id: `${name}-${view.id}`, onchange: async () => {
    try {
      await keep(made.value);
      announce('Kept');
    } catch (why) {
      view.fail(why);
      made.value = made.holds;
    }
  } }, ...options.map(([value, text]) => element('option', { value }, text)));
  made.field = element('p', { class: 'field grow' }, element('label', { for: made.id }, label), made);
  return made;
}

function showChoice(made, value) {
  if (made.holds === value || !value) return;
  made.holds = value;
  if (!Array.from(made.options).some((option) => option.value === value)) {
    made.append(element('option', { value }, value));
  }
  made.value = value;
}

function showError(view, why) {
  view.error.replaceChildren(element('p', {}, why.message), ...(why.fix ? [element('p', { class: 'fix' }, why.fix)] : []));
  show(view.error, true);
}

export function updateCard(view, workspace) {
  const before = view.workspace;
  const focused = view.root.contains(document.activeElement) ? document.activeElement : null;
  const [text, tone] = PHASES[workspace.phase] ?? [workspace.phase, null];
  const live = workspace.phase !== 'stopped';
  const running = workspace.phase === 'running';
  if (before.phase !== workspace.phase) announce(`${workspace.id}: ${text}`);
  if (before.instance_id !== workspace.instance_id) view.logs.restart();
  if (running || !live) view.stepped = false;
  view.workspace = workspace;
  say(view.phase, !live && workspace.failure ? 'Failed' : text);
  set(view.phase, 'data-tone', !live && workspace.failure ? 'bad' : tone);
  showRepository(view, workspace);
  showLife(view);
  show(view.progress, STARTING.includes(workspace.phase));
  if (!view.stepped) { view.bar.removeAttribute('value'); say(view.step, `${text} …`); }
  view.failure.replaceChildren(element('p', {}, element('strong', {}, 'It failed: '), workspace.failure));
  show(view.failure, workspace.failure !== '');
  showConfig(view, workspace);
  show(view.open, running);
  show(view.share, running);
  show(view.start, !live);
  show(view.stop, live);
  set(view.stop, 'aria-disabled', workspace.phase === 'stopping' && 'true'); // `disabled` would take the focus away
  keepFocus(view, focused);
  show(view.portsBox, live && running);
  showPorts(view.ports, workspace, view.fail);
  show(view.noPorts, workspace.ports.length === 0);
  showShares(view, workspace);
  const ssh = workspace.ssh?.command ?? (typeof workspace.ssh === 'string' ? workspace.ssh : '');
  say(view.sshText, ssh);
  show(view.ssh, running && ssh !== '');
  showChoice(view.timeout, workspace.timeout);
  showChoice(view.wake, workspace.wake);
  view.logs.describe(workspace.tasks);
  showFacts(view, workspace);
}

// A button that goes away hands its focus on: Stop to Start again, and that to Open once there is something to open.
function keepFocus(view, focused) {
  if (focused?.hidden) {
    const next = [view.open, view.start, view.logsButton].find((it) => !it.hidden);
    next.focus();
    view.opensSoon = next === view.logsButton;
  } else if (view.opensSoon && !view.open.hidden) {
    view.opensSoon = false;
    if (focused === view.logsButton) view.open.focus();
  }
}

function showRepository(view, workspace) {
  if (view.repositoryText === workspace.repository) return;
  view.repositoryText = workspace.repository;
  const url = safeUrl(workspace.repository);
  view.repository.replaceChildren(url
    ? element('a', { href: url, rel: 'noreferrer noopener', target: '_blank' }, workspace.repository)
    : element('span', {}, workspace.repository));
}

const STOPPED = {
  owner: 'It does not run, and starts when you come to it. Its files are kept.',
  anyone: 'It does not run, and starts when somebody comes who may use it. Its files are kept.',
  never: 'It does not run. Its files are kept.',
};

// Called every second as well: times pass without news.
export function showLife(view) {
  const workspace = view.workspace;
  const seconds = workspace.stops_at ? (new Date(workspace.stops_at) - Date.now()) / 1000 : null;
  const ends = seconds === null ? '' : seconds > 1 ? `Stops in ${duration(seconds)} if nobody uses it.` : 'Stops now, as nobody uses it.';
  const used = workspace.last_activity ? (Date.now() - new Date(workspace.last_activity)) / 1000 : null;
  const why = workspace.phase === 'running' && used !== null && workspace.alive_because.startsWith('it was last used')
    ? `it was used ${used < 5 ? 'just now' : `${duration(used)} ago`}`
    : workspace.alive_because;
  const stopped = workspace.failure ? 'It does not run.' : STOPPED[workspace.wake] ?? STOPPED.never;
  say(view.life, workspace.phase === 'stopping' ? 'Its processes may finish what they do, for up to 30 seconds.'
    : why ? `Alive because ${why}.` : workspace.phase === 'stopped' ? stopped : '');
  show(view.life, view.life.textContent !== '');
  say(view.ends, workspace.phase === 'running' ? ends : '');
  show(view.ends, view.ends.textContent !== '');
  set(view.ends, 'data-tone', seconds !== null && seconds < 300 ? 'warn' : null);
}

export function showProgress(view, { instance_id, step, percent }) {
  if (view.workspace.instance_id !== instance_id) return;
  view.stepped = true;
  say(view.step, percent === null || percent === undefined ? step : `${step}: ${percent} %`);
  if (percent === null || percent === undefined) view.bar.removeAttribute('value'); else view.bar.value = percent;
}

function showConfig(view, workspace) {
  const text = JSON.stringify([workspace.config_errors, workspace.config_ignored]);
  if (view.configText === text) return;
  view.configText = text;
  const errors = workspace.config_errors.map((it) => element('li', {}, it));
  const ignored = workspace.config_ignored.map((it) => element('li', {}, it));
  view.config.replaceChildren(
    ...(errors.length ? [element('p', {}, element('strong', {}, '.gitpod.yml is not used:')), element('ul', {}, ...errors)] : []),
    ...(ignored.length ? [element('p', {}, element('strong', {}, 'Without effect in .gitpod.yml:')), element('ul', {}, ...ignored)] : []));
  show(view.config, errors.length + ignored.length > 0);
}

function showShares(view, workspace) {
  const shares = workspace.shares ?? [];
  show(view.sharesBox, shares.length > 0);
  each(view.shares, shares, (share) => share.share_id, (share) => {
    const what = share.port ? `Port ${share.port}` : 'The whole workspace';
    const named = (made) => {
      set(made, 'aria-label', `${made.textContent}: ${what}, ${until(share)}`);
      return made;
    };
    const made = { until: element('span', { class: 'quiet' }) };
    made.root = element('li', {}, element('span', { class: 'label' }, what), made.until, element('div', { class: 'actions' },
      named(button('Copy link', 'plain small', (event) => copy(share.url, event.currentTarget))),
      named(button('Revoke', 'plain danger small', async ({ currentTarget }) => {
        currentTarget.disabled = true;
        try {
          await api.unshare(workspace.id, share.share_id);
          announce('The link is revoked');
          view.share.focus();
        } catch (why) {
          currentTarget.disabled = false;
          view.fail(why);
        }
      }))));
    return made;
  }, (made, share) => say(made.until, until(share)));
}

const until = (share) => `until ${new Date(share.expires_at).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })}`;

const NETWORKS = { own: 'its own', shared: 'shared with this machine' };

function showFacts(view, workspace) {
  const facts = [
    ['Address', workspace.url], ['Files', workspace.path], ['Branch', workspace.branch],
    ['Made', new Date(workspace.created_at).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })],
    ['Network', NETWORKS[workspace.network] ?? workspace.network], ['Limits', workspace.limits], ['Run', workspace.instance_id],
  ].filter(([, value]) => value);
  each(view.facts, facts, ([name]) => name, ([name]) => {
    const made = { value: element('dd') };
    made.root = element('div', {}, element('dt', {}, name), made.value);
    return made;
  }, (made, [, value]) => say(made.value, value));
}
