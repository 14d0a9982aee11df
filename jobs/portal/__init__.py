"""The open-data site: static pages made from the releases, and a small server for them."""
