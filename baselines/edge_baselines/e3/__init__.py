"""The E3-Agent: a fast-path router and the controllers that set it (arXiv 2605.27428)."""
