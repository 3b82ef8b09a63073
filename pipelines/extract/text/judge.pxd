# What of the constants is a C number in the compiled module.
cdef int MEASURES, WORDS, _WORLDS, _COPY_WORDS, _COPY_SCORE, _LEVELS_TO_CODE, PRE
