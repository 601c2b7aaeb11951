"""The page: static files, served as they are; nothing is built and nothing comes from elsewhere."""
