# What of the imported constants is a C number in the compiled module.
cdef int BR, FIGCAPTION, FIGURE, LI, NOSCRIPT, OL, TABLE, TEXT, TR
cdef int BLOCK, BOX, CELL, PARAGRAPH, PREFORMATTED, SHOWN, _DATA_CELL_CHARS, _PARAGRAPH_CHARS
