"""How to read a release's Parquet in the languages people use."""

from __future__ import annotations

from jobs.releases.metadata.entry import Entry


def snippets(entry: Entry) -> list[tuple[str, str]]:
    """Return (language, code) for pandas, DuckDB, R and JavaScript, each reading the data by its address."""
    url = f"{entry.address}{entry.stem}.parquet"
    return [
        ("Python · pandas", f'import pandas\n\nrows = pandas.read_parquet("{url}")'),
        ("SQL · DuckDB", f"SELECT * FROM read_parquet('{url}') LIMIT 20;"),
        ("R · arrow", f'library(arrow)\n\nrows <- read_parquet("{url}")'),
        (
            "JavaScript · hyparquet",
            'import { asyncBufferFromUrl, parquetReadObjects } from "hyparquet"\n'
            'import { compressors } from "hyparquet-compressors"\n\n'
            f'const file = await asyncBufferFromUrl({{ url: "{url}" }})\n'
            "const rows = await parquetReadObjects({ file, compressors })",
        ),
    ]
