"""Somebody at the page of `gitpod up`. A module of page_browser.py."""

import json
import os
import subprocess
import time

from browser import ENTER, TAB, Browser, Failure, press, save_screenshot

AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, { resultTypes: ["violations"] }).then(
  (found) => done(found.violations.map((it) => it.id + ": " + it.help + " at " + it.nodes.map((n) => n.target).join(", "))),
  (why) => done(["axe: " + why]));
"""


class Person:
    """Somebody at one browser."""

    def __init__(self, arguments, driver, profile, size=(1280, 1000)):
        self.arguments = arguments
        self.browser = Browser(driver, arguments.patience)
        self.browser.open(profile, size=size)
        self.checked = set()

    def gitpod(self, *words):
        command = [self.arguments.gitpod, *words, "-o", "json"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"{words}: {done.stderr}")
        return json.loads(done.stdout)

    # --- what is on the screen ---

    def text(self, selector):
        return self.browser.run(
            "return Array.from(document.querySelectorAll(arguments[0]),"
            " (e) => e.checkVisibility() ? e.textContent : '').join('\\n')", selector)

    def sees(self, what, selector, wanted):
        self.browser.until(f"{what}: {wanted!r} in {selector}", lambda: wanted in self.text(selector))

    def sees_no(self, what, selector):
        self.browser.until(what, lambda: not self.text(selector).strip())

    def named(self, role_selector, name):
        """The one visible element whose accessible name is or begins with `name`."""
        found = self.browser.run(
            "return Array.from(document.querySelectorAll(arguments[0])).find((e) => e.checkVisibility()"
            " && (e.getAttribute('aria-label') || e.textContent).trim().startsWith(arguments[1]))",
            role_selector, name)
        if not found:
            raise Failure(f"there is no {role_selector} called {name!r}")
        return next(iter(found.values()))

    def click(self, name, selector="button, a.button, summary"):
        element = self.browser.until(f"{name!r} to be there", lambda: self.named(selector, name))
        self.browser.click(element)

    def value(self, selector):
        return self.browser.run("return document.querySelector(arguments[0]).value", selector)

    # --- windows ---

    def windows(self):
        return self.browser.get("/window/handles")

    def to_window(self, handle):
        self.browser.post("/window", {"handle": handle})

    def in_new_window(self, act):
        """Does what opens a window, and goes there. The first is where the page stays."""
        before = set(self.windows())
        act()
        new = self.browser.until("a new window", lambda: set(self.windows()) - before)
        self.to_window(new.pop())

    def close_window(self, back_to):
        self.browser.call("DELETE", self.browser.session + "/window")
        self.to_window(back_to)

    # --- checks ---

    def accessible(self, state):
        """axe-core finds nothing in this state."""
        if not self.arguments.axe:
            return
        with open(self.arguments.axe, encoding="utf-8") as file:
            script = file.read()
        # The page allows no other script than its own; DevTools may.
        self.browser.developer("Page.setBypassCSP", enabled=True)
        found = self.browser.run_async(script + AXE)
        self.browser.developer("Page.setBypassCSP", enabled=False)
        if found:
            raise Failure(f"axe-core, {state}: " + "; ".join(found))
        self.checked.add(state)

    def look(self, name, width, height, colours):
        if not self.arguments.screenshots:
            return
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.browser.developer("Emulation.setDeviceMetricsOverride", **size)
        self.browser.developer("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": colours}])
        overflow = self.browser.run(
            "const e = document.documentElement; return e.scrollWidth > e.clientWidth")
        if overflow:
            raise Failure(f"{name} does not fit {width} px")
        time.sleep(0.3)  # until colours have changed
        save_screenshot(self.browser, os.path.join(self.arguments.screenshots, name + ".png"))


FOCUS = """
const e = document.activeElement;
if (!e || e === document.body) return "";
const label = e.id && document.querySelector(`label[for="${e.id}"]`);
return (e.getAttribute("aria-label") || (label && label.textContent) || e.textContent || e.id).trim();
"""


class Keys:
    """Hands at the keyboard."""

    def __init__(self, person):
        self.person = person
        self.browser = person.browser

    def focus(self):
        return self.browser.run(FOCUS)

    def go_to(self, name):
        """Tabs until what is called so has the focus, and it must be seen that it has."""
        seen = []
        for _ in range(80):
            if self.focus().startswith(name):
                outline = self.browser.run("return getComputedStyle(document.activeElement).outlineStyle")
                border = self.browser.run("return document.activeElement.matches(':focus-visible')")
                if outline == "none" or not border:
                    raise Failure(f"focus on {name!r} is not to be seen")
                return
            self.browser.keys(press(TAB))
            seen.append(self.focus()[:40])
        raise Failure(f"tabs do not lead to {name!r}, but to {seen}")

    def press(self, key):
        self.browser.keys(press(key))

    def activate(self, name, key=ENTER):
        def found():
            self.go_to(name)
            return True
        self.browser.until(f"the keyboard to reach {name!r}", found)
        self.press(key)
