"""What the site is made of, as a CycloneDX document: `python -m myagent_site.sbom`.

It needs nothing but Python: an image writes it while it is built. It tells the packages of a lock
and the copied JavaScript, each with its version and licence; the same ones give the same document.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from myagent_site import version

ROOT = Path(__file__).resolve().parent.parent
VENDOR = Path(__file__).resolve().parent / "static" / "vendor"

PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9._+!-]+)")

LICENCE_OF = "License :: OSI Approved :: "
LONGEST_LICENCE = 80
"""Characters of a licence's name; some packages put the whole text there."""

COPIED = {
    "dompurify": ("dompurify", "(MPL-2.0 OR Apache-2.0)"),
    "highlight": ("@highlightjs/cdn-assets", "BSD-3-Clause"),
    "marked": ("marked", "MIT"),
    "uplot": ("uplot", "MIT"),
}
"""By its folder in `static/vendor`: the package's name in npm, and its licence."""

Json = dict[str, Any]


class UnknownPart(Exception):
    """Something is there of which nothing is known; the message says what."""


def document(lock: Path, vendor: Path) -> Json:
    """Raises `UnknownPart`."""
    parts = [*python_parts(lock.read_text("utf-8").splitlines()), *copied_parts(vendor)]
    site = {"type": "application", "name": "myagent-site", "bom-ref": "myagent-site"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": site
            | {"version": version.of_installation(ROOT), "licenses": licences("MIT")}
        },
        "components": parts,
        "dependencies": [
            {"ref": "myagent-site", "dependsOn": [part["bom-ref"] for part in parts]},
            *({"ref": part["bom-ref"]} for part in parts),
        ],
    }


def python_parts(lines: Iterable[str]) -> Iterator[Json]:
    """Those of a lock. What is not installed here has no licence."""
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        pin = PIN.fullmatch(line.strip())
        if pin is None:
            raise UnknownPart(f"The lock does not pin one version: {line.strip()}")
        yield _part(f"pkg:pypi/{pin['name']}@{pin['version']}", **pin.groupdict()) | _told(
            pin["name"]
        )


def copied_parts(vendor: Path) -> Iterator[Json]:
    """The JavaScript of others that the site serves."""
    for folder in sorted(vendor.iterdir()):
        if folder.name not in COPIED:
            raise UnknownPart(f"static/vendor/{folder.name} is not in the table of the copied.")
        name, licence = COPIED[folder.name]
        number = (folder / "VERSION").read_text("utf-8").strip()
        purl = f"pkg:npm/{name.replace('@', '%40')}@{number}"
        yield _part(purl, name=name, version=number) | {"licenses": licences(licence)}


def _part(purl: str, **facts: str) -> Json:
    return {"type": "library", "bom-ref": purl, **facts, "purl": purl}


def _told(name: str) -> Json:
    try:
        found = licence_in(metadata(name))
    except PackageNotFoundError:
        print(f"{name} is not installed here: its licence is left out.", file=sys.stderr)
        return {}
    return {"licenses": found} if found else {}


def licence_in(told: Any) -> list[Json]:
    """Of a package's metadata: an SPDX expression if it has one, else what it calls its licence."""
    if expression := told.get("License-Expression"):
        return licences(expression)
    names = [
        each.removeprefix(LICENCE_OF)
        for each in told.get_all("Classifier", [])
        if each.startswith(LICENCE_OF)
    ]
    if not names and (own := (told.get("License") or "").strip()):
        names = [own.splitlines()[0][:LONGEST_LICENCE]]
    return [{"license": {"name": name}} for name in names]


def licences(expression: str) -> list[Json]:
    return [{"expression": expression}]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m myagent_site.sbom", description=__doc__)
    parser.add_argument(
        "--lock", type=Path, default=ROOT / "requirements.txt", help="(%(default)s)"
    )
    given = parser.parse_args()
    try:
        found = document(given.lock, VENDOR)
    except (UnknownPart, OSError) as error:
        sys.exit(str(error))
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
