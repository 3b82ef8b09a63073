"""Documents as one HTML page: as one reads them, pictures at their places, nothing loaded from anywhere.

Everything that comes from pages is text here, never markup: it is escaped, and the page's policy (CSP) forbids scripts,
foreign styles and any request.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from io import BytesIO

from PIL import Image as Picture

from pipelines.report import KINDS, Report, by_kind, largest_first, share_kept, size
from schemas.document import Document, Image, Text, Video
from schemas.manifest import FunnelRow
from schemas.shard import Sample

THUMBNAIL_SIDE = 480
"""Larger side of the pictures in the page, pixels."""
FRAMES_SHOWN = 4
"""Frames of a video clip, evenly spaced."""

STYLE = """
:root { color-scheme: light dark; --paper: #fbfaf7; --card: #ffffff; --ink: #23241f; --soft: #6d6e66; --line: #e3e1d9;
  --accent: #2c6a5b; --wash: #eef3f0; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181a; --card: #1d2023; --ink: #dfe0dc; --soft: #979a94;
  --line: #31353a; --accent: #86c7b4; --wash: #222b2a; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.6 system-ui, sans-serif; }
a { color: var(--accent); text-decoration: none; overflow-wrap: anywhere; }
a:hover { text-decoration: underline; }
.layout { display: grid; grid-template-columns: 18rem minmax(0, 1fr); max-width: 82rem; margin: 0 auto; }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.5rem 1rem;
  border-right: 1px solid var(--line); font-size: .82rem; line-height: 1.35; }
nav h2 { margin: 0 .5rem .6rem; font-size: .75rem; color: var(--soft); font-weight: 600; }
nav ol { list-style: none; margin: 0; padding: 0; }
nav a { display: block; padding: .4rem .5rem; border-radius: .4rem; color: inherit; }
nav a:hover { background: var(--wash); text-decoration: none; }
nav small { display: block; color: var(--soft); }
main { padding: 2rem 2.5rem 6rem; min-width: 0; }
header h1 { margin: 0 0 .2rem; font-size: 1.5rem; line-height: 1.25; }
header p { margin: 0; color: var(--soft); }
.totals { display: flex; flex-wrap: wrap; gap: .6rem 2.4rem; margin: 1.2rem 0; padding: 0; list-style: none; }
.totals b { display: block; font-size: 1.35rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.totals span, small, .small { font-size: .78rem; color: var(--soft); }
details { margin: .6rem 0; }
summary { cursor: pointer; color: var(--accent); font-size: .9rem; }
footer details { margin: .2rem 0 0; }
footer summary { font-size: inherit; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .8rem; line-height: 1.4; margin-top: .6rem; }
th, td { padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top; }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; }
thead th { border-bottom: 1px solid var(--line); font-weight: 600; }
tr.kind td { padding-top: .8rem; font-weight: 600; color: var(--accent); }
tr.fan { color: var(--soft); }
article { background: var(--card); border: 1px solid var(--line); border-radius: .7rem; padding: 1.6rem 2rem 1.2rem;
  margin-top: 1.6rem; max-width: 52rem; }
article h2 { margin: 0; font-size: 1.25rem; line-height: 1.3; overflow-wrap: anywhere; }
.facts { margin: .3rem 0 1.1rem; }
.tag { display: inline-block; background: var(--wash); color: var(--accent); border-radius: .3rem; padding: 0 .45rem;
  margin-right: .3rem; font-size: .75rem; line-height: 1.5rem; }
.text p { margin: 0 0 .9rem; white-space: pre-wrap; overflow-wrap: anywhere; }
figure { margin: .4rem 0 1.2rem; padding-left: .9rem; border-left: 3px solid var(--line); }
figure img { display: block; max-width: 100%; height: auto; border-radius: .25rem; }
.frames { display: flex; flex-wrap: wrap; gap: .4rem; }
.frames img { max-width: 11rem; }
figcaption { margin-top: .3rem; font-size: .78rem; line-height: 1.4; color: var(--soft); overflow-wrap: anywhere; }
figcaption q { color: var(--ink); }
footer { margin-top: 1rem; padding-top: .6rem; border-top: 1px solid var(--line); font-size: .72rem; line-height: 1.5;
  color: var(--soft); overflow-wrap: anywhere; }
@media (max-width: 60rem) { .layout { display: block; } nav { position: static; height: auto; max-height: 14rem;
  border-right: 0; border-bottom: 1px solid var(--line); } main { padding: 1.2rem 1rem 4rem; }
  article { padding: 1.1rem; } }
"""

POLICY = (
    "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
)
"""Allows this style, pictures inside the page, and nothing else."""


@dataclass(frozen=True)
class Thumbnail:
    """A reduced picture as a data: URI."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Shown:
    """A document and its reduced pictures; those that cannot be decoded are missing."""

    shard: str
    document: Document
    thumbnails: Mapping[str, Thumbnail]
    """By member."""


def shown(shard: str, sample: Sample) -> Shown:
    """What the page needs of a sample; its full pictures are let go."""
    chosen = [name for media in sample.document.media for name in _members(media)]
    made = {name: thumbnail(sample.members[name]) for name in chosen}
    return Shown(shard, sample.document, {name: small for name, small in made.items() if small})


def thumbnail(data: bytes) -> Thumbnail | None:
    """A JPEG whose larger side is at most `THUMBNAIL_SIDE`; None if `data` is no JPEG or PNG that can be decoded."""
    try:
        with Picture.open(BytesIO(data), formats=("JPEG", "PNG")) as picture:
            picture.draft("RGB", (THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            picture.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            small = picture.convert("RGB")
        stream = BytesIO()
        small.save(stream, "JPEG", quality=80)
    except Exception:  # decoders raise nearly everything on damaged bytes, and one picture must not cost the page
        return None
    return Thumbnail(f"data:image/jpeg;base64,{b64encode(stream.getvalue()).decode()}", *small.size)


def page(title: str, documents: Sequence[Shown], shards: int, report: Report | None) -> str:
    """The whole page."""
    numbered = list(enumerate(documents))
    body = [
        '<div class="layout">',
        f'<nav aria-label="Documents"><h2>{len(documents)} documents</h2><ol>',
        *(_entry(number, one.document) for number, one in numbered),
        "</ol></nav><main>",
        *_header(title, len(documents), shards, report),
        *(part for number, one in numbered for part in _article(number, one)),
        "</main></div>",
    ]
    head = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n"
    )
    return head + "\n".join(body) + "\n</body></html>\n"


def _header(title: str, documents: int, shards: int, report: Report | None) -> Iterator[str]:
    yield f"<header><h1>{escape(title)}</h1>"
    if report is None:
        yield f"<p>{documents} documents from {shards} shards</p></header>"
        return
    totals = report.totals
    tiles = [
        *((f"{totals.get(name, 0):,}", name) for name in ("samples", "images", "words")),
        (size(totals.get("bytes", 0)), f"{shards:,} shards"),
        *((f"{count:,}", f"in {split}") for split, count in sorted(report.splits.items(), reverse=True)),
    ]
    yield f"<p>Recipe {escape(report.name)}; the first {documents} documents</p>"
    yield '<ul class="totals">'
    yield from (f"<li><b>{number}</b><span>{escape(label)}</span></li>" for number, label in tiles)
    yield "</ul><details><summary>What was dropped, and by which rule</summary>"
    yield '<div class="scroll"><table><thead><tr><th>stage</th><th class="n">in</th><th>dropped</th>'
    yield '<th class="n">out</th><th class="n">kept</th></tr></thead><tbody>'
    for kind, rows in by_kind(report.funnel).items():
        yield f'<tr class="kind"><td colspan="5">{escape(KINDS.get(kind, kind))}</td></tr>'
        yield from map(_funnel_row, rows)
    yield "</tbody></table></div></details></header>"


def _funnel_row(row: FunnelRow) -> str:
    stage = f"&rarr; {escape(KINDS.get(row.becomes, row.becomes))}" if row.becomes else escape(row.stage)
    dropped = "<br>".join(f"{count:,} {escape(reason)}" for reason, count in largest_first(row.dropped).items())
    numbers = f'<td class="n">{row.into:,}</td><td>{dropped}</td><td class="n">{row.out:,}</td>'
    fan = ' class="fan"' if row.becomes else ""
    return f'<tr{fan}><td>{stage}</td>{numbers}<td class="n">{share_kept(row)}</td></tr>'


def _entry(number: int, document: Document) -> str:
    counts = f"{_counted(len(document.media), 'image')}, {_counted(len(document.text.split()), 'word')}"
    dev = f", {escape(document.split)}" if document.split not in ("", "train") else ""
    return f'<li><a href="#d{number}">{_title(document)}<small>{counts}{dev}</small></a></li>'


def _article(number: int, one: Shown) -> Iterator[str]:
    document = one.document
    tags = "".join(f'<span class="tag">{escape(tag)}</span>' for tag in (document.split, document.language) if tag)
    yield f'<article id="d{number}"><h2 dir="auto">{_title(document)}</h2>'
    yield f'<div class="facts small">{tags}{_link(document.url)}</div>'
    yield f'<div class="text" dir="auto" lang="{escape(document.language)}">'
    for slot in document.slots:
        if isinstance(slot, Text):
            yield from (f"<p>{escape(part)}</p>" for part in slot.text.split("\n\n") if part.strip())
        else:
            yield _figure(slot, one.thumbnails)
    source = document.source
    place = f"{escape(source.file)} at {source.offset:,}" + (f", {escape(source.date)}" if source.date else "")
    yield f"</div><footer>{escape(document.key)} in {escape(one.shard.rsplit('/', 1)[-1])}; from {place}"
    if document.scores:
        yield f"<details><summary>scores</summary>{_scores(document.scores)}</details>"
    yield "</footer></article>"


def _scores(scores: Mapping[str, float]) -> str:
    """One line for each stage that measured something."""
    by_stage: dict[str, list[str]] = {}
    for name, value in scores.items():
        stage, _, measure = name.partition(".")
        by_stage.setdefault(stage, []).append(f"{escape(measure)}&nbsp;{value:g}")
    return "<br>".join(f"<b>{escape(stage)}</b> {', '.join(some)}" for stage, some in by_stage.items())


def _figure(media: Image | Video, thumbnails: Mapping[str, Thumbnail]) -> str:
    alt = media.alt if isinstance(media, Image) else media.title
    found = [thumbnails[name] for name in _members(media) if name in thumbnails]
    pictures = "".join(
        f'<img src="{small.uri}" width="{small.width}" height="{small.height}" alt="{escape(alt)}">' for small in found
    )
    facts = [f"{media.width} &times; {media.height}"]
    if isinstance(media, Video):
        pictures = f'<div class="frames">{pictures}</div>'
        facts.append(f"{media.start:g}-{media.end:g} s, {len(media.times)} frames")
    else:
        facts.append(escape(media.member.rsplit(".", 1)[-1]))
    if not found:
        pictures = "<em>cannot be decoded</em>"
    said = f'<q dir="auto">{escape(alt)}</q> ' if alt else ""
    return f"<figure>{pictures}<figcaption>{said}{', '.join(facts)}, {_link(media.url)}</figcaption></figure>"


def _members(media: Image | Video) -> Sequence[str]:
    if isinstance(media, Image):
        return (media.member,)
    step = max(1, -(-len(media.members) // FRAMES_SHOWN))
    return media.members[::step]


def _title(document: Document) -> str:
    return escape(document.title or document.url)


def _link(url: str) -> str:
    """A link where the address is one of the web; else the address as text, so that no "javascript:" can be clicked."""
    if not url.lower().startswith(("http://", "https://")):
        return escape(url)
    return f'<a href="{escape(url)}" rel="noreferrer noopener nofollow">{escape(url)}</a>'


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
