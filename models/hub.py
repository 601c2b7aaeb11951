"""
Model hubs: the safe files of one commit of a repository.
"""
