"""HTML in which whatever comes from data is escaped: text is, unless it is `Html` already."""

import base64
import html
import pathlib

from pneumo_jax.evaluation.tables import Table

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'"
TYPES = {'.png': 'image/png', '.svg': 'image/svg+xml'}
VOID = ('img', 'meta')
STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #d5dae0; --soft: #f4f6f8;
  --warn: #fff3dc; --edge: #b26a00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --paper: #15181c; --line: #3a4149;
  --soft: #1f242a; --warn: #33270f; --edge: #e0a030; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; color: var(--ink);
  background: var(--paper); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .75rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; padding-top: .75rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
nav ul { columns: 16rem; padding-left: 1.1rem; }
a { color: inherit; }
code { font-size: .85em; overflow-wrap: anywhere; }
.verdict { font-size: 1.1rem; padding: .75rem 1rem; background: var(--soft); }
.warning { padding: .75rem 1rem; background: var(--warn); border-left: 4px solid var(--edge); }
.wide { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
table.words th, table.words td { text-align: left; }
table.numbers td + td { white-space: nowrap; }
.pair { display: flex; flex-wrap: wrap; gap: 0 1rem; }
.pair figure { flex: 1 1 20rem; }
.note { font-size: .88rem; opacity: .85; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; background: #fff; padding: .5rem; }
figcaption { font-size: .88rem; max-width: 48rem; }
@media print { body { max-width: none; font-size: 10pt; padding: 0; } nav { display: none; }
  figure, tr { break-inside: avoid; } h2, h3 { break-after: avoid; } .wide { overflow: visible; } }
"""


class Html(str):
    """Markup, put in as it is."""

    __slots__ = ()


def element(tag: str, *content: str, **attributes: str) -> Html:
    """<tag attribute="value">content</tag>; `class_` is the attribute class."""
    names = {name: name.rstrip('_').replace('_', '-') for name in attributes}
    start = tag + ''.join(f' {names[n]}="{html.escape(v)}"' for n, v in attributes.items())
    return Html(f'<{start}>' if tag in VOID else f'<{start}>{join(*content)}</{tag}>')


def join(*content: str) -> Html:
    """All of it in a row."""
    return Html(''.join(x if isinstance(x, Html) else html.escape(x) for x in content))


def page(title: str, *body: str) -> Html:
    """A whole document, which loads nothing and runs nothing."""
    head = element(
        'head',
        element('meta', charset='utf-8'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'),
        element('meta', name='viewport', content='width=device-width, initial-scale=1'),
        element('title', title),
        Html(f'<style>{STYLE}</style>'),
    )
    return Html(f'<!doctype html>\n<html lang="en">{head}{element("body", *body)}</html>\n')


def section(title: str, *content: str) -> tuple[str, Html]:
    """A part of the page under its title, which `contents` links to."""
    return title, element('section', element('h2', title, id=_anchor(title)), *content)


def contents(titles: list[str]) -> Html:
    """Links to the sections."""
    rows = [element('li', element('a', title, href=f'#{_anchor(title)}')) for title in titles]
    return element('nav', element('ul', *rows))


def table(given: Table, kind: str = 'numbers') -> Html:
    """A table with its title and note; of the kind 'words' all columns are flush left."""
    head = element('tr', *(element('th', name, scope='col') for name in given.heads))
    rows = [element('tr', *(element('td', cell) for cell in row)) for row in given.rows]
    parts = [element('thead', head)] if given.heads else []
    whole = element('table', *parts, element('tbody', *rows), class_=kind)
    return join(
        element('h3', given.title) if given.title else Html(),
        element('div', whole, class_='wide'),
        element('p', given.note, class_='note') if given.note else Html(),
    )


def listing(points: list[str]) -> Html:
    """A list with a dot before each."""
    return element('ul', *(element('li', point) for point in points))


def figure(path: pathlib.Path, caption: str) -> Html:
    """A PNG or SVG file, embedded; an SVG as an image too, in which nothing can run."""
    content = base64.b64encode(path.read_bytes()).decode()
    source = f'data:{TYPES[path.suffix]};base64,{content}'
    return element(
        'figure', element('img', src=source, alt=caption), element('figcaption', caption)
    )


def beside(figures: list[Html]) -> Html:
    """Figures beside each other, where the window is wide enough."""
    return element('div', *figures, class_='pair')


def _anchor(title: str) -> str:
    return ''.join(c if c.isalnum() else '-' for c in title.lower())
