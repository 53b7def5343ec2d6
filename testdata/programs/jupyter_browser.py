"""Uses JupyterLab in headless Chromium as a person would: a notebook cell and a terminal.

Usage: python3 jupyter_browser.py --url URL [--sign-in LINK]
                                  [--screenshot FILE] [--patience SECONDS]

Needs the programs `chromium` and `chromedriver`, and nothing but Python's standard library.
Exit code 0: the notebook's kernel printed 42 and the terminal printed 42. Exit code 1: one of
them did not; standard error says which, with the address, the page's text and a screenshot.
"""

import argparse
import os
import re
import sys
import tempfile

sys.dont_write_bytecode = True  # not beside the programs

from browser import ENTER, SHIFT, Browser, Failure, chromedriver, describe, press

# Keeps what terminals say: xterm.js draws on a canvas, where no test can read.
RECORD_TERMINALS = """
(() => {
  const Plain = window.WebSocket;
  window.terminalOutput = "";
  window.WebSocket = class extends Plain {
    constructor(url, ...rest) {
      super(url, ...rest);
      if (!String(url).includes("/terminals/websocket/")) return;
      this.addEventListener("message", (event) => {
        const message = JSON.parse(event.data);
        if (message[0] === "stdout") window.terminalOutput += message[1];
      });
    }
  };
})();
"""

NOTEBOOK = {
    "type": "notebook",
    "format": "json",
    "content": {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
        "cells": [
            {
                "id": "only",
                "cell_type": "code",
                "metadata": {},
                "source": "",
                "outputs": [],
                "execution_count": None,
            }
        ],
    },
}

SAVE_NOTEBOOK = """
const [path, notebook, done] = arguments;
const xsrf = (document.cookie.match(/(?:^|; )_xsrf=([^;]*)/) || [])[1] || "";
fetch("/api/contents/" + path, {
  method: "PUT",
  headers: { "Content-Type": "application/json", "X-XSRFToken": xsrf },
  body: JSON.stringify(notebook),
}).then(async (answer) => done(answer.status + " " + (await answer.text()).slice(0, 500)))
  .catch((why) => done("no answer: " + why));
"""

def is_idle(browser):
    """Whether the cell has the focus and a kernel waits for it.

    The toolbar says "idle" before there is a kernel; the status bar names the kernel first, and
    speaks of whatever has the focus.
    """
    for cell in browser.elements(".jp-Notebook .jp-CodeCell .cm-content"):
        browser.click(cell)
        return "| Idle" in browser.run(
            'return document.querySelector("#jp-main-statusbar")?.innerText || ""'
        )
    return False


def check_notebook(browser, url):
    browser.visit(url + "lab?reset")
    browser.first("JupyterLab to start", ".jp-LauncherCard, .jp-Notebook")
    name = f"check-{os.getpid()}.ipynb"
    said = browser.run_async(SAVE_NOTEBOOK, name, NOTEBOOK)
    if not said.startswith("20"):
        raise Failure(f"cannot create a notebook: {said}")
    browser.visit(url + "lab/tree/" + name)
    browser.until("the kernel to be idle", lambda: is_idle(browser))
    browser.type("print(6*7)")
    browser.keys([{"type": "keyDown", "value": SHIFT}, *press(ENTER), {"type": "keyUp", "value": SHIFT}])
    read = 'return Array.from(document.querySelectorAll(".jp-OutputArea-output"), e => e.innerText)'
    browser.until("the kernel to print 42", lambda: any(
        text.strip() == "42" for text in browser.run(read)
    ))


def check_terminal(browser, url):
    browser.visit(url + "lab?reset")
    card = browser.first(
        "the launcher to offer a terminal", '.jp-LauncherCard[data-category="Other"][title*="erminal"]'
    )
    browser.click(card)
    terminal = browser.first("the terminal to open", ".jp-Terminal .xterm-screen")
    browser.until("the shell to greet", lambda: browser.run("return window.terminalOutput"))
    browser.click(terminal)
    browser.type("echo answer=$((6*7))" + ENTER)
    browser.until("the shell to print 42", lambda: re.search(
        r"answer=42\b", browser.run("return window.terminalOutput")
    ))


def check(arguments):
    url = arguments.url.rstrip("/") + "/"
    with chromedriver() as driver, tempfile.TemporaryDirectory() as profile:
        browser = Browser(driver, arguments.patience)
        try:
            browser.open(profile, RECORD_TERMINALS)
            if arguments.sign_in:
                browser.visit(arguments.sign_in)
            check_notebook(browser, url)
            print("notebook: the kernel printed 42", flush=True)
            check_terminal(browser, url)
            print("terminal: the shell printed 42", flush=True)
        except Failure as why:
            if browser.session:
                raise Failure(f"{why}\n{describe(browser, arguments.screenshot)}") from None
            raise
        finally:
            browser.close()


def main():
    parser = argparse.ArgumentParser(description="Uses JupyterLab in headless Chromium.")
    parser.add_argument("--url", required=True, help="the workspace, e.g. http://ID.ws.localhost:8080/")
    parser.add_argument("--sign-in", default="", help="a link that `gitpod open ID` printed")
    parser.add_argument("--screenshot", default=os.path.join(tempfile.gettempdir(), "jupyter.png"))
    parser.add_argument("--patience", type=float, default=60, help="seconds to wait for each step")
    try:
        check(parser.parse_args())
    except Failure as why:
        print(f"failed: {why}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
