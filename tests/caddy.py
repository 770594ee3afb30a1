"""A private Caddy, with what docs/deploying.md shows, on ports and with servers of a test's own."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.ports import is_open
from tests.runners import ROOT
from tests.servers import PrivateServer, ServerError

PAGE = ROOT / "docs/deploying.md"
HOST, SERVERS = "agents.example.com", "10.0.0.11:8000 10.0.0.12:8000"

GLOBAL = """\
{{
    admin unix/{folder}/admin.sock
    storage file_system {folder}/storage
    persist_config off
    skip_install_trust
    auto_https disable_redirects
}}
"""


def shown() -> str:
    """The site of the page's Caddyfile."""
    found = re.search(r"^# Caddyfile\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


class Caddy(PrivateServer):
    """With TLS on `port`, by an authority of its own."""

    program = "caddy"

    def __init__(self, ports: Sequence[int] = (9,)) -> None:
        super().__init__()
        self.pass_to(ports)

    def pass_to(self, ports: Sequence[int]) -> None:
        """The servers at these ports of this machine, from the next start or reload on."""
        self._ports = ports

    @property
    def socket_url(self) -> str:
        return f"wss://localhost:{self.port}/"

    @property
    def certificate(self) -> Path:
        """Of its authority. Whoever trusts it may ask Caddy over TLS."""
        return self.folder / "storage/pki/authorities/local/root.crt"

    def install(self) -> None:
        """Nothing: it makes all itself."""

    def write(self) -> Path:
        """The configuration of the next start or reload."""
        text = shown()
        for old in (HOST, SERVERS):
            assert text.count(old) == 1, old
        servers = " ".join(f"127.0.0.1:{port}" for port in self._ports)
        # These servers have one agent alone.
        text = text.replace(SERVERS, servers).replace("/health/ready", "/health")
        text = text.replace(f"{HOST} {{", f"https://localhost:{self.port} {{\n    tls internal")
        file = self.folder / "Caddyfile"
        file.write_text(GLOBAL.format(folder=self.folder) + text, "utf-8")
        return file

    def command(self) -> list[str]:
        return [self.program, "run", "--adapter", "caddyfile", "--config", str(self.write())]

    def answers(self) -> bool:
        return self.certificate.exists() and is_open(self.port)

    def reload(self) -> None:
        """The present configuration; `ServerError` if it is wrong."""
        options = ["--adapter", "caddyfile", "--config", str(self.write())]
        address = ["--address", f"unix/{self.folder}/admin.sock"]
        found = subprocess.run(
            [self.program, "reload", *options, *address],
            capture_output=True,
            text=True,
            check=False,
        )
        if found.returncode:
            raise ServerError(found.stderr)


def is_recent() -> bool:
    """Whether there is one that knows what the page shows: 2.7 or later."""
    if not Caddy.is_installed():
        return False
    program = shutil.which(Caddy.program) or ""
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"v?(\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) >= (2, 7)
