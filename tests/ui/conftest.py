"""A real JupyterLab in a real browser, in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Response, expect, sync_playwright

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "ui"
TIMEOUT_S = 90  # of a busy machine
expect.set_options(timeout=1000 * TIMEOUT_S)
INSTALL = "apt-get install chromium"
# Outputs of cells that ended badly, or warned.
COMPLAINTS = "[data-mime-type='application/vnd.jupyter.stderr'], [data-mime-type='application/vnd.jupyter.error']"


@dataclass
class Lab:
    """A running JupyterLab: its address, the folder it serves, and the word that lets one in."""

    url: str
    root: Path
    token: str = "t"


@dataclass
class Session:
    """A page that shows JupyterLab, with what the browser complained about."""

    page: Page
    problems: list[str] = field(default_factory=list)

    def command(self, name: str, **arguments: object) -> None:
        """Execute a command of JupyterLab and wait for its end."""
        self.page.evaluate("([name, args]) => window.jupyterapp.commands.execute(name, args)", [name, arguments])

    def theme(self, name: str) -> None:
        """Change the theme of JupyterLab to its "Light" or "Dark" one and wait until it is drawn."""
        self.command("apputils:change-theme", theme=f"JupyterLab {name}")
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=f"JupyterLab {name}")
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    @contextmanager
    def saved(self, *texts: str) -> Iterator[None]:
        """Wait at the end until JupyterLab has saved its workspace with all of these texts in it."""

        def has_them(response: Response) -> bool:
            request = response.request
            data = (request.post_data or "").replace("\\", "")
            return "/api/workspaces/" in request.url and request.method == "PUT" and all(t in data for t in texts)

        with self.page.expect_response(has_them):
            yield

    def open(self, path: str) -> Locator:
        """Open a notebook in place of what was open; returns its panel."""
        self.close_all()
        self.command("docmanager:open", path=path)
        panel = self.page.locator(".jp-NotebookPanel")
        panel.locator(".jp-Cell").first.wait_for()
        return panel

    def close_all(self) -> None:
        """Close what is open in the main area, without being asked whether to save it, and what lies over everything.

        That is the dialog of a notebook that was still being opened when a test removed it.
        """
        self.page.evaluate("[...window.jupyterapp.shell.widgets('main')].forEach(widget => widget.dispose())")
        self.page.evaluate("document.querySelectorAll('.jp-Dialog button.jp-mod-accept').forEach(one => one.click())")

    def await_kernel(self) -> None:
        """Wait until the kernel of the open notebook has dealt with what it was sent.

        Before it answers for the first time, cells that are run are dropped silently.
        """
        self.page.evaluate(
            """async () => {
                const context = window.jupyterapp.shell.currentWidget.sessionContext;
                await context.ready;
                await context.session.kernel.info;
                await context.session.kernel.requestKernelInfo();
            }"""
        )

    def shoot(self, name: str) -> None:
        """Keep a picture for whoever wants to look."""
        self.page.screenshot(path=self.picture(name))

    def picture(self, name: str) -> Path:
        """Where a picture of this name is kept."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        return SHOTS / f"{name}.png"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        reason = f"the browser tests need chromium; type: {INSTALL}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        # chromium refuses its sandbox to root, and a container has little /dev/shm
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(url: str) -> bool:
    """Whether the server at this address answers."""
    try:
        with urllib.request.urlopen(f"{url}/api?token=t", timeout=1):
            return True
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def own_folders(state: Path) -> dict[str, str]:
    """The variables of an environment in which Jupyter keeps all that it keeps below this folder, and asks nothing."""
    quiet = state / "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    return {name: str(state / folder) for name, folder in folders.items()}


@contextmanager
def started(
    command: list[str], folder: Path, environment: dict[str, str], log: Path, ready: Callable[[], bool], patience_s: int
) -> Iterator[None]:
    """A program that runs until the end of the block, which begins when it is ready; fails with its log if it is not.

    It has a process group of its own, which is told to end as a whole.
    """
    with log.open("wb") as output:
        program = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        end = time.monotonic() + patience_s
        while not ready():
            if time.monotonic() > end or program.poll() is not None:
                pytest.fail(f"{' '.join(command)} did not start:\n{log.read_text()}")
            time.sleep(0.1)
        yield
    finally:
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGTERM)
        program.wait(TIMEOUT_S)


@contextmanager
def serving(program: str, root: Path, state: Path) -> Iterator[Lab]:
    """JupyterLab (``jupyterlab``) or Notebook 7 (``notebook``) over a folder."""
    url = f"http://127.0.0.1:{free_port()}"
    options = [
        "--no-browser",
        "--allow-root",
        "--expose-app-in-browser",
        "--ip=127.0.0.1",
        f"--port={url.rpartition(':')[2]}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=t",
        f"--ServerApp.root_dir={root}",
    ]
    command = [sys.executable, "-m", program, *options]
    environment = os.environ | own_folders(state)
    with started(command, root, environment, state / "server.log", lambda: answers(url), TIMEOUT_S):
        yield Lab(url, root)


@pytest.fixture(scope="session")
def server(browser, tmp_path_factory) -> Iterator[Lab]:
    with serving("jupyterlab", tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("jupyter")) as lab:
        yield lab


@pytest.fixture(scope="module")
def lab(server) -> Lab:
    """The server with an empty folder: no module sees the runs, files and trials of another."""
    for path in server.root.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    (server.root / ".kernelkit").mkdir()  # else the ledger of a folder above, where there is one, would be theirs
    return server


def new_session(browser: Browser) -> Session:
    """An empty page that keeps what the browser complains about."""
    page = browser.new_page(viewport={"width": 1440, "height": 960}, reduced_motion="reduce")
    page.set_default_timeout(1000 * TIMEOUT_S)
    session = Session(page)

    def complain(message: ConsoleMessage) -> None:
        if message.type == "error":
            session.problems.append(f"{message.text} {message.location.get('url', '')}")

    page.on("console", complain)
    page.on("pageerror", lambda error: session.problems.append(str(error)))
    return session


@pytest.fixture(scope="module")
def session(browser, lab) -> Iterator[Session]:
    """JupyterLab as a person finds it; the tests of a module share it, because loading it takes seconds."""
    session = new_session(browser)
    page = session.page
    page.goto(f"{lab.url}/lab?token={lab.token}&reset")
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    page.wait_for_selector(".jp-Launcher")
    yield session
    session.shoot("last")
    page.close()


@pytest.fixture
def asked(session) -> list[str]:
    """The questions about runs that the browser asks from now on."""
    questions: list[str] = []
    session.page.on("request", lambda request: questions.append(request.url))
    return questions
