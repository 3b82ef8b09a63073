"""Trains the judge of text blocks and ships it, or measures it first.

    python -m learn_extraction.run measure FOLDER...     train on two thirds of the domains, score the third kept aside
    python -m learn_extraction.run ship FOLDER...        train on all, write pipelines/extract/text/data/*.json

A FOLDER holds gold.json and pages.tar.xz (docs/extraction.md). Needs lightgbm, which the package itself does not.
"""

import sys
from pathlib import Path

from learn_extraction.fit import ALL, fit_both, scores, write
from learn_extraction.measure import COLUMNS, kept_text, table_row
from learn_extraction.pages import read_pages, small_pages
from pipelines.extract.text.features import FEATURES
from pipelines.extract.text.forest import Forest

DATA = Path(__file__).parents[1] / "pipelines" / "extract" / "text" / "data"


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1] not in ("measure", "ship"):
        sys.exit(__doc__)
    pages = list(read_pages([Path(folder) for folder in sys.argv[2:]]))
    if sys.argv[1] == "ship":
        DATA.mkdir(exist_ok=True)
        for shape, name in zip(
            fit_both([*pages, *small_pages(pages)]), ("first_look.json", "second_look.json"), strict=True
        ):
            write(shape, DATA / name)
        return
    seen = [page for page in pages if not page.aside]
    shapes = fit_both([*seen, *small_pages(seen)])
    first, second = Forest(shapes[0], FEATURES), Forest(shapes[1], ALL)
    aside = [page for page in pages if page.aside]
    print(" | ".join(COLUMNS))
    print(
        " | ".join(
            f"{value:.3f}" for value in table_row(aside, lambda page: kept_text(page, scores(page, first, second)))
        )
    )


if __name__ == "__main__":
    main()
