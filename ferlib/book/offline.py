"""A Sphinx extension that keeps the pages to themselves, and sound for those who hear them.

Equations are written as MathML, which every current browser draws without a script; the translator is the one
that docutils ships.  Thebe, which would fetch code to run cells in the page, is left out.
Charts are marked, so that they can be dark where the page is.  Roles that docutils gives to a bibliography and that
do not fit together are taken away.
"""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

logger = logging.getLogger(__name__)


SIZES = re.compile(r"\\[bB]igg?[lrm]?(?![A-Za-z])")
"""TeX's larger delimiters, which MathML needs no word for."""
DOTS = re.compile(r"\\dots(?![A-Za-z])")
FENCES = re.compile(r'<mo( class="mathopen")?>([{}|‖∣])</mo>')
"""Braces and bars that the translator lets grow with the line, as they should only after ``\\left``."""
GROWING = re.compile(r"\\left\s*(\||\\(\{|[lr]?[vV]ert))")


def mathml(node: nodes.Node, block: bool = False) -> str:
    """The equation of ``node`` in MathML; one that cannot be read is a warning that names it, and stays TeX."""
    tex = DOTS.sub(r"\\ldots", SIZES.sub("", node.astext()))
    try:
        written = tex2mathml(tex, as_block=block)
        return written if GROWING.search(tex) else FENCES.sub(_fence, written)
    except MathError as error:
        logger.warning("equation %r: %s", node.astext(), error, location=node)
        return f"<code>{html.escape(node.astext())}</code>"


def _fence(found: re.Match[str]) -> str:
    r"""A brace or bar as high as a line of text, spaced by its side; ``\mid`` stands between two things."""
    side = "infix" if found[2] == "∣" else "prefix" if found[1] or found[2] == "{" else "postfix"
    return f'<mo form="{side}" stretchy="false">{found[2]}</mo>'


def inline(self: Any, node: nodes.math) -> None:
    """Write an equation inside a line."""
    self.body.append(f'<span class="math notranslate nohighlight">{mathml(node)}</span>')
    raise nodes.SkipNode


def block(self: Any, node: nodes.math_block) -> None:
    """Write an equation of its own, with its number where it has a label."""
    self.body.append(self.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(mathml(node, block=True) + "</div>\n")
    raise nodes.SkipNode


REPAIRS = (
    ('<div role="list" class="citation-list">', '<div class="citation-list">'),
    (' role="doc-biblioentry"', ""),
    ("<th></th>", "<td></td>"),  # the corner of a table heads nothing
)


SENTENCE = re.compile(r'<span class="pasted-text">(?=[^<]{60})')
"""A text that a chapter worded: it reads as the page does, where a number stands out."""


FIGURE = re.compile(r'<figure class="align-default"(.*?src="_images/([^"]+)".*?)</figure>', re.DOTALL)
INKED = re.compile(r"\b(black|white|dark|darker|lighter|pale)\b", re.IGNORECASE)
"""Words of a caption that would be false of a figure whose light and dark changed places."""


def charts(body: str, files: dict[str, Path]) -> str:
    """``body`` with the class ``chart`` at figures that are lines on white paper, which can be dark on a dark page.

    files : name of each picture of the pages -> where it lies.
    """

    def marked(found: re.Match[str]) -> str:
        drawn = not INKED.search(re.sub("<[^>]*>", "", found[1])) and is_chart(files[html.unescape(found[2])])
        return f'<figure class="align-default{" chart" if drawn else ""}"{found[1]}</figure>'

    return FIGURE.sub(marked, body)


def is_chart(file: Path) -> bool:
    """Whether a picture is mostly white paper and hardly grey, as no sheet of faces and no heat map is."""
    import numpy as np
    from PIL import Image

    pixels = np.asarray(Image.open(file).convert("RGB").resize((320, 240))).astype(int)
    high, low = pixels.max(axis=2), pixels.min(axis=2)
    grey = (high - low < 12) & (low > 30) & (high < 235)
    return bool((low > 245).mean() > 0.65 and grey.mean() < 0.15)


def repaired(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Mend the markup of a page (event ``html-page-context``)."""
    for wrong, right in REPAIRS:
        context["body"] = context.get("body", "").replace(wrong, right)
    context["body"] = SENTENCE.sub('<span class="pasted-text sentence">', context["body"])
    files = {name: Path(app.srcdir) / file for file, name in app.builder.images.items()}
    context["body"] = charts(context["body"], files)


def own_scripts(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Drop thebe's scripts from a page, and the files that chapters leave, which pages load when asked to."""
    scripts = context.get("script_files", [])
    dropped = ("thebe", "_static/data/")
    told = [(script, f"{script.filename} {script.attributes}".lower()) for script in scripts]
    context["script_files"] = [script for script, text in told if not any(word in text for word in dropped)]


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer ``mathml`` (``html_math_renderer: mathml``) and the last word on scripts."""
    app.connect("html-page-context", own_scripts, priority=990)
    app.connect("html-page-context", repaired)
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
