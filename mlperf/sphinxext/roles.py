"""Roles that put a value, a verdict or the text of a claim into a sentence."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole

from mlperf.quantities.checks import FAILS
from mlperf.results.folder import ONLY_FULL, LeftOutError, ResultError
from mlperf.results.shown import claim_rows, value_text, verdict_text
from mlperf.sphinxext.domain import PublishedDomain, published
from mlperf.sphinxext.sentences import errors, join, parse_sentences, refuted, tally


class PublishedRole(SphinxRole):
    """Base class of the roles: shows plain text, or reports an error; `absent` is shown for what is left out here."""

    kind = ""
    absent = "not measured"
    node: type[nodes.TextElement] = nodes.inline

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the text."""
        domain = published(self.env)
        try:
            said = self.say(domain)
        except LeftOutError as error:
            domain.note(error.name)
            said = self.absent
        except (ResultError, ValueError) as error:
            domain.note(None)
            if domain.is_empty:  # reported once for all pages
                return [nodes.inline(self.rawtext, self.text)], []
            message = self.inliner.reporter.error(str(error), line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, message)], [message]
        # Quotes stay as they are: the text may be code.
        return [self.node(self.rawtext, said, classes=[self.kind], support_smartquotes=False)], []

    def say(self, domain: PublishedDomain) -> str:
        """Return the text to show."""
        raise NotImplementedError


class ValueRole(PublishedRole):
    """A value, or the range of a quantity's values: ``training_time.fit[Large, last] short``."""

    kind = "value"

    def say(self, domain: PublishedDomain) -> str:
        """Return the value with its unit and, unless it is short, its interval."""
        reference, space, form = self.text.rpartition(" ")
        reference, form = (reference, form) if form == "short" and space else (self.text, "")
        result, said = value_text(domain.shelf, reference, form)
        domain.note(result.name)
        return said


class VerdictRole(PublishedRole):
    """The verdict on a claim: ``training_time.grows``."""

    kind = "verdict"

    def say(self, domain: PublishedDomain) -> str:
        """Return the verdict with its symbol."""
        result, said = verdict_text(domain.shelf, self.text)
        domain.note(result.name)
        return said


class SaysRole(PublishedRole):
    """The texts of claims, joined to a sentence: ``training_time.grows, but training_time.linear``."""

    kind = "says"
    absent = f"Not measured: {ONLY_FULL}."

    def say(self, domain: PublishedDomain) -> str:
        """Return the sentence, followed by the verdicts of the other results where they differ."""
        names, joints, form = parse_sentences(self.text)
        claims = [domain.find("claims", name).thing for name in names]
        others = [domain.shelf.compared("claims", name) for name in names]
        pairs = zip(claims, others, strict=True)
        marks = [other.mark for mine, other in pairs if other and other.verdict != mine.verdict]
        differ = f" [other results: {', '.join(marks)}]" if marks else ""
        return join(claims, joints, form) + differ


class AnswerRole(SaysRole):
    """The same in bold, for the answer that opens a paragraph."""

    node = nodes.strong


class TallyRole(PublishedRole):
    """The number of claims with each verdict: ``original`` counts those of the original report, ``all`` all of them.

    ``errors`` says how many of all verdicts may be wrong by chance. ``refuted`` quotes the statements of the original
    report that do not hold.
    """

    kind = "tally"

    def say(self, domain: PublishedDomain) -> str:
        """Return the numbers as part of a sentence; for ``errors`` and ``refuted``, a whole sentence."""
        if self.text not in ("original", "all", "errors", "refuted"):
            raise ValueError(
                f"The role tally must be 'original', 'all', 'errors' or 'refuted'. Got {self.text!r} instead."
            )
        domain.note("*")
        rows = claim_rows(domain.shelf, ["*"], original=self.text in ("original", "refuted"))
        if self.text == "refuted":
            return refuted([row.claim.original for row in rows if row.claim.verdict == FAILS])
        verdicts = [row.claim.verdict for row in rows]
        return errors(verdicts) if self.text == "errors" else tally(verdicts)


def setup(app: Sphinx) -> None:
    """Register the roles."""
    app.add_role("value", ValueRole())
    app.add_role("verdict", VerdictRole())
    app.add_role("says", SaysRole())
    app.add_role("answer", AnswerRole())
    app.add_role("tally", TallyRole())
