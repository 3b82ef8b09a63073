"""Which words go with which clip."""

from dataclasses import replace

import pytest
from video_files import CONFIG

from pipelines.video.align import VideoTexts, best_track, sentences, share_out, with_texts
from pipelines.video.records import Clip, Cue, CutVideo, Track, VideoFacts
from schemas.rejection import Rejected

TEXT = CONFIG.clip_text
FACTS = VideoFacts(
    container="mp4",
    codec="h264",
    duration=30.0,
    width=64,
    height=48,
    frame_rate=25.0,
    frames=750,
    key_frames=3,
    rotation=0,
)
CLIPS = [(0.0, 10.0), (10.0, 20.0)]


def video(*tracks: Track) -> CutVideo:
    clips = tuple(
        Clip(start=start, end=end, times=(start,), frames=(b"jpeg",), width=64, height=48) for start, end in CLIPS
    )
    return CutVideo(facts=FACTS, clips=clips, dropped=(), cuts=(10.0,), damaged=0, decoded=750, tracks=tracks)


@pytest.mark.parametrize(
    ("cues", "texts"),
    [
        ([(1, 3, "One."), (12, 14, "Two.")], ["One.", "Two."]),
        ([(8, 11, "More in the first.")], ["More in the first.", ""]),
        ([(9, 13, "More in the second.")], ["", "More in the second."]),
        ([(9, 11, "Half and half.")], ["Half and half.", ""]),
        ([(7, 9.5, "A sentence that"), (9.5, 11, "goes on.")], ["A sentence that goes on.", ""]),
        ([(18, 19, "The rest"), (19, 23, "is in what was dropped.")], ["", "The rest"]),
        ([(21, 23, "In nothing.")], ["", ""]),
        ([(8, 12, "This ends here. This is of the second clip.")], ["This ends here.", "This is of the second clip."]),
        ([(1, 2, "no stop"), (6, 7, "after a pause")], ["no stop after a pause", ""]),
    ],
)
def test_words_go_to_the_clip_that_holds_most_of_them(cues: list[tuple[float, float, str]], texts: list[str]) -> None:
    assert share_out([Cue(*cue) for cue in cues], CLIPS, TEXT) == texts


def test_what_has_no_full_stop_is_shared_out_by_cues() -> None:
    cues = [Cue(second, second + 1, f"word{second}") for second in range(20)]
    first, second = share_out(cues, CLIPS, TEXT)
    assert first == " ".join(f"word{number}" for number in range(10))
    assert second == " ".join(f"word{number}" for number in range(10, 20))


@pytest.mark.parametrize(
    ("texts", "counts"),
    [
        (["One. Two."], [1, 1]),
        (["It costs 3.50 and no more."], [1]),
        (["Who?", "Me!", "No..."], [1, 1, 1]),
        (['He said "no." Then he left.'], [1, 1]),
        (["\u4f60\u597d\u3002\u518d\u89c1\u3002"], [1, 1]),
        (["and so", "it went", "on."], [3]),
    ],
)
def test_sentences(texts: list[str], counts: list[int]) -> None:
    cues = [Cue(number, number + 1, text) for number, text in enumerate(texts)]
    assert [len(sentence) for sentence in sentences(cues, TEXT)] == counts


def test_a_pause_ends_a_sentence() -> None:
    cues = [Cue(0, 1, "one"), Cue(3.1, 4, "two")]
    assert len(sentences(cues, TEXT)) == 2
    assert len(sentences(cues, replace(TEXT, max_gap_seconds=2.2))) == 1


def test_subtitles_come_first_and_other_texts_where_they_are_silent() -> None:
    texts = VideoTexts(title="The title", description="The description")
    named = with_texts(video(Track("en", (Cue(1, 2, "Said."),))), texts, TEXT)
    assert [(clip.text, clip.text_source) for clip in named.clips] == [
        ("Said.", "subtitles"),
        ("The description", "description"),
    ]
    other = with_texts(video(Track("en", (Cue(1, 2, "Said."),))), texts, replace(TEXT, order=("title", "subtitles")))
    assert {clip.text for clip in other.clips} == {"The title"}


def test_files_come_before_tracks_of_the_container() -> None:
    file = b"WEBVTT\n\n00:01.000 --> 00:02.000\nFrom the file.\n"
    tracks = (Track("en", (Cue(1, 2, "From the container."),)),)
    named = with_texts(video(*tracks), VideoTexts(title="t", subtitles=(("en", file),)), TEXT)
    assert named.clips[0].text == "From the file."
    spanish = with_texts(video(*tracks), VideoTexts(title="t", subtitles=(("es", file),)), TEXT)
    assert spanish.clips[0].text == "From the container."


def test_a_clip_without_words_is_dropped() -> None:
    named = with_texts(video(Track("en", (Cue(1, 2, "Said."),))), VideoTexts(), TEXT)
    assert [clip.start for clip in named.clips] == [0.0]
    assert [(clip.start, clip.end, clip.rejected) for clip in named.dropped] == [
        (10.0, 20.0, Rejected("no_text", "none of subtitles, caption, description, title"))
    ]


@pytest.mark.parametrize(
    ("languages", "text"),
    [(("en",), "b"), (("de", "en"), "a"), (("fr",), ""), (("",), "d"), (("en", "de"), "b"), (("pt",), "c")],
)
def test_the_track_of_the_best_language(languages: tuple[str, ...], text: str) -> None:
    tracks = [
        Track("en", ()),
        Track("de", (Cue(0, 1, "a"),)),
        Track("en-gb", (Cue(0, 1, "b"),)),
        Track("pt", (Cue(0, 1, "c"),)),
        Track("", (Cue(0, 1, "d"),)),
    ]
    assert "".join(cue.text for cue in best_track(tracks, languages)) == text
