"""Every command speaks the language of the terminal's locale, which need not be installed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import copy_migrated
from tests.managed_site import Command, ManagedSite
from tests.ports import free_port
from tests.runners import ROOT
from tests.terminals import Terminal

from .conftest import AGENT_FILES

MANAGE = ("manage.py",)
MANAGER = ("-m", "myagent.manager.cli.manager")
SERVER = ("-m", "myagent.cli.server")
PARROT = str(AGENT_FILES / "parrot.py")
CHINESE = re.compile("[\u4e00-\u9fff]")
ZH, C = {"LC_ALL": "zh_CN.UTF-8"}, {"LC_ALL": "C"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ManagedSite]:
    database = tmp_path / "agent_manager.db"
    copy_migrated(database)
    site = ManagedSite(
        f"sqlite:///{database}", tmp_path, MYAGENT_SUPERVISOR="auto", PYTHONPATH=str(ROOT)
    )
    try:
        yield site
    finally:
        site.close()


def run(
    site: ManagedSite,
    *arguments: str,
    locale: dict[str, str] = ZH,
    program: tuple[str, ...] = MANAGE,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *program, *arguments],
        cwd=ROOT,
        env=site.environment | locale,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=90,
        check=False,
    )


def shown(site: ManagedSite, *arguments: str, locale: dict[str, str] = ZH) -> str:
    """What a command shows in a terminal."""
    command = [sys.executable, "manage.py", *arguments]
    with Terminal(command, ROOT, site.environment | locale) as terminal:
        assert terminal.wait() == 0
        return terminal.text


def test_services_are_looked_after_in_chinese_and_their_logs_stay_english(
    site: ManagedSite,
) -> None:
    done = run(site, "services", "register", "parrot", PARROT, "--auto-start")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        r"parrot 已注册（.+）。\nparrot 正在运行，但还无法与它对话：请用 manage.py serve "
        r"启动站点。\n",
        done.stdout,
    )
    assert "运行中" in shown(site, "services", "list")
    assert run(site, "services", "stop", "parrot").stdout == "parrot 已停止。\n"
    logs = list((site.folder / "var" / "logs").rglob("*.log"))
    assert len(logs) == 2, "the supervisor's and the service's"
    for log in logs:
        assert not CHINESE.search(log.read_text()), log
    assert "Supervising the services of" in "".join(log.read_text() for log in logs)
    assert run(site, "services", "unregister", "parrot").stdout == "parrot 已注销。\n"


@pytest.mark.long
def test_a_service_that_fails_keeps_what_happened_and_not_in_whose_language(
    site: ManagedSite, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("agent = None\n")
    done = run(site, "services", "register", "broken", str(broken), "--auto-start")
    assert done.returncode == 1
    assert done.stderr.startswith("broken 失败：")
    english = run(site, "services", "status", "broken", "--json", locale=C).stdout
    assert "has no agent" in english
    assert not CHINESE.search(english)


@pytest.mark.long
def test_rows_for_programs_and_json_are_the_same_in_every_language(site: ManagedSite) -> None:
    run(site, "services", "register", "parrot", PARROT)
    for looking in (["list"], ["list", "--json"], ["status", "parrot", "--json"], ["stats"]):
        chinese, english = (run(site, "services", *looking, locale=locale) for locale in (ZH, C))
        assert (chinese.stdout, chinese.stderr) == (english.stdout, ""), looking
        assert "stopped" in english.stdout or looking == ["stats"]


def test_a_terminal_shows_heads_and_states_in_its_language(site: ManagedSite) -> None:
    # A name is nobody's word.
    run(site, "services", "register", "running", PARROT)
    heads, row = shown(site, "services", "list").splitlines()
    assert heads.split() == ["名称", "状态", "进程"], "columns of nothing are left out"
    assert row.split()[:2] == ["running", "已停止"]
    heads, row = shown(site, "services", "list", locale=C).splitlines()
    assert heads.split() == ["name", "status", "processes"]
    assert row.split()[:2] == ["running", "stopped"]


@pytest.mark.parametrize(
    ("arguments", "chinese", "english", "status"),
    [
        (["services", "start", "nope"], "没有名为“nope”的服务。", "There is no service 'nope'.", 1),
        (["services", "logs", "x", "-n", "x"], "“x”不是数字。", "'x' is not a number.", 2),
        (["services", "stop", "--help"], "最长等待秒数（120）", "to wait for it at most (120)", 0),
        pytest.param(
            ["supervise", "--help"],
            "两次健康检查之间的秒数",
            "seconds between health checks",
            0,
            marks=pytest.mark.long,
        ),
        pytest.param(
            ["serve", "--help"],
            "运行站点并监管其服务",
            "Serves the site and supervises",
            0,
            marks=pytest.mark.long,
        ),
        (["runagent", "no.py"], "no.py：没有该文件。", "no.py: there is no such file.", 78),
        pytest.param(
            ["runagent"], "请指定一个智能体文件", "Name an agent file", 2, marks=pytest.mark.long
        ),
        pytest.param(
            ["runagent", "--port", "x", "f"],
            "“x”不是端口",
            "'x' is not a port",
            2,
            marks=pytest.mark.long,
        ),
        (["chat"], "这里不是终端", "This is not a terminal", 2),
        pytest.param(
            ["chat", "--help"],
            "在终端中与服务对话。",
            "Talks to a service from a terminal.",
            0,
            marks=pytest.mark.long,
        ),
        (
            ["chat", "ws://localhost:1/", "--message", "x"],
            "该处没有程序在监听",
            "nothing listens",
            3,
        ),
    ],
)
def test_refusals_and_help_follow_the_locale(
    site: ManagedSite, arguments: list[str], chinese: str, english: str, status: int
) -> None:
    for locale, sentence in ((ZH, chinese), (C, english)):
        done = run(site, *arguments, locale=locale)
        assert sentence in done.stdout + done.stderr
        assert done.returncode == status


@pytest.mark.parametrize(
    ("program", "arguments", "chinese", "english"),
    [
        (MANAGER, ["--help"], "将智能体注册为服务", "registers agents as services"),
        (MANAGER, ["stop", "no"], "没有名为“no”的服务。", "There is no service 'no'."),
        (MANAGER, ["daemon", "--help"], "启动、停止并检查", "Starts, stops and checks"),
        (MANAGER, ["--db-path"], "需要一个 SQLite 文件的路径", "needs the path of an SQLite file"),
        (MANAGER, ["--db-path", "/no/x", "list"], "没有文件夹 /no", "There is no folder /no"),
        (SERVER, [], "通过 WebSocket 提供智能体文件的服务", "serves an agent file over WebSocket"),
        (SERVER, ["nope"], "没有命令 'nope'。", "There is no command 'nope'."),
        (SERVER, ["server", "no.py"], "no.py：没有该文件。", "no.py: there is no such file."),
    ],
)
@pytest.mark.long
def test_the_other_names_of_the_commands_follow_it_too(
    site: ManagedSite, program: tuple[str, ...], arguments: list[str], chinese: str, english: str
) -> None:
    for locale, sentence in ((ZH, chinese), (C, english)):
        done = run(site, *arguments, locale=locale, program=program)
        assert sentence in done.stdout + done.stderr


def test_an_agent_file_is_served_with_a_chinese_greeting_and_an_english_log(
    site: ManagedSite,
) -> None:
    port = str(free_port())
    serving = Command(site, "runagent", PARROT, "--port", port, "--debug", **ZH)
    serving.wait_for_log(f"parrot 已就绪：ws://localhost:{port}/")
    talking = Terminal(
        [sys.executable, "manage.py", "chat", f"ws://localhost:{port}/"],
        ROOT,
        site.environment | ZH,
    )
    with talking as terminal:
        # What the service says is in the terminal's language as well.
        terminal.until("已开始与", "的对话。", "会话", "›")
        terminal.interrupt()
        terminal.until("再按一次 Ctrl-C，或按 Ctrl-D 退出。", "›")
        terminal.press("\x04")
        terminal.until("如需继续：manage.py chat")
        assert terminal.wait() == 0
    assert serving.stop() == 0
    # Except for the greeting, each line of which is translated.
    lines = [line for line in serving.log.splitlines() if line.startswith("{")]
    assert lines
    assert not CHINESE.search("\n".join(lines))


@pytest.mark.long
def test_the_site_is_served_with_a_chinese_greeting_and_speaks_english_to_others(
    site: ManagedSite,
) -> None:
    serving = Command(site, "serve", "--port", "0", "--debug", **ZH)
    serving.wait_for_log("站点已就绪：http://localhost:").wait_for_log("仅显示这一次")
    assert "控制台" in serving.log and "追踪" in serving.log
    assert serving.stop() == 0
    assert "正在停止服务" in serving.log
    lines = [line for line in serving.log.splitlines() if line.startswith("{")]
    assert lines
    assert not CHINESE.search("\n".join(lines))
