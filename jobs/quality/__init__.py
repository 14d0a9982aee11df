"""Quality of a batch as a table: contracts compiled into Great Expectations suites, never written by hand."""
