"""The pages and pictures of the Debian packages, and which of them go into the demo crawl."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from lxml import html
from PIL import Image

PACKAGES = ("gimp-help-en", "gimp-help-common", "debian-handbook", "python-skimage-doc")

HANDBOOK = "https://debian-handbook.info/browse/"
BOOK = f"{HANDBOOK}stable/"
"""The handbook in English."""
GIMP = "https://docs.gimp.org/2.10/en/"
SKIMAGE = "https://scikit-image.org/docs/0.19.x/"

_HANDBOOK_FOLDER = "debian-handbook/usr/share/doc/debian-handbook/html"
_GIMP_FOLDER = "gimp-help-en/usr/share/gimp/2.0/help/en"
_SKIMAGE_FOLDER = "python-skimage-doc/usr/share/doc/python-skimage-doc/html"

HANDBOOK_WITH_PICTURES = (
    "existing-setup",
    "network-services",
    "sect.after-first-boot",
    "sect.administration-interfaces",
    "sect.apt-frontends",
    "sect.how-to-migrate",
    "sect.installation-steps",
    "sect.master-plan",
    "sect.package-meta-information",
    "sect.regular-upgrades",
    "sect.release-lifecycle",
    "sect.remote-login",
    "sect.selinux",
    "sect.virtualization",
    "unix-services",
)
HANDBOOK_WITHOUT_PICTURES = (
    "index",
    "conclusion",
    "foreword",
    "sect.apt-get",
    "sect.dhcp",
    "sect.firewall-packet-filtering",
    "sect.quotas",
    "sect.why-debian",
    "sect.automatic-upgrades",
    "sect.kernel-compilation",
    "sect.hotplug",
)
HANDBOOK_TRANSLATED = (
    "sect.remote-login",
    "sect.how-to-migrate",
    "sect.why-gnu-linux",
    "sect.quotas",
    "sect.apt-get",
    "sect.config-printing",
    "sect.role-of-distributions",
)
HANDBOOK_LANGUAGES = {
    "de": "de-DE", "fr": "fr-FR", "ja": "ja-JP", "zh": "zh-CN", "ru": "ru-RU", "es": "es-ES", "ar": "ar-MA",
}  # fmt: skip
GIMP_ALWAYS = ("index", "introduction", "legal", "gfdl-1", "gfdl-2", "gfdl-3", "gfdl-4", "gimp-stuck")
SKIMAGE_ALWAYS = (
    "index",
    "license",
    "genindex",
    "values",
    "api/skimage.io",
    "api/skimage.registration",
    "user_guide",
    "user_guide/data_types",
    "user_guide/getting_started",
    "user_guide/tutorial_parallelization",
)
SKIMAGE_NEVER = ("lfw", "motorcycle")
"""Words of pages that show data sets whose own terms are not clear: left out."""


@dataclass(frozen=True)
class Page:
    """A page of a package at the address where its project publishes it."""

    url: str
    language: str
    """Language of the folder it lies in; a translation may be unfinished and read English."""
    body: bytes
    pictures: tuple[tuple[str, Path], ...]
    """Address and file of every picture it shows, in reading order, each once."""
    section: str = ""
    """First words of its name: pages are chosen from all sections in turn."""


def choose_pages(corpora: Path, gimp_budget: int, skimage_budget: int) -> list[Page]:
    """The pages of the demo crawl, in the order of the crawl: a page of each site in turn.

    Args:
        corpora: folder with the unpacked packages, one folder each.
        gimp_budget, skimage_budget: bytes of pictures to take at most, in all, from the pages chosen by themselves.
    """
    sites = [
        list(_gimp(corpora / _GIMP_FOLDER, gimp_budget)),
        list(_skimage(corpora / _SKIMAGE_FOLDER, skimage_budget)),
        list(_handbook(corpora / _HANDBOOK_FOLDER)),
    ]
    return [page for _, page in sorted(_spread(sites), key=lambda placed: placed[0])]


def all_pages(corpora: Path) -> Iterator[Page]:
    """Every page of the works, in the languages of the demo crawl: what `benchmarks.corpus` varies."""
    handbook = {"en": "en-US", **HANDBOOK_LANGUAGES}
    folders = [
        (corpora / _GIMP_FOLDER, GIMP, "en"),
        (corpora / _SKIMAGE_FOLDER, SKIMAGE, "en"),
        *(
            (corpora / _HANDBOOK_FOLDER / locale, f"{HANDBOOK}{locale}/stable/", language)
            for language, locale in handbook.items()
        ),
    ]
    for folder, base_url, language in folders:
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{folder}: no such folder; get the packages with python -m demo.make_crawl --fetch"
            )
        for path in sorted(folder.rglob("*.html")):
            yield read_page(folder, str(path.relative_to(folder)), base_url, language)


def _spread(sites: list[list[Page]]) -> Iterator[tuple[float, Page]]:
    for pages in sites:
        for place, page in enumerate(pages):
            yield (place + 1) / (len(pages) + 1), page


def _handbook(folder: Path) -> Iterator[Page]:
    for name in (*HANDBOOK_WITH_PICTURES, *HANDBOOK_WITHOUT_PICTURES):
        yield read_page(folder / "en-US", f"{name}.html", BOOK, "en")
    for name in HANDBOOK_TRANSLATED:
        for language, locale in HANDBOOK_LANGUAGES.items():
            yield read_page(folder / locale, f"{name}.html", f"{HANDBOOK}{locale}/stable/", language)


def _gimp(folder: Path, budget: int) -> Iterator[Page]:
    pages = [read_page(folder, path.name, GIMP, "en") for path in sorted(folder.glob("*.html"))]
    always = {f"{GIMP}{name}.html" for name in GIMP_ALWAYS}
    yield from (page for page in pages if page.url in always)
    rest = [page for page in pages if page.url not in always]
    yield from _affordable([page for page in rest if _content_pictures(page)], budget, most=330_000)
    # Every ninth of the pages that show nothing but icons: they are dropped, as most pages of a crawl are.
    yield from [page for page in rest if not _content_pictures(page)][::9]


def _skimage(folder: Path, budget: int) -> Iterator[Page]:
    yield from (read_page(folder, f"{name}.html", SKIMAGE, "en") for name in SKIMAGE_ALWAYS)
    names = sorted(str(path.relative_to(folder)) for path in folder.glob("auto_examples/*/plot_*.html"))
    pages = [read_page(folder, name, SKIMAGE, "en") for name in names]
    pages = [page for page in pages if not any(word in page.body.decode() for word in SKIMAGE_NEVER)]
    yield from _affordable(pages, budget, most=260_000)


def read_page(folder: Path, name: str, base_url: str, language: str) -> Page:
    """The page in file `name` below `folder`, which stands for `base_url`."""
    path = folder / name
    body = path.read_bytes()
    url = base_url + name
    pictures: dict[str, Path] = {}
    for image in html.fromstring(body).iter("img"):
        source = image.get("src", "")
        target = _address(url, source)
        if target.startswith(base_url):
            file = folder / unquote(urlsplit(target).path.removeprefix(urlsplit(base_url).path))
            if file.is_file():
                pictures.setdefault(target, file)
    words = path.stem.split("-")
    section = path.parent.name if base_url == SKIMAGE else "-".join(words[:2])
    return Page(url, language, body, tuple(pictures.items()), section)


def _address(page_url: str, source: str) -> str:
    """RFC 3986 joining. Python's urljoin drops empty segments ("images//left.png"), browsers and crawlers do not."""
    if "//" in source and not source.startswith((".", "/")) and ":" not in source:
        return urljoin(page_url, ".") + source
    return urljoin(page_url, source)


def _affordable(pages: list[Page], budget: int, most: int) -> Iterator[Page]:
    """Pages from each section in turn, those with most photographs for their bytes first, until the budget is spent."""
    sections: dict[str, list[Page]] = defaultdict(list)
    for page in sorted(pages, key=lambda page: (-_worth(page), page.url)):
        sections[page.section].append(page)
    # A section of n pages offers them at 1/n, 2/n, ...: large sections come up more often, small ones early.
    offered = sorted(
        (
            ((place + 1) / (len(offers) + 3), page.url, page)
            for offers in sections.values()
            for place, page in enumerate(offers)
        )
    )
    taken: set[str] = set()
    spent = 0
    for _, _, page in offered:
        cost = sum(file.stat().st_size for url, file in page.pictures if url not in taken)
        if cost > most or spent + cost > budget:
            continue
        spent += cost
        taken.update(url for url, _ in page.pictures)
        yield page


def _worth(page: Page) -> float:
    """Pictures for their bytes. Four count, photographs thrice: many pages of a few pictures come in."""
    photographs = sum(file.suffix == ".jpg" for _, file in page.pictures)
    size = sum(file.stat().st_size for _, file in page.pictures)
    return (min(_content_pictures(page), 4) + 2 * min(photographs, 4)) / (size + 40_000)


def _content_pictures(page: Page) -> int:
    """Pictures with no side below 64 pixels and one of 128 or more: no icon."""
    return sum(min(size) >= 64 and max(size) >= 128 for size in (picture_size(file) for _, file in page.pictures))


def picture_size(file: Path) -> tuple[int, int]:
    with Image.open(file) as picture:
        return picture.size
