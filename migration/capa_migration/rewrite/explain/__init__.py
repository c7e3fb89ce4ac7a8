"""Explanations: the paragraph behind the ID of each message.

An ID is one of

- `<sdk>/<section>`: a section of `docs/differences/<sdk>.md`, the reason why a call is served in part or not at all;
- `library/<name>`: a mock, plug-in or instrumentation library, and the effect of the rewrite on it;
- the ID of a rule;
- the subject of a message that no rule reports, such as `unreadable`;
- the code of an error of `capa_core`, such as `unavailable`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from capa_codemods.api import did_you_mean
from capa_migration.errors import OptionsError


class Explanation(NamedTuple):
    """The meaning of one ID.

    Attributes:
        title: One line.
        text: Markdown; empty where the title is enough.
        page: The page below docs/, with its anchor, that holds it.
    """

    id: str
    title: str
    text: str
    page: str

    @property
    def url(self) -> str | None:
        """The page on the web; `None` if the installed distribution has no URL labelled Documentation."""
        home = _documentation()
        return home and f"{home.rstrip('/')}/{self.page}"


def explanations() -> Iterator[Explanation]:
    """Yield all explanations, by kind, then by ID."""
    for kind in _KINDS:
        yield from kind()


def explain(ident: str) -> Explanation:
    """Return the explanation of *ident*.

    Raises:
        OptionsError: No message has this ID; the error names the nearest one.
    """
    known = {one.id: one for one in explanations()}
    if ident in known:
        return known[ident]
    hint = did_you_mean(ident, known, "`capa explain` without an ID lists them")
    raise OptionsError(f"no message has the ID {ident!r}: {hint}")


def explanations_of(words: str) -> list[Explanation]:
    """Return the explanation of the ID *words*, or, where it is a first part such as `celery`, all IDs below it.

    Raises:
        OptionsError: No message has this ID or one below it; the error names the nearest one.
    """
    below = [one for one in explanations() if one.id.startswith(f"{words.rstrip('/')}/")]
    return below or [explain(words)]


def _differences() -> Iterator[Explanation]:
    from capa_migration.rewrite.explain.instead import with_instead
    from capa_migration.rewrite.explain.pages import sections

    for section in sections():
        page, _, anchor = section.id.partition("/")
        text = with_instead(section.text, section.id)
        yield Explanation(section.id, section.title, text, f"differences/{page}.md#{anchor}")


def _libraries() -> Iterator[Explanation]:
    from capa_migration.rewrite.scan.libraries import Companion, libraries

    for one in libraries():
        yield Explanation(one.id, Companion(one, ()).summary, "", "reference/libraries.md")


def _rules() -> Iterator[Explanation]:
    import inspect

    from capa_codemods.api import RuleError, rule_offers

    for offer in rule_offers():
        try:
            rule = offer.load()
        except RuleError as error:
            yield Explanation(offer.id, f"the rule cannot be loaded: {error}", "", "reference/rules.md")
        else:
            text = inspect.getdoc(inspect.getmodule(type(rule))) or ""
            yield Explanation(offer.id, rule.summary, text, f"reference/rules.md#{offer.id}")


def _subjects() -> Iterator[Explanation]:
    from capa_migration.rewrite.explain.instead import with_instead
    from capa_migration.rewrite.explain.subjects import subjects

    for ident, (title, text) in subjects().items():
        yield Explanation(ident, title, with_instead(text, ident), "reference/formats.md")


def _errors() -> Iterator[Explanation]:
    import inspect

    from capa_core import errors

    for kind in vars(errors).values():
        # The root shares the code of `UnknownError`.
        if inspect.isclass(kind) and issubclass(kind, errors.CapaError) and kind is not errors.CapaError:
            retry = "The same call may succeed later." if kind.retryable else "A retry alone does not help."
            title = f"{kind.__name__}: {inspect.getdoc(kind)}"
            yield Explanation(kind.code, title, retry, "reference/errors.md")


@cache
def _documentation() -> str | None:
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        urls = metadata("capa-core").get_all("Project-URL") or []
    except PackageNotFoundError:  # run from a tree that is not installed
        return None
    labelled = dict(url.split(", ", 1) for url in urls)
    return labelled.get("Documentation")


_KINDS: tuple[Callable[[], Iterator[Explanation]], ...] = (
    _differences,
    _libraries,
    _rules,
    _subjects,
    _errors,
)
