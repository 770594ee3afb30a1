"""Pages on another origin than the agent that they talk to, bundled and served for a test."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.browser.conftest import FRONTEND, Serve, leave_out
from tests.runners import Runner

BUNDLER = Path(__file__).with_name("bundle.mjs")
BUNDLED_PAGE = """<!doctype html><meta charset="utf-8"><title>Chat</title>
<div id="app"></div><script type="module" src="page.js"></script>"""


class Service:
    """A runner that is killed and comes back at the same address."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.runner: Runner = serve()
        self.port = self.runner.port

    def kill(self) -> None:
        self.runner.kill()

    def restart(self) -> None:
        self.close()
        self.runner = self._serve(port=self.port)

    def close(self) -> None:
        self.runner.__exit__()


def installed_modules() -> Path:
    """Where npm's packages are."""
    if shutil.which("npm") is None:
        leave_out("npm")
    installed = FRONTEND / "node_modules"
    if not all((installed / name).exists() for name in ("esbuild", "vue", "react-dom")):
        subprocess.run(
            ["npm", "ci", "--silent", "--prefix", str(FRONTEND)], check=True, timeout=300
        )
    return FRONTEND


def bundle(modules: Path, folder: Path, main: str) -> None:
    """Makes a page of a folder's components. `main`: the script that puts one into `#app`."""
    (folder / "index.html").write_text(BUNDLED_PAGE, encoding="utf-8")
    (folder / "main.jsx").write_text(main, encoding="utf-8")
    command = ["node", BUNDLER, modules, folder / "main.jsx", folder / "page.js"]
    subprocess.run(command, check=True, timeout=60)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder and keeps no log."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder that is not where the agent is."""
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def is_lost(line: str) -> bool:
    """Whether a line of the console is about a server that is gone."""
    return "WebSocket connection" in line or "404" in line
