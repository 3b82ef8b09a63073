"""A page's parts by decision, and beside them the document that it becomes, as one HTML file for a person."""

from collections.abc import Iterator
from html import escape

from pipelines.extract.explain import Explanation, Part
from schemas.document import Document, Image, Text, Video
from schemas.rejection import Rejected

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --dim: #62676e; --paper: #fff; --ground: #f3f4f6; --line: #d9dce1;
  --kept: #1f7a4d; --kept-tint: #e9f6ef; --dropped: #b0413e; --dropped-tint: #fbefee; --link: #0b57d0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e6ea; --dim: #9aa0a8; --paper: #1b1d21; --ground: #121316;
  --line: #34373d; --kept: #5cc48d; --kept-tint: #17271f; --dropped: #ec8b86; --dropped-tint: #2b1b1b;
  --link: #8ab4f8; } }
* { box-sizing: border-box; }
body { display: flex; flex-direction: column; height: 100vh; margin: 0;
  background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
header { padding: 14px 20px; border-bottom: 1px solid var(--line); background: var(--paper); }
h1 { margin: 0; font-size: 18px; } h2 { margin: 0 0 12px; font-size: 14px; color: var(--dim); font-weight: 600; }
a { color: var(--link); overflow-wrap: anywhere; } header p { margin: 4px 0 0; color: var(--dim); font-size: 13px; }
#switch { padding: 6px 20px; border-bottom: 1px solid var(--line); background: var(--paper); font-size: 13px; }
main { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); flex: 1; min-height: 0; }
main > section { overflow: auto; padding: 16px 20px; }
main > section + section { background: var(--paper); border-left: 1px solid var(--line); }
.part { margin: 0 0 6px; padding: 5px 10px; border-left: 4px solid; border-radius: 3px; overflow-wrap: anywhere; }
.kept { border-color: var(--kept); background: var(--kept-tint); }
.dropped { border-color: var(--dropped); background: var(--dropped-tint); color: var(--dim); }
.reason { float: right; margin-left: 10px; color: var(--dropped); font-size: 12px; font-weight: 600; }
.path { display: block; color: var(--dim); font: 11px/1.4 ui-monospace, monospace; }
.image { font-size: 13px; }
body:has(#only:checked) .kept { display: none; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: 10px 0; padding: 10px 12px; border: 1px solid var(--line); border-radius: 6px;
  background: var(--ground); }
figure img { display: block; max-width: 100%; max-height: 240px; margin-bottom: 6px; }
figcaption { color: var(--dim); font-size: 13px; }
@media (max-width: 800px) { body { display: block; } main { display: block; }
  main > section + section { border-left: 0; } }
"""


def side_by_side(name: str, url: str, explanation: Explanation) -> str:
    """The whole file. Pictures are links, so that nothing is loaded; those that stand in the page itself are shown."""
    parts, result = explanation.parts, explanation.result
    title = result.title if isinstance(result, Document) and result.title else name
    counts = {
        kind: (sum(part.kind == kind and not part.reason for part in parts), sum(part.kind == kind for part in parts))
        for kind in ("text", "image")
    }
    said = (
        f"{counts['text'][0]} of {counts['text'][1]} blocks of text and {counts['image'][0]} of {counts['image'][1]} "
        "picture elements are kept"
    )
    left = "\n".join(_part(part) for part in parts)
    if isinstance(result, Rejected):
        right = f"<p>{escape(f'{result.reason}: {result.detail}')}</p>"
    else:
        right = "\n".join(_slots(result))
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{_STYLE}</style>\n'
        f'<header><h1>{escape(title)}</h1><p><a href="{escape(url)}" rel="noreferrer">{escape(url)}</a><br>{said}; '
        "dropped ones say why.</p></header>\n"
        '<label id="switch"><input type="checkbox" id="only"> only what is dropped</label>\n'
        f"<main>\n<section>\n<h2>The page, in reading order</h2>\n{left}\n</section>\n"
        f"<section>\n<h2>The document</h2>\n{right}\n</section>\n</main>\n</html>\n"
    )


def _part(part: Part) -> str:
    reason = f'<span class="reason">{escape(part.reason)}</span>' if part.reason else ""
    words = _link(part.words) if part.kind == "image" else escape(part.words)
    if part.kind == "image":
        words = f"picture: {words}"
    return (
        f'<div class="part {part.kind} {"dropped" if part.reason else "kept"}" title="{escape(part.reason or "kept")}">'
        f'{reason}{words}<span class="path">{escape(part.path)}</span></div>'
    )


def _link(address: str) -> str:
    shown = address if len(address) <= 120 else f"{address[:80]}...{address[-30:]}"
    if not address.startswith(("http://", "https://")):
        return escape(shown)
    return f'<a href="{escape(address)}" rel="noreferrer">{escape(shown)}</a>'


def _slots(document: Document) -> Iterator[str]:
    for slot in document.slots:
        if isinstance(slot, Text):
            yield f'<div class="text">{escape(slot.text.strip(chr(10)))}</div>'
        elif isinstance(slot, Image):
            shown = f'<img src="{escape(slot.url)}" alt="">' if slot.url.startswith("data:image/") else ""
            size = f"{slot.declared_width} x {slot.declared_height}" if slot.declared_width else ""
            said = (("alt", slot.alt), ("title", slot.title), ("caption", slot.caption), ("size", size))
            facts = "<br>".join(f"{name}: {escape(value)}" for name, value in said if value)
            yield f"<figure>{shown}{_link(slot.url)}<figcaption>{facts}</figcaption></figure>"
        elif isinstance(slot, Video):
            yield f"<figure>video: {_link(slot.url)}</figure>"
