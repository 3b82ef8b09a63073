"""Clips of videos from saved pages, from a crawl and from a table: which times, frames and words they get, what is
counted, and the same bytes however they are cut."""

import csv
import io
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from builds import (
    Sample,
    build_in,
    check_counts,
    digests,
    dropped,
    letters,
    m3w,
    manifest,
    poisoned,
    samples,
    unfinished,
)
from crawls import DEMO
from PIL import Image
from test_counts import check_adds_up
from test_fetch import FETCH, LIFTED
from test_pair_tables import caption, served, write_csv
from test_resume import done, finish, running, wait_until
from video_files import encode, pan, pictures, zoom
from warc_files import member, response
from webserver import Route, WebServer, drip, reply

from demo.make_videos import SCENES
from pipelines.engine import LocalEngine
from pipelines.video.subtitles import read_subtitles

VIDEOS = DEMO / "videos"
RECIPE = """
extends = "demo-clips"

[source]
range_bytes = {range_bytes}

[video]
min_side = 64
max_work_seconds = {max_work_seconds}

[language]
min_score = 0.2

[image_safety]
scorer = "none"

[shards]
max_samples = 4
"""


def write_recipe(path: Path, range_bytes: int = 60_000, max_work_seconds: float = 300.0, more: str = "") -> Path:
    path.write_text(RECIPE.format(range_bytes=range_bytes, max_work_seconds=max_work_seconds) + more)
    return path


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe") / "clips.toml")


def check_clips(output: Path) -> None:
    """The funnel adds up, and each drop has its letters."""
    funnel = manifest(output).funnel
    check_adds_up(funnel, "clip")
    assert dropped(letters(output)) == {(r.kind, r.stage, reason): n for r in funnel for reason, n in r.dropped.items()}
    assert funnel[-1].kind == "sample" and funnel[-1].out == len(samples(output))


def clips_of(output: Path) -> dict[str, list[Sample]]:
    """Clips of each video by their start; videos by their file's name."""
    found: dict[str, list[Sample]] = {}
    for sample in samples(output).values():
        found.setdefault(sample.json["url"].rpartition("/")[2], []).append(sample)
    return {name: sorted(some, key=lambda sample: sample.json["videos"][0]["start"]) for name, some in found.items()}


def times(sample: Sample) -> tuple[float, float]:
    video = sample.json["videos"][0]
    return video["start"], video["end"]


def overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


# --- saved pages -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's videos by the demo's own recipe, but without a scorer."""
    folder = tmp_path_factory.mktemp("saved")
    recipe = folder / "clips.toml"
    recipe.write_text('extends = "demo-clips"\n[image_safety]\nscorer = "none"\n')
    return build_in(folder / "out", VIDEOS, recipe)


def test_clips_of_the_trailer_hold_whole_scenes(saved: Path) -> None:
    """Scenes were marked by hand when the demo was made: each lies in one clip (of one, which ends with a dissolve
    and a cut close together, most), and that clip has its sentence."""
    found = clips_of(saved)
    assert found.keys() == {"trailer.mp4", "monitors.webm"}
    clips = found["trailer.mp4"]
    assert len(clips) >= 8
    for one, other in pairwise(clips):
        assert times(one)[1] <= times(other)[0]
    for start, end, text in SCENES:
        holders = [clip for clip in clips if text in clip.json["text"]]
        if not holders:  # too short to be a clip
            assert end - start < 2.0
            continue
        (clip,) = holders
        assert overlap(times(clip), (start, end)) >= 0.8 * (end - start), text
    said = [text for _, _, text in SCENES]
    assert all(set(clip.json["text"].replace(". ", ".\n").splitlines()) <= set(said) for clip in clips)


@pytest.mark.parametrize("name", ["trailer.mp4", "monitors.webm"])
def test_words_are_those_of_the_subtitles(saved: Path, name: str) -> None:
    """Each cue's words are in the clip that holds most of it, if one holds enough, and in no other."""
    cues = read_subtitles((VIDEOS / name).with_suffix(".en.vtt").read_bytes())
    clips = clips_of(saved)[name]
    for cue in cues:
        words = cue.text.split(". ")[0].rstrip(".")
        shares = [overlap(times(clip), (cue.start, cue.end)) for clip in clips]
        holders = [number for number, clip in enumerate(clips) if words in clip.json["text"]]
        if max(shares) >= 0.6 * (cue.end - cue.start):
            assert holders == [int(np.argmax(shares))], cue
        else:
            assert len(holders) <= 1
    for clip in clips:
        assert clip.json["language"] == "en"
        assert clip.json["page_url"].endswith(name.rpartition(".")[0] + ".html")


@pytest.mark.parametrize("name", ["trailer.mp4", "monitors.webm"])
def test_frames_are_those_of_their_times(saved: Path, name: str) -> None:
    with av.open(str(VIDEOS / name)) as container:
        stream = container.streams.video[0]
        shown = [(frame.time, frame) for frame in container.decode(stream) if frame.time is not None]
    for clip in clips_of(saved)[name]:
        (video,) = clip.json["videos"]
        assert sorted(clip.members) == sorted(video["members"])
        assert len(video["members"]) == len(video["times"]) >= 2
        assert video["start"] - 0.05 <= video["times"][0] and video["times"][-1] < video["end"]
        steps = np.diff(video["times"])
        assert np.all(steps > 0.5) and np.all(steps < 1.6)
        member, at = video["members"][-1], video["times"][-1]
        with Image.open(io.BytesIO(clip.members[member])) as picture:
            assert picture.size == (video["width"], video["height"]) and max(picture.size) <= 320
            ours = np.asarray(picture.convert("L"), dtype=float)
        frame = min(shown, key=lambda entry: abs(entry[0] - at))
        assert abs(frame[0] - at) < 0.05
        theirs = np.asarray(frame[1].to_image().convert("L").resize((video["width"], video["height"])), dtype=float)
        assert np.abs(ours - theirs).mean() < 4


def test_defects_are_counted(saved: Path) -> None:
    check_clips(saved)
    found = {(x["url"].rpartition("/")[2], x["kind"], x["stage"], x["reason"]) for x in letters(saved)}
    assert {
        ("broken.mp4", "video", "cut", "unreadable_header"),
        ("error.mp4", "image_url", "fetch", "not_a_video"),
        ("missing.mp4", "image_url", "fetch", "not_in_input"),
        ("missing.mp4", "video", "images_found", "too_few_images"),
        ("trailer.mp4", "clip", "cut", "clip_too_short"),
        ("trailer.mp4", "clip", "cut", "single_colour"),
    } <= found
    assert m3w("verify", saved)[0] == 0


# --- a crawl ---------------------------------------------------------------------------------------------------------

FPS = 12
SECONDS = 3
CUES = (
    "A large white building stands behind a garden with a long pool of water.",
    "The camera comes nearer to the picture until only its middle is to be seen.",
    "Some windows of a computer program are open on the desktop of the user.",
    "A round picture is turned and blurred so that nothing in it is sharp.",
    "Many lines of the same colour run over the ground from left to right.",
)
CAPTIONS = ("Two pictures of the manual are shown one after the other.", "The last two pictures of a long manual.")
SITE = "http://videos.example.org/"


def write_video(path: Path, first: int, second: int) -> Path:
    """Two shots of three seconds."""
    shots = pictures()[first % 9], pictures()[second % 9]
    return encode(path, chain(pan(shots[0], SECONDS, FPS), zoom(shots[1], SECONDS, FPS)), fps=FPS)


def subtitles(number: int) -> str:
    texts = CUES[number], CUES[(number + 1) % len(CUES)]
    return f"WEBVTT\n\n00:00.400 --> 00:02.600\n{texts[0]}\n\n00:03.400 --> 00:05.600\n{texts[1]}\n"


def player(name: str, caption: str = "", track: str = "") -> str:
    tracks = f'<track src="{track}" srclang="en" kind="captions">' if track else ""
    return f'<figure><video src="{name}" controls>{tracks}</video><figcaption>{caption}</figcaption></figure>'


def page(*players: str) -> bytes:
    text = f"<!doctype html><html lang=en><title>Videos of the manual</title><body><p>Here they are.{''.join(players)}"
    return text.encode()


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages, their videos and subtitles; a video that no page shows; a page whose video is not there; one damaged."""
    folder = tmp_path_factory.mktemp("crawl")
    html = "Content-Type: text/html"
    records = [
        response(page(player("0.mp4", track="0.vtt"), player("1.webm", track="1.vtt")), html, url=f"{SITE}a.html"),
        response(page(player("1.webm"), player("2.mp4", CAPTIONS[0])), html, url=f"{SITE}b.html"),
        response(page(player("3.mp4", CAPTIONS[1]), player("gone.mp4"), player("bad.mp4")), html, url=f"{SITE}c.html"),
        response(page(player("same.mp4", CAPTIONS[0])), html, url=f"{SITE}d.html"),
    ]
    texts = [(f"{SITE}{number}.vtt", subtitles(number).encode()) for number in range(2)]
    records += [response(text, "Content-Type: text/vtt", url=url) for url, text in texts]
    for number, name in enumerate(("0.mp4", "1.webm", "2.mp4", "3.mp4", "4.mp4")):
        made = folder / name
        if name.endswith(".webm"):
            shots = chain(pan(pictures()[2], SECONDS, FPS), zoom(pictures()[3], SECONDS, FPS))
            encode(made, shots, fps=FPS, codec="libvpx")
        else:
            write_video(made, 2 * number, 2 * number + 1)
        kind = f"Content-Type: video/{name.rpartition('.')[2]}"
        records.append(response(made.read_bytes(), kind, url=SITE + name))
        if name == "2.mp4":
            records.append(response(made.read_bytes(), kind, url=f"{SITE}same.mp4"))
    damaged = (VIDEOS / "broken.mp4").read_bytes()
    records.append(response(damaged, "Content-Type: video/mp4", url=f"{SITE}bad.mp4"))
    path = folder / "crawl.warc.gz"
    path.write_bytes(b"".join(map(member, records)))
    return path


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory, crawl: Path, recipe: Path) -> Path:
    return build_in(tmp_path_factory.mktemp("crawled") / "out", crawl, recipe)


def test_clips_of_a_crawl(crawled: Path) -> None:
    found = clips_of(crawled)
    shown = found.pop("same.mp4", []) or found.pop("2.mp4")
    assert found.keys() == {"0.mp4", "1.webm", "3.mp4"}, (
        "one of two addresses of the same video, none that no page shows"
    )
    for clips in (*found.values(), shown):
        assert [times(clip) for clip in clips] == [(0.0, pytest.approx(3, abs=0.1)), (pytest.approx(3, abs=0.1), 6.0)]
    assert [clip.json["text"] for clip in found["0.mp4"]] == [CUES[0], CUES[1]]
    assert [clip.json["text"] for clip in found["1.webm"]] == [CUES[1], CUES[2]]
    assert [clip.json["text"] for clip in found["3.mp4"]] == [CAPTIONS[1]] * 2
    assert [clip.json["text"] for clip in shown] == [CAPTIONS[0]] * 2


def test_what_a_crawl_lost_is_counted(crawled: Path) -> None:
    check_clips(crawled)
    found = Counter((x["kind"], x["stage"], x["reason"]) for x in letters(crawled))
    assert found["video", "video_duplicates", "same_url"] == 1
    assert found["image_url", "fetch", "not_in_input"] == 1
    assert found["video", "cut", "unreadable_header"] == 1
    assert found["clip", "clip_duplicates", "same_frames"] == 2
    assert m3w("verify", crawled)[0] == 0
    assert len(list((crawled / "shards").glob("*.tar"))) >= 2


@pytest.mark.parametrize("how", ["workers", "repeat", "partitions"])
def test_the_same_bytes(how: str, crawled: Path, crawl: Path, recipe: Path, tmp_path: Path) -> None:
    engine = {"workers": LocalEngine(2), "repeat": LocalEngine(1, ("--direct_runner_bundle_repeat=2",))}.get(how)
    size = 1 << 30 if how != "partitions" else -(-crawl.stat().st_size // 3)
    output = build_in(tmp_path / "out", crawl, recipe, engine, size, 1 if how == "partitions" else 100_000)
    assert json.loads((output / "plan.json").read_text())["partitions"] == (3 if how == "partitions" else 1)
    assert digests(output) == digests(crawled)


def cutters(pid: int) -> list[psutil.Process]:
    """The processes that work on videos, and what they have forked."""
    children = psutil.Process(pid).children(recursive=True)
    return [child for child in children if "pipelines.video.child" in child.cmdline()]


def test_killed_in_the_cutting_and_resumed(crawled: Path, crawl: Path, recipe: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    command = ("build", recipe, "--input", crawl, "--output", output, "--offline", "--quiet", "--keep-work")
    with running(*command) as process:
        wait_until(process, lambda: done(output, "cut"))
        left = cutters(process.pid)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    cut = done(output, "cut")
    (output / "work" / "scratch" / "left").mkdir(parents=True, exist_ok=True)
    (output / "work" / "scratch" / "left" / "video.mp4").write_bytes(b"what was being cut")
    assert left and psutil.wait_procs(left, timeout=60)[1] == [], "nobody works on for a build that is dead"
    assert not (output / "_SUCCESS").exists()
    finish(*command)
    assert done(output, "cut").items() > cut.items(), "what was committed is not cut again, and something was left"
    assert digests(output) == digests(crawled)
    assert unfinished(output) == []
    assert not list((output / "work" / "scratch").glob("*")), "nothing of a killed worker stays"


@pytest.mark.slow
def test_a_worker_killed_once_in_each_job(crawled: Path, crawl: Path, recipe: Path, tmp_path: Path) -> None:
    output, once = tmp_path / "out", tmp_path / "once"
    once.mkdir()
    command = ("build", recipe, "--input", crawl, "--output", output, "--offline", "--workers", 2, "--keep-work")
    code, _, told = poisoned(f"cut={CAPTIONS[1]};clips={SITE}0.mp4", "SIGKILL", once, *command)
    assert code == 0, told
    deaths = [line for line in told.splitlines() if "a worker process ended here (SIGKILL)" in line]
    assert [line.split(",")[0] for line in deaths] == ["cut", "shards"] and f"at {SITE}3.mp4" in deaths[0]
    assert digests(output) == digests(crawled)
    assert unfinished(output) == [] and not list((output / "work" / "scratch").glob("*"))


@pytest.mark.slow
def test_a_video_that_kills_its_worker_each_time(crawled: Path, crawl: Path, recipe: Path, tmp_path: Path) -> None:
    """The worker itself; a decoder's death is its child's, and no worker's."""
    output = tmp_path / "out"
    command = ("build", recipe, "--input", crawl, "--output", output, "--offline", "--quiet", "--workers", 2)
    code, _, told = poisoned(f"cut={CAPTIONS[1]}", "SIGSEGV", "", *command)
    assert code == 3 and "1 in all" in told and "--rejected cut" in told
    check_counts(output)
    (lost,) = [letter for letter in letters(output) if letter["reason"] == "killed_worker"]
    assert (lost["kind"], lost["url"]) == ("video", f"{SITE}3.mp4")
    others = {key: sample for key, sample in samples(crawled).items() if sample.json["url"] != lost["url"]}
    assert samples(output) == others and len(others) < len(samples(crawled))


# --- a table ---------------------------------------------------------------------------------------------------------

TOLD = (
    "A camera goes slowly over a picture of a large building and its garden",
    "An old manual shows two of its pictures, one behind the other",
)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[WebServer]:
    kind = {"Content-Type": "video/mp4"}
    good = [write_video(tmp_path / f"{number}.mp4", 3 * number, 3 * number + 1).read_bytes() for number in range(2)]
    picture = io.BytesIO()
    pictures()[0].save(picture, "JPEG")
    routes: dict[str, Route] = {
        "/0.mp4": reply(good[0], headers=kind),
        "/1.mp4": reply(good[1], headers={"Content-Type": "text/plain"}),
        "/broken.mp4": reply((VIDEOS / "broken.mp4").read_bytes(), headers=kind),
        "/error.mp4": reply((VIDEOS / "error.mp4").read_bytes(), headers=kind),
        "/picture.mp4": reply(picture.getvalue(), headers=kind),
        "/slow.mp4": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n"),
    }
    with WebServer(routes=routes) as server:
        yield server


def test_videos_of_a_table_come_from_the_web(web: WebServer, tmp_path: Path) -> None:
    names = ("0.mp4", "1.mp4", "broken.mp4", "error.mp4", "picture.mp4", "slow.mp4", "missing.mp4")
    rows = [(web.url(f"/{name}"), TOLD[number % 2]) for number, name in enumerate(names)]
    rows.append((web.url("/0.mp4"), "The same video with another text, which comes too late"))
    table = tmp_path / "videos.csv"
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows([("contentUrl", "name"), *rows])
    fetch = {**FETCH, "retries": 0, "max_tries": 1, "max_bytes": 10_000_000}
    more = "\n[fetch]\n" + "".join(f"{name} = {value}\n" for name, value in fetch.items())
    recipe = write_recipe(tmp_path / "clips.toml", more=more)
    command = ("build", recipe, "--input", table, "--media", tmp_path / "media", *LIFTED)
    assert m3w(*command, "--output", tmp_path / "out") == (0, "", "")
    output = tmp_path / "out"
    found = clips_of(output)
    assert {name: [clip.json["text"] for clip in clips] for name, clips in found.items()} == {
        "0.mp4": [TOLD[0]] * 2,
        "1.mp4": [TOLD[1]] * 2,
    }
    told = {x["url"].rpartition("/")[2]: x["reason"] for x in letters(output) if x["kind"] == "image_url"}
    assert told == {
        "error.mp4": "not_a_video",
        "picture.mp4": "not_a_video",
        "slow.mp4": "timeout",
        "missing.mp4": "http_status",
    }
    (broken,) = (x for x in letters(output) if x["stage"] == "cut")
    assert (broken["kind"], broken["reason"], broken["url"]) == ("video", "unreadable_header", web.url("/broken.mp4"))
    check_counts(output)
    assert m3w("verify", output)[0] == 0
    web.requests.clear()
    assert m3w(*command, "--output", tmp_path / "again") == (0, "", "")
    assert web.requests == [] and digests(tmp_path / "again") == digests(output)


def test_what_was_too_large_is_asked_for_again_with_more_room(web: WebServer, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "videos.csv", [(web.url("/0.mp4"), TOLD[0])])

    def built(name: str, max_bytes: int) -> tuple[int, list[str]]:
        """How many clips, and what was asked for."""
        fetch = {**FETCH, "max_bytes": max_bytes}
        more = "\n[fetch]\n" + "".join(f"{key} = {value}\n" for key, value in fetch.items())
        recipe = write_recipe(tmp_path / f"{name}.toml", more=more)
        web.requests.clear()
        command = ("build", recipe, "--input", table, "--media", tmp_path / "media", *LIFTED)
        code, _, told = m3w(*command, "--output", tmp_path / name)
        found = len(samples(tmp_path / name))
        assert (code, "no document was left" in told or not told) == (0 if found else 1, True), told
        return found, [x.path for x in web.requests if x.path != "/robots.txt"]

    assert built("small", 1000) == (0, ["/0.mp4"])
    assert built("smaller", 500) == (0, []), "it is too large for less room too"
    assert built("again", 1000) == (0, [])
    assert built("large", 10_000_000) == (2, ["/0.mp4"])
    assert built("last", 10_000_000) == (2, [])


def test_clips_and_pairs_share_a_store(web: WebServer, tmp_path: Path) -> None:
    """What is no image may be a video, and the other way round: neither is refused for what the other found."""
    web.routes.update({f"/{number}.jpg": served(number) for number in range(2)})
    pairs = tmp_path / "pairs.toml"
    pairs.write_text('extends = "ltip"\n[image_safety]\nscorer = "none"\n')

    def built(number: int, recipe: Path, *names: str) -> tuple[set[str], dict[str, str]]:
        """Names of what was written, and the reasons of what was not found."""
        output = tmp_path / str(number)
        rows = [(web.url(f"/{name}"), caption(n)) for n, name in enumerate(names)]
        table = write_csv(tmp_path / f"{number}.csv", rows)
        command = ("build", recipe, "--input", table, "--output", output, "--media", tmp_path / "media", *LIFTED)
        assert m3w(*command) == (0, "", "")
        lost = {x["url"].rpartition("/")[2]: x["reason"] for x in letters(output) if x["kind"] == "image_url"}
        return {sample.json["url"].rpartition("/")[2] for sample in samples(output).values()}, lost

    assert built(0, pairs, "0.mp4", "0.jpg") == ({"0.jpg"}, {"0.mp4": "not_an_image"})
    clips = write_recipe(tmp_path / "clips.toml")
    lost = {"0.jpg": "not_a_video", "1.jpg": "not_a_video"}
    assert built(1, clips, "0.mp4", "0.jpg", "1.jpg") == ({"0.mp4"}, lost)
    assert built(2, pairs, "0.mp4", "0.jpg", "1.jpg") == ({"0.jpg", "1.jpg"}, {"0.mp4": "not_an_image"})


# --- what a video may cost -------------------------------------------------------------------------------------------


def write_long_video(path: Path, shot: Path, times: int) -> Path:
    """The packets of a video many times over: seconds to write, much longer to decode."""
    with av.open(str(shot)) as given, av.open(str(path), "w") as output:
        template = given.streams.video[0]
        packets = [packet for packet in given.demux(template) if packet.size]
        stream = output.add_stream_from_template(template)
        datas = [(bytes(packet), packet.is_keyframe) for packet in packets]
        length = packets[0].duration or 1
        for number in range(times * len(datas)):
            data, is_key = datas[number % len(datas)]
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, template.time_base
            packet.pts = packet.dts = number * length
            packet.duration, packet.is_keyframe = length, is_key
            output.mux(packet)
    return path


def test_a_video_that_costs_too_much_costs_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    write_video(folder / "short.mp4", 0, 1)
    size = (1280, 720)
    frames = (frame.resize(size) for frame in pan(pictures()[2], 1, FPS))
    shot = encode(tmp_path / "shot.mp4", frames, fps=FPS, size=size, options={"tune": "zerolatency", "crf": "45"})
    write_long_video(folder / "long.mp4", shot, 1000)
    (folder / "a.html").write_bytes(page(player("short.mp4", CAPTIONS[0]), player("long.mp4", CAPTIONS[1])))
    # Every packet is to be decoded, not one for each picture.
    recipe = write_recipe(tmp_path / "clips.toml", max_work_seconds=3.0, more="\n[frames]\nskip_share = 0.0\n")
    output = build_in(tmp_path / "out", folder, recipe)
    assert {name: len(clips) for name, clips in clips_of(output).items()} == {"short.mp4": 2}
    (letter,) = (x for x in letters(output) if x["kind"] == "video")
    assert (letter["stage"], letter["reason"]) == ("cut", "timed_out") and letter["url"].endswith("/long.mp4")
    assert "more than 3.0 s" in letter["detail"]
    check_counts(output)
    assert m3w("verify", output)[0] == 0


def test_a_video_with_more_subtitles_than_anybody_needs(tmp_path: Path) -> None:
    """Of which all but a hundred are left out: what belongs to one video is bounded."""
    folder = tmp_path / "pages"
    folder.mkdir()
    write_video(folder / "a.mp4", 0, 1)
    (folder / "en.vtt").write_text(subtitles(0))
    tracks = "".join(f'<track src="{n}.vtt" srclang="fr">' for n in range(150))
    (folder / "a.html").write_bytes(page(f'<video src="a.mp4"><track src="en.vtt" srclang="en">{tracks}</video>'))
    output = build_in(tmp_path / "out", folder, write_recipe(tmp_path / "clips.toml"))
    assert [clip.json["text"] for clip in clips_of(output)["a.mp4"]] == [CUES[0], CUES[1]]
    check_counts(output)
    assert m3w("verify", output)[0] == 0
