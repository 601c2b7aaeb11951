"""Files in, documents out: finding files, and reading them in a bounded child process."""

from rag.load.files import find_files
from rag.load.parser import Parser
from rag.load.values import Limits, Outcome, Parsed, SourceFile

__all__ = ["Limits", "Outcome", "Parsed", "Parser", "SourceFile", "find_files"]
