"""Full-domain generalisation: every column at one level of its hierarchy, the few rows that stand out left out."""
