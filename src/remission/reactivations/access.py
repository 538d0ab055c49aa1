"""What the attacker may know of the model under attack: its weights, its answers, or nothing.

A method that may see answers alone gets an :class:`Oracle`. The model then lies in a thread of its
own, in the local variables of one function, with two queues: one for images, one for answers. So an
oracle leads neither to weights nor to gradients, and it is the thread that counts queries. The
oracle takes plain tensors only, since a subclass may bring code that torch would run in the thread.
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
"""scores: softmax probabilities; labels: the classes alone."""
_AT_ONCE = 250  # images per forward pass


@dataclass(frozen=True)
class Access:
    """What a method sees of the model under attack.

    Args:
        kind: ``"weights"``: the model itself; ``"scores"`` or ``"labels"``: its answers;
            ``"nothing"``.
        queries: number of images that the method may ask about.
    """

    kind: Literal["weights", "scores", "labels", "nothing"]
    queries: int = 0


class QueriesSpentError(RuntimeError):
    """There are more images than queries left: no image was classified, and none is counted."""


class OracleError(RuntimeError):
    """The model could not answer."""


@dataclass(frozen=True, eq=False)
class _Reply:
    """A reply from the thread; of an error only the text, since a traceback leads to the model.

    Args:
        used: number of queries so far.
        answer: scores (N, K) or labels (N,); None if there are none.
        refused: whether too few queries were left.
        error: what went wrong; "": nothing.
    """

    used: int
    answer: Tensor | None = None
    refused: bool = False
    error: str = ""


class Oracle:
    """A function from images to the answers of a model, which cannot be reached from here.

    Args:
        questions: the queue of images; None ends the service.
        replies: the queue of replies.
        answers: whether replies are scores or labels.
        budget: number of images that may be asked about.
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
        """The number of images that were asked about so far."""
        return self._used

    @property
    def left(self) -> int:
        """The number of images that may still be asked about."""
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
    """Lets ``model``, which is in eval mode, answer up to ``budget`` images within this context."""
    questions: SimpleQueue[Tensor | None] = SimpleQueue()
    replies: SimpleQueue[_Reply] = SimpleQueue()
    # the thread empties this list, since threading keeps the arguments of its threads
    models = [model]
    arguments = (models, answers, budget, questions, replies)
    thread = Thread(target=_answer, args=arguments, name="oracle", daemon=True)
    thread.start()
    try:
        yield Oracle(questions, replies, answers, budget)
    finally:
        questions.put(None)
        thread.join()


def _answer(
    models: list[Classifier],
    answers: Answers,
    budget: int,
    questions: SimpleQueue[Tensor | None],
    replies: SimpleQueue[_Reply],
) -> None:
    """Runs in the oracle's thread: replies to each question until None ends the service."""
    model, used = models.pop(), 0
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
        except BaseException as error:  # whatever it is: the oracle must not wait for ever
            replies.put(_Reply(used, error=f"{type(error).__name__}: {error}"))


@torch.no_grad()
def _ask(model: Classifier, images: Tensor, answers: Answers) -> Tensor:
    """Returns scores (N, K) or labels (N,) of images (N, C, H, W)."""
    parts = torch.split(images.to(model.mean.device), _AT_ONCE)
    logits = torch.cat([model(part) for part in parts])
    if not bool(torch.isfinite(logits).all()):  # their argmax would be class 0
        raise ArithmeticError("its outputs are not finite")
    return logits.argmax(1) if answers == "labels" else logits.softmax(1)
