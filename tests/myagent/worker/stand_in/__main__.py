"""A worker in small: `python -P -m stand_in FILE [TEXT]` prints an answer of the agent."""

from __future__ import annotations

from myagent.worker import surroundings

if __name__ == "__main__":
    surroundings.clear()

    import asyncio
    import json
    import sys
    from contextlib import aclosing
    from pathlib import Path

    from myagent.loading import AgentFileError, load_agent_file
    from myagent.messages import ChatMessage
    from myagent.steps import Answer, ConfirmationAsked, Decision

    async def yes(asked: ConfirmationAsked) -> Decision:
        return Decision(approved=True)

    async def main(file: Path, text: str) -> None:
        surroundings.enter(file)
        try:
            agent_file = load_agent_file(file)
            agent_file.prepare()
            agent = await agent_file.create()
        except AgentFileError as error:
            sys.exit(str(error))
        async with aclosing(agent.run([ChatMessage("user", text)], confirm=yes)) as steps:
            async for step in steps:
                if isinstance(step, Answer):
                    print(json.dumps(step.text))

    file, text = Path(sys.argv[1]), "".join(sys.argv[2:])
    asyncio.run(main(file, text))
