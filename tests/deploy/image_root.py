"""Builds the image without an engine, and tries it: python -m tests.deploy.image_root FOLDER

The steps of the Dockerfile are carried out in a clean Debian root, made by debootstrap, with
Debian's Python in place of the base image's. Then containers are begun as compose would: with the
user of the image, a read-only root, their own process table and network, a volume and a mount of
agents; a client talks with them, and they are told to end. For root on Linux, with a network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from tests.deploy.dockerfile import Stage, Step, stages
from tests.runners import ROOT

SUITE = "bookworm"
PACKAGES = "python3,python3-venv,python3-dev,ca-certificates"
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
USER_ID = "10001"
WORK_S = 1200

MOUNTS = """
set -eu
root=$1 data=$2 agents=$3; shift 3
ip link set lo up
mount --bind "$root" "$root"
mount --bind "$data" "$root/srv/myagent/data"
mount --bind "$agents" "$root/app/agents"
mount -o remount,bind,ro "$root"
mount -o remount,bind,ro "$root/app/agents"
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
exec chroot --userspec=10001:10001 "$root" "$@"
"""

TRIAL = """
import asyncio, json, os, signal, subprocess, sys, time
port, health, command = json.loads(sys.argv[1])
for folder in ("/", "/srv/myagent", "/opt/venv", "/app/agents"):
    assert not os.access(folder, os.W_OK), folder
assert os.getuid() == 10001
server = subprocess.Popen(command)
deadline = time.monotonic() + 120
while subprocess.run(health, stderr=subprocess.DEVNULL).returncode:
    assert server.poll() is None and time.monotonic() < deadline, "it is not healthy"
    time.sleep(0.2)
async def talk():
    from myagent.client import Refused, connect
    while True:
        try:
            async with connect(f"ws://127.0.0.1:{port}/") as client:
                end = await client.ask("What is the weather in Beijing?").end()
            break
        except Refused:
            # The site is ready before the first worker is.
            assert time.monotonic() < deadline
            await asyncio.sleep(0.5)
    print("answer:", end.content, flush=True)
    assert "Beijing" in end.content
asyncio.run(talk())
server.send_signal(signal.SIGTERM)
status = server.wait(60)
print("status:", status, flush=True)
sys.exit(status)
"""


def main(folder: Path) -> None:
    attempt_all(build(folder), folder)
    print("The image was built and served in each role.")


def attempt_all(built: Path, folder: Path) -> None:
    image = stages((ROOT / "Dockerfile").read_text("utf-8"))[-1]
    compose = yaml.safe_load((ROOT / "deploy/compose.agent.yaml").read_text("utf-8"))
    named = [
        word.replace("${AGENT_FILE:-my_agent.py}", "my_agent.py")
        for word in compose["services"]["agent"]["command"]
    ]
    site = ["python", "manage.py", "serve", "--host", "0.0.0.0", "--port", "8080"]
    site.append("--with-example")
    for what, command in {"alone": image.command, "named": named, "site": site}.items():
        print(f"== {what}: {' '.join(command)}", flush=True)
        attempt(built, folder / f"volume-{what}", image, command)


def build(folder: Path) -> Path:
    """The root of the last stage."""
    clean = folder / "clean"
    if not clean.exists():
        run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(clean)])
        shutil.copy("/etc/resolv.conf", clean / "etc/resolv.conf")
        # Of networks that look into what is fetched.
        shutil.copy(f"/{CERTIFICATES}", clean / CERTIFICATES)
        for name in ("python", "python3"):
            (clean / "usr/local/bin" / name).symlink_to("/usr/bin/python3")
    roots: dict[str, Path] = {}
    for number, stage in enumerate(stages((ROOT / "Dockerfile").read_text("utf-8"))):
        root = folder / f"stage-{number}"
        shutil.rmtree(root, ignore_errors=True)
        run(["cp", "--archive", str(clean), str(root)])
        for step in stage.steps:
            carry_out(step, root, roots)
        roots[stage.name] = root
    return root


def carry_out(step: Step, root: Path, stages_before: Mapping[str, Path]) -> None:
    print(f"-- {step.instruction} {step.words}"[:100], flush=True)
    if step.instruction == "RUN":
        passed = ("PIP_", "SSL_", "http_", "https_", "HTTP_", "HTTPS_")
        given = {name: value for name, value in os.environ.items() if name.startswith(passed)}
        path = Stage("").environment | {"HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
        run(["chroot", str(root), "/bin/sh", "-c", step.words], given | path)
    elif step.instruction == "COPY":
        copy(step.words.split(), root, stages_before)


def copy(words: Sequence[str], root: Path, stages_before: Mapping[str, Path]) -> None:
    *flags, source, target = words
    to = root / target.lstrip("/")
    if flags:
        start = stages_before[flags[0].removeprefix("--from=")] / source.lstrip("/")
        run(["cp", "--archive", str(start), str(to)])
    elif source == ".":
        ignore = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        kept = [line[1:] for line in ignore if line.startswith("!")]
        listed = subprocess.run(
            ["git", "ls-files", "-z", *kept], cwd=ROOT, check=True, capture_output=True
        )
        pack = [
            "cp",
            "--archive",
            "--parents",
            "--no-preserve=ownership",
            f"--target-directory={to}",
        ]
        names = [name for name in listed.stdout.decode().split("\0") if name]
        subprocess.run([*pack, *names], cwd=ROOT, check=True)
    else:
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, to)


def attempt(root: Path, volume: Path, image: Stage, command: list[str]) -> None:
    """Starts a container, lets it answer, and tells it to end."""
    agents = volume.with_name(f"{volume.name}-agents")
    for made in (volume, agents):
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
    shutil.copy(ROOT / "examples/ws_weather_agent.py", agents / "my_agent.py")
    run(["chown", "-R", f"{USER_ID}:{USER_ID}", str(volume)])
    given = json.dumps([8080, image.health, command])
    inside = ["/usr/bin/env", "-C", image.last("WORKDIR"), "python", "-c", TRIAL, given]
    mounted = ["sh", "-c", MOUNTS, "sh", *map(str, (root, volume, agents)), *inside]
    alone = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]
    run([*alone, *mounted], image.environment | {"HOME": "/home/myagent"})


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=True, timeout=WORK_S)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]).resolve())
