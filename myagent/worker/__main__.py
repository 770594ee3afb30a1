"""`python -m myagent.worker FILE --socket PATH --instance ID`, or with `--listen` in its place."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from myagent.worker import ORPHAN_AFTER_S, surroundings

if __name__ == "__main__":
    surroundings.clear()

from myagent.worker.logs import FORMATTERS
from myagent.worker.process import Options, run_worker
from myagent.worker.tcp import host_and_port
from myagent.worker.tls import VARIABLE, BadLinkKey


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.socket is None and options.listen is None and options.listen_fd is None:
        parser.error("one of --socket, --listen and --listen-fd is required")
    try:
        return run_worker(Options(**vars(options)))
    except OSError as error:
        where = options.socket or options.listen or f"descriptor {options.listen_fd}"
        print(f"The worker can't listen at {where}: {error}", file=sys.stderr)
    except BadLinkKey as error:
        print(f"The worker can't listen on TCP without its key: {error}.", file=sys.stderr)
    return 1


def _address(text: str) -> tuple[str, int]:
    try:
        return host_and_port(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m myagent.worker",
        description="Carries out an agent file's runs for the servers that dial its socket.",
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--instance", dest="instance_id", required=True, metavar="ID")
    _add_places(parser)
    _add_ends(parser)
    _add_reports(parser)
    return parser


def _add_places(parser: argparse.ArgumentParser) -> None:
    """Where it listens."""
    parser.add_argument("--socket", type=Path, metavar="PATH", help="a Unix socket to listen at")
    over_tcp = parser.add_mutually_exclusive_group()
    over_tcp.add_argument(
        "--listen",
        type=_address,
        metavar="HOST:PORT",
        help=f"listen on TCP, with TLS and the key in {VARIABLE}; port 0: any, which is logged",
    )
    over_tcp.add_argument(
        "--listen-fd",
        type=int,
        metavar="N",
        help="the same at an inherited socket that listens",
    )


def _add_ends(parser: argparse.ArgumentParser) -> None:
    """When it ends by itself."""
    parser.add_argument(
        "--parent-fd",
        type=int,
        metavar="N",
        help="the read end of a pipe: once nobody holds the other end, the worker ends at once",
    )
    parser.add_argument(
        "--orphan-after",
        dest="orphan_after_s",
        type=float,
        default=ORPHAN_AFTER_S,
        metavar="S",
        help="seconds without a link after which it ends (default: %(default)g)",
    )


def _add_reports(parser: argparse.ArgumentParser) -> None:
    """What it says, and where."""
    parser.add_argument(
        "--failure",
        type=Path,
        metavar="PATH",
        help="where to write, as JSON, why the file can't be loaded",
    )
    parser.add_argument("--debug", dest="is_debug", action="store_true", help="say more")
    parser.add_argument(
        "--terminal",
        dest="on_terminal",
        action="store_true",
        help="a person reads its standard error: say less",
    )
    parser.add_argument(
        "--log-form",
        choices=FORMATTERS,
        default="lines",
        help="how its own log is written (default: %(default)s)",
    )
    parser.add_argument(
        "--log-file",
        default="",
        metavar="PATH",
        help="where its own log is added as JSON as well",
    )


if __name__ == "__main__":
    sys.exit(main())
