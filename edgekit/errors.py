"""What a user can meet. Each error says what is wrong, with the value, and its hint says what to do."""

from __future__ import annotations


class EdgekitError(Exception):
    """An error with a message (what is wrong) and a hint (what to do about it).

    The command line prints both in two lines and exits with `exit_code`.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(EdgekitError, ValueError):
    """An option or argument outside of its range: the caller's to mend."""

    exit_code = 2


class MissingExtraError(EdgekitError, ImportError):
    """A package that an optional feature needs is not installed; the hint names the exact `pip install`."""

    def __init__(self, package: str, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs the package {package}, which is not installed", install_hint(extra))
        self.package = package


class CheckpointError(EdgekitError):
    """A checkpoint that cannot be read, is damaged, or contradicts itself."""


class UnsupportedError(EdgekitError):
    """A model feature, a configuration switch or a format that EdgeKit knows it does not handle."""


class BundleError(EdgekitError):
    """A bundle that is damaged, hostile, too new, or lacks what was asked of it."""


class KnowledgeError(EdgekitError):
    """A knowledge base that is none, is damaged, busy, or was made with another encoder."""


class RuntimeUnavailableError(EdgekitError):
    """No installed engine can run this bundle on this machine."""


class MemoryShortageError(EdgekitError):
    """A model that needs more memory than is free."""


class ContextError(EdgekitError):
    """More tokens than the session's context holds."""


class EnergyError(EdgekitError):
    """Nothing here tells how much energy is used, or it has stopped telling."""


class SessionBusyError(EdgekitError):
    """A second caller while a session serves the first: a session has one cache, so one caller at a time."""


SessionBusy = SessionBusyError


class EdgekitWarning(UserWarning):
    """Something that a user should know of, and that goes on all the same."""


def install_hint(extra: str) -> str:
    """Return the command that installs an extra, quoted so that it works in every shell."""
    return f'pip install "edgekit-sdk[{extra}]"'
