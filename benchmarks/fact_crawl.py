"""Facts of a crawl that never was: what the scan and the fetch would leave for the shuffles, by the million.

Two keys are as hot as on the web: one host has a third of all pages, and one picture stands on every page. Every row is
a function of its number, so a crawl of facts is the same wherever it is made.
"""

from collections.abc import Iterator
from itertools import islice

from dedup.urls import image_url_key
from pipelines.facts import LEDGER, MEDIA, PAGES, WANTED, DocumentFact, LedgerRow, UseFact, partition, to_json
from pipelines.store import paths
from pipelines.store.facts import read_rows, write_rows
from pipelines.store.media import MediaStore
from pipelines.store.work import Work
from schemas.keys import digest, page_key

HOT_HOST = "www.everybody.example"
HOT_IMAGE = "https://cdn.everybody.example/photos/on-every-page.jpg"
PAGES_PER_UNIT = 20_000
ROWS_PER_LEDGER_PART = 20_000
PAGES_PER_SITE = 200
TIME = 1_700_000_000


def page_fact(number: int, images: int) -> DocumentFact:
    """One in twenty was fetched twice, one in twenty has the text of another; pictures are shared by two pages."""
    again, copied = number % 20 == 1, number % 20 == 2
    shown = number - 1 if again else number
    host = HOT_HOST if shown % 3 == 0 else f"www.site-{shown // PAGES_PER_SITE}.example"
    url = f"https://{host}/articles/{shown:09d}.html"
    text = f"text {number - 1 if copied else number}"
    uses = [[0, HOT_IMAGE, 0, 0]]
    uses += [[i, f"https://{host}/photos/{shown // 2:09d}-{i}.jpg", 640, 480] for i in range(1, images)]
    return DocumentFact(
        kind="page",
        key=page_key(url, text),
        url=url,
        url_key=digest(url),
        text_digest=digest(text),
        domain=host.removeprefix("www."),
        time=TIME + number,
        name=f"crawl-{number // PAGES_PER_UNIT:06d}.warc.gz",
        offset=number % PAGES_PER_UNIT * 30_000,
        pack=f"packs/{number // PAGES_PER_UNIT:06d}.jsonl",
        pack_offset=number % PAGES_PER_UNIT * 4_000,
        pack_length=4_000,
        words=600,
        images=to_json(uses),
        image_count=len(uses),
    )


def write_pages(work: Work, pages: int, images: int) -> None:
    """What the scan would leave, in as many files as it would be for units of so many pages."""
    numbers = iter(range(pages))
    unit = 0
    while some := list(islice(numbers, PAGES_PER_UNIT)):
        split: dict[int, list[tuple[object, ...]]] = {}
        for number in some:
            fact = page_fact(number, images)
            split.setdefault(partition(PAGES.key(fact), work.partitions), []).append(tuple(fact))
        for part, rows in split.items():
            write_rows(work.path("facts", PAGES.name, f"{part}", f"unit-{unit:06d}.parquet"), PAGES.row, rows)
        unit += 1
    write_rows(work.path("facts", MEDIA.name, "0", "unit-000000.parquet"), MEDIA.row, [])


def ledger_row(use: UseFact) -> LedgerRow:
    """What the fetch would note of an address: one in fifty is not found, one in ten has the bytes of its neighbour."""
    number = int(use.url_key[:8], 16)
    found = number % 50 != 0
    sha256 = digest("bytes", use.url_key[:7] if number % 10 == 1 else use.url) * 2
    return LedgerRow(
        url_key=use.url_key,
        url=use.url,
        outcome="ok" if found else "http_status",
        detail="" if found else "404",
        retryable=0,
        tries=1,
        http_status=200 if found else 404,
        final_url="",
        opt_out="",
        time=TIME,
        origin="store",
        name=f"{number % 1000:04d}.tar" if found else "",
        offset=number % 1000 * 50_000,
        length=50_000 * found,
        bytes=50_000 * found,
        format="jpeg" if found else "",
        sha256=sha256 if found else "",
        settings="",
        member_format="jpg",
        member_pack="",
        member_offset=0,
        member_bytes=50_000 * found,
        member_sha256=sha256 if found else "",
        member_width=640 * found,
        member_height=480 * found,
        width=640 * found,
        height=480 * found,
        phash=sha256[:16] if found else "",
        deviation=40.0 * found,
        dominant_share=0.1 * found,
        nsfw=-1.0,
    )


def write_ledger(work: Work, store: MediaStore, settings: str) -> int:
    """The ledger of all addresses that are wanted; how many."""
    total = 0
    rows = _wanted_once(work)
    while some := list(islice(rows, ROWS_PER_LEDGER_PART)):
        name = f"made-{total // ROWS_PER_LEDGER_PART:06d}.parquet"
        made = [row._replace(settings=settings) if row.ok else row for row in map(ledger_row, some)]
        write_rows(paths.join(store.folder, "ledger", name), LEDGER.row, [tuple(row) for row in made])
        total += len(some)
    return total


def _wanted_once(work: Work) -> Iterator[UseFact]:
    for number in range(work.partitions):
        seen: set[str] = set()
        for path in work.fact_files(WANTED, number):
            for plain in read_rows(path, UseFact):
                use = UseFact._make(plain)
                if use.url_key not in seen:
                    seen.add(use.url_key)
                    yield use


HOT_KEY = image_url_key(HOT_IMAGE)
