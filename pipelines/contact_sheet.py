"""Documents as one picture: pairs as a grid, clips and pages as rows of their frames or images, with their texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO

from PIL import Image as Picture
from PIL import ImageDraw

from pipelines.fonts import Fonts
from pipelines.previews import clock, counted, evenly, reduced, span
from schemas.document import Document, Image, Video
from schemas.shard import Sample

WIDTH = 1600
"""Of the sheet; this and all below in pixels."""
MARGIN, GAP, PAD = 32, 16, 10
COLUMNS = 6
"""Pairs side by side."""
CELL = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) // COLUMNS
BOX = (CELL - 2 * PAD, 176)
"""A pair's picture at most."""
SIDE = 330
"""Width of the text beside frames and images."""
IN_LINE = {"clip": 8, "page": 6}
"""Frames or images side by side; 8 is what Flamingo sees of a clip in training."""
PICTURE_GAP = 8
PICTURE_HEIGHT = 160
FRAMES_SHOWN = 16
"""Of a clip, evenly spaced, the first and the last among them."""
IMAGES_SHOWN = 6
"""Of a page, the first."""
SIMILARITY = "similarity.score"
"""The score of a pair that is shown."""
TEXT, SMALL, HEAD = 15, 12, 24
"""Sizes of letters."""
TEXT_LINE, SMALL_LINE = 20, 17
"""From one line to the next."""
LINES_BELOW = 6
"""Of a pair's text, at most."""
LINES_BESIDE = 8
PAPER, CARD, LINE, INK, SOFT, ACCENT, WASH = "#f4f2ec", "#ffffff", "#dedbd1", "#23241f", "#74756c", "#2c6a5b", "#f0eee8"


@dataclass(frozen=True)
class Small:
    """A reduced picture, None if it cannot be decoded, and what stands below it."""

    picture: Picture.Image | None
    note: str


@dataclass(frozen=True)
class Entry:
    """What the sheet needs of a sample; its full pictures are let go."""

    document: Document
    pictures: tuple[Small, ...]


@dataclass(frozen=True)
class Sheet:
    png: bytes
    lacking: str
    """What of the texts could not be drawn, for a person; empty if all could."""


@dataclass(frozen=True)
class _Block:
    """A part of the sheet whose height is known: a row of cards, or one card over the whole width."""

    entries: tuple[Entry, ...]
    texts: tuple[list[str], ...]
    notes: tuple[list[str], ...]
    height: int


def entry(sample: Sample) -> Entry:
    """Reduces the pictures of a sample that the sheet will show."""
    document, pictures = sample.document, list[Small]()
    box = BOX if document.kind == "pair" else (_width(document), PICTURE_HEIGHT)
    for image in document.images[:IMAGES_SHOWN]:
        pictures.append(Small(reduced(sample.members[image.member], *box), _size(image)))
    for video in document.media:
        if isinstance(video, Video):
            for time, name in evenly(list(zip(video.times, video.members, strict=False)), FRAMES_SHOWN):
                pictures.append(Small(reduced(sample.members[name], *box), clock(time)))
    return Entry(document, tuple(pictures))


def sheet(title: str, subtitle: str, entries: Sequence[Entry], fonts: Fonts) -> Sheet:
    """The sheet, pairs before clips before pages; as high as it has to be."""
    pairs = [one for one in entries if one.document.kind == "pair"]
    others = sorted((one for one in entries if one.document.kind != "pair"), key=lambda one: one.document.kind)
    blocks = [_row_of_cards(pairs[n : n + COLUMNS], fonts) for n in range(0, len(pairs), COLUMNS)]
    blocks += [_wide_card(one, fonts) for one in others]
    top = MARGIN + HEAD + SMALL_LINE + 2 * GAP
    height = top + sum(block.height + GAP for block in blocks) + MARGIN
    canvas = Picture.new("RGB", (WIDTH, height + SMALL_LINE), PAPER)
    draw = ImageDraw.Draw(canvas)
    fonts.draw(draw, (MARGIN, MARGIN + HEAD), fonts.fit(title, HEAD, WIDTH - 2 * MARGIN), HEAD, INK)
    fonts.draw(draw, (MARGIN, MARGIN + HEAD + SMALL_LINE + 6), subtitle, SMALL + 2, SOFT)
    y = top
    for block in blocks:
        if block.entries[0].document.kind == "pair":
            _draw_cards(canvas, draw, block, y, fonts)
        else:
            _draw_wide_card(canvas, draw, block, y, fonts)
        y += block.height + GAP
    lacking = fonts.lacking()
    if lacking:
        fonts.draw(draw, (MARGIN, height - MARGIN + SMALL_LINE), lacking, SMALL, SOFT)
    stream = BytesIO()
    canvas.save(stream, "PNG")
    return Sheet(stream.getvalue(), lacking)


# --- pairs: a grid ---------------------------------------------------------------------------------------------------


def _row_of_cards(entries: Sequence[Entry], fonts: Fonts) -> _Block:
    texts = tuple(fonts.wrap(one.document.text, TEXT, BOX[0], LINES_BELOW) for one in entries)
    notes = tuple([fonts.fit(_pair_note(one), SMALL, BOX[0])] for one in entries)
    height = BOX[1] + 3 * PAD + max(map(len, texts)) * TEXT_LINE + SMALL_LINE
    return _Block(tuple(entries), texts, notes, height)


def _draw_cards(canvas: Picture.Image, draw: ImageDraw.ImageDraw, block: _Block, top: int, fonts: Fonts) -> None:
    for column, (one, text, note) in enumerate(zip(block.entries, block.texts, block.notes, strict=True)):
        left = MARGIN + column * (CELL + GAP)
        _card(draw, (left, top), (CELL, block.height))
        for small in one.pictures[:1]:
            _place(canvas, draw, small, (left + PAD, top + PAD), BOX)
        y = top + BOX[1] + 2 * PAD
        for line in text:
            fonts.draw(draw, (left + PAD, y + TEXT), line, TEXT, INK, BOX[0])
            y += TEXT_LINE
        for line in note:
            fonts.draw(draw, (left + PAD, top + block.height - PAD), line, SMALL, SOFT)


def _pair_note(one: Entry) -> str:
    document = one.document
    split = f"{document.split}, " if document.split not in ("", "train") else ""
    score = f"similarity {document.scores[SIMILARITY]:.2f}, " if SIMILARITY in document.scores else ""
    return f"{split}{score}{one.pictures[0].note if one.pictures else ''}, {_host(document.page_url or document.url)}"


# --- clips and pages: rows -------------------------------------------------------------------------------------------


def _wide_card(one: Entry, fonts: Fonts) -> _Block:
    document = one.document
    title = fonts.wrap(document.title, TEXT, SIDE, 2) if document.kind == "page" else []
    text = fonts.wrap(document.text, TEXT, SIDE, LINES_BESIDE - len(title))
    notes = [fonts.fit(note, SMALL, SIDE) for note in _notes(one)]
    beside = (len(title) + len(text)) * TEXT_LINE + PAD // 2 + len(notes) * SMALL_LINE
    lines = -(-len(one.pictures) // IN_LINE[document.kind])
    pictures = lines * (_picture_height(one) + SMALL_LINE + PICTURE_GAP) - PICTURE_GAP
    return _Block((one,), (title, text), (notes,), 2 * PAD + max(beside, pictures))


def _notes(one: Entry) -> Iterator[str]:
    document = one.document
    for video in document.media:
        if isinstance(video, Video):
            frames = counted(len(video.members), "frame")
            yield f"{span(video.start, video.end)}, {frames}, {video.width} x {video.height}"
    if document.kind == "page":
        words = counted(len(document.text.split()), "word")
        yield f"{counted(len(document.images), 'image')}, {words}"
    split = f"{document.split}, " if document.split not in ("", "train") else ""
    yield f"{split}{_host(document.page_url or document.url)}"


def _draw_wide_card(canvas: Picture.Image, draw: ImageDraw.ImageDraw, block: _Block, top: int, fonts: Fonts) -> None:
    one = block.entries[0]
    _card(draw, (MARGIN, top), (WIDTH - 2 * MARGIN, block.height))
    left, y = MARGIN + PAD, top + PAD
    for lines, fill in zip(block.texts, (ACCENT, INK), strict=True):
        for line in lines:
            fonts.draw(draw, (left, y + TEXT), line, TEXT, fill, SIDE)
            y += TEXT_LINE
    y += PAD // 2
    for line in block.notes[0]:
        fonts.draw(draw, (left, y + SMALL), line, SMALL, SOFT)
        y += SMALL_LINE
    width, height = _width(one.document), _picture_height(one)
    for number, small in enumerate(one.pictures):
        row, column = divmod(number, IN_LINE[one.document.kind])
        x = left + SIDE + 2 * PAD + column * (width + PICTURE_GAP)
        y = top + PAD + row * (height + SMALL_LINE + PICTURE_GAP)
        _place(canvas, draw, small, (x, y), (width, height))
        fonts.draw(draw, (x, y + height + SMALL + 2), small.note, SMALL, SOFT)


def _width(document: Document) -> int:
    """Of the frames of a clip or the images of a page, at most."""
    count = IN_LINE[document.kind]
    return (WIDTH - 2 * MARGIN - SIDE - 4 * PAD - (count - 1) * PICTURE_GAP) // count


def _picture_height(one: Entry) -> int:
    return max((small.picture.height for small in one.pictures if small.picture), default=PICTURE_HEIGHT // 2)


# --- parts of both ---------------------------------------------------------------------------------------------------


def _card(draw: ImageDraw.ImageDraw, place: tuple[int, int], extent: tuple[int, int]) -> None:
    right, bottom = place[0] + extent[0] - 1, place[1] + extent[1] - 1
    draw.rounded_rectangle((*place, right, bottom), radius=8, fill=CARD, outline=LINE)


def _place(
    canvas: Picture.Image, draw: ImageDraw.ImageDraw, small: Small, place: tuple[int, int], box: tuple[int, int]
) -> None:
    """A picture in the middle of its box, with a thin line around it: many are as white as the card."""
    draw.rectangle((*place, place[0] + box[0] - 1, place[1] + box[1] - 1), fill=WASH)
    if small.picture is None:
        draw.text((place[0] + box[0] // 2, place[1] + box[1] // 2), "cannot be decoded", SOFT, anchor="mm")
        return
    width, height = small.picture.size
    left, top = place[0] + (box[0] - width) // 2, place[1] + (box[1] - height) // 2
    canvas.paste(small.picture, (left, top))
    draw.rectangle((left, top, left + width - 1, top + height - 1), outline=LINE)


def _size(image: Image) -> str:
    return f"{image.width} x {image.height} {image.member.rsplit('.', 1)[-1]}"


def _host(url: str) -> str:
    return url.split("://", 1)[-1].split("/", 1)[0]
