"""Opens a stopped workspace in headless Chromium: its page has to come by itself.

Usage: python3 wake_browser.py --gitpod PROGRAM --workspace ID --port PORT [--patience SECONDS]

The workspace runs when this begins, and serves the pages of streams.py on PORT, each time
some seconds after its start. Commands of `gitpod` find the running `up` by GITPOD_STATE_DIR.
Exit code 0: the page came, with scripts and without. Exit code 1: standard error says what
did not happen.
"""

import argparse
import json
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # not beside the programs

from browser import Browser, Failure, chromedriver, describe


def gitpod(arguments, *words):
    done = subprocess.run([arguments.gitpod, *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"{words}: {done.stderr}")
    return done.stdout


def text(browser):
    return browser.run("return document.body ? document.body.innerText : ''")


def come_back(arguments, browser, url):
    gitpod(arguments, "stop", "--now", arguments.workspace)
    browser.visit("about:blank")
    # Returns when the first page is there: it tells that something is on its way.
    browser.visit(url)
    first = text(browser)
    if "Here it is" in first:
        raise Failure("the program was not slow, so that nothing is tested")
    # `Port … is not open yet` comes when the workspace runs, and its program does not listen yet.
    if "starting" not in first and "not open yet" not in first:
        raise Failure(f"no page of progress: {first}")
    browser.until("the page of the program", lambda: "Here it is" in text(browser))
    if browser.get("/url") != url:
        raise Failure(f"it is at {browser.get('/url')}")


def watch(arguments, browser):
    link = gitpod(arguments, "open", arguments.workspace, "--port", str(arguments.port), "--no-browser")
    browser.visit(link.strip())
    origin = browser.run("return location.origin")
    url = origin + "/page"
    browser.visit(url)
    browser.until("it is signed in", lambda: "Here it is" in text(browser))
    come_back(arguments, browser, url)
    # The cookie of the run before the run before is good as well: it was exchanged on the way.
    come_back(arguments, browser, url)
    browser.developer("Emulation.setScriptExecutionDisabled", value=True)
    come_back(arguments, browser, url)


def main():
    parser = argparse.ArgumentParser(description="Opens a stopped workspace in Chromium.")
    parser.add_argument("--gitpod", required=True)
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--patience", type=float, default=60)
    arguments = parser.parse_args()
    try:
        with chromedriver() as driver, tempfile.TemporaryDirectory() as profile:
            browser = Browser(driver, arguments.patience)
            try:
                browser.open(profile)
                watch(arguments, browser)
            except Failure as why:
                raise Failure(f"{why}\n{describe(browser, profile + '/failure.png')}") from None
            finally:
                browser.close()
    except Failure as why:
        print(why, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
