"""Known weaknesses of what is locked: `python -m tests.supply.audit`, a step of `scripts/check`.

It asks OSV about the Python packages, and npm's registry about the JavaScript. What they know fails
the step. Where they can't be reached nothing is known: that is said, loudly, and passes.

`AUDIT_OSV_URL` names another service of OSV's form, such as a mirror.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.runners import ROOT

LOCKS = ("requirements-dev.txt",)
"""It contains the others."""

ACCEPTED: dict[str, str] = {}
"""Weaknesses that do not touch the site, by their id, and why."""

PATIENCE_S = 600.0


class Unreachable(Exception):
    """The service told nothing; the message is its own."""


def python_weaknesses(locks: list[Path], osv_url: str) -> list[str]:
    """Raises `Unreachable`."""
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", "10", "--vulnerability-service", "osv"]
    command += ["--osv-url", osv_url] if osv_url else []
    for lock in locks:
        command += ["--requirement", str(lock)]
    told = _told(command, ROOT)
    return [
        f"{each['name']} {each['version']}: {found['id']}"
        + (f", mended in {', '.join(found['fix_versions'])}" if found["fix_versions"] else "")
        for each in told["dependencies"]
        for found in each.get("vulns", ())
        if not ACCEPTED.keys() & {found["id"], *found["aliases"]}
    ]


def npm_weaknesses(folder: Path) -> list[str]:
    """Of the JavaScript that is copied, and of what tests use. Raises `Unreachable`."""
    if shutil.which("npm") is None:
        raise Unreachable("npm is not installed")
    told = _told(["npm", "audit", "--json"], folder)
    if "vulnerabilities" not in told:
        raise Unreachable(str(told.get("message") or told.get("error") or told)[:200])
    return [
        f"{name} {each.get('range', '')}: {each.get('severity', 'unknown')}"
        for name, each in told["vulnerabilities"].items()
    ]


def _told(command: list[str], folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        # Its last line is the reason; before it there may be a traceback.
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise Unreachable(lines[-1][:200]) from error
    return told


def main() -> int:
    locks = [ROOT / name for name in LOCKS]
    asked = {
        "Python": lambda: python_weaknesses(locks, os.environ.get("AUDIT_OSV_URL", "")),
        "JavaScript": lambda: npm_weaknesses(ROOT / "frontend"),
    }
    has_found = False
    for kind, ask in asked.items():
        try:
            found = ask()
        except (Unreachable, subprocess.TimeoutExpired) as error:
            print(
                f"NOT AUDITED: nobody could be asked about known weaknesses of the {kind} packages "
                f"({error}). Run scripts/check where that service can be reached.",
                file=sys.stderr,
            )
            continue
        for weakness in found:
            print(f"{kind}: {weakness}", file=sys.stderr)
        has_found |= bool(found)
        print(f"{kind}: {len(found)} known weaknesses.", file=sys.stderr)
    return int(has_found)


if __name__ == "__main__":
    sys.exit(main())
