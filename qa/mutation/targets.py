"""Which modules are mutated, and which tests are to notice it.

The tests are the fast and deterministic ones that are about the module; of those, a mutant meets
the ones that run its line.  None starts a process or a real server.
"""

from __future__ import annotations

CORE = (
    "tests/core/test_callbacks.py",
    "tests/core/test_checkpoints.py",
    "tests/core/test_group_*.py",
    "tests/core/test_instruments.py",
    "tests/core/test_job_*.py",
    "tests/core/test_listeners.py",
    "tests/core/test_references.py",
    "tests/core/test_report.py",
    "tests/core/test_limiter.py",
    "tests/core/test_wrong_place.py",
)
STREAMED = (
    "tests/client/test_cancel_moments.py",
    "tests/client/test_endpoints_calls.py",
    "tests/client/test_messages_*.py",
    "tests/client/test_retry.py",
    "tests/files/test_downloads.py",
    "tests/files/test_uploads.py",
    "tests/streams/test_render.py",
)
"""Jobs whose messages come through the channel, and calls that raise before there are any."""
JOBS = (
    *CORE,
    *STREAMED,
    "tests/client/test_statistics.py",
    "tests/core/test_as_completed.py",
    "tests/wire/test_growing_text.py",
)
WATCHED = (
    "tests/live/test_rendering.py",
    "tests/live/test_view.py",
)
"""Groups that somebody follows who was not there from the start."""
EDITS = (
    "tests/wire/test_edits*.py",
    "tests/wire/test_growing_text.py",
    "tests/client/test_hostile_edits.py",
)
SESSIONS = (
    "tests/client/test_cancel_deaf.py",
    "tests/client/test_cancel_requests.py",
    "tests/client/test_cancel_in_sessions.py",
    "tests/client/test_cancel_old_queues.py",
    "tests/client/test_cancel_opening_and_closing.py",
    "tests/client/test_cancel_siblings.py",
    "tests/client/test_cancel_steps.py",
    "tests/client/test_endpoints_calls.py",
    "tests/client/test_faults_breaks.py",
    "tests/client/test_faults_garbage.py",
    "tests/client/test_faults_cancel_requests.py",
    "tests/client/test_faults_join.py",
    "tests/client/test_faults_listening.py",
    "tests/client/test_faults_messages.py",
    "tests/client/test_faults_order.py",
    "tests/client/test_faults_restart.py",
    "tests/client/test_faults_streams_kept.py",
    "tests/client/test_isolated_sessions.py",
    "tests/client/test_stream_budget.py",
    "tests/client/test_logs.py",
    "tests/client/test_opening_lifecycle.py",
    "tests/client/test_options_timeouts.py",
    "tests/client/test_retry.py",
    "tests/client/test_sessions_*.py",
    "tests/client/test_statistics.py",
    "tests/drivers/test_*.py",
    "tests/files/test_handles.py",
    "tests/streams/test_heartbeat.py",
    "tests/streams/test_render.py",
    "tests/session/test_cancelling.py",
    "tests/session/test_event_ids.py",
    "tests/session/test_leaving.py",
    "tests/session/test_lost_joins.py",
    "tests/session/test_refusals.py",
    "tests/session/test_sending.py",
    "tests/session/test_shared_sessions.py",
    "tests/session/test_stopping.py",
    "tests/session/test_stream_reader.py",
    "tests/streams/test_restart.py",
    "tests/sync/test_session_hash.py",
)

TARGETS: dict[str, tuple[str, ...]] = {
    "triojob/gradio/protocol/diff.py": EDITS,
    "triojob/_core/group.py": (
        *CORE,
        *WATCHED,
        "tests/client/test_retry.py",
        "tests/client/test_statistics.py",
        "tests/core/test_map_failures.py",
    ),
    "triojob/_core/job.py": JOBS,
    "triojob/_core/limiter.py": (
        *CORE,
        "tests/client/test_isolated*.py",
        "tests/client/test_sessions_state.py",
    ),
    "triojob/_core/history.py": JOBS,
    "triojob/_core/runner.py": JOBS,
    "triojob/_core/record.py": JOBS,
    "triojob/_core/observers.py": JOBS,
    "triojob/_core/sink.py": JOBS,
    "triojob/gradio/session/session.py": SESSIONS,
    "triojob/gradio/session/stream_reader.py": SESSIONS,
    "triojob/gradio/session/canceller.py": SESSIONS,
    "triojob/gradio/session/cancel_policy.py": ("tests/session/test_cancelling.py",),
    "triojob/gradio/session/conversations.py": SESSIONS,
    "triojob/gradio/session/event_ids.py": (
        "tests/session/test_event_ids.py",
        "tests/session/test_lost_joins.py",
    ),
    "triojob/gradio/session/function_calls.py": SESSIONS,
    "triojob/gradio/session/joiner.py": SESSIONS,
    "triojob/gradio/session/window.py": ("tests/session/test_window.py",),
}

LEFT_OUT = ("gradio_itself", "[httpx")
"""In the names of tests that are not used here.

The first import Gradio, which takes seconds in each mutant's process.  The second are done again
over the connections that clients make themselves.
"""
