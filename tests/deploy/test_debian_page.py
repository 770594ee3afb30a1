"""What docs/deploying.md has a reader type on a Debian machine: valid, and about what there is.

`python -m tests.deploy.debian_root` carries it out.
"""

from __future__ import annotations

import re
import subprocess

import pytest

from myagent_site.options import OPTIONS
from tests.deploy.debian_root import FETCHING, blocks
from tests.deploy.manifests import parsed
from tests.deploy.systemd_unit import Unit, words_of
from tests.runners import ROOT

BLOCKS = blocks((ROOT / "docs/deploying.md").read_text("utf-8"))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_a_shell_understands_each_block(block: str) -> None:
    done = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_copied_is_there() -> None:
    named = {word for block in BLOCKS for word in re.findall(r"(?<!/)\bdeploy/[\w./*-]+", block)}
    assert len(named) >= 5
    for name in named:
        assert list(ROOT.glob(name)), name


def test_the_settings_that_are_written_exist() -> None:
    [block] = [block for block in BLOCKS if "SECRET_KEY=" in block]
    written = re.findall(r"^(\w+)=", block.partition("site.env <<END")[2], re.MULTILINE)
    assert {"SECRET_KEY", "DATABASE_URL", "MYAGENT_TRUSTED_PROXIES"} <= set(written)
    assert set(written) <= {option.name for option in OPTIONS}


def test_cron_has_commands_of_the_site_and_the_folders_of_their_programs() -> None:
    [block] = [block for block in BLOCKS if "/etc/cron.d/" in block]
    [path] = re.findall(r"^PATH=(.*)$", block, re.MULTILINE)
    assert {"/usr/local/bin", "/usr/sbin", "/usr/bin"} <= set(path.split(":"))
    lines = re.findall(r"^[\d*]+ [\d*]+ \* \* \* root (.*)$", block, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        # To cron a plain one is the end of the line.
        assert not re.search(r"(?<!\\)%", line)
        program, *words = re.sub(r"\$\(.*?\)", "today", line).partition(" && ")[0].split()
        assert program == "myagent-site"
        parsed(["python", "manage.py", *words])


def test_what_is_copied_at_first_is_copied_again_with_a_new_version() -> None:
    first, again = (
        {line for block in part for line in block.splitlines() if "deploy/systemd" in line}
        for part in (BLOCKS[:-1], BLOCKS[-1:])
    )
    assert first == again
    for name in ("deploy/nginx.conf", "deploy/nginx/proxy.conf"):
        assert name in BLOCKS[-1]


def test_what_needs_the_network_is_apart_from_what_needs_the_site() -> None:
    for block in BLOCKS:
        assert not (FETCHING.search(block) and re.search(r"systemctl|myagent-site", block)), block


def test_a_unit_is_read_as_systemd_reads_it() -> None:
    unit = Unit("[Service]\n# A=b\nExecStart=/bin/a \\\n  b %i\nEnvironment=A=1 B=2\n", "weather")
    assert unit.last("ExecStart") == "/bin/a    b weather"
    assert unit.environment() == {"A": "1", "B": "2"}
    assert Unit("A=1\nA=\nA=2").of("A") == ["2"]
    assert Unit("").last("User", "root") == "root"


def test_variables_are_filled_in_as_systemd_does() -> None:
    given = {"MORE": "c d", "ONE": "1"}
    assert words_of("-/bin/a $MORE x${ONE} 'b $ONE' $$ $NONE", given) == [
        *("/bin/a", "c", "d", "x1", "b $ONE", "$")
    ]
