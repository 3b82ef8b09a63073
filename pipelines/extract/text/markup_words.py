"""Attributes, names and words in the bytes of a page: what `text_blocks` reads with."""

import cython

from pipelines.extract.text.vocabulary import BAG, BITS, KINDS, NAMES, SLOTS, TEXTS, WORD_START, hash_table

OTHER, SPACE, LETTER, CAPITAL, DIGIT, HIGH = range(6)
"""Classes of bytes; HIGH: part of a character beyond ASCII."""

CLASSES = bytearray(256)
for _first, _last, _class in ((9, 10, SPACE), (12, 13, SPACE), (32, 32, SPACE), (97, 122, LETTER), (65, 90, CAPITAL),
                              (48, 57, DIGIT), (128, 255, HIGH)):  # fmt: skip
    for _byte in range(_first, _last + 1):
        CLASSES[_byte] = _class

NAME_KEYS, NAME_MASKS = hash_table(NAMES)
TEXT_KEYS, TEXT_MASKS = hash_table(TEXTS)
KIND_KEYS, KIND_MASKS = hash_table(KINDS)


@cython.cclass
class Reader:
    """Reads in one page's bytes. `next_attribute` finds an attribute; `named`, `valued` and `hides` ask about it."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.data = self.source
        self.title_bag, self.summary_bag, self.data_bag = bytearray(BAG), bytearray(BAG), bytearray(BAG)
        self.title_words = 0
        self.data_kinds = self.meta_kinds = 0
        self.name_start = self.name_stop = self.value_start = self.value_stop = 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def next_attribute(self, at: cython.int, stop: cython.int) -> cython.int:
        """Where to go on behind the attribute at or behind `at`; -1 if there is none."""
        data: cython.p_const_uchar = self.data
        quote: cython.int
        while at < stop and (CLASSES[data[at]] == SPACE or data[at] == 47):
            at += 1
        if at >= stop:
            return -1
        self.name_start = at
        at += 1
        while at < stop and CLASSES[data[at]] != SPACE and data[at] != 61 and data[at] != 47:  # = /
            at += 1
        self.name_stop = at
        while at < stop and CLASSES[data[at]] == SPACE:
            at += 1
        self.value_start = self.value_stop = at
        if at >= stop or data[at] != 61:
            return at
        at += 1
        while at < stop and CLASSES[data[at]] == SPACE:
            at += 1
        if at < stop and (data[at] == 34 or data[at] == 39):
            quote = data[at]
            at += 1
            self.value_start = at
            while at < stop and data[at] != quote:
                at += 1
            self.value_stop = at
            return at + 1
        self.value_start = at
        while at < stop and CLASSES[data[at]] != SPACE:
            at += 1
        self.value_stop = at
        return at

    @cython.cfunc
    @cython.exceptval(check=False)
    def same(self, start: cython.int, stop: cython.int, word: cython.p_const_uchar, size: cython.int) -> cython.bint:
        """Whether a word in lower case stands there, in any case."""
        at: cython.int
        byte: cython.int
        if stop - start != size:
            return False
        for at in range(size):
            byte = self.data[start + at]
            if CLASSES[byte] == CAPITAL:
                byte += 32
            if byte != word[at]:
                return False
        return True

    @cython.cfunc
    @cython.exceptval(check=False)
    def named(self, name: cython.p_const_uchar, size: cython.int) -> cython.bint:
        return self.same(self.name_start, self.name_stop, name, size)

    @cython.cfunc
    @cython.exceptval(check=False)
    def valued(self, value: cython.p_const_uchar, size: cython.int) -> cython.bint:
        return self.same(self.value_start, self.value_stop, value, size)

    @cython.cfunc
    @cython.exceptval(check=False)
    def hides(self) -> cython.bint:
        """Whether a style says display: none or visibility: hidden."""
        at: cython.int
        found: cython.bint = False
        for at in range(self.value_start, self.value_stop - 3):
            if self.data[at] == 110 and at >= self.value_start + 8 and self.same(at, at + 4, b"none", 4):
                found = self.same(at - 8, at, b"display:", 8) or self.same(at - 9, at, b"display: ", 9)
            elif self.data[at] == 104 and at >= self.value_start + 11 and self.same(at, at + 6, b"hidden", 6):
                found = self.same(at - 11, at, b"visibility:", 11) or self.same(at - 12, at, b"visibility: ", 12)
            if found:
                return True
        return False

    @cython.cfunc
    @cython.exceptval(check=False)
    def is_blank(self, start: cython.int, stop: cython.int) -> cython.bint:
        while start < stop and CLASSES[self.data[start]] == SPACE:
            start += 1
        return start >= stop

    @cython.cfunc
    @cython.exceptval(check=False)
    def hash(self, start: cython.int, stop: cython.int) -> cython.ulonglong:
        value: cython.ulonglong = WORD_START
        at: cython.int
        for at in range(start, stop):
            value = ((value ^ self.data[at]) * 16777619) & BITS
        return value

    @cython.cfunc
    @cython.exceptval(check=False)
    def name_groups(self, start: cython.int, stop: cython.int) -> cython.ulonglong:
        return self.groups(start, stop, True)

    @cython.cfunc
    @cython.exceptval(check=False)
    def kind_groups(self, start: cython.int, stop: cython.int) -> cython.ulonglong:
        return self.groups(start, stop, False)

    @cython.cfunc
    @cython.exceptval(check=False)
    def groups(self, start: cython.int, stop: cython.int, of_names: cython.bint) -> cython.ulonglong:
        """Groups of the words of a name: it splits at what is no letter, and before a capital behind a small letter."""
        found: cython.ulonglong = 0
        word: cython.ulonglong = WORD_START
        at: cython.int
        byte: cython.int
        kind: cython.int
        last: cython.int = OTHER
        length: cython.int = 0
        for at in range(start, stop + 1):
            byte = self.data[at] if at < stop else 0
            kind = CLASSES[byte]
            if length and not (kind in (LETTER, DIGIT) or (kind == CAPITAL and last != LETTER)):
                found |= self.name_group(word) if of_names else self.kind_group(word)
                word = WORD_START
                length = 0
            if kind in (LETTER, CAPITAL) or (kind == DIGIT and length):
                word = ((word ^ (byte + 32 if kind == CAPITAL else byte)) * 16777619) & BITS
                length += 1
            last = kind
        return found

    @cython.cfunc
    @cython.exceptval(check=False)
    def name_group(self, word: cython.ulonglong) -> cython.ulonglong:
        slot: cython.int = word & (SLOTS - 1)
        while NAME_KEYS[slot] and NAME_KEYS[slot] != word:
            slot = (slot + 1) & (SLOTS - 1)
        return NAME_MASKS[slot]

    @cython.cfunc
    @cython.exceptval(check=False)
    def kind_group(self, word: cython.ulonglong) -> cython.ulonglong:
        slot: cython.int = word & (SLOTS - 1)
        while KIND_KEYS[slot] and KIND_KEYS[slot] != word:
            slot = (slot + 1) & (SLOTS - 1)
        return KIND_MASKS[slot]

    @cython.cfunc
    @cython.exceptval(check=False)
    def text_group(self, word: cython.ulonglong) -> cython.ulonglong:
        slot: cython.int = word & (SLOTS - 1)
        while TEXT_KEYS[slot] and TEXT_KEYS[slot] != word:
            slot = (slot + 1) & (SLOTS - 1)
        return TEXT_MASKS[slot]

    @cython.cfunc
    @cython.exceptval(check=False)
    def fill(self, start: cython.int, stop: cython.int, bag: cython.uchar[:], most: cython.int) -> cython.int:
        """Put words (most 1), pairs (2) or triples (3) of words into a bag; the number of words."""
        word: cython.ulonglong = WORD_START
        last: cython.ulonglong = 0
        last_but_one: cython.ulonglong = 0
        key: cython.ulonglong
        at: cython.int = start
        byte: cython.int
        kind: cython.int
        length: cython.int = 0
        words: cython.int = 0
        while at <= stop:
            kind = byte = 0
            if at < stop:
                byte = self.data[at]
                kind = CLASSES[byte]
                if kind == CAPITAL:
                    byte += 32
                elif byte == 0xC2:
                    kind = OTHER
                    at += 1
                elif byte == 0xE2 and at + 1 < stop and self.data[at + 1] <= 0x83:
                    kind = OTHER
                    at += 2
                elif byte == 92:  # an escape in JSON
                    at += 1
                elif byte == 38:  # a reference
                    while at + 1 < stop and self.data[at] != 59 and LETTER <= CLASSES[self.data[at + 1]] < HIGH:
                        at += 1
            if kind >= LETTER:
                word = ((word ^ byte) * 16777619) & BITS
                length += 1
            elif length:
                key = word
                if most >= 2:
                    key = (key * 31 + last) & BITS
                if most >= 3:
                    key = (key * 31 + last_but_one) & BITS
                key = (key ^ (key >> 15)) & 0xFFFF
                bag[key >> 3] |= 1 << (key & 7)
                last_but_one = last
                last = word
                word = WORD_START
                length = 0
                words += 1
            at += 1
        return words

    @cython.cfunc
    @cython.exceptval(check=False)
    def holds(self, bag: cython.uchar[:], key: cython.ulonglong) -> cython.int:
        """Whether a bag has a key; another key may have put the bit there."""
        key = (key ^ (key >> 15)) & 0xFFFF
        return (bag[key >> 3] >> (key & 7)) & 1

    @cython.cfunc
    @cython.exceptval(check=False)
    def types(self, start: cython.int, stop: cython.int) -> cython.ulonglong:
        """Groups of the types that JSON-LD gives to things."""
        found: cython.ulonglong = 0
        at: cython.int
        end: cython.int
        for at in range(start, stop - 8):
            if self.data[at] == 64 and self.same(at, at + 6, b'@type"', 6):
                end = at + 6
                while end < stop and end < at + 120 and self.data[end] != 44 and self.data[end] != 125:  # , }
                    end += 1
                found |= self.kind_groups(at + 6, end)
        return found

    @cython.cfunc
    @cython.exceptval(check=False)
    def read_meta(self, at: cython.int, end: cython.int) -> cython.void:
        """The page's title, summary, type and generator."""
        start: cython.int = -1
        stop: cython.int = -1
        wanted: cython.int = 0
        while True:
            at = self.next_attribute(at, end)
            if at < 0:
                break
            if self.named(b"content", 7):
                start, stop = self.value_start, self.value_stop
            elif self.named(b"name", 4) or self.named(b"property", 8):
                if self.valued(b"description", 11) or self.valued(b"og:description", 14):
                    wanted = 1
                elif self.valued(b"og:title", 8):
                    wanted = 2
                elif self.valued(b"og:type", 7) or self.valued(b"generator", 9):
                    wanted = 3
        if start < 0:
            return
        if wanted == 1:
            self.fill(start, stop, self.summary_bag, 2)
        elif wanted == 2:
            words: cython.int = self.fill(start, stop, self.title_bag, 1)
            self.title_words = self.title_words or words
        elif wanted == 3:
            self.meta_kinds |= self.kind_groups(start, stop)

    @cython.cfunc
    @cython.exceptval(check=False)
    def read_script(self, at: cython.int, end: cython.int, start: cython.int, stop: cython.int) -> cython.void:
        """JSON-LD from start to stop: its types, and its words in threes; of another script nothing."""
        is_data: cython.bint = False
        while True:
            at = self.next_attribute(at, end)
            if at < 0:
                break
            is_data = is_data or (self.named(b"type", 4) and self.valued(b"application/ld+json", 19))
        if is_data:
            self.fill(start, stop, self.data_bag, 3)
            self.data_kinds |= self.types(start, stop)


def kinds_in(name: bytes) -> int:
    """Groups of `KINDS` that the words of an address are in."""
    return Reader(name).kind_groups(0, len(name))
