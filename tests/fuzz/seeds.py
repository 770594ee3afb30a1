"""Messages of a link, each kind once, as both ends write them: others are made from these."""

from __future__ import annotations

from myagent.messages import ChatMessage, ToolCall
from myagent.models.base import Usage
from myagent.sentence import Said
from myagent.steps import (
    Answer,
    ConfirmationAsked,
    Decision,
    OpenCall,
    Resume,
    Thought,
    ToolFinished,
    ToolStarted,
)
from myagent.worker import protocol
from myagent.worker.codec import encode

KEY = protocol.RunKey("s", 1, 1)
CALL = ToolCall("c", "f", '{"a": 1}')
ASSISTANT = ChatMessage("assistant", "hi", (CALL,))
RESULT = ChatMessage("tool", "1", (), "c")
DECISION = Decision(True, {"a": 1}, "yes")

STEPS = [
    Thought(1, "r", ASSISTANT, Usage(1, 2), 5),
    ConfirmationAsked("s1", "f", {"a": [1]}, 300.0, "d", {"type": "object"}),
    ToolStarted("s1", "f", {"a": 1}),
    ToolFinished("s1", "f", "success", "1", 5, RESULT, None),
    Answer("hi", 1, Usage(1, 2), "answer", None),
]

FROM_WORKER = [
    *(
        encode(message)
        for message in (
            protocol.Ready(
                protocol.VERSION,
                "i",
                1,
                protocol.AgentInfo(
                    "a", "d", [protocol.ToolInfo("f", "d", True, False, 60.0)], "m", 9
                ),
            ),
            protocol.Unfit(1),
            protocol.Pong(1, protocol.Report(1, 1, 1.5, 0)),
            protocol.Draining(),
            protocol.Debugging(True),
            protocol.Stepping(KEY, 1),
            protocol.Text(KEY, 1, "hi"),
            protocol.NeedHistory(KEY),
            protocol.Stopped(KEY, "failed", Said("x {y}", {"y": Said("z", {})}), True, "d"),
        )
    ),
    *(encode(protocol.Steps(KEY, [step])) for step in STEPS),
]

FROM_SERVER = [
    encode(message)
    for message in (
        protocol.Hello(protocol.VERSION, "p", "server"),
        protocol.Start(
            KEY,
            1,
            0,
            0,
            [ChatMessage("user", "hi"), ASSISTANT, RESULT],
            Resume(1, (OpenCall(CALL, True, DECISION, True, {"a": 1}),), Usage(1, 2)),
            True,
            "r",
            1,
            "",
        ),
        protocol.Accept(KEY),
        protocol.Refuse(KEY),
        protocol.Decide(KEY, "s1", DECISION),
        protocol.Cancel(KEY),
        protocol.Forget("s", 1),
        protocol.Drain(),
        protocol.Ping(1),
    )
]
