"""What a build asks of an object store: requests and bytes for each page, with ranges joined and each for itself."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from benchmarks.build_run import JOBS, Corpus, make_corpus, write_recipe
from benchmarks.machine import Result, Table, say
from pipelines.build import BuildOptions, build
from pipelines.engine import LocalEngine
from pipelines.fetch import Web
from pipelines.progress import Progress
from pipelines.recipe import load_recipe
from pipelines.store import paths, ranges
from pipelines.store.ranges import Range
from pipelines.web.config import TestAllowances
from tests.object_stores import BUCKET, Proxy, Request, StoreServer

OFFLINE = Web(agent=None, allowances=TestAllowances(loopback=False, pacing_off=False), connections=1)
SMALL_READ = 50_000
WAYS = ("joined", "each for itself")


class Counted(Progress):
    """Notes at which request each job begins."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(quiet=True)
        self.proxy = proxy
        self.marks: dict[str, int] = {}

    @contextmanager
    def job(self, name: str, what: str) -> Iterator[None]:
        self.marks[name] = len(self.proxy.requests)
        with super().job(name, what):
            yield


def alone(wanted: Iterable[Range]) -> list[list[Range]]:
    """In the place of `ranges.joined`: a request for each range."""
    return [[one] for one in sorted(set(wanted))]


def measure(scratch: Path, quick: bool) -> Result:
    corpus = make_corpus(scratch / "object_store", 60 if quick else 1_000)
    recipe = write_recipe(scratch / "none.toml", "none")
    rows: list[list[str]] = []
    writer: list[list[str]] = []
    with StoreServer("s3") as server:
        with server.environment(server.port):
            for path in sorted(corpus.folder.iterdir()):
                paths.publish(f"s3://{BUCKET}/crawl/{path.name}", path.read_bytes())
        for way in WAYS:
            say(f"object_store: ranges {way}")
            with patch.object(ranges, "joined", ranges.joined if way == WAYS[0] else alone):
                jobs, documents, images = counted_build(server, recipe, f"s3://{BUCKET}/{way.replace(' ', '-')}")
            rows += [row(way, job, requests, corpus) for job, requests in jobs.items()]
            rows.append(row(way, "whole", [request for some in jobs.values() for request in some], corpus))
            writer.append(writer_row(way, jobs["write"], documents, images))
        single = [small_read(server, name) for name in ("read_range", "Beam's reader")]
    head = ["ranges", "job", "requests", "of them reads", "read, MB", "requests/page", "read, kB/page"]
    return Result(
        "object_store",
        f"What `m3w build m3w --offline` of {corpus.pages} pages ({corpus.image_records} images of the crawl, "
        f"{corpus.bytes / 1e6:.0f} MB) with input, output and media on S3 asks of the store, counted by a proxy before "
        "moto's server; and the same with every range a request of its own.",
        (
            Table(head, rows, "A build, job by job"),
            Table(
                ["ranges", "documents", "images", "reads of packs and WARCs", "of them for a document", "MB"],
                writer,
                "The writer of the shards",
            ),
            Table(
                ["way", "requests", "bytes asked for"],
                single,
                f"{SMALL_READ} bytes out of the middle of an object of 30 MB",
            ),
        ),
        (
            f"Ranges with at most {ranges.GAP_BYTES >> 10} KiB between them are joined, up to "
            f"{ranges.REQUEST_BYTES >> 20} MiB for a request.",
            "The plan, which reads the whole input once for its digest, is not in the table.",
            "Here a shard takes much of what lies in a pack, so that neighbours are wanted together. Of a large crawl "
            "a shard takes one page in thousands from each pack: then only what belongs to one page is near.",
        ),
    )


def counted_build(server: StoreServer, recipe: Path, output: str) -> tuple[dict[str, list[Request]], int, int]:
    """The requests of each job, and the documents and images that were written."""
    with Proxy(server.port) as proxy, server.environment(proxy.port):
        progress = Counted(proxy)
        options = BuildOptions(inputs=(f"s3://{BUCKET}/crawl",), output=output)
        manifest = build(load_recipe(str(recipe)), options, LocalEngine(), OFFLINE, progress)
        ends = [*list(progress.marks.values())[1:], len(proxy.requests)]
        jobs = {
            job: proxy.requests[begin:end]
            for (job, begin), end in zip(progress.marks.items(), ends, strict=True)
            if job in JOBS
        }
    shards = manifest.shards
    return jobs, sum(shard.samples for shard in shards), sum(shard.images for shard in shards)


def row(way: str, job: str, requests: list[Request], corpus: Corpus) -> list[str]:
    reads = [request for request in requests if request.range]
    sent = sum(request.sent for request in reads)
    return [
        *(way, job, str(len(requests)), str(len(reads)), f"{sent / 1e6:.1f}"),
        *(f"{len(requests) / corpus.pages:.2f}", f"{sent / 1e3 / corpus.pages:.1f}"),
    ]


def writer_row(way: str, requests: list[Request], documents: int, images: int) -> list[str]:
    """Reads of packs and of the crawl alone: not of facts, nor of the shard that is read back."""
    reads = [r for r in requests if r.range and ("/packs/" in r.path or "/crawl/" in r.path)]
    sent = sum(request.sent for request in reads)
    return [
        *(way, str(documents), str(images), str(len(reads))),
        *(f"{len(reads) / max(1, documents):.2f}", f"{sent / 1e6:.1f}"),
    ]


def small_read(server: StoreServer, way: str) -> list[str]:
    with Proxy(server.port) as proxy, server.environment(proxy.port):
        path = f"s3://{BUCKET}/large"
        paths.publish(path, bytes(30_000_000))
        proxy.requests.clear()
        if way == "read_range":
            paths.read_range(path, 10_000_000, SMALL_READ)
        else:
            with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as stream:
                stream.seek(10_000_000)
                stream.read(SMALL_READ)
        return [way, str(len(proxy.requests)), str(sum(r.sent for r in proxy.requests if r.method == "GET"))]
