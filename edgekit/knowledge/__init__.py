"""A knowledge base on the device: documents in, passages and answers with their sources out."""

from __future__ import annotations

from edgekit.knowledge.adding import Added, Refusal
from edgekit.knowledge.answering import Answer
from edgekit.knowledge.base import KnowledgeBase
from edgekit.knowledge.searching import Passage

__all__ = ["Added", "Answer", "KnowledgeBase", "Passage", "Refusal"]
