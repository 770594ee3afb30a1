"""What clients write down, and how it is judged: by the log and by what other parts saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bench.site.parts import WholeSite
from tests.crash.witness import assert_promises, assert_valid_contexts, read_log
from tests.recording import TERMINAL, Frame


class LostError(Exception):
    """A promise was broken; the text says which."""


@dataclass(slots=True)
class Turn:
    """One message, in seconds of `time.perf_counter`; `acknowledged` and the rest 0 until then.

    `end` is the event that ended it. `sent`: how many times it had to be sent.
    """

    kind: str
    message_id: str
    began: float
    acknowledged: float = 0.0
    first_text: float = 0.0
    ended: float = 0.0
    end: str = ""
    sent: int = 0


@dataclass(slots=True)
class Account:
    """What one client has of one session: the durable events, in the order in which they came.

    Raises `LostError` if one is missing, comes twice or out of order.
    """

    session_id: str
    durable: list[Frame] = field(default_factory=list)

    @property
    def last_seq(self) -> int:
        return len(self.durable)

    @property
    def has_ended(self) -> bool:
        return bool(self.durable) and self.durable[-1]["event"] == "agent.session_end"

    def note(self, frame: Frame) -> None:
        if "seq" not in frame or frame["session_id"] != self.session_id:
            return
        if frame["seq"] != self.last_seq + 1:
            raise LostError(f"{frame['seq']} after {self.last_seq}: {frame}")
        self.durable.append(frame)


@dataclass(slots=True)
class Diary:
    """Everything that the clients saw. `refusals`: what they had to try again, by its name."""

    turns: list[Turn] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    drops: int = 0
    reads: list[tuple[str, int, float, float]] = field(default_factory=list)
    """REST: path, status (0: no answer), when, and the seconds that it took."""

    def open(self, session_id: str) -> Account:
        account = Account(session_id)
        self.accounts.append(account)
        return account

    def accounts_of_sessions(self) -> dict[str, list[Account]]:
        found: dict[str, list[Account]] = {}
        for account in self.accounts:
            found.setdefault(account.session_id, []).append(account)
        return found


async def judge(site: WholeSite, diary: Diary) -> int:
    """How many entries all clients agree about with the log. Raises `AssertionError`."""
    entries = 0
    for session_id, accounts in diary.accounts_of_sessions().items():
        assert_promises(site.database_url, session_id, *accounts)
        log = read_log(site.database_url, session_id)
        assert_each_once(log)
        entries += len(log)
    accepted = Counter(
        frame["metadata"]["message_id"]
        for accounts in diary.accounts_of_sessions().values()
        for frame in accounts[0].durable
        if frame["event"] == "user.message"
    )
    said = [turn.message_id for turn in diary.turns]
    assert accepted == Counter(said), "what was said is not what was accepted"
    assert_effects_once(site)
    assert_valid_contexts(await site.model.requests())
    return entries


def assert_each_once(log: Sequence[Frame]) -> None:
    """No message was accepted twice, and each that was has one end of its own."""
    accepted = [e["metadata"]["message_id"] for e in log if e["event"] == "user.message"]
    ended = [e["metadata"]["message_id"] for e in log if e["event"] in TERMINAL]
    assert len(set(accepted)) == len(accepted), accepted
    assert sorted(accepted) == sorted(ended)


def assert_effects_once(site: WholeSite) -> None:
    """What must not be done twice was not."""
    file = site.count_dir / "charge"
    done = Counter(file.read_text().split()) if file.exists() else Counter()
    assert set(done.values()) <= {1}, done.most_common(3)


def ended_runs(accounts: Iterable[Account]) -> set[str]:
    """The ids of the runs whose end is in these accounts."""
    return {
        frame["metadata"]["run_id"]
        for account in accounts
        for frame in account.durable
        if frame["event"] in TERMINAL
    }
