"""The scripts a person runs first, on machines that are not like ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SYSTEM_TOOLS = (
    *("bash", "basename", "cat", "cp", "dirname", "grep", "ln", "ls", "mkdir", "readlink", "rm"),
)

pytestmark = pytest.mark.processes

# Answers for pip, so that no test installs anything; every other call is Python's own.
RECORDING_PIP = """\
import os, pathlib, sys
with open(os.environ["PIP_CALLS"], "a") as calls:
    print(os.environ.get("PIP_PYTHON", ""), *sys.argv[1:], file=calls)
is_meant = os.environ.get("PIP_FAILS_WITH", "") in " ".join(sys.argv)
sys.exit(int(os.environ.get("PIP_STATUS", "0")) if is_meant else 0)
"""


class Checkout:
    """A checkout with the scripts and locks only, and a PATH with nothing but what is put there."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a check out"
        self.tools = folder / "tools"
        self.pip_calls = folder / "pip calls"
        shutil.copytree(ROOT / "scripts", self.root / "scripts")
        for lock in ROOT.glob("requirements*.txt"):
            shutil.copy(lock, self.root)
        self.tools.mkdir()
        for tool in SYSTEM_TOOLS:
            found = shutil.which(tool)
            assert found, tool
            (self.tools / tool).symlink_to(found)
        self.put("apt-get", "echo apt-get is not for tests >&2; exit 100")

    def put(self, name: str, script: str) -> None:
        path = self.tools / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def put_python(self) -> None:
        """A python3 whose environments have a pip that only records how it was called."""
        pip = self.tools / "pip.py"
        pip.write_text(RECORDING_PIP)
        self.put(
            "python3",
            'case "$*" in "-m venv "*)\n'
            f'    "{sys.executable}" -m venv --without-pip --clear "$4" && '
            f'for packages in "$4"/lib/python3*/site-packages; do cp "{pip}" "$packages"; done ;;\n'
            f'*) exec "{sys.executable}" "$@" ;;\nesac',
        )

    def run(
        self, *command: str | Path, cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in command],
            cwd=cwd or self.root.parent,
            env={"PATH": str(self.tools), "PIP_CALLS": str(self.pip_calls), **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @property
    def bootstrap(self) -> Path:
        return self.root / "scripts" / "bootstrap"

    def put_framework(self, name: str, lock: str) -> None:
        folder = self.root / "tests" / "frameworks"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.txt").write_text(lock)

    def installations(self, of: str = "") -> int:
        """How often pip was called, with arguments in which `of` occurs."""
        calls = self.pip_calls.read_text().splitlines() if self.pip_calls.exists() else []
        return sum(of in call for call in calls)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def with_python(checkout: Checkout) -> Checkout:
    checkout.put_python()
    return checkout


def test_the_environment_is_made_once_and_then_left_alone(with_python: Checkout) -> None:
    first = with_python.run(with_python.bootstrap)
    assert first.returncode == 0, first.stderr
    second = with_python.run(with_python.bootstrap)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert with_python.installations() == 1


def test_a_finished_environment_needs_no_interpreter_to_be_recognised(
    with_python: Checkout,
) -> None:
    assert with_python.run(with_python.bootstrap).returncode == 0
    (with_python.tools / "python3").unlink()
    again = with_python.run(with_python.bootstrap)
    assert (again.returncode, again.stderr) == (0, "")


def test_a_changed_lock_is_installed_into_the_same_environment(with_python: Checkout) -> None:
    assert with_python.run(with_python.bootstrap).returncode == 0
    kept = with_python.root / ".venv" / "kept"
    kept.touch()
    with (with_python.root / "requirements-embedded.txt").open("a") as lock:
        lock.write("another==1.0\n")
    assert with_python.run(with_python.bootstrap).returncode == 0
    assert with_python.installations() == 2
    assert kept.exists()


def test_an_installation_that_failed_is_done_anew(with_python: Checkout) -> None:
    assert with_python.run(with_python.bootstrap, PIP_STATUS="1").returncode != 0
    left_over = with_python.root / ".venv" / "left over"
    left_over.touch()
    assert with_python.run(with_python.bootstrap).returncode == 0
    assert not left_over.exists()


def site_path_of(checkout: Checkout) -> list[str]:
    """What an interpreter of its environment has on its path, of the checkout."""
    python = checkout.root / ".venv" / "bin" / "python"
    done = checkout.run(python, "-P", "-c", "import sys; print(*sys.path, sep='\\n')")
    found = [line for line in done.stdout.splitlines() if Path(line).is_relative_to(checkout.root)]
    return [line for line in found if not line.endswith("site-packages")]


def test_programs_of_the_environment_find_the_sdk_and_nothing_else(with_python: Checkout) -> None:
    assert with_python.run(with_python.bootstrap).returncode == 0
    sdk = with_python.root / ".venv" / "sdk"
    assert site_path_of(with_python) == [str(sdk)]
    assert [entry.name for entry in sdk.iterdir()] == ["myagent"]
    assert (sdk / "myagent").readlink() == Path("../../myagent")


def test_an_environment_without_the_sdk_is_mended_in_place(with_python: Checkout) -> None:
    assert with_python.run(with_python.bootstrap).returncode == 0
    venv = with_python.root / ".venv"
    (packages,) = venv.glob("lib/python3*/site-packages")
    (packages / "myagent-sdk.pth").unlink()
    shutil.rmtree(venv / "sdk")
    whole_tree = packages / "myagent-site-tree.pth"
    whole_tree.write_text(f"{with_python.root}\n")
    assert with_python.run(with_python.bootstrap).returncode == 0
    assert site_path_of(with_python) == [str(venv / "sdk")]
    assert with_python.installations() == 1


def test_the_environment_has_the_command_myagent_ws(with_python: Checkout) -> None:
    assert with_python.run(with_python.bootstrap).returncode == 0
    command = with_python.root / ".venv" / "bin" / "myagent-ws"
    command.unlink()
    assert with_python.run(with_python.bootstrap).returncode == 0
    site = with_python.root / "myagent" / "cli"
    site.mkdir(parents=True)
    (site / "server.py").write_text("import sys\ndef main(): print(sys.argv[1:])\n")
    link = with_python.tools / "ws"
    link.symlink_to(command)
    for name in (command, link):
        assert (
            with_python.run(name, "server", "my agent.py").stdout == "['server', 'my agent.py']\n"
        )
    assert with_python.installations() == 1


def test_the_requirements_that_people_type_are_those_of_the_lock() -> None:
    lines = (ROOT / "requirements-ws.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["-r requirements-embedded.txt"]


def test_a_checkout_that_moved_gets_a_new_environment(with_python: Checkout) -> None:
    assert with_python.run(with_python.bootstrap).returncode == 0
    moved = with_python.root.rename(with_python.root.parent / "moved")
    assert with_python.run(moved / "scripts" / "bootstrap").returncode == 0
    assert with_python.installations() == 2


def test_two_at_once_install_once(with_python: Checkout) -> None:
    command = f'"{with_python.bootstrap}" & first=$!; "{with_python.bootstrap}" && wait $first'
    both = with_python.run("bash", "-c", command)
    assert both.returncode == 0, both.stderr
    assert with_python.installations() == 1


def test_a_symlink_from_elsewhere_finds_its_checkout(with_python: Checkout) -> None:
    folder = with_python.root.parent / "bin"
    folder.mkdir()
    (folder / "absolute").symlink_to(with_python.bootstrap)
    (folder / "relative").symlink_to("absolute")
    result = with_python.run("./relative", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert (with_python.root / ".venv" / "bin" / "python").exists()


def test_an_old_python_is_refused_in_a_sentence(checkout: Checkout) -> None:
    checkout.put("python3", 'case "$*" in *version_info*) exit 1 ;; *) echo 3.9.2 ;; esac')
    result = checkout.run(checkout.bootstrap)
    assert result.returncode == 1
    assert "needs Python 3.11 or later; python3 is 3.9.2." in result.stderr
    assert not (checkout.root / ".venv").exists()


def test_without_any_python_a_sentence_says_so(checkout: Checkout) -> None:
    result = checkout.run(checkout.bootstrap)
    assert result.returncode == 1
    assert "there is no python3 on the PATH" in result.stderr


def test_a_python_without_venv_is_told_which_package_it_lacks(checkout: Checkout) -> None:
    checkout.put(
        "python3",
        f'case "$*" in *ensurepip*) exit 1 ;; *) exec "{sys.executable}" "$@" ;; esac',
    )
    result = checkout.run(checkout.bootstrap)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert result.returncode == 1
    assert f"sudo apt-get install python{version}-venv" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")
def test_root_has_the_missing_package_installed(with_python: Checkout) -> None:
    complete = (with_python.tools / "python3").rename(with_python.tools / "complete-python")
    installed = with_python.tools / "installed"
    with_python.put("apt-get", f'echo "$@" >>"{installed}"')
    with_python.put(
        "python3",
        'case "$*" in *ensurepip*)\n'
        f'    grep -qs -e "install.*-venv" "{installed}"; exit ;;\nesac\n'
        f'exec "{complete}" "$@"',
    )
    result = with_python.run(with_python.bootstrap)
    assert result.returncode == 0, result.stderr
    update, install = installed.read_text().splitlines()
    assert "update" in update
    assert install.endswith(f"python{sys.version_info.major}.{sys.version_info.minor}-venv")


def test_without_a_compiler_the_rest_is_installed_and_the_gap_is_said(
    with_python: Checkout,
) -> None:
    result = with_python.run(with_python.bootstrap, "--test")
    assert result.returncode == 0, result.stderr
    assert "SKIPPED: mysqlclient cannot be built here." in result.stderr
    assert "sudo apt-get install default-libmysqlclient-dev" in result.stderr
    installed = (with_python.root / ".venv" / ".partial.txt").read_text()
    assert "pytest==" in installed
    assert "mysqlclient" not in installed
    assert "SKIPPED" in with_python.run(with_python.bootstrap, "--test").stderr


def test_under_ci_nothing_is_skipped(with_python: Checkout) -> None:
    result = with_python.run(with_python.bootstrap, "--test", CI="true")
    assert result.returncode == 1
    assert "mysqlclient cannot be built here." in result.stderr
    assert "SKIPPED" not in result.stderr


def test_each_framework_gets_an_environment_of_its_own_once(with_python: Checkout) -> None:
    names = ("one", "another")
    for name in names:
        with_python.put_framework(name, f"{name}==1.0\n")
    for _ in range(2):
        result = with_python.run(with_python.bootstrap, "--test")
        assert result.returncode == 0, result.stderr
    for name in names:
        python = with_python.root / ".venv" / "frameworks" / name / "bin" / "python"
        prefix = with_python.run(python, "-c", "import sys; print(sys.prefix)")
        assert Path(prefix.stdout.strip()) == python.parents[1]
        assert with_python.installations(f"frameworks/{name}.txt") == 1
        assert with_python.installations(f"{python} install ") == 1


def test_a_framework_is_installed_anew_when_its_lock_changed(with_python: Checkout) -> None:
    for version in ("1.0", "2.0"):
        with_python.put_framework("one", f"one=={version}\n")
        assert with_python.run(with_python.bootstrap, "--test").returncode == 0
    assert with_python.installations("frameworks/one.txt") == 2


def test_only_tests_need_frameworks(with_python: Checkout) -> None:
    with_python.put_framework("one", "one==1.0\n")
    assert with_python.run(with_python.bootstrap).returncode == 0
    assert with_python.installations() == 1
    assert not (with_python.root / ".venv" / "frameworks").exists()


def test_a_framework_that_cannot_be_installed_is_said_and_tried_again(
    with_python: Checkout,
) -> None:
    for name in ("one", "two"):
        with_python.put_framework(name, f"{name}==1.0\n")
    failing = {"PIP_STATUS": "1", "PIP_FAILS_WITH": "frameworks/one.txt"}
    result = with_python.run(with_python.bootstrap, "--test", **failing)
    assert result.returncode == 0, result.stderr
    assert "SKIPPED: The packages of tests/frameworks/one.txt cannot be installed." in result.stderr
    assert with_python.run(with_python.bootstrap, "--test").returncode == 0
    assert with_python.installations("frameworks/one.txt") == 2
    assert with_python.installations("frameworks/two.txt") == 1


AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root installs packages")


def with_apt_get(checkout: Checkout, refused: str = "") -> Path:
    """A fake installer that creates commands of that name; its arguments are in the file."""
    asked = checkout.tools / "asked for"
    tools = checkout.tools
    checkout.put(
        "apt-get",
        f'case "$*" in *update*) exit ;; *{refused or "nothing"}*) exit 100 ;; esac\n'
        f'echo "$@" >>"{asked}"\n'
        'for package; do case "$package" in\n'
        f'redis-server|chromium*|npm) printf "#!/bin/sh\\n" >"{tools}/$package" ;; esac; done\n'
        f'"{shutil.which("chmod")}" +x "{tools}"/*',
    )
    return asked


@AS_ROOT
def test_only_what_is_missing_is_installed(with_python: Checkout) -> None:
    asked = with_apt_get(with_python)
    for present in ("redis-server", "node", "npm"):
        with_python.put(present, "")
    with_python.run(with_python.bootstrap, "--test")
    packages = {word for line in asked.read_text().splitlines() for word in line.split()}
    assert "chromium-headless-shell" in packages
    assert not packages & {"redis-server", "npm", "chromium"}


@AS_ROOT
def test_a_browser_with_windows_is_taken_where_there_is_none_without(with_python: Checkout) -> None:
    asked = with_apt_get(with_python, refused="chromium-headless-shell")
    result = with_python.run(with_python.bootstrap, "--test")
    assert "chromium" in asked.read_text().split()
    assert "Chromium is not installed" not in result.stderr


@AS_ROOT
def test_a_node_js_from_elsewhere_keeps_nothing_from_being_installed(with_python: Checkout) -> None:
    asked = with_apt_get(with_python, refused="npm")
    with_python.put("node", "")
    result = with_python.run(with_python.bootstrap, "--test")
    assert "chromium" in asked.read_text()
    node = with_python.tools / "node"
    assert f"npm is not installed: get the one that belongs to {node}." in result.stderr
    assert "Chromium is not installed" not in result.stderr


def test_production_is_not_production_without_its_database_client(with_python: Checkout) -> None:
    result = with_python.run(with_python.bootstrap, "--production")
    assert result.returncode == 1
    assert "mysqlclient cannot be built here." in result.stderr


@pytest.mark.parametrize("script", ["server", "bootstrap"])
def test_help_needs_no_setting_up(checkout: Checkout, script: str) -> None:
    result = checkout.run(checkout.root / "scripts" / script, "--help")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"Usage: scripts/{script}")


MANAGE = "import sys; print(*sys.argv[1:], sep='|')"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], "SITE"),
        (["--debug"], "SITE|--debug"),
        (["--port", "9000"], "SITE|--port|9000"),
        (["my agent.py"], "runagent|my agent.py"),
        (["--port", "9000", "my.py", "--debug"], "runagent|--port|9000|my.py|--debug"),
        (["--port=9000", "--reload", "my.py"], "runagent|--port=9000|--reload|my.py"),
        (["--python", "a b", "my.py", "--name", "x"], "runagent|--python|a b|my.py|--name|x"),
    ],
)
def test_server_is_the_site_for_want_of_a_file(
    with_python: Checkout, given: list[str], expected: str
) -> None:
    (with_python.root / "manage.py").write_text(MANAGE)
    here = with_python.root.parent
    result = with_python.run(with_python.root / "scripts" / "server", *given, cwd=here)
    folders = f"--agent-dir={with_python.root / 'examples'}|--agent-dir={here}"
    site = f"serve|--with-example|{folders}"
    assert result.stdout.strip() == expected.replace("SITE", site), result.stderr


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--prot", "1"], "There is no option '--prot'."),
        (["my.py", "--prot=1"], "There is no option '--prot=1'."),
        (["-x", "my.py"], "There is no option '-x'."),
        (["my.py", "--port"], "The option --port needs a value."),
        (["--name", "weather"], "The option --name needs an agent file, which is not named."),
    ],
)
def test_server_refuses_what_it_does_not_know_before_it_sets_anything_up(
    checkout: Checkout, given: list[str], sentence: str
) -> None:
    result = checkout.run(checkout.root / "scripts" / "server", *given)
    assert (result.returncode, result.stdout) == (2, "")
    said, _, usage = result.stderr.partition("\n\n")
    assert said == sentence
    assert usage.startswith("Usage: scripts/server")


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "myagent.cli.server", *arguments],
        cwd=ROOT,
        env=os.environ | {"SECRET_KEY": "for tests"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_myagent_ws_alone_says_what_it_is_for() -> None:
    result = cli()
    assert result.returncode == 2
    assert "serves an agent file over WebSocket" in result.stderr


def test_myagent_ws_names_a_command_it_does_not_know() -> None:
    result = cli("frobnicate")
    assert result.returncode == 2
    assert "There is no command 'frobnicate'." in result.stderr


def test_myagent_ws_server_has_the_options_of_runagent() -> None:
    result = cli("server", "--help")
    assert result.returncode == 0, result.stderr
    assert {"--host", "--port", "--debug", "--reload"} <= set(result.stdout.split())
    assert "(localhost)" in result.stdout
    assert "(8080; 0 picks" in " ".join(result.stdout.split())


def test_myagent_ws_serve_is_the_site() -> None:
    result = cli("serve", "--help")
    assert result.stdout.startswith("usage: myagent-ws serve ")
    assert "(8000; 0 picks" in " ".join(result.stdout.split())


def test_the_help_of_myagent_ws_shows_defaults() -> None:
    said = cli("--help").stdout
    assert "--host HOST    address to listen on (localhost)" in said
    assert "--port PORT    port to listen on (8080;" in said
    assert "http://localhost:8000/" in said


def test_the_word_server_may_be_left_out() -> None:
    with_word, without = cli("server", "no_such_agent.py"), cli("no_such_agent.py")
    assert with_word.returncode == without.returncode != 0
    assert "no_such_agent.py" in without.stderr
    assert with_word.stderr == without.stderr
