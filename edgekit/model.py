"""A loaded model: prompts in and text out, or texts in and vectors, labels or spans out."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from edgekit import encoding
from edgekit.bundle import Bundle
from edgekit.chat import Message
from edgekit.classification.linear_head import LinearHead, read_head
from edgekit.conversation import Chat
from edgekit.decoder import Float32
from edgekit.draft_model import ModelDrafter, check_vocabulary, relative_cost
from edgekit.encoder_session import EncoderSession
from edgekit.encoding import Classification, Span
from edgekit.errors import BundleError, SessionBusyError, UsageError
from edgekit.generation import Ids, Options, Reply, generate
from edgekit.guessing import Drafter, PromptLookup
from edgekit.prefixes import Prefixes, shared_tokens
from edgekit.prompts import Prompt, Settings, ids_of_chat, options_of, read_prompt
from edgekit.rolling import Memory, Rolling, check_overflow
from edgekit.session import DecoderSession
from edgekit.stream import Stream
from edgekit.structured.constraint import GrammarConstraint, Vocabulary
from edgekit.structured.grammar import Schema, grammar_of
from edgekit.tasks.methods import Tasks
from edgekit.tokenizer import Tokenizer
from edgekit.tools import Tool, ToolLike, tools_of

if TYPE_CHECKING:
    from concurrent.futures import Future

    from typing_extensions import Unpack

    from edgekit.progress import Progress

Draft: TypeAlias = 'Literal["lookup"] | Model | None'
"""Who guesses at tokens to come."""


class Model(Tasks):
    """A bundle that is loaded and ready. A context manager; one caller at a time.

    What two prompts in a row have in common is computed once, so a conversation only costs its new messages.
    """

    def __init__(
        self,
        bundle: Bundle,
        session: DecoderSession | EncoderSession,
        runtime: str,
        tokenizer: Future[Tokenizer] | None = None,
    ) -> None:
        self.bundle = bundle
        self._session = session
        self._tokenizer = tokenizer
        self.runtime = runtime
        """The name of the runtime that executes it."""
        self._lock = threading.Lock()
        self._memory = Memory()

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The bundle's tokenizer.

        Raises:
            BundleError: it has none, or a damaged one.
            UnsupportedError: the package tokenizers is not installed, and a component needs it.
        """
        return Tokenizer.open(self.bundle) if self._tokenizer is None else self._tokenizer.result()

    @cached_property
    def _head(self) -> LinearHead | None:
        return read_head(self.bundle)

    @property
    def session(self) -> DecoderSession:
        """For programs that bring their own loop.

        Raises:
            BundleError: the bundle generates no text.
        """
        if not isinstance(self._session, DecoderSession):
            raise BundleError(self._does_not("generates text"), self._hint())
        return self._session

    @cached_property
    def prefixes(self) -> Prefixes:
        """The prompts that are stored in the bundle with what was computed of them."""
        return Prefixes(self.bundle.path, self.session, self.runtime)

    @property
    def encoder(self) -> EncoderSession:
        """For programs that bring their own batches.

        Raises:
            BundleError: the bundle generates text.
        """
        if not isinstance(self._session, EncoderSession):
            raise BundleError(self._does_not("reads whole texts"), self._hint())
        return self._session

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other callers of the model away, who would change what the session holds in the middle of an answer.

        Raises:
            SessionBusyError: another caller has it.
        """
        if not self._lock.acquire(blocking=False):
            raise SessionBusyError(
                "the model is answering another caller", "read that stream to its end or close it; load once per thread"
            )
        try:
            yield
        finally:
            self._lock.release()

    def embed(self, texts: Sequence[str]) -> Float32:
        """Return a vector for each text, pooled and normalised as the checkpoint says: float32 [n, width].

        Texts longer than the context are cut, as in training. They are computed in batches of similar lengths, so give
        many at once; a text's vector does not depend on those beside it.

        Raises:
            BundleError: the bundle does not embed, or has no tokenizer.
            UsageError: something else than texts, or one without a token.
            SessionBusyError: the model is at work for another caller.
        """
        self.require("embed")
        return encoding.embed(self.encoder, self.tokenizer, self.bundle.manifest.encoder_spec, texts)

    def classify(self, texts: Sequence[str]) -> list[Classification]:
        """Return the label of each text, and the probability of every label. Errors are those of `embed`.

        Where the bundle was fitted or calibrated (`edgekit.fit`), probabilities come true on texts like those it saw,
        and the label is None where the likeliest is not likely enough.
        """
        self.require("classify")
        return encoding.classify(self.encoder, self.tokenizer, self.bundle.manifest, self._head, texts)

    def tag(self, text: str) -> list[Span]:
        """Return the labelled stretches of a text, with the characters they cover.

        Raises:
            ContextError: the text is longer than the context: it is not cut, since what is found would be missing.
            BundleError, UsageError, SessionBusyError: as `embed`.
        """
        self.require("tag")
        return encoding.tag(self.encoder, self.tokenizer, self.bundle.manifest.labels, text)

    def require(self, task: str) -> None:
        """Refuse a bundle for another task than "embed", "classify" or "tag".

        Raises:
            BundleError: it has another one.
        """
        embeds_too = task == "embed" and self.bundle.manifest.fitted
        if self.bundle.manifest.task != task and not embeds_too:
            words = {"embed": "embeds texts", "classify": "classifies texts", "tag": "tags texts"}
            raise BundleError(self._does_not(words[task]), self._hint())

    def _does_not(self, what: str) -> str:
        return f"{self.bundle.path} is a bundle for the task {self.bundle.manifest.task!r}: no model in it {what}"

    def _hint(self) -> str:
        usual = {"generate": "generate or stream", "embed": "embed", "classify": "classify", "tag": "tag"}
        return f"use {usual[self.bundle.manifest.task]}"

    def stream(
        self,
        prompt: Prompt,
        *,
        system: str | None = None,
        raw: bool = False,
        schema: Schema = None,
        tools: Sequence[ToolLike] | None = None,
        draft: Draft = "lookup",
        progress: Progress | None = None,
        **settings: Unpack[Settings],
    ) -> Stream:
        """Answer a prompt piece by piece.

        Args:
            prompt: A text, which is sent as one user message where the bundle has a chat template; a list of chat
                messages; or token ids.
            system: A system message in front of it.
            raw: Send a text as it is, without the chat template.
            schema: What the answer must look like: a JSON schema, a Python type, a compiled regular expression or a
                `Lark` grammar (`structured.grammar.grammar_of`). `reply.value` is then what it says.
            tools: Functions with annotations, or dicts that describe functions: the chat template tells the model of
                them, and `reply.tool_calls` are the calls that it asks for.
            draft: Who guesses at tokens to come, which are checked along with a pass where that pays: "lookup" expects
                what followed the last tokens earlier; a loaded smaller model of the same vocabulary; None for nobody.
            progress: Is told of the prompt's tokens as they are computed.
            settings: max_tokens, temperature, top_k, top_p, min_p, repetition_penalty, seed, stop, overflow; see
                `Options` and `Sampling`. What is not given is as the checkpoint's publisher set it.

        Returns:
            An iterator of pieces of text, and of empty ones, one for each token, where there is no tokenizer.

        Raises:
            UsageError: an empty or malformed prompt, or a setting out of its range.
            ContextError: the prompt is longer than the context; nothing was computed.
            SessionBusyError: another stream of this model, or of the one that guesses, has not ended.
            BundleError: the bundle lacks the tokenizer or the chat template that this prompt needs.
        """
        session = self.session
        known = () if tools is None else tuple(tools_of(tools))
        asked = read_prompt(self.bundle, lambda: self.tokenizer, prompt, system=system, raw=raw, tools=known)
        options = options_of(self.bundle, settings)
        check_overflow(options.overflow, is_chat=asked.messages is not None)
        drafter, constraint = self._drafter(draft), self._constraint(schema)
        tokenizer = self.tokenizer if self.bundle.tokenizer_path() is not None else None
        with ExitStack() as held:
            held.enter_context(self.exclusive())
            if isinstance(draft, Model):
                held.enter_context(draft.exclusive())
            rolling = self._rolling(asked.messages, known, options) if asked.messages is not None else None
            ids = rolling.ids if rolling else asked.encode()
            generation = generate(
                session,
                ids,
                options,
                tokenizer,
                progress,
                drafter=drafter,
                constraint=constraint,
                rolling=rolling,
                tools=known,
            )
            self.prefixes.take(generation.prompt)
            until_it_ends = held.pop_all()

        def release() -> None:
            if rolling is not None:
                self._memory.keep(rolling)
            until_it_ends.close()

        return Stream(generation, release, textless=tokenizer is None)

    def generate(
        self,
        prompt: Prompt,
        *,
        system: str | None = None,
        raw: bool = False,
        schema: Schema = None,
        tools: Sequence[ToolLike] | None = None,
        draft: Draft = "lookup",
        progress: Progress | None = None,
        **settings: Unpack[Settings],
    ) -> Reply:
        """Answer a prompt at once. Arguments and errors are those of `stream`."""
        with self.stream(
            prompt, system=system, raw=raw, schema=schema, tools=tools, draft=draft, progress=progress, **settings
        ) as stream:
            for _ in stream:
                pass
        return stream.reply

    def chat(
        self,
        system: str | None = None,
        *,
        tools: Sequence[ToolLike] | None = None,
        draft: Draft = "lookup",
        **settings: Unpack[Settings],
    ) -> Chat:
        """Begin a conversation that remembers its turns; once the context is full it leaves out the oldest ones.

        Args:
            system: A system message, which always stays.
            tools: As of `stream`; the result of a call is said with `Chat.report`.
            draft: As of `stream`.
            settings: Those of `stream`, for every turn; `overflow` is "roll" unless it is given.
        """
        return Chat(self, system, tools=tools, draft=draft, **settings)

    def resume(
        self,
        path: str | os.PathLike[str],
        *,
        tools: Sequence[ToolLike] | None = None,
        draft: Draft = "lookup",
        **settings: Unpack[Settings],
    ) -> Chat:
        """Go on with a conversation that `Chat.save` wrote, in this process or another.

        Where the model is loaded in another way than it was then, its turns are computed anew.

        Raises:
            EdgekitError: the file is damaged, or holds no conversation.
            SessionBusyError: a stream of this model has not ended.
        """
        return Chat.read(self, Path(path), tools=tools, draft=draft, **settings)

    def store_prefix(
        self,
        name: str,
        *,
        system: str | None = None,
        tools: Sequence[ToolLike] | None = None,
        text: str | None = None,
    ) -> Path:
        """Compute what prompts have in common and store it in the bundle; later loads begin there.

        Args:
            name: What the prefix is called; one of that name is replaced.
            system: The system message of the conversations to come.
            tools: The tools that they will have.
            text: The beginning of raw prompts, such as a document; either this or the others.

        Returns:
            The file, in the bundle's folder `prefixes`.

        Raises:
            UsageError: neither a text nor the beginning of conversations, or both; a name that is no plain word.
            ContextError: it is longer than the context.
            BundleError: the bundle has no tokenizer, or no chat template for a system message.
            SessionBusyError: a stream of this model has not ended.
        """
        if (system is None and tools is None) == (text is None):
            raise UsageError("a prefix is made of a system message and tools, or of a text", "give one or the other")
        if text is not None:
            with self.exclusive():
                return self.prefixes.store(name, self.tokenizer.encode(text), {"text": text})
        known = () if tools is None else tuple(tools_of(tools))

        def encode(said: str) -> Ids:
            user = [{"role": "user", "content": said}]
            asked = read_prompt(self.bundle, lambda: self.tokenizer, user, system=system, raw=False, tools=known)
            return asked.encode()

        notes = {"system": system, "tools": [tool.to_json() for tool in known] or None}
        with self.exclusive():
            return self.prefixes.store(name, shared_tokens(encode), notes)

    def _rolling(self, messages: Sequence[Message], tools: Sequence[Tool], options: Options) -> Rolling | None:
        """Return what makes room for the answer to a conversation, room having been made for its beginning."""
        if options.overflow != "roll":
            return None
        encode = partial(ids_of_chat, self.bundle, self.tokenizer, tools=tools)
        rolling = Rolling(messages, encode, self.session.context, self._memory.dropped(messages))
        rolling.make_room(options.max_tokens)
        return rolling

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        path = self.bundle.tokenizer_path()
        if path is None:
            raise BundleError(f"{self.bundle.path} has no tokenizer", "structured output needs one")
        return Vocabulary(path, self.session.vocab_size, self.bundle.manifest.eos_ids)

    def _constraint(self, schema: Schema) -> GrammarConstraint | None:
        return None if schema is None else GrammarConstraint(grammar_of(schema), self._vocabulary)

    def _drafter(self, draft: Draft) -> Drafter | None:
        if draft is None:
            return None
        if isinstance(draft, Model):
            if draft is self:
                raise UsageError("a model cannot guess for itself", "load a smaller one")
            check_vocabulary(draft.bundle, self.bundle)
            return ModelDrafter(draft.session, relative_cost(draft.bundle, self.bundle), self.session.vocab_size)
        if draft != "lookup":
            raise UsageError(f"draft is {draft!r}", 'it may be "lookup", a loaded model, or None')
        return PromptLookup()

    def close(self) -> None:
        """Free the engine's memory. Closing twice does nothing.

        Raises:
            SessionBusyError: it is at work for another thread.
        """
        self._session.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
