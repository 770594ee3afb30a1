"""What debian_root does within the root's network and process table."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

from tests.deploy.debian_root import HOST, Shell, blocks
from tests.runners import ROOT

PACKAGES_UNITS = "systemctl start mariadb redis-server nginx"
"""What systemd does when it is told to install them."""

BACK = """\
ln -sfn myagent-1 /opt/myagent
cd /opt/myagent
cp deploy/systemd/*.service /etc/systemd/system/
install deploy/systemd/myagent-site /usr/local/bin/
systemctl daemon-reload
cp deploy/nginx.conf /etc/nginx/
cp deploy/nginx/proxy.conf /etc/nginx/nginx/
nginx -t && systemctl reload nginx
systemctl restart myagent-server
systemctl restart myagent-supervisor
myagent-site services restart weather
"""
"""What the page says about the way back."""

JOURNAL = "journalctl --unit myagent-server"
PASSWORD = r"Log in as 'admin' with the password (\S+)"
READY_S = 60.0

AS_CLIENT = """\
runuser -u nobody -- env SSL_CERT_FILE=/etc/nginx/tls/fullchain.pem HOME=/nonexistent \\
    /opt/myagent/.venv/bin/python - {given} <<'PROGRAM'
{program}
PROGRAM
"""
"""Somebody of the machine who knows no more than clients do."""

TALK = f"""
import asyncio, sys
from myagent.client import NotAllowed, connect
async def attempt(token):
    async with connect("wss://{HOST}/services/weather/", token=token) as client:
        end = await client.ask("What is the weather in Beijing?").end()
        assert "Beijing" in end.content, end
        return end.content
print("answer:", asyncio.run(attempt(sys.argv[1])))
try:
    asyncio.run(attempt("myagent_wrong"))
except NotAllowed:
    sys.exit()
sys.exit("Whoever has no token got an answer.")
"""

LOG_IN = f"""
import http.cookiejar, re, sys, urllib.error, urllib.parse, urllib.request
cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
browser = urllib.request.build_opener(cookies)
def ask(path, **fields):
    body = urllib.parse.urlencode(fields).encode() or None
    request = urllib.request.Request("https://{HOST}" + path, body, {{"Referer": "https://{HOST}/"}})
    try:
        with browser.open(request, timeout=30) as answer:
            return answer.status, answer.geturl(), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, path, ""
assert ask("/metrics")[0] in (401, 403), ask("/metrics")
assert ask("/health/ready")[0] == 200
_, url, page = ask("/admin/")
assert "/login/" in url, url
proof = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', page)[1]
path = url.removeprefix("https://{HOST}")
status, url, page = ask(path, csrfmiddlewaretoken=proof, username="admin", password=sys.argv[1])
assert (status, url) == (200, "https://{HOST}/admin/"), (status, url)
assert ask("/console")[0] == 200
print("logged in at", url)
"""


def main(root: Path) -> None:
    shell = Shell(root)
    fetch, settle, start, proxy, first, *later = blocks(
        (ROOT / "docs/deploying.md").read_text("utf-8")
    )
    shell.carry_out(fetch)
    shell.carry_out(PACKAGES_UNITS)
    for block in (settle, start, proxy):
        shell.carry_out(block)
    password = first_password(shell)
    said = shell.carry_out(first)
    token = re.search(r"^myagent_\w+$", said, re.MULTILINE)
    assert token, said
    use(shell, token[0], password)
    for block in later:
        shell.carry_out(block)
    use(shell, token[0], password)
    shell.carry_out(BACK)
    use(shell, token[0], password)
    print(f"A site was set up on {root.name}, used and upgraded, by the page alone.")


def first_password(shell: Shell) -> str:
    """What the server has said, once it is ready, which it is after `systemctl` has returned."""
    deadline = time.monotonic() + READY_S
    while not (found := re.search(PASSWORD, said := shell.carry_out(JOURNAL))):
        assert time.monotonic() < deadline, said
        time.sleep(1)
    return found[1]


def use(shell: Shell, token: str, password: str) -> None:
    for program, given in ((TALK, token), (LOG_IN, password)):
        shell.carry_out(AS_CLIENT.format(program=program, given=given))
    shell.carry_out("myagent-site doctor; myagent-site check --deploy --fail-level WARNING")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
