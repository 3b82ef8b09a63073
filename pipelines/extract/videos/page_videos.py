"""The stage that takes the videos of a page, and the one that begins with a row of a table."""

from dataclasses import dataclass

from pipelines.extract.html.parse import ParsedPage
from pipelines.extract.videos.videos import find_videos
from pipelines.sources.records import RawPair
from schemas.document import Document, Video
from schemas.rejection import Rejected


@dataclass(frozen=True, kw_only=True)
class FindVideosConfig:
    """Recipe table [find_videos]."""

    max_videos: int
    """Most videos of a page, 1 or more."""

    def __post_init__(self) -> None:
        if self.max_videos < 1:
            raise ValueError(f"max_videos: {self.max_videos}, must be 1 or more")


@dataclass(frozen=True, slots=True)
class FoundVideos:
    """The videos of a page, each with what the page says of it."""

    videos: tuple[Document, ...]


def videos_of_page(page: ParsedPage, config: FindVideosConfig) -> FoundVideos | Rejected:
    """Reasons: no_videos, too_many_videos."""
    videos = find_videos(page)
    if not videos:
        return Rejected("no_videos", "no address of a video file")
    if len(videos) > config.max_videos:
        return Rejected("too_many_videos", f"{len(videos)}, at most {config.max_videos}")
    return FoundVideos(tuple(videos))


def each_video(found: FoundVideos) -> tuple[Document, ...]:
    return found.videos


def video_record(record: RawPair | Document, config: None) -> Document | Rejected:
    """A video with its texts beside it: which of them a clip gets is known when it has been cut."""
    if isinstance(record, Document):
        return record
    video = Video(url=record.url, caption=record.text.strip())
    return Document(kind="clip", url=record.url, page_url=record.page_url, slots=(video,), source=record.source)
