"""Signing in with a password, users, keys and rights, as people do it in the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rag.access.passwords import hashed
from tests.serving import Live

PASSWORD = "a long password"


def test_user_signs_in_sees_what_was_shared_and_nothing_else(live: Live, open_page: Callable[..., Any]) -> None:
    people = live.service.workspace.store.people
    people.add_user("ann", hashed(PASSWORD), is_admin=False)
    page = open_page(sign_in=False)
    page.goto(live.url)
    page.get_by_label("Name", exact=True).fill("ann")
    page.get_by_label("Password").fill("wrong password")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("alert").get_by_text("the name or the password is wrong").wait_for()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Documents").click()
    page.get_by_text("badges.md").wait_for(state="detached")
    live.client.put("/api/collections/handbook/grants", json={"level": "read", "user": "ann"})
    page.reload()
    page.get_by_text("badges.md").first.wait_for()
    assert page.get_by_role("button", name="Who may read this").count() == 0


def test_administrator_makes_users_keys_and_gives_rights(live: Live, open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.get_by_role("link", name="People").click()
    users = page.get_by_role("region", name="Users")
    users.get_by_label("Name", exact=True).fill("bob")
    users.get_by_label("Password").fill(PASSWORD)
    users.get_by_role("button", name="Add the user").click()
    users.get_by_role("cell", name="bob", exact=True).wait_for()
    users.get_by_label("Group", exact=True).fill("team")
    users.get_by_label("Members, separated by commas").fill("bob")
    users.get_by_role("button", name="Add the group").click()
    users.get_by_label("Members of team").wait_for()
    keys = page.get_by_role("region", name="API keys")
    keys.get_by_label("User").fill("bob")
    keys.get_by_role("button", name="Make a key").click()
    key = keys.locator("code").inner_text()
    assert key.startswith("hg-")
    page.reload()
    page.get_by_role("region", name="API keys").get_by_role("cell", name="bob").wait_for()
    assert key not in page.content()
    page.get_by_role("link", name="Documents").click()
    page.get_by_role("button", name="Who may read this").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("To").select_option("group")
    dialog.get_by_label("Name", exact=True).fill("team")
    dialog.get_by_role("button", name="Give").click()
    dialog.get_by_role("cell", name="group team", exact=True).wait_for()
    grants = live.client.get("/api/collections/handbook/grants").json()["grants"]
    assert [(grant["group"], grant["level"]) for grant in grants] == [("team", "read")]
    dialog.get_by_role("button", name="Take the right of group team back").click()
    dialog.get_by_text("Nobody was given a right yet.").wait_for()
    dialog.get_by_role("button", name="Close").click()
    page.get_by_role("link", name="People").click()
    page.get_by_role("region", name="Who used what").get_by_text("make user bob").wait_for()
