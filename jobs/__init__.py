"""The government data lake: from a department's extract to an open dataset.

raw → landing → bronze → silver → gold → open, each arrow one stage (`jobs.stages`):

    land         keep the delivered bytes for ever, under the batch's own name
    load         bytes → bronze: strings, source column names, row numbers
    conform      bronze → silver: typed, checked, deduplicated; bad rows → quarantine with reasons
    resolve      silver → registers: claims about one person or organisation folded into one row
    desensitise  silver or registers → gold: nothing in it identifies a person
    publish      gold → open: an immutable release with its description and digests
    maintain     compact, vacuum, expire, rebuild the quality report

A stage is one function `run(...)`, one `lake` verb and one Airflow task. The work on values is pure
(`jobs.rows`, `jobs.sets`, `jobs.registers`, `jobs.privacy`); Spark decides which rows meet where;
`jobs.storage` is the only room that touches a disk, an engine or a network.
"""
