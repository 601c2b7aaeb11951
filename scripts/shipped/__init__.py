"""The adapters that come with the project, and how they are made again."""
