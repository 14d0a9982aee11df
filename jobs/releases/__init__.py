"""What leaves the lake: terms and their approval, formats, descriptions, digests."""
