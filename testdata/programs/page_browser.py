"""Uses the page of `gitpod up` in headless Chromium as a person would.

Usage: python3 page_browser.py SCENARIO --gitpod PROGRAM --page URL --repository PATH
                               [--port PORT] [--axe FILE] [--screenshots DIR] [--patience SECONDS]

SCENARIO is one of

    life       from the first visit to the deletion, by clicking, with a visitor of a share
    silent     the server hangs: the page and that of a workspace say so, also that it was stopped
    reconnect  prints `live`, and then waits for a break and what is new after it
    keyboard   the same without touching the mouse
    hostile    a workspace's own page attacks; nothing may come of it
    look       a screenshot of every state, in the sizes and colours people use

Commands of `gitpod` find the running `up` by GITPOD_STATE_DIR. With --axe, the file of axe-core, each
state is checked for what keeps people from using it. The repository is to serve on PORT
the page of ws_page.py.
Exit code 0: everything happened. Exit code 1: something did not; standard error says what.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # not beside the programs

from browser import ENTER, ESCAPE, SPACE, Failure, chromedriver, describe, press
from page_person import Keys, Person

# --- by clicking -----------------------------------------------------------------------------------

def life(arguments, driver):
    with tempfile.TemporaryDirectory() as profile, tempfile.TemporaryDirectory() as other:
        person = Person(arguments, driver, profile)
        try:
            live(person, lambda: Person(arguments, driver, other))
        except Failure as why:
            raise Failure(f"{why}\n{describe(person.browser, arguments.failure)}") from None
        finally:
            person.browser.close()


def live(person, somebody_else):
    browser, page = person.browser, person.arguments.page
    browser.visit(page)
    person.sees("a stranger is told what to do", "main", "gitpod open")
    person.accessible("signed out")

    browser.visit(person.gitpod("open")["url"])
    person.sees("the link signs in", "#state", "Live")
    person.sees("there is nothing yet", "#empty", "No workspaces yet")
    person.accessible("empty")
    home = person.windows()[0]

    browser.click(browser.first("the form", "#repository"))
    browser.type(person.arguments.repository)
    person.click("Start")
    person.sees("progress is shown", "article .badge", "ing")
    person.sees("it runs", "article header .badge", "Running")
    person.sees("what the task prints is shown", "article .output", "listening on")
    name = person.text("article h3")
    port = str(person.arguments.port)
    person.sees("the port appears", ".port", port)
    person.sees("it is listened on", ".port", "Listening")
    person.sees("it is said when it stops", ".ends", "Stops in")
    person.accessible("running")

    person.in_new_window(lambda: person.click(f"Open port {port}"))
    person.sees("the port opens, signed in", "h1", "A page with a socket")
    person.sees("its WebSocket opens", "#state", "open")
    if "gitpod/open" in browser.get("/url"):
        raise Failure("the link stays in the address")
    person.close_window(home)
    person.in_new_window(lambda: person.click(f"Open {name}"))
    person.sees("the workspace opens, signed in", "h1", name)
    person.close_window(home)

    person.click(f"Share port {port}")
    person.sees("the dialog opens", "#share-dialog", "Whoever has the link")
    person.accessible("sharing")
    person.click("Make a link")
    browser.until("the link", lambda: person.value("#share-url"))
    link = person.value("#share-url")
    person.accessible("shared")
    person.click("Done")

    stranger = somebody_else()
    try:
        visit_share(person, stranger, link, port, name)
    except Failure as why:
        raise Failure(f"visitor: {why}\n{describe(stranger.browser, person.arguments.failure)}") from None
    finally:
        stranger.browser.close()

    visit_whole_share(person, somebody_else, name)

    person.click("Stop")
    person.sees("it stops", "article header .badge", "Stopped")
    browser.until("the focus is on the next button", lambda: focus(browser) == f"Start again {name}")
    person.accessible("stopped")
    start_from_its_address(person, home, name)
    person.sees("the port is back", ".port", "Listening")

    person.click("Delete")
    person.sees("it asks", "#delete-dialog", "cannot be undone")
    person.accessible("deleting")
    person.click("Keep it")
    person.sees("it is kept", "article h3", name)
    person.click("Delete")
    person.click("Delete it")
    person.sees("it is gone", "#empty", "No workspaces yet")
    person.click("Sign out")
    person.sees("signed out", "main", "gitpod open")


def start_from_its_address(person, home, name):
    """Who comes to a stopped workspace is led to the button that starts it, and from there back."""
    browser = person.browser
    [workspace] = person.gitpod("list")
    person.click("Details")
    browser.run("const choice = document.querySelector('article select[id^=wake]');"
                "choice.value = 'never'; choice.dispatchEvent(new Event('change'))")
    browser.until("it is not woken by who comes", lambda: person.gitpod("list")[0]["wake"] == "never")
    browser.visit(workspace["url"])
    person.sees("it is said that it does not run", "h1", "not running")
    person.accessible("page of a stopped workspace")
    person.click("Start the workspace")
    person.sees("that leads to the page", "article header .badge", "Stopped")
    browser.until("the focus is on the button", lambda: browser.run(
        "return document.activeElement.getAttribute('aria-label')") == f"Start again {name}")
    browser.keys(press(ENTER))
    person.sees("it runs again", "article header .badge", "Running")
    browser.until("the focus leads back to it", lambda: focus(browser) == f"Open {name}")
    enter_from_its_address(person, workspace, name)
    person.in_new_window(lambda: person.click(f"Open {name}"))
    person.sees("the workspace opens, signed in", "h1", name)
    person.close_window(home)


def focus(browser):
    return browser.run("return document.activeElement.getAttribute('aria-label')")


def enter_from_its_address(person, workspace, name):
    """A new run has a new cookie: whoever comes without it is led in by the page where she is signed in."""
    browser = person.browser
    browser.visit(workspace["url"])
    person.sees("it is private", "h1", "This workspace is private")
    person.accessible("page of a private workspace")
    person.click("Open it as its owner")
    person.sees("the page asks", "h1", f"Open {name}?")
    person.accessible("page that asks before it opens")
    person.click("Open it")
    person.sees("the owner is in", "h1", name)
    person.sees("and sees it live", "#state", "Running")
    browser.visit(person.arguments.page)
    person.sees("the page is live", "#state", "Live")


def visit_whole_share(person, somebody_else, name):
    """Who is shared everything sees the workspace's page as it is, live. It is not shared by accident."""
    person.click(f"Share {name}")
    person.sees("the dialog opens", "#share-dialog", "Whoever has the link")
    if person.value("#share-what") != "":
        raise Failure("what is shared is guessed")
    person.click("Cancel")
    link = person.gitpod("share", name)["url"]
    guest = somebody_else()
    try:
        guest.browser.visit(link)
        guest.sees("the page of the workspace opens", "h1", name)
        guest.sees("it is live", "#state", "Running")
        guest.sees("ports are shown", "#ports", str(person.arguments.port))
        guest.sees("tasks are shown", "#tasks", "listening on")
        if guest.browser.run("return getComputedStyle(document.querySelector('.card')).borderRadius") == "0px":
            raise Failure("the page has no style")
        subprocess.run([person.arguments.gitpod, "unshare", name], check=True, capture_output=True)
        guest.sees("it ends with the share", "#away", "private")
    finally:
        guest.browser.close()


def visit_share(person, stranger, link, port, name):
    """A visitor sees what is shared, nothing else, and is cut off when it is no longer."""
    stranger.browser.visit(link)
    stranger.sees("the shared port opens", "h1", "A page with a socket")
    stranger.sees("its WebSocket opens", "#state", "open")
    stranger.browser.run("window.opened = performance.now()")
    person.click("Revoke")
    stranger.sees("the WebSocket is closed", "#state", "closed")
    took = stranger.browser.run("return window.closedAt - window.opened")
    print(f"closed {took:.0f} ms after it was seen open", flush=True)
    stranger.browser.visit(link)
    if "A page with a socket" in stranger.text("body"):
        raise Failure("the link still works")
    stranger.browser.visit(person.arguments.page)
    stranger.sees("the page is not for visitors", "main", "gitpod open")


# --- by keyboard -----------------------------------------------------------------------------------

def keyboard(arguments, driver):
    with tempfile.TemporaryDirectory() as profile:
        person = Person(arguments, driver, profile)
        try:
            live_by_keyboard(person)
        except Failure as why:
            raise Failure(f"{why}\n{describe(person.browser, arguments.failure)}") from None
        finally:
            person.browser.close()


def live_by_keyboard(person):
    browser, keys = person.browser, Keys(person)
    browser.visit(person.gitpod("open")["url"])
    person.sees("the link signs in", "#state", "Live")
    home = person.windows()[0]
    keys.activate("Skip to content")
    keys.go_to("Git repository")
    browser.type(person.arguments.repository)
    keys.activate("Start", SPACE)
    person.sees("it runs", "article header .badge", "Running")
    if not keys.focus().startswith("Start"):
        raise Failure("the button has lost the focus")
    person.sees("the port appears", ".port", "Listening")
    name, port = person.text("article h3"), person.arguments.port

    keys.activate(f"Public: port {port}", SPACE)
    browser.until("the switch is on", lambda: browser.run(
        "return document.activeElement.getAttribute('aria-checked')") == "true")
    if not keys.focus().startswith("Public"):
        raise Failure("the switch has lost the focus")
    person.in_new_window(lambda: keys.activate(f"Open port {port}"))
    person.sees("the port opens", "h1", "A page with a socket")
    person.close_window(home)

    keys.activate(f"Share port {port}")
    person.sees("the dialog opens", "#share-dialog", "Whoever has the link")
    keys.activate("Make a link")
    browser.until("the link", lambda: person.value("#share-url"))
    keys.press(ESCAPE)
    browser.until("the focus is back", lambda: keys.focus().startswith(f"Share port {port}"))
    keys.activate("Revoke")
    person.sees_no("nothing is shared any more", ".shares")

    keys.activate(f"Stop {name}", SPACE)
    person.sees("it stops", "article header .badge", "Stopped")
    keys.activate(f"Start again {name}")
    person.sees("it runs again", "article header .badge", "Running")
    keys.activate(f"Delete {name}")
    person.sees("it asks", "#delete-dialog", "cannot be undone")
    if keys.focus() != "Keep it":
        raise Failure("a careless Enter would delete")
    keys.press(ENTER)
    person.sees("it is kept", "article h3", name)
    keys.activate(f"Delete {name}")
    keys.activate("Delete it")
    person.sees("it is gone", "#empty", "No workspaces yet")
    browser.until("the focus is somewhere of use", lambda: keys.focus() == "Your workspaces")


# --- a hostile workspace -----------------------------------------------------------------------------

ATTACK = """
const [page, repository, done] = arguments;
const tried = {};
const attempt = async (name, what) => {
  try { tried[name] = String(await what()).slice(0, 200); } catch (why) { tried[name] = "failed: " + why; }
};
const body = JSON.stringify({ repository });
const json = { "Content-Type": "application/json" };
const frame = (url, sandbox) => new Promise((seen) => {
  const made = document.createElement("iframe");
  if (sandbox) made.sandbox = sandbox;
  made.onload = () => {
    try { seen("read: " + made.contentDocument.body.innerText); } catch { seen("failed: closed"); }
  };
  made.src = url;
  document.body.append(made);
  setTimeout(() => seen("failed: nothing came"), 3000);
});
const form = (kind, name, value) => new Promise((sent) => {
  const target = document.createElement("iframe");
  target.name = "t" + Math.random();
  const made = document.createElement("form");
  Object.assign(made, { method: "post", action: page + "api/workspaces", enctype: kind, target: target.name });
  const field = document.createElement("input");
  Object.assign(field, { name, value });
  made.append(field);
  target.onload = () => setTimeout(() => sent("sent"), 300);
  document.body.append(target, made);
  made.submit();
  setTimeout(() => sent("sent"), 2000);
});
const element = (name, attributes) => new Promise((seen) => {
  const made = Object.assign(document.createElement(name), attributes);
  made.onload = () => seen("loaded");
  made.onerror = () => seen("failed: refused");
  document.body.append(made);
  setTimeout(() => seen("failed: nothing came"), 3000);
});
(async () => {
  const include = { credentials: "include" };
  await attempt("read the page", async () => (await fetch(page, include)).text());
  await attempt("read events", async () => (await fetch(page + "api/events", include)).text());
  await attempt("start, as JSON", async () =>
    (await fetch(page + "api/workspaces", { ...include, method: "POST", headers: json, body })).text());
  await attempt("start, as text", async () =>
    (await fetch(page + "api/workspaces", { ...include, method: "POST", mode: "no-cors", body })).type);
  await attempt("start, by a beacon", () => { navigator.sendBeacon(page + "api/workspaces", body); return "sent"; });
  await attempt("start, by a form", () => form("text/plain", '{"repository":' + JSON.stringify(repository) + ',"x":"', '"}'));
  await attempt("start, by a plain form", () => form("application/x-www-form-urlencoded", "repository", repository));
  await attempt("frame the page", () => frame(page));
  await attempt("frame it in a sandbox", () => frame(page, "allow-scripts allow-forms"));
  await attempt("frame the way into a workspace", () => frame(page + "open/" + location.hostname.split(".")[0].replace(/^[0-9]+-/, "")));
  await attempt("run its script here", () => element("script", { src: page + "static/app.js" }));
  await attempt("take its style", () => element("link", { rel: "stylesheet", href: page + "static/style.css" }));
  await attempt("events as a stream", () => new Promise((seen) => {
    const source = new EventSource(page + "api/events", { withCredentials: true });
    source.onmessage = source.onopen = () => seen("read");
    source.onerror = () => seen("failed: refused");
    setTimeout(() => seen("failed: nothing came"), 3000);
  }));
  await attempt("by a WebSocket", () => new Promise((seen) => {
    const socket = new WebSocket(page.replace("http", "ws") + "api/events");
    socket.onopen = () => seen("read");
    socket.onerror = () => seen("failed: refused");
  }));
  await attempt("set a cookie for it", () => {
    document.cookie = "gitpod_page_" + new URL(page).port + "=stolen; domain=localhost; path=/";
    return document.cookie.includes("stolen") ? "set" : "failed: refused";
  });
  await attempt("from a window", async () => {
    const opened = window.open(page);
    await new Promise((soon) => setTimeout(soon, 2000));
    try { return "read: " + opened.document.body.innerText; } catch { return "failed: closed"; } finally { opened?.close(); }
  });
  done(tried);
})();
"""


def hostile(arguments, driver):
    with tempfile.TemporaryDirectory() as profile:
        person = Person(arguments, driver, profile)
        try:
            attack(person)
        except Failure as why:
            raise Failure(f"{why}\n{describe(person.browser, arguments.failure)}") from None
        finally:
            person.browser.close()


def attack(person):
    """The owner is signed in and visits her workspace, whose page then does its worst."""
    browser, arguments = person.browser, person.arguments
    browser.visit(person.gitpod("open")["url"])
    person.sees("the link signs in", "#state", "Live")
    [workspace] = person.gitpod("list")
    port = str(arguments.port)
    for url in [
        person.gitpod("open", workspace["id"], "--port", port)["url"],
        # Where networks are shared, a workspace's server is also a port of localhost: the
        # page's own site, to which browsers do send its cookie.
        *arguments.also,
    ]:
        browser.visit(url)
        person.sees("the hostile page is there", "h1", "A page with a socket")
        tried = browser.run_async(ATTACK, arguments.page, arguments.repository)
        for name, came in tried.items():
            print(f"{name}: {came}", flush=True)
        harmless = ("failed", "sent", "opaque")
        got = {name: came for name, came in tried.items() if not came.startswith(harmless)}
        if got:
            raise Failure(f"from {url}: {got}")
        count = len(person.gitpod("list"))
        if count != 1:
            raise Failure(f"{count} workspaces after the attack from {url}")
    browser.visit(arguments.page)
    person.sees("the owner is still signed in", "#state", "Live")


# --- how it looks --------------------------------------------------------------------------------------

SIZES = [("wide", 1440, 1000), ("narrow", 360, 780)]


def look(arguments, driver):
    os.makedirs(arguments.screenshots, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        person = Person(arguments, driver, profile)
        try:
            show_everything(person)
        finally:
            person.browser.close()


def show_everything(person):
    browser = person.browser

    def look(state, taller=0):
        for size, width, height in SIZES:
            for colours in ("light", "dark"):
                person.look(f"{state}-{size}-{colours}", width, height + taller * (2 if size == "narrow" else 1), colours)
        browser.developer("Emulation.clearDeviceMetricsOverride")
        person.accessible(state)

    browser.visit(person.arguments.page)
    look("signed-out")
    browser.visit(person.gitpod("open")["url"])
    person.sees("the link signs in", "#state", "Live")
    look("empty")
    browser.click(browser.first("the form", "#repository"))
    browser.type("relative/path" + ENTER)
    person.sees("it is refused", "#new-error", "begin with")
    look("refused")
    browser.run("document.getElementById('repository').value = ''")
    browser.click(browser.first("the form", "#repository"))
    browser.type(person.arguments.slow)
    person.click("Start")
    person.sees("it is being prepared", "article header .badge", "Preparing")
    look("starting")
    browser.click(browser.first("the form", "#repository"))
    browser.type(person.arguments.repository)
    person.click("Start")
    person.sees("it runs", "article header .badge", "Running")
    person.sees("the port appears", ".port", "Listening")
    person.sees("tasks have ended", ".task .badge", "Failed with exit code")
    look("running", taller=400)
    person.click("Details")
    person.sees("how it may be used is shown", ".more", "When it is stopped")
    look("details", taller=800)
    person.click("Details")
    person.click("Share port")
    person.sees("the dialog opens", "#share-dialog", "Whoever has the link")
    look("sharing")
    person.click("Make a link")
    browser.until("the link", lambda: person.value("#share-url"))
    look("shared")
    person.click("Done")
    browser.click(person.named("button", "Delete"))
    person.sees("it asks", "#delete-dialog", "cannot be undone")
    look("deleting")
    person.click("Keep it")
    for workspace in person.gitpod("list"):
        subprocess.run([person.arguments.gitpod, "stop", "--now", workspace["id"]], check=True)
    browser.until("all are stopped", lambda: "Running" not in person.text("article header .badge")
                  and "Preparing" not in person.text("article header .badge"))
    look("stopped", taller=200)
    browser.visit(person.arguments.page + "nowhere")
    person.sees("there is nothing", "h1", "Nothing is served")
    look("not-found")


def reconnect(arguments, driver):
    """Says `live` when the page is, and ends when it is again after a break, with what is new."""
    with tempfile.TemporaryDirectory() as profile:
        person = Person(arguments, driver, profile)
        try:
            person.browser.visit(person.gitpod("open")["url"])
            person.sees("the page is live", "#state", "Live")
            person.browser.run("window.same = true")
            print("live", flush=True)
            person.sees("the break is told", "#state", "Connection lost")
            person.sees("the page is live again", "#state", "Live")
            person.sees("it knows what is new", "article header .badge", "Running")
            if not person.browser.run("return window.same"):
                raise Failure("the page was loaded anew")
        except Failure as why:
            raise Failure(f"{why}\n{describe(person.browser, arguments.failure)}") from None
        finally:
            person.browser.close()


def silent(arguments, driver):
    """Process --pid hangs, which no connection tells; later the workspace is stopped."""
    with tempfile.TemporaryDirectory() as profile:
        person = Person(arguments, driver, profile)
        try:
            person.browser.visit(person.gitpod("open")["url"])
            person.sees("the page is live", "#state", "Live")
            hang(person, "Live")
            [workspace] = person.gitpod("list")
            person.browser.visit(person.gitpod("open", workspace["id"])["url"])
            person.sees("the workspace is there", "#state", "Running")
            person.sees("a task that prints nothing is there", "#tasks", "Quiet One")
            person.sees("with how it ended", "#tasks", "Failed with exit code 3")
            hang(person, "Running")
            subprocess.run([arguments.gitpod, "wake", workspace["id"], "never"], check=True)
            subprocess.run([arguments.gitpod, "stop", "--now", workspace["id"]], check=True)
            person.sees("it is said that it is stopped", "#away", "not running")
            person.sees("and what to do", "#away", "Start the workspace")
            person.accessible("page of a workspace that was stopped")
        except Failure as why:
            raise Failure(f"{why}\n{describe(person.browser, arguments.failure)}") from None
        finally:
            person.browser.close()


def hang(person, state):
    began = time.monotonic()
    os.kill(person.arguments.pid, signal.SIGSTOP)
    try:
        person.sees("the silence is told", "#state", "Connection lost")
    finally:
        os.kill(person.arguments.pid, signal.SIGCONT)
    if time.monotonic() - began > 16:
        raise Failure(f"the silence is told after {time.monotonic() - began:.0f} s")
    person.sees("it goes on", "#state", state)


SCENARIOS = {"life": life, "silent": silent, "reconnect": reconnect, "keyboard": keyboard, "hostile": hostile, "look": look}


def main():
    parser = argparse.ArgumentParser(description="Uses the page of gitpod in headless Chromium.")
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("--gitpod", required=True, help="the program")
    parser.add_argument("--page", required=True, help="the page, e.g. http://localhost:8080/")
    parser.add_argument("--repository", required=True, help="path of one to start")
    parser.add_argument("--slow", default="", help="URL of one that never comes")
    parser.add_argument("--port", type=int, default=3000, help="what the repository serves")
    parser.add_argument("--also", action="append", default=[], help="another address of the hostile page")
    parser.add_argument("--pid", type=int, default=0, help="process that is to hang")
    parser.add_argument("--axe", help="axe.min.js")
    parser.add_argument("--screenshots", default="", help="where to put them")
    parser.add_argument("--failure", default=os.path.join(tempfile.gettempdir(), "page.png"))
    parser.add_argument("--patience", type=float, default=60, help="seconds to wait for each step")
    arguments = parser.parse_args()
    try:
        with chromedriver() as driver:
            SCENARIOS[arguments.scenario](arguments, driver)
    except Failure as why:
        print(f"failed: {why}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
