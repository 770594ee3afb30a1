"""The private servers that other tests stand on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import ExitStack

import MySQLdb
import pytest

from tests.conftest import OutsideCall
from tests.ports import free_port
from tests.runners import ROOT
from tests.servers import MariaDB, Redis, ServerError, execute_sql

pytestmark = pytest.mark.processes


@pytest.mark.skipif(not MariaDB.is_installed(), reason="mariadbd is not installed")
def test_mariadb_keeps_its_port_and_its_data_when_it_is_killed_and_restarted() -> None:
    with MariaDB() as server:
        port = server.port
        execute_sql(port, "CREATE DATABASE kept")
        server.kill()
        with pytest.raises(MySQLdb.OperationalError):
            execute_sql(port, "SELECT 1")
        server.restart()
        assert server.port == port
        execute_sql(port, "DROP DATABASE kept")


@pytest.mark.skipif(not Redis.is_installed(), reason="redis-server is not installed")
def test_a_stopped_server_leaves_neither_a_process_nor_a_folder() -> None:
    with Redis() as server:
        pid, folder = server.pid, server.folder
    server.stop()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ServerError):
        _ = server.pid


def test_a_test_cannot_reach_another_machine() -> None:
    with socket.socket() as outside, pytest.raises(OutsideCall):
        outside.connect(("192.0.2.1", 443))
    with pytest.raises(OutsideCall):
        socket.getaddrinfo("api.example.com", 443)


def test_no_two_processes_choose_the_same_port() -> None:
    ask = "from tests.ports import free_port; print(*{free_port() for _ in range(250)})"
    command = [sys.executable, "-c", f"{ask}; input()"]
    with ExitStack() as stack:
        others = [
            stack.enter_context(
                subprocess.Popen(
                    command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(2)
        ]
        lines = [other.stdout.readline() for other in others if other.stdout is not None]
        for other in others:
            other.communicate("\n")
    chosen = [free_port() for _ in range(250)] + [
        int(port) for line in lines for port in line.split()
    ]
    assert len(chosen) == len(set(chosen)) == 750
