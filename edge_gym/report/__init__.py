"""The report of an evaluation: one offline HTML page, the same in Markdown, and the leaderboard as CSV."""
