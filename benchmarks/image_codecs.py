"""Which decoder and resizer handle real images fastest, and where `media.prepare` spends its time.

    python -m benchmarks.image_codecs FOLDER... [--limit 400] [--side 320] [--scorer opennsfw]

Reads the JPEG and PNG files below the folders (a random sample, always the same) and prints markdown tables. Decoders
other than Pillow are measured if they are installed (simplejpeg, opencv-python-headless, pyvips[binary]); none of
them is a dependency. Times are processor time of this process with one thread; each figure is the best of three.
"""

import argparse
import importlib
import os
import platform
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import PIL
from PIL import Image

from pipelines.media.blocklist import NO_BLOCKLIST
from pipelines.media.decode import Decoded, decode
from pipelines.media.encode import encode_jpeg, encode_png
from pipelines.media.perceptual import deviation, dominant_share, phash
from pipelines.media.prepare import MediaConfig, Prepared, prepare
from pipelines.media.safety import load_scorer
from pipelines.media.sniff import image_format
from pipelines.media.strip import strip
from schemas.rejection import Rejected

CONFIG = MediaConfig(
    formats=("jpeg", "png", "gif", "webp", "avif", "bmp", "tiff"),
    max_pixels=89_478_485,
    max_header_side=30_000,
    max_scans=100,
    max_side=0,
    jpeg_quality=90,
    jpeg_subsampling="4:2:0",
    png_max_bytes_per_pixel=1.5,
    png_compress_level=3,
)


def read_images(folders: Sequence[Path], limit: int) -> list[bytes]:
    """A sample of at most `limit` decodable JPEG and PNG files."""
    found = sorted(p for folder in folders for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    random.Random(0).shuffle(found)
    images = [p.read_bytes() for p in found[:limit] if p.is_file() and not p.is_symlink()]
    return [data for data in images if isinstance(prepare(data, CONFIG, None, NO_BLOCKLIST), Prepared)]


def seconds(work: Callable[[bytes], object], images: Sequence[bytes]) -> float:
    """Processor time for all images, best of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        for data in images:
            work(data)
        times.append(time.process_time() - start)
    return min(times)


def optional(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def pillow(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image if image.mode in ("RGB", "L") else image.convert("RGB")


def full_decoders(kind: str) -> Iterator[tuple[str, Callable[[bytes], object]]]:
    """Ways to whole RGB pixels."""
    yield "Pillow", pillow
    yield "Pillow, as an array", lambda data: np.asarray(pillow(data))
    if kind == "jpeg" and (simplejpeg := optional("simplejpeg")):
        yield "simplejpeg", lambda data: simplejpeg.decode_jpeg(data, "RGB")
    if cv2 := optional("cv2"):
        cv2.setNumThreads(1)
        yield "OpenCV (BGR)", lambda data: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if pyvips := optional("pyvips"):
        yield "libvips", lambda data: pyvips.Image.new_from_buffer(data, "").write_to_memory()


def resizers(kind: str, side: int) -> Iterator[tuple[str, Callable[[bytes], object]]]:
    """Ways to a picture whose larger side is `side`."""

    def fitted(width: int, height: int) -> tuple[int, int]:
        scale = min(1.0, side / max(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))

    def plain(data: bytes) -> Image.Image:
        image = pillow(data)
        return image.resize(fitted(*image.size), Image.Resampling.LANCZOS)

    def draft(data: bytes) -> Image.Image:
        image = Image.open(BytesIO(data))
        target = fitted(*image.size)
        image.draft(image.mode, (2 * target[0], 2 * target[1]))
        image.load()
        flat = image if image.mode in ("RGB", "L") else image.convert("RGB")
        return flat.resize(target, Image.Resampling.LANCZOS, reducing_gap=2.0)

    yield "Pillow resize (Lanczos)", plain
    yield "Pillow draft + reduce + Lanczos (what prepare does)", draft
    if cv2 := optional("cv2"):

        def opencv(data: bytes) -> object:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            return cv2.resize(pixels, fitted(pixels.shape[1], pixels.shape[0]), interpolation=cv2.INTER_AREA)

        yield "OpenCV INTER_AREA", opencv
    if pyvips := optional("pyvips"):
        yield (
            "libvips thumbnail",
            lambda data: pyvips.Image.thumbnail_buffer(data, side, height=side, size="down").write_to_memory(),
        )


def prepare_steps(images: Sequence[bytes]) -> Iterator[tuple[str, float]]:
    """Seconds of each part of `prepare`, the parts called one by one."""
    decoded: dict[bytes, Decoded] = {}
    for data in images:
        result = decode(data, image_format(data), max_pixels=CONFIG.max_pixels, max_header_side=65_500, max_side=0)
        if not isinstance(result, Rejected):
            decoded[data] = result
    prepared = {data: prepare(data, CONFIG, None, NO_BLOCKLIST) for data in images}
    stripped = [data for data, p in prepared.items() if isinstance(p, Prepared) and p.stripped]
    to_png = [d for d, p in prepared.items() if isinstance(p, Prepared) and not p.stripped and p.member_format == "png"]
    to_jpg = [d for d, p in prepared.items() if isinstance(p, Prepared) and not p.stripped and p.member_format == "jpg"]
    yield (
        "decode, profile, alpha, turn",
        seconds(lambda d: decode(d, image_format(d), max_pixels=2**31, max_header_side=65_500, max_side=0), images),
    )
    yield "phash", seconds(lambda d: phash(decoded[d].picture), images)
    yield "deviation", seconds(lambda d: deviation(decoded[d].picture), images)
    yield "dominant share", seconds(lambda d: dominant_share(decoded[d].picture), images)
    yield f"strip ({len(stripped)} images)", seconds(strip, stripped)
    yield (
        f"encode PNG ({len(to_png)} images)",
        seconds(lambda d: encode_png(decoded[d].picture, CONFIG.png_compress_level), to_png),
    )
    yield (
        f"encode JPEG ({len(to_jpg)} images)",
        seconds(lambda d: encode_jpeg(decoded[d].picture, CONFIG.jpeg_quality, CONFIG.jpeg_subsampling), to_jpg),
    )


def table(title: str, rows: Iterator[tuple[str, float]], num_images: int) -> None:
    print(f"\n{title}\n\n| what | ms an image | images/s |\n| --- | ---: | ---: |")
    for name, spent in rows:
        print(f"| {name} | {1e3 * spent / num_images:.2f} | {num_images / spent if spent else 0:.0f} |", flush=True)


def machine() -> str:
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--limit", type=int, default=400, help="images to read, of all that are found")
    parser.add_argument("--side", type=int, default=320, help="larger side for the resizers, pixels")
    parser.add_argument("--scorer", default="none", help="none or opennsfw")
    options = parser.parse_args()
    # libvips reads it when it is loaded.
    os.environ["VIPS_CONCURRENCY"] = "1"
    images = read_images(options.folders, options.limit)
    if not images:
        sys.exit("no JPEG or PNG files below the folders")
    command = f"python -m benchmarks.image_codecs {' '.join(f.name for f in options.folders)} --limit {options.limit}"
    command += f" --side {options.side} --scorer {options.scorer}"
    print(f"Machine: {machine()}; Pillow {PIL.__version__}\n\nCommand: `{command}`")
    for kind in ("jpeg", "png"):
        some = [data for data in images if image_format(data) == kind]
        if not some:
            continue
        pixels = [image.width * image.height for image in (Image.open(BytesIO(data)) for data in some)]
        about = f"{len(some)} {kind.upper()} files, {sum(map(len, some)) / len(some) / 1e3:.0f} kB"
        about += f" and {sum(pixels) / len(some) / 1e6:.2f} megapixels on average"
        decoders = ((name, seconds(work, some)) for name, work in full_decoders(kind))
        table(f"Decode {about}", decoders, len(some))
        shrinkers = ((name, seconds(work, some)) for name, work in resizers(kind, options.side))
        table(f"Decode and reduce to {options.side} pixels, the same files", shrinkers, len(some))
    table(f"Parts of prepare, {len(images)} images", prepare_steps(images), len(images))
    scorer = load_scorer(options.scorer)
    whole = [("prepare, no scorer", seconds(lambda d: prepare(d, CONFIG, None, NO_BLOCKLIST), images))]
    if scorer is not None:
        whole.append((f"prepare, {scorer.name}", seconds(lambda d: prepare(d, CONFIG, scorer, NO_BLOCKLIST), images)))
    table("Whole", iter(whole), len(images))


if __name__ == "__main__":
    main()
