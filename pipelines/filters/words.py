"""What counts as a word.

The Gopher rules count words, and scripts that write none apart (Chinese, Japanese, Thai, ...) have no such thing to
count. Here each of their characters is a word of its own, with the vowel and tone marks that belong to it, and a run
of katakana is one word, for it is one in most cases. Everything else is split at white space, as in the paper.
"""

import re
import unicodedata

KATAKANA = "\u30a1-\u30fa\u30fc-\u30ff\uff66-\uff9f"
UNSPACED = (
    "\u0e00-\u0fff"  # Thai, Lao, Tibetan
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3005-\u3007\u3041-\u3096\u309d-\u309f\u3105-\u312f"  # kana, bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # ideographs
)
# Stops and brackets of the same scripts: they part words as white space does.
_SEPARATORS = "\u3000-\u3004\u3008-\u3020\u3030\u303d\u30a0\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
# Vowel signs and accents, which \w leaves out.
MARKS = "".join(chr(code) for code in range(0x300, 0xFE30) if unicodedata.category(chr(code)).startswith("M"))

_UNSPACED = re.compile(f"[{KATAKANA}{UNSPACED}]")
_NOT_PLAIN = re.compile(f"[{KATAKANA}{UNSPACED}{MARKS}]")
_WORD = re.compile(f"[{KATAKANA}]+|[{UNSPACED}][{MARKS}]*|[^\\s{KATAKANA}{UNSPACED}{_SEPARATORS}]+")
_TOKEN = re.compile(f"[{KATAKANA}]+|[{UNSPACED}][{MARKS}]*|(?:(?![{KATAKANA}{UNSPACED}])[\\w{MARKS}])+|[^\\w\\s]")
_PLAIN_TOKEN = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """The words of `text` with the punctuation that touches them."""
    if has_unspaced(text):
        return _WORD.findall(text)
    return text.split()


def has_unspaced(text: str) -> bool:
    """Whether any word of `text` is from a script that writes no spaces between words."""
    return _UNSPACED.search(text) is not None


def is_unspaced(word: str) -> bool:
    """Whether a word of `words` is from a script that writes no spaces between words."""
    return _UNSPACED.match(word) is not None


def tokens(text: str) -> list[str]:
    """The words of `text` without punctuation, and each other sign by itself; lower case, compatibility forms undone.

    Two texts are the same sequence of words if they have the same tokens, whatever their case and width of letters.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    # Four times as fast, and the same where there is nothing for the longer expression to do.
    return (_TOKEN if _NOT_PLAIN.search(folded) else _PLAIN_TOKEN).findall(folded)
