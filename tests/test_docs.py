"""The documents, held against the program. ``python -m tests.test_docs`` renews what they quote."""

import itertools
import re
import shlex
import textwrap
from collections.abc import Iterable

import pytest

from bench.commands.app import app
from bench.report.plain_findings import plain_findings
from bench.report.ways import DEFINITIONS
from bench.results.run import Run
from bench.scenario import FIELDS
from bench.transports import TRANSPORTS
from servers.base import server_modules
from tests import ROOT
from tests.commands import printed

README = ROOT / "README.md"
REFERENCE = ROOT / "results" / "reference"
PAGES = [README, REFERENCE / "README.md"]
TERMS = re.compile(r"(<!-- terms -->\n)(.*?)(<!-- end of terms -->)", re.DOTALL)
FINDINGS = re.compile(r"(<!-- findings of the reference run -->\n)(.*?)(<!-- end of findings -->)", re.DOTALL)
QUOTE = re.compile(r"(<!-- from bench ([^>]*) -->\n```\n)(.*?)(```)", re.DOTALL)


def as_printed(command: str) -> str:
    return "\n".join(line.rstrip() for line in printed(command).strip().splitlines()) + "\n"


def listed(sentences: Iterable[str]) -> str:
    return "".join(
        f"{textwrap.fill(each, 118, initial_indent='- ', subsequent_indent='  ')}\n" for each in sentences
    )


def findings() -> str:
    return listed(plain_findings(Run.open(REFERENCE)))


def terms() -> str:
    return listed(f"**{term}.** {meaning}" for term, meaning in DEFINITIONS.items())


def renewed(text: str) -> str:
    """Return a page with what it quotes as the program says it now."""
    text = QUOTE.sub(lambda match: match[1] + as_printed(match[2]) + match[4], text)
    text = TERMS.sub(lambda match: match[1] + terms() + match[3], text)
    return FINDINGS.sub(lambda match: match[1] + findings() + match[3], text)


QUOTED = [quote for page in PAGES for quote in QUOTE.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(("command", "text"), [(command, text) for _, command, text, _ in QUOTED])
def test_pages_quote_the_reference_run(command: str, text: str) -> None:
    assert text == as_printed(command)


def test_pages_quote_something() -> None:
    assert {command.split()[0] for _, command, _, _ in QUOTED} >= {"show"}


def test_the_readme_opens_with_what_the_reference_run_found() -> None:
    text = README.read_text(encoding="utf-8")
    found = FINDINGS.search(text)
    assert found is not None
    assert found[2] == findings()
    assert found[2].count("- **") == 3
    defined = TERMS.search(text)
    assert defined is not None
    assert defined[2] == terms()
    assert defined.end() < found.start()  # terms come before figures
    assert found.end() < text.index("    make run")


def commands() -> list[str]:
    text = README.read_text(encoding="utf-8")
    lines = [line.split("#")[0].strip() for line in text.splitlines() if line.startswith("    ")]
    return [
        line.removeprefix(".venv/bin/")
        for line in lines
        if line.removeprefix(".venv/bin/").startswith("bench ")
    ]


@pytest.mark.parametrize("command", commands())
def test_readme_commands_have_words_that_exist(command: str) -> None:
    words = shlex.split(command)[1:]
    assert words[0] in {
        info.name or info.callback.__name__ for info in app.registered_commands if info.callback
    }
    for before, word in itertools.pairwise(words):
        if before == "--set":
            assert word.partition("=")[0] in FIELDS
    if words[0] in ("watch", "serve"):
        assert words[1] in TRANSPORTS


def test_every_transport_is_in_the_readme() -> None:
    text = README.read_text(encoding="utf-8")
    for transport in TRANSPORTS.values():
        assert server_modules()[transport.server].replace(".", "/") + ".py" in text


MENTION = re.compile(
    r"(?<![\w/.-])((?:bench|servers|clients|tests|benchmarks)/[\w/]+\.(?:py|md|j2|mplstyle|csv))\b"
)
TO_BE_WRITTEN = {"servers/http_streaming.py", "clients/http_streaming.py"}
"""What an exercise asks for."""


def mentions() -> list[tuple[str, str]]:
    """Return every path of the project that a text or a docstring mentions: where, and which."""
    texts = [
        path
        for pattern in (
            "*.md",
            "results/**/*.md",
            "bench/**/*.py",
            "servers/**/*.py",
            "clients/**/*.py",
            "notebooks/**/*.md",
        )
        for path in ROOT.glob(pattern)
        if path.name != "CHANGELOG.md"
    ]
    found = {
        (str(path.relative_to(ROOT)), mention)
        for path in [*texts, *ROOT.glob("notebooks/*.ipynb")]
        for mention in MENTION.findall(path.read_text(encoding="utf-8"))
        if not {"NAME", "PROTOCOL_LIBRARY"} & set(re.split(r"[/.]", mention))
    }
    return sorted(found)


def test_every_file_that_is_mentioned_is_there() -> None:
    missing = [(where, path) for where, path in mentions() if not (ROOT / path).exists()]
    assert [each for each in missing if each[1] not in TO_BE_WRITTEN] == []


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
