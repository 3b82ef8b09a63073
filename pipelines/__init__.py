"""How data flows: from a crawl to shards, in four jobs (scan, select, fetch, write).

`m3w` is the list of what happens to a page, `build` runs the jobs in turn, `stage` is the seam to Apache Beam,
`cli` the command. Imports `schemas` and `dedup`.
"""

import os

# Read once, when Beam imports Arrow, whose own allocator keeps some 20 MB more in each worker and 30 in the driver.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
