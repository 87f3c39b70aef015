"""No measured quantity is typed by hand: numbers reach the text through roles and directives only."""

import re
from pathlib import Path

import pytest
from sphinx_gallery.py_source_parser import split_code_and_text_blocks

ROOT = Path(__file__).parents[1]
GENERATED = re.compile(r"(_build|_results|auto_examples|gen_modules|sg_execution_times)")

# What may be typed: it was decided or is known, not measured. Each with its reason.
ALLOWED = {
    "95 %": "the level of every interval",
    "60 %": "the training split of the protocol",
    "20 %": "the validation and test splits of the protocol",
    "0 %": "the lower end of what a share can be",
    "100 %": "the upper end of what a share can be",
    "4 bytes": "the size of a float32",
    "8 bytes": "the size of a float64",
}
# The same for whole phrases, in which a number is a setting of an experiment or a threshold.
PHRASES = {
    "layers four times as wide": "a setting of the experiment on what makes training faster",
    "twice their size means": "the threshold of a claim on the heap",
    "Twice as many are tried": "how the epochs that suffice are searched for",
    "a hundred times larger, my network ten times wider": "what is asked of small fits",
    "with ten times the noise": "a setting of the experiment on what error is left",
}

LONG = (
    r"(?:(?:nano|micro|milli)?seconds?|minutes?|hours?|(?:kilo|mega|giga)?bytes?"
    r"|per\s?cent(?:age points?)?|times|fold|orders of magnitude)"
)
SHORT = (
    r"(?:[nmµμu]?s(?:ecs?)?|secs?|min|hrs?|h|[kMGT]?i?B(?:/s)?|%|‰|[×x](?!\s*\d)"
    r"|[kMGT]?FLOPs?(?:/s|/B)?|[kMG]?Hz)"
)
WORDS = (
    r"(?:half an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|a dozen|a hundred"
    r"|a thousand)"
)
# A line may end within a quantity, and emphasis may stand around its number.
GAP = r"\*{0,2}(?:[ \u00a0\u202f-]|\n[ \t]*)?"
# Letters and digits on either side make it a name ("plot_02_s", "x86"); "times" alone is the verb of "times the fit".
MEASURED = re.compile(
    rf"(?<![\w.,])\d[\d,.]*(?:e[-+]?\d+)?{GAP}(?:{LONG}|{SHORT})(?!\w)"
    rf"|\b{WORDS}[ -]?{LONG}\b|\b(?:twice|thrice|an order of magnitude)\b|\bfactors? of (?:about |only )?\d[\d,.]*"
    r"|\b(?:R2|R²|MSE|mean squared error)[^.\w]([^.]{0,20}\W)?\d[\d.]*",
    re.IGNORECASE,
)


def prose(source):
    """Return reStructuredText with blanks in place of literals, roles, comments, citations and directives' options."""
    kept, hidden = [], None
    for line in source.splitlines():
        indent = len(line) - len(line.lstrip())
        if hidden is not None and (not line.strip() or indent > hidden):
            kept.append("")
            continue
        hidden = None
        opens = re.match(r"\s*\.\. (?:code-block::|code::|math::|literalinclude::|raw::|\[|_|(?![\w-]+::|\|))", line)
        if opens or (line.rstrip().endswith("::") and not line.lstrip().startswith("..")):
            hidden = indent
            line = "" if opens else line
        kept.append("" if re.match(r"\s*:[\w-]+:(?!`)", line) else line)
    text = re.sub(r"``.*?``", " ", "\n".join(kept), flags=re.DOTALL)
    # What a role shows is not typed here; in "`text <target>`" the text is.
    text = re.sub(r":[\w:-]+:`[^`]*`", " ", text)
    return re.sub(r"<[^>\n]*>`", "`", text)


def markdown_prose(source):
    """Return Markdown with blanks in place of code, roles, comments, options of directives and addresses."""

    def blank(match):
        return re.sub(r"[^\n]+", " ", match[0])

    # A directive of MyST is a fence with braces; what it holds is shown, as a caption.
    text = re.sub(r"^(`{3,}|~{3,})(?!\{).*?^\1$", blank, source, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(`{3,}|~{3,}).*$|^:[\w-]+:(?!`).*$", " ", text, flags=re.MULTILINE)
    text = re.sub(r"(?<=\n\n)(?: {4}.*\n|\n)+", blank, text)
    text = re.sub(r"<!--.*?-->|(`+)(?!`).*?(?<!`)\1(?!`)", blank, text, flags=re.DOTALL)
    return re.sub(r"\]\([^)\n]*\)|<\w+:[^>\n]*>", "] ", text)


def typed_quantities(source, *, markdown=False):
    """Return the measured quantities that a text holds, with their lines."""
    text = markdown_prose(source) if markdown else prose(source)
    for phrase in PHRASES:
        text = re.sub(phrase.replace(" ", r"\s+"), lambda match: re.sub(r"\S", " ", match[0]), text)
    found = [(text.count("\n", 0, match.start()) + 1, " ".join(match[0].split())) for match in MEASURED.finditer(text)]
    return [(line, quantity) for line, quantity in found if quantity not in ALLOWED]


def pages():
    docs, examples = ROOT / "docs", ROOT / "examples"
    found = [path for ending in ("rst", "inc", "md") for path in docs.rglob(f"*.{ending}")]
    written = [path for path in found if not GENERATED.match(path.relative_to(docs).as_posix())]
    return sorted([*written, *examples.rglob("*.rst"), *ROOT.glob("*.md")])


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_page_holds_a_measured_quantity_typed_by_hand(path):
    # The changelog is a page of the report.
    markdown = path.suffix == ".md" and path.name != "CHANGELOG.md"
    assert typed_quantities(path.read_text(encoding="utf-8"), markdown=markdown) == []


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.py")), ids=lambda path: path.name)
def test_no_text_of_a_script_holds_a_measured_quantity_typed_by_hand(path):
    _, blocks = split_code_and_text_blocks(str(path))
    found = [
        (block.lineno + line - 1, quantity)
        for block in blocks
        if block.type == "text"
        for line, quantity in typed_quantities(block.content)
    ]
    assert found == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Training takes 12.3 s on this machine.",
        "It takes 12.3s.",
        "A step takes 15 µs, or 15 us.",
        "The fit needs 1,200 ms.",
        "It is done in 3 minutes.",
        "It takes three seconds.",
        "Peak memory is 1.5 GB.",
        "It allocates 640 KiB.",
        "Compilation saves 40 %.",
        "Compilation saves 40%.",
        "Compilation saves 40 percent.",
        "The fused engine is 2.5× as fast.",
        "The fused engine is 3x faster.",
        "Large takes five times as long.",
        "Large takes twice as long.",
        "A 10-fold growth.",
        "A tenfold growth.",
        "Half a second later.",
        "It is faster by a factor of 3.",
        "It is an order of magnitude faster.",
        "It takes **12** s.",
        "It takes 12\nseconds.",
        "It takes 12 ms/step.",
        "It takes 12 msec, or 3 hrs.",
        "The mean squared error is 1.02.",
        "The ceiling is 35 GFLOP/s.",
        "Memory is read at 20 GB/s.",
        "R² is 0.999 everywhere.",
        "The MSE falls to about 1.02.",
        "See `12 s <https://example.org>`_.",
        "| It takes 2 s.",
        "In a list:\n\n- 2 ms",
        ".. note::\n\n   It takes 2 s.",
        ".. results-table:: fits.times\n   :unit: seconds\n\n   Fits take 2 s",
    ],
)
def test_gate_catches_a_typed_quantity(sentence):
    assert len(typed_quantities(sentence)) >= 1


@pytest.mark.parametrize(
    "sentence",
    [
        "Training takes :value:`training_time.large_many` on 10,000 samples.",
        "Three models are trained on 1,000, 5,000 and 10,000 samples for 200 epochs in mini-batches of 64.",
        "The learning rate is 0.001, and the noise 1.",
        "What is measured is how many times an operator is called; ``seconds(fit)`` times the call.",
        "Intervals are 95 % bootstrap intervals.",
        "The sizes ``10 s`` and :download:`3 MB <x>` are literals.",
        "Run it::\n\n    sleep 10 s\n",
        ".. code-block:: console\n\n   took 10 s\n",
        ".. a comment that says 10 s\n",
        ".. [1] A. Author, took 10 s, 2015.",
        ".. figure:: x.png\n   :width: 50 %\n",
        "Python 3.11 on x86, issue 3 of 5, Figure 2, section 3.3 says so.",
        "MSE and R2 are those of scikit-learn.",
        "The ones that 3 × 3 cells need.",
    ],
)
def test_gate_lets_protocol_citations_and_published_values_pass(sentence):
    assert typed_quantities(sentence) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "# It takes 3 s",
        "A fit takes **12** s.",
        "- 2 ms\n- 3 MB",
        "[12 s](https://example.org)",
        "| step | 15 µs |",
        "```{results-table} fits.times\n:unit: seconds\n\nFits take 2 s\n```",
        "> It is 2× as fast.",
    ],
)
def test_gate_catches_a_typed_quantity_in_markdown(sentence):
    assert len(typed_quantities(sentence, markdown=True)) >= 1


@pytest.mark.parametrize(
    "sentence",
    [
        "Training takes {value}`training_time.fit[Large, last]`.",
        "```python\nsleep(10)  # 10 s\n```",
        "Run it:\n\n    sleep 10 s\n",
        "It says `10 s`, or ``3 MB``.",
        "See [the page](https://example.org/10s) or <https://example.org/2 s>.",
        "<!-- took 10 s -->",
        "```{results-table} fits.times\n:limit: 10 s\n```",
    ],
)
def test_gate_lets_code_and_published_values_pass_in_markdown(sentence):
    assert typed_quantities(sentence, markdown=True) == []


def test_gate_says_where():
    assert typed_quantities("One.\n\nIt takes 3 s.\n") == [(3, "3 s")]
    assert typed_quantities("One:\n\n    sleep 3\n\nIt takes 3 s.\n", markdown=True) == [(5, "3 s")]


def test_gate_sees_the_pages_and_the_gallery():
    seen = {path.relative_to(ROOT).as_posix() for path in pages()}
    assert {
        "docs/index.rst",
        "docs/in_short.inc",
        "docs/api/index.rst",
        "examples/GALLERY_HEADER.rst",
        "README.md",
    } <= seen
