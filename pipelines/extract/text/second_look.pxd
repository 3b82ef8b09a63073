# What of the constants is a C number in the compiled module.
cdef int KINSHIPS, MEASURES, WORDS, LEVELS, COLUMNS, WIDTH, NEAREST, LEAST
