"""The reader beside the trees that the HTML standard's tests expect (html5lib-tests); `make test-trees` brings them.

Compared is what extraction needs of a tree: its texts in order, white space aside. Where the standard moves text out
of a table, ours stays where it stands.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_extract_html_reader import read

from pipelines.extract.html.tags import TEXT

TREES = os.environ.get("HTML5LIB_TREES", "")
_CASE = re.compile(r"^#data\n(.*?)\n#errors\n(.*?)^#document\n(.*?)(?=\n\n#data\n|\Z)", re.DOTALL | re.MULTILINE)
_TEXT = re.compile(r'^\| +"(.*?)"$', re.DOTALL | re.MULTILINE)


def cases(folder: Path) -> Iterator[tuple[str, str]]:
    """(html, texts) of each test of a whole document."""
    for path in sorted(folder.glob("*.dat")):
        for html, middle, tree in _CASE.findall(path.read_text(encoding="utf-8", errors="surrogateescape")):
            if "#document-fragment" not in middle:
                yield html, "".join(_TEXT.findall(tree))


def texts(html: str) -> str:
    tree = read(html.encode("utf-8", "surrogateescape"))
    return "".join(tree.text(node) for node, tag in enumerate(tree.tags) if tag == TEXT)


def without_blanks(text: str) -> str:
    return "".join(text.replace("\ufffd", "").split())


@pytest.mark.skipif(not TREES, reason="HTML5LIB_TREES names no folder: `make test-trees`")
def test_texts_stand_in_the_order_of_the_standard() -> None:
    same = moved = 0
    different: list[tuple[str, str, str]] = []
    for html, expected in cases(Path(TREES)):
        ours, theirs = without_blanks(texts(html)), without_blanks(expected)
        if ours == theirs:
            same += 1
        elif sorted(ours) == sorted(theirs):
            moved += 1
        else:
            different.append((html, ours, theirs))
    count = same + moved + len(different)
    print(f"{count} trees: {same} with the same text, {moved} with it in another order, {len(different)} with another")
    for case in different:
        print(case)
    assert count > 1000
    assert same >= 0.97 * count
