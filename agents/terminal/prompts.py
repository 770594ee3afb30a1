"""What a person types: messages, and decisions about tools."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.utils import translation
from django.utils.translation import gettext, gettext_noop
from prompt_toolkit import PromptSession
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.validation import Validator

from myagent import exact_json
from myagent.steps import Decision

YES = frozenset({"y", "yes", "是", "好"})
NO = frozenset({"n", "no", "否", "不"})
EDIT = frozenset({"e", "edit", "改"})

CHOICES = gettext_noop("Run it? [y]es, [n]o (and why), [e]dit the arguments: ")

ARGUMENTS = gettext_noop("Arguments, as JSON: ")


class InterruptKey(Exception):
    """Ctrl-C was pressed."""


def read_choice(text: str) -> Decision | None:
    """The decision in a line, None if there is none. Text after a 'no' is the reason."""
    word, _, rest = text.strip().partition(" ")
    if word.lower() in YES and not rest:
        return Decision(approved=True)
    if word.lower() in NO:
        return Decision(approved=False, feedback=rest.strip())
    return None


def read_arguments(text: str) -> dict[str, Any] | None:
    """The JSON object in a text, None if it is none."""
    try:
        value = exact_json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _is_edit(text: str) -> bool:
    return text.strip().lower() in EDIT


def _is_choice(text: str) -> bool:
    return _is_edit(text) or read_choice(text) is not None


def _is_arguments(text: str) -> bool:
    return read_arguments(text) is not None


class Prompts:
    """Line editing that shares the terminal with events that arrive meanwhile.

    Methods raise `InterruptKey` and, at the end of the input, `EOFError`.
    Cancelling them is safe: `draft` keeps an unfinished message for the next time.
    """

    def __init__(self) -> None:
        self._messages: PromptSession[str] = PromptSession(
            multiline=True, key_bindings=_enter_sends(), interrupt_exception=InterruptKey
        )
        self._decisions: PromptSession[str] = PromptSession(interrupt_exception=InterruptKey)
        self.draft = ""

    async def message(self) -> str:
        draft, self.draft = self.draft, ""
        try:
            return await self._messages.prompt_async("› ", default=draft, handle_sigint=False)
        except asyncio.CancelledError:
            self.draft = self._messages.default_buffer.text
            raise

    async def decision(self, args: Mapping[str, Any]) -> Decision:
        text = await self._checked(
            translation.gettext(CHOICES), _is_choice, gettext("Type y, n or e.")
        )
        if _is_edit(text):
            given = exact_json.dumps(dict(args))
            complaint = gettext("This must be a JSON object.")
            typed = await self._checked(
                translation.gettext(ARGUMENTS), _is_arguments, complaint, given
            )
            edited = read_arguments(typed)
            return Decision(approved=True, args=edited)
        decision = read_choice(text)
        assert decision is not None
        return decision

    @contextlib.contextmanager
    def watching(self, leave: Callable[[], None]) -> Iterator[None]:
        """Without a prompt: calls `leave` at Ctrl-D. Other keys wait for the next prompt."""
        keyboard = self._messages.input

        def read() -> None:
            keys = keyboard.read_keys()
            if any(press.key == Keys.ControlD for press in keys):
                leave()
            else:
                store_typeahead(keyboard, keys)

        with keyboard.attach(read):
            yield

    async def _checked(
        self, question: str, is_right: Callable[[str], bool], complaint: str, default: str = ""
    ) -> str:
        return await self._decisions.prompt_async(
            question,
            default=default,
            validator=Validator.from_callable(is_right, complaint, move_cursor_to_end=True),
            validate_while_typing=False,
            handle_sigint=False,
        )


def _enter_sends() -> KeyBindings:
    """Enter sends, Alt-Enter begins a new line, pasted lines stay together."""
    bindings = KeyBindings()

    @bindings.add("enter")
    def send(event: KeyPressEvent) -> None:
        event.current_buffer.validate_and_handle()

    @bindings.add("escape", "enter")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return bindings
