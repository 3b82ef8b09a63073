"""Makes demo/videos from two free videos: python -m demo.make_videos FOLDER [--fetch].

FOLDER holds the source archive of moviepy (Big Buck Bunny's trailer, as its tutorial cuts it) and the unpacked Debian
package gnome-user-docs (a screen recording with its own timed text); --fetch brings them there. The trailer is made
smaller, the recording stays as it is. What is said of each stands in the pages and subtitles beside them.
"""

import argparse
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av

MOVIEPY = "moviepy-2.2.1"
TRAILER = f"{MOVIEPY}/docs/_static/medias/getting_started/moviepy_10_minutes/trailer_bbb.mp4"
HELP = "gnome-user-docs/usr/share/help/C/gnome-help"
WIDTH, HEIGHT, RATE = 426, 240, 12
"""Of the smaller trailer: pixels, and frames a second."""

SCENES = (
    (0.5, 9.5, "Pink clouds drift over green hills and a forest of fir trees while the title of the film appears."),
    (10.3, 13.8, "A small grey bird dances on a branch and flaps its wings."),
    (14.5, 24.4, "A big grey rabbit wakes up in the dark of its burrow and looks out into the sun."),
    (24.8, 31.8, "The rabbit stretches its arms in front of the burrow on a bright morning."),
    (32.6, 35.6, "Three rodents stand by a tree, and one of them holds a pink butterfly."),
    (36.0, 37.6, "The rabbit stoops in a wide meadow between two trees."),
    (38.0, 41.8, "The rabbit leans against the trunk of a tree and looks around for who hit it."),
    (42.0, 43.8, "Far away, three small rodents laugh below a large tree."),
    (44.0, 46.8, "The rabbit stands before the tree with wide, sad eyes."),
    (47.8, 51.6, "The rabbit narrows its eyes and stares straight at us."),
)
"""(start, end, what is seen): ours, written from the pictures."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title>
<meta name="description" content="{description}"></head>
<body>
<main>
<h1>{title}</h1>
<figure>
<video controls width="480" title="{title}">
<source src="{video}" type="{type}">
{track}Your browser does not play videos.
</video>
<figcaption>{caption}</figcaption>
</figure>
<p>{text}</p>
</main>
</body>
</html>
"""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with the sources")
    parser.add_argument("--fetch", action="store_true", help="bring the sources there first")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "videos", help="folder of the results")
    options = parser.parse_args(arguments)
    if options.fetch:
        fetch_sources(options.folder)
    if missing := [name for name in (TRAILER, HELP) if not (options.folder / name).exists()]:
        sys.exit(f"{options.folder} lacks {', '.join(missing)}: give --fetch, or another folder")
    options.output.mkdir(parents=True, exist_ok=True)
    make_trailer(options.folder, options.output)
    make_recording(options.folder, options.output)
    make_defects(options.output)


def fetch_sources(folder: Path) -> None:
    """Brings both sources to the folder, installing nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "moviepy==2.2.1"]
    subprocess.run(pip, cwd=folder, check=True)
    with tarfile.open(folder / f"{MOVIEPY}.tar.gz") as tar:
        tar.extract(TRAILER, folder, filter="data")
    subprocess.run(["apt-get", "download", "gnome-user-docs"], cwd=folder, check=True)
    (package,) = folder.glob("gnome-user-docs_*.deb")
    subprocess.run(["dpkg", "-x", package.name, "gnome-user-docs"], cwd=folder, check=True)


def make_trailer(folder: Path, output: Path) -> None:
    shrink(folder / TRAILER, output / "trailer.mp4")
    (output / "trailer.en.vtt").write_text(webvtt(SCENES))
    page = PAGE.format(
        title="Big Buck Bunny: the trailer",
        description="Trailer of a short animated film about a large rabbit and three rodents.",
        video="trailer.mp4",
        type="video/mp4",
        track='<track kind="descriptions" src="trailer.en.vtt" srclang="en">\n',
        caption="The trailer of Big Buck Bunny, a short animated film of the Blender Foundation.",
        text="Big Buck Bunny was made with free software and published with all its parts.",
    )
    (output / "trailer.html").write_text(page)


def shrink(source: Path, target: Path) -> None:
    """The same video without sound, smaller and with fewer frames."""
    with av.open(str(source)) as read, av.open(str(target), "w", options={"movflags": "faststart"}) as written:
        stream = written.add_stream("libx264", rate=RATE, options={"crf": "28", "preset": "veryslow", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = Fraction(1, RATE)
        number = 0
        for frame in read.decode(video=0):
            if frame.time is None or frame.time < number / RATE:
                continue
            small = frame.reformat(WIDTH, HEIGHT, "yuv420p")
            small.pts, small.time_base = number, Fraction(1, RATE)
            written.mux(stream.encode(small))
            number += 1
        written.mux(stream.encode(None))


def make_recording(folder: Path, output: Path) -> None:
    source = (folder / HELP / "display-dual-monitors.page").read_text()
    (output / "monitors.webm").write_bytes((folder / HELP / "figures/display-dual-monitors.webm").read_bytes())
    (output / "monitors.en.vtt").write_text(webvtt(list(timed_text(source))))
    page = PAGE.format(
        title="Connect another monitor to your computer",
        description="Set up an additional monitor.",
        video="monitors.webm",
        type="video/webm",
        track='<track kind="subtitles" src="monitors.en.vtt" srclang="en" label="English">\n',
        caption="How to set up an additional monitor.",
        text="To set up an additional monitor, connect the monitor to your computer.",
    )
    (output / "monitors.html").write_text(page)


def timed_text(page: str) -> Iterator[tuple[float, float, str]]:
    """(start, end, text) of the timed text that the help page holds."""
    for start, end, text in re.findall(r'<tt:div begin="(\d+)s" end="(\d+)s">\s*<tt:p>(.*?)</tt:p>', page, re.DOTALL):
        yield float(start), float(end), " ".join(re.sub(r"<[^>]+>", "", text).split())


def webvtt(cues: Sequence[tuple[float, float, str]]) -> str:
    parts = [f"{_clock(start)} --> {_clock(end)}\n{text}\n" for start, end, text in cues]
    return "WEBVTT\n\n" + "\n".join(parts)


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60):02d}:{seconds % 60:06.3f}"


def make_defects(output: Path) -> None:
    """What crawls really hold: a download that broke off, an error page in the place of a video, a dead link."""
    whole = (output / "trailer.mp4").read_bytes()
    (output / "broken.mp4").write_bytes(whole[:3000])
    (output / "error.mp4").write_text("<!DOCTYPE html><title>404</title><p>This video is not available.</p>")
    links = "".join(f'<li><a href="{name}.mp4">{name}</a>\n' for name in ("broken", "error", "missing"))
    (output / "links.html").write_text(
        f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>Videos</title>\n<ul>\n{links}</ul>\n'
    )


if __name__ == "__main__":
    main()
