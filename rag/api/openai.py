"""
The part of OpenAI's API that existing programs need: chat completions, embeddings, models.

A ``model`` is ``generator[:adapter][@collection]``. With a collection, the last turn is the question, the earlier ones
are the history, and the sources come as ``annotations``. What would change the result and is not supported is refused;
a name that is not known is an error and never another model.
"""

from __future__ import annotations

import base64
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import Field
from starlette.responses import JSONResponse, Response

from models.base import Message, SamplingParams
from rag.answer import AnswerStream
from rag.api.answers import SILENCE, EventStream, natural, outcomes, require_bounded, sse, whole
from rag.api.chat import ChatBody, annotations
from rag.api.errors import ApiError, as_api_error, missing
from rag.api.search import answer_object
from rag.api.service import PrincipalDep, Service, ServiceDep
from rag.types import Answer
from rag.worker import Job, Waiting
