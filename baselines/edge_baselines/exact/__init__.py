"""Where agents shall live: search, proven optimum and bounds, on the cost function of the world."""
