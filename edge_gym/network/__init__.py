"""The network between sites and nodes: generators, files, delay and bandwidth."""
