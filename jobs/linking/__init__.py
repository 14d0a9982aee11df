"""Link rows without a usable key: tables in, clusters of rows that speak about one person or organisation out.

config     what a user may state: columns, comparisons, blocking, threshold, sources without duplicates
roles      what each column is, by its header in English or Chinese and by its content
records    rows in forms for comparing, ordered so that nothing depends on their order as delivered
comparisons the levels at which two values of a role agree
blocking   which pairs are looked at, bounded whatever the data
estimation u, m and the share of matches, without labels
model      the frozen result of learning: the same pair has the same weight in any batch
scoring    Splink on DuckDB: pairs in, match weights out
clustering pairs in, clusters out: no chain over weak pairs, nothing across a cannot-link
evaluation precision, recall, F1 and B-cubed against labels
linkage    the whole, one table of results
report, charts what is written
"""
