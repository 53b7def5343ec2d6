// What the tasks of a workspace print.
import { element, say, set, show } from './dom.js';
import { api } from './api.js';

const KEEP = 256 * 1024; // characters to keep per task

// Colours, cursor moves and titles have no meaning here.
const ESCAPES = /\x1b(?:\[[0-9;?]*[ -\/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-B]|[@-Z\\-_=>])/g;

function plain(text) {
  return text.replace(ESCAPES, '').replace(/\r+\n/g, '\n').replace(/[^\n]*\r(?!\n)/g, '').replace(/[\x00-\x08\x0b-\x1f\x7f]/g, '');
}

export function stateOf(task) {
  if (!task) return ['', null];
  if (task.state === 'pending') return ['Waiting', null];
  if (task.state === 'running') return ['Running', 'good'];
  if (task.error) return ['Could not start', 'bad'];
  if (task.signal) return [`Ended by signal ${task.signal}`, 'warn'];
  return task.exit_code === 0 ? ['Done', null] : [`Failed with exit code ${task.exit_code}`, 'bad'];
}

// A panel that shows the output while it is open, in one stream for all tasks.
export class Logs {
  constructor(id) {
    this.id = id;
    this.views = new Map();
    this.tasks = [];
    this.quiet = element('p', { class: 'quiet' }, 'Nothing has been printed yet.');
    this.list = element('div', { class: 'outputs' });
    this.root = element('div', { class: 'logs', id: `logs-${id}`, hidden: true }, this.quiet, this.list);
  }

  get isOpen() { return !this.root.hidden; }

  toggle(open) {
    show(this.root, open);
    if (open) this.listen(); else this.close();
  }

  listen() {
    this.close();
    this.source = new EventSource(api.logs(this.id));
    this.source.addEventListener('open', () => this.clear());
    this.source.addEventListener('output', (event) => this.add(JSON.parse(event.data)));
    this.source.addEventListener('end', () => this.close());
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  clear() {
    for (const view of this.views.values()) view.box.remove();
    this.views.clear();
    show(this.quiet, true);
    this.describe(this.tasks);
  }

  // After a start there is another run to listen to.
  restart() {
    this.clear();
    if (this.isOpen) this.listen();
  }

  describe(tasks) {
    this.tasks = tasks;
    // Also those that print nothing: how they ended is all that there is to know.
    for (const task of tasks) this.view(task.name);
    for (const [name, view] of this.views) this.badge(name, view);
  }

  badge(name, view) {
    const [text, tone] = stateOf(this.tasks.find((task) => task.name === name));
    say(view.state, text);
    set(view.state, 'data-tone', tone);
    show(view.state, text !== '');
  }

  view(task) {
    let view = this.views.get(task);
    if (!view) {
      view = { text: '', drawing: false };
      view.output = element('pre', { class: 'output', tabindex: 0, role: 'log', 'aria-live': 'off', 'aria-label': `Output of ${task}` });
      view.state = element('span', { class: 'badge' });
      show(view.output, false);
      view.box = element('section', { class: 'task', 'aria-label': `Task ${task}` }, element('h4', {}, element('span', {}, task), view.state), view.output);
      view.follow = true;
      view.output.addEventListener('scroll', () => {
        const { scrollTop, scrollHeight, clientHeight } = view.output;
        view.follow = scrollTop + clientHeight > scrollHeight - 40;
      });
      this.views.set(task, view);
      this.list.append(view.box);
      this.badge(task, view);
      show(this.quiet, false);
    }
    return view;
  }

  add({ task, text }) {
    const view = this.view(task);
    show(view.output, true);
    view.text = (view.text + text).slice(-KEEP);
    if (view.drawing) return;
    // Draws at most once per frame, however much a task writes.
    view.drawing = true;
    requestAnimationFrame(() => {
      view.drawing = false;
      view.output.textContent = plain(view.text);
      if (view.follow) view.output.scrollTop = view.output.scrollHeight;
    });
  }
}
