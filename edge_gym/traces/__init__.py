"""Other people's data: request traces, trajectories, sites, pings, pods. See docs/data.md."""
