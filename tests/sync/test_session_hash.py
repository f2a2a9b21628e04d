"""The session that a synchronous client names is the one that its calls ride in."""

from __future__ import annotations

from triojob.sync import Client, start_portal


def test_session_hash_lasts_until_reset(own_server):
    named: list[str] = []
    with start_portal() as portal, Client(own_server.url, portal=portal) as client:
        for _ in range(2):
            client.predict("ada", api_name="/greet")
            named += [client.session_hash] * 2
            client.predict("bob", api_name="/greet")
            client.reset_session()
    assert [join["session_hash"] for join in own_server.server.joins] == named
    assert len(set(named)) == 2
