"""Chromium for tests, driven over the WebDriver protocol. A module of the programs beside it.

Needs the programs `chromium` and `chromedriver`, and nothing but Python's standard library.
"""

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

ENTER = "\ue007"
SHIFT = "\ue008"
TAB = "\ue004"
ESCAPE = "\ue00c"
SPACE = " "
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Failure(Exception):
    """What a person would report; the rest is in the screenshot."""


class Browser:
    """One Chromium, driven over the WebDriver protocol."""

    def __init__(self, driver, patience):
        self.driver = driver
        self.patience = patience
        self.session = None

    def open(self, profile, at_start=None, size=(1400, 1000)):
        """Begins; `at_start` is a script for every page before its own."""
        arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
            f"--window-size={size[0]},{size[1]}",
            "--user-data-dir=" + profile,
            "--host-resolver-rules=MAP *.ws.localhost 127.0.0.1",
        ]
        options = {"args": arguments}
        binary = shutil.which("chromium") or shutil.which("chromium-browser")
        if binary:
            options["binary"] = binary
        wanted = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
        answer = self.call("POST", "/session", {"capabilities": wanted})
        self.session = "/session/" + answer["sessionId"]
        if at_start:
            self.developer("Page.addScriptToEvaluateOnNewDocument", source=at_start)

    def close(self):
        if self.session:
            self.call("DELETE", self.session)
            self.session = None

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.driver + path, data, {"Content-Type": "application/json"}, method=method
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as why:
            value = json.load(why)["value"]
            raise Failure(f"{method} {path}: {value['error']}: {value['message'][:500]}") from None

    def developer(self, command, **parameters):
        """One command of the DevTools protocol."""
        return self.post("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def get(self, path):
        return self.call("GET", self.session + path)

    def post(self, path, body):
        return self.call("POST", self.session + path, body)

    def visit(self, url):
        self.post("/url", {"url": url})

    def run(self, script, *arguments):
        return self.post("/execute/sync", {"script": script, "args": list(arguments)})

    def run_async(self, script, *arguments):
        return self.post("/execute/async", {"script": script, "args": list(arguments)})

    def elements(self, selector):
        found = self.post("/elements", {"using": "css selector", "value": selector})
        return [element[ELEMENT] for element in found]

    def click(self, element):
        self.post(f"/element/{element}/click", {})

    def type(self, text):
        self.keys([key for character in text for key in press(character)])

    def keys(self, actions):
        self.post("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def until(self, what, condition):
        """Asks again until `condition` answers something true."""
        end = time.monotonic() + self.patience
        last = None
        while time.monotonic() < end:
            try:
                answer = condition()
                if answer:
                    return answer
            except Failure as why:  # drawn anew between two questions
                last = why
            time.sleep(0.1)
        raise Failure(f"waited {self.patience} s for {what}" + (f"; last: {last}" if last else ""))

    def first(self, what, selector):
        return self.until(what, lambda: self.elements(selector))[0]


def press(key):
    return [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]


@contextmanager
def chromedriver():
    program = shutil.which("chromedriver")
    if not program:
        raise Failure("the program `chromedriver` is not installed (Debian: chromium-driver)")
    command = [program, "--port=0", "--log-level=WARNING"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        for line in process.stdout:
            port = re.search(r"started successfully on port (\d+)", line)
            if port:
                yield f"http://127.0.0.1:{port[1]}"
                return
        raise Failure("chromedriver ended before it listened")
    finally:
        process.terminate()
        process.wait()


def save_screenshot(browser, path):
    with open(path, "wb") as file:
        file.write(base64.b64decode(browser.get("/screenshot")))


def describe(browser, screenshot):
    """Where it went wrong, for the log of a machine that nobody can look at."""
    address = browser.get("/url")
    text = browser.run("return document.body ? document.body.innerText.slice(0, 2000) : ''")
    save_screenshot(browser, screenshot)
    return f"address: {address}\nscreenshot: {screenshot}\npage: {text}"
