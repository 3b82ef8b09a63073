"""Documents as one HTML page, nothing loaded from anywhere: pages as one reads them, pictures at their places; pairs as
a gallery; clips as rows of frames with their times.

Everything that comes from pages is text here, never markup: it is escaped, and the page's policy (CSP) forbids scripts,
foreign styles and any request.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from io import BytesIO
from itertools import groupby

from pipelines.previews import clock, counted, evenly, kinds_in_words, reduced, span
from pipelines.report import Report, by_kind, kinds_of, largest_first, share_kept, size
from schemas.document import Document, Image, Text, Video
from schemas.manifest import FunnelRow
from schemas.shard import Sample

THUMBNAIL_SIDE = 480
"""Larger side of the pictures in the page, pixels."""
FRAME_SIDE = 240
"""Larger side of the frames of clips, pixels."""
FRAMES_SHOWN = 16
"""Frames of a video clip, evenly spaced, the first and the last among them."""

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
.frames { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.4rem, 1fr)); gap: .5rem; }
.frames figure { margin: 0; padding: 0; border: 0; }
.frames img { width: 100%; }
.frames img, .picture img { outline: 1px solid var(--line); }
.frames figcaption { margin: .1rem 0 0; font-variant-numeric: tabular-nums; }
.layout.wide { display: block; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(13.5rem, 1fr)); gap: 1rem; margin-top: 1.6rem;
  align-items: start; }
.gallery article { display: flex; flex-direction: column; margin: 0; padding: .6rem .7rem .5rem; max-width: none; }
.picture { display: flex; align-items: center; justify-content: center; height: 11rem; background: var(--wash);
  border-radius: .35rem; overflow: hidden; }
.picture img { width: auto; height: auto; max-width: 100%; max-height: 100%; }
.gallery p { margin: .55rem 0 .35rem; font-size: .9rem; line-height: 1.4; min-height: 2.8em; max-height: 11.2em;
  overflow-y: auto; overflow-wrap: anywhere; }
.gallery footer { margin-top: auto; padding-top: .35rem; }
.gallery footer > a { display: block; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.gallery q { color: var(--ink); }
article.clip { max-width: none; padding: 1rem 1.2rem .7rem; }
article.clip p { margin: 0 0 .7rem; overflow-wrap: anywhere; }
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


_MEDIA_TOTALS = (("images", "images"), ("videos", "clips"))


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
    made: dict[str, Thumbnail | None] = {}
    for media in sample.document.media:
        side = THUMBNAIL_SIDE if isinstance(media, Image) else FRAME_SIDE
        made |= {name: thumbnail(sample.members[name], side) for name in _members(media)}
    return Shown(shard, sample.document, {name: small for name, small in made.items() if small})


def thumbnail(data: bytes, side: int) -> Thumbnail | None:
    """A JPEG whose larger side is at most `side`; None if `data` is no JPEG or PNG that can be decoded."""
    small = reduced(data, side, side)
    if small is None:
        return None
    stream = BytesIO()
    small.save(stream, "JPEG", quality=80)
    return Thumbnail(f"data:image/jpeg;base64,{b64encode(stream.getvalue()).decode()}", *small.size)


def page(title: str, documents: Sequence[Shown], total: int, shards: int, report: Report | None) -> str:
    """The whole page; `total`: how many documents there are."""
    pages = [(number, one) for number, one in enumerate(documents) if one.document.kind == "page"]
    contents = [
        f'<nav aria-label="Documents"><h2>{counted(len(pages), "document")}</h2><ol>',
        *(_entry(number, one.document) for number, one in pages),
        "</ol></nav>",
    ]
    shows = [one.document for one in documents]
    what = kinds_in_words(shows, len(documents))
    if total > len(documents):
        what = f"{len(documents):,} of {kinds_in_words(shows, total)}, spread evenly over them"
    body = [
        *(['<div class="layout">', *contents] if pages else ['<div class="layout wide">']),
        "<main>",
        *_header(title, what, shards, report),
        *_documents(documents),
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


def _documents(documents: Sequence[Shown]) -> Iterator[str]:
    """All in order; pairs that follow each other in one gallery."""
    for kind, run in groupby(enumerate(documents), lambda entry: entry[1].document.kind):
        if kind == "pair":
            yield '<section class="gallery">'
            yield from (_card(number, one) for number, one in run)
            yield "</section>"
        else:
            make = _clip if kind == "clip" else _article
            yield from (part for number, one in run for part in make(number, one))


def _header(title: str, what: str, shards: int, report: Report | None) -> Iterator[str]:
    yield f"<header><h1>{escape(title)}</h1>"
    if report is None:
        yield f"<p>{what} from {counted(shards, 'shard')}</p></header>"
        return
    totals = report.totals
    tiles = [
        (f"{totals.get('samples', 0):,}", "samples"),
        *((f"{totals[name]:,}", label) for name, label in _MEDIA_TOTALS if totals.get(name)),
        (f"{totals.get('words', 0):,}", "words"),
        (size(totals.get("bytes", 0)), counted(shards, "shard")),
        *((f"{count:,}", f"in {split}") for split, count in sorted(report.splits.items(), reverse=True)),
    ]
    yield f"<p>Recipe {escape(report.name)}; {what}</p>"
    yield '<ul class="totals">'
    yield from (f"<li><b>{number}</b><span>{escape(label)}</span></li>" for number, label in tiles)
    yield "</ul><details><summary>What was dropped, and by which rule</summary>"
    yield '<div class="scroll"><table><thead><tr><th>stage</th><th class="n">in</th><th>dropped</th>'
    yield '<th class="n">out</th><th class="n">kept</th></tr></thead><tbody>'
    kinds = kinds_of(report.funnel)
    for kind, rows in by_kind(report.funnel).items():
        yield f'<tr class="kind"><td colspan="5">{escape(kinds.get(kind, kind))}</td></tr>'
        yield from (_funnel_row(row, kinds) for row in rows)
    yield "</tbody></table></div></details></header>"


def _funnel_row(row: FunnelRow, kinds: Mapping[str, str]) -> str:
    stage = f"&rarr; {escape(kinds.get(row.becomes, row.becomes))}" if row.becomes else escape(row.stage)
    dropped = "<br>".join(f"{count:,} {escape(reason)}" for reason, count in largest_first(row.dropped).items())
    numbers = f'<td class="n">{row.into:,}</td><td>{dropped}</td><td class="n">{row.out:,}</td>'
    fan = ' class="fan"' if row.becomes else ""
    return f'<tr{fan}><td>{stage}</td>{numbers}<td class="n">{share_kept(row)}</td></tr>'


def _entry(number: int, document: Document) -> str:
    counts = f"{counted(len(document.media), 'image')}, {counted(len(document.text.split()), 'word')}"
    dev = f", {escape(document.split)}" if document.split not in ("", "train") else ""
    return f'<li><a href="#d{number}">{_title(document)}<small>{counts}{dev}</small></a></li>'


def _article(number: int, one: Shown) -> Iterator[str]:
    document = one.document
    yield f'<article id="d{number}"><h2 dir="auto">{_title(document)}</h2>'
    yield f'<div class="facts small">{_tags(document)}{_link(document.url)}</div>'
    yield f'<div class="text" dir="auto" lang="{escape(document.language)}">'
    for slot in document.slots:
        if isinstance(slot, Text):
            yield from (f"<p>{escape(part)}</p>" for part in slot.text.split("\n\n") if part.strip())
        else:
            yield _figure(slot, one.thumbnails)
    yield f"</div><footer>{_origin(one)}{_more(document)}</footer></article>"


def _card(number: int, one: Shown) -> str:
    """A pair: its image, its text, and where both are from."""
    document = one.document
    pictures, facts = [], []
    for media in document.media:
        pictures.append(_pictures(media, one.thumbnails))
        facts.append(_facts(media))
        if isinstance(media, Image) and media.alt not in ("", document.text):
            facts.append(f'<q dir="auto">{escape(media.alt)}</q>')
    addresses = [_link(url, _short(url)) for url in (document.url, document.page_url) if url]
    return (
        f'<article id="d{number}"><div class="picture">{"".join(pictures)}</div>'
        f'<p dir="auto" lang="{escape(document.language)}">{escape(document.text)}</p>'
        f"<footer>{_tags(document)}{', '.join(facts)}{''.join(addresses)}"
        f"<details><summary>more</summary>{_origin(one)}<br>{_scores(document.scores)}</details></footer></article>"
    )


def _clip(number: int, one: Shown) -> Iterator[str]:
    """A clip: its text, its frames in order with their times, and where it is from."""
    document = one.document
    yield f'<article class="clip" id="d{number}">'
    yield f'<p dir="auto" lang="{escape(document.language)}">{escape(document.text)}</p>'
    yield from (_pictures(media, one.thumbnails) for media in document.media)
    facts = [*map(_facts, document.media), _link(document.url)]
    page_url = f", on {_link(document.page_url)}" if document.page_url else ""
    yield f"<footer>{_tags(document)}{', '.join(facts)}{page_url}"
    yield f"<details><summary>more</summary>{_origin(one)}<br>{_scores(document.scores)}</details></footer></article>"


def _tags(document: Document) -> str:
    return "".join(f'<span class="tag">{escape(tag)}</span>' for tag in (document.split, document.language) if tag)


def _origin(one: Shown) -> str:
    source = one.document.source
    place = f"{escape(source.file)} at {source.offset:,}" + (f", {escape(source.date)}" if source.date else "")
    return f"{escape(one.document.key)} in {escape(one.shard.rsplit('/', 1)[-1])}; from {place}"


def _more(document: Document) -> str:
    scores = _scores(document.scores)
    return f"<details><summary>scores</summary>{scores}</details>" if scores else ""


def _scores(scores: Mapping[str, float]) -> str:
    """One line for each stage that measured something."""
    by_stage: dict[str, list[str]] = {}
    for name, value in scores.items():
        stage, _, measure = name.partition(".")
        by_stage.setdefault(stage, []).append(f"{escape(measure)}&nbsp;{value:g}")
    return "<br>".join(f"<b>{escape(stage)}</b> {', '.join(some)}" for stage, some in by_stage.items())


def _figure(media: Image | Video, thumbnails: Mapping[str, Thumbnail]) -> str:
    alt = media.alt if isinstance(media, Image) else media.title
    said = f'<q dir="auto">{escape(alt)}</q> ' if alt else ""
    told = f"{said}{_facts(media)}, {_link(media.url)}"
    return f"<figure>{_pictures(media, thumbnails)}<figcaption>{told}</figcaption></figure>"


def _pictures(media: Image | Video, thumbnails: Mapping[str, Thumbnail]) -> str:
    """The image; or frames in a row, each with its time."""
    if isinstance(media, Image):
        return _picture(thumbnails.get(media.member), media.alt)
    times = dict(zip(media.members, media.times, strict=False))
    frames = ""
    for name in _members(media):
        time = clock(times[name]) if name in times else ""
        frames += f"<figure>{_picture(thumbnails.get(name), media.title)}<figcaption>{time}</figcaption></figure>"
    return f'<div class="frames">{frames}</div>'


def _picture(small: Thumbnail | None, alt: str) -> str:
    if small is None:
        return "<em>cannot be decoded</em>"
    return f'<img src="{small.uri}" width="{small.width}" height="{small.height}" alt="{escape(alt)}">'


def _facts(media: Image | Video) -> str:
    extent = f"{media.width} &times; {media.height}"
    if isinstance(media, Image):
        return f"{extent} {escape(media.member.rsplit('.', 1)[-1])}"
    return f"{extent}, {span(media.start, media.end)}, {counted(len(media.members), 'frame')}"


def _members(media: Image | Video) -> Sequence[str]:
    return (media.member,) if isinstance(media, Image) else evenly(media.members, FRAMES_SHOWN)


def _title(document: Document) -> str:
    return escape(document.title or document.url)


def _link(url: str, text: str = "") -> str:
    """A link where the address is one of the web; else the address as text, so that no "javascript:" can be clicked."""
    if not url.lower().startswith(("http://", "https://")):
        return escape(url)
    title = f' title="{escape(url)}"' if text else ""
    return f'<a href="{escape(url)}"{title} rel="noreferrer noopener nofollow">{escape(text or url)}</a>'


def _short(url: str) -> str:
    """Host and last part of an address: what tells it from others, where there is room for one line."""
    host, _, path = url.partition("://")[2].partition("/")
    folder, _, name = path.rpartition("/")
    return "/".join([host, "\u2026", name] if folder else [host, name])
