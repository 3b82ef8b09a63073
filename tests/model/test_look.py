"""`flamingo data`: a batch as text and as a page."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from loader_data import page, picture, shards_of

from flamingo_model.look import look
from flamingo_model.shards import LoaderError
from flamingo_model.training.config import ConfigError


def shown(tmp_path: Path, places: list[str], *sets: str) -> tuple[str, str]:
    """What is printed, and the page."""
    html = tmp_path / "batch.html"
    command = [sys.executable, "-m", "flamingo_model.cli", "data", *places, "--html", str(html), "--rows", "2"]
    done = subprocess.run(
        [*command, *(word for one in sets for word in ("--set", one))], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, html.read_text()


def test_pages_as_text_and_as_a_page(tmp_path: Path) -> None:
    texts = ["A <b>mat</b>.", picture(40, 30, 1), " A cat & a dog.", picture(30, 40, 2), " A hen."]
    places = shards_of(tmp_path, [page(number, texts) for number in range(3)], 1)
    printed, html = shown(tmp_path, list(places), "p_next=0.0", "length=128")
    assert printed.count("[0]<s>A <b>mat</b>.<EOC>[1]<image> A cat & a dog.<EOC>[2]<image> A hen.<EOC></s>") == 2
    assert "1 shards of pages; this batch: 2 rows" in printed
    assert html.count("<article>") == 2 and html.count("<img ") == 4 and "<b>mat</b>" not in html
    coloured = re.sub(r"</?b>", "", html)
    assert (
        '<span class="i0">&lt;image&gt; A cat &amp; a dog.&lt;EOC&gt;</span><span class="i1">&lt;image&gt;' in coloured
    )
    assert "default-src 'none'" in html and "<script" not in html


def test_no_shard_and_no_such_field(tmp_path: Path) -> None:
    options = {
        "split": "train",
        "rows": 2,
        "seed": 0,
        "image_size": 16,
        "augment": False,
        "tokenizer": "",
        "page": None,
    }
    with pytest.raises(LoaderError, match="no shard"):
        look([str(tmp_path)], fields={}, **options)
    (tmp_path / "a.tar").write_bytes(b"\0" * 10240)
    with pytest.raises(LoaderError, match="no sample in"):
        look([str(tmp_path)], fields={}, **options)
    places = shards_of(tmp_path, [page(1, ["A mat.", picture(40, 30, 1)])], 1)
    with pytest.raises(ConfigError, match="lenght"):
        look(list(places), fields={"lenght": 4}, **options)
