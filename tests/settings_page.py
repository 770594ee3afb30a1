"""`docs/settings.md`, made from the table of options: python -m tests.settings_page"""

from __future__ import annotations

from pathlib import Path

from myagent_site.option import Option
from myagent_site.options import OPTIONS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"

HEAD = """\
# Settings

Every setting has a default that works; none is needed to start. Settings come from the
environment, and from a file `.env` beside `manage.py` (for an installed `myagent-ws`: in the
folder where it is started). The environment wins. In `.env` each setting has a line of its own,
`NAME=value`, as python-dotenv reads it: blanks around `=`, quotes, `export`, `${OTHER}` and
comments behind ` #` are fine; `.env.example` is a start, copied by `install -m 600 .env.example
.env`, as it will hold keys. An invalid line stops the start with an error that names the file and
the line, but does not show its text, which may contain a key.
Lists are separated by commas. A value of the wrong type stops the start with an error that names
the setting; an empty number or bool means the default.

## The model

The SDK reads these when an agent first asks its model: from the environment, or from
[a `.env` beside the agent file](agents.md#what-an-agent-file-sees), which is for that agent alone.
From the site's own `.env` agents get these, and the variables that `MYAGENT_PASS_ENV` names.

| name | meaning |
|---|---|
| `OPENAI_API_KEY` | The key. With neither a key nor an address the offline demo model answers. |
| `OPENAI_BASE_URL` | Address of an OpenAI-compatible server, with its `/v1`; also \
`OPENAI_API_BASE`. Without it: OpenAI's own. A server of your own may need no key. |
| `OPENAI_MODEL` | The model's name; also `LLM_MODEL`. Default `gpt-4o-mini`. \
A name in the agent file (`create_react_agent(model="…")`) takes precedence. |
| `MYAGENT_MODEL_TIMEOUT_S` | Seconds for which a model's server may send nothing, before its \
answer and within it. Default `300`: some servers send a tool call only when it is complete. \
`model_timeout_s=` in the agent file takes precedence. A service may have its own (`--env`). |
| `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` | Proxies for the model's server, with \
their usual meaning: `http://`, `https://`, `socks5://`, `socks5h://` and `socks://` are \
supported. |

[Models](models.md) has the settings for each server.

## The site

| name | type | default | meaning |
|---|---|---|---|
"""

FOOT = """
This page is made from `myagent_site/options.py`: after a change there run
`python -m tests.settings_page`.
"""


def render() -> str:
    return HEAD + "".join(map(_row, OPTIONS)) + FOOT


def _row(option: Option) -> str:
    meaning = option.help.replace("|", r"\|")
    return f"| `{option.name}` | {option.kind} | {_default(option)} | {meaning} |\n"


def _default(option: Option) -> str:
    match option.default:
        case bool():
            return f"`{str(option.default).lower()}`"
        case int() | float():
            return f"`{option.default:.15g}`"
        case str() if option.default:
            return f"`{option.default}`"
        case list() if option.default:
            return f"`{','.join(option.default)}`"
    return "empty"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
