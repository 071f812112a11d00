"""Whether the actor of an ask may ask it: the same rule for the door and for every role that answers asks."""

from __future__ import annotations

from bus.record import Ask

ROLES = ("viewer", "operator", "approver", "admin")
"""What somebody may be in a workspace. Everybody sees; operators start and end; approvers vote and answer; admins do
everything."""


def find_lack(ask: Ask) -> str:
    """What the actor lacks to ask this, in a sentence; empty if nothing.

    Without roles it came through no door: whoever may write the topic may ask.
    """
    if not ask.actor_roles:
        return ""
    needed, scope = ask.needs_role, ask.needs_scope
    if needed not in ask.actor_roles and "admin" not in ask.actor_roles:
        return f"this needs the role {needed}, and {ask.actor or 'the actor'} is {' and '.join(ask.actor_roles)} here"
    if ask.actor_scopes and scope not in ask.actor_scopes:
        return f"the key of {ask.actor or 'the actor'} is not for {scope}"
    return ""
