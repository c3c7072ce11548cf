"""A page of figures for people that fits on paper: one HTML file with no scripts, and nothing from elsewhere.

Knows how pages look, not what is on them. Every text is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tierwise.offline.markup import Markup, element, joined

STYLE = Markup("""
*{box-sizing:border-box}
body{margin:0 auto;padding:1.6em;max-width:76em;font:14px/1.36 "Helvetica Neue",Arial,"Liberation Sans",sans-serif;
color:#1d2530;background:#fff}
h1{font-size:1.42em;margin:0}
h2{font-size:1.04em;margin:0 0 .3em;padding-bottom:.15em;border-bottom:1px solid #1d2530}
p{margin:0 0 .4em}
header{display:flex;justify-content:space-between;align-items:flex-start;gap:2em;margin-bottom:.6em}
header p{color:#5b6675;margin:.1em 0 0}
.state{border:1.5px solid;border-radius:.2em;padding:.15em .6em;font-weight:700;white-space:nowrap}
.good{color:#20693a}.open{color:#7a5200}.bad{color:#b3261e}
.lead{font-size:1.16em;font-weight:600}
.box{border:1.5px solid #1d2530;padding:.6em .8em .4em;margin:.6em 0 .9em}
.two{display:grid;grid-template-columns:1fr 1fr;gap:0 2em;align-items:start}
section{margin-bottom:.9em}
.two>div{min-width:0}
table{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:.12em .6em .12em 0;border-bottom:1px solid #e3e7ec}
th{font-weight:600;color:#5b6675}
td{overflow-wrap:anywhere}
table+p{margin-top:.35em}
.narrow{white-space:nowrap;width:1%;padding-right:1.2em}
.said{font-weight:600}
.right{text-align:right;white-space:nowrap}
.key{width:1%;padding-right:1.2em;color:#5b6675;white-space:nowrap}
.total td{font-weight:700;border-top:1px solid #1d2530}
.quiet{color:#5b6675}
.warn{border-left:3px solid #b3261e;padding-left:.7em;margin:.5em 0}
ul{margin:0 0 .4em;padding-left:1.2em}
svg{width:100%;height:auto;display:block;font-size:9.5px}
svg text{font-family:inherit}
footer{margin-top:.8em;color:#5b6675}
@media (max-width:60em){.two{grid-template-columns:1fr}}
@media print{@page{size:A4;margin:6mm 10mm}
body{font-size:7pt;line-height:1.26;max-width:none;padding:0;print-color-adjust:exact;-webkit-print-color-adjust:exact}
.two{grid-template-columns:1fr 1fr}section{margin-bottom:.5em}
th,td{padding-top:.07em;padding-bottom:.07em}p{margin-bottom:.3em}.box{margin:.4em 0 .6em;padding:.4em .8em .3em}
footer{margin-top:.2em}}
""")


def document(title: str, *body: Markup) -> str:
    """The whole file."""
    head = joined(
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
        element("title", title),
        element("style", STYLE),
    )
    return f"<!doctype html>\n{element('html', element('head', head), element('body', *body), lang='en')}\n"


def section(title: str, *inside: Markup) -> Markup:
    return element("section", element("h2", title), *inside)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], sides: str) -> Markup:
    """`sides`: l or r for each column."""
    classes = ["right" if side == "r" else "" for side in sides]
    head = element("tr", *(cell("th", title, class_) for title, class_ in zip(titles, classes, strict=True)))
    return element("table", head, *(row(cells, classes) for cells in rows))


def row(cells: Sequence[str], classes: Sequence[str], **more: str) -> Markup:
    return element("tr", *(cell("td", text, class_) for text, class_ in zip(cells, classes, strict=True)), **more)


def cell(name: str, text: str, class_: str) -> Markup:
    return element(name, text, class_=class_) if class_ else element(name, text)
