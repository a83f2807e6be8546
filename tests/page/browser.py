# SPDX-License-Identifier: MIT
"""A page in a headless Chromium, driven over a pipe (the Chrome DevTools Protocol); no port is
opened, and nothing but Python's own library is needed."""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# What a loaded machine may need for one answer.
PATIENCE = 60


def find():
    """The browser's path, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One tab. `problems` has what the console, uncaught exceptions and the browser itself
    complained of, `requests` every address that the page asked for."""

    def __init__(self, path):
        self.home = tempfile.mkdtemp(prefix="pollux-browser-")
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()
        self.number, self.buffer, self.problems, self.requests = 0, b"", [], []
        self.session, self.waiting_for, self.seen = None, None, set()
        # The protocol is spoken on descriptors 3 and 4. As root or in a container the
        # sandbox cannot be set up; the page is our own.
        self.process = subprocess.Popen(
            [
                "/bin/sh",
                "-c",
                f'exec "$0" "$@" 3<&{to_read} 4>&{to_write}',
                path,
                "--headless",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--no-first-run",
                "--disable-background-networking",
                f"--user-data-dir={self.home}",
                "about:blank",
            ],
            pass_fds=(to_read, to_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_read)
        os.close(to_write)
        target = next(
            t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"
        )
        self.session = self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")

    def close(self):
        # Its helper processes are of its own group.
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    # ---- the protocol: JSON, each message ended by a NUL ----

    def _message(self, end):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.back], [], [], max(0, end - time.monotonic()))
            data = os.read(self.back, 1 << 20) if ready else b""
            if not data:
                raise RuntimeError("the browser " + ("ended" if ready else "does not answer"))
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(line)

    def _note(self, event):
        method, params = event.get("method"), event.get("params", {})
        self.seen.add(method)
        if method == "Runtime.consoleAPICalled" and params["type"] in (
            "error",
            "warning",
            "assert",
        ):
            self.problems.append(
                " ".join(str(a.get("value", a.get("description"))) for a in params["args"])
            )
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.problems.append(params["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while True:
            answer = self._message(end)
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer)

    def wait_for(self, event):
        end = time.monotonic() + PATIENCE
        while event not in self.seen:
            self._note(self._message(end))

    # ---- what a test does ----

    def open(self, file):
        self.problems.clear()
        self.requests.clear()
        self.seen.discard("Page.loadEventFired")
        self.call("Page.navigate", url="file://" + os.path.abspath(file))
        self.wait_for("Page.loadEventFired")

    def window(self, width, height, scale=1):
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 600,
        )

    def prefer(self, **features):
        """prefer(color_scheme="dark", reduced_motion="reduce")"""
        self.call(
            "Emulation.setEmulatedMedia",
            features=[
                {"name": "prefers-" + name.replace("_", "-"), "value": value}
                for name, value in features.items()
            ],
        )

    def ask(self, expression):
        """The value of an expression in the page; a promise is awaited."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def key(self, name, code, modifiers=0):
        text = {"Enter": "\r", " ": " "}.get(name)
        more = {"text": text} if text else {}
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=name,
                code=name,
                modifiers=modifiers,
                windowsVirtualKeyCode=code,
                **(more if kind == "keyDown" else {}),
            )

    def picture(self, file):
        with open(file, "wb") as out:
            out.write(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def paper(self):
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])
