"""What an attacker may know of the model under attack: its weights, its answers, or nothing.

A method that is granted answers alone is handed an :class:`Oracle`. The model lies in a thread of
its own, in the local variables of one function; two queues lead there, images go in and answers
come out. So neither weights nor gradients can be reached from an oracle, and the thread counts. It
takes plain tensors alone: a subclass may bring code that torch runs between it and the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Literal

import torch
from torch import Tensor

from remission.models import Classifier

Answers = Literal["scores", "labels"]
_AT_ONCE = 250  # images a forward pass


@dataclass(frozen=True)
class Access:
    """What a method asks to see of the model under attack.

    Args:
        kind: ``"weights"``: the model itself; ``"scores"`` or ``"labels"``: its answers;
            ``"nothing"``.
        queries: images that it may ask about.
    """

    kind: Literal["weights", "scores", "labels", "nothing"]
    queries: int = 0


class QueriesSpentError(RuntimeError):
    """More images than there are queries left: none of them was looked at, none is counted."""


class OracleError(RuntimeError):
    """The model could not answer."""


@dataclass(frozen=True)
class _Reply:
    """Of an error its text alone: its traceback would lead to the model."""

    used: int
    answer: Tensor | None = None
    refused: bool = False
    error: str = ""


class Oracle:
    """Images -> answers of a model that lies elsewhere.

    Args:
        questions: images go in; None ends the service.
        replies: what comes back.
        answers: scores or labels.
        budget: images that may be asked about.
    """

    __slots__ = ("_questions", "_replies", "_used", "answers", "budget")

    def __init__(
        self,
        questions: SimpleQueue[Tensor | None],
        replies: SimpleQueue[_Reply],
        answers: Answers,
        budget: int,
    ) -> None:
        self._questions, self._replies = questions, replies
        self.answers, self.budget, self._used = answers, budget, 0

    @property
    def used(self) -> int:
        """Images asked about so far."""
        return self._used

    @property
    def left(self) -> int:
        """Images that may still be asked about."""
        return self.budget - self._used

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) in [0, 1] -> softmax probabilities (N, K), or labels (N,) int64.

        Raises:
            QueriesSpentError: fewer than N queries are left; ``left`` says how many.
            OracleError: the model could not answer.
        """
        self._questions.put(Tensor.as_subclass(images.detach(), Tensor).clone())
        reply = self._replies.get()
        self._used = reply.used
        if reply.refused:
            count = images.shape[0]
            raise QueriesSpentError(
                f"{count} images asked about, and {self.left} of {self.budget} queries left"
            )
        if reply.answer is None:
            raise OracleError(f"the model under attack could not answer: {reply.error}")
        return reply.answer


@contextmanager
def answering(model: Classifier, answers: Answers, budget: int) -> Iterator[Oracle]:
    """Within this context ``model``, in eval mode, answers up to ``budget`` images."""
    questions: SimpleQueue[Tensor | None] = SimpleQueue()
    replies: SimpleQueue[_Reply] = SimpleQueue()
    handed = [model]  # emptied by the thread: threading keeps a list of threads and their arguments
    arguments = (handed, answers, budget, questions, replies)
    thread = Thread(target=_answer, args=arguments, name="oracle", daemon=True)
    thread.start()
    try:
        yield Oracle(questions, replies, answers, budget)
    finally:
        questions.put(None)
        thread.join()


def _answer(
    handed: list[Classifier],
    answers: Answers,
    budget: int,
    questions: SimpleQueue[Tensor | None],
    replies: SimpleQueue[_Reply],
) -> None:
    """In the oracle's thread: one reply a question, until there are no more."""
    model, used = handed.pop(), 0
    while (images := questions.get()) is not None:
        if type(images) is not Tensor or images.ndim != 4:
            replies.put(_Reply(used, error="it takes a plain tensor (N, C, H, W)"))
            continue
        if len(images) > budget - used:
            replies.put(_Reply(used, refused=True))
            continue
        used += len(images)
        try:
            replies.put(_Reply(used, _ask(model, images, answers)))
        except Exception as error:  # whatever it is, who asks must not wait for ever
            replies.put(_Reply(used, error=f"{type(error).__name__}: {error}"))


@torch.no_grad()
def _ask(model: Classifier, images: Tensor, answers: Answers) -> Tensor:
    parts = torch.split(images.to(model.mean.device), _AT_ONCE)
    logits = torch.cat([model(part) for part in parts])
    if not bool(torch.isfinite(logits).all()):  # their argmax would be class 0
        raise ArithmeticError("its outputs are not finite")
    return logits.argmax(1) if answers == "labels" else logits.softmax(1)
