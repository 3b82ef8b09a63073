"""Makes demo/crawl.warc.gz from Debian packages: python -m demo.make_crawl FOLDER [--fetch].

FOLDER holds the unpacked packages named in `demo.pages`, one folder each; --fetch brings them there with
`apt-get download` and `dpkg -x` (run `apt-get update` before; nothing is installed). The same packages, zlib and Pillow
give the same bytes. What is in the crawl is written to demo/contents.json and to the tables in demo/README.md.
"""

import argparse
import json
import mimetypes
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from demo.defects import HTML, Crawl, Defect
from demo.exchange import Exchange, write_crawl
from demo.page_defects import add_page_defects
from demo.pages import GIMP, HANDBOOK, PACKAGES, SKIMAGE, Page, choose_pages
from demo.picture_defects import add_picture_defects
from demo.record_defects import add_record_defects

GIMP_BUDGET = 4_600_000
"""Bytes of pictures of the GIMP manual."""
SKIMAGE_BUDGET = 3_000_000
"""Bytes of pictures of scikit-image."""
LARGEST = 15_000_000
"""Bytes that the file may have."""

STYLES = (
    (f"{GIMP}gimp-help-plain.css", "gimp-help-en/usr/share/gimp/2.0/help/en/gimp-help-plain.css"),
    (
        f"{HANDBOOK}stable/Common_Content/css/default.css",
        "debian-handbook/usr/share/doc/debian-handbook/html/en-US/Common_Content/css/default.css",
    ),
)

MARKS = ("<!-- made by demo/make_crawl.py -->", "<!-- end -->")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with the unpacked packages")
    parser.add_argument("--fetch", action="store_true", help="bring the packages there first")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder of the results [demo]")
    options = parser.parse_args(arguments)
    if options.fetch:
        fetch_packages(options.folder)
    missing = [name for name in PACKAGES if not (options.folder / name).is_dir()]
    if missing:
        sys.exit(f"{options.folder} lacks {', '.join(missing)}: give --fetch, or another folder")

    pages = choose_pages(options.folder, GIMP_BUDGET, SKIMAGE_BUDGET)
    crawl = crawl_of(pages, options.folder)
    defects = [*add_picture_defects(crawl), *add_page_defects(crawl), *add_record_defects(crawl)]
    path = options.output / "crawl.warc.gz"
    write_crawl(path, crawl.values())
    if (size := path.stat().st_size) > LARGEST:
        sys.exit(f"{path} has {size} bytes, more than {LARGEST}: lower the budgets")

    contents = describe(crawl, pages, defects)
    (options.output / "contents.json").write_text(json.dumps(contents, indent=1) + "\n")
    readme = options.output / "README.md"
    if readme.exists():
        before, _, rest = readme.read_text().partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        readme.write_text(f"{before}{MARKS[0]}\n{tables(contents)}{MARKS[1]}{after}")
    print(f"{path}: {size / 1e6:.1f} MB, {contents['responses']}")


def fetch_packages(folder: Path) -> None:
    """Downloads the packages with apt-get and unpacks each into a folder of its name."""
    downloads = folder / ".downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        subprocess.run(["apt-get", "-qq", "download", package], cwd=downloads, check=True)
        newest = max(downloads.glob(f"{package}_*.deb"), key=lambda path: path.stat().st_mtime)
        subprocess.run(["dpkg", "-x", str(newest), str(folder / package)], check=True)


def crawl_of(pages: Sequence[Page], corpora: Path) -> Crawl:
    """The crawl without defects: robots.txt of every host, and every page followed by its pictures."""
    crawl: Crawl = {}
    for base in (HANDBOOK, GIMP, SKIMAGE):
        url = f"https://{urlsplit(base).netloc}/robots.txt"
        crawl[url] = Exchange(url=url, body=b"User-agent: *\nDisallow: /private/\n", content_type="text/plain")
    for url, name in STYLES:
        crawl[url] = Exchange(url=url, body=(corpora / name).read_bytes(), content_type="text/css")
    for page in pages:
        crawl[page.url] = Exchange(url=page.url, body=page.body, content_type=HTML)
        for url, file in page.pictures:
            kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            crawl.setdefault(url, Exchange(url=url, body=file.read_bytes(), content_type=kind))
    return crawl


def describe(crawl: Crawl, pages: Sequence[Page], defects: Sequence[Defect]) -> dict[str, object]:
    """Counts of what a reader finds, and the defects. Records that are cut or corrupt are not counted."""
    languages = {page.url: page.language for page in pages}
    readable = [exchange for exchange in crawl.values() if not exchange.damage]
    responses = [exchange for exchange in readable if not exchange.revisit_of]
    page_counts: Counter[tuple[str, str]] = Counter()
    picture_counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for exchange in responses:
        host = urlsplit(exchange.url).netloc
        if not exchange.status.startswith("200"):
            kinds["not_200"] += 1
        elif exchange.content_type.startswith("text/html"):
            kinds["html"] += 1
            page_counts[host, languages.get(exchange.url, "en")] += 1
        elif exchange.content_type.startswith("image/"):
            kinds["image"] += 1
            picture_counts[host] += 1
        else:
            kinds["other"] += 1
    hosts = sorted({urlsplit(exchange.url).netloc for exchange in crawl.values()})
    return {
        "records": {
            "warcinfo": 1,
            "request": len(crawl),
            "response": len(responses),
            "revisit": len(readable) - len(responses),
        },
        "responses": dict(sorted(kinds.items())),
        "pages": {
            host: {language: count for (at, language), count in sorted(page_counts.items()) if at == host}
            for host in hosts
        },
        "images": {host: picture_counts[host] for host in hosts},
        "defects": [asdict(defect) for defect in defects],
    }


def tables(contents: dict[str, object]) -> str:
    """The counts and the defects as Markdown."""
    records, responses, pages, images, defects = (
        contents[key] for key in ("records", "responses", "pages", "images", "defects")
    )
    assert isinstance(records, dict) and isinstance(responses, dict) and isinstance(pages, dict)
    assert isinstance(images, dict) and isinstance(defects, list)
    lines = [
        "\n## What is in it\n",
        "| host | pages (status 200), by language of the site's folder | images |",
        "| --- | --- | --- |",
    ]
    for host, languages in pages.items():
        counted = ", ".join(f"{language} {count}" for language, count in languages.items()) or "-"
        lines.append(f"| {host} | {counted} | {images[host]} |")
    lines.append(f"| in all | {responses['html']} | {responses['image']} |")
    listed = ", ".join(f"{count} {kind}" for kind, count in records.items())
    lines.append(
        f"\nReadable WARC records: {listed}. Of the responses {responses['html']} are HTML pages and "
        f"{responses['image']} images with status 200, {responses['other']} are something else (robots.txt, CSS), "
        f"{responses['not_200']} have another status.\n"
    )
    lines += [
        "## Defects\n",
        "| name | what | where | expected of OpenM3W | altered |",
        "| --- | --- | --- | --- | --- |",
    ]
    for defect in defects:
        urls = defect["urls"]
        where = "<br>".join(urls[:2]) + (f"<br>and {len(urls) - 2} more" if len(urls) > 2 else "")
        altered = "yes" if defect["altered"] else "no"
        lines.append(
            f"| {defect['name']} | {defect['what'].replace('<', '&lt;')} | {where} | {defect['expected']} | {altered} |"
        )
    return "\n".join(lines) + "\n\n"


if __name__ == "__main__":
    main()
