"""What a channel waits for, in the name of the limit that ends its wait."""

from __future__ import annotations

from ..server.handler import State, http_request_handler

__all__ = ["awaited", "state_of"]


def state_of(channel: http_request_handler) -> str:
    """The state of a channel, in its own word; also "handshake", over TLS, and "idle" where no head has begun."""
    if not getattr(channel.socket, "established", True):
        return "handshake"
    if channel.state is State.READ_HEADER and not channel._received:
        return "idle"
    return channel.state.value


def awaited(channel: http_request_handler) -> str:
    """The name of the limit in `Limits` that the channel's patience follows now, "" where it waits for us."""
    if not getattr(channel.socket, "established", True):
        return "handshake_time"
    state = channel.state
    if state is State.READ_HEADER:
        return "header_time" if channel._received else "idle_time"
    if state is State.READ_BODY:
        return "" if channel._ac_paused else "body_time"
    if state is State.SEND_RESPONSE:
        if not channel._ac_stalled:
            return "stall_time"
        return "body_time" if channel.owes_content else ""
    if state is State.LINGER:
        return "linger_pause" if channel.patience() < channel._until else "linger_time"
    return ""
