"""A private nginx, started from the files in `deploy/` with ports and servers of a test's own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import ssl
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tests.ports import free_port, is_open
from tests.runners import ROOT
from tests.servers import PrivateServer, ServerError

DEPLOY = ROOT / "deploy"

CERTIFICATE = (
    *("openssl", "req", "-x509", "-nodes", "-days", "30", "-newkey", "ec"),
    *("-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=localhost"),
    *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
)


NOBODYS = 9
"""A port at which nobody listens."""


class Nginx(PrivateServer):
    """With TLS on `port`, and without on `plain_port`.

    `changes`: what is written instead of a text of `deploy/nginx.conf`, which must be there.
    """

    program = "nginx"

    def __init__(
        self, ports: Sequence[int] = (NOBODYS,), *, balancing: str = "least_conn;"
    ) -> None:
        super().__init__()
        self.plain_port = 0
        self.changes: dict[str, str] = {}
        self.pass_to(ports, balancing=balancing)

    def pass_to(self, ports: Sequence[int], *, balancing: str = "least_conn;") -> None:
        """The servers at these ports of this machine, from the next start or reload on."""
        self._ports, self._balancing = ports, balancing

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/"

    @property
    def socket_url(self) -> str:
        return f"wss://localhost:{self.port}/"

    @property
    def certificate(self) -> Path:
        """Whoever trusts it may ask nginx over TLS: `SSL_CERT_FILE` of Python's programs."""
        return self.folder / "tls" / "fullchain.pem"

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    def install(self) -> None:
        shutil.copytree(DEPLOY / "nginx", self.folder / "nginx")
        for name in ("tls", "temporary", "nginx/extra"):
            (self.folder / name).mkdir(exist_ok=True)
        names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        kept = [f"{name}_temp_path {self.folder}/temporary/{name};" for name in names]
        (self.folder / "nginx/extra/tests.conf").write_text("\n".join(kept), "utf-8")
        key = self.certificate.with_name("privkey.pem")
        command = [*CERTIFICATE, "-keyout", str(key), "-out", str(self.certificate)]
        subprocess.run(command, check=True, capture_output=True)

    def write(self) -> None:
        """The configuration of the next start or reload."""
        self.plain_port = self.plain_port or free_port()
        text = (DEPLOY / "nginx.conf").read_text("utf-8")
        for old, new in self.changes.items():
            assert old in text, old
            text = text.replace(old, new)
        # On loopback alone, where a machine may not have the newer kind of addresses.
        text = re.sub(r"\n *listen \[::\].*", "", text)
        text = text.replace("listen 80 ", f"listen 127.0.0.1:{self.plain_port} ")
        text = text.replace("listen 443 ", f"listen 127.0.0.1:{self.port} ")
        (self.folder / "nginx.conf").write_text(text, "utf-8")
        servers = (DEPLOY / "nginx/servers.conf").read_text("utf-8")
        example = re.search(r"^server 127\.0\.0\.1:8000 (.*);$", servers, re.MULTILINE)
        assert example, servers
        lines = [f"server 127.0.0.1:{port} {example[1]};" for port in self._ports]
        servers = servers.replace(example[0], "\n".join(lines))
        assert "\nleast_conn;" in servers
        servers = servers.replace("\nleast_conn;", f"\n{self._balancing}")
        (self.folder / "nginx/servers.conf").write_text(servers, "utf-8")

    def command(self) -> list[str]:
        self.write()
        own = f"daemon off; pid {self.folder}/pid;"
        if os.geteuid() == 0:
            own += " user root;"  # Who else may enter this folder?
        return [self.program, "-p", str(self.folder), "-c", f"{self.folder}/nginx.conf", "-g", own]

    def answers(self) -> bool:
        return is_open(self.port)

    def reload(self) -> None:
        """The present configuration; `ServerError` if it is wrong."""
        found = subprocess.run([*self.command(), "-t"], capture_output=True, text=True, check=False)
        if found.returncode:
            raise ServerError(found.stderr)
        os.kill(self.pid, signal.SIGHUP)

    def _end(self, how: signal.Signals) -> None:
        # Workers of a killed nginx would serve on, and keep its ports.
        if how == signal.SIGKILL and self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, how)
        super()._end(how)
