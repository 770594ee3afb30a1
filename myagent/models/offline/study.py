"""What can be learned from a tool's own words, once, before any question is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from myagent import fast_json
from myagent.models.base import ToolSpec
from myagent.models.offline.lexicon import WEAK_TOOL_WORDS
from myagent.models.offline.parameters import (
    Parameter,
    description_of,
    read_parameters,
    without_examples,
)
from myagent.models.offline.words import meanings, name_words, stem, terms

NAME_WEIGHT = 3.0
DESCRIPTION_WEIGHT = 1.5
PARAMETER_WEIGHT = 1.0
DETAIL_WEIGHT = 0.6
VALUE_WEIGHT = 2.0


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the demo model knows it.

    `weights`: term -> how much it says about the tool. `own`: the terms that
    are the tool's own, so no values. `topics`: what its name and description
    say, terms and meanings. `meanings`: weighted as terms are.
    """

    name: str
    description: str
    phrase: tuple[str, ...]
    name_terms: frozenset[str]
    weights: dict[str, float]
    own: frozenset[str]
    topics: frozenset[str]
    meanings: dict[str, float]
    parameters: tuple[Parameter, ...]

    @property
    def breadth(self) -> int:
        """How many terms speak for the tool."""
        return len(self.weights)

    @property
    def required(self) -> tuple[Parameter, ...]:
        return tuple(parameter for parameter in self.parameters if parameter.required)


def study(spec: ToolSpec) -> Tool:
    """Never raises: what is odd in a schema is read as if it were not there."""
    schema = fast_json.dumps(spec.parameters, default=str, option=fast_json.NON_STR_KEYS)
    return _study(spec.name, spec.description or "", schema)


@lru_cache(maxsize=512)
def _study(name: str, description: str, schema_json: bytes) -> Tool:
    schema = fast_json.loads(schema_json)
    parameters = read_parameters(schema if isinstance(schema, dict) else {})
    phrase = name_words(name)
    lesson = _Lesson()
    lesson.learn(" ".join(phrase), NAME_WEIGHT)
    lesson.learn(without_examples(description), DESCRIPTION_WEIGHT)
    for parameter in parameters:
        lesson.learn(" ".join(name_words(parameter.name)), PARAMETER_WEIGHT)
        lesson.learn(without_examples(description_of(parameter.schema)), DETAIL_WEIGHT)
        for value in (*parameter.values, *parameter.examples):
            lesson.learn_value(str(value))
    return Tool(
        name=name,
        description=description,
        phrase=tuple(phrase),
        name_terms=frozenset(terms(" ".join(phrase))),
        weights=lesson.weights,
        own=frozenset(lesson.own | {*phrase, *map(stem, phrase)}),
        topics=lesson.topics(),
        meanings=lesson.meanings,
        parameters=parameters,
    )


@dataclass(slots=True)
class _Lesson:
    """A tool's texts on their way to a `Tool`: each term keeps its greatest weight."""

    weights: dict[str, float] = field(default_factory=dict)
    meanings: dict[str, float] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)

    def learn(self, text: str, weight: float) -> None:
        for term in terms(text):
            is_weak = term in WEAK_TOOL_WORDS and weight < NAME_WEIGHT
            self._weigh(term, weight * (0.1 if is_weak else 1.0))
            self.own.add(term)
        for sense in meanings(text):
            self.meanings[sense] = max(self.meanings.get(sense, 0.0), weight)

    def learn_value(self, text: str) -> None:
        """A value speaks for the tool, but is none of the words that are no values."""
        for term in terms(text):
            self._weigh(term, VALUE_WEIGHT)

    def topics(self) -> frozenset[str]:
        said = {term for term in self.own if self.weights[term] >= DESCRIPTION_WEIGHT}
        return frozenset(said | {s for s, w in self.meanings.items() if w >= DESCRIPTION_WEIGHT})

    def _weigh(self, term: str, weight: float) -> None:
        self.weights[term] = max(self.weights.get(term, 0.0), weight)
